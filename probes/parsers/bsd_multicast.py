r"""Multicast groups of netstat of macOS and the BSDs (``-g``).

Place in the data's way: one of the tables behind ``probes.parsers.parse``. Pure. Layout from
mcast.c of macOS (ifmalist_dump), columns apart by tabs::

    IPv4 Multicast Group Memberships
    Group                   Link-layer Address      Netif
    224.0.0.251             1:0:5e:0:0:fb           en0

FreeBSD, OpenBSD and NetBSD print tables of multicast routing instead (mroute.c, mroute6.c). Those
are no memberships: their titles are known, their rows rejected with that reason. On the BSDs the
groups are in ``netstat -ia`` (``bsd_interfaces``).
"""

from __future__ import annotations

import re

from probes.parsers import endpoints, sections
from probes.parsers.bsd_words import BSD, FREEBSD, MACOS, interface, mac
from probes.parsers.lines import OddLine
from probes.parsers.records import Membership, Tables

_TITLE = re.compile(r"(IPv4|IPv6|Link-layer) Multicast Group Memberships\s*$")
_FAMILIES = {"IPv4": "inet", "IPv6": "inet6", "Link-layer": "link"}
_COLUMNS = re.compile(r"Group\s+Link-layer Address\s+Netif\s*$")
_ROUTING = (
    r"(?:(?:IPv[46] )?(?:Virtual|Multicast) (?:Interface Table|Forwarding (?:Table|Cache))"
    r"|No IPv[46] (?:MROUTING|multicast)|No multicast routing|Multicast Routing Table)"
)
_ROUTING_COLUMNS = re.compile(r" *(?:Vif|Mif|Origin)\b")


class Memberships(sections.Reader):
    """Reads the memberships of one family."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        title = _TITLE.match(heading or "")
        self._family = _FAMILIES[title[1]] if title else ""

    def read(self, line: str) -> bool:
        """Add the membership; False for the line of headings."""
        if _COLUMNS.match(line):
            self.dialect = MACOS
            return False
        tokens = line.split()
        if len(tokens) != 3 or interface(tokens[2]) is None:
            raise OddLine("not a row of a table of multicast groups")
        group = _group(tokens[0], self._family)
        self.tables.multicast.append(Membership(tokens[2], self._family, group))
        return True


class Routing(sections.Reader):
    """A table of multicast routing; no row of it is read."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        if heading is not None and heading.startswith(("IPv", "No IPv")):
            self.dialect = FREEBSD

    def read(self, line: str) -> bool:
        """False for the line of headings, OddLine for a row."""
        if _ROUTING_COLUMNS.match(line):
            return False
        raise OddLine("routes of multicast packets are no memberships")


def _group(text: str, family: str) -> str:
    if family == "link":
        hardware = mac(text)
        if hardware is None:
            raise OddLine("hardware address not understood")
        return hardware
    known = endpoints.host(text)
    if known.is_v6 != (family == "inet6"):
        raise OddLine("the group is of another family than its table")
    return known.ip


OPENINGS = (
    sections.Opening(
        BSD, "multicast", Memberships, heading=_TITLE.pattern.replace("(IPv4", "(?:IPv4")
    ),
    sections.Opening(BSD, "multicast", Routing, heading=_ROUTING),
)
