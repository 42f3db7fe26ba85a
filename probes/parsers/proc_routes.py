"""The kernel's own tables of routes and multicast groups: /proc/net/{route,ipv6_route,igmp,igmp6}.

Place in the data's way: tables of the dialect ``proc``, behind ``probes.parsers.parse``. Pure.
Layout: fib_route_seq_show, rt6_info_route (net/ipv6/route.c), igmp_mc_seq_show, igmp6_mc_seq_show
of the kernel; the byte order of IPv4 addresses is that of ``proc_net``. The files of IPv6 have no
title::

    Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
    near0	0000140A	0201090A	0003	0	0	50	0000FFFF	0	0	0

    20010db8002000000000000000000000 30 (source) 00 (gateway) 00000032 00000001 00000000 00000003
        near0

    Idx	Device    : Count Querier	Group    Users Timer	Reporter
    2	near0     :     2      V3
                                010000E0     1 0:00000000		0

    2    near0           ff020000000000000000000000000001     1 0000000C 0

Flags are given in the letters of netstat. A route that refuses (unreachable, prohibit) has but one
mark for both; one without interface or gateway is a blackhole.
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_LINE_CHARS, OddLine, visible
from probes.parsers.proc_net import FOLDER, address
from probes.parsers.records import Membership, Route, Tables

NAME = "proc"

_REJECT = 0x200
_LOCAL = 0x80000000
_ANYCAST = 0x00100000
_LETTERS = ((0x2, "G"), (0x4, "H"), (0x8, "R"), (0x10, "D"), (0x20, "M"))
_LETTERS6 = (
    *_LETTERS, (0x10000, "D"), (0x40000, "A"), (0x1000000, "C"), (0x400000, "e"), (0x200000, "n"),
)  # fmt: skip
"""linux/route.h, linux/ipv6_route.h; letters of netstat(8) and lib/inet6_gr.c of net-tools."""

_TITLE = r"Iface\s+Destination\s+Gateway\s+Flags\s+RefCnt\s+Use\s+Metric\s+Mask"
_ROW = re.compile(
    r"(\S{1,64})\t([0-9A-F]{8})\t([0-9A-F]{8})\t([0-9A-F]{4,8})\t-?[0-9]{1,10}\t[0-9]{1,10}\t"
    r"([0-9]{1,10})\t([0-9A-F]{8})\t([0-9]{1,10})\t([0-9]{1,10})\t([0-9]{1,10})\s*"
)
_ROW6 = re.compile(
    r"([0-9a-f]{32}) ([0-9a-f]{2}) ([0-9a-f]{32}) ([0-9a-f]{2}) ([0-9a-f]{32}) ([0-9a-f]{8})"
    r" ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) +(\S{1,64})\s*"
)
_ROW6_SHAPE = r"[0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32} [0-9a-f]{8} "
_GROUPS_TITLE = r"Idx\s+Device\s*: Count Querier"
_GROUPS_OF = re.compile(r"[0-9]{1,10}\t(\S{1,64}) *: *[0-9]{1,10} +\S{1,10}\s*")
_GROUP = re.compile(r"\t+([0-9A-F]{8}) +([0-9]{1,10}) .{0,200}")
_GROUP6 = re.compile(r"[0-9]{1,10} +(\S{1,64}) +([0-9a-f]{32}) +([0-9]{1,10}) [0-9A-F]{8} .{0,200}")
_GROUP6_SHAPE = r"[0-9]{1,10} +\S{1,64} +[0-9a-f]{32} +[0-9]{1,10} [0-9A-F]{8} "
_TCP_HEADER = 40
_MULTICAST = ipaddress.IPv6Network("ff00::/8")


class Routes(sections.Reader):
    """Rows of /proc/net/route."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the route."""
        row = _ROW.fullmatch(line) if len(line) <= MAX_LINE_CHARS else None
        if row is None:
            raise OddLine("not a row of /proc/net/route")
        interface, destination, gateway, flags, metric, mask, mtu, window, irtt = row.groups()
        try:
            network = ipaddress.IPv4Network(
                f"{address(destination)[0]}/{address(mask)[0]}", strict=False
            )
        except ValueError:
            raise OddLine("mask not understood") from None
        bits = int(flags, 16)
        has_gateway = int(gateway, 16) != 0
        kind = "unicast"
        if bits & _REJECT:
            kind = "unreachable"
        elif interface == "*" and not has_gateway:
            kind = "blackhole"
        # What the title calls MTU is the segment size that is advertised, and 40 more.
        advertised = int(mtu) - _TCP_HEADER
        self.tables.routes.append(
            Route(
                family="inet",
                destination=str(network),
                gateway=address(gateway)[0] if has_gateway else None,
                interface=None if interface == "*" else visible(interface),
                flags=_letters(bits, _LETTERS),
                metric=int(metric),
                kind=kind,
                mss=advertised if advertised > 0 else None,
                window=int(window) or None,
                irtt=int(irtt) or None,
            )
        )
        return True


class Routes6(sections.Reader):
    """Rows of /proc/net/ipv6_route."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the route."""
        row = _ROW6.fullmatch(line) if len(line) <= MAX_LINE_CHARS else None
        if row is None:
            raise OddLine("not a row of /proc/net/ipv6_route")
        (destination, prefix, source, source_prefix, gateway, metric, references, uses, flags,
         interface) = row.groups()  # fmt: skip
        bits = int(flags, 16)
        network = _network(destination, prefix)
        words = [_letters(bits, _LETTERS6)]
        if int(source_prefix, 16):
            words.append(f"from {_network(source, source_prefix)}")
        self.tables.routes.append(
            Route(
                family="inet6",
                destination=str(network),
                gateway=_ip(gateway) if int(gateway, 16) else None,
                interface=visible(interface),
                flags=" ".join(words),
                metric=int(metric, 16),
                kind=_kind(bits, network),
                references=int(references, 16),
                uses=int(uses, 16),
            )
        )
        return True


def _kind(bits: int, network: ipaddress.IPv6Network) -> str:
    if bits & _REJECT:
        return "unreachable"
    if bits & _LOCAL:
        return "local"
    if bits & _ANYCAST:
        return "anycast"
    return "multicast" if network.subnet_of(_MULTICAST) else "unicast"


def _letters(bits: int, letters: tuple[tuple[int, str], ...]) -> str:
    first = "!" if bits & _REJECT else "U" if bits & 1 else ""
    return first + "".join(letter for bit, letter in letters if bits & bit)


def _ip(digits: str) -> str:
    return str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def _network(digits: str, prefix: str) -> ipaddress.IPv6Network:
    try:
        return ipaddress.IPv6Network((bytes.fromhex(digits), int(prefix, 16)), strict=False)
    except ValueError:
        raise OddLine("prefix length is not a number from 0 to 128") from None


class Groups(sections.Reader):
    """Groups of /proc/net/igmp, each below the line of its interface."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._interface: str | None = None

    def read(self, line: str) -> bool:
        """Add the group, or note the interface of those to come."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        head = _GROUPS_OF.fullmatch(line)
        if head:
            self._interface = visible(head[1])
            return True
        group = _GROUP.fullmatch(line)
        if group is None or self._interface is None:
            raise OddLine("not a row of /proc/net/igmp")
        self.tables.multicast.append(
            Membership(self._interface, "inet", address(group[1])[0], int(group[2]))
        )
        return True


class Groups6(sections.Reader):
    """Rows of /proc/net/igmp6."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the group."""
        row = _GROUP6.fullmatch(line) if len(line) <= MAX_LINE_CHARS else None
        if row is None:
            raise OddLine("not a row of /proc/net/igmp6")
        self.tables.multicast.append(Membership(visible(row[1]), "inet6", _ip(row[2]), int(row[3])))
        return True


OPENINGS = (
    sections.Opening(NAME, "routes", Routes, heading=_TITLE),
    sections.Opening(NAME, "routes", Routes6, heading=rf"{FOLDER}ipv6_route +<=="),
    sections.Opening(NAME, "routes", Routes6, row=_ROW6_SHAPE),
    sections.Opening(NAME, "multicast", Groups, heading=_GROUPS_TITLE),
    sections.Opening(NAME, "multicast", Groups6, heading=rf"{FOLDER}igmp6 +<=="),
    sections.Opening(NAME, "multicast", Groups6, row=_GROUP6_SHAPE),
)
