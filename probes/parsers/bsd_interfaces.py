"""Interfaces of netstat of macOS, FreeBSD, OpenBSD and NetBSD (``-i``, ``-ib``, ``-ibd``).

Place in the data's way: one of the tables behind ``probes.parsers.parse``. Pure. Layout from if.c
of the four::

    Name  Mtu   Network       Address            Ipkts Ierrs     Ibytes    Opkts Oerrs  Obytes Coll
    lo0   16384 <Link#1>                          8010     0    1202020     8010     0 1202020    0
    lo0   16384 127           127.0.0.1           8010     -    1202020     8010     - 1202020    -
    en0*  1500  <Link#4>    02:00:5e:10:00:01      991     0     ...

An interface has a line for its link, whose counters are its own, and one for each address, whose
counters are those of the address (FreeBSD), of the interface again (the others), or ``-``. Which
counters there are the heading tells; they are taken from the right, as the address may be missing.
``*`` behind a name says that it is down. With ``-a`` the multicast groups of an address follow it.

Address and network are cut at their columns' widths. A network that fills its column tells no
prefix, and an IPv6 address that fills its own is left out, with a remark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from probes.parsers import endpoints, sections
from probes.parsers.bsd_endpoints import is_name
from probes.parsers.bsd_networks import network
from probes.parsers.bsd_words import (
    BSD,
    FREEBSD,
    MACOS,
    OPENBSD,
    columns,
    interface,
    mac,
    number,
)
from probes.parsers.lines import OddLine, counter
from probes.parsers.records import Interface, Membership, Tables
from probes.parsers.words import gettext_noop

_COLUMNS = r"Name +Mtu +Network +Address +I(?:pkts|bytes|errs|drop)(?:\s|$)"
_FIELDS = {
    "Ipkts": "rx_packets",
    "Ierrs": "rx_errors",
    "Ifail": "rx_errors",
    "Idrop": "rx_dropped",
    "Idrops": "rx_dropped",
    "Iqdrop": "rx_dropped",
    "Iqdrops": "rx_dropped",
    "Ibytes": "rx_bytes",
    "Opkts": "tx_packets",
    "Oerrs": "tx_errors",
    "Ofail": "tx_errors",
    "Odrop": "tx_dropped",
    "Odrops": "tx_dropped",
    "Oqdrop": "tx_dropped",
    "Oqdrops": "tx_dropped",
    "Drop": "tx_dropped",
    "Drops": "tx_dropped",
    "Obytes": "tx_bytes",
    "Coll": "collisions",
    "Colls": "collisions",
}
"""Our field by the heading's word; other columns (Time, Fpkts, Itcpkts) are read over."""
_LINK = re.compile(r"<[Ll]ink(?:#[0-9]{1,10})?>")
_AIX_LINK = re.compile(r"link#[0-9]{1,10}")
_AIX = gettext_noop("this is how AIX prints interfaces, which is not read")
_ROW = r"[A-Za-z][A-Za-z0-9._-]{0,31}\*? +[0-9]+ +<[Ll]ink(?:#[0-9]{1,10})?>(?:\s|$)"
_USUAL = {
    5: ("Ipkts", "Ierrs", "Opkts", "Oerrs", "Coll"),
    6: ("Ipkts", "Ierrs", "Idrop", "Opkts", "Oerrs", "Coll"),
    7: ("Ipkts", "Ierrs", "Ibytes", "Opkts", "Oerrs", "Obytes", "Coll"),
    8: ("Ipkts", "Ierrs", "Idrop", "Ibytes", "Opkts", "Oerrs", "Obytes", "Coll"),
}
"""Columns by their number, where the heading is missing."""
_NARROW_ADDRESS = 17
"""Width of the column of addresses, for IPv6, where it is not widened."""
_NARROW_NETWORK = 18
"""A column of networks wider than this is one of a wide table."""
_NARROW_V6_NETWORK = 11
"""What macOS, OpenBSD and NetBSD keep of an IPv6 network in a column that is no wider."""
_GROUP_INDENT = 8
_EMBEDDED = re.compile(r"fe80:([0-9a-f]{1,4})::?([0-9a-f:]*)")
_CUT = gettext_noop(
    "IPv6 addresses of interfaces that netstat may have cut are left out; it cuts none with -l "
    "(macOS), -W (FreeBSD) or -v (OpenBSD, NetBSD)"
)
_NAMED = gettext_noop(
    "names of interfaces' addresses are left out: netstat prints the addresses with -n"
)


class Interfaces(sections.Reader):
    """Reads the table, with or without its heading."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._counters: tuple[str, ...] | None = None
        self._network_width = 0
        self._linked: dict[str, Interface] = {}
        self._last = ""
        self._others: set[str] = set()
        """Interfaces whose lines are AIX's."""
        if heading is not None:
            self._heading(heading)

    def read(self, line: str) -> bool:
        """Add what the line tells of an interface; False for the line of headings."""
        if re.match(_COLUMNS, line):
            self._heading(line)
            return False
        tokens = line.split()
        if line[:_GROUP_INDENT].isspace():
            self._group(tokens)
            return True
        name, known, rest = self._first(tokens)
        values, width = self._values(rest)
        before = rest[: len(rest) - width]
        if not 1 <= len(before) <= 2:
            raise OddLine("columns do not match their heading")
        link, address = before[0], before[1] if len(before) == 2 else None
        if name in self._others or _AIX_LINK.fullmatch(link):
            self._others.add(name)
            raise OddLine(_AIX)
        if _LINK.fullmatch(link):
            told = {**known._asdict(), **values, "hardware": self._hardware(address)}
            known = Interface(**told)
            self._judge(link)
        elif address is not None and link != "none":
            shown = self._address(name, link, address)
            if shown is not None and shown not in known.addresses:
                known = known._replace(addresses=(*known.addresses, shown))
        self._linked[name] = known
        self._last = name
        return True

    def close(self) -> None:
        """Hand over the interfaces, in the order in which they came."""
        self.tables.interfaces += self._linked.values()

    def _heading(self, line: str) -> None:
        self.sure = True
        self._counters = tuple(line.split()[4:])
        places = columns(line, ("Network", "Address"))
        self._network_width = places["Address"] - places["Network"] - 1
        if {"Ifail", "Ofail"} & set(self._counters):
            self.dialect = OPENBSD
        elif "Idrop" in self._counters:
            self.dialect = FREEBSD

    def _judge(self, link: str) -> None:
        # FreeBSD has had the column Idrop since release 8; OpenBSD and NetBSD print <Link>.
        if self.dialect in ("", BSD) and "#" in link and self._counters is not None:
            self.dialect = MACOS

    def _first(self, tokens: list[str]) -> tuple[str, Interface, list[str]]:
        """Name, what is known of the interface so far, and the tokens after MTU."""
        if len(tokens) < 4:
            raise OddLine("columns are missing")
        name = interface(tokens[0].removesuffix("*"))
        if name is None:
            raise OddLine("the interface's name is not understood")
        mtu = number(tokens[1])
        if mtu is None and tokens[1] != "-":
            raise OddLine("MTU is no number")
        known = self._linked.get(name)
        if known is None:
            known = Interface(name, mtu, flags=() if tokens[0].endswith("*") else ("UP",))
        return name, known, tokens[2:]

    def _values(self, tokens: Sequence[str]) -> tuple[dict[str, int | None], int]:
        """The counters at the end of a row, and how many tokens they are; ``-`` as None."""
        names = self._counters
        if names is None:
            count = 0
            while count < len(tokens) and (
                tokens[-count - 1] == "-" or number(tokens[-count - 1]) is not None
            ):
                count += 1
            names = _USUAL.get(count)
            if names is None:
                raise OddLine("no heading tells what these columns are")
        if len(tokens) <= len(names):
            raise OddLine("columns are missing")
        values = list(zip(names, tokens[len(tokens) - len(names) :], strict=True))
        for _, token in values:
            if token != "-":
                counter(token)
        known = {
            _FIELDS[name]: None if token == "-" else counter(token)
            for name, token in values
            if name in _FIELDS
        }
        return known, len(names)

    def _hardware(self, text: str | None) -> str | None:
        """The hardware address; None where the link has none or shows its own name."""
        return None if text is None else mac(text)

    def _address(self, name: str, net: str, text: str) -> str | None:
        """The address with its prefix, where that is known; None where it cannot be kept."""
        if ":" not in text:
            if mac(text) is not None:
                raise OddLine("a hardware address where an IP address belongs")
            if is_name(text):
                self.tables.remark(_NAMED)
                return None
            return _with_prefix(endpoints.host(text).ip, self._prefix(net))
        if self._cut(text):
            self.tables.remark(_CUT)
            return None
        embedded = _EMBEDDED.fullmatch(text)
        if embedded and embedded[1] != "0":
            # KAME keeps the number of the interface in the second group, and macOS prints it.
            text = f"fe80::{embedded[2]}%{name}"
        return _with_prefix(endpoints.host(text).ip, self._prefix(net))

    def _cut(self, text: str) -> bool:
        return (
            len(text) == _NARROW_ADDRESS
            and not self.tables.wide
            and self._network_width <= _NARROW_NETWORK
        )

    def _prefix(self, net: str) -> int | None:
        """The prefix that the column of networks tells; None where it may have lost its end."""
        width = self._network_width
        if ":" in net:
            if "/" not in net:
                return None
            if width <= _NARROW_NETWORK:
                width = min(width, _NARROW_V6_NETWORK)
        if self._network_width and len(net) >= width and not self.tables.wide:
            return None
        try:
            known = network(net)
        except OddLine:
            return None
        return None if known.mark else int(known.text.rpartition("/")[2])

    def _group(self, tokens: list[str]) -> None:
        """A multicast group, below the address of the interface that joined it."""
        if not self._last or not tokens:
            raise OddLine("not a row of a table of interfaces")
        hardware = mac(tokens[0])
        references = (
            number(tokens[2].rstrip(")")) if tokens[1:2] == ["(refs:"] and tokens[2:] else None
        )
        if hardware is not None:
            family, group = "link", hardware
        else:
            known = endpoints.host(tokens[0])
            family, group = "inet6" if known.is_v6 else "inet", known.ip
        self.tables.multicast.append(Membership(self._last, family, group, references))


def _with_prefix(ip: str, prefix: int | None) -> str:
    return ip if prefix is None else f"{ip}/{prefix}"


OPENINGS = (
    sections.Opening(BSD, "interfaces", Interfaces, heading=_COLUMNS),
    sections.Opening(BSD, "interfaces", Interfaces, row=_ROW),
)
