"""The map: hosts or groups as nodes, connections as edges, now or at any past time.

Place in the data's way: below page and JSON, which both ask here; above
``probes.history.queries.edges``, which sums sockets, and ``probes.analysis.topology``, which makes
nodes and edges of the sums. Who may see what is decided before: only the hosts that are given are
named, every other machine is an address.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host
from probes.analysis import addresses, topology
from probes.analysis.topology import OTHER_PORTS, Drawing, Edge, Member, Node, Wanted
from probes.filters import Ports, Query, number
from probes.history.queries import edges, moments
from probes.history.queries.edges import Peers

MOST_HOSTS: Final = 400
"""With more hosts than this the map shows groups, where nothing else is asked for."""

Connections = Annotated[int, number(1, 65_535)]


class MapFilter(Query):
    """What of the map is wanted; page and JSON add which hosts, and when."""

    nodes: Literal["hosts", "groups"] | None = None
    """Hosts where not given, groups where there are more than MOST_HOSTS of them."""
    port: Ports | None = None
    """Ports that are listened on."""
    program: Annotated[str, Field(max_length=200)] | None = None
    """Part of a program's name at either end."""
    min: Connections = 1
    """Only edges of so many connections."""
    peers: Peers = "folded"
    """Addresses that belong to no host: folded by scope and port, each for itself, or none."""
    scope: Literal["all", "external", "private"] = "all"
    """Where those addresses are. Edges between hosts are shown whatever it says."""
    q: Annotated[str, Field(max_length=100)] | None = None
    """Only edges with a node that has this in its name, address or group."""


@dataclass(frozen=True, slots=True)
class Map:
    """A drawing with what must be said beside it."""

    drawing: Drawing
    by: Literal["hosts", "groups"]
    at: dt.datetime | None
    several_groups: tuple[Member, ...]
    """Hosts in more than one group: each stands in its first."""
    claimed: tuple[tuple[str, tuple[str, ...]], ...]
    """(address, names of the hosts that all have it); such an address is nobody's."""
    hidden_peers: int
    hidden_connections: int
    """Addresses of no host that were not asked for, and connections with them."""
    unread: int
    """Connections that were too many to read; the smallest sums of all."""

    @property
    def names(self) -> dict[str, str]:
        """A name for people for each node, by its id."""
        return {node.id: name_of(node) for node in self.drawing.nodes}


def make(
    hosts: QuerySet[Host],
    wanted: MapFilter,
    *,
    focus: QuerySet[Host] | None = None,
    at: dt.datetime | None = None,
) -> Map:
    """The map of ``hosts``, which are all that the reader may see, at ``at`` (aware; None: now).

    With ``focus`` only edges that one of its hosts has. Both ends of an edge are read even where
    only one is in focus, so that it is never shown as seen from one end for want of looking. At
    most eight queries.
    """
    rows = list(hosts.order_by("name").select_related("schedule").prefetch_related("groups"))
    members = [_member(host, at) for host in rows]
    ids = tuple(member.host_id for member in members)
    scope = moments.scope(hosts, at=at)
    chosen = None if focus is None else set(focus.values_list("pk", flat=True))
    by = wanted.nodes or _usual(members, chosen)
    if scope is None:
        return Map(Drawing((), ()), by, at, (), (), 0, 0, 0)
    if scope.moments is not None:
        then = {pk for pk, _when in scope.moments}
        members = [member._replace(known=member.host_id in then) for member in members]
    claims = [*_configured(rows), *edges.interface_addresses(scope.using, ids, at=at)]
    found = edges.connections(
        scope,
        known={ip for _pk, ip in claims if addresses.claimable(ip)},
        ports=wanted.port,
        wanted=edges.Asked(wanted.peers, wanted.scope, wanted.program or "", chosen),
    )
    ownership = addresses.owners((*claims, *found.local))
    drawing = topology.draw(
        members,
        found.seen,
        ownership,
        bundles=found.bundles,
        crowds=found.crowds,
        wanted=Wanted(
            focus=chosen,
            by_group=by == "groups",
            program=wanted.program or "",
            least=wanted.min,
            text=(wanted.q or "").strip(),
            narrowed=bool(wanted.port),
        ),
    )
    named = {member.host_id: member.name for member in members}
    drawn = {node.host_id for node in drawing.nodes}
    return Map(
        drawing=drawing,
        by=by,
        at=at,
        several_groups=tuple(
            member
            for member in members
            if len(member.groups) > 1 and (by == "groups" or member.host_id in drawn)
        ),
        claimed=tuple(
            (addresses.shown(ip), tuple(named[pk] for pk in claimants))
            for ip, claimants in sorted(ownership.several.items())
            if chosen is None or chosen & set(claimants)
        ),
        hidden_peers=found.hidden_peers,
        hidden_connections=found.hidden_connections,
        unread=found.unread,
    )


def name_of(node: Node) -> str:
    """A node in words: a host's or group's name, an address, or how many of what."""
    if node.kind == "group":
        return node.name or _("no group")
    if node.kind != "peers":
        return node.name or _("cut addresses")
    external = node.scope == "external"
    words = (
        (_("%(n)s public clients") if external else _("%(n)s private clients"))
        if node.inbound
        else (_("%(n)s public servers") if external else _("%(n)s private servers"))
    ) % {"n": node.members}
    return _("%(what)s, %(port)s") % {"what": words, "port": port_words(node.port)}


def port_words(port: int | None) -> str:
    """``:443``, or words where it is none or of several."""
    if port == OTHER_PORTS:
        return _("other ports")
    return _("no port") if port is None else f":{port}"


def programs(shares: Iterable[topology.Share]) -> list[str]:
    """Programs of an end by name, most first, without those that are not known."""
    return [share.program for share in shares if share.program]


def order(edges_: Iterable[Edge], names: dict[str, str], sort: str) -> list[Edge]:
    """Edges by a name of SORTS, with ``-`` before it from the other end; as they are for ""."""
    rows = list(edges_)
    if not sort:
        return rows
    name = sort.removeprefix("-")
    rows.sort(key=lambda edge: (-edge.connections, edge.key))
    if name == "connections":
        return rows if sort.startswith("-") else rows[::-1]
    rows.sort(
        key=lambda edge: {
            "source": names[edge.source].casefold(),
            "target": names[edge.target].casefold(),
            "port": f"{-1 if edge.port is None else edge.port:06d}",
            "program": ", ".join(programs(edge.server_programs or edge.client_programs)),
        }[name],
        reverse=sort.startswith("-"),
    )
    return rows


SORTS: Final = ("source", "target", "port", "program", "connections")


def _member(host: Host, at: dt.datetime | None) -> Member:
    return Member(
        host_id=host.pk,
        name=host.name,
        groups=tuple(
            sorted(((group.pk, group.name) for group in host.groups.all()), key=lambda g: g[1])
        ),
        known=at is not None or _probed(host),
    )


def _probed(host: Host) -> bool:
    schedule = getattr(host, "schedule", None)
    return schedule is not None and schedule.latest_whole_id is not None


def _usual(members: Collection[Member], chosen: set[int] | None) -> Literal["hosts", "groups"]:
    count = len(members) if chosen is None else len(chosen)
    return "groups" if count > MOST_HOSTS else "hosts"


def _configured(hosts: Iterable[Host]) -> list[tuple[int, bytes]]:
    """(host, address) of the addresses that hosts are probed at, where those are IP addresses."""
    return [(host.pk, ip) for host in hosts if (ip := addresses.packed(host.address)) is not None]
