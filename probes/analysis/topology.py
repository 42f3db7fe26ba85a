"""Who is connected with whom: sockets of many hosts, seen from either end, as nodes and edges.

Place in the data's way: between ``probes.history.queries.edges``, which sums sockets, and the map
(``probes.connection_map``). Pure: knows neither database nor words for people; a node without a
name of its own says what it stands for.

A connection between two hosts that are both probed is in the sockets of both. Each end is summed
by itself, then both become one :class:`Edge` from client to server. The two were not probed at the
same moment and one closes before the other, so the edge has the larger of both numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from probes.analysis.addresses import Ownership, shown

OTHER_PORTS: Final = -2
"""Port of the bundle of all ports that are not shown apart."""

MOST_EDGES: Final = 4000
"""Edges of a drawing; of more the smallest are left out and counted."""

Kind = Literal["host", "group", "peer", "peers"]
Sight = Literal["both", "client", "server"]


class Seen(NamedTuple):
    """Connections of one host with one address, as that host shows them."""

    host_id: int
    inbound: bool
    """Whether the host was connected to; else it connected."""
    protocol: str
    """Without its family: tcp6 and tcp are one."""
    ip: bytes
    """The other end, 16 packed bytes; none where the tool cut it."""
    scope: str
    """Where that address is: external, private or loopback."""
    port: int | None
    """The port that was listened on."""
    program: str | None
    """On this host; None where it is not known."""
    connections: int


class Bundle(NamedTuple):
    """The same with many addresses that belong to no host, summed."""

    host_id: int
    inbound: bool
    protocol: str
    scope: str
    port: int | None
    """OTHER_PORTS where it is of several."""
    program: str | None
    connections: int


Crowd = tuple[str, bool, int | None]
"""Scope, inbound and port of bundles: one node of the map."""


class Share(NamedTuple):
    """A program's part in an edge, as its own end saw it."""

    program: str | None
    connections: int


class Member(NamedTuple):
    """A host that may be shown."""

    host_id: int
    name: str
    groups: tuple[tuple[int, str], ...]
    """(id, name) of its groups, by name; it stands in the first."""
    known: bool
    """Whether it had been probed whole by the time that is looked at."""


@dataclass(frozen=True, slots=True)
class Node:
    """A dot of the map."""

    id: str
    """Unique in a drawing, and the same in the next one: ``h12``, ``g3``, ``p203.0.113.9``."""
    kind: Kind
    name: str
    """Of a host or group its name, of a peer its address; empty for hosts without a group and for
    several peers."""
    host_id: int | None = None
    group: str | None = None
    """Of a host: the group it stands in."""
    group_id: int | None = None
    scope: str | None = None
    """Of peers: external or private."""
    inbound: bool | None = None
    """Of several peers: whether they connect to hosts, or are connected to."""
    port: int | None = None
    """Of several peers: the port they share; OTHER_PORTS where they share none."""
    members: int = 1
    """Hosts in a group, addresses in several peers."""
    known: bool = True
    """False for a host of which nothing is known at that time."""
    focus: bool = True
    """False for a host that is here only for its connections with those asked for."""
    claimed_by: tuple[int, ...] = ()
    """Of a peer: ids of the hosts that all say its address is theirs."""
    connections: int = 0
    """On all of its edges."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Connections from clients to one port of servers."""

    source: str
    """Id of the node that connects."""
    target: str
    """Id of the node that listens."""
    protocol: str
    port: int | None
    """OTHER_PORTS for several that are not shown apart; None where the protocol has none."""
    connections: int
    client_programs: tuple[Share, ...]
    """As the client's host saw them, most first; empty where it did not."""
    server_programs: tuple[Share, ...]
    seen: Sight
    """Which ends were probed and had them."""
    client_addresses: tuple[bytes, ...] = ()
    """The addresses of the client that the server's host saw; at most FEW_ADDRESSES."""
    server_addresses: tuple[bytes, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Identity: no other edge of a drawing has the same."""
        return (self.source, self.target, self.protocol, -1 if self.port is None else self.port)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes by id, edges by size, and what was left out."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    below_least: int = 0
    """Edges with fewer connections than asked for."""
    too_many: int = 0
    """Edges beyond MOST_EDGES."""
    own: int = 0
    """Connections of hosts with an address of their own."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the whole is drawn."""

    focus: Collection[int] | None = None
    """Only edges with one of these hosts at an end; None: all."""
    by_group: bool = False
    program: str = ""
    """Only connections of programs whose name has this in it, at either end."""
    least: int = 1
    """Only edges of so many connections."""
    text: str = ""
    """Only edges with a node that has this in its name, address or group."""
    narrowed: bool = False
    """Whether connections were left out before; a host without edges may have some then."""

    @property
    def lonely_shown(self) -> bool:
        """Whether hosts without edges are nodes: only where all of their connections count."""
        return not (self.narrowed or self.program or self.text or self.least > 1)


FEW_ADDRESSES: Final = 4


def draw(
    members: Sequence[Member],
    seen: Iterable[Seen],
    ownership: Ownership,
    *,
    bundles: Iterable[Bundle] = (),
    crowds: Mapping[Crowd, int] | None = None,
    wanted: Wanted = Wanted(),
) -> Drawing:
    """The nodes and edges of ``members``; nothing else is named but by its address.

    An address that belongs to a host which is no member is a peer like any other. ``crowds`` says
    how many addresses are behind the bundles of each scope, direction and port.
    """
    by_id = {member.host_id: member for member in members}
    halves, own, peers = _halves(by_id, seen, bundles, ownership)
    edges = [
        made
        for key, half in halves.items()
        if (made := _edge(key, half, wanted.program)) is not None and _in_focus(made, wanted.focus)
    ]
    nodes = _nodes(members, edges, peers, crowds or {}, ownership, wanted)
    if wanted.by_group:
        homes = {f"h{member.host_id}": _group_id(member) for member in members}
        edges = _regrouped(edges, homes)
    if wanted.text:
        found = {node.id for node in nodes.values() if _has(node, wanted.text)}
        edges = [edge for edge in edges if edge.source in found or edge.target in found]
    large = [edge for edge in edges if edge.connections >= wanted.least]
    below = len(edges) - len(large)
    large.sort(key=lambda edge: (-edge.connections, edge.key))
    kept = large[:MOST_EDGES]
    totals: Counter[str] = Counter()
    for edge in kept:
        for end in {edge.source, edge.target}:
            totals[end] += edge.connections
    listed = [
        replace(node, connections=totals[node.id])
        for node in nodes.values()
        if node.id in totals
        or (node.kind in ("host", "group") and node.focus and wanted.lonely_shown)
    ]
    return Drawing(
        nodes=tuple(sorted(listed, key=_node_order)),
        edges=tuple(kept),
        below_least=below,
        too_many=len(large) - len(kept),
        own=own,
    )


# --- edges ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Half:
    """What each end saw of an edge."""

    clients: Counter[str | None] = field(default_factory=Counter)
    servers: Counter[str | None] = field(default_factory=Counter)
    client_ips: set[bytes] = field(default_factory=set)
    server_ips: set[bytes] = field(default_factory=set)


_Key = tuple[str, str, str, int | None]


def _halves(
    members: Mapping[int, Member],
    seen: Iterable[Seen],
    bundles: Iterable[Bundle],
    ownership: Ownership,
) -> tuple[dict[_Key, _Half], int, dict[str, Seen | Bundle]]:
    """Both ends of each edge, connections of hosts with themselves, and an example of each peer
    that is no member."""
    halves: dict[_Key, _Half] = defaultdict(_Half)
    peers: dict[str, Seen | Bundle] = {}
    own = 0
    for one in seen:
        if one.host_id not in members:
            continue
        owner = ownership.of(one.ip, one.host_id)
        if owner == one.host_id:
            own += one.connections
            continue
        if owner is not None and owner in members:
            far = f"h{owner}"
        else:
            far = f"p{shown(one.ip)}"
            peers.setdefault(far, one)
        half = _half(halves, one, far)
        (half.client_ips if one.inbound else half.server_ips).add(one.ip)
    for bundle in bundles:
        if bundle.host_id in members:
            far = _crowd_id((bundle.scope, bundle.inbound, bundle.port))
            peers.setdefault(far, bundle)
            _half(halves, bundle, far)
    return halves, own, peers


def _half(halves: dict[_Key, _Half], one: Seen | Bundle, far: str) -> _Half:
    near = f"h{one.host_id}"
    source, target = (far, near) if one.inbound else (near, far)
    half = halves[source, target, one.protocol, one.port]
    (half.servers if one.inbound else half.clients)[one.program] += one.connections
    return half


def _edge(key: _Key, half: _Half, program: str) -> Edge | None:
    """One edge of both halves; None where no program of it is wanted."""
    clients, servers = _matching(half.clients, program), _matching(half.servers, program)
    connections = max(clients.total(), servers.total())
    if not connections:
        return None
    source, target, protocol, port = key
    return Edge(
        source=source,
        target=target,
        protocol=protocol,
        port=port,
        connections=connections,
        # The program at the other end is named even where it is not the one asked for.
        client_programs=_shares(clients or half.clients),
        server_programs=_shares(servers or half.servers),
        seen="both" if half.clients and half.servers else "client" if half.clients else "server",
        client_addresses=tuple(sorted(half.client_ips)[:FEW_ADDRESSES]),
        server_addresses=tuple(sorted(half.server_ips)[:FEW_ADDRESSES]),
    )


def _matching(programs: Counter[str | None], wanted: str) -> Counter[str | None]:
    if not wanted:
        return programs
    part = wanted.casefold()
    return Counter(
        {name: count for name, count in programs.items() if name and part in name.casefold()}
    )


def _shares(programs: Mapping[str | None, int]) -> tuple[Share, ...]:
    ordered = sorted(programs.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
    return tuple(Share(name, count) for name, count in ordered)


def _in_focus(edge: Edge, focus: Collection[int] | None) -> bool:
    if focus is None:
        return True
    return any(end.startswith("h") and int(end[1:]) in focus for end in (edge.source, edge.target))


def _regrouped(edges: Iterable[Edge], homes: Mapping[str, str]) -> list[Edge]:
    """Edges between the groups that hosts stand in."""
    together: dict[_Key, list[Edge]] = defaultdict(list)
    for edge in edges:
        source, target = homes.get(edge.source, edge.source), homes.get(edge.target, edge.target)
        together[source, target, edge.protocol, edge.port].append(edge)
    return [_sum(key, parts) for key, parts in together.items()]


def _sum(key: _Key, parts: Sequence[Edge]) -> Edge:
    source, target, protocol, port = key
    clients: Counter[str | None] = Counter()
    servers: Counter[str | None] = Counter()
    sights = {part.seen for part in parts}
    for part in parts:
        clients.update(dict(part.client_programs))
        servers.update(dict(part.server_programs))
    return Edge(
        source=source,
        target=target,
        protocol=protocol,
        port=port,
        connections=sum(part.connections for part in parts),
        client_programs=_shares(clients),
        server_programs=_shares(servers),
        seen=next(iter(sights)) if len(sights) == 1 else "both",
    )


# --- nodes ----------------------------------------------------------------------------------------


def _crowd_id(crowd: Crowd) -> str:
    scope, inbound, port = crowd
    which = "none" if port is None else "other" if port == OTHER_PORTS else str(port)
    return f"f{scope}-{'in' if inbound else 'out'}-{which}"


def _group_id(member: Member) -> str:
    return f"g{member.groups[0][0]}" if member.groups else "g0"


def _nodes(
    members: Sequence[Member],
    edges: Iterable[Edge],
    peers: Mapping[str, Seen | Bundle],
    crowds: Mapping[Crowd, int],
    ownership: Ownership,
    wanted: Wanted,
) -> dict[str, Node]:
    """Every node that may be drawn, by id."""
    ends = {end for edge in edges for end in (edge.source, edge.target)}
    listed = [
        member
        for member in members
        if wanted.focus is None or member.host_id in wanted.focus or f"h{member.host_id}" in ends
    ]
    made = _groups(listed, wanted) if wanted.by_group else _hosts(listed, wanted)
    nodes = {node.id: node for node in made}
    for name in ends & peers.keys():
        one = peers[name]
        nodes[name] = _peer(name, one, ownership) if isinstance(one, Seen) else _peers(
            name, one, crowds
        )  # fmt: skip
    return nodes


def _hosts(members: Iterable[Member], wanted: Wanted) -> list[Node]:
    return [
        Node(
            id=f"h{member.host_id}",
            kind="host",
            name=member.name,
            host_id=member.host_id,
            group=member.groups[0][1] if member.groups else None,
            group_id=member.groups[0][0] if member.groups else None,
            known=member.known,
            focus=wanted.focus is None or member.host_id in wanted.focus,
        )
        for member in members
    ]


def _groups(members: Iterable[Member], wanted: Wanted) -> list[Node]:
    inside: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        inside[_group_id(member)].append(member)
    return [
        Node(
            id=name,
            kind="group",
            name=hosts[0].groups[0][1] if hosts[0].groups else "",
            group=hosts[0].groups[0][1] if hosts[0].groups else None,
            group_id=hosts[0].groups[0][0] if hosts[0].groups else None,
            members=len(hosts),
            known=any(member.known for member in hosts),
            focus=wanted.focus is None or any(member.host_id in wanted.focus for member in hosts),
        )
        for name, hosts in inside.items()
    ]


def _peer(name: str, one: Seen, ownership: Ownership) -> Node:
    return Node(
        id=name,
        kind="peer",
        name=shown(one.ip),
        scope=one.scope,
        claimed_by=ownership.several.get(one.ip, ()),
    )


def _peers(name: str, one: Bundle, crowds: Mapping[Crowd, int]) -> Node:
    return Node(
        id=name,
        kind="peers",
        name="",
        scope=one.scope,
        inbound=one.inbound,
        port=one.port,
        members=crowds.get((one.scope, one.inbound, one.port), 0),
    )


def _has(node: Node, text: str) -> bool:
    part = text.casefold()
    return part in node.name.casefold() or (
        node.kind in ("host", "group") and part in (node.group or "").casefold()
    )


_ORDER: Final = {"group": 0, "host": 1, "peers": 2, "peer": 3}


def _node_order(node: Node) -> tuple[int, str, str, str]:
    return (_ORDER[node.kind], node.group or "\uffff", node.name, node.id)
