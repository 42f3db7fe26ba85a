"""``connections/query`` and ``ports/check``: the specification's two tools as JSON."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from netadmin import envelope
from netadmin.access.models import Role
from probes.api.routing import route
from probes.payloads.shapes import live as shapes
from probes.tools import live
from probes.tools.live import LiveConnections, LivePort

_ALSO = (409, 502, 503, 504)
"""The host is paused or disabled, or its probe fails."""


@route("GET", Role.VIEWER, query=LiveConnections, data=shapes.LiveConnections, also=_ALSO)
def connections(request: HttpRequest, query: LiveConnections) -> HttpResponse:
    """The connections of a host at this moment, asked of the host itself."""
    data, message = live.query_network_connections(request, query)
    return envelope.answer(data, message=message)


@route("GET", Role.VIEWER, query=LivePort, data=shapes.LivePort, also=_ALSO)
def port(request: HttpRequest, query: LivePort) -> HttpResponse:
    """Whether a port of a host is taken at this moment, and by which process."""
    data, message = live.check_port_occupation(request, query)
    return envelope.answer(data, message=message)
