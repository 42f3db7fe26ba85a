"""``hosts/{id}/connections``, ``hosts/{id}/ports`` and ``ports``: sockets and who holds a port."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from pydantic import Field

from hosts.models import Host
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.routing import route
from probes.api.shared import At, Listed, Of, hosts_of, moment_of, visible_host
from probes.filters import PortNumber, Proto, SocketFilter
from probes.history import queries
from probes.history.queries.pages import slice_rows


class ConnectionList(SocketFilter, At, Listed):
    """Which sockets of a host, when, and in which order."""

    sort: Annotated[str, Field(max_length=20)] = ""


class PortList(SocketFilter, At, Listed):
    """Which listeners of a host, and when."""


class PortLookup(Of, Listed):
    """Which port, on which hosts."""

    port: PortNumber
    proto: Proto | None = None


@route("GET", Role.VIEWER, query=ConnectionList, about=visible_host)
def connections(request: HttpRequest, host: Host, query: ConnectionList) -> HttpResponseBase:
    """The sockets of a host, now or at any time: filtered, sorted, a page at a time."""
    snapshot = moment_of(host, query)
    filters = query.filters()
    if query.format == "csv":
        rows = queries.iter_connections(host, snapshot=snapshot, filters=filters, sort=query.sort)
        return payloads.csv(
            f"connections-{host.pk}",
            payloads.CONNECTION_HISTORY,
            map(payloads.connection, rows),
        )
    page = queries.connections(
        host,
        snapshot=snapshot,
        filters=filters,
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "snapshot": None if page.snapshot is None else payloads.brief(page.snapshot),
            "connections": [payloads.connection(row) for row in page.rows],
            "total": page.total,
            "sockets": page.sockets,
            "next": page.next,
        }
    )


@route("GET", Role.VIEWER, query=PortList, about=visible_host)
def host_ports(request: HttpRequest, host: Host, query: PortList) -> HttpResponseBase:
    """What listens on a host, now or at any time, and which process holds it."""
    snapshot = moment_of(host, query)
    rows = queries.ports(host, snapshot=snapshot, filters=query.filters())
    if query.format == "csv":
        return payloads.csv(f"ports-{host.pk}", payloads.PORT, map(payloads.port, rows))
    shown = snapshot or queries.snapshot_at(host, None)
    page = slice_rows(
        rows,
        kind=f"ports:{host.pk}:{query.filters().parameters()}",
        key=_port_key,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "snapshot": None if shown is None else payloads.brief(shown),
            "ports": [payloads.port(row) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


@route("GET", Role.VIEWER, query=PortLookup)
def ports(request: HttpRequest, query: PortLookup) -> HttpResponseBase:
    """Who holds a port on each host, as of its newest whole snapshot."""
    rows = queries.port_holders(hosts_of(request, query), query.port, query.proto)
    if query.format == "csv":
        columns = ("host", *payloads.PORT)
        return payloads.csv(f"port-{query.port}", columns, map(payloads.port, rows))
    page = slice_rows(
        rows,
        kind=f"port:{query.port}:{query.proto}:{query.host}:{query.group}",
        key=_holder_key,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "port": query.port,
            "ports": [payloads.port(row) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


def _port_key(row: queries.PortRow) -> list[Any]:
    return [row.local_port or 0, row.protocol, row.local_ip, row.pid or 0, row.key]


def _holder_key(row: queries.PortRow) -> list[Any]:
    return [row.host.name if row.host else "", row.host_id, *_port_key(row)]
