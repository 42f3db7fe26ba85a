"""iproute2: ``ss -s``, how many sockets there are.

Place in the data's way: a table of the dialect ``ss``, which lists its openings. Pure. Its numbers
are of one moment, so they are no counters of a MIB; they are kept with the counters under the name
``sockets``. Layout from misc/ss.c (print_summary)::

    Total: 182
    TCP:   10 (estab 2, closed 3, orphaned 0, timewait 0)

    Transport Total     IP        IPv6
    RAW	  1         0         1
    UDP	  5         3         2

Before iproute2 4.20 the first line had ``(kernel 190)`` and the second ``synrecv 0`` and
``timewait 3/0), ports 0``; a line ``*`` came first below the title.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.lines import OddLine, queue

NAME = "ss"
SOCKETS = "sockets"

_TOTAL = re.compile(r"Total: ([0-9]+)(?: \(kernel ([0-9]+)\))?\s*")
_TCP = re.compile(r"TCP: {1,8}([0-9]+) \(([a-z0-9 ,/]{1,200})\)(?:, ports ([0-9]+))?\s*")
_PART = re.compile(r"([a-z]{1,20}) ([0-9]+)(?:/[0-9]+)?")
_TITLE = re.compile(r"Transport +Total +IP +IPv6\s*")
_ROW = re.compile(r"(\*|[A-Z]{2,10})\s+([0-9]+)\s+([0-9]+|-)\s+([0-9]+|-)\s*")


class Summary(sections.Reader):
    """Lines of the summary; each number under the words beside it."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add what the line counts."""
        if _TITLE.fullmatch(line):
            return False
        counts = _counts(line)
        self.tables.remark("ss -s tells how many sockets there are at one moment, not since boot")
        self.tables.protocols.setdefault(SOCKETS, {}).update(counts)
        return True


def _counts(line: str) -> dict[str, int]:
    total = _TOTAL.fullmatch(line)
    if total:
        counts = {"total": queue(total[1])}
        if total[2] is not None:
            counts["kernel"] = queue(total[2])
        return counts
    tcp = _TCP.fullmatch(line)
    if tcp:
        counts = {"tcp": queue(tcp[1])}
        for part in tcp[2].split(", "):
            named = _PART.fullmatch(part)
            if named is None:
                raise OddLine("not a count of a summary")
            counts[f"tcp_{named[1]}"] = queue(named[2])
        if tcp[3] is not None:
            counts["tcp_ports"] = queue(tcp[3])
        return counts
    row = _ROW.fullmatch(line)
    if row is None:
        raise OddLine("not a line of a summary of sockets")
    name = "all" if row[1] == "*" else row[1].lower()
    columns = (("total", row[2]), ("ip", row[3]), ("ipv6", row[4]))
    return {f"{name}_{column}": queue(text) for column, text in columns if text != "-"}


OPENINGS = (
    sections.Opening(
        NAME, "protocols", Summary, row=r"Total: [0-9]{1,10}(?: \(kernel [0-9]{1,10}\))?[ \t]*$"
    ),
)
