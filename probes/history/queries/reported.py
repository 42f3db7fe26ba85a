"""What the report needs of many hosts at once: how each was measured, its interfaces and routes.

Place in the data's way: beside the queries of single hosts, for ``probes.reports.composition``.
Each function asks the same few queries for one host as for a thousand. "At a time" is each host's
newest by then.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import QuerySet

from hosts.models import Host
from probes.filters import NOTHING_FILTERED
from probes.history import contents, packing
from probes.history.queries import network, sql
from probes.history.queries.network_rows import InterfaceRow
from probes.history.queries.sql import Scope, Statement
from probes.models import CounterSample, Direction, NetworkTable, Outcome, Snapshot
from probes.observation import Table
from probes.parsers.records import Interface, Route

SNAPSHOTS = Snapshot._meta.db_table
TABLES = NetworkTable._meta.db_table
SAMPLES = CounterSample._meta.db_table


@dataclass(frozen=True, slots=True)
class Measured:
    """A host with what is known of it at a time."""

    host: Host
    whole: Snapshot | None
    """Its newest whole snapshot: what is shown. None where there is none by then."""
    latest: Snapshot | None
    """Its newest snapshot of any outcome."""


class Bound(NamedTuple):
    """What is listened on, whoever holds it."""

    host_id: int
    protocol: str
    local_ip: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds something that is listened on; one of them where several do."""

    program: str | None
    pid: int | None
    first_seen: dt.datetime


@dataclass(frozen=True, slots=True)
class InterfacesOf:
    """The interfaces of one host."""

    host: Host
    taken_at: dt.datetime
    """Of the counters, or of the table where no counters are kept."""
    over_s: float | None
    """Seconds between the two samples that rates are worked out from."""
    rows: list[InterfaceRow]


@dataclass(frozen=True, slots=True)
class RoutesOf:
    """The routing table of one host."""

    host: Host
    taken_at: dt.datetime
    rows: list[Route]


def measured(hosts: QuerySet[Host], at: dt.datetime | None) -> list[Measured]:
    """Each of ``hosts`` with its newest snapshots by ``at`` (None: now), by name.

    One query, three with ``at``.
    """
    ordered = hosts.order_by("name", "pk")
    if at is None:
        return [
            Measured(host, schedule and schedule.latest_whole, schedule and schedule.latest)
            for host in ordered.select_related("schedule__latest", "schedule__latest_whole")
            for schedule in [getattr(host, "schedule", None)]
        ]
    found = list(ordered)
    here = Scope(hosts.db, tuple(host.pk for host in found))
    newest = (
        f"(SELECT id FROM {SNAPSHOTS} WHERE host_id = h.{{id}} AND taken_at <= %s{{only}}"
        " ORDER BY taken_at DESC LIMIT 1)"
    )
    when = sql.time(here, at)
    rows = _each_host(
        here,
        [newest.format(id="{id}", only=" AND outcome = %s"), newest.format(id="{id}", only="")],
        (when, Outcome.OK.value, when),
    )
    ids = {pk for _host, *pair in rows for pk in pair if pk is not None}
    snapshots = Snapshot.objects.using(hosts.db).in_bulk(ids)
    by_host = {pk: (snapshots.get(whole), snapshots.get(latest)) for pk, whole, latest in rows}
    return [Measured(host, *by_host.get(host.pk, (None, None))) for host in found]


def bound(scope: Scope) -> dict[Bound, Holding]:
    """Everything that is listened on in a scope. One query."""
    columns = (
        *("host_id", "protocol", "local_ip", "local_zone", "local_port", "program", "pid"),
        "first_seen",
    )
    listening = Statement("direction = %s AND local_port IS NOT NULL", (Direction.LISTEN.value,))
    listed = sql.sockets(scope, columns, NOTHING_FILTERED, condition=listening)
    found: dict[Bound, Holding] = {}
    for host_id, protocol, ip, zone, port, program, pid, first_seen in sql.fetch(scope, listed):
        what = Bound(host_id, packing.PROTOCOLS[protocol], packing.address(bytes(ip), zone), port)
        holding = Holding(program, pid, sql.utc(first_seen))
        before = found.get(what)
        if before is None or _order(holding) < _order(before):
            found[what] = holding
    return found


def _order(holding: Holding) -> tuple[dt.datetime, int]:
    return (holding.first_seen, holding.pid or 0)


def interfaces(hosts: Iterable[Host], at: dt.datetime | None, using: str) -> list[InterfacesOf]:
    """The interfaces of each host that has any known by ``at``, with totals and rates.

    Four queries.
    """
    by_id = {host.pk: host for host in hosts}
    here = Scope(using, tuple(by_id))
    tables = _tables(here, Table.INTERFACES, at)
    samples = _samples(here, Table.INTERFACES, at)
    found = []
    for host_id, host in by_id.items():
        table = tables.get(host_id)
        if table is None:
            continue
        newer, older = samples.get(host_id, (None, None))
        if newer is not None and newer.taken_at < table.first_seen:
            newer = older = None  # the counters of that time are no longer kept
        over_s = None
        if newer is not None and older is not None:
            over_s = (newer.taken_at - older.taken_at).total_seconds()
        rows = network.with_rates(
            contents.unpack(bytes(table.content_zstd), Interface),
            {} if newer is None else contents.unpack_sample(bytes(newer.counters_zstd)),
            {} if older is None else contents.unpack_sample(bytes(older.counters_zstd)),
            seconds=over_s or 0.0,
        )
        taken_at = _seen(table, at) if newer is None else newer.taken_at
        found.append(InterfacesOf(host, taken_at, over_s, rows))
    return found


def routes(hosts: Iterable[Host], at: dt.datetime | None, using: str) -> list[RoutesOf]:
    """The routes of each host that has any known by ``at``. Two queries."""
    by_id = {host.pk: host for host in hosts}
    tables = _tables(Scope(using, tuple(by_id)), Table.ROUTES, at)
    return [
        RoutesOf(
            host,
            _seen(tables[host_id], at),
            contents.unpack(bytes(tables[host_id].content_zstd), Route),
        )
        for host_id, host in by_id.items()
        if host_id in tables
    ]


def _seen(table: NetworkTable, at: dt.datetime | None) -> dt.datetime:
    return table.last_seen if at is None or table.last_seen <= at else table.first_seen


def _tables(here: Scope, table: Table, at: dt.datetime | None) -> dict[int, NetworkTable]:
    by_then, times = _by_then(here, "first_seen", at)
    newest = (
        f'(SELECT id FROM {TABLES} WHERE host_id = h.{{id}} AND "table" = %s{by_then}'
        " ORDER BY first_seen DESC LIMIT 1)"
    )
    rows = _each_host(here, [newest], (table.value, *times))
    stored = NetworkTable.objects.using(here.using).in_bulk([pk for _host, pk in rows if pk])
    return {host_id: stored[pk] for host_id, pk in rows if pk in stored}


def _samples(
    here: Scope, table: Table, at: dt.datetime | None
) -> dict[int, tuple[CounterSample | None, CounterSample | None]]:
    """The newest two of each host, the newer first."""
    by_then, times = _by_then(here, "taken_at", at)
    newest = (
        f'(SELECT id FROM {SAMPLES} WHERE host_id = h.{{id}} AND "table" = %s{by_then}'
        " ORDER BY taken_at DESC LIMIT 1{offset})"
    )
    columns = [newest.replace("{offset}", offset) for offset in ("", " OFFSET 1")]
    rows = _each_host(here, columns, (table.value, *times) * 2)
    ids = [pk for _host, *pair in rows for pk in pair if pk]
    stored = CounterSample.objects.using(here.using).in_bulk(ids)
    return {host_id: (stored.get(newer), stored.get(older)) for host_id, newer, older in rows}


def _by_then(here: Scope, column: str, at: dt.datetime | None) -> tuple[str, tuple[Any, ...]]:
    return ("", ()) if at is None else (f" AND {column} <= %s", (sql.time(here, at),))


def _each_host(here: Scope, columns: list[str], params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """(host id, each of ``columns``) of every host of a scope: one walk down an index each.

    ``{id}`` in a column is the name of the host's id on this database.
    """
    if not here.host_ids:
        return []
    name = "id" if here.is_postgres else "value"
    listed = ", ".join(column.replace("{id}", name) for column in columns)
    source, ids = (
        ("unnest(%s::bigint[]) AS h(id)", list(here.host_ids))
        if here.is_postgres
        else ("json_each(%s) AS h", json.dumps(here.host_ids))
    )
    return sql.fetch(here, Statement(f"SELECT h.{name}, {listed} FROM {source}", (*params, ids)))
