"""``statistics/ips``, ``statistics/states``, ``statistics/timeline``: counts now and over time."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from hosts.models import HostQuerySet
from netadmin import csvfile, envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.routing import route
from probes.api.shared import At, Format, Of, Span, absent, hosts_of, moment_of, visible_host
from probes.filters import FilterError, Identifier, Limit, SocketFilter
from probes.history import queries
from probes.models import Snapshot


class IpStatistics(SocketFilter, Of, At):
    """Which remote addresses, of which hosts, when."""

    scope: Literal["all", "external", "private", "loopback"] = "all"
    limit: Limit = 20
    format: Format = "json"


class StateStatistics(SocketFilter, Of, At):
    """Which sockets, of which hosts, when."""

    format: Format = "json"


class Timeline(Span):
    """Which counts of a host, from when to when."""

    host: Identifier
    by: Literal["state", "total", "listeners"] = "state"
    format: Format = "json"


@route("GET", Role.VIEWER, query=IpStatistics)
def ips(request: HttpRequest, query: IpStatistics) -> HttpResponseBase:
    """The remote addresses with most connections, most first."""
    hosts, snapshot = _place(request, query)
    rows = queries.top_ips(
        hosts, snapshot=snapshot, filters=query.filters(), limit=query.limit, scope=query.scope
    )
    if query.format == "csv":
        return payloads.csv("ips", payloads.IP, map(payloads.ip, rows))
    return envelope.answer(
        {
            "ips": [payloads.ip(row) for row in rows],
            "snapshot": None if snapshot is None else payloads.brief(snapshot),
            "next": None,
        }
    )


@route("GET", Role.VIEWER, query=StateStatistics)
def states(request: HttpRequest, query: StateStatistics) -> HttpResponseBase:
    """Sockets by state, most first."""
    hosts, snapshot = _place(request, query)
    rows = payloads.states(queries.state_totals(hosts, snapshot=snapshot, filters=query.filters()))
    if query.format == "csv":
        return payloads.csv("states", payloads.STATE, rows)
    return envelope.answer(
        {
            "states": rows,
            "snapshot": None if snapshot is None else payloads.brief(snapshot),
            "next": None,
        }
    )


@route("GET", Role.VIEWER, query=Timeline)
def timeline(request: HttpRequest, query: Timeline) -> HttpResponseBase:
    """Counts of a host over time, for charts; gaps are null."""
    host = visible_host(request, query.host)
    if host is None:
        raise absent("host", _("There is no such host."))
    since, until = query.ends()
    series = queries.timeline(host, by=query.by, since=since, until=until, step_s=query.step)
    if query.format == "csv":
        header, rows = payloads.timeline_rows(series)
        return csvfile.answer(f"timeline-{host.pk}", header, rows)
    return envelope.answer({"host": payloads.host_name(host), **payloads.timeline(series)})


def _place(
    request: HttpRequest, query: IpStatistics | StateStatistics
) -> tuple[HostQuerySet, Snapshot | None]:
    hosts = hosts_of(request, query)
    if query.at is None and query.snapshot is None:
        return hosts, None
    if query.host is None:
        field = "at" if query.at is not None else "snapshot"
        raise FilterError(field, _("This is of one host: give host as well."))
    return hosts, moment_of(hosts.get(), query)
