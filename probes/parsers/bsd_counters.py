"""Protocol counters of netstat of macOS, FreeBSD, OpenBSD and NetBSD (``-s``, ``-ss``).

Place in the data's way: one of the tables behind ``probes.parsers.parse``. Pure. Layout from
inet.c, inet6.c, ipsec.c and their like of the four::

    tcp:
            1234 packets sent
                    1000 data packets (567890 bytes)
                    3 data packets (1200 bytes) retransmitted
    icmp:
            Output histogram:
                    echo reply: 12

A counter has its number in front; in a histogram, behind. Its name is that of the MIB where the
MIB has it (``bsd_mib``), else the tool's words. A number in brackets is a counter of its own:
``data_packets_bytes``. A line further in belongs to the one above: where its words say little
without that (``2 dropped``, ``5 completed``) its name begins with those of the line above.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.bsd_mib import (
    BRACKETS,
    EXTENSIONS,
    NAMES,
    PROTOCOLS,
    SUMS,
    TYPES,
    key,
    own_name,
)
from probes.parsers.bsd_words import BSD, FREEBSD, MACOS, NETBSD, OPENBSD, number
from probes.parsers.lines import MAX_QUEUE, OddLine
from probes.parsers.records import Tables

_SECTIONS = (
    "ah", "arp", "bridge", "carp", "ddp", "divert", "esp", "etherip", "fast_ipsec", "gre",
    "icmp", "icmp6", "igmp", "ip", "ip6", "ipcomp", "ipencap", "ipip", "ipsec", "ipsec6", "kctl",
    "kevt", "mobileip", "mptcp", "mld", "nd6", "pfkey", "pflow", "pfsync", "pim", "pim6", "pkqueue",
    "rarp", "rip6", "rsvp", "sctp", "sdp", "tcp", "udp", "udplite", "udpencap", "vsock", "xbkidle",
    "route", "routing", "unix", "local \\(UNIX\\)", "wg", "tcp6", "udp6", "rtsock", "netlink",
)  # fmt: skip
_HEADING = rf"(?:{'|'.join(_SECTIONS)}):\s*$"
_TITLES = re.compile(r"TCP connection count by state:\s*$|net[a-z.0-9_ ]{1,60}:\s*$")
_COUNTER = re.compile(r"([0-9]{1,20}) +(\S.*)")
_TYPED = re.compile(r"([^:=]{1,100})[:=] *([0-9]{1,20})\s*$")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_IN_BRACKETS = re.compile(r"(?:(?:for|of|including|resulting in) )?([0-9]{1,20})(?: (.*))?")
_SAYS_NOTHING = re.compile(
    r"ICMP address mask responses are (?:en|dis)abled"
    r"|(?:deprecated )?source addresses .{0,80}|.*:\s*$"
)
"""Titles of what is further in."""
_MAX_NAME_CHARS = 100
_SHORT_WORDS = 2
"""A line further in with so few words says nothing alone; nor do those that begin with these:"""
_DEPENDENT = re.compile(r"(?:checksummed|segment|datagram|packet) (?:in software|over IPv)")
_HINTS = (
    (MACOS, ("checksummed in software", "open TCP socket")),
    (FREEBSD, ("syncache entr", "hostcache entr", "time used RTT from hostcache")),
    (OPENBSD, ("hardware-checksummed", "PCB cache miss", "missed PCB cache", "ECN connection acc")),
    (NETBSD, ("PCB hash miss", "delayed free", "send attempt resulted in self-quench")),
)


class Counters(sections.Reader):
    """Reads the counters of one protocol."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        name = (heading or "").partition(":")[0]
        self._protocol = PROTOCOLS.get(name, name)
        self._counters = tables.protocols.setdefault(self._protocol, {})
        self._sums: dict[str, int] = {}
        self._above: list[tuple[int, str, str]] = []
        """Depth, text and name of the lines that the next may belong to."""
        if name in ("kctl", "kevt", "local (UNIX)", "mptcp", "xbkidle"):
            self.dialect = MACOS

    def read(self, line: str) -> bool:
        """Add the counters of a line; False for a title between them."""
        if _TITLES.match(line):
            self.dialect = FREEBSD
            return False
        text = line.strip()
        if not line[0].isspace():
            raise OddLine("not a counter of the protocol above")
        depth = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        while self._above and self._above[-1][0] >= depth:
            self._above.pop()
        counter = _COUNTER.fullmatch(text)
        if counter is not None:
            self._plain(depth, _value(counter[1]), counter[2])
            return True
        typed = _TYPED.fullmatch(text)
        if typed is not None:
            self._typed(_value(typed[2]), typed[1].strip())
            return True
        if _SAYS_NOTHING.fullmatch(text):
            title = text.rstrip(":")
            self._above.append((depth, title, own_name(key(title), counted=False)))
            return False
        raise OddLine("not a counter")

    def close(self) -> None:
        """Hand over the objects of the MIB that are sums."""
        for name, value in self._sums.items():
            self._counters.setdefault(name, min(value, MAX_QUEUE))
        if not self._counters:
            self.tables.protocols.pop(self._protocol, None)

    def _plain(self, depth: int, value: int, text: str) -> None:
        brackets = []
        for inside in _BRACKETS.findall(text):
            found = _IN_BRACKETS.fullmatch(inside)
            if found is not None:
                brackets.append((_value(found[1]), found[2] or ""))
        known = key(_BRACKETS.sub("", text))
        self._judge(known)
        own = own_name(known)
        name = NAMES.get(self._protocol, {}).get(known)
        extension = EXTENSIONS.get(self._protocol, {}).get(known)
        says_little = len(known.split()) <= _SHORT_WORDS or _DEPENDENT.match(known)
        if name is None and self._above and says_little:
            own = f"{self._above[-1][2]}_{own}"
        if extension is not None:
            self._add(extension, value, f"{self._protocol}ext")
        else:
            self._add(name or own, value)
        total = SUMS.get(self._protocol, {}).get(known)
        if total is not None:
            self._sums[total] = self._sums.get(total, 0) + value
        for number_inside, words in brackets:
            inside = BRACKETS.get(self._protocol, {}).get(known)
            if inside is not None:
                self._add(inside[1], number_inside, inside[0])
            else:
                self._add(f"{own}_{own_name(key(words)) or 'more'}", number_inside)
        self._above.append((depth, known, own))

    def _typed(self, value: int, text: str) -> None:
        _, above, prefix = self._above[-1] if self._above else (0, "", "")
        name = own_name(key(text), counted=False)
        way = {"Input histogram": "In", "Output histogram": "Out"}.get(above)
        types = TYPES.get(self._protocol)
        if way is None or types is None:
            self._add(f"{prefix}_{name}" if prefix else name, value)
            return
        kind = types.get(text)
        if kind is None:
            kind = f"Type{text[1:]}" if text[:1] == "#" else f"_{name}"
        self._add(f"{way}{kind}", value)
        messages = f"{way}Msgs"
        self._sums[messages] = self._sums.get(messages, 0) + value

    def _add(self, name: str, value: int, protocol: str | None = None) -> None:
        counters = self._counters
        if protocol not in (None, self._protocol):
            counters = self.tables.protocols.setdefault(protocol or "", {})
        counters[name[:_MAX_NAME_CHARS] or "unnamed"] = value

    def _judge(self, known: str) -> None:
        if self.dialect in ("", BSD):
            told = (name for name, hints in _HINTS if any(hint in known for hint in hints))
            self.dialect = next(told, self.dialect)


def _value(text: str) -> int:
    value = number(text)
    if value is None:
        raise OddLine("counter is not a number from 0 to 9223372036854775807")
    return value


OPENINGS = (sections.Opening(BSD, "protocols", Counters, heading=_HEADING),)
