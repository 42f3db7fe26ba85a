"""Shapes of the other tables of a host: routes, interfaces, counters, multicast groups."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, Time
from probes.payloads.shapes.statistics import Rate


class TableReading(TypedDict):
    """Of when a table is, and how it was read."""

    taken_at: Time
    first_seen: Time | None
    """Since when it was like this, but for counters."""
    last_seen: Time | None
    """Null while it still is."""
    tool: str | None
    rows: Count
    """As the host printed, before any filter."""
    rejected: Count | None
    """Lines not understood; known of the newest whole table only."""
    over_s: Rate
    """Of rates, the seconds between the two samples."""


class TableFailure(TypedDict):
    """Why the newest attempt at a table gave none, and how to mend it."""

    code: str
    at: Time
    since: Time | None
    title: str
    hint: str
    detail: str


class TableOfHost(Listed):
    """What each table of a host has besides its rows."""

    host: Named
    table: TableReading | None
    """Null where none is known."""
    failure: TableFailure | None


class Route(TypedDict):
    """One row of a routing table."""

    family: Literal["inet", "inet6"]
    destination: str
    """Network in CIDR form: 0.0.0.0/0 is the default route."""
    gateway: str | None
    """Null where the destination is on the link itself."""
    interface: str | None
    flags: str | None
    """As printed: UG, UGScg."""
    metric: int | None
    source: str | None
    kind: str
    """unicast, local, broadcast, anycast, multicast, unreachable, blackhole, prohibit, throw."""
    link: str | None
    """BSD: the gateway where it is no address."""
    table: str | None
    protocol: str | None
    """Who made it: kernel, dhcp, static, ra."""
    references: int | None
    uses: int | None
    mtu: int | None
    mss: int | None
    window: int | None
    irtt: int | None
    expires_s: int | None
    persistent: bool | None
    """Windows: kept over a restart."""
    marks: list[str]
    """Which texts are names or cut, and no addresses."""


class Routes(TableOfHost):
    """The routing table of a host."""

    routes: list[Route]


class InterfaceTotals(TypedDict):
    """One network interface with its counters since boot."""

    name: str
    mtu: int | None
    hardware: str | None
    """MAC address, lower case with colons."""
    addresses: list[str]
    flags: list[str]
    rx_bytes: Count | None
    rx_packets: Count | None
    rx_errors: Count | None
    rx_dropped: Count | None
    rx_overruns: Count | None
    tx_bytes: Count | None
    tx_packets: Count | None
    tx_errors: Count | None
    tx_dropped: Count | None
    tx_overruns: Count | None
    collisions: Count | None


class Interface(InterfaceTotals):
    """The same, and what it does per second."""

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


class Interfaces(TableOfHost):
    """The interfaces of a host."""

    interfaces: list[Interface]


class ProtocolCounter(TypedDict):
    """A counter of a protocol."""

    protocol: str
    counter: str
    value: int
    per_second: Rate


class ProtocolCounters(TableOfHost):
    """The protocol counters of a host."""

    protocols: list[ProtocolCounter]


class Membership(TypedDict):
    """A multicast group that an interface joined."""

    interface: str
    family: Literal["inet", "inet6", "link"]
    group: str
    references: int | None
    source: str | None
    """Of a source-specific membership."""


class Memberships(TableOfHost):
    """The multicast groups of a host."""

    multicast: list[Membership]
