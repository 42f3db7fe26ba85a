"""Since when listeners are there, over every process that held them, and which of them went.

Place in the data's way: beside ``probes.history.queries.exposure``, which asks. Reads the closed
intervals of listeners through their own index (migration 0005), a bounded number of each.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from probes.analysis import exposure as rules
from probes.analysis.exposure import Span
from probes.filters import LATEST
from probes.history.queries import sql
from probes.history.queries.sql import CLOSED, Scope, Statement
from probes.models import Direction, Outcome, Snapshot

INTERVALS: Final = 200
"""Closed intervals of one host and port that are read, the newest: a service that was restarted
more often is called at least so old."""

_EARLIEST: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SNAPSHOTS: Final = Snapshot._meta.db_table
_Key = tuple[int, int, bytes, str | None, int | None]
_COLUMNS: Final = "host_id, protocol, local_ip, local_zone, local_port"


class Chain(NamedTuple):
    """When an unbroken chain began."""

    since: dt.datetime
    counted: bool
    """False where it reaches back to the last interval that was read."""


def chains(
    scope: Scope,
    present: Mapping[_Key, Sequence[Span]],
    *,
    back_to: Mapping[int, dt.datetime] | None = None,
) -> dict[_Key, Chain]:
    """When the chain of each listener began; given are the spans that are there. Two queries.

    A span that is over (``last_seen`` set) is that of a listener that went. With ``back_to``, the
    time of a whole snapshot of each host, no interval that was over before is read, and of a chain
    that began before it is said only that it did not begin later: what it began with, or went on
    from, was seen in that very snapshot.
    """
    if not present:
        return {}
    places: set[tuple[int, int | None]] = {
        (key[0], key[4]) for key in present if key[4] is not None
    }
    earlier, full = _earlier(scope, places, back_to or {})
    joined = {
        key: rules.runs([*spans, *_until(earlier.get(key, []), spans)])
        for key, spans in present.items()
    }
    asked = sorted({(key[0], *gap) for key, spans in joined.items() for gap in rules.gaps(spans)})
    real = _real(scope, asked)
    found = {}
    for key, spans in joined.items():
        since = rules.since(spans, {(begin, end) for host, begin, end in real if host == key[0]}
                            if len(spans) > 1 else set())  # fmt: skip
        at_the_end = since == spans[-1].first_seen
        found[key] = Chain(since, not (at_the_end and (key[0], key[4]) in full))
    return found


def first_whole(scope: Scope) -> dict[int, dt.datetime]:
    """The oldest whole snapshot kept of each host of the scope. One query."""
    return {pk: first for pk, (first, _before) in whole(scope, LATEST).items()}


def whole(scope: Scope, by: dt.datetime) -> dict[int, tuple[dt.datetime, dt.datetime | None]]:
    """The oldest whole snapshot kept of each host of the scope, and the newest at or before ``by``
    (None where there is none). One query."""
    of_host = f"(SELECT taken_at FROM {_SNAPSHOTS} WHERE host_id = h.id AND outcome = %s"
    listed = f"{of_host} ORDER BY taken_at LIMIT 1)"
    given: tuple[Any, ...] = (Outcome.OK.value,)
    if by != LATEST:
        listed += f", {of_host} AND taken_at <= %s ORDER BY taken_at DESC LIMIT 1)"
        given = (*given, Outcome.OK.value, sql.time(scope, by))
    else:
        listed += ", NULL"
    source = (
        Statement("unnest(%s::bigint[]) AS h(id)", (list(scope.host_ids),))
        if scope.is_postgres
        else Statement(
            "(SELECT value AS id FROM json_each(%s)) AS h", (json.dumps(scope.host_ids),)
        )
    )
    found = sql.fetch(
        scope,
        Statement(f"SELECT h.id, {listed} FROM {source.sql}", (*given, *source.params)),
    )
    return {
        pk: (sql.utc(first), None if before is None else sql.utc(before))
        for pk, first, before in found
        if first
    }


def closed_since(
    scope: Scope, since: dt.datetime, condition: Statement, *, limit: int
) -> list[tuple[Any, ...]]:
    """Closed listeners last seen at or after ``since``, and before the time of the scope, newest
    first: host, protocol, address, zone, port, pid, program, flags, first_seen, copies, last_seen.
    One query.
    """
    columns = f"{_COLUMNS}, pid, program, flags, first_seen, copies, last_seen"
    hosts = sql.in_hosts(scope)
    found = sql.fetch(
        scope,
        Statement(
            f"SELECT {columns} FROM {CLOSED} WHERE direction = {Direction.LISTEN.value}"
            f" AND last_seen >= %s AND {hosts.sql} AND {condition.sql}"
            " ORDER BY last_seen DESC, host_id, key LIMIT %s",
            (sql.time(scope, since), *hosts.params, *condition.params, limit),
        ),
    )
    if scope.moments is None:
        return found
    ends = dict(scope.moments)
    return [row for row in found if row[0] in ends and sql.utc(row[10]) < ends[row[0]]]


def _earlier(
    scope: Scope, places: set[tuple[int, int | None]], back_to: Mapping[int, dt.datetime]
) -> tuple[dict[_Key, list[Span]], set[tuple[int, int | None]]]:
    """Closed intervals of listeners on these (host, port), and the places that have more.

    Walks the index on (host, port, last_seen) back from the time of the scope, INTERVALS steps; not
    behind ``back_to`` of the host.
    """
    if not places:
        return {}, set()
    ends = dict(scope.moments or ())
    listed = [
        (host, port, ends.get(host, LATEST), back_to.get(host, _EARLIEST))
        for host, port in sorted(places, key=_ordered)
    ]
    # Said once more as a value, it lets PostgreSQL leave out whole days.
    oldest = sql.time(scope, min(back for *_place, back in listed))
    columns = f"{_COLUMNS}, first_seen, last_seen"
    # Without statistics SQLite would walk all of a host's sockets along their first_seen.
    first_seen = "first_seen" if scope.is_postgres else "+first_seen"
    walk = (
        f"FROM {CLOSED} WHERE host_id = m.at_host AND local_port = m.at_port"
        f" AND direction = {Direction.LISTEN.value} AND {first_seen} <= m.at_time"
        " AND last_seen >= m.at_back AND last_seen >= %s ORDER BY last_seen DESC LIMIT %s"
    )
    if scope.is_postgres:
        hosts, ports, times, backs = (list(column) for column in zip(*listed, strict=True))
        statement = Statement(
            "SELECT c.* FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::timestamptz[])"
            " AS m(at_host, at_port, at_time, at_back)"
            f" CROSS JOIN LATERAL (SELECT {columns} {walk}) AS c",
            (hosts, ports, times, backs, oldest, INTERVALS),
        )
    else:
        given = json.dumps(
            [
                (host, port, sql.time(scope, when), sql.time(scope, back))
                for host, port, when, back in listed
            ]
        )
        statement = Statement(
            f"SELECT {columns} FROM (SELECT json_extract(value, '$[0]') AS at_host,"
            " json_extract(value, '$[1]') AS at_port, json_extract(value, '$[2]') AS at_time,"
            f" json_extract(value, '$[3]') AS at_back FROM json_each(%s)) AS m"
            f" CROSS JOIN {CLOSED} AS c ON c.rowid IN (SELECT rowid {walk})",
            (given, oldest, INTERVALS),
        )
    found: dict[_Key, list[Span]] = defaultdict(list)
    number: dict[tuple[int, int | None], int] = defaultdict(int)
    for host, protocol, ip, zone, port, first_seen, last_seen in sql.fetch(scope, statement):
        found[host, protocol, bytes(ip), zone, port].append(
            Span(sql.utc(first_seen), sql.utc(last_seen))
        )
        number[host, port] += 1
    return found, {place for place, rows in number.items() if rows >= INTERVALS}


def _ordered(place: tuple[int, int | None]) -> tuple[int, int]:
    return place[0], place[1] or 0


def _until(earlier: Sequence[Span], present: Sequence[Span]) -> list[Span]:
    """What is not after the present spans: looking at the past, the future is not known."""
    newest = max(span.first_seen for span in present)
    return [span for span in earlier if span.first_seen <= newest]


def _real(
    scope: Scope, listed: Sequence[tuple[int, dt.datetime, dt.datetime]]
) -> set[tuple[int, dt.datetime, dt.datetime]]:
    """The (host, from, to) between which a whole snapshot lies. One query, none for no gap."""
    if not listed:
        return set()
    between = (
        f"EXISTS (SELECT 1 FROM {_SNAPSHOTS} WHERE host_id = m.at_host AND taken_at > m.gone"
        " AND taken_at < m.back AND outcome = %s)"
    )
    if scope.is_postgres:
        hosts, begins, ends = (list(column) for column in zip(*listed, strict=True))
        statement = Statement(
            "SELECT m.place - 1 FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[])"
            f" WITH ORDINALITY AS m(at_host, gone, back, place) WHERE {between}",
            (hosts, begins, ends, Outcome.OK.value),
        )
    else:
        given = json.dumps(
            [(host, sql.time(scope, begin), sql.time(scope, end)) for host, begin, end in listed]
        )
        statement = Statement(
            "SELECT m.place FROM (SELECT key AS place, json_extract(value, '$[0]') AS at_host,"
            " json_extract(value, '$[1]') AS gone, json_extract(value, '$[2]') AS back"
            f" FROM json_each(%s)) AS m WHERE {between}",
            (given, Outcome.OK.value),
        )
    return {listed[int(place)] for (place,) in sql.fetch(scope, statement)}
