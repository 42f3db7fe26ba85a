"""Across the fleet, now: which ports are listened on, and which hosts talk to an address.

Place in the data's way: the page of all ports and the search box. Summed by the database; "now"
is each host's newest whole snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet
from pydantic import ValidationError

from hosts.models import Host
from probes.filters import NOTHING_FILTERED, SocketFilter, first_problem
from probes.history import packing
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction

PROGRAMS: Final = 3
"""How many programs a PortTotal names."""

_LISTENING: Final = Statement(
    "direction = %s AND local_port IS NOT NULL", (Direction.LISTEN.value,)
)


@dataclass(frozen=True, slots=True)
class PortTotal:
    """One port of one protocol, on however many hosts."""

    protocol: str
    """Without its family: tcp6 and tcp are one."""
    port: int
    hosts: int
    listeners: int
    programs: list[str]
    """The commonest programs on it, at most PROGRAMS."""
    more_programs: int


def listened_ports(
    hosts: QuerySet[Host], *, filters: SocketFilter = NOTHING_FILTERED
) -> list[PortTotal]:
    """Every port that any of ``hosts`` listens on, by port and protocol. Two queries."""
    ids = tuple(hosts.order_by().values_list("pk", flat=True))
    if not ids:
        return []
    scope = Scope(hosts.db, ids)
    columns = ("host_id", "protocol", "local_port", "program", "copies")
    inner = sql.sockets(scope, columns, filters, condition=_LISTENING)
    summed = Statement(
        "SELECT host_id, protocol, local_port, program, SUM(copies)"
        f" FROM ({inner.sql}) AS s GROUP BY host_id, protocol, local_port, program",
        inner.params,
    )
    on: dict[tuple[int, str], set[int]] = defaultdict(set)
    listeners: dict[tuple[int, str], int] = defaultdict(int)
    programs: dict[tuple[int, str], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for host_id, number, port, program, copies in sql.fetch(scope, summed):
        key = (port, packing.base(packing.PROTOCOLS[number]))
        on[key].add(host_id)
        listeners[key] += int(copies)
        if program:
            programs[key][program].add(host_id)
    return [
        PortTotal(
            protocol=protocol,
            port=port,
            hosts=len(on[port, protocol]),
            listeners=listeners[port, protocol],
            programs=_commonest(programs[port, protocol])[:PROGRAMS],
            more_programs=max(0, len(programs[port, protocol]) - PROGRAMS),
        )
        for port, protocol in sorted(on)
    ]


def connected_with(hosts: QuerySet[Host], address: str) -> dict[int, int]:
    """Ids of the hosts that have sockets with remote ``address`` or network, with how many.

    Two queries; raises FilterError naming ``remote_ip`` for what is no address.
    """
    try:
        wanted = SocketFilter(remote_ip=address)
    except ValidationError as error:
        raise first_problem(error) from None
    ids = tuple(hosts.order_by().values_list("pk", flat=True))
    if not ids:
        return {}
    scope = Scope(hosts.db, ids)
    inner = sql.sockets(scope, ("host_id", "copies"), wanted)
    summed = Statement(
        f"SELECT host_id, SUM(copies) FROM ({inner.sql}) AS s GROUP BY host_id", inner.params
    )
    return {host_id: int(number) for host_id, number in sql.fetch(scope, summed)}


def _commonest(programs: dict[str, set[int]]) -> list[str]:
    return sorted(programs, key=lambda name: (-len(programs[name]), name))
