"""What the pages of the other tables are made of: columns, filter fields, words of the charts.

Place in the data's way: read by ``views.network``. Declarations; knows no request, no query but
the names of its orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.history.queries import network_rows
from probes.observation import Table
from probes.parsers.records import Route
from probes.table_filters import (
    InterfaceFilter,
    MulticastFilter,
    ProtocolFilter,
    RouteFilter,
    TableFilter,
)

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Column:
    """A heading that sorts."""

    sort: str
    """Name in ``network_rows.SORTS``; empty for none."""
    label: Words
    css: str = ""
    largest_first: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What differs from table to table."""

    label: Words
    filters: type[TableFilter]
    api: str
    """Name of the JSON route, which also gives the CSV."""
    columns: tuple[Column, ...]
    fields: Callable[[Any, Sequence[Any]], list[dict[str, Any]]]
    """Fields of the filter form, from the query string and all rows."""


def _field(
    query: Any,
    name: str,
    label: str,
    css: str,
    *,
    placeholder: str = "",
    options: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "css": css,
        "placeholder": placeholder,
        "value": query.get(name, ""),
        "options": options,
    }


def _choices(everything: str, names: Sequence[str]) -> list[tuple[str, str]]:
    return [("", everything), *((name, name) for name in names)]


def _families() -> list[tuple[str, str]]:
    return [("", _("both")), ("4", "IPv4"), ("6", "IPv6")]


def _route_fields(query: Any, rows: Sequence[Route]) -> list[dict[str, Any]]:
    used = network_rows.names(rows, lambda row: row.interface)
    return [
        _field(query, "ip", _("Way to an address"), "na-w14", placeholder="10.0.0.1"),
        _field(query, "gateway", _("Gateway"), "na-w10"),
        _field(query, "interface", _("Interface"), "na-w10", options=_choices(_("all"), used)),
        _field(query, "family", _("Family"), "na-w7", options=_families()),
    ]


def _interface_fields(query: Any, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [_field(query, "name", _("Name"), "na-w14", placeholder="eth")]


def _protocol_fields(query: Any, rows: Sequence[Any]) -> list[dict[str, Any]]:
    met = list(dict.fromkeys(row.protocol for row in rows))
    return [
        _field(query, "protocol", _("Protocol"), "na-w10", options=_choices(_("all"), met)),
        _field(query, "counter", _("Counter"), "na-w14", placeholder="Retrans"),
        _field(
            query,
            "hide",
            _("Show"),
            "na-w12",
            options=[("", _("all counters")), ("zero", _("those above zero"))],
        ),
    ]


def _multicast_fields(query: Any, rows: Sequence[Any]) -> list[dict[str, Any]]:
    used = network_rows.names(rows, lambda row: row.interface)
    families = [("", _("all")), ("4", "IPv4"), ("6", "IPv6"), ("link", _("link layer"))]
    return [
        _field(query, "group", _("Group"), "na-w14", placeholder="224."),
        _field(query, "interface", _("Interface"), "na-w10", options=_choices(_("all"), used)),
        _field(query, "family", _("Family"), "na-w8", options=families),
    ]


PAGES: dict[Table, Page] = {
    Table.ROUTES: Page(
        gettext_lazy("Routes"),
        RouteFilter,
        "api-host-routes",
        (
            Column("destination", gettext_lazy("Destination")),
            Column("gateway", gettext_lazy("Gateway")),
            Column("interface", gettext_lazy("Interface")),
            Column("metric", gettext_lazy("Metric"), "na-num"),
        ),
        _route_fields,
    ),
    Table.INTERFACES: Page(
        gettext_lazy("Interfaces"),
        InterfaceFilter,
        "api-host-interfaces",
        (
            Column("name", gettext_lazy("Interface")),
            Column("", gettext_lazy("Addresses")),
            Column("rx_bytes_per_s", gettext_lazy("Received"), "na-num", largest_first=True),
            Column("tx_bytes_per_s", gettext_lazy("Sent"), "na-num", largest_first=True),
            Column("rx_packets_per_s", gettext_lazy("Packets in"), "na-num", largest_first=True),
            Column("tx_packets_per_s", gettext_lazy("Packets out"), "na-num", largest_first=True),
            Column("rx_bytes", gettext_lazy("Total in"), "na-num", largest_first=True),
            Column("tx_bytes", gettext_lazy("Total out"), "na-num", largest_first=True),
            Column("rx_errors", gettext_lazy("Errors"), "na-num", largest_first=True),
            Column("rx_dropped", gettext_lazy("Dropped"), "na-num", largest_first=True),
            Column("mtu", gettext_lazy("MTU"), "na-num", largest_first=True),
            Column("", gettext_lazy("Flags")),
        ),
        _interface_fields,
    ),
    Table.PROTOCOLS: Page(
        gettext_lazy("Protocols"),
        ProtocolFilter,
        "api-host-protocols",
        (
            Column("protocol", gettext_lazy("Protocol")),
            Column("counter", gettext_lazy("Counter")),
            Column("value", gettext_lazy("Total"), "na-num", largest_first=True),
            Column("per_second", gettext_lazy("Per second"), "na-num", largest_first=True),
        ),
        _protocol_fields,
    ),
    Table.MULTICAST: Page(
        gettext_lazy("Multicast"),
        MulticastFilter,
        "api-host-multicast",
        (
            Column("interface", gettext_lazy("Interface")),
            Column("group", gettext_lazy("Group")),
            Column("references", gettext_lazy("References"), "na-num", largest_first=True),
            Column("", gettext_lazy("Source")),
        ),
        _multicast_fields,
    ),
}

ROUTE_EXTRAS: tuple[tuple[str, Words, str], ...] = (
    ("flags", gettext_lazy("Flags"), ""),
    ("source", gettext_lazy("Source"), ""),
    ("kind", gettext_lazy("Kind"), ""),
    ("protocol", gettext_lazy("Made by"), ""),
    ("table", gettext_lazy("Table"), ""),
    ("mtu", gettext_lazy("MTU"), "na-num"),
    ("references", gettext_lazy("References"), "na-num"),
    ("uses", gettext_lazy("Uses"), "na-num"),
    ("expires_s", gettext_lazy("Expires in s"), "na-num"),
)
"""Columns of routes that are shown where some row has a value."""

TRAFFIC: dict[str, tuple[Words, str]] = {
    "bytes": (gettext_lazy("Bytes"), "bytes"),
    "packets": (gettext_lazy("Packets"), "count"),
    "problems": (gettext_lazy("Errors and drops"), "count"),
}
"""What the chart may show: its word, and the unit of its axis."""

TRAFFIC_WORDS: dict[str, Words] = {
    "rx_bytes": gettext_lazy("received"),
    "tx_bytes": gettext_lazy("sent"),
    "rx_packets": gettext_lazy("received"),
    "tx_packets": gettext_lazy("sent"),
    "rx_errors": gettext_lazy("errors receiving"),
    "tx_errors": gettext_lazy("errors sending"),
    "rx_dropped": gettext_lazy("dropped receiving"),
    "tx_dropped": gettext_lazy("dropped sending"),
    "rx_overruns": gettext_lazy("overruns receiving"),
    "tx_overruns": gettext_lazy("overruns sending"),
    "collisions": gettext_lazy("collisions"),
}
