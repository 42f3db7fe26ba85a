"""Connections of many hosts, now or then, summed to who talks to whom on which port.

Place in the data's way: what the map is drawn from. The database does the sums, and folds the
many addresses that belong to no host: a host of 100,000 sockets is never read row by row. Knows
nothing of pictures; what the sums mean is said by ``probes.analysis.topology``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from django.db.models import OuterRef, Subquery

from hosts.models import Host
from probes import filters as asked
from probes.analysis import addresses
from probes.analysis.topology import OTHER_PORTS, Bundle, Crowd, Seen
from probes.filters import IPV4, NOTHING_FILTERED, SocketFilter
from probes.history import contents, packing
from probes.history.queries import scopes, sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, NetworkTable
from probes.observation import Table
from probes.parsers.records import Interface

Peers = Literal["folded", "all", "none"]
PEERS: Final[tuple[str, ...]] = get_args(Peers)

FEW_PEERS: Final = 3
"""Addresses on one port and scope that are shown one by one even where others are folded."""
APART_PORTS: Final = 8
"""Ports of folded addresses that are shown apart, in each scope and direction."""
MOST_PEERS: Final = 200
"""Addresses that are shown one by one where all are asked for; the others are folded."""
MOST_ROWS: Final = 20_000
"""Sums that are read between hosts, and with single addresses; of more the largest."""

_NO_PORT: Final = -1
_KEPT: Final = ("host_id", "direction", "protocol", "local_ip", "remote_ip", "program")
_EVERYWHERE: Final = ("0.0.0.0", "::", "127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10")
"""Local addresses that tell no host from another."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is connected with what."""

    local: list[tuple[int, bytes]] = field(default_factory=list)
    """(host, address) of every address of its own that a host's sockets show, listeners' too."""
    seen: list[Seen] = field(default_factory=list)
    """Connections with addresses that some host has, and with single other ones."""
    bundles: list[Bundle] = field(default_factory=list)
    """Connections with the other ones, folded."""
    crowds: dict[Crowd, int] = field(default_factory=dict)
    """How many addresses are behind the bundles of a scope, direction and port."""
    hidden_peers: int = 0
    """Addresses of no host that were not asked for, with ``peers="none"``."""
    hidden_connections: int = 0
    """Connections with them."""
    unread: int = 0
    """Connections beyond MOST_ROWS sums."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which connections with addresses that belong to no host are wanted, and how."""

    peers: Peers = "folded"
    scope: str = "all"
    """One of scopes.SCOPES: where those addresses are."""
    program: str = ""
    """Part of the name of the program on our end."""
    focus: Collection[int] | None = None
    """Of these hosts only; None: of all."""


def connections(
    scope: Scope,
    *,
    known: Collection[bytes] = (),
    ports: str | None = None,
    wanted: Asked = Asked(),
) -> Found:
    """Connections of the hosts of ``scope`` by host, direction, protocol, remote address, port
    that was listened on (``sql.SERVICE_PORT``) and program.

    Connections with local addresses of any of these hosts, and with ``known`` ones (the hosts'
    by other knowledge), come one by one whatever ``wanted`` says of the others. ``ports`` as in
    SocketFilter. Listeners, loopback and what a host has with the very address it speaks from are
    left out. One query.
    """
    every = _every_socket(scope)
    local = _all(
        Statement(f"NOT ({part.sql})", part.params)
        for part in (sql.within("local", asked.address_range(text)) for text in _EVERYWHERE)
    )
    connected = _connected(scope, known, ports)
    others = _others(scope, wanted)
    split = _split(wanted.peers)
    # Materialized, or each part below would sum everything anew.
    statement = Statement(
        f"WITH g AS MATERIALIZED ({every.sql}),"
        f" l AS MATERIALIZED (SELECT DISTINCT host_id, local_ip FROM g WHERE {local.sql}),"
        f" c AS MATERIALIZED ({connected.sql}), u AS MATERIALIZED ({others.sql}){split.sql}"
        f" SELECT * FROM (SELECT 1 AS kind, host_id, direction, protocol, remote_ip, '' AS scope,"
        f" port, program, SUM(n) AS n FROM c WHERE mine GROUP BY host_id, direction, protocol,"
        " remote_ip, port, program ORDER BY SUM(n) DESC LIMIT %s) AS mine"
        f" UNION ALL SELECT 5, NULL, NULL, NULL, NULL, '', NULL, NULL, SUM(n) FROM c WHERE mine"
        f" UNION ALL SELECT 8, host_id, NULL, NULL, local_ip, '', NULL, NULL, NULL FROM l"
        f" UNION ALL {_PARTS[wanted.peers]}",
        (
            *every.params,
            *local.params,
            *connected.params,
            *others.params,
            *split.params,
            MOST_ROWS,
            *(() if wanted.peers == "none" else (MOST_ROWS,)),
        ),
    )
    return _read(sql.fetch(scope, statement))


def interface_addresses(
    using: str, host_ids: Sequence[int], *, at: dt.datetime | None = None
) -> list[tuple[int, bytes]]:
    """(host, address) of every address in the newest table of interfaces of each host, by ``at``
    where that is given. One query."""
    tables = NetworkTable.objects.filter(host_id=OuterRef("pk"), table=Table.INTERFACES.value)
    if at is not None:
        tables = tables.filter(first_seen__lte=at)
    newest = Subquery(tables.order_by("-first_seen").values("pk")[:1])
    hosts = Host.objects.filter(pk__in=host_ids).order_by().values_list(newest)
    stored = NetworkTable.objects.using(using).filter(pk__in=hosts)
    return [
        (host_id, ip)
        for host_id, content in stored.values_list("host_id", "content_zstd")
        for row in contents.unpack(bytes(content), Interface)
        for text in row.addresses
        if (ip := addresses.packed(text)) is not None
    ]


# --- the statement --------------------------------------------------------------------------------


def _every_socket(scope: Scope) -> Statement:
    """All sockets; listeners too, for the addresses they are bound to."""
    columns = (*_KEPT, "local_port", "remote_port", "copies")
    condition = Statement("direction <> %s", (Direction.LOCAL.value,))
    inner = sql.sockets(scope, columns, NOTHING_FILTERED, condition=condition)
    names = ", ".join(_KEPT)
    return Statement(
        f"SELECT {names}, COALESCE({sql.SERVICE_PORT}, {_NO_PORT}) AS port, copies AS n"
        f" FROM ({inner.sql}) AS s",
        inner.params,
    )


def _connected(scope: Scope, known: Collection[bytes], ports: str | None) -> Statement:
    """Sums of connections, and whether their other end is a host's (``mine``)."""
    if scope.is_postgres:
        given = Statement("remote_ip = ANY(%s::bytea[])", (list(known),))
    else:
        listed = json.dumps([ip.hex().upper() for ip in known])
        given = Statement("hex(remote_ip) IN (SELECT value FROM json_each(%s))", (listed,))
    wanted = _CONNECTED
    if ports:
        ranges = asked.port_ranges(ports)
        either = " OR ".join(["port BETWEEN %s AND %s"] * len(ranges))
        numbers = tuple(end for pair in ranges for end in pair)
        wanted = _all((wanted, Statement(f"({either})", numbers)))
    return Statement(
        "SELECT host_id, direction, protocol, remote_ip, port, program, n,"
        f" (remote_ip IN (SELECT local_ip FROM l) OR {given.sql}) AS mine FROM g"
        f" WHERE {wanted.sql}",
        (*given.params, *wanted.params),
    )


def _others(scope: Scope, wanted: Asked) -> Statement:
    """Sums with addresses that belong to no host, and where each of those is."""
    # Without loopback, of which few rows are left by now, two words are enough.
    private, loopback = scopes.condition("private"), scopes.condition("loopback")
    parts = [Statement("NOT mine"), Statement(f"NOT ({loopback.sql})", loopback.params)]
    if wanted.scope != "all":
        parts.append(scopes.condition(wanted.scope))
    if wanted.program:
        parts.append(sql.where(scope, SocketFilter(program=wanted.program)))
    if wanted.focus is not None:
        parts.append(sql.in_hosts(Scope(scope.using, tuple(wanted.focus))))
    condition = _all(parts)
    return Statement(
        f"SELECT c.*, CASE WHEN {private.sql} THEN 'private' ELSE 'external' END AS scope FROM c"
        f" WHERE {condition.sql}",
        (*private.params, *condition.params),
    )


def _split(peers: Peers) -> Statement:
    """Which of them are shown one by one (``single``), and under which port the others are."""
    if peers == "none":
        return Statement("")
    ranked = (
        ", b AS MATERIALIZED (SELECT scope, direction, port, COUNT(DISTINCT remote_ip) AS peers,"
        " ROW_NUMBER() OVER (PARTITION BY scope, direction ORDER BY SUM(n) DESC, port) AS place"
        " FROM u GROUP BY scope, direction, port)"
    )
    if peers == "all":
        top = (
            ", top AS (SELECT remote_ip FROM u GROUP BY remote_ip ORDER BY SUM(n) DESC, remote_ip"
            " LIMIT %s)"
        )
        single = Statement("u.remote_ip IN (SELECT remote_ip FROM top)")
        before: tuple[int, ...] = (MOST_PEERS,)
    else:
        top = ""
        single = Statement("(place <= %s AND peers <= %s)", (APART_PORTS, FEW_PEERS))
        before = ()
    return Statement(
        f"{ranked}{top}, v AS MATERIALIZED (SELECT u.*, CASE WHEN place <= %s THEN u.port"
        f" ELSE {OTHER_PORTS} END AS shown, {single.sql} AS single FROM u JOIN b"
        " ON u.scope = b.scope AND u.direction = b.direction AND u.port = b.port)",
        (*before, APART_PORTS, *single.params),
    )


def _all(parts: Iterable[Statement]) -> Statement:
    listed = list(parts)
    return Statement(
        " AND ".join(part.sql for part in listed),
        tuple(value for part in listed for value in part.params),
    )


_CONNECTED: Final = Statement(
    "direction IN (%s, %s) AND remote_ip NOT IN (%s, %s)",
    (Direction.IN.value, Direction.OUT.value, bytes(16), IPV4.low),
)
_SPLIT_PARTS: Final = (
    "SELECT * FROM (SELECT 2 AS kind, host_id, direction, protocol, remote_ip, scope, port,"
    " program, SUM(n) AS n FROM v WHERE single GROUP BY host_id, direction, protocol, remote_ip,"
    " scope, port, program ORDER BY SUM(n) DESC LIMIT %s) AS singles"
    " UNION ALL SELECT 3, host_id, direction, protocol, NULL, scope, shown, program, SUM(n)"
    " FROM v WHERE NOT single GROUP BY host_id, direction, protocol, scope, shown, program"
    " UNION ALL SELECT 4, NULL, direction, NULL, NULL, scope, shown, NULL,"
    " COUNT(DISTINCT remote_ip) FROM v WHERE NOT single GROUP BY direction, scope, shown"
    " UNION ALL SELECT 6, NULL, NULL, NULL, NULL, '', NULL, NULL, SUM(n) FROM v WHERE single"
)
_PARTS: Final[dict[Peers, str]] = {
    "folded": _SPLIT_PARTS,
    "all": _SPLIT_PARTS,
    "none": (
        "SELECT 7, NULL, NULL, NULL, NULL, '', COUNT(DISTINCT remote_ip), NULL, SUM(n) FROM u"
    ),
}


def _read(rows: Sequence[tuple[Any, ...]]) -> Found:
    found = Found()
    read = {1: 0, 2: 0}
    there = {1: 0, 2: 0}
    hidden = (0, 0)
    for kind, host_id, direction, protocol, ip, scope, port, program, number in rows:
        count = int(number or 0)
        if kind in (1, 2):
            read[kind] += count
            address = bytes(ip)
            found.seen.append(
                Seen(
                    host_id=host_id,
                    inbound=direction == Direction.IN.value,
                    protocol=packing.base(packing.PROTOCOLS[protocol]),
                    ip=address,
                    scope=scope or scopes.of(address),
                    port=None if port == _NO_PORT else port,
                    program=program,
                    connections=count,
                )
            )
        elif kind == 3:
            found.bundles.append(
                Bundle(
                    host_id=host_id,
                    inbound=direction == Direction.IN.value,
                    protocol=packing.base(packing.PROTOCOLS[protocol]),
                    scope=scope,
                    port=None if port == _NO_PORT else port,
                    program=program,
                    connections=count,
                )
            )
        elif kind == 4:
            crowd = (scope, direction == Direction.IN.value, None if port == _NO_PORT else port)
            found.crowds[crowd] = count
        elif kind == 8:
            found.local.append((host_id, bytes(ip)))
        elif kind == 7:
            hidden = (int(port), count)
        else:
            there[1 if kind == 5 else 2] = count
    return Found(
        found.local,
        found.seen,
        found.bundles,
        found.crowds,
        *hidden,
        there[1] - read[1] + there[2] - read[2],
    )
