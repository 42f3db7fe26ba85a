"""Local ports that are left for connections from one address to one destination.

Place in the data's way: ``queries.trouble`` counts, this judges. Pure.

A TCP connection is told by both addresses and both ports, so the kernel may use each port of its
range once for each destination (connect(2); __inet_hash_connect(), net/ipv4/inet_hashtables.c).
When all are taken, connect() fails with EADDRNOTAVAIL. Connections in TIME_WAIT take ports as well.
A UDP socket takes its port for its address whatever the destination (udp_lib_get_port(),
net/ipv4/udp.c), so those are counted for an address alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from probes.analysis import findings
from probes.analysis.findings import Code, Finding, Kind, Point, Severity
from probes.analysis.kernels import PortRange


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares of the range of ports."""

    warn: float = 0.7
    bad: float = 0.9


DEFAULT = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The ports of the range in use from one address to one destination."""

    protocol: str
    """tcp or udp, of both families."""
    local_ip: str
    remote_ip: str | None
    """None with UDP."""
    remote_port: int | None
    ports: int
    """Different local ports inside the range."""
    time_wait: int = 0
    """How many of the connections are in TIME_WAIT."""
    trend: tuple[Point, ...] = ()
    """All connections of the host."""


def judge(use: Use, ports: PortRange, thresholds: Thresholds = DEFAULT) -> Finding | None:
    """The finding about a use of ports; None while enough are left."""
    share = use.ports / ports.usable
    if share < thresholds.warn:
        return None
    return Finding(
        kind=Kind.HEADROOM,
        code=Code.PORTS_SHORT,
        severity=Severity.BAD if share >= thresholds.bad else Severity.WARN,
        count=use.ports,
        protocol=use.protocol,
        local_ip=use.local_ip,
        remote_ip=use.remote_ip,
        remote_port=use.remote_port,
        limit=ports.limit,
        since=findings.since(use.trend, use.ports),
        trend=use.trend,
        facts={
            "left": max(0, ports.usable - use.ports),
            "low": ports.low,
            "high": ports.high,
            "time_wait": use.time_wait,
        },
    )


def fewest(ports: PortRange, thresholds: Thresholds = DEFAULT) -> int:
    """Connections from which on a host is worth a look at all."""
    return max(1, int(ports.usable * thresholds.warn))
