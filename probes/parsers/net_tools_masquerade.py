"""``netstat -M``: masqueraded connections, or why there are none.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Linux 2.4
dropped the table; what took its place is read by ``conntrack``. Layout of old kernels from
print_masq in lib/masq_info.c of net-tools, with and without ``-e``::

    IP masquerading entries
    prot   expire source               destination          ports
    tcp   14:59.99 192.0.2.7            198.51.100.9         1025 -> 80 (61001)
    prot   expire    initseq delta prevd source               destination       ports
    udp    4:00.50          0     0     - 192.0.2.7           198.51.100.9      1026 -> 53 (61002)
"""

from __future__ import annotations

import re

from probes.parsers import sections, service_names
from probes.parsers.lines import PORTS, OddLine, is_ipv4
from probes.parsers.netstat_linux import NAME
from probes.parsers.records import Tables, Translation
from probes.parsers.words import gettext_noop

GONE = gettext_noop(
    "netstat -M shows nothing: the kernel has had no table of masqueraded connections since "
    "Linux 2.4. conntrack -L lists the translated connections."
)
_ROW = re.compile(
    r"(ip|tcp|udp|icmp|gre|esp) +([0-9]{1,9}):([0-9]{2})\.([0-9]{2}) +"
    r"(?:[0-9]{1,10} +-?[0-9]{1,6} +(?:-?[0-9]{1,6}|-) +)?"
    r"(\S{1,255}) +(\S{1,255}) +(\S{1,64}) -> (\S{1,64}) \((\S{1,64})\)"
)


class Gone(sections.Reader):
    """The complaint of a tool whose kernel has no such table."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        tables.remark(GONE)

    def read(self, line: str) -> bool:
        """There are no rows below it."""
        raise OddLine(sections.NOT_IN_A_TABLE)


class Masqueraded(sections.Reader):
    """Rows of old kernels."""

    def read(self, line: str) -> bool:
        """Add the row."""
        found = _ROW.fullmatch(line.rstrip())
        if found is None:
            raise OddLine("not a row of a table of masqueraded connections")
        protocol, minutes, seconds, _, source, destination, near, far, used = found.groups()
        if not is_ipv4(source) or not is_ipv4(destination):
            raise OddLine("the source or the destination is no address")
        self.tables.masquerade.append(
            Translation(
                protocol=protocol,
                state=None,
                timeout_s=int(minutes) * 60 + int(seconds),
                source_ip=source,
                source_port=_port(near, protocol),
                destination_ip=destination,
                destination_port=_port(far, protocol),
                reply_source_ip=destination,
                reply_source_port=_port(far, protocol),
                reply_destination_port=_port(used, protocol),
                kind="snat",
            )
        )
        return True


def _port(text: str, protocol: str) -> int | None:
    try:
        return PORTS[text]
    except KeyError:
        known = service_names.number(text, protocol)
    if known is None:
        raise OddLine("port is neither a number from 0 to 65535 nor a service that is known")
    return known


OPENINGS = (
    sections.Opening(
        NAME,
        "masquerade",
        Gone,
        heading=r"netstat: (?:no support for|feature) [`'\"]ip_masquerade['\"]"
        r"|(?:netstat: )?/proc/net/ip_masquerade: ",
    ),
    sections.Opening(
        NAME,
        "masquerade",
        Masqueraded,
        heading=r"IP masquerading entries|prot +expire +(?:initseq|source) +",
        row=r"(?:ip|tcp|udp|icmp|gre|esp) +[0-9]+:[0-9]{2}\.[0-9]{2} +\S.* -> \S+ \(\S+\) *\Z",
    ),
)
