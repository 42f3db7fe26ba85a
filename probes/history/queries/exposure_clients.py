"""Who connects to which listener: connections summed by the database, given to whom they belong.

Place in the data's way: beside ``probes.history.queries.exposure``, which asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from probes.filters import IPV4, NOTHING_FILTERED
from probes.history import packing
from probes.history.queries import scopes, sql
from probes.history.queries.exposure_rows import Key, Listener, Peer
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction

MOST_PEERS: Final = 50_000
"""(listener, remote address) pairs read for the rows of a page, those with most connections."""
ANY_V6: Final = bytes(16)
ANY_V4: Final = IPV4.low
LISTENING: Final = Statement("direction = %s", (Direction.LISTEN.value,))
_ARRIVED: Final = Statement("direction IN (%s, %s)", (Direction.IN.value, Direction.LOCAL.value))


@dataclass(frozen=True, slots=True)
class Sum:
    """Connections into one address of a host, on one port."""

    protocol: int
    local_ip: bytes
    mapped: bool
    """The kernel has some of them as IPv6 sockets that speak IPv4."""
    connections: int
    external: int
    remote_ip: bytes = b""


def arrived(scope: Scope, listened: set[int]) -> dict[tuple[int, str, int | None], list[Sum]]:
    """Connections into ports, summed by the database."""
    columns = ("host_id", "protocol", "local_ip", "local_port", "remote_ip", "flags", "copies")
    found: dict[tuple[int, str, int | None], list[Sum]] = defaultdict(list)
    if not listened:
        return found
    condition = both(_ARRIVED, _on(scope, listened))
    inner = sql.sockets(scope, columns, NOTHING_FILTERED, condition=condition)
    outside = scopes.condition("external")
    summed = Statement(
        "SELECT host_id, protocol, local_ip, local_port, MAX(flags & 1), SUM(copies),"
        f" SUM(CASE WHEN {outside.sql} THEN copies ELSE 0 END) FROM ({inner.sql}) AS s"
        " GROUP BY host_id, protocol, local_ip, local_port",
        (*outside.params, *inner.params),
    )
    for host_id, protocol, local_ip, port, mapped, total, external in sql.fetch(scope, summed):
        at = host_id, packing.base(packing.PROTOCOLS[protocol]), port
        one = Sum(protocol, bytes(local_ip), bool(mapped), int(total), int(external))
        found[at].append(one)
    return found


def takes(key: Key, siblings: Iterable[Key], one: Sum) -> bool:
    """Whether connections into an address came through this listener and none beside it.

    The kernel gives a connection to the listener on that very address, else to one on every
    address of its family, else to one on ``::`` that takes IPv4 too. netstat shows the latter
    with the listener's protocol (tcp6 with an IPv4 address); ss may print them as mapped.
    """
    bound = key[2]
    if not bound or not one.local_ip:
        return False
    if bound == one.local_ip:
        return True
    if bound not in (ANY_V4, ANY_V6) or any(other[2] == one.local_ip for other in siblings):
        return False
    if not is_ipv4(one.local_ip):
        return bound == ANY_V6
    is_v6_socket = one.mapped or packing.PROTOCOLS[one.protocol].endswith("6")
    has_v4, has_v6 = (any(other[2] == any_ip for other in siblings) for any_ip in (ANY_V4, ANY_V6))
    if bound == ANY_V6:
        return is_v6_socket or not has_v4
    return not is_v6_socket or not has_v6


def peers_of(scope: Scope, rows: Sequence[Listener]) -> tuple[dict[Key, list[Peer]], bool]:
    """Who is connected to each listener, most connections first; and whether all were read."""
    if not rows:
        return {}, True
    columns = ("host_id", "protocol", "local_ip", "local_port", "remote_ip", "flags", "copies")
    narrow = only(scope, {row.host.pk for row in rows})
    condition = both(_ARRIVED, _on(narrow, {row.local_port or 0 for row in rows}))
    inner = sql.sockets(narrow, columns, NOTHING_FILTERED, condition=condition)
    summed = Statement(
        "SELECT host_id, protocol, local_ip, local_port, remote_ip, MAX(flags & 1),"
        f" SUM(copies) AS total FROM ({inner.sql}) AS s GROUP BY host_id, protocol, local_ip,"
        " local_port, remote_ip ORDER BY total DESC LIMIT %s",
        (*inner.params, MOST_PEERS + 1),
    )
    found = sql.fetch(narrow, summed)
    into: dict[tuple[int, str, int | None], list[Sum]] = defaultdict(list)
    for host_id, protocol, local_ip, port, remote_ip, mapped, total in found[:MOST_PEERS]:
        at = host_id, packing.base(packing.PROTOCOLS[protocol]), port
        into[at].append(
            Sum(protocol, bytes(local_ip), bool(mapped), int(total), 0, bytes(remote_ip))
        )
    siblings = _siblings(narrow, {row.local_port or 0 for row in rows})
    peers: dict[Key, list[Peer]] = {}
    for row in rows:
        totals: dict[bytes, int] = defaultdict(int)
        for one in into.get(place(row.key), ()):
            if takes(row.key, siblings[place(row.key)], one):
                totals[one.remote_ip] += one.connections
        peers[row.key] = [
            Peer(packing.address(ip, None) or "…", scopes.of(ip) == "external", number)
            for ip, number in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        ]
    return peers, len(found) <= MOST_PEERS


def _siblings(scope: Scope, ports: set[int]) -> dict[tuple[int, str, int | None], list[Key]]:
    """All listeners by their host, protocol and port: rows of a page may lack some."""
    columns = ("host_id", "protocol", "local_ip", "local_zone", "local_port")
    inner = sql.sockets(
        scope, columns, NOTHING_FILTERED, condition=both(LISTENING, _on(scope, ports))
    )
    found: dict[tuple[int, str, int | None], list[Key]] = defaultdict(list)
    for host_id, protocol, local_ip, zone, port in sql.fetch(scope, inner):
        key = host_id, protocol, bytes(local_ip), zone, port
        found[place(key)].append(key)
    return found


def place(key: Key) -> tuple[int, str, int | None]:
    """Host, protocol without its family, and port: where listeners stand beside one another."""
    return key[0], packing.base(packing.PROTOCOLS[key[1]]), key[4]


def is_ipv4(packed: bytes) -> bool:
    """Whether 16 packed bytes are an IPv4 address."""
    return IPV4.low <= packed <= IPV4.high


def only(scope: Scope, host_ids: set[int]) -> Scope:
    """The scope narrowed to some of its hosts."""
    then = scope.moments
    return replace(
        scope,
        host_ids=tuple(pk for pk in scope.host_ids if pk in host_ids),
        moments=None if then is None else tuple(one for one in then if one[0] in host_ids),
    )


def both(*parts: Statement) -> Statement:
    """All of these conditions."""
    return Statement(
        " AND ".join(part.sql for part in parts), tuple(p for part in parts for p in part.params)
    )


def _on(scope: Scope, ports: Iterable[int]) -> Statement:
    return sql.among_ports(scope, "local_port", sorted(ports))
