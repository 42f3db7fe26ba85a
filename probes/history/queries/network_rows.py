"""Rows of the other tables: which of them are asked for, and in which order.

Place in the data's way: between ``queries.network``, which reads whole tables, and their filters
(``probes.table_filters``). In memory; knows no database.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from probes.analysis import rates
from probes.filters import FilterError
from probes.observation import Table
from probes.parsers.records import INTERFACE_COUNTERS, Interface, Membership, Route
from probes.table_filters import (
    InterfaceFilter,
    MulticastFilter,
    ProtocolFilter,
    RouteFilter,
    TableFilter,
    address,
)


class InterfaceRow(NamedTuple):
    """An interface with its counters and how they change."""

    interface: Interface
    rates: rates.Rates
    """Per second, by the names of INTERFACE_COUNTERS; None where it cannot be told."""


class CounterRow(NamedTuple):
    """One counter of a protocol."""

    protocol: str
    counter: str
    value: int
    per_second: float | None
    """None for what is no counter, and where it cannot be told."""


Row = TypeVar("Row")
Key = Callable[[Any], Any]


def matching(rows: Sequence[Row], filters: TableFilter) -> list[Row]:
    """The rows that a filter of their kind leaves over; routes to an address, the most specific
    and then the cheapest first."""
    tests: dict[type[TableFilter], Callable[[Any, Any], bool]] = {
        RouteFilter: _route_matches,
        InterfaceFilter: _interface_matches,
        ProtocolFilter: _counter_matches,
        MulticastFilter: _membership_matches,
    }
    test = next(test for kind, test in tests.items() if isinstance(filters, kind))
    found = [row for row in rows if test(row, filters)]
    if isinstance(filters, RouteFilter) and filters.ip is not None:
        found.sort(key=cast("Key", _by_length))
    return found


def ordered(rows: Sequence[Row], table: Table, sort: str) -> list[Row]:
    """``rows`` by a name of :data:`SORTS`, with ``-`` before it largest first; as they are for "".

    Unknown values come last either way. Raises FilterError("sort").
    """
    if not sort:
        return list(rows)
    key = SORTS[table].get(sort.removeprefix("-"))
    if key is None or sort.startswith("--"):
        words = ", ".join(SORTS[table])
        raise FilterError("sort", format_lazy(_("Give one of: {words}."), words=words))
    known = [row for row in rows if key(row) is not None]
    known.sort(key=key, reverse=sort.startswith("-"))
    return [*known, *(row for row in rows if key(row) is None)]


def names(rows: Iterable[Any], of: Callable[[Any], str | None]) -> list[str]:
    """What may be chosen from: each known value once, in order."""
    return sorted({name for name in map(of, rows) if name is not None})


def _route_matches(row: Route, wanted: RouteFilter) -> bool:
    if wanted.family is not None and row.family != _FAMILIES[wanted.family]:
        return False
    if wanted.interface is not None and row.interface != wanted.interface:
        return False
    if wanted.gateway is not None and wanted.gateway not in (row.gateway or row.link or ""):
        return False
    if wanted.ip is None:
        return True
    network = _network(row)
    return network is not None and address(wanted.ip) in network


def _interface_matches(row: InterfaceRow, wanted: InterfaceFilter) -> bool:
    return wanted.name is None or wanted.name.casefold() in row.interface.name.casefold()


def _counter_matches(row: CounterRow, wanted: ProtocolFilter) -> bool:
    if wanted.protocol is not None and wanted.protocol.casefold() != row.protocol.casefold():
        return False
    if wanted.counter is not None and wanted.counter.casefold() not in row.counter.casefold():
        return False
    return wanted.hide is None or row.value != 0


def _membership_matches(row: Membership, wanted: MulticastFilter) -> bool:
    if wanted.interface is not None and row.interface != wanted.interface:
        return False
    if wanted.family is not None and row.family != _FAMILIES.get(wanted.family, wanted.family):
        return False
    return wanted.group is None or wanted.group.casefold() in row.group.casefold()


_FAMILIES: Final = {"4": "inet", "6": "inet6"}


def _network(route: Route) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Where a route leads; None where its destination is a name or was cut."""
    if "destination_name" in route.marks or "destination_truncated" in route.marks:
        return None
    host, percent, zone = route.destination.partition("%")
    prefix = zone.partition("/")[2] if percent else ""
    try:
        return ipaddress.ip_network(f"{host}/{prefix}" if prefix else host, strict=False)
    except ValueError:
        return None


def _by_length(route: Route) -> tuple[int, int]:
    network = _network(route)
    return (0 if network is None else -network.prefixlen, route.metric or 0)


def _destination(route: Route) -> tuple[int, int, int, str]:
    network = _network(route)
    if network is None:
        return (9, 0, 0, route.destination)
    return (network.version, int(network.network_address), network.prefixlen, "")


def _group(row: Membership) -> tuple[str, int, str]:
    try:
        packed = int(ipaddress.ip_address(row.group.partition("%")[0]))
    except ValueError:
        packed = 0
    return (row.family, packed, row.group)


def _rate(name: str) -> Key:
    return lambda row: row.rates[name]


def _total(name: str) -> Key:
    return lambda row: getattr(row.interface, name)


SORTS: Final[dict[Table, dict[str, Key]]] = {
    Table.ROUTES: {
        "destination": _destination,
        "gateway": lambda row: row.gateway or row.link,
        "interface": lambda row: row.interface,
        "metric": lambda row: row.metric,
    },
    Table.INTERFACES: {
        "name": lambda row: row.interface.name,
        "mtu": lambda row: row.interface.mtu,
        **{name: _total(name) for name in INTERFACE_COUNTERS},
        **{f"{name}_per_s": _rate(name) for name in INTERFACE_COUNTERS},
    },
    Table.PROTOCOLS: {
        "protocol": lambda row: (row.protocol, row.counter),
        "counter": lambda row: (row.counter, row.protocol),
        "value": lambda row: row.value,
        "per_second": lambda row: row.per_second,
    },
    Table.MULTICAST: {
        "interface": lambda row: row.interface,
        "group": _group,
        "references": lambda row: row.references,
    },
}
"""By table, the names a list may be sorted by."""
