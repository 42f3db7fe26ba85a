"""The counts that one-liners over netstat give, summed by the database over any hosts and time.

Place in the data's way: what the pages Statistics and Report, the Peers and States tabs and the
routes ``statistics/...`` show. Each function takes the :class:`Scope` of
``probes.history.queries.moments`` (now, one host's snapshot, or many hosts at one past time) and
gives frozen rows; it knows no page and no caller. A host of 100,000 sockets is never read row by
row here.

Addresses and ports are columns, so nothing is cut at a colon: an IPv6 address is whole, an
IPv4-mapped one counts as its IPv4, and a local port is never taken for a remote one. A
*connection* is a socket with a foreign end; a listener is none. A socket that netstat printed
three times (``copies``) counts three.
"""

from __future__ import annotations

from probes.history.queries.statistics_addresses import (
    END_SORTS,
    IP_SORTS,
    counted_remote_ips,
    ip_on_port,
    remote_ends,
    remote_ips,
)
from probes.history.queries.statistics_counted import EVERY_ROW, number_of
from probes.history.queries.statistics_ports import (
    COMMON_PORTS,
    PORT_SORTS,
    PROGRAM_SORTS,
    common_ports,
    local_ports,
    programs,
)
from probes.history.queries.statistics_rows import (
    CommonPort,
    EndRow,
    IpRow,
    PortCount,
    ProgramCount,
    ProtocolCount,
    ScopeCount,
    StateCount,
)
from probes.history.queries.statistics_sums import CUT_SHORT, LOCAL_PORTS, check_sort
from probes.history.queries.statistics_totals import (
    ELEVEN,
    every_listed,
    listed,
    listed_page,
    protocols,
    scopes,
    snapshot_counts,
    states,
)

__all__ = [
    "COMMON_PORTS",
    "CUT_SHORT",
    "ELEVEN",
    "END_SORTS",
    "EVERY_ROW",
    "IP_SORTS",
    "LOCAL_PORTS",
    "PORT_SORTS",
    "PROGRAM_SORTS",
    "CommonPort",
    "EndRow",
    "IpRow",
    "PortCount",
    "ProgramCount",
    "ProtocolCount",
    "ScopeCount",
    "StateCount",
    "check_sort",
    "common_ports",
    "counted_remote_ips",
    "every_listed",
    "ip_on_port",
    "listed",
    "listed_page",
    "local_ports",
    "number_of",
    "programs",
    "protocols",
    "remote_ends",
    "remote_ips",
    "scopes",
    "snapshot_counts",
    "states",
]
