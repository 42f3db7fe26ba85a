"""What a chart is drawn from: counts of hosts at times, from snapshots or from their sums.

Place in the data's way: below ``series`` and ``trends``, which shape what comes. Decides what is
read, so that a chart of a year costs what one of an hour does: snapshots themselves while they are
few, else the narrowest roll-ups that are few, and for the time that is not rolled up yet the newest
snapshots. Never reads a socket.

Every statement walks the index (host, time) of one host after the other (LATERAL; in SQLite a
CROSS JOIN, which is not reordered), whatever the planner knows of the table: a new PostgreSQL has
no statistics, and then reads a joined table whole.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from hosts.models import Host
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Outcome, RollUp, Schedule, Snapshot
from probes.models.rollups import WIDTHS

By = Literal["state", "total", "listeners", "changes"]

PLAIN_ROWS: Final = 3_000
"""Up to so many snapshots a chart is made of them themselves."""
ROLLED_ROWS: Final = 20_000
"""Roll-ups that one chart reads at most, over all its hosts."""
HOST_ROWS: Final = 2_200
"""Those of one host: thirty days of hours, ninety are still so many."""
TAIL_ROWS: Final = 50_000
"""Snapshots after the last roll-up that the database thins at most. Where a backlog is longer (the
first hours after an update), its older part is not drawn until it is rolled up."""

SNAPSHOTS: Final = Snapshot._meta.db_table
ROLLUPS: Final = RollUp._meta.db_table

_SNAPSHOT_COLUMNS: Final[dict[By, tuple[str, ...]]] = {
    "state": ("by_state",),
    "total": ("sockets",),
    "listeners": ("listeners",),
    "changes": ("opened", "closed"),
}
_ROLLUP_COLUMNS: Final[dict[By, tuple[str, ...]]] = {
    "state": ("by_state", "most_by_state"),
    "total": ("sockets", "most_sockets"),
    "listeners": ("listeners",),
    "changes": ("opened", "closed"),
}


class Point(NamedTuple):
    """What a host counted at a time; in between, since the point before, it was ``most``."""

    at: int
    """Seconds since 1970."""
    host_id: int
    counts: dict[str, int]
    most: dict[str, int]
    """Empty where it is not known, or ``counts`` are sums."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The hosts of a chart."""

    using: str
    intervals: dict[int, int]
    """Seconds between probes, by host."""

    @property
    def ids(self) -> tuple[int, ...]:
        """Their ids."""
        return tuple(self.intervals)

    @property
    def per_second(self) -> float:
        """Probes of all of them."""
        return sum(1 / interval_s for interval_s in self.intervals.values())


@dataclass(frozen=True, slots=True)
class Samples:
    """Points in the order of time, and what failed."""

    points: list[Point]
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Time and code of probes without a whole snapshot; out of a roll-up, when that begins and the
    last of them. Of one host only."""
    width_s: int = 1
    """How long a stretch a point stands for; 1 for a snapshot."""


def watched(hosts: Host | QuerySet[Host]) -> Watched:
    """The hosts asked about with their intervals. One query, none for one host."""
    if isinstance(hosts, Host):
        return Watched(hosts._state.db or "default", {hosts.pk: hosts.effective_interval_s})
    listed = hosts.order_by().values_list("pk", "interval_s")
    usual_s = settings.PROBE_INTERVAL_S
    return Watched(hosts.db, {pk: interval_s or usual_s for pk, interval_s in listed})


def read(of: Watched, *, by: By, since: dt.datetime, until: dt.datetime, step_s: int) -> Samples:
    """What the hosts counted from ``since`` to before ``until``, fine enough for ``step_s``.

    One query where there are few snapshots, else up to four; two more where so many probes came
    that the intervals did not tell.
    """
    if not of.intervals:
        return Samples([])
    span_s = (until - since).total_seconds()
    if of.per_second * span_s <= PLAIN_ROWS:
        moments = [(pk, since) for pk in of.ids]
        rows = _snapshots(of, moments, until, by, most_rows=2 * PLAIN_ROWS)
        if rows is not None:
            return _plain(of, rows, by)
    return _rolled(of, by, since, until, step_s)


def whole_points(step_s: int, point_s: int) -> int:
    """``step_s`` as a multiple of ``point_s``, rounded up, but not for a few seconds: a span of
    thirty days and a moment is still drawn by the hour."""
    return max(1, math.ceil(step_s / point_s - 0.02)) * point_s


def stretch(of: Watched, span_s: float, *, most_rows: int, host_rows: int) -> tuple[int, int]:
    """Which roll-ups to read for a span: (width in minutes, every how many of them)."""
    rows = 0.0
    for minutes in WIDTHS:
        each = span_s / (minutes * 60)
        rows = each * len(of.intervals)
        if each <= host_rows and rows <= most_rows:
            return minutes, 1
    return WIDTHS[-1], max(1, math.ceil(rows / most_rows))


def rolled_rows(
    of: Watched,
    columns: Sequence[str],
    *,
    minutes: int,
    every: int,
    since: dt.datetime,
    until: dt.datetime,
) -> Iterator[tuple[Any, ...]]:
    """(host, begins_at, taken_at or None, failures, code, *columns) of the roll-ups of that width
    that begin from the stretch of ``since`` on and before ``until``. Times are aware."""
    scope = Scope(of.using, of.ids, moments=tuple((pk, since) for pk in of.ids))
    width_s = minutes * 60
    begin_s = int(since.timestamp() // (width_s * every) * width_s * every)
    begin = dt.datetime.fromtimestamp(begin_s, tz=dt.UTC)
    chosen = Statement("begins_at >= %s", (sql.time(scope, begin),))
    if every > 1:
        times = [
            sql.time(scope, dt.datetime.fromtimestamp(at, tz=dt.UTC))
            for at in range(begin_s, int(until.timestamp()), width_s * every)
        ]
        chosen = (
            Statement("begins_at = ANY(%s::timestamptz[])", (times,))
            if scope.is_postgres
            else Statement(
                "begins_at IN (SELECT value FROM json_each(%s))", (json.dumps(times, default=str),)
            )
        )
    times_of = (f"{sql.quick_time(scope, name)} AS {name}" for name in ("begins_at", "taken_at"))
    names = ("host_id", *times_of, "failures", "code", *columns)
    statement = _each_host(
        scope,
        ROLLUPS,
        names,
        Statement(
            f"minutes = %s AND {chosen.sql} AND begins_at < %s",
            (minutes, *chosen.params, sql.time(scope, until)),
        ),
    )
    for host_id, begins_at, taken_at, *others in sql.stream(scope, statement):
        yield host_id, sql.utc(begins_at), None if taken_at is None else sql.utc(taken_at), *others


def _each_host(scope: Scope, table: str, columns: Iterable[str], condition: Statement) -> Statement:
    """``SELECT columns`` of the rows of each moment's host that meet ``condition``."""
    source = sql.moments_table(scope)
    listed = ", ".join(columns)
    where = f"host_id = at_host AND {condition.sql}"
    # OFFSET 0 keeps PostgreSQL from making a join of it that it may plan as it likes.
    rows = (
        f"SELECT r.* FROM {source.sql} AS m CROSS JOIN LATERAL"
        f" (SELECT {listed} FROM {table} WHERE {where} OFFSET 0) AS r"
        if scope.is_postgres
        else f"SELECT {listed} FROM {source.sql} AS m CROSS JOIN {table} WHERE {where}"
    )
    return Statement(rows, (*source.params, *condition.params))


# --- snapshots ------------------------------------------------------------------------------------


def _snapshots(
    of: Watched,
    moments: Sequence[tuple[int, dt.datetime]],
    until: dt.datetime,
    by: By,
    *,
    most_rows: int,
) -> list[tuple[Any, ...]] | None:
    """(host, taken_at, outcome, code, *columns) of every snapshot of each host from its moment on;
    None where they are more than ``most_rows``."""
    if not moments:
        return []
    scope = Scope(of.using, of.ids, moments=tuple(moments))
    names = ("host_id", "taken_at", "outcome", "code", *_SNAPSHOT_COLUMNS[by])
    inner = _each_host(
        scope,
        SNAPSHOTS,
        names,
        Statement(
            "taken_at >= at_time AND taken_at < %s AND outcome <> %s",
            (sql.time(scope, until), Outcome.LATE.value),
        ),
    )
    limited = Statement(f"{inner.sql} LIMIT %s", (*inner.params, most_rows + 1))
    rows = sql.fetch(scope, limited)
    return None if len(rows) > most_rows else rows


def _plain(of: Watched, rows: Iterable[tuple[Any, ...]], by: By) -> Samples:
    points: list[Point] = []
    failed: list[tuple[int, str]] = []
    for host_id, taken_at, outcome, code, *values in rows:
        at = epoch(taken_at)
        if outcome == Outcome.OK:
            points.append(Point(at, host_id, _counts(by, values), {}))
        elif len(of.intervals) == 1:
            failed.append((at, code or outcome))
    points.sort(key=_when)
    return Samples(points, sorted(failed))


def _thinned(
    of: Watched,
    moments: Sequence[tuple[int, dt.datetime]],
    until: dt.datetime,
    by: By,
    step_s: int,
) -> Samples:
    """The last whole snapshot of each step of each host, and the last that was not."""
    scope = Scope(of.using, of.ids, moments=tuple(moments))
    inner = _each_host(
        scope,
        SNAPSHOTS,
        ("host_id", "taken_at", "outcome", "opened", "closed"),
        Statement("taken_at >= at_time AND taken_at < %s", (sql.time(scope, until),)),
    )
    seconds = (
        "CAST(FLOOR(EXTRACT(EPOCH FROM taken_at)) AS bigint)"
        if scope.is_postgres
        else "CAST(strftime('%%s', taken_at) AS INTEGER)"
    )
    steps = sql.fetch(
        scope,
        Statement(
            "SELECT host_id, MAX(CASE WHEN outcome = %s THEN taken_at END),"
            " MAX(CASE WHEN outcome NOT IN (%s, %s) THEN taken_at END), SUM(opened), SUM(closed)"
            f" FROM ({inner.sql}) AS s GROUP BY host_id, {seconds} / %s",
            (
                Outcome.OK.value,
                *(Outcome.OK.value, Outcome.LATE.value),
                *inner.params,
                step_s,
            ),
        ),
    )
    if by == "changes":
        points = [
            Point(epoch(whole), pk, {"opened": int(opened), "closed": int(closed)}, {})
            for pk, whole, _failed, opened, closed in steps
            if whole is not None
        ]
    else:
        points = []
    exact = [
        (pk, sql.utc(at))
        for pk, whole, bad, _opened, _closed in steps
        for at in (
            whole if by != "changes" else None,
            bad if len(of.intervals) == 1 else None,
        )
        if at is not None
    ]
    if not exact:
        return Samples(sorted(points, key=_when))
    pinned = Scope(of.using, of.ids, moments=tuple(exact))
    names = ("host_id", "taken_at", "outcome", "code", *_SNAPSHOT_COLUMNS[by])
    found = _plain(
        of,
        sql.fetch(
            pinned,
            _each_host(pinned, SNAPSHOTS, names, Statement("taken_at = at_time")),
        ),
        by,
    )
    return Samples(sorted([*points, *found.points], key=_when), found.failed)


# --- roll-ups -------------------------------------------------------------------------------------


def _rolled(of: Watched, by: By, since: dt.datetime, until: dt.datetime, step_s: int) -> Samples:
    """Roll-ups, and snapshots for the time after them."""
    span_s = (until - since).total_seconds()
    minutes, every = stretch(of, span_s, most_rows=ROLLED_ROWS, host_rows=HOST_ROWS)
    width = dt.timedelta(minutes=minutes)
    point_s = minutes * 60 * every
    step_s = whole_points(step_s, point_s)
    schedules = Schedule.objects.using(of.using).filter(pk__in=of.ids)
    rolled = dict(schedules.values_list("pk", "rolled_until"))
    kept: list[tuple[int, int]] = []
    counted: list[Sequence[Any]] = []
    failed: list[tuple[int, str]] = []
    alone = len(of.intervals) == 1
    for pk, begins_at, taken_at, failures, code, *values in rolled_rows(
        of, _ROLLUP_COLUMNS[by], minutes=minutes, every=every, since=since, until=until
    ):
        if begins_at + width > until and _later(rolled.get(pk), until):
            continue  # it tells of times after ``until``
        if failures and alone and begins_at >= since:
            failed.append((epoch(begins_at), code))
        if taken_at is not None and since <= taken_at < until:
            kept.append((epoch(taken_at), pk))
            counted.append(values)
    points = [
        Point(at, pk, counts, most)
        for (at, pk), (counts, most) in zip(kept, _rolled_counts(by, counted), strict=True)
    ]
    tail = _tail(of, rolled, since, until, width, by, step_s=step_s)
    failed += tail.failed
    return Samples(sorted([*points, *tail.points], key=_when), sorted(failed), point_s)


def _tail(
    of: Watched,
    rolled: Mapping[int, dt.datetime | None],
    since: dt.datetime,
    until: dt.datetime,
    width: dt.timedelta,
    by: By,
    *,
    step_s: int,
) -> Samples:
    """Snapshots since the last roll-up that ends before ``until``."""
    oldest = max(since, until - dt.timedelta(seconds=TAIL_ROWS / of.per_second))
    passed = dt.datetime.fromtimestamp(
        until.timestamp() // width.total_seconds() * width.total_seconds(), tz=dt.UTC
    )
    moments = []
    for pk in of.ids:
        end = rolled.get(pk)
        if end is not None and end > until:
            end = passed
        moments.append((pk, oldest if end is None else max(oldest, end)))
    moments = [(pk, at) for pk, at in moments if at < until]
    rows = _snapshots(of, moments, until, by, most_rows=PLAIN_ROWS)
    if rows is not None:
        return _plain(of, rows, by)
    return _thinned(of, moments, until, by, step_s)


def _later(when: dt.datetime | None, than: dt.datetime) -> bool:
    return when is not None and when > than


# --- values ---------------------------------------------------------------------------------------


def _counts(by: By, values: Sequence[Any]) -> dict[str, int]:
    if by == "state":
        return decoded(values[0])
    if by == "changes":
        return {"opened": values[0], "closed": values[1]}
    return {by: values[0]}


def _rolled_counts(
    by: By, rows: Sequence[Sequence[Any]]
) -> Iterable[tuple[dict[str, int], dict[str, int]]]:
    if by == "state" and rows:
        counts, most = zip(*rows, strict=True)
        return zip(_all_decoded(counts), _all_decoded(most), strict=True)
    return [(_counts(by, values), {by: values[1]} if by == "total" else {}) for values in rows]


def decoded(value: Any) -> dict[str, int]:
    """JSON as a database gives it: SQLite keeps it as text, psycopg gives it decoded."""
    counts: dict[str, int] = json.loads(value) if isinstance(value, str) else value
    return counts


def _all_decoded(values: Sequence[Any]) -> list[dict[str, int]]:
    """The same of many at once, in half the time."""
    if not all(isinstance(value, str) for value in values):
        return [decoded(value) for value in values]
    found: list[dict[str, int]] = json.loads(f"[{','.join(values)}]")
    return found


def epoch(value: Any) -> int:
    """Seconds since 1970 of a time as raw SQL returned it."""
    return math.floor(sql.utc(value).timestamp())


def _when(point: Point) -> tuple[int, int]:
    return point.at, point.host_id
