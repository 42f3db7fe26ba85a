"""Routing tables of netstat of macOS, FreeBSD, OpenBSD and NetBSD.

Place in the data's way: one of the tables behind ``probes.parsers.parse``. Pure. Layouts from
route.c (FreeBSD 14: route_netlink.c too) and show.c (OpenBSD)::

    Routing tables

    Internet:
    Destination        Gateway            Flags           Netif Expire
    default            192.168.1.1        UGScg             en0
    127                127.0.0.1          UCS               lo0
    192.168.1.40       0:50:56:c0:0:8     UHLWIi            en0   1180

Between flags and interface stand, by the words of the heading, ``Refs Use`` (older ones), ``Nhop#
Mtu`` (FreeBSD -W), ``Refs Use Mtu`` (macOS -l, NetBSD) or ``Refs Use Mtu Prio`` (OpenBSD), whose
unknown values are ``-`` or, on macOS, nothing at all. A gateway that is no address (``link#4``, a
hardware address) is given as ``link``. The flags say what a route does: R rejects, B drops, b is a
broadcast address, m multicast, and on OpenBSD and NetBSD l is an address of the host itself.
"""

from __future__ import annotations

import re

from probes.parsers import endpoints, sections
from probes.parsers.bsd_endpoints import is_name
from probes.parsers.bsd_networks import Network, network
from probes.parsers.bsd_words import (
    BSD,
    FREEBSD,
    MACOS,
    NETBSD,
    OPENBSD,
    columns,
    interface,
    kept,
    mac,
    number,
)
from probes.parsers.lines import OddLine
from probes.parsers.records import Route, Tables

_TITLE = r"Routing tables(?: \(fib: ([0-9]{1,5})\))?\s*$"
_FAMILY = re.compile(r"(Internet6?|Encap|IPX|AppleTalk|Netgraph|MPLS|XNS|OSI|ISO):\s*$")
_OTHER_FAMILY = re.compile(r"Protocol Family [0-9]+:\s*$")
_FAMILIES = {"Internet": "inet", "Internet6": "inet6"}
_COLUMNS = r"Destination +Gateway +(?:RT_IFA +)?Flags(?:\s|$)"
_ROW = (
    r"default +\S+ +U[A-Za-z0-9]*(?: +(?:[0-9]+|-)){0,5} +[A-Za-z][A-Za-z0-9._-]*\*?"
    r"(?: +[0-9]+)?\s*$"
)
_FLAGS = re.compile(r"[A-Za-z0-9]{1,33}")
_LINK = re.compile(r"link#[0-9]{1,10}")
_KINDS = (
    ("R", "unreachable"),
    ("B", "blackhole"),
    ("b", "broadcast"),
    ("m", "multicast"),
    ("l", "local"),
)
_NUMBERS = ("Refs", "Use", "Nhop#", "Mtu", "Prio")
_NAMES_WIDTH = 18
"""Width of the columns where names are printed: only there is anything cut."""


class Routes(sections.Reader):
    """Reads the tables of all families, with or without their headings."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._family: str | None = None
        self._unread = False
        self._numbers: tuple[str, ...] | None = None
        self._has_source = False
        self._cut_at = 0
        self._table: str | None = None
        if heading is not None:
            title = re.match(_TITLE, heading)
            self._table = title[1] if title else None
            if self._table is not None:
                self.dialect = FREEBSD
            self._heading(heading)

    def read(self, line: str) -> bool:
        """Add the route; False for the name of a family and the line of headings."""
        if self._heading(line):
            return False
        if self._unread:
            raise OddLine("routes of this family are not read")
        if line[:1].isspace():
            raise OddLine("not a row of a routing table")
        tokens = line.split()
        if len(tokens) < 4:
            raise OddLine("columns are missing")
        destination, gateway, *rest = tokens
        source = rest.pop(0) if self._has_source else None
        if _FLAGS.fullmatch(rest[0]) is None:
            raise OddLine("flags not understood")
        flags, values = rest[0], rest[1:]
        numbers, values = self._take_numbers(values)
        if not values or interface(values[0].rstrip("*")) is None:
            raise OddLine("the interface is missing")
        self.tables.routes.append(self._route(destination, gateway, source, flags, numbers, values))
        return True

    def _heading(self, line: str) -> bool:
        """Take a line of headings; False where it is none."""
        family = _FAMILY.match(line)
        if family:
            self._family = _FAMILIES.get(family[1])
            self._unread = self._family is None
            return True
        if _OTHER_FAMILY.match(line):
            self._unread = True
            return True
        if re.match(_COLUMNS, line) is None:
            return False
        self.sure = True
        words = line.split()
        after = words[words.index("Flags") + 1 :]
        self._numbers = tuple(word for word in after if word in _NUMBERS)
        self._has_source = "RT_IFA" in words
        places = columns(line, ("Destination", "Gateway"))
        width = places.get("Gateway", 0) - 1
        self._cut_at = width if width == _NAMES_WIDTH else 0
        if "Prio" in after:
            self.dialect = OPENBSD
        elif "Interface" in after:
            self.dialect = NETBSD
        elif "Nhop#" in after:
            self.dialect = FREEBSD
        elif self._has_source:
            self.dialect = MACOS
        return True

    def _take_numbers(self, tokens: list[str]) -> tuple[dict[str, int | None], list[str]]:
        """The numbers between flags and interface, and what follows them."""
        count = 0
        while count < len(tokens) and (tokens[count] == "-" or number(tokens[count]) is not None):
            count += 1
        names = self._numbers
        if names is None:  # without headings
            names = ("Refs", "Use", "Mtu", "Prio")[:count] if 2 <= count <= 4 else ()
        elif count == len(names) - 1 and "Mtu" in names:
            names = tuple(name for name in names if name != "Mtu")
        elif count != len(names):
            raise OddLine("columns do not match their heading")
        values = {name: number(token) for name, token in zip(names, tokens, strict=False)}
        return values, tokens[count:]

    def _route(
        self,
        destination: str,
        gateway: str,
        source: str | None,
        flags: str,
        numbers: dict[str, int | None],
        values: list[str],
    ) -> Route:
        family = self._family or _family_of(destination, gateway)
        if self._cut(destination):
            known = Network(kept(destination), family, "truncated")
        else:
            known = network(destination, family=family, is_host="H" in flags)
        marks = [f"destination_{known.mark}"] if known.mark else []
        next_hop, link, mark = _gateway(gateway, cut=self._cut(gateway))
        if mark:
            marks.append(mark)
        expires = values[1] if len(values) > 1 else ""
        return Route(
            known.family or family or "inet",
            known.text,
            gateway=next_hop,
            interface=kept(values[0].rstrip("*")),
            flags=flags,
            metric=numbers.get("Prio"),
            source=_address(source) if source else None,
            kind=next((kind for flag, kind in _KINDS if flag in flags), "unicast"),
            link=link,
            table=self._table,
            references=numbers.get("Refs"),
            uses=numbers.get("Use"),
            mtu=numbers.get("Mtu"),
            expires_s=0 if expires == "!" else number(expires),
            marks=tuple(marks),
        )

    def _cut(self, text: str) -> bool:
        """True where the text fills a column of names: its end may be gone. An IPv4 network of
        that length (``255.255.255.255/32``) is whole."""
        return bool(self._cut_at) and len(text) == self._cut_at and text[-3:-2] != "/"


def _family_of(destination: str, gateway: str) -> str | None:
    """The family of a route whose table's heading is missing."""
    if ":" in destination:
        return "inet6"
    if destination == "default" and ":" in gateway and mac(gateway) is None:
        return "inet6"
    return "inet"


def _gateway(text: str, *, cut: bool) -> tuple[str | None, str | None, str | None]:
    """Address of the next hop, or the link, and a mark."""
    if cut:
        return kept(text), None, "gateway_truncated"
    hardware = mac(text)
    if hardware is not None:
        return None, hardware, None
    if _LINK.fullmatch(text):
        return None, text, None
    address = _address(text)
    if address is not None:
        return address, None, None
    if ":" in text or not is_name(text):
        raise OddLine("gateway not understood")
    if interface(text) is not None and text[-1].isdigit() and "." not in text:
        return None, text, None  # a link printed as the name of its interface
    return text, None, "gateway_name"


def _address(text: str) -> str | None:
    try:
        return endpoints.host(text).ip
    except OddLine:
        return None


OPENINGS = (
    sections.Opening(BSD, "routes", Routes, heading=_TITLE),
    # No headings, so that the reader at work, which knows the title, goes on with its table.
    sections.Opening(BSD, "routes", Routes, row=r"Internet6?:\s*$"),
    sections.Opening(BSD, "routes", Routes, row=_COLUMNS),
    sections.Opening(BSD, "routes", Routes, row=_ROW),
)
