"""Who holds a port: the listeners of a host, or of all hosts on one port.

Place in the data's way: what the ports tab, the port lookup and ``ports`` routes show. A listener
is a socket in LISTEN, or one of UDP or raw that takes from anyone.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import QuerySet

from hosts.models import Host
from probes import filters as asked
from probes.filters import IPV4, NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import moments, scopes, sql
from probes.history.queries.pages import Page, open_cursor, slice_rows
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, Snapshot
from probes.parsers.records import Flag

EVERYTHING: Final = "all"
"""A listener's ``bound`` where it takes connections on every address of its host; else it is a
scope of probes.history.queries.scopes: external, private or loopback."""

_COLUMNS: Final = (
    "host_id",
    "key",
    "protocol",
    "local_ip",
    "local_zone",
    "local_port",
    "pid",
    "program",
    "state",
    "flags",
    "first_seen",
    "copies",
)
_LISTENING: Final = Statement("direction = %s", (Direction.LISTEN.value,))
_ARRIVED: Final = Statement("direction IN (%s, %s)", (Direction.IN.value, Direction.LOCAL.value))
_ANY_ADDRESS: Final = frozenset({bytes(16), IPV4.low})


@dataclass(frozen=True, slots=True)
class PortRow:
    """One listener: an address and port with the process that holds it."""

    host_id: int
    protocol: str
    local_ip: str
    local_port: int | None
    """None for a raw or UDP socket without one."""
    pid: int | None
    program: str | None
    state: str | None
    bound: str
    """all, external, private or loopback: from where it can be reached."""
    first_seen: dt.datetime
    """Since when this very process holds it."""
    connections: int
    """Connections into this address and port now, whichever of its holders has them."""
    copies: int
    """Sockets of the process on it (SO_REUSEPORT)."""
    key: int
    flags: int = 0
    """Bits of probes.parsers.records.Flag: whether the address was cut."""
    host: Host | None = None
    """Set by :func:`port_holders`."""

    @property
    def cut(self) -> bool:
        """Whether the tool cut the address, or may have."""
        return bool(self.flags & Flag.LOCAL_TRUNCATED)


def ports(
    host: Host, *, snapshot: Snapshot | None = None, filters: SocketFilter | None = None
) -> list[PortRow]:
    """The listeners of a host at a whole snapshot of its (None: now), by port.

    ``filters`` choose among the listeners; connections are counted whatever they say. Two queries.
    """
    return _listeners(sql.of_host(host, snapshot), filters or NOTHING_FILTERED)


def port_holders(
    hosts: QuerySet[Host], port: int, proto: str | None = None, *, at: dt.datetime | None = None
) -> list[PortRow]:
    """Who holds ``port`` on each of ``hosts``, by host name. ``proto`` as in SocketFilter.

    Each host is as its newest whole snapshot left it, however old: of now, or by ``at`` (aware).
    Of the hosts only the names are loaded. Three queries, and one more with ``at``.
    """
    by_id = {host.pk: host for host in hosts.only("pk", "name")}
    if not by_id:
        return []
    ids = tuple(by_id)
    then = None if at is None else moments.moments(hosts.db, ids, at)
    found = _listeners(Scope(hosts.db, ids, moments=then), _on(port, proto))
    return sorted((replace(row, host=by_id[row.host_id]) for row in found), key=_holder_key)


def holders_page(
    hosts: QuerySet[Host],
    port: int,
    proto: str | None = None,
    *,
    at: dt.datetime | None = None,
    kind: str,
    cursor: str | None,
    limit: int,
) -> Page[PortRow]:
    """A page of :func:`port_holders`, in its order. Raises FilterError("cursor").

    A thousand hosts may hold the port: they are counted by the database, and the rows of those on
    the page alone are read. Five queries, and two more with ``at``.
    """
    names = dict(hosts.order_by().values_list("pk", "name"))
    (after,) = (None,) if cursor is None else open_cursor(kind, cursor, parts=1)
    held = _held(hosts, tuple(names), _on(port, proto), at)
    waiting = deque(sorted((names[pk], pk) for pk in held))
    while after is not None and waiting and list(waiting[0]) < after[:2]:
        waiting.popleft()
    rows: list[PortRow] = []
    # Once, but for the rows before the cursor, and those that went since they were counted.
    while waiting and len(rows) <= limit:
        chosen: list[int] = []
        expected = len(rows)
        while waiting and expected <= limit:
            chosen.append(waiting.popleft()[1])
            expected += held[chosen[-1]]
        found = port_holders(hosts.filter(pk__in=chosen), port, proto, at=at)
        rows += [row for row in found if after is None or _holder_key(row) > after]
    page = slice_rows(rows, kind=kind, key=_holder_key, cursor=None, limit=limit)
    return replace(page, total=sum(held.values()))


def _on(port: int, proto: str | None) -> SocketFilter:
    return SocketFilter(local_port=str(port), proto=proto)


def _held(
    hosts: QuerySet[Host], ids: tuple[int, ...], wanted: SocketFilter, at: dt.datetime | None
) -> dict[int, int]:
    """How many listeners there are on each host that has some."""
    if not ids:
        return {}
    then = None if at is None else moments.moments(hosts.db, ids, at)
    scope = Scope(hosts.db, ids, moments=then)
    listing = sql.sockets(scope, ("host_id",), wanted, condition=_LISTENING)
    counting = f"SELECT host_id, COUNT(*) FROM ({listing.sql}) AS s GROUP BY host_id"
    return dict(sql.fetch(scope, Statement(counting, listing.params)))


def _holder_key(row: PortRow) -> list[Any]:
    """JSON, so that a cursor can hold it."""
    return [row.host.name if row.host else "", row.host_id, *port_key(row)]


def port_key(row: PortRow) -> list[Any]:
    """Where a listener stands among those of its host: JSON, unique."""
    return [row.local_port or 0, row.protocol, row.local_ip, row.pid or 0, row.key]


def listeners(scope: Scope, filters: SocketFilter = NOTHING_FILTERED) -> list[PortRow]:
    """The listeners of any scope, by port, each with the connections into it. Two queries."""
    return _listeners(scope, filters)


def _listeners(scope: Scope, filters: SocketFilter) -> list[PortRow]:
    listing = sql.sockets(scope, _COLUMNS, filters, condition=_LISTENING)
    found = [dict(zip(_COLUMNS, values, strict=True)) for values in sql.fetch(scope, listing)]
    arrived = _arrived(scope, {row["local_port"] for row in found if row["local_port"]})
    return sorted((_port_row(row, arrived) for row in found), key=port_key)


_Arrived = dict[tuple[int, str, int], dict[tuple[bytes, int], int]]
"""(host, base protocol, local port) -> (local address, protocol number) -> connections."""


def _arrived(scope: Scope, listened: set[int]) -> _Arrived:
    """Connections into the ports of listeners, summed by the database."""
    counted: _Arrived = defaultdict(dict)
    if not listened:
        return counted
    columns = ("host_id", "protocol", "local_ip", "local_port")
    # A host may listen on thousands of ports: their sums are sorted out here, and only a few
    # named to the database.
    few = sql.among("local_port", sorted(listened)) if len(listened) <= 100 else None
    condition = _ARRIVED if few is None else Statement(
        f"{_ARRIVED.sql} AND {few.sql}", (*_ARRIVED.params, *few.params)
    )  # fmt: skip
    inner = sql.sockets(scope, (*columns, "copies"), NOTHING_FILTERED, condition=condition)
    names = ", ".join(columns)
    summed = Statement(
        f"SELECT {names}, SUM(copies) FROM ({inner.sql}) AS s GROUP BY {names}", inner.params
    )
    for host_id, protocol, local_ip, local_port, connections in sql.fetch(scope, summed):
        base = packing.base(packing.PROTOCOLS[protocol])
        counted[host_id, base, local_port][bytes(local_ip), protocol] = int(connections)
    return counted


def _port_row(row: dict[str, Any], arrived: _Arrived) -> PortRow:
    protocol = packing.PROTOCOLS[row["protocol"]]
    local_ip = bytes(row["local_ip"])
    into = arrived.get((row["host_id"], packing.base(protocol), row["local_port"]), {})
    return PortRow(
        host_id=row["host_id"],
        protocol=protocol,
        local_ip=packing.address(local_ip, row["local_zone"]),
        local_port=row["local_port"],
        pid=row["pid"],
        program=row["program"],
        state=None if row["state"] is None else packing.STATES[row["state"]],
        bound=EVERYTHING if local_ip in _ANY_ADDRESS else scopes.of(local_ip),
        first_seen=sql.utc(row["first_seen"]),
        connections=sum(
            number for (address, kind), number in into.items() if _takes(row, address, kind)
        ),
        copies=row["copies"],
        key=row["key"],
        flags=row["flags"],
    )


def _takes(listener: dict[str, Any], address: bytes, kind: int) -> bool:
    """Whether a connection into ``address`` came through ``listener``, on the same port.

    netstat shows a connection with the protocol of the listener that took it, so an IPv4 one that
    came through a listener on ``::`` is tcp6; ss tells them apart by address alone, so there a
    listener on ``::`` counts IPv4 connections as well.
    """
    bound = bytes(listener["local_ip"])
    protocol: int = listener["protocol"]
    if bound == bytes(16):
        return protocol == kind or asked.IPV4.low <= address <= asked.IPV4.high
    if bound == IPV4.low:
        return protocol == kind
    return address == bound
