"""When a report that is mailed each day, week or month is due next, in the site's zone.

Place in the data's way: asked by ``probes.reports.sending`` whenever a schedule is saved or was
due. Pure: the zone and the time are given.

An hour that the clock leaves out (summer time begins) is taken at the moment it was left out; of
one that comes twice (summer time ends) the first is meant. So there is exactly one mail a day,
week or month, whatever the clock does.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from typing import Final, Literal, get_args

Every = Literal["day", "week", "month"]
EVERY: Final[tuple[str, ...]] = get_args(Every)

_ONE_DAY = dt.timedelta(days=1)


def next_time(every: str, hour: int, *, zone: dt.tzinfo, after: dt.datetime) -> dt.datetime:
    """The first time behind ``after`` (aware), in UTC, at which ``hour`` (0 to 23) strikes in
    ``zone`` on any day, on a Monday, or on the first of a month. ``every`` is one of EVERY.

    Raises ValueError for another word or hour.
    """
    if every not in EVERY or not 0 <= hour <= 23:
        raise ValueError(f"no such time: {every} at {hour}")
    # From the day before: its hour may still come, where the zone's clock was put back.
    for day in _days(every, after.astimezone(zone).date() - _ONE_DAY):
        # With fold 0 an hour that is left out is counted from before the change, which is the
        # moment of the change or later, and of one that comes twice the first is taken.
        moment = dt.datetime.combine(day, dt.time(hour), tzinfo=zone).astimezone(dt.UTC)
        if moment > after:
            return moment
    raise AssertionError("a calendar goes on")


def _days(every: str, first: dt.date) -> Iterator[dt.date]:
    """The days of the calendar from ``first`` on that count."""
    counts: Callable[[dt.date], bool] = {
        "day": lambda _day: True,
        "week": lambda day: day.weekday() == 0,
        "month": lambda day: day.day == 1,
    }[every]
    days = (first + number * _ONE_DAY for number in itertools.count())
    return filter(counts, days)
