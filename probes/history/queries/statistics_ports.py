"""Sockets per local port, per program, and the use of single ports at either end.

Place in the data's way: part of ``probes.history.queries.statistics``, which says what holds for
all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import scopes as places
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.history.queries.statistics_rows import CommonPort, PortCount, ProgramCount
from probes.history.queries.statistics_sums import (
    BASE,
    CONNECTED,
    HAS_ARRIVED,
    IS_CONNECTION,
    IS_LISTENER,
    Details,
    Part,
    both,
    details,
    distinct_ips,
    marked,
    order,
    these,
    total,
)

COMMON_PORTS: Final = (21, 22, 23, 25, 53, 80, 110, 443, 3306, 8080)
"""The ports everybody asks for first."""
PORT_SORTS: Final = {
    "arrived": "arrived",
    "connections": "connections",
    "port": "local_port",
    "listeners": "listeners",
    "ips": "ips",
    "hosts": "hosts",
}
PROGRAM_SORTS: Final = {
    "sockets": "sockets",
    "program": "program IS NULL, program",
    "listeners": "listeners",
    "ips": "ips",
    "hosts": "hosts",
}


def local_ports(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    where: str = "all",
    sort: str = "-arrived",
) -> list[PortCount]:
    """The ``limit`` local ports that most connections came in on, equal ones by listeners, then by
    connections of any direction, then by number: services first, ports of chance last.

    Listeners have no remote address, so that a ``where`` other than "all" leaves them out. Two
    queries.
    """
    wanted = both(Statement("local_port IS NOT NULL"), places.condition(where))
    if where != "all":
        wanted = both(CONNECTED, wanted)
    columns = ("local_port", "protocol", "direction", "remote_ip", "host_id", "copies")
    inner = marked(scope, columns, filters, wanted)
    found = sql.fetch(
        scope,
        Statement(
            f"SELECT local_port, {BASE} AS base, {total(IS_CONNECTION)} AS connections,"
            f" {total(HAS_ARRIVED)} AS arrived, {total(IS_LISTENER)} AS listeners{_counted(sort)}"
            f" FROM ({inner.sql}) AS s GROUP BY local_port, {BASE}"
            f" ORDER BY {order(sort, PORT_SORTS)}, listeners DESC, connections DESC, local_port,"
            " base LIMIT %s",
            (*inner.params, limit),
        ),
    )
    if not found:
        return []
    known = details(
        scope,
        filters,
        {"local_port": "local_port", "protocol": BASE},
        ("connected states", "ips", "hosts"),
        these=these("local_port", {row[0] for row in found}),
        condition=wanted,
    )
    rows = []
    for port, base, connections, arrived, listeners, *_counts in found:
        of = known[port, base]
        rows.append(
            PortCount(
                port,
                packing.PROTOCOLS[base],
                int(connections),
                int(arrived),
                int(listeners),
                of.ips,
                of.hosts,
                of.by_state,
            )
        )
    return rows


def programs(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    where: str = "all",
    sort: str = "-sockets",
) -> list[ProgramCount]:
    """The ``limit`` programs with most sockets, equal ones by name; those whose process could not
    be seen are one row, ``program`` None. Two queries."""
    wanted = places.condition(where)
    if where != "all":
        wanted = both(CONNECTED, wanted)
    columns = ("program", "direction", "remote_ip", "host_id", "copies")
    inner = marked(scope, columns, filters, wanted)
    found = sql.fetch(
        scope,
        Statement(
            f"SELECT program, SUM(copies) AS sockets, {total(IS_LISTENER)} AS listeners"
            f"{_counted(sort)} FROM ({inner.sql}) AS s GROUP BY program"
            f" ORDER BY {order(sort, PROGRAM_SORTS)}, program IS NULL, program LIMIT %s",
            (*inner.params, limit),
        ),
    )
    if not found:
        return []
    named = these("program", [row[0] for row in found if row[0] is not None])
    known = details(
        scope,
        filters,
        {"program": "program"},
        ("states", "ips", "hosts"),
        these=Statement(f"({named.sql} OR program IS NULL)", named.params),
        condition=wanted,
    )
    rows = []
    for program, sockets, listeners, *_counts in found:
        of = known[program,]
        rows.append(
            ProgramCount(program, int(sockets), int(listeners), of.ips, of.hosts, of.by_state)
        )
    return rows


def common_ports(
    scope: Scope,
    ports: Iterable[int] = COMMON_PORTS,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
) -> list[CommonPort]:
    """What each of ``ports`` is used for, in the order given: who listens, who comes in, who goes
    out. A connection between two sockets of one host is seen from both of its ends. Two queries.
    """
    asked = list(dict.fromkeys(ports))
    inbound = _port_uses(scope, filters, asked, "local_port")
    outbound = _port_uses(scope, filters, asked, "remote_port")
    return [
        CommonPort(
            port,
            listeners=inbound[port,].listeners,
            inbound=inbound[port,].connections,
            inbound_states=inbound[port,].by_state,
            outbound=outbound[port,].connections,
            outbound_states=outbound[port,].by_state,
            ips=inbound[port,].ips,
            hosts=inbound[port,].hosts,
            outbound_hosts=outbound[port,].hosts,
        )
        for port in asked
    ]


def _port_uses(
    scope: Scope, filters: SocketFilter, ports: Sequence[int], end: str
) -> defaultdict[tuple[Any, ...], Details]:
    """What ports are used for at one end, local_port or remote_port."""
    these = sql.among(end, ports)
    parts: tuple[Part, ...] = ("sums", "connected states", "ips", "hosts")
    return details(scope, filters, {end: end}, parts, these=these)


def _counted(sort: str) -> str:
    """The distinct counts that a list is sorted by; else they are counted of its rows alone."""
    counts = {"ips": distinct_ips(), "hosts": "COUNT(DISTINCT host_id)"}
    name = sort.removeprefix("-")
    return f", {counts[name]} AS {name}" if name in counts else ""
