"""Connections in TIME_WAIT: to one destination, into one port, and in the kernel's table.

Place in the data's way: ``queries.trouble`` counts, this judges. Pure.

Whoever closes first keeps the connection in TIME_WAIT for a while, so that late packets of it harm
no later one (RFC 9293, section 3.4). On Linux that is 60 seconds, a constant (TCP_TIMEWAIT_LEN,
include/net/tcp.h). It costs a server next to nothing. It costs a client a local port for each, so
many to one destination are worth a word before ports run short (``headroom``).
"""

from __future__ import annotations

from dataclasses import dataclass

from probes.analysis import findings
from probes.analysis.findings import Code, Finding, Kind, Limit, Point, Severity
from probes.analysis.kernels import PortRange


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which numbers on something is said."""

    outgoing: int = 500
    """Connections in TIME_WAIT to one destination."""
    warn: float = 0.25
    """Share of the range of local ports that they take, from which on it is a warning."""
    incoming: int = 2_000
    """Connections in TIME_WAIT into one local port: for information."""
    table: float = 0.9
    """Share of the kernel's table (tcp_max_tw_buckets)."""


DEFAULT = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Connections in TIME_WAIT that have one end in common."""

    protocol: str
    local_ip: str | None
    local_port: int | None
    """The port they came into, or None where the host opened them."""
    remote_ip: str | None
    remote_port: int | None
    count: int
    trend: tuple[Point, ...] = ()
    """TIME_WAIT of the host."""


def outgoing(
    waiting: Waiting, ports: PortRange, thresholds: Thresholds = DEFAULT
) -> Finding | None:
    """The finding about connections to one destination; None where they are few."""
    if waiting.count < thresholds.outgoing:
        return None
    warns = waiting.count >= thresholds.warn * ports.usable
    return _finding(
        waiting,
        Code.TIME_WAIT_OUTGOING,
        Severity.WARN if warns else Severity.INFO,
        limit=ports.limit,
        least=thresholds.outgoing,
        facts={"low": ports.low, "high": ports.high},
    )


def incoming(waiting: Waiting, thresholds: Thresholds = DEFAULT) -> Finding | None:
    """For information: connections into one port; None where they are few."""
    if waiting.count < thresholds.incoming:
        return None
    return _finding(
        waiting, Code.TIME_WAIT_INCOMING, Severity.INFO, limit=None, least=thresholds.incoming
    )


def table(
    total: int, most: Limit, trend: tuple[Point, ...] = (), thresholds: Thresholds = DEFAULT
) -> Finding | None:
    """The finding about the kernel's table; None while there is room. What does not fit is closed
    at once and the kernel's log says so (ip-sysctl.rst, tcp_max_tw_buckets)."""
    if not most.value or total < thresholds.table * most.value:
        return None
    everything = Waiting(
        protocol="tcp", local_ip=None, local_port=None, remote_ip=None, remote_port=None,
        count=total, trend=trend,
    )  # fmt: skip
    return _finding(
        everything,
        Code.TIME_WAIT_TABLE,
        Severity.WARN,
        limit=most,
        least=int(thresholds.table * most.value),
    )


def _finding(
    waiting: Waiting,
    code: Code,
    severity: Severity,
    *,
    limit: Limit | None,
    least: int,
    facts: dict[str, int] | None = None,
) -> Finding:
    return Finding(
        kind=Kind.WAITS,
        code=code,
        severity=severity,
        count=waiting.count,
        protocol=waiting.protocol,
        local_ip=waiting.local_ip,
        local_port=waiting.local_port,
        remote_ip=waiting.remote_ip,
        remote_port=waiting.remote_port,
        limit=limit,
        since=findings.since(waiting.trend, least),
        trend=waiting.trend,
        facts=facts or {},
    )
