"""``hosts/{id}/connections``, ``hosts/{id}/ports`` and ``ports``: sockets and who holds a port."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host, HostQuerySet
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api import versions
from probes.api.routing import route
from probes.api.shared import At, Listed, Of, hosts_of, moment_of, readable_host
from probes.filters import FilterError, Moment, PortNumber, Proto, SocketFilter, orders
from probes.history import queries
from probes.history.queries import across
from probes.history.queries.pages import slice_rows
from probes.payloads.shapes import sockets as shapes
from probes.tools.when import end_of_second


class ConnectionList(SocketFilter, At, Listed):
    """Which sockets of a host, when, and in which order."""

    sort: Annotated[str, Field(max_length=20), orders(queries.SORTS, both_ways=False)] = ""


class PortList(SocketFilter, At, Listed):
    """Which listeners of a host, and when."""


class PortLookup(Of, Listed):
    """Which port, or all of them, on which hosts, when."""

    port: PortNumber | None = None
    proto: Proto | None = None
    at: Moment | None = None
    q: Annotated[str, Field(max_length=100)] = ""
    """Of all ports, those with this in their number or in the name of a program."""


@route(
    "GET",
    Role.VIEWER,
    query=ConnectionList,
    about=readable_host,
    data=shapes.Connections,
    version=versions.of_host,
)
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


@route(
    "GET",
    Role.VIEWER,
    query=PortList,
    about=readable_host,
    data=shapes.HostPorts,
    version=versions.of_host,
)
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
        key=queries.port_key,
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


@route(
    "GET",
    Role.VIEWER,
    query=PortLookup,
    data=shapes.PortHolders | shapes.Ports,
    version=versions.of_hosts,
)
def ports(request: HttpRequest, query: PortLookup) -> HttpResponseBase:
    """Who holds a port on each host; without ``port`` all ports that are listened on."""
    if query.port is not None and query.q:
        raise FilterError("q", _("This goes without port: it is of the list of all ports."))
    hosts = hosts_of(request, query)
    at = None if query.at is None else end_of_second(query.at)
    place = f"{query.proto}:{query.host}:{query.group}:{query.at}"
    if query.port is None:
        return _all_ports(query, hosts, at, place)
    if query.format == "csv":
        rows = queries.port_holders(hosts, query.port, query.proto, at=at)
        columns = ("host", *payloads.PORT)
        return payloads.csv(f"port-{query.port}", columns, map(payloads.port, rows))
    page = queries.holders_page(
        hosts,
        query.port,
        query.proto,
        at=at,
        kind=f"port:{query.port}:{place}",
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


def _all_ports(
    query: PortLookup, hosts: HostQuerySet, at: dt.datetime | None, place: str
) -> HttpResponseBase:
    wanted = SocketFilter(proto=query.proto)
    rows = across.listened_ports(hosts, at=at, filters=wanted, text=query.q)
    if query.format == "csv":
        return payloads.csv("ports", payloads.PORT_TOTAL, map(payloads.port_total, rows))
    page = slice_rows(
        rows,
        kind=f"ports:{place}:{query.q}",
        key=_total_key,
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer(
        {
            "port": None,
            "ports": [payloads.port_total(row) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


def _total_key(row: across.PortTotal) -> list[Any]:
    return [row.port, row.protocol]
