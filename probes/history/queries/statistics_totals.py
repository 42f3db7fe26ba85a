"""Totals: by state, by protocol and by where the remote addresses are; and a plain list.

Place in the data's way: part of ``probes.history.queries.statistics``, which says what holds for
all of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import listing, moments, sql
from probes.history.queries import scopes as places
from probes.history.queries.pages import Page
from probes.history.queries.sockets import COLUMNS, SocketRow, socket_row
from probes.history.queries.sql import Scope, Statement
from probes.history.queries.statistics_rows import ProtocolCount, ScopeCount, StateCount
from probes.history.queries.statistics_sums import CONNECTED

ELEVEN: Final = tuple(state for state in packing.STATES if state != "UNKNOWN")
"""RFC 9293's states of a TCP connection in net-tools' words; CLOSE is its CLOSED."""
_LAST_FIRST: Final = listing.Sorted("-first_seen", listing.moment("first_seen"), descending=True)
_TIE: Final = (listing.Order("host_id"), listing.Order("key"))


def states(scope: Scope, *, filters: SocketFilter = NOTHING_FILTERED) -> list[StateCount]:
    """All ELEVEN states of TCP, zeros included, most first; then what else was seen: UNKNOWN, and
    the sockets without a state. Equal ones are in netstat's own order. One query."""
    tcp = sql.among("protocol", [packing.PROTOCOL_NUMBERS[name] for name in ("tcp", "tcp6")])
    inner = sql.sockets(scope, ("state", "protocol", "host_id", "copies"), filters)
    summed = Statement(
        # A row a host first: counting those is cheaper than COUNT(DISTINCT host_id), which sorts.
        "SELECT state, SUM(sockets), SUM(of_tcp), COUNT(*) FROM (SELECT state, SUM(copies) AS"
        f" sockets, SUM(CASE WHEN {tcp.sql} THEN copies ELSE 0 END) AS of_tcp"
        f" FROM ({inner.sql}) AS s GROUP BY state, host_id) AS h GROUP BY state",
        (*tcp.params, *inner.params),
    )
    seen = {
        None if state is None else packing.STATES[state]: (int(sockets), int(of_tcp), hosts)
        for state, sockets, of_tcp, hosts in sql.fetch(scope, summed)
    }
    counted = [StateCount(state, *seen.pop(state, (0, 0, 0))) for state in ELEVEN]
    counted.sort(key=lambda row: -row.sockets)
    rest = sorted(seen, key=lambda state: state is None)
    return counted + [StateCount(state, *seen[state]) for state in rest]


def protocols(scope: Scope, *, filters: SocketFilter = NOTHING_FILTERED) -> list[ProtocolCount]:
    """Sockets by protocol: TCP and UDP always, first; others where seen, most first.

    One query; where nothing is filtered it reads the counts that snapshots carry, and no socket.
    """
    if filters.parameters():
        inner = sql.sockets(scope, ("protocol", "copies"), filters)
        counted = {
            packing.PROTOCOLS[number]: int(sockets)
            for number, sockets in sql.fetch(
                scope,
                Statement(
                    f"SELECT protocol, SUM(copies) FROM ({inner.sql}) AS s GROUP BY protocol",
                    inner.params,
                ),
            )
        }
    else:
        counted = snapshot_counts(scope)
    kinds: dict[str, dict[str, int]] = {"tcp": {}, "udp": {}}
    for name in sorted(counted):
        kinds.setdefault(packing.base(name), {})[name] = counted[name]
    rows = [ProtocolCount(name, sum(of.values()), of) for name, of in kinds.items()]
    return rows[:2] + sorted(rows[2:], key=lambda row: (-row.sockets, row.protocol))


def scopes(scope: Scope, *, filters: SocketFilter = NOTHING_FILTERED) -> list[ScopeCount]:
    """Connections to external, private and loopback addresses, in this order. One query."""
    inside = places.naming("remote")
    inner = sql.sockets(
        scope, ("remote_ip", "state", "host_id", "copies"), filters, condition=CONNECTED
    )
    # The name of each row's scope is worked out once, below all sums.
    summed = Statement(
        f"WITH n AS MATERIALIZED (SELECT {inside.sql} AS scope, remote_ip, state, host_id, copies"
        f" FROM ({inner.sql}) AS s)"
        " SELECT 'total' AS kind, scope, 0 AS state, SUM(copies) AS number FROM n GROUP BY scope"
        " UNION ALL SELECT 'ips', scope, 0, COUNT(*)"
        " FROM (SELECT DISTINCT scope, remote_ip FROM n) AS d GROUP BY scope"
        " UNION ALL SELECT 'hosts', scope, 0, COUNT(*)"
        " FROM (SELECT DISTINCT scope, host_id FROM n) AS d GROUP BY scope"
        " UNION ALL SELECT 'state', scope, state, SUM(copies) FROM n WHERE state IS NOT NULL"
        " GROUP BY scope, state ORDER BY number DESC, state",
        (*inside.params, *inner.params),
    )
    counts: dict[tuple[str, str], int] = defaultdict(int)
    by_state: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, name, state, number in sql.fetch(scope, summed):
        if kind == "state":
            by_state[name][packing.STATES[state]] = int(number)
        else:
            counts[kind, name] = int(number)
    return [
        ScopeCount(
            name,
            counts["total", name],
            counts["ips", name],
            counts["hosts", name],
            by_state=by_state.get(name, {}),
        )
        for name in places.SCOPES
        if name != "all"
    ]


def listed(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    where: str = "all",
    limit: int = 100,
) -> list[SocketRow]:
    """The sockets themselves, of all hosts, those that came last first; one query.

    For lists that are short by nature, such as of SYN_RECV: ``limit`` bounds what is read.
    """
    wanted = places.condition(where)
    inner = sql.sockets(scope, COLUMNS, filters, condition=wanted)
    newest = Statement(
        f"SELECT {', '.join(COLUMNS)} FROM ({inner.sql}) AS s"
        " ORDER BY first_seen DESC, remote_ip, remote_port, host_id, key LIMIT %s",
        (*inner.params, limit),
    )
    return [socket_row(values) for values in sql.fetch(scope, newest)]


def listed_page(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    where: str = "all",
    of: str = "",
    cursor: str | None = None,
    limit: int = 100,
) -> Page[SocketRow]:
    """A page of the sockets of all hosts, those that came last first, and how many rows there are.

    ``of`` names the place in the cursor, so that one of another place is refused. Raises
    FilterError("cursor"). Two queries.
    """
    inner = sql.sockets(scope, COLUMNS, filters, condition=places.condition(where))
    found, following = listing.page(
        scope, inner, COLUMNS, _LAST_FIRST, tie=_TIE,
        kind=f"statistics:{of}:{where}:{filters.parameters()}", cursor=cursor, limit=limit,
    )  # fmt: skip
    total = len(found)
    if cursor is not None or following is not None:
        total = int(
            sql.fetch(scope, Statement(f"SELECT COUNT(*) FROM ({inner.sql}) AS s", inner.params))[
                0
            ][0]
        )
    return Page([socket_row(values) for values in found], following, total)


def every_listed(
    scope: Scope, *, filters: SocketFilter = NOTHING_FILTERED, where: str = "all"
) -> Iterator[SocketRow]:
    """All rows of :func:`listed_page`, in its order, streamed."""
    inner = sql.sockets(scope, COLUMNS, filters, condition=places.condition(where))
    return map(socket_row, listing.rows(scope, inner, COLUMNS, _LAST_FIRST, tie=_TIE))


def snapshot_counts(scope: Scope) -> dict[str, int]:
    """Sockets by protocol, as tools call it, from the counts of the snapshots of ``scope``."""
    if scope.snapshot is not None:
        return dict(scope.snapshot.by_protocol)
    counted: dict[str, int] = defaultdict(int)
    for (given,) in sql.fetch(scope, moments.snapshots(scope, "by_protocol")):
        # SQLite keeps JSON as text; psycopg gives it decoded.
        by_protocol: Mapping[str, int] = json.loads(given) if isinstance(given, str) else given
        for name, sockets in by_protocol.items():
            counted[name] += sockets
    return dict(counted)
