"""Shapes of the statistics: counts at one time, and over time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, SnapshotBrief, Time
from probes.payloads.shapes.sockets import ConnectionOfHistory, Port

Scope = Literal["external", "private", "loopback"]
"""Where a remote address is."""

Rate = float | None
"""Per second; null where it cannot be told."""


class Coverage(TypedDict):
    """How many hosts a statistic is over, and of when each of them is."""

    total: Count
    silent: Count
    """Hosts that no whole snapshot is kept of."""
    oldest: Time | None
    newest: Time | None


class Counts(Listed):
    """What each list of counts has besides its rows."""

    snapshot: SnapshotBrief | None
    """Of one host at a past time, the snapshot counted."""
    hosts: Coverage


class PortShare(TypedDict):
    """Connections of one local port."""

    port: Port
    connections: Count


class IpCount(TypedDict):
    """A remote address with its connections."""

    ip: str
    scope: Scope
    total: Count
    by_state: dict[str, Count]
    local_ports: list[PortShare]
    """Those with most of its connections."""
    hosts: Count


class IpCounts(Counts):
    """The remote addresses with most connections."""

    ips: list[IpCount]


class EndCount(TypedDict):
    """A remote address and port."""

    ip: str
    port: Port | None
    scope: Scope
    total: Count
    local_ips: Count
    hosts: Count


class EndCounts(Counts):
    """The remote addresses and ports with most connections."""

    ends: list[EndCount]


class LocalPortCount(TypedDict):
    """A local port."""

    port: Port
    protocol: str
    connections: Count
    arrived: Count
    """Of them, those that came in."""
    listeners: Count
    ips: Count
    hosts: Count
    by_state: dict[str, Count]


class LocalPortCounts(Counts):
    """The local ports that most connections came in on."""

    ports: list[LocalPortCount]


class ProgramCount(TypedDict):
    """A program."""

    program: str | None
    """Null where no process could be seen."""
    sockets: Count
    listeners: Count
    ips: Count
    hosts: Count
    by_state: dict[str, Count]


class ProgramCounts(Counts):
    """The programs with most sockets."""

    programs: list[ProgramCount]


class StateCount(TypedDict):
    """A state."""

    state: str | None
    """Null for the sockets without one."""
    sockets: Count
    tcp: Count
    hosts: Count


class StateCounts(Counts):
    """Sockets by state."""

    states: list[StateCount]


class ProtocolCount(TypedDict):
    """A protocol over its kinds."""

    protocol: str
    sockets: Count
    kinds: dict[str, Count]


class ProtocolCounts(Counts):
    """Sockets by protocol."""

    protocols: list[ProtocolCount]


class CommonPort(TypedDict):
    """A port at both ends of connections."""

    port: Port
    listeners: Count
    inbound: Count
    inbound_states: dict[str, Count]
    outbound: Count
    outbound_states: dict[str, Count]
    ips: Count
    hosts: Count
    outbound_hosts: Count


class CommonPorts(Counts):
    """Listeners and connections of some ports."""

    ports: list[CommonPort]


class ScopeCount(TypedDict):
    """Connections to addresses of one scope."""

    scope: Scope
    connections: Count
    ips: Count
    hosts: Count
    by_state: dict[str, Count]


class ScopeCounts(Counts):
    """Connections by where their remote addresses are."""

    scopes: list[ScopeCount]


class OfHost(TypedDict):
    """What a row of several hosts begins with."""

    host: Named


class SocketOfHost(OfHost, ConnectionOfHistory):
    """A socket of one of several hosts."""


class SocketList(Counts):
    """The sockets themselves."""

    connections: list[SocketOfHost]


class BusyInterface(TypedDict):
    """What an interface did per second."""

    host: Named
    interface: str
    rx_bytes_per_s: Rate
    rx_packets_per_s: Rate
    rx_errors_per_s: Rate
    rx_dropped_per_s: Rate
    rx_overruns_per_s: Rate
    tx_bytes_per_s: Rate
    tx_packets_per_s: Rate
    tx_errors_per_s: Rate
    tx_dropped_per_s: Rate
    tx_overruns_per_s: Rate
    collisions_per_s: Rate
    over_s: float
    """Seconds between the two samples."""
    taken_at: Time


class BusyInterfaces(TypedDict):
    """The interfaces that move most."""

    interfaces: list[BusyInterface]
    next: None


Code = Annotated[str, Field(description="Its code.")]
Seconds = Annotated[int, Field(description="Seconds since 1970.")]


class Timeline(TypedDict):
    """Counts over time: each list of series and most is as long as times."""

    host: Named | None
    """Null where it is over several hosts."""
    times: list[int]
    """Seconds since 1970, rising."""
    series: dict[str, list[Count | None]]
    """By what is counted; null in a gap."""
    most: dict[str, list[Count | None]]
    """The most since the point before, where it was more than the points show."""
    failed: list[tuple[Seconds, Code]]
    """Probes that gave no whole snapshot."""
    step_s: Count
    """Seconds a step is wide."""


class InterfaceTraffic(TypedDict):
    """What an interface did per second, over time."""

    host: Named
    interface: str
    times: list[int]
    """Seconds since 1970, rising."""
    series: dict[str, list[Rate]]
    """By counter; null in a gap."""
    step_s: Count
