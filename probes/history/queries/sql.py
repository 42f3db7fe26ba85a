"""The sockets of a host at a snapshot, or of many hosts now, as one SELECT on either database.

Place in the data's way: the base of every query over sockets. Knows the two interval tables and
the filters; the rest of the package builds orders, pages and sums around :func:`sockets`.

Raw SQL, because two tables are read as one under filters, orders and sums, which Django's
``union()`` cannot do. What differs between SQLite and PostgreSQL is in this module alone: times
are adapted by Django's own database operations, addresses are bytes on both.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from hosts.models import Host
from probes import filters as asked
from probes.filters import IPV4, AddressRange, SocketFilter
from probes.history import packing
from probes.models import ClosedSocket, Direction, OpenSocket, Schedule, Snapshot

OPEN = OpenSocket._meta.db_table
CLOSED = ClosedSocket._meta.db_table
SCHEDULE = Schedule._meta.db_table

SERVICE_PORT: Final = "(CASE WHEN direction = 2 THEN remote_port ELSE local_port END)"
"""The port that was listened on, whichever end has it: the remote one of what a host opened itself
(Direction.OUT), else the local one. Indexed in these very words by migration 0005."""

_MANY_HOSTS: Final = 100
"""Of more than so many hosts SQLite does not look up what is open host by host."""
LONG: Final = {
    "postgresql": "last_seen - first_seen > interval '5 hours'",
    "sqlite": "julianday(last_seen) - julianday(first_seen) > 0.2",
}
"""Closed sockets that were there for long, which are few; indexed in these very words by migration
0005."""
_LONG_H: Final = 6
"""Hours; whatever was there for so many is surely among the long ones. To find what was there at a
time, what began in so many hours before it is looked through, and of the rest only the long."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FETCH = 2000
"""Rows taken from the database at a time while a result is streamed."""

_LOOPBACK = (asked.address_range("127.0.0.0/8"), asked.address_range("::1"))


class Statement(NamedTuple):
    """A piece of SQL with the parameters of its ``%s``, in order."""

    sql: str
    params: tuple[Any, ...] = ()


ANY_ROW: Final = Statement("1 = 1")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose sockets, and when."""

    using: str
    """Alias of the database."""
    host_ids: tuple[int, ...]
    snapshot: Snapshot | None = None
    """A whole snapshot of the only host: its sockets at that time. None: what is open now, as the
    newest whole snapshot of each host left it, but for ``moments``."""
    moments: tuple[tuple[int, dt.datetime], ...] | None = None
    """Of many hosts in the past: (id, time of a whole snapshot of that host), from
    ``probes.history.queries.moments``. Each host's sockets are those at its own time; a host that
    is not among them has none."""

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The database connection of this thread."""
        return connections[self.using]

    @property
    def is_postgres(self) -> bool:
        """Whether the database is PostgreSQL; otherwise it is SQLite."""
        return self.connection.vendor == "postgresql"

    @property
    def is_now(self) -> bool:
        """Whether it is of what is open now."""
        return self.snapshot is None and self.moments is None


def of_host(host: Host, snapshot: Snapshot | None) -> Scope:
    """Sockets of one host at a snapshot of its, or now."""
    return Scope(host._state.db or "default", (host.pk,), snapshot)


def sockets(
    scope: Scope,
    columns: Sequence[str],
    filters: SocketFilter,
    *,
    condition: Statement = ANY_ROW,
) -> Statement:
    """``SELECT columns`` of the filtered sockets that also meet ``condition`` on stored columns.

    ``columns`` are names of Interval's columns, ``recv_queue``, ``send_queue`` and ``last_seen``,
    which is NULL for what is still there.

    At a snapshot S the set is: open rows first seen by then, and closed rows whose interval
    covers S. Queues are known for the newest snapshot only. Whether S is the newest is asked by
    the same statement, so that a probe stored meanwhile cannot tear the two tables apart; where
    it is, the closed table is not read at all.
    """
    wanted = _all((where(scope, filters), condition))
    if scope.moments is not None:
        return _sockets_then(scope, columns, wanted)
    if scope.snapshot is None:
        hosts = in_hosts(scope)
        if len(scope.host_ids) > _MANY_HOSTS and not scope.is_postgres:
            # The plus sign keeps it from the key: without statistics it would go through the whole
            # table host by host, past whatever index serves better.
            hosts = Statement(f"+{hosts.sql}", hosts.params)
        listed = ", ".join("NULL AS last_seen" if c == "last_seen" else c for c in columns)
        return Statement(
            f"SELECT {listed} FROM {OPEN} WHERE {hosts.sql} AND {wanted.sql}",
            (*hosts.params, *wanted.params),
        )
    (host_id,) = scope.host_ids
    taken_at = time(scope, scope.snapshot.taken_at)
    begin = time(scope, _long_before(scope.snapshot.taken_at))
    newest = f"COALESCE((SELECT latest_whole_id FROM {SCHEDULE} WHERE host_id = %s), 0)"
    now: list[str] = []
    then: list[str] = []
    asks: list[Any] = []
    for column in columns:
        if column in ("recv_queue", "send_queue"):
            now.append(f"CASE WHEN {newest} = %s THEN {column} END AS {column}")
            then.append(f"CAST(NULL AS bigint) AS {column}")
            asks += [host_id, scope.snapshot.pk]
        elif column == "last_seen":
            now.append("CAST(NULL AS timestamp with time zone) AS last_seen")
            then.append("last_seen")
        else:
            now.append(column)
            then.append(column)
    # The newest snapshot's id is joined, not compared in place: as a row of the outer loop SQLite
    # looks at it once, and not once for each closed socket of the host.
    gone = [
        Statement(
            f"SELECT {', '.join(then)} FROM (SELECT {newest} AS id) AS newest CROSS JOIN {CLOSED}"
            f" WHERE newest.id <> %s AND host_id = %s AND {there.sql} AND {wanted.sql}",
            (host_id, scope.snapshot.pk, host_id, *there.params, *wanted.params),
        )
        for there in _there(scope, Statement("%s", (taken_at,)), Statement("%s", (begin,)))
    ]
    return _all_of(
        Statement(
            f"SELECT {', '.join(now)} FROM {OPEN}"
            f" WHERE host_id = %s AND first_seen <= %s AND {wanted.sql}",
            (*asks, host_id, taken_at, *wanted.params),
        ),
        *gone,
    )


def _sockets_then(scope: Scope, columns: Sequence[str], wanted: Statement) -> Statement:
    """The sockets of many hosts, each at its own past snapshot. Queues are not known."""
    if not scope.moments:
        # Of the table, so that its columns have their types.
        nothing = ", ".join("NULL AS last_seen" if c == "last_seen" else c for c in columns)
        return Statement(f"SELECT {nothing} FROM {OPEN} WHERE 1 = 0")
    source, given = moments_table(scope)
    unknown = {
        "recv_queue": "CAST(NULL AS bigint) AS recv_queue",
        "send_queue": "CAST(NULL AS bigint) AS send_queue",
    }
    here = {**unknown, "last_seen": "CAST(NULL AS timestamp with time zone) AS last_seen"}
    now = ", ".join(here.get(column, column) for column in columns)
    then = ", ".join(unknown.get(column, column) for column in columns)
    gone = [
        Statement(
            f"SELECT {then} FROM {source} AS m CROSS JOIN {CLOSED}"
            f" WHERE host_id = at_host AND {there.sql} AND {wanted.sql}",
            (*given, *there.params, *wanted.params),
        )
        for there in _there(scope, Statement("at_time"), Statement("at_begin"))
    ]
    newest = time(scope, max(when for _pk, when in scope.moments))
    return _all_of(
        Statement(
            f"SELECT {now} FROM {source} AS m CROSS JOIN {OPEN} WHERE host_id = at_host"
            f" AND first_seen <= %s AND first_seen <= at_time AND {wanted.sql}",
            (*given, newest, *wanted.params),
        ),
        *gone,
    )


def _there(scope: Scope, at: Statement, begin: Statement) -> list[Statement]:
    """Which closed sockets of a host were there at a time, as conditions of which each finds its
    own part; ``begin`` is :data:`_LONG_H` before ``at``.

    Alone, neither end of an interval narrows much: half of all began before a time in the middle,
    and half ended after it.
    """
    recent = Statement(
        f"first_seen <= {at.sql} AND first_seen >= {begin.sql} AND last_seen >= {at.sql}",
        (*at.params, *begin.params, *at.params),
    )
    # The plus sign keeps SQLite from walking all that began before.
    first_seen, words = (
        ("first_seen", LONG["postgresql"]) if scope.is_postgres else ("+first_seen", LONG["sqlite"])
    )
    long = Statement(
        f"{first_seen} < {begin.sql} AND last_seen >= {at.sql} AND {words}",
        (*begin.params, *at.params),
    )
    if not scope.moments:
        return [recent, long]
    # The ends of all times, said once more as values: they let PostgreSQL leave out whole days and
    # go down the index on first_seen, and spare SQLite most comparisons with each host's own time.
    oldest, newest = (one(when for _pk, when in scope.moments) for one in (min, max))
    since, until = time(scope, oldest), time(scope, newest)
    return [
        Statement(
            f"last_seen >= %s AND {first_seen} <= %s AND {first_seen} >= %s AND {recent.sql}",
            (since, until, time(scope, _long_before(oldest)), *recent.params),
        ),
        Statement(f"last_seen >= %s AND {long.sql}", (since, *long.params)),
    ]


def _long_before(when: dt.datetime) -> dt.datetime:
    return when - dt.timedelta(hours=_LONG_H)


def _all_of(*statements: Statement) -> Statement:
    return Statement(
        " UNION ALL ".join(each.sql for each in statements),
        tuple(value for each in statements for value in each.params),
    )


def moments_table(scope: Scope) -> Statement:
    """The moments of ``scope``, of which there are some, as a table of at_host, at_time and
    at_begin, which is :data:`_LONG_H` before."""
    assert scope.moments
    if scope.is_postgres:
        ids, times = zip(*scope.moments, strict=True)
        return Statement(
            f"(SELECT at_host, at_time, at_time - interval '{_LONG_H} hours' AS at_begin"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS m(at_host, at_time))",
            (list(ids), list(times)),
        )
    rows = [(pk, time(scope, when), time(scope, _long_before(when))) for pk, when in scope.moments]
    return Statement(
        "(SELECT json_extract(value, '$[0]') AS at_host, json_extract(value, '$[1]') AS at_time,"
        " json_extract(value, '$[2]') AS at_begin FROM json_each(%s))",
        (json.dumps(rows),),
    )


def where(scope: Scope, filters: SocketFilter) -> Statement:
    """The filters as a condition on the columns of either table."""
    parts: list[Statement] = []
    if filters.proto and filters.proto != "all":
        names = asked.PROTOCOLS[filters.proto]
        parts.append(among("protocol", [packing.PROTOCOL_NUMBERS[name] for name in names]))
    if filters.state:
        names = asked.state_names(filters.state)
        parts.append(among("state", [packing.STATE_NUMBERS[name] for name in names]))
    for column, ports in (("local_port", filters.local_port), ("remote_port", filters.remote_port)):
        if ports:
            ranges = asked.port_ranges(ports)
            parts.append(_any([Statement(f"{column} BETWEEN %s AND %s", pair) for pair in ranges]))
    for end, address in (("local", filters.local_ip), ("remote", filters.remote_ip)):
        if address:
            parts.append(within(end, asked.address_range(address)))
    if filters.program:
        like = "ILIKE" if scope.is_postgres else "LIKE"
        parts.append(Statement(f"program {like} %s ESCAPE '\\'", (_containing(filters.program),)))
    if filters.pid == asked.NO_PID:
        parts.append(Statement("pid IS NULL"))
    elif filters.pid:
        parts.append(Statement("pid = %s", (int(filters.pid),)))
    if filters.direction:
        parts.append(Statement("direction = %s", (Direction[filters.direction.upper()].value,)))
    if filters.family:
        parts.append(_not(within("local", IPV4), filters.family == "6"))
    hidden = (filters.hide or "").split(",")
    if "listen" in hidden:
        parts.append(Statement("direction <> %s", (Direction.LISTEN.value,)))
    if "loopback" in hidden:
        ends = [within(end, network) for end in ("local", "remote") for network in _LOOPBACK]
        parts.append(_not(_any(ends), True))
    return _all(parts)


def in_hosts(scope: Scope) -> Statement:
    """Rows of the scope's hosts; any number of them is one parameter."""
    if len(scope.host_ids) == 1:
        return Statement("host_id = %s", scope.host_ids)
    if scope.is_postgres:
        # Of the column's own type: else each row is compared with one host after the other.
        return Statement("host_id = ANY(%s::bigint[])", (list(scope.host_ids),))
    ids = json.dumps(scope.host_ids)
    return Statement("host_id IN (SELECT value FROM json_each(%s))", (ids,))


def within(end: str, addresses: AddressRange) -> Statement:
    """Rows whose ``local`` or ``remote`` address lies in a range."""
    column = f"{end}_ip"
    parts = [Statement(f"{column} BETWEEN %s AND %s", (addresses.low, addresses.high))]
    if addresses.without_ipv4:
        parts.append(_not(within(end, IPV4), True))
    if addresses.zone is not None:
        parts.append(Statement(f"{end}_zone = %s", (addresses.zone,)))
    return _all(parts)


def among(column: str, values: Iterable[Any]) -> Statement:
    """``column IN (values)``; nothing at all for no values."""
    listed = tuple(values)
    if not listed:
        return Statement("1 = 0")
    return Statement(f"{column} IN ({', '.join(['%s'] * len(listed))})", listed)


def among_ports(scope: Scope, column: str, values: Iterable[int]) -> Statement:
    """The same for any number of ports, which are one parameter."""
    listed = list(values)
    if scope.is_postgres:
        return Statement(f"{column} = ANY(%s::integer[])", (listed,))
    return Statement(f"{column} IN (SELECT value FROM json_each(%s))", (json.dumps(listed),))


def _all(parts: Sequence[Statement]) -> Statement:
    return _joined(parts, " AND ") if parts else ANY_ROW


def _any(parts: Sequence[Statement]) -> Statement:
    return _joined(parts, " OR ")


def _joined(parts: Sequence[Statement], word: str) -> Statement:
    sql = word.join(part.sql for part in parts)
    return Statement(f"({sql})", tuple(value for part in parts for value in part.params))


def _not(part: Statement, negated: bool) -> Statement:
    return Statement(f"NOT {part.sql}", part.params) if negated else part


def _containing(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


# --- asking ---------------------------------------------------------------------------------------


def fetch(scope: Scope, statement: Statement) -> list[tuple[Any, ...]]:
    """All rows of a small result."""
    with scope.connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.params)
        return list(cursor.fetchall())


def stream(scope: Scope, statement: Statement) -> Iterator[tuple[Any, ...]]:
    """The rows of a large result, some thousand in memory at a time."""
    scope.connection.ensure_connection()
    unsafe = scope.connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    opened = scope.connection.cursor() if unsafe else scope.connection.chunked_cursor()
    with closing(opened) as cursor:
        cursor.execute(statement.sql, statement.params)
        while rows := cursor.fetchmany(_FETCH):
            yield from rows


def time(scope: Scope, when: dt.datetime) -> Any:
    """A time as a parameter of raw SQL, in the form the database stores."""
    return scope.connection.ops.adapt_datetimefield_value(when)


def quick_time(scope: Scope, expression: str) -> str:
    """A time in a result of many thousand rows, to be given to :func:`utc`: psycopg takes far
    longer to read a time than a number."""
    if scope.is_postgres:
        return f"(EXTRACT(EPOCH FROM {expression}) * 1000000)::bigint"
    return expression


def utc(value: dt.datetime | str | int) -> dt.datetime:
    """A time as raw SQL returned it: aware from PostgreSQL, naive or text from SQLite; or a
    :func:`quick_time`."""
    if isinstance(value, int):
        return _EPOCH + dt.timedelta(microseconds=value)
    if isinstance(value, str):
        return _parsed(value)
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
