"""iproute2: ``ip maddr``, the multicast groups of each interface, with or without ``-o``.

Place in the data's way: a table of the dialect ``iproute2``, behind ``probes.parsers.parse``.
Pure. There is no heading. Layout from ip/ipmaddr.c (print_mlist, print_maddr); the number of users
is left out where it is 1::

    2:	near0
        link  33:33:00:00:00:01 static
        inet  224.0.0.251 users 2
        inet6 ff02::1
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_LINE_CHARS, OddLine, queue, visible
from probes.parsers.records import Membership, Tables

NAME = "iproute2"

_HEAD = re.compile(r"[0-9]{1,10}:\t([^\s\\]{1,64})\s*")
_GROUP = re.compile(
    r"\t(link|inet6?) {1,2}([0-9a-f.:]{2,60})(?: users ([0-9]{1,19}))?(?: static)?\s*"
)
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5,19}[0-9a-f]{2}")


class Memberships(sections.Reader):
    """Groups, each line after that of its interface."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._interface: str | None = None

    def read(self, line: str) -> bool:
        """Add a group, or note the interface that those to come belong to."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        first, *others = line.split("\\")
        head = _HEAD.fullmatch(first)
        if head is None:
            if self._interface is None or others:
                raise OddLine("not a multicast group of an interface")
            self.tables.multicast.append(_group(self._interface, first))
            return True
        interface = visible(head[1])[:64]
        self.tables.multicast += [_group(interface, part) for part in others]
        self._interface = interface
        return True


def _group(interface: str, line: str) -> Membership:
    group = _GROUP.fullmatch(line)
    if group is None:
        raise OddLine("not a multicast group of an interface")
    family, address, users = group.groups()
    if family == "link":
        if _MAC.fullmatch(address) is None:
            raise OddLine("address not understood")
    else:
        try:
            address = str(
                ipaddress.IPv4Address(address)
                if family == "inet"
                else ipaddress.IPv6Address(address)
            )
        except ValueError:
            raise OddLine("address not understood") from None
    return Membership(interface, family, address, 1 if users is None else queue(users))


OPENINGS = (
    sections.Opening(
        NAME, "multicast", Memberships, row=r"[0-9]{1,10}:\t[^\s\\]{1,64}\s*(?:$|\\\t)"
    ),
)
