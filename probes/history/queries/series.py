"""How the counts of a host went over time: read from snapshots alone, never from sockets.

Place in the data's way: charts and ``statistics/timeline``. A long time is thinned by the
database to one snapshot a step, the last whole one of each: numbers that were really seen, no
averages.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

from hosts.models import Host
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Outcome, Snapshot

By = Literal["state", "total", "listeners"]
BYS: Final[tuple[str, ...]] = get_args(By)

MOST_POINTS: Final = 720
"""Steps of one series; a smaller ``step_s`` is widened to keep to it."""

GAP_AFTER_STEPS: Final = 2.5
"""Two points further apart than so many usual distances have a gap between them."""

SNAPSHOTS: Final = Snapshot._meta.db_table


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time. Each list of ``series`` is as long as ``times``."""

    times: list[int]
    """Seconds since 1970, rising."""
    series: dict[str, list[int | None]]
    """By state, or under the one name ``total`` or ``listeners``; None in a gap."""
    failed: list[tuple[int, str]]
    """When a probe gave no whole snapshot and its code; at most one a step, the last."""
    step_s: int
    """Seconds a step is wide."""


class _Point(NamedTuple):
    at: int
    step: int
    counts: dict[str, int]


def timeline(
    host: Host,
    *,
    by: By,
    since: dt.datetime,
    until: dt.datetime,
    step_s: int | None = None,
) -> Series:
    """The series of ``host`` from ``since`` to before ``until``; empty where nothing was probed.

    There is a gap (a time at which every value is None) where probes failed for a whole step, or
    none came for GAP_AFTER_STEPS times the usual. Two queries.
    """
    span_s = max(1.0, (until - since).total_seconds())
    step_s = max(step_s or 1, math.ceil(span_s / MOST_POINTS))
    scope = sql.of_host(host, None)
    points = [
        _Point(_epoch(at), _epoch(at) // step_s, _counts(by, by_state, sockets, listeners))
        for at, by_state, sockets, listeners in sql.fetch(
            scope, _thinned(scope, since, until, step_s, whole=True)
        )
    ]
    failed = [
        (_epoch(at), code or outcome)
        for at, outcome, code in sql.fetch(
            scope, _thinned(scope, since, until, step_s, whole=False)
        )
    ]
    usual_s = max(step_s, host.effective_interval_s, _usual_distance_s(points))
    names = _names(by, points)
    times: list[int] = []
    series: dict[str, list[int | None]] = {name: [] for name in names}

    def add(at: int, value: Callable[[str], int | None]) -> None:
        times.append(at)
        for name in names:
            series[name].append(value(name))

    seen = {point.step for point in points}
    gaps = [at for at, _code in failed if at // step_s not in seen]
    last: _Point | None = None
    for point in points:
        if last is not None:
            inside = [at for at in gaps if last.at < at < point.at]
            if inside or point.at - last.at > GAP_AFTER_STEPS * usual_s:
                add(inside[0] if inside else last.at + max(1, int(usual_s)), lambda _name: None)
        add(point.at, lambda name, counts=point.counts: counts.get(name, 0))  # type: ignore[misc]
        last = point
    return Series(times, series, failed, step_s)


def _thinned(
    scope: Scope, since: dt.datetime, until: dt.datetime, step_s: int, *, whole: bool
) -> Statement:
    """The last snapshot of each step, of the whole ones or of the others."""
    (host_id,) = scope.host_ids
    kind = "outcome = %s" if whole else "outcome NOT IN (%s, %s)"
    outcomes = [Outcome.OK.value] if whole else [Outcome.OK.value, Outcome.LATE.value]
    columns = "s.by_state, s.sockets, s.listeners" if whole else "s.outcome, s.code"
    epoch = (
        "CAST(FLOOR(EXTRACT(EPOCH FROM taken_at)) AS bigint)"
        if scope.is_postgres
        else "CAST(strftime('%%s', taken_at) AS INTEGER)"
    )
    return Statement(
        f"SELECT s.taken_at, {columns} FROM {SNAPSHOTS} AS s"
        f" JOIN (SELECT MAX(taken_at) AS at FROM {SNAPSHOTS}"
        f" WHERE host_id = %s AND taken_at >= %s AND taken_at < %s AND {kind}"
        f" GROUP BY {epoch} / %s) AS last ON s.host_id = %s AND s.taken_at = last.at"
        " ORDER BY s.taken_at",
        (
            host_id,
            sql.time(scope, since),
            sql.time(scope, until),
            *outcomes,
            step_s,
            host_id,
        ),
    )


def _counts(by: By, by_state: Any, sockets: int, listeners: int) -> dict[str, int]:
    if by == "state":
        # SQLite keeps JSON as text; psycopg gives it decoded.
        counts: dict[str, int] = json.loads(by_state) if isinstance(by_state, str) else by_state
        return counts
    return {by: sockets if by == "total" else listeners}


def _names(by: By, points: list[_Point]) -> list[str]:
    """What is counted, largest at the end of the time first."""
    if by != "state":
        return [by]
    newest = points[-1].counts if points else {}
    return sorted(
        {name for point in points for name in point.counts},
        key=lambda name: (-newest.get(name, 0), name),
    )


def _usual_distance_s(points: list[_Point]) -> float:
    distances = [after.at - before.at for before, after in itertools.pairwise(points)]
    return statistics.median(distances) if distances else 0.0


def _epoch(value: Any) -> int:
    return math.floor(sql.utc(value).timestamp())
