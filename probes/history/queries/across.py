"""Across the fleet, at one time: which ports are listened on.

Place in the data's way: the page of all ports and the route ``ports``. Summed by the database; each
host is as its newest whole snapshot by then left it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from hosts.models import Host
from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import moments, sql
from probes.history.queries.sql import Statement
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
    hosts: QuerySet[Host],
    *,
    at: dt.datetime | None = None,
    filters: SocketFilter = NOTHING_FILTERED,
    text: str = "",
) -> list[PortTotal]:
    """Every port that any of ``hosts`` listens on, by port and protocol.

    ``text`` leaves those with it in their number or in the name of any of their programs, whatever
    the case. ``at`` (aware) is a time of the past. Two queries, three with ``at``.
    """
    scope = moments.scope(hosts, at=at)
    if scope is None:
        return []
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
        if _has(text, port, programs[port, protocol])
    ]


def _has(text: str, port: int, programs: Iterable[str]) -> bool:
    wanted = text.strip().casefold()
    return not wanted or any(wanted in name.casefold() for name in (str(port), *programs))


def _commonest(programs: dict[str, set[int]]) -> list[str]:
    return sorted(programs, key=lambda name: (-len(programs[name]), name))
