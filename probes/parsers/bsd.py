"""macOS, FreeBSD, OpenBSD and NetBSD: all tables of their netstat.

Place in the data's way: the list that ``probes.parsers.dialects`` takes. Each table has a module
of its own, as the four print nearly the same; which of them it was is told by words and columns
that only one has, and left at ``bsd`` where there are none.
"""

from __future__ import annotations

from probes.parsers import (
    bsd_counters,
    bsd_interfaces,
    bsd_more_sockets,
    bsd_multicast,
    bsd_routes,
    bsd_sockets,
    bsd_unix,
)
from probes.parsers.sections import Opening

OPENINGS: tuple[Opening, ...] = (
    *bsd_sockets.OPENINGS,
    *bsd_more_sockets.OPENINGS,
    *bsd_unix.OPENINGS,
    *bsd_routes.OPENINGS,
    *bsd_interfaces.OPENINGS,
    *bsd_counters.OPENINGS,
    *bsd_multicast.OPENINGS,
)
