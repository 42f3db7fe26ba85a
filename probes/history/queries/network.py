"""Routes, interfaces, protocol counters and multicast groups of a host, now or at a time.

Place in the data's way: reads what ``history.tables`` stored. A table comes whole into memory
(``history.contents`` caps it) and is filtered, sorted and paged there. "At a time" is the newest
whole table at or before it, as everywhere; these tables are taken less often than the sockets, so
each reading says of when it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from hosts.models import Host
from probes.analysis import rates
from probes.history import contents
from probes.history.queries.network_rows import CounterRow, InterfaceRow, matching, ordered
from probes.history.queries.pages import Page, bad_cursor, gone_cursor, open_cursor, seal
from probes.models import CounterSample, NetworkTable, TableStatus
from probes.observation import Table
from probes.parsers.records import INTERFACE_COUNTERS, Interface, Membership, Route
from probes.table_filters import TableFilter

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Reading(Generic[Row]):
    """A table of a host as of some probe."""

    table: Table
    status: TableStatus | None
    """How the newest attempt went, whatever time is asked for; None where there was none."""
    taken_at: dt.datetime | None = None
    """The newest time at or before the one asked for of which this is known to be the table; None
    where none is known."""
    first_seen: dt.datetime | None = None
    """Since when it was like this, but for counters. None for protocols: they are only counters."""
    last_seen: dt.datetime | None = None
    tool: str = ""
    rows: Sequence[Row] = field(default_factory=list)
    """As printed, before any filter."""
    printed: int = 0
    """How many rows the host printed: more than ``rows`` only of a very long table."""
    over_s: float | None = None
    """Of rates: the seconds between the two samples."""

    @property
    def identity(self) -> str:
        """The same for every reading of the same rows."""
        of = self.first_seen or self.taken_at
        return "" if of is None else of.isoformat()


def status(host: Host) -> dict[Table, TableStatus]:
    """How the newest attempt at each table of ``host`` went. One query."""
    stored = TableStatus.objects.using(_using(host)).filter(host_id=host.pk)
    return {Table(row.table): row for row in stored}


def routes(host: Host, *, at: dt.datetime | None = None) -> Reading[Route]:
    """The routes of ``host``. Two queries."""
    return _contents(host, Table.ROUTES, Route, at)


def multicast(host: Host, *, at: dt.datetime | None = None) -> Reading[Membership]:
    """The multicast groups that ``host`` has joined. Two queries."""
    return _contents(host, Table.MULTICAST, Membership, at)


def interfaces(host: Host, *, at: dt.datetime | None = None) -> Reading[InterfaceRow]:
    """The interfaces of ``host`` with totals, and rates from the newest two samples by then.
    Three queries."""
    found = _contents(host, Table.INTERFACES, Interface, at)
    newer, older = _samples(host, Table.INTERFACES, at)
    if newer is None or (found.first_seen is not None and newer.taken_at < found.first_seen):
        # The counters of that time are no longer kept.
        newer = older = None
    over_s = _seconds(older, newer)
    rows = with_rates(
        found.rows,
        {} if newer is None else newer.counters,
        {} if older is None else older.counters,
        seconds=over_s or 0.0,
    )
    return Reading(
        found.table,
        found.status,
        newer.taken_at if newer is not None else found.taken_at,
        found.first_seen,
        found.last_seen,
        newer.tool if newer is not None else found.tool,
        rows,
        found.printed,
        over_s,
    )


def with_rates(
    rows: Sequence[Interface], newer: contents.Sample, older: contents.Sample, *, seconds: float
) -> list[InterfaceRow]:
    """Interfaces with the counters of the newer of two samples, and how they grew in between."""
    by_name = rates.of_interfaces(older, newer, seconds=seconds)
    shown: list[InterfaceRow] = []
    met: set[str] = set()
    for row in rows:
        # Of two with one name the first has the counters.
        known: Any = newer.get(row.name, {}) if row.name not in met else {}
        grown = by_name.get(row.name, {}) if row.name not in met else {}
        met.add(row.name)
        shown.append(
            InterfaceRow(
                row._replace(**{name: known.get(name) for name in INTERFACE_COUNTERS}),
                {name: grown.get(name) for name in INTERFACE_COUNTERS},
            )
        )
    return shown


def protocols(host: Host, *, at: dt.datetime | None = None) -> Reading[CounterRow]:
    """The protocol counters of ``host``, and rates from the newest two samples by then. Two
    queries."""
    known = status(host).get(Table.PROTOCOLS)
    newer, older = _samples(host, Table.PROTOCOLS, at)
    if newer is None:
        return Reading(Table.PROTOCOLS, known)
    over_s = _seconds(older, newer)
    grown = rates.of_protocols(
        {} if older is None else older.counters, newer.counters, seconds=over_s or 0.0
    )
    rows = [
        CounterRow(protocol, name, value, grown[protocol][name])
        for protocol, counters in newer.counters.items()
        for name, value in counters.items()
        if value is not None
    ]
    return Reading(
        Table.PROTOCOLS,
        known,
        newer.taken_at,
        None,
        None,
        newer.tool,
        rows,
        len(rows),
        over_s,
    )


READERS: Final[dict[Table, Callable[..., Reading[Any]]]] = {
    Table.ROUTES: routes,
    Table.INTERFACES: interfaces,
    Table.PROTOCOLS: protocols,
    Table.MULTICAST: multicast,
}


def times(
    host: Host, table: Table, *, until: dt.datetime | None, limit: int
) -> tuple[list[dt.datetime], list[dt.datetime]]:
    """Up to ``limit`` times on either side of ``until`` at which ``table`` changed (or, where it
    has counters, was taken), each in the order of time: at or before it, and after it. At most
    two queries; with ``until`` None all are before."""
    rows: Any
    if table in (Table.INTERFACES, Table.PROTOCOLS):
        name = "taken_at"
        rows = CounterSample.objects.using(_using(host))
    else:
        name = "first_seen"
        rows = NetworkTable.objects.using(_using(host))
    rows = rows.filter(host_id=host.pk, table=table.value)
    before = rows if until is None else rows.filter(**{f"{name}__lte": until})
    earlier = list(before.order_by(f"-{name}").values_list(name, flat=True)[:limit])
    if until is None:
        return earlier[::-1], []
    after = rows.filter(**{f"{name}__gt": until}).order_by(name)
    return earlier[::-1], list(after.values_list(name, flat=True)[:limit])


def page(
    host: Host,
    table: Table,
    *,
    at: dt.datetime | None,
    filters: TableFilter,
    sort: str = "",
    cursor: str | None,
    limit: int,
) -> tuple[Reading[Any], Page[Any]]:
    """A page of a table, and the reading it is of. The pages behind it stay with that reading.

    Raises FilterError naming ``sort`` or ``cursor``.
    """
    kind = f"{table}:{host.pk}:{at}:{sort}:{filters.parameters()}"
    start, shown = 0, None
    if cursor is not None:
        at_text, shown, start = open_cursor(kind, cursor, parts=3)
        if not isinstance(at_text, str) or not isinstance(start, int):
            raise bad_cursor()
        at = dt.datetime.fromisoformat(at_text)
    reading = READERS[table](host, at=at)
    if cursor is not None and shown != reading.identity:
        raise gone_cursor()
    rows = ordered(matching(reading.rows, filters), table, sort)
    following = None
    if start + limit < len(rows) and reading.taken_at is not None:
        following = seal(kind, reading.taken_at.isoformat(), reading.identity, start + limit)
    return reading, Page(rows[start : start + limit], following, len(rows))


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    taken_at: dt.datetime
    tool: str
    counters: contents.Sample


def _using(host: Host) -> str:
    return host._state.db or "default"


def _contents(host: Host, table: Table, kind: type[Any], at: dt.datetime | None) -> Reading[Any]:
    known = status(host).get(table)
    stored = NetworkTable.objects.using(_using(host)).filter(host_id=host.pk, table=table.value)
    if at is not None:
        stored = stored.filter(first_seen__lte=at)
    found = stored.order_by("-first_seen").first()
    if found is None:
        return Reading(table, known)
    seen = found.last_seen if at is None or found.last_seen <= at else found.first_seen
    return Reading(
        table,
        known,
        seen,
        found.first_seen,
        found.last_seen,
        found.tool,
        contents.unpack(bytes(found.content_zstd), kind),
        found.rows,
    )


def _samples(
    host: Host, table: Table, at: dt.datetime | None
) -> tuple[_Sample | None, _Sample | None]:
    """The newest two samples at or before a time, the newer first."""
    stored = CounterSample.objects.using(_using(host)).filter(host_id=host.pk, table=table.value)
    if at is not None:
        stored = stored.filter(taken_at__lte=at)
    found: list[_Sample | None] = [
        _Sample(row.taken_at, row.tool, contents.unpack_sample(bytes(row.counters_zstd)))
        for row in stored.order_by("-taken_at")[:2]
    ]
    newer, older = (*found, None, None)[:2]
    return newer, older


def _seconds(older: _Sample | None, newer: _Sample | None) -> float | None:
    if older is None or newer is None:
        return None
    return (newer.taken_at - older.taken_at).total_seconds()
