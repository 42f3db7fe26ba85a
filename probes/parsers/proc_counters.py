"""The kernel's own counters of protocols: /proc/net/{snmp,netstat,snmp6}.

Place in the data's way: tables of the dialect ``proc``, behind ``probes.parsers.parse``. Pure.
Layout: net/ipv4/proc.c and net/ipv6/proc.c of the kernel. The first two print a line of names and
one of numbers for each protocol, the third a counter a line::

    Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens
    Tcp: 1 200 120000 -1 16 4

    Ip6InReceives                   	34
"""

from __future__ import annotations

import re

from probes.parsers import mib, sections
from probes.parsers.lines import MAX_LINE_CHARS, OddLine, counter
from probes.parsers.proc_net import FOLDER
from probes.parsers.records import Tables

NAME = "proc"

_NAMES = rf"(?:{mib.PREFIXES}): {mib.COUNTER}(?: |$)"
_COUNTER = re.compile(mib.COUNTER)
_ONE = re.compile(rf"((?:{mib.PREFIXES}){mib.COUNTER}) *\t *([0-9]{{1,20}})\s*")
_ONE_SHAPE = rf"(?:{mib.PREFIXES}){mib.COUNTER} *\t *[0-9]{{1,20}}\s*$"
_NO_LIMIT = "-1"


class Pair(sections.Reader):
    """Two lines of one protocol: names, numbers."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        title, _, names = (heading or "").partition(":")
        self._title = title
        self._names = names.split()

    def read(self, line: str) -> bool:
        """Add the counters."""
        title, _, text = line.partition(":")
        values = text.split() if len(line) <= MAX_LINE_CHARS else []
        if title != self._title:
            raise OddLine("not the counters of the names above")
        if len(values) != len(self._names):
            raise OddLine("more or fewer counters than the line above has names")
        counters = {
            # -1 is told of a gauge alone: no fixed limit (RFC 4022, tcpMaxConn).
            name: counter(value)
            for name, value in zip(self._names, values, strict=True)
            if value != _NO_LIMIT
        }
        if not all(map(_COUNTER.fullmatch, self._names)):
            raise OddLine("a name of no counter in the line above")
        self.tables.protocols.setdefault(mib.PROTOCOLS[title], {}).update(counters)
        return True


class Single(sections.Reader):
    """A counter a line."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the counter."""
        row = _ONE.fullmatch(line)
        if row is None:
            raise OddLine("not a counter of /proc/net/snmp6")
        protocol, name = mib.counter(row[1])
        self.tables.protocols.setdefault(protocol, {})[name] = counter(row[2])
        return True


OPENINGS = (
    sections.Opening(NAME, "protocols", Pair, heading=_NAMES),
    sections.Opening(NAME, "protocols", Single, heading=rf"{FOLDER}snmp6 +<=="),
    sections.Opening(NAME, "protocols", Single, row=_ONE_SHAPE),
    # After all files whose own lines do not tell what they are: the name of any other.
    sections.Opening(NAME, "", None, heading=rf"{FOLDER}[a-z0-9_/]{{1,40}} +<=="),
)
