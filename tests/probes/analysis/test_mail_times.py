"""When a mailed report is due: once a day, week or month, whatever the clock does."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.analysis.mail_times import EVERY, next_time

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")
ZONES = [
    *(BERLIN, SHANGHAI, ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles"), ZoneInfo("Asia/Beirut")),
    *(ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia"), ZoneInfo("America/Sao_Paulo")),
]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("every", "hour", "zone", "after", "due"),
    [
        ("day", 7, SHANGHAI, "2026-03-01T00:00", "2026-03-01T23:00"),
        ("day", 7, SHANGHAI, "2026-03-01T23:00", "2026-03-02T23:00"),
        ("week", 7, SHANGHAI, "2026-03-01T00:00", "2026-03-01T23:00"),  # Monday there already
        ("week", 7, BERLIN, "2026-03-02T06:00", "2026-03-09T06:00"),
        ("week", 7, BERLIN, "2026-03-23T06:00", "2026-03-30T05:00"),  # summer time in between
        ("month", 0, SHANGHAI, "2026-01-31T15:59", "2026-01-31T16:00"),
        ("month", 0, SHANGHAI, "2026-01-31T16:00", "2026-02-28T16:00"),  # a month of 28 days
        ("month", 0, SHANGHAI, "2028-01-31T16:00", "2028-02-29T16:00"),  # of 29
        ("month", 7, BERLIN, "2026-04-01T05:00", "2026-05-01T05:00"),  # of 30
        ("month", 7, BERLIN, "2026-12-31T23:30", "2027-01-01T06:00"),
    ],
)
def test_the_next_time_is_that_of_the_site(
    every: str, hour: int, zone: ZoneInfo, after: str, due: str
) -> None:
    assert next_time(every, hour, zone=zone, after=utc(after)) == utc(due)


def test_an_hour_that_is_left_out_is_taken_when_the_clock_passes_it() -> None:
    due = next_time("day", 2, zone=BERLIN, after=utc("2026-03-28T12:00"))

    assert due == utc("2026-03-29T01:00")
    assert due.astimezone(BERLIN).hour == 3


def test_of_an_hour_that_comes_twice_the_first_is_taken_and_only_that() -> None:
    first = next_time("day", 2, zone=BERLIN, after=utc("2026-10-24T12:00"))

    assert first == utc("2026-10-25T00:00")
    assert next_time("day", 2, zone=BERLIN, after=first) == utc("2026-10-26T01:00")


def test_what_is_no_time_is_refused() -> None:
    for every, hour in (("year", 7), ("day", 24), ("day", -1)):
        with pytest.raises(ValueError, match="no such time"):
            next_time(every, hour, zone=BERLIN, after=utc("2026-01-01T00:00"))


@given(
    every=st.sampled_from(EVERY),
    hour=st.integers(0, 23),
    zone=st.sampled_from(ZONES),
    after=st.datetimes(dt.datetime(2005, 1, 1), dt.datetime(2060, 1, 1)),  # noqa: DTZ001
)
def test_there_is_one_each_day_week_or_month(
    every: str, hour: int, zone: ZoneInfo, after: dt.datetime
) -> None:
    after = after.replace(tzinfo=dt.UTC)
    longest = {"day": 2, "week": 8, "month": 32}[every]
    shortest = {"day": 0.5, "week": 6.5, "month": 27.5}[every]

    due = next_time(every, hour, zone=zone, after=after)
    following = next_time(every, hour, zone=zone, after=due)

    assert after < due <= after + dt.timedelta(days=longest)
    assert due.utcoffset() == dt.timedelta(0)
    # A zone that leaves out a whole day is the only one whose days are further apart.
    assert dt.timedelta(days=shortest) <= following - due <= dt.timedelta(days=longest)
    local = due.astimezone(zone)
    if every == "week" and zone.key != "Pacific/Apia":
        assert local.weekday() == 0
    if every == "month" and zone.key != "Pacific/Apia":
        assert local.day == 1
