"""Who holds a port: on every host the user sees, now or at any time of the past.

Place in the data's way: shapes ``queries.port_holders`` and ``queries.across.listened_ports`` over
the place of ``probes.views.place``.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import payloads
from probes.filters import FilterError, SocketFilter
from probes.history import queries
from probes.history.queries import across
from probes.views import place
from probes.views.hostpage import with_query

MAX_PORT = 65_535
PROTOCOLS = ("tcp", "udp")
PORTS_PER_PAGE = 100
HOLDERS_PER_PAGE = 200
LONGEST_TEXT = 100


@require(Role.VIEWER)
@require_safe
def ports(request: HttpRequest) -> HttpResponseBase:
    """With ``?port=`` its holders, without it all ports that are listened on; ``format=csv`` gives
    all rows of either."""
    problem: FilterError | None = None
    port: int | None = None
    proto = request.GET.get("proto", "").strip()
    here = place.everywhere(request)
    holders: list[queries.PortRow] = []
    totals: list[across.PortTotal] = []
    try:
        here = place.read(request)
        if proto and proto not in PROTOCOLS:
            raise FilterError("proto", _("One of %(names)s.") % {"names": ", ".join(PROTOCOLS)})
        if request.GET.get("format", "").strip() not in ("", "csv"):
            raise FilterError("format", _("Give csv, or leave it out."))
        port = _port(request.GET.get("port", ""))
        if port is not None:
            holders = queries.port_holders(here.hosts, port, proto or None, at=here.at)
        else:
            totals = across.listened_ports(
                here.hosts,
                at=here.at,
                filters=SocketFilter(proto=proto or None),
                text=request.GET.get("q", "")[:LONGEST_TEXT],
            )
    except FilterError as error:
        problem = error
    if problem is None and request.GET.get("format", "").strip() == "csv":
        return _csv(port, holders, totals)
    listed: list[queries.PortRow] | list[across.PortTotal] = holders if port else totals
    page = Paginator(listed, HOLDERS_PER_PAGE if port else PORTS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "problem": problem,
        "port": port,
        "proto": proto,
        "protocols": PROTOCOLS,
        "page": page,
        "holding_hosts": len({row.host_id for row in holders}),
        "any_host": here.hosts.exists(),
        "here_query": urlencode(here.parameters()),
        "at_query": urlencode(here.parameters(["at"])),
        "csv_url": f"{request.path}{with_query(request, format='csv')}" if listed else "",
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
        **place.context(request, here),
    }
    return render(request, "probes/ports.html", context, status=400 if problem else 200)


def _csv(
    port: int | None, holders: list[queries.PortRow], totals: list[across.PortTotal]
) -> HttpResponseBase:
    if port is None:
        return payloads.csv("ports", payloads.PORT_TOTAL, map(payloads.port_total, totals))
    columns = ("host", *payloads.PORT)
    return payloads.csv(f"port-{port}", columns, map(payloads.port, holders))


def _port(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MAX_PORT:
        return int(text)
    raise FilterError("port", _("Give a port from 1 to 65535."))
