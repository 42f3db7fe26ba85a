"""Many hosts at one time of the past: each at its newest whole snapshot by then.

Place in the data's way: what fleet-wide statistics, the report and the map look at. The base of
:class:`Scope` for every question that is asked of more than one host, now or then.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from django.db.models import QuerySet

from hosts.models import Host
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Outcome, Snapshot

SNAPSHOTS = Snapshot._meta.db_table


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of when it is what a scope shows: each host is as its own newest whole probe left it."""

    hosts: int
    silent: int
    """Those of them that have no whole probe by then: nothing of them is shown."""
    oldest: dt.datetime | None
    """Of the probes that are shown, the oldest and the newest; None where there is none."""
    newest: dt.datetime | None


def scope(
    hosts: QuerySet[Host], *, snapshot: Snapshot | None = None, at: dt.datetime | None = None
) -> Scope | None:
    """Whose sockets, and when: of ``hosts`` now, of the one of ``snapshot`` as it was then, or of
    all of them at ``at`` (aware); None where no host is left.

    ``hosts`` always decides whose may be seen. One query, two with ``at``.
    """
    if snapshot is not None:
        hosts = hosts.filter(pk=snapshot.host_id)
    ids = tuple(hosts.order_by().values_list("pk", flat=True))
    if not ids:
        return None
    if at is None or snapshot is not None:
        return Scope(hosts.db, ids, snapshot)
    return Scope(hosts.db, ids, moments=moments(hosts.db, ids, at))


def coverage(scope: Scope | None) -> Coverage:
    """How many hosts ``scope`` shows, and of when. One query where it is of now, else none."""
    if scope is None:
        return Coverage(0, 0, None, None)
    hosts = len(scope.host_ids)
    if scope.snapshot is not None:
        return Coverage(hosts, 0, scope.snapshot.taken_at, scope.snapshot.taken_at)
    if scope.moments is not None:
        times = [when for _pk, when in scope.moments]
        oldest, newest = min(times, default=None), max(times, default=None)
        return Coverage(hosts, hosts - len(times), oldest, newest)
    known = Statement(
        f"SELECT COUNT(*), MIN(taken_at), MAX(taken_at) FROM ({snapshots(scope, 'taken_at').sql})"
        " AS s",
        snapshots(scope, "taken_at").params,
    )
    ((number, first, last),) = sql.fetch(scope, known)
    if not number:
        return Coverage(hosts, hosts, None, None)
    return Coverage(hosts, hosts - number, sql.utc(first), sql.utc(last))


def moments(
    using: str, host_ids: tuple[int, ...], at: dt.datetime
) -> tuple[tuple[int, dt.datetime], ...]:
    """(id, time of its newest whole snapshot at or before ``at``) of each host that has one.

    One walk down the index on (host, time) for each host. One query.
    """
    here = Scope(using, host_ids)
    when = sql.time(here, at)
    newest = (
        f"SELECT taken_at FROM {SNAPSHOTS} WHERE host_id = h.id AND taken_at <= %s"
        " AND outcome = %s ORDER BY taken_at DESC LIMIT 1"
    )
    if here.is_postgres:
        source, ids = "unnest(%s::bigint[]) AS h(id)", (list(host_ids),)
        statement = Statement(
            f"SELECT h.id, s.taken_at FROM {source} CROSS JOIN LATERAL ({newest}) AS s",
            (*ids, when, Outcome.OK.value),
        )
    else:
        statement = Statement(
            f"SELECT h.id, ({newest}) FROM (SELECT value AS id FROM json_each(%s)) AS h",
            (when, Outcome.OK.value, json.dumps(host_ids)),
        )
    return tuple((pk, sql.utc(taken_at)) for pk, taken_at in sql.fetch(here, statement) if taken_at)


def snapshots(scope: Scope, columns: str) -> Statement:
    """``columns`` of the whole snapshot of each host that ``scope`` shows, which is not one
    snapshot: the newest ones, or those of its ``moments``."""
    if scope.moments is None:
        hosts = sql.in_hosts(scope)
        return Statement(
            f"SELECT {columns} FROM {SNAPSHOTS} WHERE id IN"
            f" (SELECT latest_whole_id FROM {sql.SCHEDULE} WHERE {hosts.sql})",
            hosts.params,
        )
    if not scope.moments:
        return Statement(f"SELECT {columns} FROM {SNAPSHOTS} WHERE 1 = 0")
    source = sql.moments_table(scope)
    return Statement(
        f"SELECT {columns} FROM {source.sql} AS m CROSS JOIN {SNAPSHOTS}"
        " WHERE host_id = at_host AND taken_at = at_time AND outcome = %s",
        (*source.params, Outcome.OK.value),
    )
