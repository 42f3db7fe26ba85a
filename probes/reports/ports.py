"""Ports, programs and listeners.

Place in the data's way: tables of ``probes.reports.layout``, of what ``composition`` found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from probes.reports.composition import Report
from probes.reports.tables import Column, Table, by_state, state_columns, word
from probes.reports.words import BOUND


def common_ports(report: Report) -> Table:
    return Table(
        "common_ports",
        _("Common ports"),
        [
            Column("port", _("Port"), "port"),
            Column("listeners", _("Listeners"), "number"),
            Column("inbound", _("Connections in"), "number"),
            *state_columns(),
            Column("other", _("other"), "number"),
            Column("outbound", _("Connections out"), "number"),
            Column("ips", _("Remote IPs"), "number"),
        ],
        [
            (
                row.port,
                row.listeners,
                row.inbound,
                *by_state(row.inbound_states),
                row.inbound - sum(by_state(row.inbound_states)),
                row.outbound,
                row.ips,
            )
            for row in report.common_ports
        ],
        about=_(
            "In: the port is the local one. Out: it is the remote one. States are of those in."
        ),
        empty=_("Nothing was counted."),
    )


def local_ports(report: Report) -> Table:
    return Table(
        "local_ports",
        _("Connections by local port"),
        [
            Column("port", _("Port"), "port"),
            Column("protocol", _("Proto")),
            Column("connections", _("Connections"), "number"),
            *state_columns(),
            Column("ips", _("Remote IPs"), "number"),
            Column("listeners", _("Listeners"), "number"),
        ],
        [
            (
                row.port,
                row.protocol,
                row.connections,
                *by_state(row.by_state),
                row.ips,
                row.listeners,
            )
            for row in report.local_ports
        ],
        empty=_("There is no such connection."),
    )


def programs(report: Report) -> Table:
    return Table(
        "programs",
        _("Programs"),
        [
            Column("program", _("Program"), "program"),
            Column("sockets", _("Sockets"), "number"),
            *state_columns(),
            Column("listeners", _("Listeners"), "number"),
            Column("ips", _("Remote IPs"), "number"),
        ],
        [
            (row.program, row.sockets, *by_state(row.by_state), row.listeners, row.ips)
            for row in report.programs
        ],
        about=_("Sockets in TIME_WAIT and SYN_RECV have no program any more, or not yet."),
        empty=_("Nothing was counted."),
    )


def listeners(report: Report) -> Table:
    tcp, udp = (
        ", ".join(
            str(port)
            for port in sorted(
                {
                    row.local_port
                    for row in report.listeners
                    if row.local_port is not None and row.protocol.startswith(protocol)
                }
            )
        )
        for protocol in ("tcp", "udp")
    )
    about = _("TCP: %(tcp)s. UDP: %(udp)s.") % {"tcp": tcp or "—", "udp": udp or "—"}
    title, empty = _("Listening ports"), _("Nothing listens.")
    if report.host is not None:
        return Table(
            "listeners",
            title,
            [
                Column("port", _("Port"), "port"),
                Column("protocol", _("Proto")),
                Column("local_ip", _("Address"), "address"),
                Column("bound", _("Reachable from")),
                Column("program", _("Program"), "program"),
                Column("pid", _("PID"), "id"),
                Column("connections", _("Connections"), "number"),
                Column("since", _("Listening since"), "time"),
            ],
            [
                (
                    row.local_port,
                    row.protocol,
                    row.local_ip,
                    word(row.bound, BOUND[row.bound]),
                    row.program,
                    row.pid,
                    row.connections,
                    row.first_seen,
                )
                for row in report.listeners
            ],
            about,
            empty,
        )
    return Table(
        "listeners",
        title,
        [
            Column("port", _("Port"), "port"),
            Column("protocol", _("Proto")),
            Column("bound", _("Reachable from")),
            Column("program", _("Program"), "program"),
            Column("hosts", _("Hosts"), "number"),
            Column("connections", _("Connections"), "number"),
            Column("listeners", _("Listeners"), "number"),
        ],
        _grouped(report.listeners),
        about,
        empty,
    )


def _grouped(listeners: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Listeners of many hosts, one row for each port, protocol, reach and program."""
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in listeners:
        groups[row.local_port, row.protocol, row.bound, row.program].append(row)
    return [
        (
            port,
            protocol,
            word(bound, BOUND[bound]),
            program,
            len({row.host_id for row in rows}),
            sum(row.connections for row in rows),
            sum(row.copies for row in rows),
        )
        for (port, protocol, bound, program), rows in sorted(
            groups.items(), key=lambda item: (item[0][0] or 0, *map(str, item[0][1:]))
        )
    ]
