"""iproute2 beside ss: routes, interfaces, multicast groups and protocol counters.

Place in the data's way: the tables of ``ip`` and ``nstat`` as one dialect, for
``probes.parsers.dialects``.
"""

from __future__ import annotations

from probes.parsers import iproute2_links, iproute2_maddr, iproute2_nstat, iproute2_routes

NAME = "iproute2"

OPENINGS = (
    *iproute2_links.OPENINGS,
    *iproute2_maddr.OPENINGS,
    *iproute2_nstat.OPENINGS,
    *iproute2_routes.OPENINGS,
)
