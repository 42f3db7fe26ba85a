"""``statistics/timeline`` and ``statistics/trend``: counts over time, for charts."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import HostQuerySet
from netadmin import csvfile, envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api import versions
from probes.api.routing import route
from probes.api.shared import Format, Of, Span, hosts_of
from probes.filters import (
    FilterError,
    Invalid,
    PortNumber,
    number,
    packed,
    state_names,
    text_like,
)
from probes.history import packing, queries
from probes.history.queries import series, trends
from probes.parsers.records import TCP_STATES
from probes.payloads.shapes import statistics as answers


class Timeline(Of, Span):
    """Which counts of which hosts, from when to when."""

    by: Literal["state", "total", "listeners", "changes"] = "state"
    format: Format = "json"


class Trend(Of, Span):
    """The largest of what, among which sockets of which hosts, from when to when."""

    by: Literal["ip", "port", "program", "port_ip", "scope", "state"]
    state: Annotated[str, Field(max_length=40), text_like(enum=list(TCP_STATES))] | None = None
    """Sockets in this state only."""
    port: PortNumber | None = None
    """Connections to this local port only."""
    key: Annotated[str, Field(max_length=300)] | None = None
    """This one instead of the largest."""
    limit: Annotated[int, number(1, trends.MOST_LINES)] = trends.LINES
    format: Format = "json"


@route("GET", Role.VIEWER, query=Timeline, data=answers.Timeline, version=versions.of_body)
def timeline(request: HttpRequest, query: Timeline) -> HttpResponseBase:
    """Counts of a host, or of several added up, over time, for charts; gaps are null."""
    # A removed host's own chart is part of its history; no count over several has it.
    hosts = hosts_of(request, query, removed=query.host is not None)
    since, until = query.ends()
    found = queries.timeline(hosts, by=query.by, since=since, until=until, step_s=query.step)
    return _answer(query, hosts, found, f"timeline-{query.by}")


@route("GET", Role.VIEWER, query=Trend, data=answers.Timeline, version=versions.of_body)
def trend(request: HttpRequest, query: Trend) -> HttpResponseBase:
    """The largest remote addresses, ports, programs over time, a line each; gaps are null."""
    if query.port is not None and query.by not in ("ip", "port", "port_ip"):
        raise FilterError("port", _("This goes with by=ip, by=port and by=port_ip."))
    hosts = hosts_of(request, query)
    since, until = query.ends()
    found = trends.trend(
        hosts,
        by=query.by,
        since=since,
        until=until,
        state=None if query.state is None else _state("state", query.state),
        port=query.port,
        key=_key(query),
        step_s=query.step,
        limit=query.limit,
    )
    return _answer(query, hosts, found, f"trend-{query.by}")


def _answer(
    query: Timeline | Trend, hosts: HostQuerySet, found: series.Series, name: str
) -> HttpResponseBase:
    if query.format == "csv":
        header, rows = payloads.timeline_rows(found)
        return csvfile.answer(name, header, rows)
    host = None if query.host is None else hosts.get()
    return envelope.answer(
        {
            "host": None if host is None else payloads.host_name(host),
            **payloads.timeline(found),
        }
    )


def _key(query: Trend) -> str | None:
    """``key`` as the lists have it: an address in its plainest form, a state in its usual name."""
    if query.key is None:
        return None
    if query.by == "state":
        return _state("key", query.key)
    if query.by not in ("ip", "port_ip"):
        return query.key
    port, _blank, ip = query.key.rpartition(" ")
    try:
        address = packing.address(packed(ipaddress.ip_address(ip)), None)
    except ValueError:
        raise FilterError("key", _("Give an address such as 10.0.0.1.")) from None
    if query.by == "ip":
        return address
    if not port.isascii() or not port.isdigit():
        raise FilterError("key", _("Give a local port and an address, such as 443 10.0.0.1."))
    return f"{int(port[:9])} {address}"


def _state(field: str, text: str) -> str:
    try:
        names = state_names(text)
    except Invalid as error:
        raise FilterError(field, error.message) from None
    if len(names) != 1:
        raise FilterError(field, _("Give one state."))
    return names[0]
