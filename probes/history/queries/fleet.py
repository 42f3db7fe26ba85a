"""The probes of one host page by page, and all hosts at a glance.

Place in the data's way: the overview, the probes tab and ``hosts/{id}/snapshots``. The overview
asks the same few queries for one host as for a thousand.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone

from hosts.models import Host
from probes import status
from probes.history.queries import sql
from probes.history.queries.pages import Page, open_cursor, seal
from probes.history.queries.sql import Scope, Statement
from probes.models import Schedule, Snapshot

BARS: Final = 30
"""How many of a host's newest probes the overview shows."""

SNAPSHOTS: Final = Snapshot._meta.db_table


@dataclass(frozen=True, slots=True)
class Bar:
    """One probe in the row of bars."""

    at: dt.datetime
    outcome: str
    code: str


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host with how it does."""

    host: Host
    schedule: Schedule | None
    latest: Snapshot | None
    latest_whole: Snapshot | None
    status: status.Status
    bars: list[Bar] = field(default_factory=list)
    """At most BARS, oldest first."""


def overview(hosts: QuerySet[Host], *, bars: int = BARS) -> list[HostRow]:
    """All of ``hosts`` with status, newest snapshots and bars; worst first, then by name.

    ``host.groups.all()`` is loaded. Three queries, two without ``bars``, for any number of hosts;
    one more where a newest probe is not whole.
    """
    now = timezone.now()
    loaded = list(hosts.select_related("schedule", "schedule__latest").prefetch_related("groups"))
    _set_latest_whole(loaded, hosts.db)
    shown = _bars(Scope(hosts.db, tuple(host.pk for host in loaded)), bars) if bars else {}
    rows = [_host_row(host, shown.get(host.pk, []), now) for host in loaded]
    return sorted(rows, key=lambda row: (row.status.level, row.host.name.casefold(), row.host.pk))


def host_row(host: Host) -> HostRow:
    """The same for one host, without bars."""
    (row,) = overview(Host.objects.using(host._state.db).filter(pk=host.pk), bars=0)
    return row


def snapshots(
    host: Host, *, cursor: str | None = None, limit: int = 100, outcome: str | None = None
) -> Page[Snapshot]:
    """Probes of ``host``, newest first, of one outcome or of all. Two queries.

    Raises FilterError("cursor") for a cursor of another list.
    """
    kind = f"snapshots:{host.pk}:{outcome or ''}"
    matching = all_snapshots(host, outcome=outcome)
    rows = matching
    if cursor is not None:
        (before,) = open_cursor(kind, cursor, parts=1)
        rows = rows.filter(taken_at__lt=dt.datetime.fromisoformat(before))
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        following = seal(kind, found[-1].taken_at.isoformat())
    return Page(found, following, matching.count())


def all_snapshots(host: Host, *, outcome: str | None = None) -> QuerySet[Snapshot]:
    """What :func:`snapshots` pages through."""
    found = Snapshot.objects.using(host._state.db).filter(host_id=host.pk).order_by("-taken_at")
    return found.filter(outcome=outcome) if outcome else found


def _set_latest_whole(hosts: Sequence[Host], using: str) -> None:
    """Give the schedules their newest whole probe. Of most it is the newest, which is there."""
    schedules = [host.schedule for host in hosts if getattr(host, "schedule", None) is not None]
    others = {row.latest_whole_id for row in schedules} - {row.latest_id for row in schedules}
    others.discard(None)
    older = Snapshot.objects.using(using).in_bulk(others) if others else {}
    for row in schedules:
        same = row.latest_whole_id == row.latest_id
        row.latest_whole = row.latest if same else older.get(row.latest_whole_id)


def _host_row(host: Host, bars: list[Bar], now: dt.datetime) -> HostRow:
    schedule: Schedule | None = getattr(host, "schedule", None)
    latest = None if schedule is None else schedule.latest
    latest_whole = None if schedule is None else schedule.latest_whole
    judged = status.of(host, schedule=schedule, latest=latest, latest_whole=latest_whole, now=now)
    return HostRow(host, schedule, latest, latest_whole, judged, bars)


def _bars(scope: Scope, number: int) -> dict[int, list[Bar]]:
    """The newest ``number`` probes of each host, oldest first.

    A window function would read every snapshot ever kept. This goes down the index on (host,
    taken_at) of each host only as far as it needs: by LATERAL, and on SQLite, which has none, by
    a subquery on the same index.
    """
    columns = "s.host_id, s.taken_at, s.outcome, s.code"
    if scope.is_postgres:
        statement = Statement(
            f"SELECT {columns} FROM unnest(%s::bigint[]) AS h(id) CROSS JOIN LATERAL (SELECT *"
            f" FROM {SNAPSHOTS} WHERE host_id = h.id ORDER BY taken_at DESC LIMIT %s) AS s",
            (list(scope.host_ids), number),
        )
    else:
        statement = Statement(
            f"SELECT {columns} FROM json_each(%s) AS h CROSS JOIN {SNAPSHOTS} AS s"
            f" ON s.id IN (SELECT id FROM {SNAPSHOTS} WHERE host_id = h.value"
            " ORDER BY taken_at DESC LIMIT %s)",
            (json.dumps(scope.host_ids), number),
        )
    found: dict[int, list[Bar]] = defaultdict(list)
    for host_id, taken_at, outcome, code in sql.fetch(scope, statement):
        found[host_id].append(Bar(sql.utc(taken_at), outcome, code))
    for bars in found.values():
        bars.sort(key=lambda bar: bar.at)
    return found
