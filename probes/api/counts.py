"""``statistics/...`` at one time: per address, port, program, state, protocol and scope.

Place in the data's way: shapes ``queries.statistics`` over the hosts, the time and the filters
asked for. What goes over time is in ``probes.api.statistics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from pydantic import AfterValidator

from hosts.models import Host
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api import versions
from probes.api.routing import route
from probes.api.shared import At, Format, Of, hosts_of, scope_of
from probes.filters import (
    Cursor,
    Limit,
    Moment,
    SocketFilter,
    orders,
    single_ports,
    text_like,
)
from probes.history.queries import busiest, moments, statistics
from probes.history.queries.pages import Page
from probes.history.queries.sockets import SocketRow
from probes.history.queries.sql import Scope
from probes.history.queries.statistics_counted import Sum
from probes.models import Snapshot
from probes.payloads import statistics as shapes
from probes.payloads.shapes import statistics as answers
from probes.tools.when import end_of_second

PortList = Annotated[
    str,
    AfterValidator(lambda text: ",".join(map(str, single_ports(text)))),
    text_like(format="ports", examples=["22,80,443"]),
]


def _order(sorts: Mapping[str, str]) -> AfterValidator:
    return AfterValidator(lambda text: statistics.check_sort(text, sorts))


class Counted(SocketFilter, Of, At):
    """Which sockets, of which hosts, when."""

    format: Format = "json"


class Located(Counted):
    """The same, and where their remote addresses are."""

    scope: Literal["all", "external", "private", "loopback"] = "all"
    limit: Limit = 20


class IpStatistics(Located):
    """Which remote addresses first."""

    sort: Annotated[str, _order(statistics.IP_SORTS), orders(statistics.IP_SORTS)] = "-total"


class EndStatistics(Located):
    """Which remote addresses and ports first."""

    sort: Annotated[str, _order(statistics.END_SORTS), orders(statistics.END_SORTS)] = "-total"


class PortStatistics(Located):
    """Which local ports first."""

    sort: Annotated[str, _order(statistics.PORT_SORTS), orders(statistics.PORT_SORTS)] = "-arrived"


class ProgramStatistics(Located):
    """Which programs first."""

    sort: Annotated[str, _order(statistics.PROGRAM_SORTS), orders(statistics.PROGRAM_SORTS)] = (
        "-sockets"
    )


class SocketList(Located):
    """Which part of the list."""

    cursor: Cursor | None = None


class CommonPorts(Counted):
    """Which ports."""

    ports: PortList | None = None


class Traffic(Of):
    """Which interfaces, when."""

    at: Moment | None = None
    sort: Annotated[
        str, AfterValidator(busiest.check_sort), orders(busiest.SORTS, both_ways=False)
    ] = "bytes"
    limit: Limit = 20
    format: Format = "json"


@route("GET", Role.VIEWER, query=IpStatistics, data=answers.IpCounts, version=versions.of_hosts)
def ips(request: HttpRequest, query: IpStatistics) -> HttpResponseBase:
    """The remote addresses with most connections, most first."""
    return _sums(request, query, "ips", statistics.remote_ips, shapes.IP, shapes.ip)


@route("GET", Role.VIEWER, query=EndStatistics, data=answers.EndCounts, version=versions.of_hosts)
def ends(request: HttpRequest, query: EndStatistics) -> HttpResponseBase:
    """The remote addresses and ports with most connections, most first."""
    return _sums(request, query, "ends", statistics.remote_ends, shapes.END, shapes.end)


@route(
    "GET",
    Role.VIEWER,
    query=PortStatistics,
    data=answers.LocalPortCounts,
    version=versions.of_hosts,
)
def ports(request: HttpRequest, query: PortStatistics) -> HttpResponseBase:
    """The local ports that most connections came in on, most first."""
    return _sums(
        request, query, "ports", statistics.local_ports, shapes.LOCAL_PORT, shapes.local_port
    )


@route(
    "GET",
    Role.VIEWER,
    query=ProgramStatistics,
    data=answers.ProgramCounts,
    version=versions.of_hosts,
)
def programs(request: HttpRequest, query: ProgramStatistics) -> HttpResponseBase:
    """The programs with most sockets, most first."""
    return _sums(request, query, "programs", statistics.programs, shapes.PROGRAM, shapes.program)


@route("GET", Role.VIEWER, query=Counted, data=answers.StateCounts, version=versions.of_hosts)
def states(request: HttpRequest, query: Counted) -> HttpResponseBase:
    """Sockets by state: all eleven of TCP, and what else was seen."""

    def rows(scope: Scope) -> Iterable[dict[str, Any]]:
        return map(shapes.state, statistics.states(scope, filters=query.filters()))

    return _answer(request, query, "states", shapes.STATE, rows)


@route("GET", Role.VIEWER, query=Counted, data=answers.ProtocolCounts, version=versions.of_hosts)
def protocols(request: HttpRequest, query: Counted) -> HttpResponseBase:
    """Sockets by protocol: TCP, UDP, and what else was seen."""

    def rows(scope: Scope) -> Iterable[dict[str, Any]]:
        return map(shapes.protocol, statistics.protocols(scope, filters=query.filters()))

    return _answer(request, query, "protocols", shapes.PROTOCOL, rows)


@route("GET", Role.VIEWER, query=CommonPorts, data=answers.CommonPorts, version=versions.of_body)
def common_ports(request: HttpRequest, query: CommonPorts) -> HttpResponseBase:
    """Listeners and connections of some ports, at the local and at the remote end."""
    asked = settings.COMMON_PORTS if query.ports is None else single_ports(query.ports)

    def rows(scope: Scope) -> Iterable[dict[str, Any]]:
        found = statistics.common_ports(scope, asked, filters=query.filters())
        return map(shapes.common_port, found)

    return _answer(request, query, "common-ports", shapes.COMMON_PORT, rows, key="ports")


@route("GET", Role.VIEWER, query=Counted, data=answers.ScopeCounts, version=versions.of_hosts)
def scopes(request: HttpRequest, query: Counted) -> HttpResponseBase:
    """Connections to external, private and loopback addresses."""

    def rows(scope: Scope) -> Iterable[dict[str, Any]]:
        return map(shapes.scope, statistics.scopes(scope, filters=query.filters()))

    return _answer(request, query, "scopes", shapes.SCOPE, rows)


@route("GET", Role.VIEWER, query=SocketList, data=answers.SocketList, version=versions.of_hosts)
def connections(request: HttpRequest, query: SocketList) -> HttpResponseBase:
    """The sockets themselves over several hosts at one time, those that came last first."""
    scope, snapshot = scope_of(request, query)
    asked: dict[str, Any] = {"filters": query.filters(), "where": query.scope}
    ids = () if scope is None else scope.host_ids
    names = dict(Host.objects.filter(pk__in=ids).values_list("pk", "name"))
    if query.format == "csv":
        every = () if scope is None else statistics.every_listed(scope, **asked)
        return payloads.csv(
            "connections", shapes.SOCKET, (shapes.socket(row, names) for row in every)
        )
    page: Page[SocketRow] = Page((), total=0)
    if scope is not None:
        page = statistics.listed_page(
            scope,
            **asked,
            of=f"{query.host}:{query.group}:{query.at}:{query.snapshot}",
            cursor=query.cursor,
            limit=query.limit,
        )
    found = [shapes.socket(row, names) for row in page.rows]
    return _list("connections", found, scope, snapshot, total=page.total, following=page.next)


@route("GET", Role.VIEWER, query=Traffic, data=answers.BusyInterfaces)
def traffic(request: HttpRequest, query: Traffic) -> HttpResponseBase:
    """The interfaces that move most, by what they do per second."""
    at = None if query.at is None else end_of_second(query.at)
    found = busiest.interfaces(hosts_of(request, query), at=at, sort=query.sort, limit=query.limit)
    rows = map(shapes.busy_interface, found)
    if query.format == "csv":
        return payloads.csv("traffic", shapes.BUSY_INTERFACE, rows)
    return envelope.answer({"interfaces": list(rows), "next": None})


def _sums(
    request: HttpRequest,
    query: IpStatistics | EndStatistics | PortStatistics | ProgramStatistics,
    name: Sum,
    rows: Callable[..., Sequence[Any]],
    columns: Sequence[str],
    shaped: Callable[[Any], dict[str, Any]],
) -> HttpResponseBase:
    """The largest sums of ``rows``, with how many there are; as CSV all of them."""
    scope, snapshot = scope_of(request, query)
    csv = query.format == "csv"
    asked: dict[str, Any] = {"filters": query.filters(), "where": query.scope}
    limit = statistics.EVERY_ROW if csv else query.limit
    found = [] if scope is None else rows(scope, **asked, limit=limit, sort=query.sort)
    if csv:
        return payloads.csv(name, columns, map(shaped, found))
    total = len(found)
    if scope is not None and total >= limit:
        total = statistics.number_of(name, scope, **asked)
    return _list(name, [shaped(row) for row in found], scope, snapshot, total=total)


def _answer(
    request: HttpRequest,
    query: Counted,
    name: str,
    columns: Sequence[str],
    rows: Callable[[Scope], Iterable[dict[str, Any]]],
    *,
    key: str = "",
) -> HttpResponseBase:
    """``rows`` of the scope asked for, as JSON under ``key`` or as CSV."""
    scope, snapshot = scope_of(request, query)
    found = [] if scope is None else list(rows(scope))
    if query.format == "csv":
        return payloads.csv(name, columns, found)
    return _list(key or name, found, scope, snapshot, total=len(found))


def _list(
    key: str,
    rows: list[dict[str, Any]],
    scope: Scope | None,
    snapshot: Snapshot | None,
    *,
    total: int | None,
    following: str | None = None,
) -> HttpResponseBase:
    return envelope.answer(
        {
            key: rows,
            "snapshot": None if snapshot is None else payloads.brief(snapshot),
            "hosts": shapes.coverage(moments.coverage(scope)),
            "total": total,
            "next": following,
        }
    )
