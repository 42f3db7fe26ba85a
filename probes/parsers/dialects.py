"""Every table of every dialect, in the order in which their openings are tried.

Place in the data's way: what ``probes.parsers.sections`` walks a text with. A new dialect is a
module with ``OPENINGS`` and a line here.
"""

from __future__ import annotations

from probes.parsers import netstat_linux, ss
from probes.parsers.sections import Opening

OPENINGS: tuple[Opening, ...] = (
    *netstat_linux.OPENINGS,
    *ss.OPENINGS,
)
