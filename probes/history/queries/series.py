"""How the counts of hosts went over time.

Place in the data's way: charts and ``statistics/timeline``; ``samples`` says what is read. A long
time is thinned to one point a step, the last whole snapshot of each: numbers that were really seen,
no averages. What was more in between is kept beside it, so that a flood of two minutes is seen in a
chart of a month.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from django.db.models import QuerySet

from hosts.models import Host
from probes.history.queries import samples
from probes.history.queries.samples import By, Point, Watched

BYS: Final[tuple[str, ...]] = get_args(By)

MOST_POINTS: Final = 720
"""Steps of one series; a smaller ``step_s`` is widened to keep to it."""

GAP_AFTER_STEPS: Final = 2.5
"""Two points further apart than so many usual distances have a gap between them."""

HELD_INTERVALS: Final = 3
"""For so many of its intervals a host that tells nothing new counts with what it told last, where
several hosts are added up."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time. Each list of ``series`` and ``most`` is as long as ``times``."""

    times: list[int]
    """Seconds since 1970, rising."""
    series: dict[str, list[int | None]]
    """By state, or under ``total``, ``listeners``, ``opened`` and ``closed``, or by what a trend
    counts; None in a gap."""
    failed: list[tuple[int, str]]
    """When a probe gave no whole snapshot and its code, of one host; at most one a step, the last.
    Where roll-ups are read, when the stretch began that it was in."""
    step_s: int
    """Seconds a step is wide."""
    most: dict[str, list[int | None]] = field(default_factory=dict)
    """The most since the point before, of the names of ``series`` that were more than their
    points show; never less than the value. Of several hosts: had only one of them had its most."""


@dataclass(slots=True)
class Step:
    """One point of a series to be."""

    at: int
    counts: dict[str, int]
    most: dict[str, int]


def timeline(
    hosts: Host | QuerySet[Host],
    *,
    by: By,
    since: dt.datetime,
    until: dt.datetime,
    step_s: int | None = None,
) -> Series:
    """The series of ``hosts``, added up, from ``since`` to before ``until``; empty where nothing
    was probed. ``changes`` are sums over each step, all else is what was there at its end.

    There is a gap (a time at which every value is None) where probes failed for a whole step, or
    none came for GAP_AFTER_STEPS times the usual. Reads no socket; five queries at most.
    """
    of = samples.watched(hosts)
    step_s = widened(step_s, since, until)
    if len(of.intervals) > 1:
        # What was there before the first step still counts in it.
        before_s = min(HELD_INTERVALS * max(of.intervals.values()), 7200)
        found = samples.read(
            of, by=by, since=since - dt.timedelta(seconds=before_s), until=until, step_s=step_s
        )
    else:
        found = samples.read(of, by=by, since=since, until=until, step_s=step_s)
    step_s = samples.whole_points(step_s, found.width_s)
    if len(of.intervals) > 1:
        steps = list(added_up(of, found.points, step_s, found.width_s, summed=by == "changes"))
        begin = math.ceil(since.timestamp())
        steps = [step for step in steps if step.at >= begin]
    else:
        steps = list(merged(found.points, step_s, summed=by == "changes"))
    usual_s = max(step_s, found.width_s, *of.intervals.values()) if of.intervals else step_s
    failed = _last_of_each(found.failed, step_s)
    return shaped(steps, names(by, steps), failed=failed, step_s=step_s, usual_s=usual_s)


def widened(step_s: int | None, since: dt.datetime, until: dt.datetime) -> int:
    """Seconds of a step that gives no more than MOST_POINTS."""
    span_s = max(1.0, (until - since).total_seconds())
    return max(step_s or 1, math.ceil(span_s / MOST_POINTS))


def merged(points: Iterable[Point], step_s: int, *, summed: bool) -> Iterable[Step]:
    """The points of one host, a step each: the last, or the sum, of those in it."""
    for _step, inside in itertools.groupby(points, key=lambda point: point.at // step_s):
        step: Step | None = None
        for point in inside:
            if step is None:
                step = Step(point.at, dict(point.counts), {})
            elif summed:
                step.at = point.at
                for name, count in point.counts.items():
                    step.counts[name] = step.counts.get(name, 0) + count
            else:
                step.at, step.counts = point.at, dict(point.counts)
            if not summed:
                _raise(step.most, point.counts)
                _raise(step.most, point.most)
        assert step is not None
        yield step


def added_up(
    of: Watched, points: Iterable[Point], step_s: int, width_s: int, *, summed: bool
) -> Iterable[Step]:
    """The points of several hosts, added up in each step in which one of them told something."""
    held: dict[int, tuple[int, dict[str, int]]] = {}
    total: dict[str, int] = {}
    ends: list[tuple[int, int]] = []
    for _step, inside in itertools.groupby(points, key=lambda point: point.at // step_s):
        by_host: dict[int, list[Point]] = {}
        at = 0
        for point in inside:
            by_host.setdefault(point.host_id, []).append(point)
            at = point.at
        if summed:
            sums: Counter[str] = Counter()
            for told in by_host.values():
                for point in told:
                    sums.update(point.counts)
            yield Step(at, dict(sums), {})
            continue
        rise: dict[str, int] = {}
        for host_id, told in by_host.items():
            last = told[-1]
            if host_id in held:
                _add(total, held[host_id][1], -1)
            _add(total, last.counts, 1)
            end = last.at + HELD_INTERVALS * max(of.intervals[host_id], width_s)
            held[host_id] = (end, last.counts)
            heapq.heappush(ends, (end, host_id))
            for point in told:
                _raise_over(rise, point.most, last.counts)
                if point is not last:
                    _raise_over(rise, point.counts, last.counts)
        while ends and ends[0][0] < at:
            end, host_id = heapq.heappop(ends)
            if host_id in held and held[host_id][0] == end:
                _add(total, held.pop(host_id)[1], -1)
        counts = {name: count for name, count in total.items() if count}
        yield Step(at, counts, {name: counts.get(name, 0) + more for name, more in rise.items()})


def shaped(
    steps: Sequence[Step],
    wanted: Sequence[str],
    *,
    failed: list[tuple[int, str]],
    step_s: int,
    usual_s: float,
    absent: Callable[[Step, str], int | None] = lambda _step, _name: 0,
) -> Series:
    """Steps as lists with their gaps. ``absent`` is the value of a name that a step has not."""
    distances = [after.at - before.at for before, after in itertools.pairwise(steps)]
    usual_s = max(usual_s, statistics.median(distances) if distances else 0.0)
    seen = {step.at // step_s for step in steps}
    gaps = [at for at, _code in failed if at // step_s not in seen]
    times: list[int] = []
    series: dict[str, list[int | None]] = {name: [] for name in wanted}
    most: dict[str, list[int | None]] = {name: [] for name in wanted}
    last: Step | None = None
    for step in steps:
        if last is not None:
            inside = [at for at in gaps if last.at < at < step.at]
            if inside or step.at - last.at > GAP_AFTER_STEPS * usual_s:
                times.append(inside[0] if inside else last.at + max(1, int(usual_s)))
                for name in wanted:
                    series[name].append(None)
                    most[name].append(None)
        times.append(step.at)
        for name in wanted:
            value = step.counts[name] if name in step.counts else absent(step, name)
            series[name].append(value)
            most[name].append(None if value is None else max(value, step.most.get(name, 0)))
        last = step
    return Series(
        times,
        series,
        failed,
        step_s,
        {name: values for name, values in most.items() if values != series[name]},
    )


def names(by: By, steps: Sequence[Step]) -> list[str]:
    """What is counted, largest at the end of the time first."""
    if by == "changes":
        return ["opened", "closed"]
    if by != "state":
        return [by]
    newest = steps[-1].counts if steps else {}
    met = {name for step in steps for counts in (step.counts, step.most) for name in counts}
    return sorted(met, key=lambda name: (-newest.get(name, 0), name))


def _last_of_each(failed: list[tuple[int, str]], step_s: int) -> list[tuple[int, str]]:
    return list({at // step_s: (at, code) for at, code in failed}.values())


def _add(total: dict[str, int], counts: dict[str, int], times: int) -> None:
    # By hand, since a Counter takes three times as long, and charts of 500 hosts add up thousands.
    for name, count in counts.items():
        total[name] = total.get(name, 0) + times * count


def _raise_over(rise: dict[str, int], counts: dict[str, int], base: dict[str, int]) -> None:
    """Raise each ``rise`` to what ``counts`` has more than ``base``."""
    for name, count in counts.items():
        more = count - base.get(name, 0)
        if more > rise.get(name, 0):
            rise[name] = more


def _raise(most: dict[str, int], counts: dict[str, int]) -> None:
    for name, count in counts.items():
        if count > most.get(name, 0):
            most[name] = count
