"""Every question to history: pages, JSON, CSV and MCP ask here and shape what comes.

Place in the data's way: between the stored rows and whoever shows them. Results are frozen values
that know nothing of HTML or JSON. What a caller may see is decided before: these functions answer
about the hosts they are given. A query runs on the database its host or hosts came from.
"""

from __future__ import annotations

from probes.history.queries.counters import TRAFFIC_BYS, Traffic, TrafficBy, traffic
from probes.history.queries.fleet import (
    BARS,
    Bar,
    HostRow,
    all_snapshots,
    host_row,
    overview,
    snapshots,
)
from probes.history.queries.network import Reading
from probes.history.queries.network_rows import CounterRow, InterfaceRow
from probes.history.queries.pages import Page
from probes.history.queries.ports import PortRow, holders_page, port_holders, port_key, ports
from probes.history.queries.scopes import SCOPES
from probes.history.queries.series import BYS, MOST_POINTS, Series, timeline
from probes.history.queries.sockets import (
    DEFAULT_SORT,
    SORTS,
    SocketRow,
    connections,
    iter_connections,
    snapshot_at,
)
from probes.history.queries.statistics_rows import IpRow

__all__ = [
    "BARS",
    "BYS",
    "DEFAULT_SORT",
    "MOST_POINTS",
    "SCOPES",
    "SORTS",
    "TRAFFIC_BYS",
    "Bar",
    "CounterRow",
    "HostRow",
    "InterfaceRow",
    "IpRow",
    "Page",
    "PortRow",
    "Reading",
    "Series",
    "SocketRow",
    "Traffic",
    "TrafficBy",
    "all_snapshots",
    "connections",
    "holders_page",
    "host_row",
    "iter_connections",
    "overview",
    "port_holders",
    "port_key",
    "ports",
    "snapshot_at",
    "snapshots",
    "timeline",
    "traffic",
]
