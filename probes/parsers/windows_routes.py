"""Windows: ``netstat -r`` and ``route print``.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from the
documentation of route at Microsoft Learn and from outputs seen in public::

    ===========================================================================
    Interface List
     12...00 15 5d 01 02 03 ......Intel(R) Ethernet Connection I219-LM
      1...........................Software Loopback Interface 1
    ===========================================================================

    IPv4 Route Table
    ===========================================================================
    Active Routes:
    Network Destination        Netmask          Gateway       Interface  Metric
              0.0.0.0          0.0.0.0      192.168.1.1     192.168.1.23     35
            127.0.0.0        255.0.0.0         On-link         127.0.0.1    331
    ===========================================================================
    Persistent Routes:
      Network Address          Netmask  Gateway Address  Metric
              0.0.0.0          0.0.0.0    192.168.1.254  Default

    IPv6 Route Table
    ===========================================================================
    Active Routes:
     If Metric Network Destination      Gateway
     12    291 fe80::9c20:1e22:891:24ee/128
                                        On-link

Every word is in the display language, so rows are known by their form, and the lines between a
separator and the first row after it are headings. A route on the link has words in place of the
gateway. IPv4 rows name their interface by its address, IPv6 rows by its number.
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.endpoints import host
from probes.parsers.lines import OddLine, is_ipv4, visible
from probes.parsers.records import Interface, Route, Tables

_NAME = "windows"

_IPV4 = r"[0-9.]{7,15}"
_INTERFACE_ROW = (
    r"[ \t]{0,20}(?:0x[0-9a-fA-F]{1,8}|[0-9]{1,8}) ?\.{3}"
    r"(?:\.{6}|(?:[0-9a-fA-F]{2} ){6})"
)
_IPV4_ROW = rf"[ \t]*{_IPV4}[ \t]+{_IPV4}[ \t]+\S.*[ \t]{_IPV4}[ \t]+[0-9]{{1,10}}[ \t]*$"
_IPV6_ROW = (
    r"[ \t]*[0-9]{1,10}[ \t]+[0-9]{1,10}[ \t]+[0-9a-fA-F.]{0,15}:[0-9a-fA-F:.]{1,45}"
    r"/[0-9]{1,3}(?:[ \t]|$)"
)

_INTERFACE = re.compile(
    r"[ \t]*(0x[0-9a-fA-F]{1,8}|[0-9]{1,8}) ?\.{3} ?((?:[0-9a-fA-F]{2} )*)[. ]*(.*)"
)
_ROW4 = re.compile(_IPV4_ROW)
_PERSISTENT4 = re.compile(rf"[ \t]*{_IPV4}[ \t]+{_IPV4}[ \t]+\S")
_ROW6 = re.compile(_IPV6_ROW)
_INTERFACE_START = re.compile(_INTERFACE_ROW)
_SEPARATOR = re.compile(r"[ \t]*={60,120}[ \t]*$")
_TITLE = re.compile(r"[^=:\s][^=:]{0,60}IPv([46])[^=:]{0,60}$|IPv([46])[^=:]{0,60}$")
_DEFAULT_GATEWAY = re.compile(rf"[^\d\s][^\d:]{{0,60}}:[ \t]*{_IPV4}[ \t]*$")
"""Windows XP repeats the default gateway below the table."""
_DIGIT = re.compile(r"[0-9]")

_HEADINGS = 3
"""Lines that follow a separator before the first row: what the table is, its columns, or that
it is empty."""
_MAX_HEADING_CHARS = 160
_WRAPPED_INDENT = " " * 10
_NO_METRIC = 2**32 - 1
"""A persistent IPv6 route without a metric of its own."""
_MAX_NAME_CHARS = 255


class Routes(sections.Reader):
    """The list of interfaces and the tables of routes after it."""

    dialect = _NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._interfaces: dict[int, str] = {}
        """Names by number."""
        self._headings = 0
        """How many of the next lines may be headings."""
        self._families: set[str] = set()
        """Those that have had a title or rows: each has one title."""
        self._block = 0
        """Separators since the title. After the first one come the active routes, after the
        second one the persistent ones."""
        self._wrapped: Route | None = None
        """An IPv6 route whose gateway is on the next line."""

    def read(self, line: str) -> bool:
        """Add a route or an interface, or take a heading."""
        if self._wrapped is not None and self._goes_on(line):
            return True
        self._end_of_row()
        if _SEPARATOR.match(line):
            self._headings = _HEADINGS
            self._block += 1
            return False
        if _ROW4.match(line):
            self._active_ipv4(line.split())
        elif _ROW6.match(line):
            self._ipv6(line.split(None, 3))
        elif _INTERFACE_START.match(line):
            self._interface(line)
        elif self._block > 1 and _PERSISTENT4.match(line):
            self._persistent_ipv4(line.split())
        else:
            return self._heading(line)
        self._headings = 0
        return True

    def blank(self) -> None:
        """After a blank line comes a title, if anything."""
        self._end_of_row()
        self._headings = 0

    def close(self) -> None:
        """Keep a route whose gateway never came."""
        self._end_of_row()

    def _heading(self, line: str) -> bool:
        """False where the line may be a heading; OddLine otherwise."""
        title = _TITLE.match(line)
        if title is not None:
            family = "inet" if "4" in (title[1], title[2]) else "inet6"
            if family not in self._families:
                self._families.add(family)
                self._block = 0
                return False
        if self._headings and len(line) <= _MAX_HEADING_CHARS and not _DIGIT.search(line):
            self._headings -= 1
            return False
        if _DEFAULT_GATEWAY.match(line) and self._block == 1:
            return True  # says again what a row above says
        raise OddLine("not a row of a table of routes")

    def _interface(self, line: str) -> None:
        found = _INTERFACE.match(line)
        assert found is not None
        octets = found[2].split()
        name = visible(found[3].strip()[:_MAX_NAME_CHARS])[:_MAX_NAME_CHARS]
        if not name:
            raise OddLine("the interface has no name")
        self._interfaces[int(found[1], 0)] = name
        hardware = ":".join(octets).lower() if len(octets) == 6 else None
        self.tables.interfaces.append(Interface(name=name, hardware=hardware))

    def _active_ipv4(self, fields: list[str]) -> None:
        destination = _network4(fields[0], fields[1])
        gateway, source = " ".join(fields[2:-2]), fields[-2]
        if not is_ipv4(source):
            raise OddLine("address not understood")
        self.tables.routes.append(
            Route(
                family="inet",
                destination=destination,
                gateway=_gateway(gateway),
                metric=_number(fields[-1]),
                source=source,
                persistent=False,
            )
        )
        self._families.add("inet")
        self._block = 1

    def _persistent_ipv4(self, fields: list[str]) -> None:
        """Without an interface; the metric may be a word that says that it has none."""
        destination = _network4(fields[0], fields[1])
        is_address = is_ipv4(fields[2])
        metric = fields[-1] if fields[-1].isdecimal() else None
        if len(fields) < 4 or (not is_address and _DIGIT.search(fields[2])):
            raise OddLine("not a row of a table of routes")
        self.tables.routes.append(
            Route(
                family="inet",
                destination=destination,
                gateway=fields[2] if is_address else None,
                metric=None if metric is None else _number(metric),
                persistent=True,
            )
        )

    def _ipv6(self, fields: list[str]) -> None:
        number, metric, destination, *gateway = fields
        try:
            network = str(ipaddress.IPv6Network(destination, strict=False))
        except ValueError:
            raise OddLine("destination not understood") from None
        index, cost = _number(number), _number(metric)
        route = Route(
            family="inet6",
            destination=network,
            gateway=_gateway(gateway[0].strip()) if gateway else None,
            interface=self._interfaces.get(index, str(index)) if index else None,
            metric=None if cost == _NO_METRIC else cost,
            persistent=self._block > 1,
        )
        self._families.add("inet6")
        self._block = max(self._block, 1)
        if gateway:
            self.tables.routes.append(route)
        else:
            self._wrapped = route

    def _goes_on(self, line: str) -> bool:
        """Take the gateway of the route above; False where the line is no gateway."""
        assert self._wrapped is not None
        if not line.startswith(_WRAPPED_INDENT) or len(line) > _MAX_HEADING_CHARS:
            return False
        try:
            gateway = _gateway(line.strip())
        except OddLine:
            return False
        self._wrapped = self._wrapped._replace(gateway=gateway)
        self._end_of_row()
        return True

    def _end_of_row(self) -> None:
        if self._wrapped is not None:
            self.tables.routes.append(self._wrapped)
            self._wrapped = None


def _network4(address: str, mask: str) -> str:
    """In CIDR form, host bits cleared."""
    try:
        network = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
    except ValueError:
        raise OddLine("destination not understood") from None
    if str(network.netmask) != mask:  # a mask upside down, which Python takes as well
        raise OddLine("destination not understood")
    return str(network)


def _gateway(text: str) -> str | None:
    """The address of the next hop; None where words in whatever language are in its place."""
    try:
        return host(text).ip
    except OddLine:
        if not text or _DIGIT.search(text):
            raise OddLine("gateway not understood") from None
    return None


def _number(digits: str) -> int:
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        raise OddLine("metric is not a number")
    return int(digits)


OPENINGS = (
    sections.Opening(_NAME, "routes", Routes, row=_INTERFACE_ROW, untold=2),
    sections.Opening(_NAME, "routes", Routes, row=_IPV4_ROW, untold=4),
    sections.Opening(_NAME, "routes", Routes, row=_IPV6_ROW, untold=4),
)
