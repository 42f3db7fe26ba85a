"""``hosts/{id}/routes|interfaces|protocols|multicast`` and ``statistics/interfaces``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host
from netadmin import csvfile, envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.routing import route
from probes.api.shared import Format, Listed, Span, absent, readable_host
from probes.filters import Identifier, Moment, orders
from probes.history import queries
from probes.history.queries import network, network_rows
from probes.observation import Table
from probes.payloads.shapes import network as shapes
from probes.payloads.shapes import statistics as statistic_shapes
from probes.table_filters import (
    InterfaceFilter,
    InterfaceName,
    MulticastFilter,
    ProtocolFilter,
    RouteFilter,
    TableFilter,
)
from probes.tools.when import end_of_second

Sort = Annotated[str, Field(max_length=30)]


class AsOf(Listed):
    """When, and a page at a time."""

    at: Moment | None = None
    """The newest table at or before this time."""


class RouteList(RouteFilter, AsOf):
    """Which routes of a host, when, and in which order."""

    sort: Annotated[Sort, orders(network_rows.SORTS[Table.ROUTES])] = ""


class InterfaceList(InterfaceFilter, AsOf):
    """Which interfaces of a host, when, and in which order."""

    sort: Annotated[Sort, orders(network_rows.SORTS[Table.INTERFACES])] = ""


class ProtocolList(ProtocolFilter, AsOf):
    """Which counters of a host, when, and in which order."""

    sort: Annotated[Sort, orders(network_rows.SORTS[Table.PROTOCOLS])] = ""


class MulticastList(MulticastFilter, AsOf):
    """Which memberships of a host, when, and in which order."""

    sort: Annotated[Sort, orders(network_rows.SORTS[Table.MULTICAST])] = ""


class Traffic(Span):
    """What of which interface, from when to when."""

    host: Identifier
    interface: InterfaceName
    by: queries.TrafficBy = "bytes"
    format: Format = "json"


@route("GET", Role.VIEWER, query=RouteList, about=readable_host, data=shapes.Routes)
def routes(request: HttpRequest, host: Host, query: RouteList) -> HttpResponseBase:
    """The routing table of a host, now or at any time; ``ip`` asks which way an address goes."""
    return _listed(host, Table.ROUTES, query, RouteFilter, payloads.ROUTE, payloads.route)


@route("GET", Role.VIEWER, query=InterfaceList, about=readable_host, data=shapes.Interfaces)
def interfaces(request: HttpRequest, host: Host, query: InterfaceList) -> HttpResponseBase:
    """The interfaces of a host with their totals, and packets and bytes per second."""
    return _listed(
        host, Table.INTERFACES, query, InterfaceFilter, payloads.INTERFACE, payloads.interface
    )


@route("GET", Role.VIEWER, query=ProtocolList, about=readable_host, data=shapes.ProtocolCounters)
def protocols(request: HttpRequest, host: Host, query: ProtocolList) -> HttpResponseBase:
    """The protocol counters of a host, and their changes per second."""
    return _listed(
        host,
        Table.PROTOCOLS,
        query,
        ProtocolFilter,
        payloads.PROTOCOL_COUNTER,
        payloads.protocol_counter,
    )


@route("GET", Role.VIEWER, query=MulticastList, about=readable_host, data=shapes.Memberships)
def multicast(request: HttpRequest, host: Host, query: MulticastList) -> HttpResponseBase:
    """The multicast groups that the interfaces of a host have joined."""
    return _listed(
        host, Table.MULTICAST, query, MulticastFilter, payloads.MEMBERSHIP, payloads.membership
    )


@route("GET", Role.VIEWER, query=Traffic, data=statistic_shapes.InterfaceTraffic)
def traffic(request: HttpRequest, query: Traffic) -> HttpResponseBase:
    """Counters of an interface per second over time, for charts; gaps are null."""
    host = readable_host(request, query.host)
    if host is None:
        raise absent("host", _("There is no such host."))
    since, until = query.ends()
    series = queries.traffic(
        host, query.interface, by=query.by, since=since, until=until, step_s=query.step
    )
    if not series.series and not _has_interface(host, query.interface, until):
        raise absent("interface", _("The host has no such interface."))
    if query.format == "csv":
        header, rows = payloads.timeline_rows(series)
        return csvfile.answer(f"interface-{host.pk}", header, rows)
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "interface": query.interface,
            **payloads.traffic(series),
        }
    )


def _has_interface(host: Host, name: str, until: dt.datetime) -> bool:
    """Whether an interface of that name was there at that time, or is now; True where nothing is
    known of the host's interfaces."""
    newest = network.interfaces(host)
    if newest.taken_at is None:
        return True
    then = network.interfaces(host, at=until)
    return any(row.interface.name == name for row in (*newest.rows, *then.rows))


def _listed(
    host: Host,
    table: Table,
    query: Any,
    kind: type[TableFilter],
    columns: tuple[str, ...],
    shaped: Callable[[Any], dict[str, Any]],
) -> HttpResponseBase:
    """A page of a table, or all of its rows as CSV."""
    filters = kind.model_construct(**{name: getattr(query, name) for name in kind.model_fields})
    at = _end_of_second(query.at)
    if query.format == "csv":
        reading = network.READERS[table](host, at=at)
        _known(reading, at)
        rows = network_rows.ordered(network_rows.matching(reading.rows, filters), table, query.sort)
        return payloads.csv(f"{table}-{host.pk}", columns, map(shaped, rows))
    reading, page = network.page(
        host,
        table,
        at=at,
        filters=filters,
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
    )
    _known(reading, at)
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "table": payloads.reading(reading),
            "failure": payloads.table_failure(reading.status),
            table.value: [shaped(row) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


def _known(reading: queries.Reading[Any], at: dt.datetime | None) -> None:
    """Ends the request where a time was asked for of which nothing is known."""
    if at is not None and reading.taken_at is None:
        raise absent("at", _("This table was not taken yet at that time, or is no longer kept."))


def _end_of_second(at: dt.datetime | None) -> dt.datetime | None:
    return None if at is None else end_of_second(at)
