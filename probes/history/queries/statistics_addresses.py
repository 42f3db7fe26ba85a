"""Connections per remote address, and per remote address and port.

Place in the data's way: part of ``probes.history.queries.statistics``, which says what holds for
all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import scopes as places
from probes.history.queries import sql
from probes.history.queries.sql import ANY_ROW, Scope, Statement
from probes.history.queries.statistics_rows import EndRow, IpRow
from probes.history.queries.statistics_sums import (
    CONNECTED,
    CUT_SHORT,
    Part,
    both,
    details,
    order,
    these,
)

IP_SORTS: Final = {"total": "total", "ip": "remote_ip"}
END_SORTS: Final = {"total": "total", "ip": "remote_ip", "port": "remote_port IS NULL, remote_port"}


def remote_ips(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    where: str = "all",
    sort: str = "-total",
    condition: Statement = ANY_ROW,
) -> list[IpRow]:
    """The ``limit`` remote addresses with most connections, equal ones by address.

    ``where`` is one of scopes.SCOPES. ``sort`` is one of IP_SORTS, with - before it for the
    reverse. An address on several interfaces (``fe80::1%eth0``) is one. Two queries, one in
    the past.
    """
    rows, _number = counted_remote_ips(
        scope, filters=filters, limit=limit, where=where, sort=sort, condition=condition
    )
    return rows


def counted_remote_ips(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    where: str = "all",
    sort: str = "-total",
    condition: Statement = ANY_ROW,
) -> tuple[list[IpRow], int]:
    """The same with how many addresses there are, which costs no second pass over the sockets."""
    place = places.condition(where)
    ordered = f"{order(sort, IP_SORTS)}, remote_ip LIMIT %s"
    parts: tuple[Part, ...] = ("states", "local ports", "hosts")
    if scope.is_now:
        wanted = both(CONNECTED, place, condition)
        inner = sql.sockets(scope, ("remote_ip", "copies"), filters, condition=wanted)
        # SQLite would walk the index on the address and fetch each row by itself; reading the
        # table in its own order and sorting takes two thirds of that.
        grouped = "remote_ip" if scope.is_postgres else "+remote_ip"
        summed = Statement(
            "SELECT remote_ip, SUM(copies) AS total, COUNT(*) OVER () AS listed"
            f" FROM ({inner.sql}) AS s GROUP BY {grouped} ORDER BY {ordered}",
            (*inner.params, limit),
        )
        found = sql.fetch(scope, summed)
        if not found:
            return [], 0
        totals = {bytes(ip): int(total) for ip, total, _listed in found}
        number = int(found[0][2])
        known = details(
            scope,
            filters,
            {"remote_ip": "remote_ip"},
            parts,
            these=these("remote_ip", totals),
            condition=both(CONNECTED, condition),
        )
    else:
        known = details(
            scope,
            filters,
            {"remote_ip": "remote_ip"},
            parts,
            these=Statement("remote_ip IN (SELECT remote_ip FROM top)"),
            condition=both(CONNECTED, condition),
            top=Statement(
                "SELECT remote_ip, SUM(copies) AS total, COUNT(*) OVER () AS listed"
                f" FROM a WHERE {place.sql} GROUP BY remote_ip ORDER BY {ordered}",
                (*place.params, limit),
            ),
        )
        totals = {ip: of.total for (ip,), of in known.items()}
        number = next((of.listed for of in known.values()), 0)
    rows = []
    for ip in _ordered(totals, sort):
        of = known[ip,]
        rows.append(
            IpRow(
                packing.address(ip, None) or CUT_SHORT,
                places.of(ip),
                totals[ip],
                of.by_state,
                of.local_ports,
                of.hosts,
            )
        )
    return rows, number


def _ordered(totals: Mapping[bytes, int], sort: str) -> list[bytes]:
    """The addresses in the order of IP_SORTS."""
    sign = -1 if sort.startswith("-") else 1
    if sort.removeprefix("-") == "ip":
        return sorted(totals, reverse=sign < 0)
    return sorted(totals, key=lambda ip: (sign * totals[ip], ip))


def ip_on_port(
    scope: Scope,
    port: int,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    where: str = "all",
    sort: str = "-total",
) -> list[IpRow]:
    """The remote addresses with most connections to local ``port``; as :func:`remote_ips`."""
    return remote_ips(
        scope,
        filters=filters,
        limit=limit,
        where=where,
        sort=sort,
        condition=Statement("local_port = %s", (port,)),
    )


def remote_ends(
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int = 20,
    where: str = "all",
    sort: str = "-total",
) -> list[EndRow]:
    """The ``limit`` remote addresses and ports with most connections, equal ones by address. One
    query."""
    wanted = both(CONNECTED, places.condition(where))
    columns = ("remote_ip", "remote_port", "local_ip", "host_id", "copies")
    inner = sql.sockets(scope, columns, filters, condition=wanted)
    found = sql.fetch(
        scope,
        Statement(
            "SELECT remote_ip, remote_port, SUM(copies) AS total,"
            " COUNT(DISTINCT local_ip) AS local_ips, COUNT(DISTINCT host_id) AS hosts"
            f" FROM ({inner.sql}) AS s GROUP BY remote_ip, remote_port"
            f" ORDER BY {order(sort, END_SORTS)}, remote_ip, remote_port LIMIT %s",
            (*inner.params, limit),
        ),
    )
    return [
        EndRow(
            packing.address(bytes(ip), None) or CUT_SHORT,
            port,
            places.of(bytes(ip)),
            int(total),
            local_ips,
            hosts,
        )
        for ip, port, total, local_ips, hosts in found
    ]
