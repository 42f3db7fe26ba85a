"""The map: a picture of who is connected with whom, and a table of the same edges.

Place in the data's way: shapes ``probes.connection_map``. The picture is drawn by map.js from the
very edges that the table lists; without a script there is the table alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import connection_map
from probes import names as address_names
from probes.analysis.topology import OTHER_PORTS, Edge, Node
from probes.connection_map import SORTS, MapFilter
from probes.filters import FilterError, parse
from probes.payloads import topology as map_payloads
from probes.views import place
from probes.views.hostpage import with_query
from probes.views.place import Place

EDGES_PER_PAGE = 100
OWN_PARAMETERS = ("sort", "page")
PROGRAMS = 3
"""How many programs of an end a row names."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    edge: Edge
    source: Node
    target: Node
    source_name: str
    target_name: str
    port: str
    source_url: str
    target_url: str
    sockets_url: str
    """The connections themselves; empty where no host page has them."""
    clients: list[str]
    servers: list[str]
    """Programs, at most PROGRAMS of each."""
    more_clients: int
    more_servers: int
    one_end: bool
    """Whether both ends are hosts and only one had them."""


@require(Role.VIEWER)
@require_safe
def chart(request: HttpRequest) -> HttpResponse:
    """Nodes and edges of ``place``, drawn and listed."""
    problem: FilterError | None = None
    wanted = MapFilter()
    sort = ""
    try:
        here = place.read(request)
        wanted = parse(MapFilter, request.GET, ignore=(*place.PARAMETERS, *OWN_PARAMETERS))
        sort = _sort(request.GET.get("sort", ""))
    except FilterError as error:
        problem, here = error, place.everywhere(request)
    drawn = connection_map.make(
        here.visible.with_groups(request.user),
        wanted,
        focus=here.hosts if here.host is not None or here.group is not None else None,
        at=here.at,
    )
    names = drawn.names
    edges = connection_map.order(drawn.drawing.edges, names, sort)
    page = Paginator(edges, EDGES_PER_PAGE).get_page(request.GET.get("page"))
    nodes = {node.id: node for node in drawn.drawing.nodes}
    asked = wanted.parameters() | here.parameters()
    context = {
        "problem": problem,
        "wanted": wanted,
        "map": drawn,
        "page": page,
        "rows": [_row(edge, nodes, names, here) for edge in page],
        "hints": address_names.hints(
            end.name
            for edge in page
            for end in (nodes[edge.source], nodes[edge.target])
            if end.kind == "peer"
        ),
        "sort": sort or "-connections",
        "columns": _columns(request, sort or "-connections"),
        "hosts": sum(node.kind == "host" for node in nodes.values()),
        "groups": sum(node.kind == "group" for node in nodes.values()),
        "left_out": map_payloads.left_out(drawn),
        "picture": map_payloads.picture(drawn) if nodes else None,
        "links": _links(here),
        "words": _words(),
        "csv_url": f"{reverse('api-map')}?{urlencode(asked | {'format': 'csv'})}",
        "folded": any(node.kind == "peers" for node in nodes.values()),
        "kept_fields": [
            (name, value)
            for name in (*place.PARAMETERS, "sort")
            if (value := request.GET.get(name, ""))
        ],
        "narrowed": bool(wanted.parameters()),
        "clear_url": f"?{urlencode(here.parameters())}",
        "all_url": with_query(request, peers="all"),
        "folded_url": with_query(request, peers=None),
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
    } | place.context(request, here)
    return render(request, "probes/map.html", context, status=400 if problem else 200)


def _sort(text: str) -> str:
    if text and text.removeprefix("-") not in SORTS:
        raise FilterError("sort", _("One of %(names)s.") % {"names": ", ".join(SORTS)})
    return text


def _columns(request: HttpRequest, sort: str) -> list[dict[str, Any]]:
    """Headings that sort: each by itself first, and the other way round once it does."""
    labels = {
        "source": _("Client"),
        "target": _("Server"),
        "port": _("Port"),
        "program": _("Program"),
        "connections": _("Connections"),
    }
    columns = []
    for name in SORTS:
        first, second = (f"-{name}", name) if name == "connections" else (name, f"-{name}")
        columns.append(
            {
                "name": name,
                "label": labels[name],
                "url": with_query(request, sort=second if sort == first else first),
                "order": {name: "ascending", f"-{name}": "descending"}.get(sort, ""),
                "numeric": name in ("port", "connections"),
            }
        )
    return columns


def _row(edge: Edge, nodes: dict[str, Node], names: dict[str, str], here: Place) -> Row:
    source, target = nodes[edge.source], nodes[edge.target]
    clients = connection_map.programs(edge.client_programs)
    servers = connection_map.programs(edge.server_programs)
    return Row(
        edge=edge,
        source=source,
        target=target,
        source_name=names[edge.source],
        target_name=names[edge.target],
        port=connection_map.port_words(edge.port),
        source_url=_node_url(source, here),
        target_url=_node_url(target, here),
        sockets_url=_sockets_url(edge, source, target, here),
        clients=clients[:PROGRAMS],
        servers=servers[:PROGRAMS],
        more_clients=max(0, len(clients) - PROGRAMS),
        more_servers=max(0, len(servers) - PROGRAMS),
        one_end=source.kind == target.kind == "host" and edge.seen != "both",
    )


def _node_url(node: Node, here: Place) -> str:
    """The page of a host, who talks to an address, the map of a group; "" where there is none."""
    at = here.parameters(("at",))
    if node.host_id is not None:
        return _with(reverse("host", args=[node.host_id]), at)
    if node.kind == "group" and node.name:
        return _with(reverse("map"), {"group": node.name, "nodes": "hosts"} | at)
    if node.kind == "peer" and node.name:
        hunt = _named("hunt")
        return _with(hunt, {"ip": node.name}) if hunt else ""
    return ""


def _sockets_url(edge: Edge, source: Node, target: Node, here: Place) -> str:
    """The connections of an edge on the page of the client that saw them, else of the server."""
    outward = source.host_id is not None and edge.seen != "server"
    host = source.host_id if outward else target.host_id
    if host is None:
        return ""
    address = map_payloads.only(edge.server_addresses if outward else edge.client_addresses)
    query = {"direction": "out" if outward else "in", "proto": edge.protocol}
    if edge.port is not None and edge.port != OTHER_PORTS:
        query["remote_port" if outward else "local_port"] = str(edge.port)
    if address:
        query["remote_ip"] = address
    return _with(reverse("host", args=[host]), query | here.parameters(("at",)))


def _links(here: Place) -> dict[str, str]:
    """Addresses of pages that the script leads to, 0 standing for a host's id."""
    return {
        "host": reverse("host", args=[0]),
        "hunt": _named("hunt"),
        "map": reverse("map"),
        "at": here.parameters(("at",)).get("at", ""),
    }


def _named(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _with(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _words() -> dict[str, str]:
    """What the script says."""
    return {
        "host": _("host"),
        "group": _("group"),
        "no_group": _("no group"),
        "members": _("hosts: {n}"),
        "external": _("public address, not managed here"),
        "private": _("private address, not managed here"),
        "peers_external": _("public addresses, not managed here"),
        "peers_private": _("private addresses, not managed here"),
        "claimed": _("{n} hosts say that this address is theirs, so it is nobody's."),
        "unknown": _("Nothing is known of this host at this time."),
        "outside": _("Shown for its connections with the hosts chosen."),
        "out": _("Connects to"),
        "in": _("Connected from"),
        "other_ports": _("other ports"),
        "no_port": _("no port"),
        "open_host": _("Host page"),
        "open_group": _("Hosts of this group"),
        "hunt": _("Who talks to it"),
        "alone": _("Only this and its neighbours"),
        "unfold": _("Show each address"),
        "one_end": _("seen from one end only"),
        "more": _("and {n} more in the table"),
        "none": _("No connections."),
        "close": _("Close"),
        "found": _("{n} found"),
        "laying": _("Laying out: {n} %"),
        "label": _("{name}, {kind}, connections: {n}"),
        "sockets": _("{source} to {target}, connections: {n}"),
    }
