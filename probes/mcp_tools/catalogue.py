"""The tools, in the order in which they are listed.

Place in the data's way: read by ``calling`` and ``server``. The descriptions say to a model when a
tool is the right one, and what it cannot answer.
"""

from __future__ import annotations

from typing import Final

from netadmin.access.models import Role
from probes.mcp_tools import acting, fleet, one_host
from probes.mcp_tools.declared import Tool
from probes.payloads.shapes import history, sightings, snapshots, sockets, statistics, tools
from probes.payloads.shapes import live as live_shapes
from probes.tools import live

_TOOLS: Final = (
    Tool(
        "query_network_connections",
        "Connections of a host now",
        "Look at a host now: logs in over SSH (or runs locally for localhost), runs netstat or ss,"
        " and answers with its connections, filtered by protocol and state. Use connections_at"
        " for what is stored, for a past time, or to filter by address, port or program. proto is"
        " tcp, udp or all; state (such as LISTEN, ESTABLISHED, TIME_WAIT) is of TCP only. port is"
        " the SSH port, where it is not the configured one, which takes a token that may operate.",
        live.query_network_connections,
        live.LiveConnections,
        live_shapes.LiveConnections,
        live=True,
        rows="connections",
    ),
    Tool(
        "check_port_occupation",
        "Is a port taken now",
        "Look at a host now and say whether a local port is taken, and by which processes. Use"
        " explain_port for who uses it and since when, fleet_ports for all hosts at once. ssh_port"
        " is the port of SSH, where it is not the configured one, which takes a token that may"
        " operate.",
        live.check_port_occupation,
        live.LivePort,
        live_shapes.LivePort,
        live=True,
        rows="occupations",
    ),
    Tool(
        "connections_at",
        "Connections of a host at any time",
        "The sockets of one host in the newest stored snapshot, or at any time in the past (at),"
        " filtered by protocol, state, address, port, program and direction, sorted, a page at a"
        " time. Reads what is stored; logs in nowhere.",
        one_host.connections_at,
        one_host.ConnectionsAt,
        sockets.Connections,
    ),
    Tool(
        "diff_times",
        "What changed on a host between two times",
        "What opened, closed and changed on one host between two times. Without times: between"
        " its newest two snapshots. counts says how many of each kind there are, whatever the"
        " page.",
        one_host.diff_times,
        one_host.DiffTimes,
        history.Diff,
    ),
    Tool(
        "who_talked_to",
        "Who ever talked to an address, or held a port",
        "Search all hosts and all kept history for an address (ip), a network (cidr), a port that"
        " was listened on at either end (port), or a program (part of its name): which hosts saw"
        " it, first and last time, with which programs, in which direction. Give at least one of"
        " them; since and until narrow the time.",
        fleet.who_talked_to,
        fleet.WhoTalkedTo,
        sightings.SightingSummary,
    ),
    Tool(
        "explain_port",
        "Explain a port of a host",
        "Everything about one port of one host: which process holds it and since when, which"
        " remote addresses are connected to it, what the watch of ports knows of it, its newest"
        " changes and its active alerts.",
        one_host.explain_port,
        one_host.ExplainPort,
        tools.PortExplained,
    ),
    Tool(
        "fleet_ports",
        "Ports over all hosts",
        "With port: every host that listens on it, and which process holds it there. Without"
        " port: every port that any host listens on, with how many hosts and which programs. Now"
        " or at any time in the past.",
        fleet.fleet_ports,
        fleet.FleetPorts,
        sockets.PortHolders | sockets.Ports,
    ),
    Tool(
        "top_remote_ips",
        "Remote addresses with most connections",
        "The remote addresses with most connections, most first, of one host, a group or all"
        " hosts, now or at a past time, with their states and the local ports they use.",
        fleet.top_remote_ips,
        fleet.TopRemoteIps,
        statistics.IpCounts,
    ),
    Tool(
        "open_alerts",
        "Alerts that are not over",
        "The alerts that are not over, the gravest first: what is wrong, on which host, since"
        " when, what shows it, and what to do about it.",
        fleet.open_alerts,
        fleet.OpenAlerts,
        tools.AlertsInShort,
    ),
    Tool(
        "probe_now",
        "Probe a host now",
        "Have the workers probe a host now, out of turn, and wait for its snapshot. It is stored,"
        " compared and judged like any other. Needs a token that may operate.",
        acting.probe_now,
        acting.ProbeNow,
        snapshots.ProbeDone | snapshots.ProbeAsked,
        role=Role.OPERATOR,
        reads_only=False,
        live=True,
    ),
)

TOOLS: Final = {tool.name: tool for tool in _TOOLS}
