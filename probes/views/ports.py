"""Who holds a port: on every host the user sees, as of each host's newest whole snapshot.

Place in the data's way: shapes ``queries.port_holders`` and ``queries.across.listened_ports``.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError
from probes.history import queries
from probes.history.queries import across
from probes.views.hostpage import with_query

MAX_PORT = 65_535
PROTOCOLS = ("tcp", "udp")
PORTS_PER_PAGE = 100
HOLDERS_PER_PAGE = 200


@require(Role.VIEWER)
@require_safe
def ports(request: HttpRequest) -> HttpResponse:
    """With ``?port=`` its holders, without it all ports that are listened on."""
    hosts = Host.objects.kept().visible_to(request.user)
    problem: FilterError | None = None
    port: int | None = None
    proto = request.GET.get("proto", "").strip()
    holders: list[queries.PortRow] = []
    totals: list[across.PortTotal] = []
    try:
        if proto and proto not in PROTOCOLS:
            raise FilterError("proto", _("One of %(names)s.") % {"names": ", ".join(PROTOCOLS)})
        port = _port(request.GET.get("port", ""))
        if port is not None:
            holders = queries.port_holders(hosts, port, proto or None)
        else:
            totals = _listened(hosts, proto=proto, text=request.GET.get("q", ""))
    except FilterError as error:
        problem = error
    asked = {"port": str(port), "format": "csv"} | ({"proto": proto} if proto else {})
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
        "any_host": hosts.exists(),
        "csv_url": f"{reverse('api-ports')}?{urlencode(asked)}" if holders else "",
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
    }
    return render(request, "probes/ports.html", context, status=400 if problem else 200)


def _port(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MAX_PORT:
        return int(text)
    raise FilterError("port", _("Give a port from 1 to 65535."))


def _listened(hosts: QuerySet[Host], *, proto: str, text: str) -> list[across.PortTotal]:
    wanted = text.strip().casefold()[:100]
    return [
        row
        for row in across.listened_ports(hosts)
        if (not proto or row.protocol.startswith(proto))
        and (not wanted or wanted in f"{row.port} {' '.join(row.programs)}".casefold())
    ]
