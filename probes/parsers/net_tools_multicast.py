"""Multicast groups that interfaces have joined, as ``netstat -g`` prints them.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from
igmp_do_one in netstat.c of net-tools; names of groups without ``-n``, where one resolves::

    IPv6/IPv4 Group Memberships
    Interface       RefCnt Group
    --------------- ------ ---------------------
    eth0            1      224.0.0.1
    eth0            2      ff02::1:ff00:1
    eth0            1      ip6-allnodes
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import OddLine, is_ipv4, queue, visible
from probes.parsers.netstat_linux import NAME
from probes.parsers.records import Membership

_ROW = re.compile(r"(\S{1,64}) +([0-9]{1,19}) +(\S{1,255})")
_NAMES = {
    # The hosts file of Debian and its like, and zone mcast.net, which IANA keeps.
    "ip6-localnet": "fe00::",
    "ip6-mcastprefix": "ff00::",
    "ip6-allnodes": "ff02::1",
    "ip6-allrouters": "ff02::2",
    "ip6-allhosts": "ff02::3",
    "all-systems.mcast.net": "224.0.0.1",
    "all-routers.mcast.net": "224.0.0.2",
    "ospf-all.mcast.net": "224.0.0.5",
    "ospf-dsig.mcast.net": "224.0.0.6",
    "rip2-routers.mcast.net": "224.0.0.9",
    "pim-routers.mcast.net": "224.0.0.13",
    "vrrp.mcast.net": "224.0.0.18",
    "igmp.mcast.net": "224.0.0.22",
    "mdns.mcast.net": "224.0.0.251",
    "ntp.mcast.net": "224.0.1.1",
}


class Memberships(sections.Reader):
    """Rows of the table."""

    def read(self, line: str) -> bool:
        """Add the row."""
        found = _ROW.fullmatch(line.strip())
        if found is None:
            raise OddLine("not a row of a table of multicast groups")
        interface, references, group = found.groups()
        group = _NAMES.get(group.lower(), group)
        family = "inet"
        if not is_ipv4(group):
            family = "inet6"
            try:
                group = str(ipaddress.IPv6Address(group))
            except ValueError:
                raise OddLine("the group is neither an address nor a name that is known") from None
        self.tables.multicast.append(
            Membership(
                interface=visible(interface)[:64],
                family=family,
                group=group,
                references=queue(references),
            )
        )
        return True


OPENINGS = (
    sections.Opening(
        NAME,
        "multicast",
        Memberships,
        heading=r"(?:IPv6/)?(?:IPv4 Group Memberships|IPv4-Gruppenmitgliedschaften|Membres del grup"
        r" IPv4|Členství v IPv4|IPv4 grupikuuluvused|IPv4グループ|IPv4 ჯგუფის"
        r"|Medlemskap i IPv4-grupper)|Interface +RefCnt +Group|-{15} -{6} -{9}",
        row=r"\S{1,64} +[0-9]{1,6} +"
        r"(?:2(?:2[4-9]|3[0-9])(?:\.[0-9]{1,3}){3}|ff[0-9a-f]{2}:[0-9a-f:.]*) *\Z",
    ),
)
