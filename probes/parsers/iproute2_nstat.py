"""iproute2: ``nstat -asz``, the kernel's protocol counters.

Place in the data's way: a table of the dialect ``iproute2``, behind ``probes.parsers.parse``.
Pure. Layout from misc/nstat.c (dump_kern_db, dump_incr_db): name, number, rate::

    #kernel
    IpInReceives                    22                 0.0
    TcpExtTCPPureAcks               7                  0.0

Without ``-a`` the numbers are what was added since nstat ran last; nothing in the text tells.
"""

from __future__ import annotations

import re

from probes.parsers import mib, sections
from probes.parsers.lines import OddLine, counter

NAME = "iproute2"

_HEADING = r"#(?:kernel|[0-9]{1,20}\.[0-9]{1,20}(?: sampling_interval=.{0,200})?)\s*$"
_ROW = re.compile(r"([A-Za-z][A-Za-z0-9_]{1,80}) +([0-9]{1,20}) +[0-9]{1,20}(?:\.[0-9]+)?[KMG]?\s*")


class Counters(sections.Reader):
    """Counters, one a line."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the counter."""
        row = _ROW.fullmatch(line)
        if row is None:
            raise OddLine("not a counter of nstat")
        protocol, name = mib.counter(row[1])
        self.tables.protocols.setdefault(protocol, {})[name] = counter(row[2])
        return True


OPENINGS = (
    sections.Opening(
        NAME,
        "protocols",
        Counters,
        heading=_HEADING,
        row=rf"(?:{mib.PREFIXES}){mib.COUNTER} +[0-9]{{1,20}} +[0-9]{{1,20}}\.[0-9]+[KMG]?[ \t]*$",
    ),
)
