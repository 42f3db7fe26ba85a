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
    """The tool cut the local address at its column's width, or may have: text kept as printed,
    never taken as whole."""
    FOREIGN_TRUNCATED = 8
    LOCAL_STAR = 16
    """The local address was printed as ``*`` (ss: a dual-stack socket), given here as ``::``."""
    FOREIGN_STAR = 32
    LOCAL_NAME = 64
    """The tool printed a name where the address belongs: text kept, never taken as an address."""
    FOREIGN_NAME = 128


class Socket(NamedTuple):
    """One row of a socket table. Unknown is None, never "-" or 0."""

    protocol: str
    """tcp, udp, udplite, sctp, raw, dccp, mptcp or icmp; with a 6 where the family is IPv6."""
    recv_queue: int | None
    send_queue: int | None
    local_ip: str
    """Canonical text of an address, zone id kept after ``%``; any is ``0.0.0.0`` or ``::``. The
    text as printed where ``flags`` say that it is a name or cut: never completed."""
    local_port: int | None
    """0 to 65535; None is ``*``. For raw sockets the IP protocol number."""
    foreign_ip: str
    foreign_port: int | None
    state: str | None
    """One of TCP_STATES; None where the protocol has none."""
    pid: int | None
    program: str | None
    flags: int = 0


class Timer(NamedTuple):
    """The kernel timer of a socket, as ``-o`` shows it."""

    kind: str
    """off, on, keepalive, timewait, probe; on Windows and BSD the tool's word."""
    expires_s: float | None
    retransmits: int | None
    probes: int | None


class Holder(NamedTuple):
    """One process that holds a socket."""

    pid: int | None
    program: str | None
    fd: int | None


class Details(NamedTuple):
    """What only some options of some tools tell of a socket; no part of its identity."""

    user: str | None = None
    """Name or numeric id, as printed."""
    inode: int | None = None
    timer: Timer | None = None
    holders: tuple[Holder, ...] = ()
    """All of them, where there are several; the row itself has the first."""
    more: tuple[tuple[str, str], ...] = ()
    """Anything else by name: ``offload``, ``cubic``, ``rtt``, ``skmem``, ``interface``..."""


class Held(NamedTuple):
    """One process's hold on a socket, as sockstat lists it, until it is joined to that socket."""

    socket: Socket
    user: str | None = None
    fd: int | None = None
    more: tuple[tuple[str, str], ...] = ()


class UnixSocket(NamedTuple):
    """One row of a table of UNIX domain sockets."""

    type: str | None
    """stream, dgram, seqpacket, raw, rdm."""
    state: str | None
    """One of TCP_STATES (LISTEN, ESTABLISHED...), or CONNECTED, CONNECTING, DISCONNECTING, FREE."""
    path: str | None
    """``@`` in front of an abstract one."""
    references: int | None = None
    flags: str | None = None
    """As printed between the brackets: ``ACC``, ``W``, ``N``."""
    inode: int | None = None
    peer_inode: int | None = None
    recv_queue: int | None = None
    send_queue: int | None = None
    pid: int | None = None
    program: str | None = None
    address: str | None = None
    """BSD: kernel address of the socket, hexadecimal."""
    connected_to: str | None = None
    """BSD: kernel address of the other end."""


class Route(NamedTuple):
    """One row of a routing table."""

    family: str
    """inet or inet6."""
    destination: str
    """Network in CIDR form with no host bits, zone kept: ``0.0.0.0/0`` is the default route.
    The text as printed where ``marks`` say that it is a name or cut."""
    gateway: str | None = None
    """Address of the next hop; None where the destination is on the link itself."""
    interface: str | None = None
    flags: str | None = None
    """As printed: ``UG``, ``UGScg``; None where the tool has none."""
    metric: int | None = None
    source: str | None = None
    """Preferred source address; on Windows the interface's address."""
    kind: str = "unicast"
    """unicast, local, broadcast, anycast, multicast, unreachable, blackhole, prohibit, throw."""
    link: str | None = None
    """BSD: the gateway where it is no address: ``link#4``, a MAC address."""
    table: str | None = None
    protocol: str | None = None
    """Who made it: kernel, dhcp, static, ra..."""
    references: int | None = None
    uses: int | None = None
    mtu: int | None = None
    mss: int | None = None
    window: int | None = None
    irtt: int | None = None
    expires_s: int | None = None
    persistent: bool | None = None
    """Windows: kept over a restart."""
    marks: tuple[str, ...] = ()
    """``destination_name``, ``destination_truncated``, ``gateway_name``, ``gateway_truncated``,
    ``interface_truncated``."""


class Interface(NamedTuple):
    """One network interface with its counters since boot."""

    name: str
    mtu: int | None = None
    hardware: str | None = None
    """MAC address, lower case with colons."""
    addresses: tuple[str, ...] = ()
    """In CIDR form where the prefix is known; zone kept."""
    flags: tuple[str, ...] = ()
    """UP, RUNNING, BROADCAST, LOOPBACK, MULTICAST, PROMISC, ... (names of netdevice(7))."""
    rx_bytes: int | None = None
    rx_packets: int | None = None
    rx_errors: int | None = None
    rx_dropped: int | None = None
    rx_overruns: int | None = None
    tx_bytes: int | None = None
    tx_packets: int | None = None
    tx_errors: int | None = None
    tx_dropped: int | None = None
    tx_overruns: int | None = None
    collisions: int | None = None


INTERFACE_COUNTERS = Interface._fields[5:]
"""Those fields of :class:`Interface` that only grow, until a reboot or a wrap."""


class Membership(NamedTuple):
    """One multicast group an interface has joined."""

    interface: str
    family: str
    """inet, inet6 or link."""
    group: str
    """Address of the group; a MAC address where the family is link."""
    references: int | None = None
    source: str | None = None
    """Of a source-specific membership."""


class Translation(NamedTuple):
    """One connection whose addresses the kernel may rewrite: conntrack, or ``netstat -M``."""

    protocol: str
    state: str | None
    timeout_s: int | None
    source_ip: str
    source_port: int | None
    destination_ip: str
    destination_port: int | None
    reply_source_ip: str | None = None
    reply_source_port: int | None = None
    reply_destination_ip: str | None = None
    reply_destination_port: int | None = None
    kind: str | None = None
    """snat, dnat, both; None where nothing is rewritten."""
    marks: tuple[str, ...] = ()
    """ASSURED, UNREPLIED, OFFLOAD..."""


Protocols = dict[str, dict[str, int]]
"""Counters by protocol (ip, icmp, tcp, udp, udplite, ip6, icmp6, tcpext...) and name. The names are
those of the MIBs as in /proc/net/snmp (``InReceives``, ``ActiveOpens``, ``RetransSegs``) wherever
a tool counts the same; what only one system counts has its own words, in lower case with ``_``."""


class Rejected(NamedTuple):
    """A line no rule could read; kept, shown, counted."""

    line: int
    """1-based number of the line in the text."""
    text: str
    """The line, at most 500 characters of it, control characters made visible."""
    reason: str


@dataclass(slots=True)
class Tables:
    """What the readers of all sections add to; each list in the order of the text."""

    wide: bool = False
    """The caller knows that netstat ran with ``-W``: no address is cut."""
    sockets: list[Socket] = field(default_factory=list)
    details: dict[int, Details] = field(default_factory=dict)
    """By index into ``sockets``, for those that have any."""
    unix: list[UnixSocket] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    interfaces: list[Interface] = field(default_factory=list)
    protocols: Protocols = field(default_factory=dict)
    multicast: list[Membership] = field(default_factory=list)
    masquerade: list[Translation] = field(default_factory=list)
    processes: dict[int, str] = field(default_factory=dict)
    """Names by PID, from a list of processes (tasklist) in the same text."""
    held: list[Held] = field(default_factory=list)
    """Rows of sockstat, until ``joins.complete`` gives them to the sockets; empty afterwards."""
    held_unix: list[UnixSocket] = field(default_factory=list)
    """The same for UNIX domain sockets."""
    remarks: list[str] = field(default_factory=list)
    """What a person should know of this text, in plain English: ``the kernel shows no PIDs in
    /proc/net``. Each once."""

    def remark(self, text: str) -> None:
        """Note ``text``, once."""
        if text not in self.remarks:
            self.remarks.append(text)


@dataclass(frozen=True, slots=True)
class Parsed:
    """All of a text: ``row_lines + header_lines + blank_lines + len(rejected) == lines``."""

    dialect: str
    """net-tools, busybox, ss, iproute2, proc, conntrack, windows, macos, freebsd, openbsd,
    netbsd, bsd; several in the order they came, with `` + `` between."""
    tables: Tables = field(default_factory=Tables)
    rejected: list[Rejected] = field(default_factory=list)
    row_lines: int = 0
    """Lines that hold a row or a part of one. A row of some tables spans several lines."""
    header_lines: int = 0
    blank_lines: int = 0
    lines: int = 0
    found: tuple[str, ...] = ()
    """Names of the tables that were met, empty ones too: those of :class:`Tables`, and ``kernel``
    (macOS) and ``rdma`` (Windows), whose rows are not read."""

    @property
    def sockets(self) -> list[Socket]:
        """The table that netadmin keeps history of."""
        return self.tables.sockets
