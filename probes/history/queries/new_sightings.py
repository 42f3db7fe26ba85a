"""What a hunt finds in whatever was stored since a time: how much, and the rows that show it.

Place in the data's way: asked each minute by ``probes.hunts.running``. Beside ``sightings``, which
answers people over all history; here a row counts once however many indicators it fits.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from django.db.models import QuerySet

from hosts.models import Host
from probes.history.queries import sightings, sockets, sql
from probes.history.queries import sought as looking
from probes.history.queries.sightings import SeenRow
from probes.history.queries.sought import Sought
from probes.history.queries.sql import CLOSED, OPEN, Scope, Statement

_IDENTITY: Final = "host_id, key, first_seen"
"""What makes an interval one."""

Counts = dict[int, dict[dt.datetime, int]]
"""By host: when intervals were first seen, and how many."""


def counts(hosts: QuerySet[Host], sought: Sought) -> Counts:
    """The intervals that fit, by host and the snapshot that showed them first.

    ``sought.new_since`` bounds them. Two queries, four where programs are sought.
    """
    every = _every(hosts, sought, ("host_id", "key", "first_seen"))
    if every is None:
        return {}
    scope, statement = every
    summed = Statement(
        f"SELECT host_id, first_seen, COUNT(*) FROM (SELECT DISTINCT {_IDENTITY}"
        f" FROM ({statement.sql}) AS s) AS once GROUP BY host_id, first_seen",
        statement.params,
    )
    found: Counts = defaultdict(dict)
    for host_id, first_seen, number in sql.fetch(scope, summed):
        found[host_id][sql.utc(first_seen)] = int(number)
    return dict(found)


def evidence(
    hosts: QuerySet[Host], sought: Sought, *, after: Mapping[int, dt.datetime], each: int
) -> dict[int, list[SeenRow]]:
    """The first and the newest ``each`` rows of every host that is in ``after``, oldest first.

    Of a host only what was first seen later than its time there. Two queries, four where programs
    are sought.
    """
    columns = tuple(sockets.COLUMNS)
    fleet = sightings.fleet_of(hosts.filter(pk__in=list(after)), sought)
    if fleet is None:
        return {}
    found = looking.things(fleet.scope, sought.indicators)
    if not found.rows:
        return {}
    every = looking.union(
        [
            statement
            for table in (OPEN, CLOSED)
            for statement in looking.branches(
                fleet.scope,
                sought,
                found,
                table=table,
                columns=tuple(sightings.column(name, is_open=table == OPEN) for name in columns),
            )
        ]
    )
    marks = sql.moments_table(Scope(fleet.scope.using, (), moments=tuple(after.items())))
    names = ", ".join(columns)
    once = (
        f"SELECT number, {names},"
        f" ROW_NUMBER() OVER (PARTITION BY {_IDENTITY} ORDER BY number) AS time_said"
        f" FROM ({every.sql}) AS s CROSS JOIN {marks.sql} AS mark"
        " WHERE host_id = at_host AND first_seen > at_time"
    )
    placed = (
        "SELECT *, ROW_NUMBER() OVER (PARTITION BY host_id ORDER BY first_seen, key) AS place,"
        " ROW_NUMBER() OVER (PARTITION BY host_id ORDER BY first_seen DESC, key DESC) AS from_end"
        f" FROM ({once}) AS o WHERE time_said = 1"
    )
    statement = Statement(
        f"SELECT number, {names} FROM ({placed}) AS p WHERE place <= %s OR from_end <= %s"
        " ORDER BY host_id, first_seen, key",
        (*every.params, *marks.params, each, each),
    )
    rows: dict[int, list[SeenRow]] = defaultdict(list)
    for values in sql.fetch(fleet.scope, statement):
        row = fleet.row(found, values)
        rows[row.host.pk].append(row)
    return dict(rows)


def _every(
    hosts: QuerySet[Host], sought: Sought, columns: tuple[str, ...]
) -> tuple[Scope, Statement] | None:
    ids = tuple(hosts.order_by().values_list("pk", flat=True))
    if not ids or not sought.indicators:
        return None
    scope = Scope(hosts.db, ids)
    found = looking.things(scope, sought.indicators)
    if not found.rows:
        return None
    return scope, looking.union(
        [
            statement
            for table in (OPEN, CLOSED)
            for statement in looking.branches(scope, sought, found, table=table, columns=columns)
        ]
    )
