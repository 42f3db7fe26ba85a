"""Shapes of a text of netstat, ss or their like, parsed."""

from __future__ import annotations

from typing_extensions import TypedDict

from probes.payloads.shapes import Count
from probes.payloads.shapes.network import InterfaceTotals, Membership, Route
from probes.payloads.shapes.sockets import Connection, Port


class Timer(TypedDict):
    """The kernel timer of a socket."""

    kind: str
    expires_s: float | None
    retransmits: int | None
    probes: int | None


class Holder(TypedDict):
    """One process that holds a socket."""

    pid: int | None
    program: str | None
    fd: int | None


class ParsedSocket(Connection):
    """A row of a socket table, with all that some tools tell."""

    marks: list[str]
    """How the addresses were printed: local_mapped, foreign_truncated, ..."""
    user: str | None
    inode: int | None
    timer: Timer | None
    holders: list[Holder]
    more: dict[str, str]


class UnixSocket(TypedDict):
    """A row of a table of UNIX domain sockets."""

    type: str | None
    state: str | None
    path: str | None
    references: int | None
    flags: str | None
    inode: int | None
    peer_inode: int | None
    recv_queue: int | None
    send_queue: int | None
    pid: int | None
    program: str | None
    address: str | None
    connected_to: str | None


class Translation(TypedDict):
    """One connection whose addresses the kernel may rewrite."""

    protocol: str
    state: str | None
    timeout_s: int | None
    source_ip: str
    source_port: Port | None
    destination_ip: str
    destination_port: Port | None
    reply_source_ip: str | None
    reply_source_port: Port | None
    reply_destination_ip: str | None
    reply_destination_port: Port | None
    kind: str | None
    marks: list[str]


class ParsedTables(TypedDict):
    """Each table; one that the text does not have is empty."""

    sockets: list[ParsedSocket]
    routes: list[Route]
    interfaces: list[InterfaceTotals]
    protocols: dict[str, dict[str, int]]
    """Counters by protocol and name."""
    multicast: list[Membership]
    unix: list[UnixSocket]
    masquerade: list[Translation]


class RejectedLine(TypedDict):
    """A line that was not understood."""

    line: Count
    text: str
    reason: str


class LineCounts(TypedDict):
    """What became of each line."""

    all: Count
    rows: Count
    headers: Count
    blank: Count
    rejected: Count


class ParsedText(TypedDict):
    """The tables of a text."""

    dialect: str
    """net-tools, busybox, ss, iproute2, proc, windows, macos, freebsd, ..."""
    tables: ParsedTables
    rejected: list[RejectedLine]
    remarks: list[str]
    lines: LineCounts
