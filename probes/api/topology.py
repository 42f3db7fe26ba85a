"""``map``: hosts or groups and who is connected with whom, now or at any past time."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from netadmin import envelope
from netadmin.access.models import Role
from probes import connection_map, payloads
from probes.api import versions
from probes.api.routing import route
from probes.api.shared import Format, Of, hosts_of, visible_hosts
from probes.connection_map import MapFilter
from probes.filters import Moment
from probes.payloads import topology as map_payloads
from probes.payloads.shapes import topology as shapes


class MapQuery(MapFilter, Of):
    """Which part of the map, and when."""

    at: Moment | None = None
    """Each host as of its newest whole snapshot by then."""
    format: Format = "json"


@route("GET", Role.VIEWER, query=MapQuery, data=shapes.ConnectionMap, version=versions.of_body)
def chart(request: HttpRequest, query: MapQuery) -> HttpResponseBase:
    """Who is connected with whom: nodes and edges, now or at any time."""
    at = query.at
    if at is not None and at.microsecond == 0:
        # A time read off a page, which shows no fractions, finds what the page showed.
        at = at.replace(microsecond=999_999)
    narrowed = query.host is not None or query.group is not None
    drawn = connection_map.make(
        visible_hosts(request).with_groups(request.user),
        query,
        focus=hosts_of(request, query) if narrowed else None,
        at=at,
    )
    if query.format == "csv":
        names = drawn.names
        rows = (map_payloads.edge(row, names) for row in drawn.drawing.edges)
        return payloads.csv("map", map_payloads.EDGE, rows)
    return envelope.answer(map_payloads.whole(drawn))
