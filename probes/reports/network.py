"""Interfaces, gateways and routes.

Place in the data's way: tables of ``probes.reports.layout``, of what ``composition`` found.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from probes.reports.composition import Report, problems
from probes.reports.tables import Column, Table


def interfaces(report: Report) -> Table:
    many = report.host is None
    rows = []
    for of in report.interfaces:
        for row in of.rows:
            it, rate = row.interface, row.rates
            rows.append(
                (
                    *([of.host] if many else []),
                    it.name,
                    " ".join(it.addresses) or None,
                    it.mtu,
                    it.rx_packets,
                    it.tx_packets,
                    rate["rx_packets"],
                    rate["tx_packets"],
                    rate["rx_bytes"],
                    rate["tx_bytes"],
                    problems(row),
                    of.taken_at,
                )
            )
    return Table(
        "interfaces",
        _("Interfaces"),
        [
            *([Column("host", _("Host"), "host")] if many else []),
            Column("interface", _("Interface")),
            Column("addresses", _("Addresses"), "address"),
            Column("mtu", _("MTU"), "number"),
            Column("rx_packets", _("Packets in"), "number"),
            Column("tx_packets", _("Packets out"), "number"),
            Column("rx_packets_per_s", _("in /s"), "rate"),
            Column("tx_packets_per_s", _("out /s"), "rate"),
            Column("rx_bytes_per_s", _("Bytes in /s"), "bytes"),
            Column("tx_bytes_per_s", _("Bytes out /s"), "bytes"),
            Column("problems", _("Errors and drops"), "number"),
            Column("taken_at", _("As of"), "time"),
        ],
        rows,
        about=_(
            "Packets, errors and drops since the interface was made; rates between the two "
            "newest probes that asked."
        ),
        empty=_("No probe has taken the interfaces yet."),
        each_host=True,
    )


def gateways(report: Report) -> Table:
    many = report.host is None
    return Table(
        "gateways",
        _("Default gateways"),
        [
            *([Column("host", _("Host"), "host")] if many else []),
            Column("family", _("Family")),
            Column("gateway", _("Gateway"), "address"),
            Column("interface", _("Interface")),
            Column("metric", _("Metric"), "number"),
            Column("taken_at", _("As of"), "time"),
        ],
        [
            (
                *([of.host] if many else []),
                row.family,
                row.gateway or row.link,
                row.interface,
                row.metric,
                of.taken_at,
            )
            for of in report.routes
            for row in of.rows
            if row.destination in ("0.0.0.0/0", "::/0") and row.kind == "unicast"
        ],
        empty=_("No default route is known."),
        each_host=True,
    )


def routes(report: Report) -> Table:
    return Table(
        "routes",
        _("Routes"),
        [
            Column("destination", _("Destination"), "address"),
            Column("gateway", _("Gateway"), "address"),
            Column("interface", _("Interface")),
            Column("flags", _("Flags")),
            Column("metric", _("Metric"), "number"),
            Column("kind", _("Kind")),
        ],
        [
            (
                row.destination,
                row.gateway or row.link,
                row.interface,
                row.flags,
                row.metric,
                row.kind,
            )
            for of in report.routes
            for row in of.rows
        ],
        empty=_("No probe has taken the routes yet."),
        each_host=True,
    )
