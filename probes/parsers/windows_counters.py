"""Windows: ``netstat -e``, ``netstat -s`` and both at once.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from the
documentation of netstat at Microsoft Learn and from outputs seen in public::

    Interface Statistics

                               Received            Sent

    Bytes                    3556423890      1131451158
    Unicast packets             4010672         2520252
    ...
    Unknown protocols                 0

    IPv4 Statistics

      Packets Received                   = 5405661
      Received Header Errors             = 61

    ICMPv4 Statistics

                                Received    Sent
      Messages                  368         481

All words are in the display language of Windows, but the rows of a section come in the same order
in every language: a row is known by its place, unless its words are the English ones. A title has
the names of the protocols (IPv4, ICMPv6, TCP, UDP) in every language.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.lines import MAX_QUEUE, OddLine, visible
from probes.parsers.records import Interface, Tables

_NAME = "windows"
_ALL = "all"
"""-e adds up all interfaces."""

_PAIR = r"[0-9]{1,20}[ \t]+[0-9]{1,20}[ \t]*$"
_INTERFACE_ROW = rf"[^\s\d=:][^\d=:]{{0,60}}[ \t]{{2,}}{_PAIR}"
_COUNT_ROW = r"[ \t]+[^\s=][^=]{0,100}=[ \t]*[0-9]{1,20}[ \t]*$"
_PAIR_ROW = rf"[ \t]+[^\s\d=][^\d=:]{{0,60}}[ \t]{_PAIR}"

_WORDS_AND_NUMBERS = re.compile(r"(\D*[^\d\s])[ \t]+([0-9]{1,20})(?:[ \t]+([0-9]{1,20}))?[ \t]*$")
_COUNT = re.compile(r"([^=]*)=[ \t]*([0-9]{1,20})[ \t]*$")
_TITLE = re.compile(r"[^\s=:][^=:]{1,80}$")
_COLUMNS = re.compile(r"[ \t]{10,}[^\d\s=:][^\d=:]{0,60}$")
"""Received and Sent above two columns, far to the right."""
_PROTOCOL = re.compile(r"(?<![A-Za-z])(?:ICMP(?:v([46]))?|(TCP|UDP)|IP(?:v([46]))?)(?![A-Za-z])")
_NOT_A_LETTER = re.compile(r"[\W_]+")
_MAX_WORDS_CHARS = 64

_IP = (
    ("packets received", "InReceives"),
    ("received header errors", "InHdrErrors"),
    ("received address errors", "InAddrErrors"),
    ("datagrams forwarded", "ForwDatagrams"),
    ("unknown protocols received", "InUnknownProtos"),
    ("received packets discarded", "InDiscards"),
    ("received packets delivered", "InDelivers"),
    ("output requests", "OutRequests"),
    ("routing discards", "routing_discards"),
    ("discarded output packets", "OutDiscards"),
    ("output packet no route", "OutNoRoutes"),
    ("reassembly required", "ReasmReqds"),
    ("reassembly successful", "ReasmOKs"),
    ("reassembly failures", "ReasmFails"),
    ("datagrams successfully fragmented", "FragOKs"),
    ("datagrams failing fragmentation", "FragFails"),
    ("fragments created", "FragCreates"),
)
_TCP = (
    ("active opens", "ActiveOpens"),
    ("passive opens", "PassiveOpens"),
    ("failed connection attempts", "AttemptFails"),
    ("reset connections", "EstabResets"),
    ("current connections", "CurrEstab"),
    ("segments received", "InSegs"),
    ("segments sent", "OutSegs"),
    ("segments retransmitted", "RetransSegs"),
)
_UDP = (
    ("datagrams received", "InDatagrams"),
    ("no ports", "NoPorts"),
    ("receive errors", "InErrors"),
    ("datagrams sent", "OutDatagrams"),
)
_ICMP = (
    ("messages", "Msgs"),
    ("errors", "Errors"),
    ("destination unreachable", "DestUnreachs"),
    ("time exceeded", "TimeExcds"),
    ("parameter problems", "ParmProbs"),
    ("source quenches", "SrcQuenchs"),
    ("redirects", "Redirects"),
    ("echo replies", "EchoReps"),
    ("echos", "Echos"),
    ("timestamps", "Timestamps"),
    ("timestamp replies", "TimestampReps"),
    ("address masks", "AddrMasks"),
    ("address mask replies", "AddrMaskReps"),
    ("router solicitations", "router_solicitations"),
    ("router advertisements", "router_advertisements"),
)
_ICMP_OLD = (*_ICMP[:7], _ICMP[8], _ICMP[7], *_ICMP[9:13])
"""Windows XP: without routers, and echos before their replies."""
_ICMPV6 = (
    ("messages", "Msgs"),
    ("errors", "Errors"),
    ("destination unreachable", "DestUnreachs"),
    ("packet too big", "PktTooBigs"),
    ("time exceeded", "TimeExcds"),
    ("parameter problems", "ParmProblems"),
    ("echos", "Echos"),
    ("echo replies", "EchoReplies"),
    ("mld queries", "GroupMembQueries"),
    ("mld reports", "GroupMembResponses"),
    ("mld dones", "GroupMembReductions"),
    ("router solicitations", "RouterSolicits"),
    ("router advertisements", "RouterAdvertisements"),
    ("neighbor solicitations", "NeighborSolicits"),
    ("neighbor advertisements", "NeighborAdvertisements"),
    ("redirects", "Redirects"),
    ("router renumberings", "router_renumberings"),
)

_Layout = tuple[tuple[str, str], ...]
_LAYOUTS: dict[str, tuple[_Layout, ...]] = {
    "ip": (_IP,),
    "ip6": (tuple((words, name.replace("Forw", "OutForw")) for words, name in _IP),),
    "icmp": (_ICMP, _ICMP_OLD),
    "icmp6": (_ICMPV6,),
    "tcp": (_TCP,),
    "tcp6": (_TCP,),
    "udp": (_UDP,),
    "udp6": (_UDP,),
}
"""By protocol: the rows of its section in their order, in English, and the names of the MIBs as
in /proc/net/snmp and snmp6. The one of as many rows serves an unknown language."""


class InterfaceStatistics(sections.Reader):
    """The table of ``-e``: six rows, the last of which has one number."""

    dialect = _NAME
    _ROWS = 6

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._rows: list[tuple[int | None, int | None]] = []
        self._titled = heading is not None
        self._columns = False

    def read(self, line: str) -> bool:
        """Take a row, in the order in which they come."""
        if not self._titled:
            if len(self.untold) != 2 or not _COLUMNS.match(self.untold[1]):
                raise OddLine("not a row of any table that is known")
            self._titled = self._columns = True
        if not self._columns and not self._rows and _COLUMNS.match(line):
            self._columns = True
            return False
        found = _WORDS_AND_NUMBERS.match(line)
        has_pair = len(self._rows) < self._ROWS - 1
        if (
            found is None
            or len(self._rows) >= self._ROWS
            or (found[3] is None) is has_pair
            or line[0].isspace()
        ):
            raise OddLine("not a row of the statistics of interfaces")
        self._rows.append((_number(found[2]), _number(found[3]) if found[3] else None))
        return True

    def close(self) -> None:
        """Add one interface for all of them."""
        if not self._rows:
            return
        self._rows += [(None, None)] * self._ROWS
        octets, unicast, other, discards, errors = self._rows[:5]
        self.tables.interfaces.append(
            Interface(
                name=_ALL,
                rx_bytes=octets[0],
                rx_packets=_sum(unicast[0], other[0]),
                rx_errors=errors[0],
                rx_dropped=discards[0],
                tx_bytes=octets[1],
                tx_packets=_sum(unicast[1], other[1]),
                tx_errors=errors[1],
                tx_dropped=discards[1],
            )
        )


class Statistics(sections.Reader):
    """The sections of ``-s``, from the first title to the end."""

    dialect = _NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._protocol = _protocol(heading) if heading is not None else None
        self._rows: list[tuple[str, int, int | None]] = []
        self._blank = False

    def read(self, line: str) -> bool:
        """Take a counter, or the title of the next section."""
        if self._protocol is None:
            titles = [protocol for told in self.untold if (protocol := _protocol(told))]
            if len(titles) != 1:
                raise OddLine("not a row of any table that is known")
            self._protocol = titles[0]
        after_blank, self._blank = self._blank, False
        if not line[0].isspace():
            protocol = _protocol(line) if after_blank else None
            if protocol is None:
                raise OddLine("not a row of statistics")
            self._end_of_section()
            self._protocol = protocol
            return False
        if not self._rows and _COLUMNS.match(line):
            return False
        found = _COUNT.match(line)
        if found is not None:
            self._rows.append((found[1].strip(), _number(found[2]), None))
            return True
        found = _WORDS_AND_NUMBERS.match(line)
        if found is None or found[3] is None or not self._protocol.startswith("icmp"):
            raise OddLine("not a row of statistics")
        self._rows.append((found[1].strip(), _number(found[2]), _number(found[3])))
        return True

    def blank(self) -> None:
        """A title may come now."""
        self._blank = True

    def close(self) -> None:
        """Hand over the last section."""
        self._end_of_section()

    def _end_of_section(self) -> None:
        if self._protocol is None or not self._rows:
            return
        counters = self.tables.protocols.setdefault(self._protocol, {})
        layouts = _LAYOUTS[self._protocol]
        english = {words: name for layout in layouts for words, name in layout}
        fitting = next((layout for layout in layouts if len(layout) == len(self._rows)), None)
        known = [english.get(words.lower()) for words, _, _ in self._rows]
        if fitting is not None and 2 * known.count(None) > len(known):
            known = [name for _, name in fitting]  # not English, but for a word or two
        for name, (words, first, second) in zip(known, self._rows, strict=True):
            name = name or _as_name(words)
            if second is None:
                counters[name] = first
            else:
                incoming, outgoing = ("in_", "out_") if name.islower() else ("In", "Out")
                counters[incoming + name] = first
                counters[outgoing + name] = second
        self._rows = []


def _protocol(title: str) -> str | None:
    """The section that a title in any language begins; None where it is none."""
    if _TITLE.match(title) is None:
        return None
    protocol, version = "", ""
    for found in _PROTOCOL.finditer(title):
        if found[0].startswith("ICMP"):
            protocol, version = "icmp", found[1] or version
        elif found[2]:
            protocol = found[2].lower()
        else:
            protocol, version = protocol or "ip", found[3] or version
    if not protocol:
        return None
    if version != "6":
        return protocol
    return f"{protocol}6"


def _as_name(words: str) -> str:
    """A counter that is not known, in the tool's own words."""
    name = _NOT_A_LETTER.sub("_", words.lower()).strip("_")
    return visible(name[:_MAX_WORDS_CHARS]) or "counter"


def _number(digits: str) -> int:
    number = int(digits)
    if number > MAX_QUEUE:
        raise OddLine("the counter is too large")
    return number


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else min(first + second, MAX_QUEUE)


_INTERFACE_TITLES = (
    "Interface Statistics",
    "接口统计",
    "介面統計資料",
    "インターフェイス統計",
    "Schnittstellenstatistik",
    "Statistiques de l",
)

OPENINGS = (
    sections.Opening(
        _NAME,
        "interfaces",
        InterfaceStatistics,
        heading=rf"(?:{'|'.join(_INTERFACE_TITLES)})[^=:\d]{{0,30}}$",
        row=_INTERFACE_ROW,
        untold=2,
    ),
    sections.Opening(
        _NAME,
        "protocols",
        Statistics,
        heading=r"(?:IPv[46]|ICMPv[46]|ICMP|IP|(?:TCP|UDP)) Statistics(?: for IPv[46])?[ \t]*$",
        row=_COUNT_ROW,
        untold=1,
    ),
    sections.Opening(_NAME, "protocols", Statistics, row=_PAIR_ROW, untold=2),
)
