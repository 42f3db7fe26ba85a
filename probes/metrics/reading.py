"""Asks for everything that ``/metrics`` says, in a handful of queries however many the hosts are.

Place in the data's way: over ``queries.overview``, the alerts and changes, the workers' heartbeats
and the broker. Gives plain values; what they are called is known to ``declared``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.db import connections
from django.db.models import Count, Q
from django.utils import timezone

from hosts.models import Host, HostQuerySet
from probes import health, schedule
from probes.history import queries
from probes.history.queries import HostRow
from probes.models import Alert, Change, Delivery, FeedEnd, Heartbeat
from probes.status import Level

HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the schedule keeps up."""

    due: int
    leased: int
    lag_s: float
    """For how long the host that waits longest has been due; 0 where none waits."""


@dataclass(frozen=True, slots=True)
class Site:
    """What belongs to the whole site and to no host."""

    changes: int
    heartbeat_age_s: float | None
    """None: none ever came."""
    late: bool
    connections: dict[str, int]
    """SSH connections kept open, by worker node heard of lately."""
    queued: int | None
    """None: the broker does not answer."""
    deliveries: dict[tuple[str, str], int]
    """Messages of the last hour by (kind of channel, state)."""
    waiting: dict[str, int]
    """Messages to be sent, by kind of channel."""
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at one moment, for one caller."""

    at: dt.datetime
    hosts: list[HostRow]
    """Those that the caller sees, by id, so that a scrape differs from the last in numbers only."""
    paused: frozenset[int]
    """Those of them whose login was refused and is still the same."""
    waiting: Waiting
    alerts: dict[tuple[str, str], int]
    """Active ones by (kind, severity)."""
    unacknowledged: dict[tuple[str, str], int]
    changes: dict[str, int] = field(default_factory=dict)
    """Of the last hour, by kind."""
    site: Site | None = None
    """None for callers whom a host group limits."""


def read(hosts: HostQuerySet, *, whole_site: bool) -> Reading:
    """What there is to say of ``hosts`` now, and with ``whole_site`` of the site.

    Four queries, one more where logins were refused, and four more for the site with one look at
    the broker.
    """
    now = timezone.now()
    rows = sorted(queries.overview(hosts, bars=0), key=lambda row: row.host.pk)
    known = hosts.order_by().values("pk")
    alerts: dict[tuple[str, str], int] = {}
    unacknowledged: dict[tuple[str, str], int] = {}
    active = (
        Alert.objects.filter(resolved_at=None, host__in=known)
        .order_by()
        .values_list("kind", "severity")
        .annotate(all=Count("pk"), new=Count("pk", filter=Q(acknowledged_at=None)))
    )
    for kind, severity, number, new in active:
        alerts[kind, severity] = number
        unacknowledged[kind, severity] = new
    changes = (
        Change.objects.filter(at__gt=now - HOUR, host__in=known)
        .order_by()
        .values_list("kind")
        .annotate(number=Count("pk"))
    )
    return Reading(
        at=now,
        hosts=rows,
        paused=_paused(rows),
        waiting=_waiting(rows, now),
        alerts=alerts,
        unacknowledged=unacknowledged,
        changes=dict(changes),
        site=_site(now) if whole_site else None,
    )


def _paused(rows: list[HostRow]) -> frozenset[int]:
    schedules = {row.host.pk: row.schedule for row in rows}
    refused = [pk for pk, known in schedules.items() if known is not None and known.paused_code]
    if not refused:
        return frozenset()
    # With the way to each host: what makes its login another one.
    hosts = Host.objects.filter(pk__in=refused).select_related(
        "credential", "jump_host", "jump_host__credential"
    )
    return frozenset(
        host.pk
        for host in hosts
        if (known := schedules[host.pk]) is not None and schedule.is_paused(known, host)
    )


def _waiting(rows: list[HostRow], now: dt.datetime) -> Waiting:
    due = leased = 0
    lag_s = 0.0
    for row in rows:
        if row.schedule is None or row.status.level == Level.OFF:
            continue
        if row.schedule.lease_until is not None and row.schedule.lease_until > now:
            leased += 1
        elif row.schedule.next_probe_at <= now:
            due += 1
            lag_s = max(lag_s, (now - row.schedule.next_probe_at).total_seconds())
    return Waiting(due, leased, lag_s)


def _site(now: dt.datetime) -> Site:
    beats = list(Heartbeat.objects.values_list("node", "at", "connections"))
    ages_s = [(now - at).total_seconds() for _node, at, _connections in beats]
    age_s = max(0.0, min(ages_s)) if ages_s else None
    lately = now - dt.timedelta(seconds=health.LATE_AFTER_S)
    by_channel = (
        Delivery.objects.filter(Q(created_at__gt=now - HOUR) | Q(try_after__isnull=False))
        .order_by()
        .values_list("channel__kind", "state")
        .annotate(
            recent=Count("pk", filter=Q(created_at__gt=now - HOUR)),
            waiting=Count("pk", filter=Q(try_after__isnull=False)),
        )
    )
    deliveries: dict[tuple[str, str], int] = {}
    waiting: dict[str, int] = {}
    for kind, state, recent, to_send in by_channel:
        deliveries[kind, state] = recent
        waiting[kind] = waiting.get(kind, 0) + to_send
    return Site(
        changes=FeedEnd.objects.order_by("-last").values_list("last", flat=True).first() or 0,
        heartbeat_age_s=age_s,
        late=age_s is None or age_s > health.LATE_AFTER_S,
        connections={node: kept for node, at, kept in beats if at > lately},
        queued=health.queued(),
        deliveries=deliveries,
        waiting=waiting,
        database_bytes=_database_bytes(),
    )


def _database_bytes() -> int:
    """Size of the database on disk; of SQLite without its write-ahead log."""
    connection = connections["default"]
    statement = (
        "SELECT pg_database_size(current_database())"
        if connection.vendor == "postgresql"
        else "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])
