"""Which remote addresses have most connections, and how many sockets are in each state.

Place in the data's way: the statistics of hosts, summed by the database. A host of 100,000
sockets is never read row by row here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from hosts.models import Host
from probes.filters import IPV4, NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import scopes, sql
from probes.history.queries.sockets import snapshot_at
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, Snapshot

LOCAL_PORTS: Final = 5
"""How many local ports an IpRow names."""

_CONNECTED: Final = Statement(
    "direction <> %s AND remote_ip NOT IN (%s, %s)", (Direction.LISTEN.value, bytes(16), IPV4.low)
)


@dataclass(frozen=True, slots=True)
class IpRow:
    """One remote address and what connects it to the hosts asked about."""

    ip: str
    scope: str
    """external, private or loopback."""
    total: int
    by_state: dict[str, int]
    """Connections by state, most first; those without a state are in ``total`` only."""
    local_ports: list[tuple[int, int]]
    """The most used local ports with their connections, at most LOCAL_PORTS of them; of incoming
    and local connections, since those of outgoing ones are chance."""


def top_ips(
    hosts: QuerySet[Host],
    *,
    snapshot: Snapshot | None = None,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    scope: str = "all",
) -> list[IpRow]:
    """The ``limit`` remote addresses with most connections, most first, equal ones by address.

    Over all ``hosts`` as they are now, or over the one host of ``snapshot`` as it was then
    (``hosts`` still decides whether it may be seen). ``scope`` is one of scopes.SCOPES. An
    address on several interfaces (``fe80::1%eth0``) is one. Four queries.
    """
    within = _scope(hosts, snapshot)
    if within is None:
        return []
    where = scopes.condition(scope)
    condition = Statement(f"{_CONNECTED.sql} AND {where.sql}", (*_CONNECTED.params, *where.params))
    inner = sql.sockets(within, ("remote_ip", "copies"), filters, condition=condition)
    totals = sql.fetch(
        within,
        Statement(
            f"SELECT remote_ip, SUM(copies) AS total FROM ({inner.sql}) AS s GROUP BY remote_ip"
            " ORDER BY total DESC, remote_ip LIMIT %s",
            (*inner.params, limit),
        ),
    )
    if not totals:
        return []
    these = sql.among("remote_ip", [bytes(ip) for ip, _total in totals])
    condition = Statement(f"{_CONNECTED.sql} AND {these.sql}", (*_CONNECTED.params, *these.params))
    by_state = _by_state(within, filters, condition)
    local_ports = _local_ports(within, filters, condition)
    return [
        IpRow(
            packing.address(bytes(ip), None) or CUT_SHORT,
            scopes.of(bytes(ip)),
            int(total),
            by_state.get(bytes(ip), {}),
            local_ports.get(bytes(ip), []),
        )
        for ip, total in totals
    ]


CUT_SHORT: Final = "…"
"""Stands for all addresses that the tool cut at its column's width: which they were is unknown."""


def states(host: Host, snapshot: Snapshot | None = None) -> dict[str, int]:
    """Sockets by state at a snapshot of ``host`` (None: its newest whole one), most first."""
    if snapshot is None:
        snapshot = snapshot_at(host, None)
    return {} if snapshot is None else _most_first(snapshot.by_state)


def state_totals(
    hosts: QuerySet[Host],
    *,
    snapshot: Snapshot | None = None,
    filters: SocketFilter = NOTHING_FILTERED,
) -> dict[str, int]:
    """Sockets by state over all ``hosts`` now, or over the one of ``snapshot`` as it was then;
    most first. Two queries."""
    within = _scope(hosts, snapshot)
    if within is None:
        return {}
    inner = sql.sockets(within, ("state", "copies"), filters)
    summed = Statement(
        f"SELECT state, SUM(copies) FROM ({inner.sql}) AS s WHERE state IS NOT NULL GROUP BY state",
        inner.params,
    )
    return _most_first(
        {packing.STATES[state]: int(total) for state, total in sql.fetch(within, summed)}
    )


def _scope(hosts: QuerySet[Host], snapshot: Snapshot | None) -> Scope | None:
    if snapshot is not None:
        hosts = hosts.filter(pk=snapshot.host_id)
    ids = tuple(hosts.order_by().values_list("pk", flat=True))
    return Scope(hosts.db, ids, snapshot) if ids else None


def _by_state(
    scope: Scope, filters: SocketFilter, condition: Statement
) -> dict[bytes, dict[str, int]]:
    inner = sql.sockets(scope, ("remote_ip", "state", "copies"), filters, condition=condition)
    summed = Statement(
        f"SELECT remote_ip, state, SUM(copies) AS total FROM ({inner.sql}) AS s"
        " WHERE state IS NOT NULL GROUP BY remote_ip, state ORDER BY total DESC, state",
        inner.params,
    )
    found: dict[bytes, dict[str, int]] = defaultdict(dict)
    for ip, state, total in sql.fetch(scope, summed):
        found[bytes(ip)][packing.STATES[state]] = int(total)
    return found


def _local_ports(
    scope: Scope, filters: SocketFilter, condition: Statement
) -> dict[bytes, list[tuple[int, int]]]:
    arrived = Statement(
        f"{condition.sql} AND direction <> %s AND local_port IS NOT NULL",
        (*condition.params, Direction.OUT.value),
    )
    inner = sql.sockets(scope, ("remote_ip", "local_port", "copies"), filters, condition=arrived)
    ranked = Statement(
        "SELECT remote_ip, local_port, total FROM (SELECT remote_ip, local_port, SUM(copies) AS"
        " total, ROW_NUMBER() OVER (PARTITION BY remote_ip ORDER BY SUM(copies) DESC, local_port)"
        f" AS place FROM ({inner.sql}) AS s GROUP BY remote_ip, local_port) AS r"
        " WHERE place <= %s ORDER BY remote_ip, place",
        (*inner.params, LOCAL_PORTS),
    )
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for ip, port, total in sql.fetch(scope, ranked):
        found[bytes(ip)].append((port, int(total)))
    return found


def _most_first(totals: dict[str, int]) -> dict[str, int]:
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
