"""How intervals are put together into connections, as SQL for either database.

Place in the data's way: below ``probes.history.queries.intervals``, which says what a connection
is. Knows the two interval tables and the snapshots; makes statements, and asks only how much work
there is.

Most connections are one interval, or a few that follow one another: a GROUP BY over the endpoints
tells that all are one where the last to begin began no later than any was followed. Only the rest,
ports that were used again, is walked in order by window functions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from probes import filters as asked
from probes.filters import SocketFilter
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, Outcome, Snapshot

MOST_INTERVALS: Final = 20_000
"""Intervals grouped for one answer: about a second on two busy cores. What the newest snapshot of
the time shows is read in any case."""
MOST_SNAPSHOTS: Final = 50_000
"""Snapshots looked at to know how many intervals there are: more than a month of one a minute."""

ENDS: Final = (
    "protocol", "local_ip", "local_port", "local_zone", "remote_ip", "remote_port", "remote_zone",
)  # fmt: skip
CONNECTION: Final = (
    "id", *ENDS, "direction", "flags", "first_seen", "last_seen", "ended", "lasted_ms", "is_open",
    "times", "total", "steps",
)  # fmt: skip
"""Columns of :func:`connections`."""
STEP: Final = (*ENDS, "state", "pid", "program", "copies", "first_seen", "last_seen")
"""Columns of :func:`steps`."""

_UNKNOWN: Final = {"local_port": "-1", "local_zone": "''", "remote_port": "-1", "remote_zone": "''"}
"""What stands for NULL while ends are compared."""
_AT_ENDS: Final = ("proto", "local_ip", "local_port", "remote_ip", "remote_port", "family", "hide")
"""Filters on the endpoints: all intervals of a connection pass, or none does."""
_SNAPSHOTS: Final = Snapshot._meta.db_table
_FAR: Final = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Reach:
    """Which intervals are read."""

    since: dt.datetime
    until: dt.datetime
    complete: bool
    by_address: bool = False
    """Through the index on remote addresses, which leads to few."""


def reach(scope: Scope, since: dt.datetime, until: dt.datetime, filters: SocketFilter) -> Reach:
    """As much of the time as holds no more intervals than are read in bounded time. One query."""
    if filters.remote_ip and _few_of(scope, since, filters.remote_ip):
        return Reach(since, until, complete=True, by_address=True)
    counted = Statement(
        "SELECT MIN(CASE WHEN intervals <= %s THEN taken_at END), MIN(taken_at), MAX(taken_at),"
        " COUNT(*) FROM (SELECT taken_at, sockets + COALESCE(SUM(opened) OVER (ORDER BY taken_at"
        " DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS intervals"
        f" FROM (SELECT taken_at, sockets, opened FROM {_SNAPSHOTS} WHERE host_id = %s"
        " AND outcome = %s AND taken_at BETWEEN %s AND %s ORDER BY taken_at DESC LIMIT %s) AS s"
        ") AS counted",
        (
            MOST_INTERVALS,
            *scope.host_ids,
            Outcome.OK.value,
            sql.time(scope, since),
            sql.time(scope, until),
            MOST_SNAPSHOTS,
        ),
    )
    ((allowed, first, last, snapshots),) = sql.fetch(scope, counted)
    if last is None or (allowed == first and snapshots < MOST_SNAPSHOTS):
        return Reach(since, until, complete=True)
    return Reach(sql.utc(allowed or last), until, complete=False)


def _few_of(scope: Scope, since: dt.datetime, remote_ip: str) -> bool:
    """Whether the index on remote addresses leads to few enough intervals, of any host."""
    wanted = sql.within("remote", asked.address_range(remote_ip))
    limited = Statement(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {sql.CLOSED} WHERE {wanted.sql}"
        " AND last_seen >= %s LIMIT %s) AS few",
        (*wanted.params, sql.time(scope, since), MOST_INTERVALS + 1),
    )
    ((number,),) = sql.fetch(scope, limited)
    return int(number) <= MOST_INTERVALS


def connections(
    scope: Scope,
    newest: Snapshot,
    reach: Reach,
    filters: SocketFilter,
    *,
    listeners: bool | None,
    with_steps: bool,
) -> Statement:
    """All connections as one SELECT of CONNECTION; ``steps`` is NULL, or with ``with_steps`` a
    JSON array of [state, pid, program, copies, first_seen, last_seen].

    Each interval is ``followed`` by those of its ends that begin no later than the whole snapshot
    after the one that showed it last; where none does, a connection ends.
    """
    either = _intervals(scope, newest, reach, filters, listeners)
    until = sql.time(scope, reach.until)
    time = "CAST(%s AS timestamp with time zone)" if scope.is_postgres else "%s"
    ends = ", ".join(ENDS)
    if scope.is_postgres:
        steps = (
            "json_agg(json_build_array(state, pid, program, copies, first_seen, last_seen)"
            " ORDER BY first_seen, key)"
        )
        lasted = "CAST(ROUND(EXTRACT(EPOCH FROM last_seen - first_seen) * 1000) AS bigint)"
    else:
        steps = "json_group_array(json_array(state, pid, program, copies, first_seen, last_seen))"
        lasted = "CAST(ROUND((julianday(last_seen) - julianday(first_seen)) * 86400000) AS INTEGER)"
    summed = (
        "MIN(key) AS id, MAX(direction) AS direction, MAX(flags) AS flags,"
        " MIN(first_seen) AS first_seen, MAX(last_seen) AS last_seen, MAX(is_open) AS is_open,"
        f" MAX(passes) AS passes, {steps if with_steps else 'NULL'} AS steps"
    )
    columns = "id, direction, flags, first_seen, last_seen, is_open, passes, steps"
    window = f"(PARTITION BY {ends} ORDER BY first_seen, key ROWS"
    same = " AND ".join(f"seen.{end} = broken.{end}" for end in ENDS)
    seen_ends = ", ".join(f"seen.{end}" for end in ENDS)
    known = {end: f"NULLIF({end}, {nothing}) AS {end}" for end, nothing in _UNKNOWN.items()}
    shown = ", ".join(known.get(end, end) for end in ENDS)
    return Statement(
        f"WITH seen AS MATERIALIZED ({either.sql}), grouped AS MATERIALIZED ("
        f"SELECT {ends}, {summed},"
        " CASE WHEN MAX(first_seen) <= MIN(followed) THEN 1 ELSE 0 END AS one"
        f" FROM seen GROUP BY {ends}), parts AS MATERIALIZED ("
        f"SELECT {ends}, {columns}, 1 AS times FROM grouped WHERE one = 1 AND passes = 1"
        f" UNION ALL SELECT {ends}, {summed}, part FROM ("
        f"SELECT begun.*, SUM(begins) OVER {window} UNBOUNDED PRECEDING) AS part FROM ("
        f"SELECT seen.*, CASE WHEN seen.first_seen <= MAX(followed) OVER (PARTITION BY {seen_ends}"
        " ORDER BY seen.first_seen, seen.key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        " THEN 0 ELSE 1 END AS begins FROM"
        f" (SELECT {ends} FROM grouped WHERE one = 0) AS broken JOIN seen ON {same}"
        f") AS begun) AS walked GROUP BY {ends}, part HAVING MAX(passes) = 1)"
        f" SELECT id, {shown}, direction, flags, first_seen, last_seen,"
        f" CASE WHEN is_open = 1 OR last_seen > {time} THEN {time} ELSE last_seen END AS ended,"
        f" {lasted} AS lasted_ms, is_open, times, (SELECT COUNT(*) FROM parts) AS total, steps"
        " FROM parts",
        (*either.params, until, until),
    )


def steps(
    scope: Scope, newest: Snapshot, reach: Reach, ends: Iterable[tuple[object, ...]]
) -> Statement:
    """The intervals of connections with these ENDS as a SELECT of STEP; others, of the same
    addresses and ports in other pairs, may be among them."""
    listed = list(ends)
    parts: list[Statement] = []
    for place, end in ((1, "local_ip"), (2, "local_port"), (4, "remote_ip"), (5, "remote_port")):
        values = {row[place] for row in listed}
        known = sql.among(end, [value for value in values if value is not None])
        one_of = f"({known.sql} OR {end} IS NULL)" if None in values else known.sql
        parts.append(Statement(one_of, known.params))
    condition = Statement(
        " AND ".join(part.sql for part in parts),
        tuple(value for part in parts for value in part.params),
    )
    either = _intervals(scope, newest, reach, SocketFilter(), None, condition)
    known_ends = {end: f"NULLIF({end}, {nothing}) AS {end}" for end, nothing in _UNKNOWN.items()}
    shown = ", ".join(known_ends.get(column, column) for column in STEP)
    return Statement(f"SELECT {shown} FROM ({either.sql}) AS seen", either.params)


def _intervals(
    scope: Scope,
    newest: Snapshot,
    reach: Reach,
    filters: SocketFilter,
    listeners: bool | None,
    condition: Statement = sql.ANY_ROW,
) -> Statement:
    """The intervals that reach into the time, each with when it was ``followed``."""
    (host_id,) = scope.host_ids
    # What never changes in a connection is asked of each interval, all else of one at least.
    others = SocketFilter.model_fields.keys() - set(_AT_ENDS)
    at_ends = sql.where(scope, _only(filters, _AT_ENDS))
    passing = sql.where(scope, _only(filters, others))
    wanted = Statement(f"{at_ends.sql} AND {condition.sql}", (*at_ends.params, *condition.params))
    if listeners is not None:
        both = f"{wanted.sql} AND direction {'=' if listeners else '<>'} %s"
        wanted = Statement(both, (*wanted.params, Direction.LISTEN.value))
    nothing = {end: f"COALESCE({end}, {value}) AS {end}" for end, value in _UNKNOWN.items()}
    stored = (
        f"key, {', '.join(nothing.get(end, end) for end in ENDS)},"
        " direction, flags, state, pid, program, copies, first_seen"
    )
    passes = f"CASE WHEN {passing.sql} THEN 1 ELSE 0 END AS passes"
    since, until = sql.time(scope, reach.since), sql.time(scope, reach.until)
    time = "CAST(%s AS timestamp with time zone)" if scope.is_postgres else "%s"
    # An expression has no index: the planner is led to that of the remote addresses.
    of_host = "host_id + 0 = %s" if reach.by_address else "host_id = %s"
    return Statement(
        f"SELECT {stored}, {time} AS last_seen, {time} AS followed, 1 AS is_open, {passes}"
        f" FROM {sql.OPEN} WHERE host_id = %s AND first_seen <= %s AND {wanted.sql}"
        f" UNION ALL SELECT {stored}, last_seen, COALESCE(after, last_seen), 0, {passes}"
        f" FROM (SELECT * FROM {sql.CLOSED} WHERE {of_host} AND first_seen <= %s"
        f" AND last_seen >= %s AND {wanted.sql}) AS gone LEFT JOIN"
        " (SELECT taken_at, LEAD(taken_at) OVER (ORDER BY taken_at) AS after"
        f" FROM {_SNAPSHOTS} WHERE host_id = %s AND outcome = %s AND taken_at >= %s) AS whole"
        " ON taken_at = last_seen",
        (
            *(sql.time(scope, newest.taken_at), sql.time(scope, _FAR), *passing.params),
            *(host_id, until, *wanted.params),
            *(*passing.params, host_id, until, since, *wanted.params),
            *(host_id, Outcome.OK.value, since),
        ),
    )


def _only(filters: SocketFilter, names: Iterable[str]) -> SocketFilter:
    """Those of the filters that have these names."""
    kept = filters.model_fields_set & set(names)
    return SocketFilter.model_construct(
        _fields_set=kept, **{name: getattr(filters, name) for name in kept}
    )
