"""The rows every dialect parses into, and the account of every line.

Place in the data's way: output of ``probes.parsers``, input of ``probes.history.diff``. Pure:
knows no Django, no sockets, no host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

TCP_STATES = (
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "UNKNOWN",
)
"""The vocabulary of states: the names of net-tools netstat(8). CLOSE is RFC 9293's CLOSED."""

STATE_ALIASES = {
    "LISTENING": "LISTEN",
    "SYN_RCVD": "SYN_RECV",
    "SYN_REC": "SYN_RECV",
    "SYN_RECEIVED": "SYN_RECV",
    "FIN_WAIT_1": "FIN_WAIT1",
    "FIN_WAIT_2": "FIN_WAIT2",
    "CLOSED": "CLOSE",
    "ESTAB": "ESTABLISHED",
    "UNCONN": "CLOSE",
}
"""Other spellings people and tools use, upper case with underscores -> our word."""


class ParseError(ValueError):
    """The only exception a parser raises: the text is in no dialect it knows."""


class Flag:
    """Bits of :attr:`Socket.flags`; part of a socket's identity."""

    LOCAL_MAPPED = 1
    """The local address was printed as ::ffff:a.b.c.d and is given here as IPv4."""
    FOREIGN_MAPPED = 2
    LOCAL_TRUNCATED = 4
    """The tool cut the local address at its column's width: text kept, never taken as whole."""
    FOREIGN_TRUNCATED = 8
    LOCAL_STAR = 16
    """The local address was printed as ``*`` (ss: a dual-stack socket), given here as ``::``."""
    FOREIGN_STAR = 32


class Socket(NamedTuple):
    """One row of a socket table. Unknown is None, never "-" or 0."""

    protocol: str
    """tcp, tcp6, udp, udp6, udplite, udplite6, sctp, sctp6, raw, raw6."""
    recv_queue: int | None
    send_queue: int | None
    local_ip: str
    """Canonical text of an address, zone id kept after ``%``; any is ``0.0.0.0`` or ``::``."""
    local_port: int | None
    """0 to 65535; None is ``*``. For raw sockets the IP protocol number."""
    foreign_ip: str
    foreign_port: int | None
    state: str | None
    """One of TCP_STATES; None where the protocol has none."""
    pid: int | None
    program: str | None
    flags: int = 0


class Rejected(NamedTuple):
    """A line no rule could read; kept, shown, counted."""

    line: int
    """1-based number of the line in the text."""
    text: str
    """The line, at most 500 characters of it, control characters made visible."""
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """All of a text: ``len(sockets) + header_lines + blank_lines + len(rejected) == lines``."""

    dialect: str
    """net-tools or ss; more to come with more parsers."""
    sockets: list[Socket] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    header_lines: int = 0
    blank_lines: int = 0
    lines: int = 0
