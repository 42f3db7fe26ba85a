"""Names of Linux' protocol counters: which protocol, and which counter of it.

Place in the data's way: behind the readers of nstat and of /proc/net/snmp6, which print both in
one word (``TcpActiveOpens``, ``Ip6InReceives``). Pure. Source: net/ipv4/proc.c, net/ipv6/proc.c and
net/mptcp/mib.c of the kernel, whose titles in /proc/net/snmp and /proc/net/netstat are the same.
"""

from __future__ import annotations

import re

from probes.parsers.lines import OddLine

PROTOCOLS = {
    "Ip": "ip",
    "Icmp": "icmp",
    "IcmpMsg": "icmpmsg",
    "Tcp": "tcp",
    "Udp": "udp",
    "UdpLite": "udplite",
    "Ip6": "ip6",
    "Icmp6": "icmp6",
    "Udp6": "udp6",
    "UdpLite6": "udplite6",
    "Sctp": "sctp",
    "TcpExt": "tcpext",
    "IpExt": "ipext",
    "MPTcpExt": "mptcpext",
}
"""Title in the kernel's files -> name of the protocol here."""

PREFIXES = "|".join(sorted(PROTOCOLS, key=len, reverse=True))
COUNTER = r"[A-Z][A-Za-z0-9_]{0,63}"
_NAME = re.compile(rf"({PREFIXES})({COUNTER})")


def counter(name: str) -> tuple[str, str]:
    """Protocol and counter of ``TcpExtSyncookiesSent``; OddLine where the protocol is unknown."""
    known = _NAME.fullmatch(name)
    if known is None:
        raise OddLine("not a counter of a protocol that is known")
    return PROTOCOLS[known[1]], known[2]
