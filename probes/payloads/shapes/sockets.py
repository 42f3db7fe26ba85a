"""Shapes of sockets: connection rows, and who holds a port."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, SnapshotBrief, Time

Port = Annotated[int, Field(ge=0, le=65_535)]


class Connection(TypedDict):
    """A connection row, everywhere."""

    protocol: str
    """tcp, udp, udplite, sctp, raw, dccp, mptcp or icmp; with a 6 where the family is IPv6."""
    recv_queue: Count | None
    """Bytes; known in the newest snapshot only."""
    send_queue: Count | None
    local_ip: str
    """Canonical text with its zone; as far as it was printed where the tool cut it."""
    local_port: Port | None
    """Null is any. Of a raw socket the IP protocol number."""
    foreign_ip: str
    foreign_port: Port | None
    state: str | None
    """ESTABLISHED, LISTEN, ...; null where the protocol has none."""
    pid: Count | None
    program: str | None


class ConnectionOfHistory(Connection):
    """A connection row out of history."""

    direction: Literal["in", "out", "listen", "local"]
    first_seen: Time
    last_seen: Time | None
    """Null while it is still there."""
    copies: Count
    """How many rows of the tool's table were this one."""


class Connections(Listed):
    """The sockets of a host in one snapshot."""

    host: Named
    snapshot: SnapshotBrief | None
    """Null where no whole snapshot is kept."""
    connections: list[ConnectionOfHistory]
    sockets: Count
    """Sockets of the rows on all pages, each as often as it was there."""


class Listener(TypedDict):
    """A listener: an address and port with the process that holds it."""

    protocol: str
    local_ip: str
    local_port: Port | None
    pid: Count | None
    program: str | None
    state: str | None
    bound: Literal["all", "external", "private", "loopback"]
    """From where it can be reached."""
    first_seen: Time
    """Since when this very process holds it."""
    connections: Count
    """Connections into this address and port, whichever of its holders has them."""
    copies: Count
    """Sockets of the process on it (SO_REUSEPORT)."""


class ListenerOfHost(Listener):
    """A listener with its host."""

    host: Named


class HostPorts(Listed):
    """What listens on a host."""

    host: Named
    snapshot: SnapshotBrief | None
    ports: list[Listener]


class PortTotal(TypedDict):
    """One port of one protocol, on however many hosts."""

    port: Port
    protocol: str
    """Without its family: tcp6 and tcp are one."""
    hosts: Count
    listeners: Count
    programs: list[str]
    """The commonest programs on it."""
    more_programs: Count


class PortHolders(Listed):
    """Who holds the port asked for."""

    port: Port
    ports: list[ListenerOfHost]


class Ports(Listed):
    """All ports that are listened on."""

    port: None
    ports: list[PortTotal]
