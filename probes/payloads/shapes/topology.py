"""The map: who is connected with whom.

Place in the data's way: filled by ``probes.payloads.topology``, declared by the routes of
``probes.api.topology``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Time
from probes.payloads.shapes.sockets import Port
from probes.payloads.shapes.words import AddressScope


class MapNode(TypedDict):
    """A dot of the map."""

    id: str
    """The same in every drawing: ``h12``, ``g3``, ``p203.0.113.9``."""
    kind: Literal["host", "group", "peer", "peers"]
    """``peer`` is one address that belongs to no host, ``peers`` several of them, folded."""
    name: str
    """A host's or group's name, an address, or how many of what, in the reader's language."""
    host: Identity | None
    """Of a host: its id."""
    group: str | None
    """Of a host: the group it stands in."""
    scope: AddressScope | None
    """Of peers: where the address is."""
    members: Annotated[int, Field(ge=0)]
    """Hosts in a group, addresses in several peers."""
    known: bool
    """False for a host of which nothing is known at that time."""
    in_focus: bool
    """False for a host that is here only for its connections with those asked for."""
    claimed_by: list[Identity]
    """Of a peer: the hosts that all say its address is theirs."""
    connections: Count
    """On all of its edges."""


class ProgramShare(TypedDict):
    """A program's part in an edge, as its own end saw it."""

    program: str | None
    connections: Count


class MapEdge(TypedDict):
    """Connections of one client with one port of a server."""

    source: str
    """Id of the node that connects."""
    source_name: str
    target: str
    """Id of the node that listens."""
    target_name: str
    protocol: str
    port: Port | None
    """Null where the protocol has none, and where ``other_ports`` is true."""
    other_ports: bool
    """Whether it is of all ports that are not shown apart."""
    client_programs: list[ProgramShare]
    server_programs: list[ProgramShare]
    connections: Count
    """The larger of what both ends saw."""
    seen: Literal["both", "client", "server"]
    """Which ends saw it."""


class MapLeftOut(TypedDict):
    """What is not in the picture."""

    below_min: Count
    """Edges of fewer connections than ``min``."""
    too_many: Count
    """The smallest edges beyond 4000."""
    hidden_peers: Count
    """Addresses that ``peers=none`` hides."""
    hidden_connections: Count
    """Connections with those."""
    own_connections: Count
    """Connections of hosts with themselves."""
    unread_connections: Count
    """Connections beyond 20,000 sums."""


class ClaimedAddress(TypedDict):
    """An address that several hosts say is theirs, and that is therefore nobody's."""

    address: str
    hosts: list[str]
    """Their names."""


class HostOfGroups(TypedDict):
    """A host that is in several groups and stands in its first."""

    id: Identity
    name: str
    groups: list[str]


class ConnectionMap(TypedDict):
    """Who is connected with whom."""

    at: Time | None
    """Null: now."""
    nodes_are: Literal["hosts", "groups"]
    nodes: list[MapNode]
    edges: list[MapEdge]
    left_out: MapLeftOut
    claimed_by_several: list[ClaimedAddress]
    in_several_groups: list[HostOfGroups]
    next: None
    """The picture is not paged."""
