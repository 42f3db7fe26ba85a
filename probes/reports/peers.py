"""Who is connected, and what is half open or closing.

Place in the data's way: tables of ``probes.reports.layout``, of what ``composition`` found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from probes.reports.composition import Report
from probes.reports.tables import Column, Table, by_state, state_columns, word
from probes.reports.words import SCOPE_WORDS


def scopes(report: Report) -> Table:
    return Table(
        "scopes",
        _("Where the addresses are"),
        [
            Column("scope", _("Addresses")),
            Column("connections", _("Connections"), "number"),
            Column("ips", _("IPs"), "number"),
            *state_columns(),
        ],
        [
            (
                word(row.scope, SCOPE_WORDS[row.scope]),
                row.connections,
                row.ips,
                *by_state(row.by_state),
            )
            for row in report.scopes
        ],
        empty=_("Nothing was counted."),
    )


def ips(
    key: str, title: str, found: Iterable[Any], *, many: bool, about: str = "", states: bool = True
) -> Table:
    columns = [
        Column("ip", _("Remote IP"), "ip"),
        Column("scope", _("Address")),
        Column("connections", _("Connections"), "number"),
    ]
    if states:
        columns += [*state_columns(), Column("other", _("other"), "number")]
    columns.append(Column("local_ports", _("Local ports")))
    if many:
        columns.append(Column("hosts", _("Hosts"), "number"))
    rows = []
    for row in found:
        broken_down = by_state(row.by_state)
        cells: list[Any] = [row.ip, word(row.scope, SCOPE_WORDS[row.scope]), row.total]
        if states:
            cells += [*broken_down, row.total - sum(broken_down)]
        cells.append(", ".join(f"{port}×{count}" for port, count in row.local_ports) or None)
        rows.append((*cells, row.hosts) if many else tuple(cells))
    return Table(key, title, columns, rows, about, empty=_("There is no such connection."))


def busiest(report: Report, *, many: bool) -> Table:
    if report.busiest_port is None:
        title = _("Remote IPs on the busiest local port")
    else:
        title = _("Remote IPs on local port %(port)d, the busiest") % {"port": report.busiest_port}
    return ips("busiest_port_ips", title, report.busiest_port_ips, many=many)


def sockets(key: str, title: str, found: Iterable[Any], report: Report, *, about: str) -> Table:
    hosts = report.hosts
    many = report.host is None
    rows = [
        (
            *([hosts.get(row.host_id)] if many else []),
            row.protocol,
            row.local_ip,
            row.local_port,
            row.foreign_ip,
            row.foreign_port,
            row.program,
            row.pid,
            row.first_seen,
        )
        for row in found
    ]
    return Table(
        key,
        title,
        [
            *([Column("host", _("Host"), "host")] if many else []),
            Column("protocol", _("Proto")),
            Column("local_ip", _("Local IP"), "address"),
            Column("local_port", _("Port"), "id"),
            Column("foreign_ip", _("Remote IP"), "ip"),
            Column("foreign_port", _("Port"), "id"),
            Column("program", _("Program"), "program"),
            Column("pid", _("PID"), "id"),
            Column("first_seen", _("First seen"), "time"),
        ],
        rows,
        about,
        empty=_("There is no such connection."),
    )


def close_wait_programs(report: Report) -> Table:
    many = report.host is None
    return Table(
        "close_wait_programs",
        _("CLOSE_WAIT by program"),
        [
            Column("program", _("Program"), "program"),
            Column("sockets", _("Sockets"), "number"),
            Column("ips", _("Remote IPs"), "number"),
            *([Column("hosts", _("Hosts"), "number")] if many else []),
        ],
        [
            (row.program, row.sockets, row.ips, *([row.hosts] if many else []))
            for row in report.close_wait_programs
        ],
        about=_("The program has to close them: no setting of the kernel does."),
        empty=_("There is no such connection."),
    )
