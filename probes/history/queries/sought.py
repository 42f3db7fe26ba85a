"""What a hunt looks for, as SQL that finds it along an index on either database.

Place in the data's way: below ``sightings``, which sums and pages what :func:`branches` finds.
Knows the two interval tables and their indexes; no rights, no pages.

Every statement is a loop: for each thing sought, the rows that an index has for it. The things are
one parameter however many they are, so a thousand addresses cost one statement, and the loop
leaves the planner no choice but the index:

    remote_ip, last_seen       an address; a network, as a range of them
    SERVICE_PORT, last_seen    a port that was listened on, whichever end had it
    program, last_seen         a program; a part of its name is first looked up among the names
                               that there are, hopping along the index from one to the next
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from probes.filters import IPV4, NOTHING_FILTERED, PROTOCOLS, AddressRange, SocketFilter
from probes.history import packing
from probes.history.queries import sql
from probes.history.queries.sql import ANY_ROW, CLOSED, OPEN, SERVICE_PORT, Scope, Statement
from probes.history.queries.statistics_sums import CONNECTED
from probes.indicators import Indicator

MOST_HOPS: Final = 5_000
"""Names of programs that are looked through, of each table."""
MOST_NAMES: Final = 500
"""Names of programs that one part of a name may mean."""

_ACCESS: Final = {
    "ip": "remote_ip = at_low",
    "cidr": "remote_ip BETWEEN at_low AND at_high",
    "port": f"{SERVICE_PORT} = at_port",
    "program": "program = at_program",
}
"""How the rows of a thing are found; each is the first column of an index."""

_REST: Final = (
    "(at_zone IS NULL OR remote_zone = at_zone)"
    f" AND (at_port IS NULL OR {SERVICE_PORT} = at_port)"
    " AND (at_remote_port IS NULL OR remote_port = at_remote_port)"
    " AND (at_protos IS NULL OR (at_protos >> protocol) & 1 = 1)"
)
"""What else must fit."""

_COLUMNS: Final = (
    ("number", "int"),
    ("at_low", "bytea"),
    ("at_high", "bytea"),
    ("at_zone", "text"),
    ("at_port", "int"),
    ("at_remote_port", "int"),
    ("at_program", "text"),
    ("at_protos", "bigint"),
)


@dataclass(frozen=True, slots=True)
class Sought:
    """Any of the indicators, seen in the time, on a socket that passes the filters."""

    indicators: tuple[Indicator, ...]
    filters: SocketFilter = NOTHING_FILTERED
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    """Seen at all from ``since`` to ``until``: first seen by then, and last seen or still there."""
    new_since: dt.datetime | None = None
    """First seen later than that."""


@dataclass(frozen=True, slots=True)
class Things:
    """What is looked up, a row each, by the way it is found."""

    rows: Mapping[str, Sequence[tuple[Any, ...]]]
    owners: Sequence[tuple[Indicator, ...]]
    """By the number of the row: the indicators it is of, several for a program's name."""
    more_names: bool
    """Whether some part of a name means more programs than were looked up."""


def things(scope: Scope, indicators: Iterable[Indicator]) -> Things:
    """What to look up for ``indicators``, each once: what is :func:`covered` is found by the other.
    No query, two where some name a program."""
    listed = tuple(indicators)
    within = covered(listed)
    parts = {each.program for each in listed if each.addresses is None and each.port is None}
    names, more = programs(scope, {part for part in parts if part})
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    owners: list[tuple[Indicator, ...]] = []

    def add(
        kind: str, *every: Indicator, low: Any = None, high: Any = None, name: Any = None
    ) -> None:
        of = every[0]
        zone = None if of.addresses is None else of.addresses.zone
        protos = None if of.proto is None else _mask(of.proto)
        rows[kind].append((len(owners), low, high, zone, of.port, of.remote_port, name, protos))
        owners.append(every)

    named: dict[str, list[Indicator]] = defaultdict(list)
    for each in listed:
        if each in within:
            continue
        if each.addresses is not None:
            for low, high in _ranges(each.addresses):
                add("ip" if low == high else "cidr", each, low=low, high=high)
        elif each.port is not None:
            add("port", each)
        else:
            for name in names.get(each.program or "", ()):
                named[name].append(each)
    for name, every in named.items():
        add("program", *every, name=name)
    return Things(rows, owners, more)


def covered(indicators: Iterable[Indicator]) -> dict[Indicator, Indicator]:
    """The networks that lie in another one of ``indicators``, each with the widest such.

    Looked for apart, a thousand nested networks would find every connection a thousand times.
    Single addresses are told apart from their network, since that is no more than once.
    """
    wide = [each for each in indicators if each.kind == "cidr" and _is_plain(each)]
    within: dict[Indicator, Indicator] = {}
    widest: Indicator | None = None
    for each in sorted(wide, key=_by_place):
        if widest is not None and _holds(widest, each):
            within[each] = widest
        else:
            widest = each
    return within


def _is_plain(network: Indicator) -> bool:
    return network.proto is None and network.addresses is not None and not network.addresses.zone


def _by_place(network: Indicator) -> tuple[bool, bytes, int]:
    """IPv4 apart, since IPv6 networks leave its place out; then the wider one before its parts."""
    assert network.addresses is not None
    low, high = network.addresses[:2]
    return _is_ipv4(network), low, -int.from_bytes(high, "big")


def _is_ipv4(network: Indicator) -> bool:
    assert network.addresses is not None
    return IPV4.low <= network.addresses.low and network.addresses.high <= IPV4.high


def _holds(wider: Indicator, other: Indicator) -> bool:
    """Of two that came in :func:`_by_place`'s order; networks overlap whole or not at all."""
    assert wider.addresses is not None
    assert other.addresses is not None
    return _is_ipv4(wider) == _is_ipv4(other) and other.addresses.high <= wider.addresses.high


def programs(scope: Scope, parts: Iterable[str]) -> tuple[dict[str, list[str]], bool]:
    """The names of programs that hold each part, whatever the case, and whether there are more.

    Over all hosts and all time: hops along the indexes on the names, reads no row of a socket. The
    part itself is always among its names. Two queries, none where there is no part.
    """
    wanted = sorted(set(parts))
    if not wanted:
        return {}, False
    known: set[str] = set()
    more = False
    for table in (OPEN, CLOSED):
        found = sql.fetch(scope, _every_name(table))
        more = more or len(found) >= MOST_HOPS
        known |= {name for (name,) in found}
    lowered = [(name, name.lower()) for name in sorted(known)]
    names: dict[str, list[str]] = {}
    for part in wanted:
        small = part.lower()
        holding = [name for name, low in lowered if small in low and name != part]
        more = more or len(holding) >= MOST_NAMES
        names[part] = [part, *holding[: MOST_NAMES - 1]]
    return names, more


def branches(
    scope: Scope,
    sought: Sought,
    looked_up: Things,
    *,
    table: str,
    columns: Sequence[str],
    order: str = "",
    limit: int | None = None,
    also: Statement = ANY_ROW,
) -> list[Statement]:
    """SELECTs of ``number`` and ``columns`` from ``table`` (OPEN or CLOSED), one a way of finding.

    ``columns`` are expressions with the names they get. With ``limit``, at most so many rows of
    each thing, the first in ``order`` (of the open sockets on SQLite all, which are few).

    An address is that of a peer: what is found by one is connected, since the remote end of a
    listener is 0.0.0.0 or ``::``, which says nothing.
    """
    # The plus sign keeps planners from finding rows by their host: of all hosts that is all rows.
    hosts = sql.in_hosts(scope)
    hosts = Statement(f"+{hosts.sql}", hosts.params)
    where = sql.where(scope, sought.filters)
    seen = _seen(scope, sought, is_open=table == OPEN)
    made = []
    for kind, rows in looked_up.rows.items():
        source = _source(scope, rows)
        peer = CONNECTED if kind in ("ip", "cidr") else ANY_ROW
        condition = (
            f"{_ACCESS[kind]} AND {_REST} AND {hosts.sql} AND {peer.sql} AND {seen.sql}"
            f" AND {where.sql} AND {also.sql}"
        )
        params = (*hosts.params, *peer.params, *seen.params, *where.params, *also.params)
        last = "" if limit is None else f"{f' ORDER BY {order}' if order else ''} LIMIT {limit}"
        listed = ", ".join(columns)
        names = ", ".join(column.rpartition(" ")[2] for column in columns)
        if scope.is_postgres:
            # The offset keeps it a loop: without, two tables are joined, and one may be read whole.
            text = (
                f"SELECT number, {names} FROM {source.sql} AS sought CROSS JOIN LATERAL"
                f" (SELECT {listed} FROM {table} WHERE {condition}{last} OFFSET 0) AS seen"
            )
        elif last and table == CLOSED:
            text = (
                f"SELECT number, {listed} FROM {source.sql} AS sought CROSS JOIN {table}"
                f" WHERE {table}.rowid IN (SELECT candidate.rowid FROM {table} AS candidate"
                f" WHERE {condition}{last})"
            )
        else:
            text = (
                f"SELECT number, {listed} FROM {source.sql} AS sought CROSS JOIN {table}"
                f" WHERE {condition}"
            )
        made.append(Statement(text, (*source.params, *params)))
    return made


def union(statements: Sequence[Statement]) -> Statement:
    """All rows of them; there is at least one."""
    return Statement(
        " UNION ALL ".join(each.sql for each in statements),
        tuple(value for each in statements for value in each.params),
    )


def _seen(scope: Scope, sought: Sought, *, is_open: bool) -> Statement:
    parts: list[Statement] = []
    if sought.until is not None:
        parts.append(Statement("first_seen <= %s", (sql.time(scope, sought.until),)))
    since = [] if sought.since is None else [sought.since]
    if sought.new_since is not None:
        parts.append(Statement("first_seen > %s", (sql.time(scope, sought.new_since),)))
        since.append(sought.new_since)
    if since and not is_open:
        parts.append(Statement("last_seen >= %s", (sql.time(scope, max(since)),)))
    if not parts:
        return ANY_ROW
    return Statement(
        " AND ".join(part.sql for part in parts),
        tuple(value for part in parts for value in part.params),
    )


def _source(scope: Scope, rows: Sequence[tuple[Any, ...]]) -> Statement:
    """The things as a table."""
    names = ", ".join(name for name, _kind in _COLUMNS)
    if scope.is_postgres:
        given = ", ".join(f"%s::{kind}[]" for _name, kind in _COLUMNS)
        return Statement(
            f"(SELECT * FROM unnest({given}) AS given({names}))",
            tuple([row[place] for row in rows] for place in range(len(_COLUMNS))),
        )
    named = ", ".join(
        f"column{place} AS {name}" for place, (name, _kind) in enumerate(_COLUMNS, start=1)
    )
    one = f"({', '.join(['%s'] * len(_COLUMNS))})"
    return Statement(
        f"(SELECT {named} FROM (VALUES {', '.join([one] * len(rows))}))",
        tuple(value for row in rows for value in row),
    )


def _every_name(table: str) -> Statement:
    """The distinct names of programs of a table, at most MOST_HOPS, in their order."""
    following = f"SELECT program FROM {table} WHERE program > name ORDER BY program LIMIT 1"
    return Statement(
        "WITH RECURSIVE names(name, hop) AS ("
        f"SELECT * FROM (SELECT program, 1 FROM {table} WHERE program IS NOT NULL"
        " ORDER BY program LIMIT 1) AS smallest"
        f" UNION ALL SELECT ({following}), hop + 1 FROM names"
        " WHERE name IS NOT NULL AND hop < %s)"
        " SELECT name FROM names WHERE name IS NOT NULL",
        (MOST_HOPS,),
    )


def _ranges(addresses: AddressRange) -> list[tuple[bytes, bytes]]:
    """A network as ranges of packed addresses; one so wide that it holds IPv4's place is two."""
    if not addresses.without_ipv4:
        return [(addresses.low, addresses.high)]
    before = (int.from_bytes(IPV4.low, "big") - 1).to_bytes(16, "big")
    after = (int.from_bytes(IPV4.high, "big") + 1).to_bytes(16, "big")
    pair = ((addresses.low, before), (after, addresses.high))
    return [(low, high) for low, high in pair if low <= high]


def _mask(proto: str) -> int:
    """The protocols of a word as bits."""
    return sum(1 << packing.PROTOCOL_NUMBERS[name] for name in PROTOCOLS[proto])
