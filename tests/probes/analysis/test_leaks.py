"""Which series of CLOSE_WAIT are leaks, and which only come and go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from probes.analysis import leaks
from probes.analysis.findings import Code, Severity

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
COUNTS = st.integers(min_value=0, max_value=10_000)


def group(counts: Sequence[int], *, left: int | None = None) -> leaks.Group:
    """A group probed each minute; ``left`` of its sockets have been there from the beginning."""
    series = tuple((START + dt.timedelta(minutes=n), count) for n, count in enumerate(counts))
    last = counts[-1] if counts else 0
    old = last if left is None else left
    minutes = max(0, len(counts) - 1)
    return leaks.Group(
        protocol="tcp",
        program="app",
        pids=(1,),
        local_port=None,
        remote_ip="10.0.0.1",
        remote_port=80,
        series=series,
        ages_s=((60.0 * minutes, old), (0.0, last - old)),
    )


@given(COUNTS, st.integers(min_value=1, max_value=59))
def test_a_constant_series_is_no_leak(count: int, probes: int) -> None:
    assert leaks.judge(group([count] * probes)) is None


@given(
    st.integers(min_value=0, max_value=500),
    st.lists(st.integers(min_value=1, max_value=50), min_size=5, max_size=70),
)
def test_a_series_that_always_rises_is_a_leak(begin: int, steps: list[int]) -> None:
    counts = [begin]
    for step in steps:
        counts.append(counts[-1] + step)
    found = leaks.judge(group(counts, left=max(counts[-1] // 2, min(10, counts[-1]))))
    if counts[-1] < leaks.DEFAULT.fewest:
        assert found is None
        return
    assert found is not None
    assert found.code is Code.CLOSE_WAIT_RISING
    assert found.facts["rise"] == counts[-1] - begin
    assert found.since == START
    bad = counts[-1] >= leaks.DEFAULT.bad
    assert found.severity is (Severity.BAD if bad else Severity.WARN)


@given(st.lists(COUNTS, min_size=1, max_size=80))
def test_what_is_replaced_all_the_time_is_no_leak_however_it_moves(counts: list[int]) -> None:
    assert leaks.judge(group(counts, left=0 if len(counts) > 1 else counts[-1])) is None


@given(st.integers(min_value=10, max_value=5000), st.integers(min_value=4, max_value=40))
def test_a_series_that_goes_up_and_down_is_no_leak(most: int, rounds: int) -> None:
    assert leaks.rising(group([most, most // 4] * rounds).series) is None
    assert leaks.rising(group([most // 4, most] * rounds).series) is None


@given(st.lists(COUNTS, max_size=80), st.integers(min_value=0, max_value=100))
def test_any_series_is_judged(counts: list[int], left_percent: int) -> None:
    left = counts[-1] * left_percent // 100 if counts else 0
    found = leaks.judge(group(counts, left=left))
    assert found is None or found.count == counts[-1] >= leaks.DEFAULT.fewest


@given(st.lists(COUNTS, min_size=5, max_size=60), st.integers(min_value=1, max_value=1000))
def test_a_higher_base_makes_no_leak_of_what_was_none(counts: list[int], base: int) -> None:
    if leaks.rising(group(counts).series) is None:
        higher = leaks.rising(group([count + base for count in counts]).series)
        # Only the share of the peak is relative: a base can bring the end nearer to it.
        assert higher is None or counts[-1] < 0.9 * max(counts)


def test_a_leak_that_was_mended_is_no_longer_one() -> None:
    assert leaks.judge(group([0, 50, 100, 150, 200, 4], left=4)) is None


def test_a_rise_is_followed_from_its_last_lowest_point() -> None:
    found = leaks.judge(group([2, 40, 2, 2, 10, 20, 30, 50], left=20))
    assert found is not None
    assert found.since == START + dt.timedelta(minutes=3)
    assert found.facts["before"] == 2
    assert found.facts["per_hour"] == 48 * 60 // 4


def test_small_falls_do_not_hide_a_leak() -> None:
    assert leaks.judge(group([0, 10, 9, 20, 19, 30, 40], left=20)) is not None


def test_what_stays_for_an_hour_is_told_for_information() -> None:
    found = leaks.judge(group([12] * 70))
    assert found is not None
    assert (found.code, found.severity) == (Code.CLOSE_WAIT_HELD, Severity.INFO)
    assert found.facts["held"] == 12
