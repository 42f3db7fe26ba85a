"""Rows of the statistics: what each count is of.

Place in the data's way: given by ``probes.history.queries.statistics``, shaped by pages, JSON and
CSV. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IpRow:
    """One remote address and what connects it to the hosts asked about."""

    ip: str
    scope: str
    """external, private or loopback."""
    total: int
    """Connections."""
    by_state: dict[str, int]
    """Connections by state, most first; those without a state are in ``total`` only."""
    local_ports: list[tuple[int, int]]
    """The most used local ports with their connections, at most five; of incoming
    and local connections, since those of outgoing ones are chance."""
    hosts: int
    """How many of the hosts it is connected with."""


@dataclass(frozen=True, slots=True)
class EndRow:
    """One remote address and port, and the connections with it."""

    ip: str
    port: int | None
    scope: str
    total: int
    local_ips: int
    """Distinct local addresses: each has ports of its own to use up."""
    hosts: int


@dataclass(frozen=True, slots=True)
class PortCount:
    """One local port of one protocol, without its family (tcp6 is tcp)."""

    port: int
    protocol: str
    connections: int
    arrived: int
    """Connections but for those the hosts opened themselves, whose local port is chance."""
    listeners: int
    ips: int
    """Distinct remote addresses of the connections."""
    hosts: int
    by_state: dict[str, int]
    """Connections by state, most first."""


@dataclass(frozen=True, slots=True)
class ProgramCount:
    """One program, by the name the tool printed."""

    program: str | None
    """None where no process could be seen."""
    sockets: int
    listeners: int
    ips: int
    """Distinct remote addresses it is connected with."""
    hosts: int
    by_state: dict[str, int]
    """All of its sockets by state, most first."""


@dataclass(frozen=True, slots=True)
class StateCount:
    """One state, seen or not."""

    state: str | None
    """None: the sockets that have no state, such as most of UDP."""
    sockets: int
    tcp: int
    """Those of TCP among them: a connected socket of UDP is ESTABLISHED as well."""
    hosts: int


@dataclass(frozen=True, slots=True)
class ProtocolCount:
    """One protocol over all its kinds."""

    protocol: str
    """tcp, udp, raw, ..."""
    sockets: int
    kinds: dict[str, int]
    """``{"tcp": 12, "tcp6": 3}`` as the tool called them."""


@dataclass(frozen=True, slots=True)
class CommonPort:
    """A port that was asked for by its number, at either end of connections."""

    port: int
    listeners: int
    inbound: int
    """Connections with it at the local end."""
    inbound_states: dict[str, int]
    outbound: int
    """Connections with it at the remote end."""
    outbound_states: dict[str, int]
    ips: int
    """Distinct remote addresses of the connections at the local end."""
    hosts: int
    """Hosts with a listener or connection at the local end."""
    outbound_hosts: int


@dataclass(frozen=True, slots=True)
class ScopeCount:
    """Where remote addresses are: external, private or loopback."""

    scope: str
    connections: int
    ips: int
    """Distinct remote addresses."""
    hosts: int
    by_state: dict[str, int]
