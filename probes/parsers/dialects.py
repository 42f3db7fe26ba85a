"""Every table of every dialect, in the order in which their openings are tried.

Place in the data's way: what ``probes.parsers.sections`` walks a text with. A new dialect is a
module with ``OPENINGS`` and a line here.
"""

from __future__ import annotations

from probes.parsers import (
    bsd,
    conntrack,
    iproute2,
    net_tools_ifconfig,
    net_tools_interfaces,
    net_tools_masquerade,
    net_tools_multicast,
    net_tools_routes,
    net_tools_statistics,
    net_tools_unix,
    netstat_linux,
    proc_counters,
    proc_interfaces,
    proc_net,
    proc_routes,
    sockstat,
    ss,
    windows_counters,
    windows_processes,
    windows_routes,
    windows_sockets,
)
from probes.parsers.sections import Opening

OPENINGS: tuple[Opening, ...] = (
    *bsd.OPENINGS,  # before net-tools, some of whose headings are the beginning of theirs
    *sockstat.OPENINGS,
    *net_tools_masquerade.OPENINGS,
    *netstat_linux.OPENINGS,
    *net_tools_unix.OPENINGS,
    *net_tools_routes.OPENINGS,
    *net_tools_interfaces.OPENINGS,
    *net_tools_ifconfig.OPENINGS,
    *net_tools_statistics.OPENINGS,
    *net_tools_multicast.OPENINGS,
    *conntrack.OPENINGS,
    *ss.OPENINGS,
    *iproute2.OPENINGS,
    *proc_net.OPENINGS,
    *proc_routes.OPENINGS,
    *proc_interfaces.OPENINGS,
    *proc_counters.OPENINGS,  # with the names of any other files in /proc/net: last of them
    *windows_sockets.OPENINGS,
    *windows_processes.OPENINGS,
    *windows_routes.OPENINGS,
    *windows_counters.OPENINGS,  # shapes of few marks: after all others
)
