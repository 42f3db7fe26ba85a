"""What is wrong on hosts, with numbers, limits, trend and advice.

Place in the data's way: filled by ``probes.wording.findings``, declared by ``probes.api.findings``.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, SnapshotBrief, Time
from probes.payloads.shapes.sockets import Port
from probes.payloads.shapes.words import FindingCode, FindingKind, FindingSeverity


class FindingPart(TypedDict):
    """A part of a finding's count: connections of one address or network."""

    name: str
    count: Count


class Finding(TypedDict):
    """One thing that is wrong on one host. Unknown is null."""

    kind: FindingKind
    code: FindingCode
    severity: FindingSeverity
    host: Named
    at: Time
    """Of the snapshot that shows it."""
    protocol: str
    program: str | None
    pids: list[int]
    """The first few."""
    local_ip: str | None
    local_port: Port | None
    remote_ip: str | None
    remote_port: Port | None
    count: Count
    """Sockets, ports or waiting connections, as the code says."""
    limit: int | None
    """What the count is held against."""
    limit_name: str | None
    """What the limit is called on the host, such as a sysctl."""
    limit_assumed: bool | None
    """True where the host did not tell and the usual value of its system is taken."""
    since: Time | None
    title: str
    summary: str
    """The numbers, and what they mean."""
    advice: list[str]
    """The most useful first."""
    facts: dict[str, int]
    """Further numbers, as the code has them."""
    parts: list[FindingPart]
    """The largest sources of a flood, or peers of a leak that has many."""
    filters: dict[str, str]
    """Those of ``hosts/{id}/connections`` that show its rows."""
    trend: list[tuple[int, int]]
    """Seconds since 1970 and how many there were, oldest first."""


class _FindingList(Listed):
    """What lists of findings also say."""

    not_looked_at: dict[FindingKind, Count]
    """Hosts that are suspicious too and were not looked at, by kind."""
    cut: list[FindingKind]
    """Kinds of which only the newest part was counted."""
    snapshot: SnapshotBrief | None
    """The one of ``at`` or ``snapshot``, of one host."""


class Findings(_FindingList):
    """What is wrong, worst first."""

    findings: list[Finding]


class Leaks(_FindingList):
    """Connections in CLOSE_WAIT that programs never close."""

    leaks: list[Finding]
