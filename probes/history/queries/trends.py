"""How the largest remote addresses, ports, programs went over time.

Place in the data's way: ``statistics/trend`` and the charts beside each statistic. Read from what
each hour and day remembers (``tops``), never from sockets: of a list of which an hour kept only the
largest, what is not in it is not known to be nothing, and has no value there.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

from django.db.models import QuerySet

from hosts.models import Host
from probes.history.queries import samples, series, tops
from probes.history.queries.samples import Watched
from probes.history.queries.series import Series, Step

By = Literal["ip", "port", "program", "port_ip", "scope", "state"]
BYS: Final[tuple[str, ...]] = get_args(By)

LINES: Final = 5
"""Lines of a trend where not said otherwise."""
MOST_LINES: Final = 50
MOST_ROWS: Final = 3_000
"""Hours or days that one trend unpacks at most, over all its hosts: a day of 125 hosts by the
hour."""
HOST_ROWS: Final = 1_000
"""Those of one host: forty days by the hour."""
WIDEST_HOURS: Final = 6
"""Every so many hours at most before days are read instead."""


class _Seen(NamedTuple):
    """What one host had at the end of one stretch."""

    numbers: dict[str, int]
    complete: bool
    """Whether what is not in ``numbers`` was not there."""


def trend(
    hosts: Host | QuerySet[Host],
    *,
    by: By,
    since: dt.datetime,
    until: dt.datetime,
    state: str | None = None,
    port: int | None = None,
    key: str | None = None,
    step_s: int | None = None,
    limit: int = LINES,
) -> Series:
    """The ``limit`` largest over the whole span, or ``key`` alone, a line each, most first.

    ``state`` counts the sockets in one state only. With ``port`` it is of that local port:
    ``by="ip"`` are then the addresses connected to it. Keys are those of :class:`tops.Tops`; of
    ``state``, states. Each point is the last whole snapshot of an hour or day (of every so many of
    them, where there are many hosts: ``step_s`` says), added up over the hosts. A value is None
    where a host's list was full without the key, and no other host had it. Two queries; as
    ``timeline`` for ``by="state"``.
    """
    if by == "state":
        return _states(hosts, since, until, state=key or state, step_s=step_s, limit=limit)
    of = samples.watched(hosts)
    step_s = series.widened(step_s, since, until)
    if not of.intervals:
        return Series([], {}, [], step_s)
    minutes, every = _stretch(of, (until - since).total_seconds())
    width_s = minutes * 60 * every
    step_s = samples.whole_points(step_s, width_s)
    seen: dict[int, dict[int, tuple[int, _Seen]]] = {}
    for pk, begins_at, taken_at, _failures, _code, packed in samples.rolled_rows(
        of, ("tops_zstd",), minutes=minutes, every=every, since=since, until=until
    ):
        if packed is None or taken_at is None or not since <= taken_at < until:
            continue
        at = samples.epoch(taken_at)
        inside = seen.setdefault(samples.epoch(begins_at) // step_s, {})
        if pk not in inside or inside[pk][0] < at:
            inside[pk] = (at, _counted(bytes(packed), by, state=state, port=port))
    wanted = [key] if key is not None else _largest(seen, limit)
    steps = [_step(inside, wanted) for _step_no, inside in sorted(seen.items())]
    return series.shaped(
        steps,
        wanted if any(step.counts.get(name) for step in steps for name in wanted) else [],
        failed=[],
        step_s=step_s,
        usual_s=max(step_s, *of.intervals.values()),
        absent=lambda _step, _name: None,
    )


def _stretch(of: Watched, span_s: float) -> tuple[int, int]:
    """Which roll-ups: (width in minutes, every how many)."""
    share = max(len(of.intervals) / MOST_ROWS, 1 / HOST_ROWS)
    hours = math.ceil(span_s / 3600 * share)
    if hours <= WIDEST_HOURS:
        return 60, max(1, hours)
    return 1440, max(1, math.ceil(span_s / 86_400 * share))


def _counted(packed: bytes, by: By, *, state: str | None, port: int | None) -> _Seen:
    """The number of each key in one packed list."""
    assert by != "state"
    kind: tops.Kind = "port_ip" if port is not None and by == "ip" else by
    unpacked = tops.unpack(packed, kind)
    prefix = f"{port} "
    numbers: dict[str, int] = {}
    for name, by_state in unpacked.of(kind).items():
        if port is not None:
            if kind == "port_ip" and not name.startswith(prefix):
                continue
            if kind == "port" and name != str(port):
                continue
        number = sum(by_state.values()) if state is None else by_state.get(state, 0)
        numbers[name.removeprefix(prefix) if by == "ip" and port is not None else name] = number
    return _Seen(numbers, unpacked.is_complete(kind))


def _largest(seen: Mapping[int, Mapping[int, tuple[int, _Seen]]], limit: int) -> list[str]:
    sums: Counter[str] = Counter()
    for inside in seen.values():
        for _at, one in inside.values():
            sums.update(one.numbers)
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return [name for name, number in ordered[:limit] if number]


def _step(inside: Mapping[int, tuple[int, _Seen]], wanted: list[str]) -> Step:
    """All hosts at one step; a name that none of them knows of is left out."""
    counts: dict[str, int] = {}
    for name in wanted:
        known = [
            one.numbers.get(name, 0)
            for _at, one in inside.values()
            if one.complete or name in one.numbers
        ]
        if known:
            counts[name] = sum(known)
    return Step(max(at for at, _one in inside.values()), counts, {})


def _states(
    hosts: Host | QuerySet[Host],
    since: dt.datetime,
    until: dt.datetime,
    *,
    state: str | None,
    step_s: int | None,
    limit: int,
) -> Series:
    found = series.timeline(hosts, by="state", since=since, until=until, step_s=step_s)

    def size(name: str) -> tuple[int, str]:
        return -sum(value or 0 for value in found.series[name]), name

    largest = sorted(found.series, key=size)[:limit]
    kept = largest if state is None else [state] if state in found.series else []
    return Series(
        found.times,
        {name: found.series[name] for name in kept},
        found.failed,
        found.step_s,
        {name: values for name, values in found.most.items() if name in kept},
    )
