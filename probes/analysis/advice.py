"""What to do about a finding, as true of the kernel it was found on.

Place in the data's way: after the rules made a finding, before ``probes.wording.findings``
translates. Pure: English msgids with the numbers to put into them.

Sources, for Linux: Documentation/networking/ip-sysctl.rst (somaxconn, tcp_abort_on_overflow,
tcp_fin_timeout, tcp_max_syn_backlog, tcp_max_tw_buckets, tcp_syncookies, tcp_tw_reuse,
tcp_tw_reuse_delay (since Linux 6.14; one second where it is not changed), ip_local_port_range,
ip_local_reserved_ports); Documentation/networking/nf_conntrack-sysctl.rst;
ip(7) for IP_BIND_ADDRESS_NO_PORT, socket(7) for SO_REUSEPORT, listen(2) for the backlog;
TCP_TIMEWAIT_LEN of include/net/tcp.h, a constant; tcp_twsk_unique() of net/ipv4/tcp_ipv4.c, which
reuses only what had timestamps; commit 79e9fed46038 (tcp_tw_reuse = 2, Linux 4.19); commit
4396e46187ca, which removed tcp_tw_recycle in Linux 4.12: it is never advised. For macOS and the
BSDs: ip(4), tcp(4), sysctl(7) and sysctl(2) of each; for Windows: netsh of Microsoft's
documentation. Where a system has no such setting nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from probes.analysis.findings import Code, Finding
from probes.analysis.kernels import Kernel, System
from probes.observation import gettext_noop

NEARLY_FULL: Final = 0.8
"""Share of the table of tracked connections from which on it is mentioned."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do or to know: a msgid with ``%(name)s`` for each of ``values``."""

    text: str
    values: Mapping[str, str | int] = field(default_factory=dict)


def of(finding: Finding, kernel: Kernel) -> tuple[Advice, ...]:
    """What to do about ``finding`` on a host with ``kernel``, the most useful first."""
    rules = {
        Code.CLOSE_WAIT_RISING: _leak,
        Code.CLOSE_WAIT_HELD: _leak,
        Code.PORTS_SHORT: _ports,
        Code.QUEUE_FULL: _queue,
        Code.QUEUE_WAITING: _queue,
        Code.SYN_FLOOD: _flood,
        Code.TIME_WAIT_OUTGOING: _waits_to,
        Code.TIME_WAIT_INCOMING: _waits_into,
        Code.TIME_WAIT_TABLE: _wait_table,
    }
    return tuple(rules[finding.code](finding, kernel))


# --- CLOSE_WAIT -----------------------------------------------------------------------------------

ONLY_THE_PROGRAM: Final = gettext_noop(
    "Only the program can end CLOSE_WAIT, by closing the socket: the kernel has no timeout for it, "
    "and no setting shortens it."
)
LOOK_FOR: Final = gettext_noop(
    "Look in the program for a path that drops a connection without closing it: an error, a "
    "timeout, an answer that is not read to its end, a pool that it is not given back to."
)
DESCRIPTORS: Final = gettext_noop(
    "What runs out in the end are the file descriptors of the process (ulimit -n). A restart frees "
    "them until the defect is mended."
)
RESTART: Final = gettext_noop("A restart of the program frees them until the defect is mended.")
SEE_LEFT: Final = {
    System.LINUX: gettext_noop("To see them on the host: ss -tnp state close-wait"),
    System.MACOS: gettext_noop("To see them on the host: lsof -nP -iTCP -sTCP:CLOSE_WAIT"),
    System.BSD: gettext_noop("To see them on the host: netstat -an | grep CLOSE_WAIT"),
    System.WINDOWS: gettext_noop("To see them on the host: Get-NetTCPConnection -State CloseWait"),
}


def _leak(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    yield Advice(ONLY_THE_PROGRAM)
    yield Advice(LOOK_FOR)
    yield Advice(RESTART if kernel.system is System.WINDOWS else DESCRIPTORS)
    yield Advice(SEE_LEFT[kernel.system])


# --- local ports ----------------------------------------------------------------------------------

KEEP_OPEN: Final = gettext_noop(
    "Keep connections open and use them again (HTTP keep-alive, a connection pool): the surest "
    "cure, since it is new connections that take ports."
)
KEEP_SOCKET: Final = gettext_noop(
    "Use one socket for many peers and questions, and close those that have their answer: each "
    "open UDP socket holds a port of its address, whether it talks or not."
)
MORE_ADDRESSES: Final = gettext_noop(
    "Each further source address, destination address or destination port has the whole range "
    "again."
)
MORE_SOURCES: Final = gettext_noop("Each further source address has the whole range again.")
WIDEN_LINUX: Final = gettext_noop(
    "Widen net.ipv4.ip_local_port_range, now %(low)s to %(high)s: it may begin at 1024. First name "
    "the ports that services listen on in net.ipv4.ip_local_reserved_ports."
)
WIDEN_BSD: Final = gettext_noop(
    "Widen the range, now %(low)s to %(high)s, by sysctl: net.inet.ip.portrange.first on FreeBSD "
    "and macOS, net.inet.ip.anonportmin on NetBSD, net.inet.ip.portfirst and portlast on OpenBSD."
)
WIDEN_WINDOWS: Final = gettext_noop(
    "See the range with: netsh int %(family)s show dynamicport %(protocol)s. Widen it with: netsh "
    "int %(family)s set dynamicport %(protocol)s start=10000 num=55536"
)
BIND_NO_PORT: Final = gettext_noop(
    "A program that binds to an address before it connects takes the port for every destination. "
    "IP_BIND_ADDRESS_NO_PORT (since Linux 4.2) leaves the choice to connect()."
)
REUSE: Final = gettext_noop(
    "net.ipv4.tcp_tw_reuse = 1 lets a new outgoing connection take a port in TIME_WAIT after a "
    "delay: one second, unless net.ipv4.tcp_tw_reuse_delay (since Linux 6.14) says otherwise. It "
    "needs TCP timestamps on both ends and does nothing for incoming connections."
)
REUSE_IS: Final = gettext_noop(
    "net.ipv4.tcp_tw_reuse is %(value)s here. 1 lets a new outgoing connection take a port in "
    "TIME_WAIT after a delay, one second unless net.ipv4.tcp_tw_reuse_delay (since Linux 6.14) "
    "says otherwise; 2, the default since Linux 4.19, does so for loopback only. It needs TCP "
    "timestamps on both ends and does nothing for incoming connections."
)
REUSE_IS_ON: Final = gettext_noop(
    "net.ipv4.tcp_tw_reuse is 1 already: outgoing connections may take a port in TIME_WAIT after a "
    "delay, one second unless net.ipv4.tcp_tw_reuse_delay (since Linux 6.14) says otherwise, where "
    "both ends use TCP timestamps."
)
CONSTANT: Final = gettext_noop(
    "On Linux TIME_WAIT lasts 60 seconds, a constant of the kernel. net.ipv4.tcp_fin_timeout is "
    "about FIN_WAIT2 and does not shorten it; net.ipv4.tcp_tw_recycle of older guides is gone "
    "since Linux 4.12."
)
MSL: Final = gettext_noop("TIME_WAIT lasts twice net.inet.tcp.msl, which is %(value)s ms here.")
DELAY: Final = gettext_noop(
    "On Windows TIME_WAIT lasts as long as TcpTimedWaitDelay says, a value of the registry below "
    "Tcpip\\Parameters."
)


def _ports(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    udp = finding.protocol.startswith("udp")
    yield Advice(KEEP_SOCKET if udp else KEEP_OPEN)
    yield Advice(MORE_SOURCES if udp else MORE_ADDRESSES)
    span = {"low": finding.facts["low"], "high": finding.facts["high"]}
    if kernel.system is System.LINUX:
        yield Advice(WIDEN_LINUX, span)
        if not udp:
            yield Advice(BIND_NO_PORT)
    elif kernel.system is System.WINDOWS:
        family = "ipv6" if ":" in (finding.local_ip or "") else "ipv4"
        yield Advice(WIDEN_WINDOWS, {"family": family, "protocol": "udp" if udp else "tcp"})
    else:
        yield Advice(WIDEN_BSD, span)
    if finding.facts["time_wait"] * 4 >= finding.count:
        yield from _shorter(kernel)
    yield from _tracking(kernel)


def _shorter(kernel: Kernel) -> Iterator[Advice]:
    """What there is against TIME_WAIT that takes ports, and what there is not."""
    if kernel.system is System.LINUX:
        reuse = kernel.number("net.ipv4.tcp_tw_reuse")
        if reuse is None:
            yield Advice(REUSE)
        else:
            yield Advice(REUSE_IS_ON) if reuse == 1 else Advice(REUSE_IS, {"value": reuse})
        yield Advice(CONSTANT)
    elif kernel.system is System.WINDOWS:
        yield Advice(DELAY)
    else:
        msl = kernel.number("net.inet.tcp.msl")
        if msl is not None:
            yield Advice(MSL, {"value": msl})


# --- accept queues --------------------------------------------------------------------------------

TOO_SLOW: Final = gettext_noop(
    "The program accepts too slowly. Look at what it waits for (CPU, a lock, a slow backend, all "
    "workers busy); a longer queue only helps with short bursts."
)
QUEUE_LENGTH: Final = gettext_noop(
    "The queue is as long as the smaller of what the program gives to listen() and "
    "net.core.somaxconn (4096 by default since Linux 5.4, 128 before). Raise both, and restart the "
    "program: a listener keeps the length it was opened with."
)
QUEUE_LENGTH_IS: Final = gettext_noop(
    "The queue is as long as the smaller of what the program gives to listen() and "
    "net.core.somaxconn, %(value)s here. Raise the smaller one, and restart the program: a "
    "listener keeps the length it was opened with."
)
REUSEPORT: Final = gettext_noop(
    "With SO_REUSEPORT several processes listen on one port, each with a queue of its own."
)
LIMIT_UNKNOWN: Final = gettext_noop(
    "netstat does not show how long a queue may be; ss -ltn on the host does, as Send-Q."
)
DROPPED: Final = gettext_noop(
    "While a queue is full the kernel drops what comes and clients try again after a second, so "
    "they see slow connections before they see errors. netstat -s counts them as listen queue "
    "overflows."
)
REFUSED: Final = gettext_noop(
    "net.ipv4.tcp_abort_on_overflow is 1 here: clients are refused at once while the queue is "
    "full. With 0, the default, they try again, and a burst passes."
)


def _queue(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    yield Advice(TOO_SLOW)
    if kernel.system is System.LINUX:
        limit = kernel.most_waiting
        if limit.assumed:
            yield Advice(QUEUE_LENGTH)
        else:
            yield Advice(QUEUE_LENGTH_IS, {"value": limit.value})
        yield Advice(REUSEPORT)
        refuses = kernel.number("net.ipv4.tcp_abort_on_overflow") == 1
        yield Advice(REFUSED if refuses else DROPPED)
        if not finding.facts["told"]:
            yield Advice(LIMIT_UNKNOWN)


# --- floods ---------------------------------------------------------------------------------------

FORGED: Final = gettext_noop(
    "So many addresses with next to no connection each are most likely forged. To block them one "
    "by one is of no use: have them filtered upstream, at the edge of the network or by the "
    "provider."
)
FEW_SOURCES: Final = gettext_noop(
    "Few addresses make up most of them. Limit or block strangers in the firewall. If they are "
    "your own, look for a firewall or route that loses the answers on their way back."
)
COOKIES_ON: Final = gettext_noop(
    "SYN cookies are on (net.ipv4.tcp_syncookies = %(value)s): when a listener's queue is full, "
    "connections are answered without being remembered, and real clients get through."
)
COOKIES_OFF: Final = gettext_noop(
    "SYN cookies are off. Turn them on with sysctl net.ipv4.tcp_syncookies=1; until then "
    "net.ipv4.tcp_max_syn_backlog limits the half-open connections of a listener."
)
COOKIES_UNKNOWN: Final = gettext_noop(
    "See that SYN cookies are on: net.ipv4.tcp_syncookies = 1, the default."
)
COOKIES_BSD: Final = gettext_noop(
    "net.inet.tcp.syncookies is %(value)s here; 1, the default of FreeBSD, lets real clients "
    "through when the queue is full."
)
HALF_OPEN_LENGTH: Final = gettext_noop(
    "How many may be half open at a listener is bounded by its backlog: the smaller of listen() "
    "and net.core.somaxconn."
)
TRACKING: Final = gettext_noop(
    "The kernel tracks %(count)s connections of at most %(most)s: when that table is full, new "
    "ones are dropped whatever listens. Raise net.netfilter.nf_conntrack_max, or exempt busy ports "
    "from tracking."
)


def _flood(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    yield Advice(FORGED if finding.facts["forged"] else FEW_SOURCES)
    cookies = kernel.cookies
    if kernel.system is System.LINUX:
        if cookies is None:
            yield Advice(COOKIES_UNKNOWN)
        else:
            yield Advice(COOKIES_ON, {"value": cookies}) if cookies else Advice(COOKIES_OFF)
        yield Advice(HALF_OPEN_LENGTH)
    elif cookies is not None:
        yield Advice(COOKIES_BSD, {"value": cookies})
    yield from _tracking(kernel)


def _tracking(kernel: Kernel) -> Iterator[Advice]:
    count = kernel.number("net.netfilter.nf_conntrack_count")
    most = kernel.number("net.netfilter.nf_conntrack_max")
    if count is not None and most and count >= NEARLY_FULL * most:
        yield Advice(TRACKING, {"count": count, "most": most})


# --- TIME_WAIT ------------------------------------------------------------------------------------

NO_FAULT: Final = gettext_noop(
    "TIME_WAIT is no fault: it stays with whoever closes first, and keeps late packets of an old "
    "connection out of a new one. What it costs here are local ports: each takes one towards this "
    "destination."
)
COSTS_LITTLE: Final = gettext_noop(
    "This host closed these connections first. They cost it a little memory and no port, and need "
    "no action. Where clients keep connections open, or close first, there are fewer."
)
TABLE_FULL: Final = gettext_noop(
    "What does not fit into net.ipv4.tcp_max_tw_buckets (%(value)s here) is closed at once, "
    "without TIME_WAIT, and the kernel's log says so. Raise it; the kernel's documentation warns "
    "against ever lowering it."
)


def _waits_to(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    yield Advice(NO_FAULT)
    yield Advice(KEEP_OPEN)
    yield from _shorter(kernel)
    yield from _tracking(kernel)


def _waits_into(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    yield Advice(COSTS_LITTLE)
    yield from _tracking(kernel)


def _wait_table(finding: Finding, kernel: Kernel) -> Iterator[Advice]:
    yield Advice(TABLE_FULL, {"value": finding.limit.value if finding.limit else 0})
    yield Advice(KEEP_OPEN)
    if kernel.system is System.LINUX:
        yield Advice(CONSTANT)
