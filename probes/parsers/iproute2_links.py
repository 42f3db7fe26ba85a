"""iproute2: ``ip link`` and ``ip addr``, with ``-s``, ``-s -s``, ``-d`` or ``-o``.

Place in the data's way: a table of the dialect ``iproute2``, behind ``probes.parsers.parse``.
Pure. There is no heading. Layout from ip/ipaddress.c (print_linkinfo, print_addrinfo,
print_stats64)::

    2: near0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP ...
        link/ether 02:00:00:00:09:01 brd ff:ff:ff:ff:ff:ff link-netnsid 0
        inet 10.9.1.1/24 brd 10.9.1.255 scope global near0
           valid_lft forever preferred_lft forever
        RX:  bytes packets errors dropped  missed   mcast
              5644      64      0       0       0       0
        RX errors:  length    crc   frame    fifo overrun
                         0      0       0       0       0
        TX:  bytes packets errors dropped carrier collsns
              7640     100      0       0       0       0

Counters are known by the words above them, which changed over the versions. With ``-o`` a record
is one line, its own lines parted by a backslash, and ``ip -o addr`` has a record per address.

Two things are said as netstat says them. ``ip`` prints NO-CARRIER for an interface that is up and
not RUNNING, and RUNNING never: here it is a flag where that is meant. Overruns are those of the
FIFO, which only ``-s -s`` tells; the ``overrun`` of older versions is used where it is all there
is.
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_LINE_CHARS, OddLine, counter, visible
from probes.parsers.records import Interface, Tables

MAX_FLAG_CHARS = 64
NAME = "iproute2"

_HEAD = re.compile(
    r"[0-9]{1,10}: ([^\s:@]{1,64})(?:@[^\s:]{1,64})?: <([A-Za-z0-9_,-]{0,255})> mtu ([0-9]{1,10})"
    r"(?:\s|\Z)"
)
_ADDRESS_OF = re.compile(r"[0-9]{1,10}: ([^\s:@]{1,64})(?:@[^\s:]{1,64})?[ \t]+(?=inet6? )")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5,19}[0-9a-f]{2}")
_COUNTED = re.compile(r"[ \t]*(RX|TX)( errors)?:[ \t]+([a-z][a-z \t]*)")
_VALUES = re.compile(r"[ \t]*[0-9][0-9 \t]*")
_SHORTENED = re.compile(r"[ \t]*[0-9][0-9.]*[kKMGTP]?i?(?:[ \t]+[0-9][0-9.]*[kKMGTP]?i?)+[ \t]*")
_DETAIL = re.compile(
    r"[ \t]+(?:altname|alias|valid_lft|promiscuity|vf|openvswitch|prog/|parentbus|bridge"
    r"|bridge_slave|bond|bond_slave|vlan|vxlan|veth|dummy|ifb|macvlan|macvtap|ipvlan|tun|gre|gretap|ip6gre|sit"
    r"|ipip|ip6tnl|vti|wireguard|vrf|vrf_slave|geneve|macsec|team|team_slave|xfrm)(?:[ \t]|$)"
)
_FIELDS = {
    ("RX", "bytes"): "rx_bytes",
    ("RX", "packets"): "rx_packets",
    ("RX", "errors"): "rx_errors",
    ("RX", "dropped"): "rx_dropped",
    ("RX", "overrun"): "rx_overruns",
    ("RX errors", "fifo"): "rx_overruns",
    ("TX", "bytes"): "tx_bytes",
    ("TX", "packets"): "tx_packets",
    ("TX", "errors"): "tx_errors",
    ("TX", "dropped"): "tx_dropped",
    ("TX errors", "fifo"): "tx_overruns",
    ("TX", "collsns"): "collisions",
}
_MAX_NAME = 64


class Links(sections.Reader):
    """Records of the table; those of one interface become one Interface."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._known: dict[str, Interface] = {}
        self._name: str | None = None
        self._counted: tuple[str, list[str]] | None = None
        """What the next line counts: RX or TX, and the words above the numbers."""

    def read(self, line: str) -> bool:
        """Take a line of a record, or a record of one line."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        if "\\" not in line:
            return self._read(line)
        before = dict(self._known), self._name, self._counted
        try:
            for part in line.split("\\"):
                if part and not part.isspace():
                    self._read(part)
        except OddLine:
            self._known, self._name, self._counted = before
            raise
        return True

    def _read(self, line: str) -> bool:
        head = _HEAD.match(line)
        if head:
            self._begin(head[1])
            self._set(flags=_flags(head[2]), mtu=int(head[3]))
            return True
        address = _ADDRESS_OF.match(line)
        if address:
            self._begin(address[1])
            self._detail(line[address.end() :].split())
            return True
        if self._name is None or not line[0].isspace():
            self._name = None
            raise OddLine("not a line of an interface")
        return self._continued(line)

    def _continued(self, line: str) -> bool:
        counted, self._counted = self._counted, None
        title = _COUNTED.fullmatch(line)
        if title:
            self._counted = title[1] + (title[2] or ""), title[3].split()
            return False
        if counted is not None:
            self._count(counted, line)
            return True
        if _DETAIL.match(line):
            return True
        return self._detail(line.split())

    def _detail(self, words: list[str]) -> bool:
        first = words[0]
        if first in ("inet", "inet6"):
            self._add_address(words)
        elif first.startswith("link/"):
            mac = words[1] if len(words) > 1 else ""
            if first != "link/loopback" and _MAC.fullmatch(mac):
                self._set(hardware=mac)
        else:
            raise OddLine("a detail of an interface that is not known")
        return True

    def _add_address(self, words: list[str]) -> None:
        if len(words) < 2 or len(words[1]) > 49:
            raise OddLine("address not understood")
        try:
            address = ipaddress.ip_interface(words[1])
        except ValueError:
            raise OddLine("address not understood") from None
        text = str(address) if "/" in words[1] else str(address.ip)
        known = self._interface().addresses
        if text not in known:
            self._set(addresses=(*known, text))

    def _count(self, counted: tuple[str, list[str]], line: str) -> None:
        direction, words = counted
        if _VALUES.fullmatch(line) is None:
            if _SHORTENED.fullmatch(line):
                raise OddLine("counters are shortened (-h), so that they tell no exact number")
            raise OddLine("no counters below their title")
        values = [counter(text) for text in line.split()]
        if len(values) != len(words):
            raise OddLine("more or fewer counters than their title has words")
        fields = {
            _FIELDS[direction, word]: value
            for word, value in zip(words, values, strict=True)
            if (direction, word) in _FIELDS
        }
        self._set(**fields)

    def _begin(self, name: str) -> None:
        self._name = visible(name)[:_MAX_NAME]
        self._known.setdefault(self._name, Interface(self._name))
        self._counted = None

    def _interface(self) -> Interface:
        assert self._name is not None
        return self._known[self._name]

    def _set(self, **fields: object) -> None:
        assert self._name is not None
        self._known[self._name] = self._interface()._replace(**fields)  # type: ignore[arg-type]

    def close(self) -> None:
        """Hand over all interfaces."""
        self.tables.interfaces += self._known.values()


def _flags(text: str) -> tuple[str, ...]:
    flags = tuple(flag[:MAX_FLAG_CHARS] for flag in text.split(",")) if text else ()
    if "UP" in flags and "NO-CARRIER" not in flags:
        return (*flags, "RUNNING")
    return flags


OPENINGS = (
    sections.Opening(NAME, "interfaces", Links, row=rf"(?:{_HEAD.pattern}|{_ADDRESS_OF.pattern})"),
)
