"""Forgets what is older than it has to be kept, in small steps.

Place in the data's way: called by a task now and then; the only place that deletes history.
Everything goes in transactions of their own of at most BATCH_ROWS rows, or by dropping a day's
partition, so that no lock lasts (trust.md, 36); ended half-way, the next call goes on.

What is kept stays exact: a snapshot goes before the closed sockets it needs, and a host's newest
whole snapshot stays as long as its open sockets, however old. A removed host's history goes like
any other's; its open sockets follow once it has been gone that long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Length

from hosts.models import Host
from probes.history import partitions
from probes.models import (
    AddressName,
    Alert,
    Backlog,
    Change,
    ClosedSocket,
    CounterSample,
    Delivery,
    FeedEnd,
    LastText,
    NetworkTable,
    OpenSocket,
    RawOutput,
    ReportRun,
    Restart,
    RollUp,
    Schedule,
    Silence,
    Snapshot,
    TableStatus,
    TableText,
    Told,
)
from probes.models.rollups import WIDTHS
from probes.observation import Table

BATCH_ROWS = 2_000
"""About 10 ms of deleting."""

RAW_HOST_MAX_BYTES = 64 * 1024 * 1024
"""Packed raw output kept for one host, the newest first: a host that prints noise each minute
fills no disk."""

TABLES_HOST_MAX_BYTES = 256 * 1024 * 1024
"""Packed contents and counters kept for one host, each kind, the newest first: a host whose long
tables are others each time fills no disk either."""

LARGE_SAMPLE_BYTES = 8 * 1024
"""A host whose newest sample of counters is larger has its samples added up: some 100 interfaces.
Smaller ones stay under TABLES_HOST_MAX_BYTES for years."""


NAMES_WANTED_FOR = dt.timedelta(days=30)
"""Names of addresses that no page showed for so long are forgotten."""


@dataclass(slots=True)
class Pruned:
    """How many rows of each kind were deleted."""

    snapshots: int = 0
    raw_outputs: int = 0
    closed_sockets: int = 0
    """On SQLite; on PostgreSQL they go with their partition, uncounted."""
    open_sockets: int = 0
    network_tables: int = 0
    counter_samples: int = 0
    rollups: int = 0
    address_names: int = 0
    alerts: int = 0
    deliveries: int = 0
    silences: int = 0
    changes: int = 0
    restarts: int = 0
    report_runs: int = 0
    backlogs: int = 0
    partitions: int = 0
    partitions_in_use: int = 0
    """Partitions that queries held: dropped by the next call."""


def prune(now: dt.datetime, using: str = "default") -> Pruned:
    """Delete what is older than RETENTION_DAYS and RAW_RETENTION_DAYS at ``now`` (aware).

    Waits for no other writer longer than one small transaction; may be called at any time, also
    twice at once. Raises what the database raises; what was deleted before stays deleted.
    """
    pruned = Pruned()
    kept_since = now - dt.timedelta(days=settings.RETENTION_DAYS)
    raw_since = now - dt.timedelta(days=settings.RAW_RETENTION_DAYS)
    _forget_removed(using, kept_since, pruned)
    _prune_raw(using, raw_since, pruned)
    _prune_snapshots(using, kept_since, pruned)
    _prune_tables(using, kept_since, pruned)
    _prune_report_runs(using, kept_since, pruned)
    _prune_rollups(using, now, pruned)
    _prune_names(using, now, pruned)
    _prune_alerts(using, kept_since, pruned)
    _prune_deliveries(using, kept_since, pruned)
    _prune_silences(using, kept_since, pruned)
    _prune_changes(using, kept_since, pruned)
    _prune_restarts(using, kept_since, pruned)
    _prune_backlogs(using, kept_since, pruned)
    if connections[using].vendor == "postgresql":
        _drop_partitions(using, kept_since, pruned)
    else:
        _prune_closed(using, kept_since, pruned)
    return pruned


def _forget_removed(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """What is open of hosts that were removed long ago, or deleted altogether."""
    gone = Host.objects.using(using).filter(removed_at__lt=kept_since)
    with transaction.atomic(using=using):
        # First what the open sockets are compared with: should a probe still come, it rebuilds.
        LastText.objects.using(using).filter(host__in=gone).delete()
        Schedule.objects.using(using).filter(host__in=gone).update(latest=None, latest_whole=None)
        TableStatus.objects.using(using).filter(host__in=gone).delete()
        TableText.objects.using(using).filter(host__in=gone).delete()
    for host_id in _host_ids(using, OpenSocket):
        host = Host.objects.using(using).filter(pk=host_id).first()
        if host is not None and (host.removed_at is None or host.removed_at >= kept_since):
            continue
        pruned.open_sockets += _delete(using, OpenSocket.objects.filter(host_id=host_id), "key")


def _prune_raw(using: str, raw_since: dt.datetime, pruned: Pruned) -> None:
    """Raw output past its age, then the oldest of hosts that have too much of it."""
    outputs = RawOutput.objects.using(using)
    pruned.raw_outputs += _delete(using, outputs.filter(snapshot__taken_at__lt=raw_since), "pk")
    others = TableText.objects.using(using)  # one a host and table: they need no cap
    pruned.raw_outputs += _delete(using, others.filter(taken_at__lt=raw_since), "pk")
    pruned.raw_outputs += _delete_too_much(
        using,
        outputs.annotate(
            packed=Length("stdout_zstd"), owner=F("snapshot__host_id"), age=F("snapshot__taken_at")
        ),
        most_bytes=RAW_HOST_MAX_BYTES,
    )


def _prune_tables(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Contents last seen and counters taken before the limit, then the oldest of hosts that have
    too much of them; a host's newest whole tables stay, however old."""
    contents, samples = NetworkTable.objects.using(using), CounterSample.objects.using(using)
    statuses = TableStatus.objects.filter(host=OuterRef("host_id"), table=OuterRef("table"))
    former = contents.filter(~Exists(statuses.filter(since=OuterRef("first_seen"))))
    passed = samples.filter(~Exists(statuses.filter(taken_at=OuterRef("taken_at"))))
    pruned.network_tables += _delete(using, former.filter(last_seen__lt=kept_since), "pk")
    pruned.network_tables += _delete_too_much(
        using,
        former.annotate(packed=Length("content_zstd"), owner=F("host_id"), age=F("last_seen")),
        most_bytes=TABLES_HOST_MAX_BYTES,
    )
    for host_id in _host_ids(using, CounterSample):
        for table in (Table.INTERFACES, Table.PROTOCOLS):
            rows = passed.filter(host_id=host_id, table=table.value)
            pruned.counter_samples += _delete(using, rows.filter(taken_at__lt=kept_since), "pk")
            sizes = rows.annotate(
                packed=Length("counters_zstd"), owner=F("host_id"), age=F("taken_at")
            )
            # To add up all of a usual host's would mean to read the whole table each day.
            newest = sizes.order_by("-taken_at").values_list("packed", flat=True).first()
            if newest is not None and newest > LARGE_SAMPLE_BYTES:
                pruned.counter_samples += _delete_too_much(
                    using, sizes, most_bytes=TABLES_HOST_MAX_BYTES
                )


def _prune_names(using: str, now: dt.datetime, pruned: Pruned) -> None:
    """What reverse DNS said of addresses that nobody looks at any more."""
    unwanted = AddressName.objects.using(using).filter(wanted_at__lt=now - NAMES_WANTED_FOR)
    pruned.address_names += _delete(using, unwanted, "pk")


def _prune_deliveries(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Messages that were sent or given up, and what channels remember of things long over; what
    still waits stays, however old."""
    ended = Delivery.objects.using(using).exclude(state=Delivery.State.WAITING)
    pruned.deliveries += _delete(using, ended.filter(created_at__lt=kept_since), "pk")
    over = Told.objects.using(using).filter(is_active=False, held_since=None, at__lt=kept_since)
    _delete(using, over, "pk")


def _prune_alerts(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Alerts that were over before the oldest probe that is kept; what is still wrong stays."""
    old = Alert.objects.using(using).filter(newest_at__lt=kept_since, resolved_at__lt=kept_since)
    pruned.alerts += _delete(using, old, "pk")


def _prune_silences(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Maintenance windows that were over before the oldest probe that is kept."""
    old = Silence.objects.using(using).filter(ends_at__lt=kept_since)
    pruned.silences += _delete(using, old, "pk")


def _prune_changes(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """What happened before the oldest probe that is kept; what was not announced yet stays, and
    what a window keeps from being told."""
    old = Change.objects.using(using).filter(
        Q(hushed=False) | Q(alert=None), at__lt=kept_since, announced_at__isnull=False
    )
    # Said before they go, so that whoever follows the feed never takes a gap for quiet.
    newest = old.order_by().aggregate(newest=Max("feed"))["newest"]
    if newest is not None:
        FeedEnd.objects.using(using).filter(forgotten__lt=newest).update(forgotten=newest)
    pruned.changes += _delete(using, old, "pk")


def _prune_restarts(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Restarts that ended before the oldest probe that is kept."""
    old = Restart.objects.using(using).filter(planned_at__lt=kept_since, ended_at__lt=kept_since)
    pruned.restarts += _delete(using, old, "pk")


def _prune_backlogs(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Accept queues of probes that are no longer kept, host by host along the unique index."""
    for host_id in _host_ids(using, Backlog):
        rows = Backlog.objects.filter(host_id=host_id, taken_at__lt=kept_since)
        pruned.backlogs += _delete(using, rows, "pk")


def _prune_rollups(using: str, now: dt.datetime, pruned: Pruned) -> None:
    """Quarters of an hour as old as the snapshots they sum up; wider ones are kept longer, and hold
    little. Host by host along the unique index."""
    days = {WIDTHS[0]: min(settings.RETENTION_DAYS, settings.ROLLUP_RETENTION_DAYS)}
    for host_id in _host_ids(using, RollUp):
        for minutes in WIDTHS:
            kept = dt.timedelta(days=days.get(minutes, settings.ROLLUP_RETENTION_DAYS))
            rows = RollUp.objects.filter(host_id=host_id, minutes=minutes)
            pruned.rollups += _delete(using, rows.filter(begins_at__lt=now - kept), "pk")


def _delete_too_much(using: str, rows: QuerySet[Any], *, most_bytes: int) -> int:
    """Delete the oldest rows of each ``owner`` above so many bytes ``packed``; ``age`` orders."""
    deleted = 0
    for found in list(rows.values("owner").annotate(all=Sum("packed")).filter(all__gt=most_bytes)):
        newest_first = rows.filter(owner=found["owner"]).order_by("-age")
        kept, too_much = 0, []
        for pk, packed in newest_first.values_list("pk", "packed"):
            kept += packed
            if kept > most_bytes:
                too_much.append(pk)
        for start in range(0, len(too_much), BATCH_ROWS):
            batch = rows.model._default_manager.filter(pk__in=too_much[start : start + BATCH_ROWS])
            deleted += _delete(using, batch, "pk")
    return deleted


def _prune_snapshots(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """Snapshots of every outcome, but not those that schedules point at."""
    pointing = Schedule.objects.filter(Q(latest=OuterRef("pk")) | Q(latest_whole=OuterRef("pk")))
    old = Snapshot.objects.filter(
        ~Exists(pointing.filter(host=OuterRef("host_id"))), taken_at__lt=kept_since
    )
    pruned.snapshots += _delete(using, old.order_by("taken_at"), "pk")


def _prune_report_runs(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """How mailings of reports went; the newest of each schedule stays, however old."""
    later = ReportRun.objects.filter(
        schedule=OuterRef("schedule_id"), began_at__gt=OuterRef("began_at")
    )
    old = ReportRun.objects.using(using).filter(Exists(later), ended_at__lt=kept_since)
    pruned.report_runs += _delete(using, old, "pk")


def _prune_closed(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """SQLite: host by host along the index (host, first_seen, last_seen)."""
    rows = (
        "SELECT rowid FROM probes_closedsocket"
        " WHERE host_id = %s AND first_seen < %s AND last_seen < %s LIMIT %s"
    )
    connection = connections[using]
    before = connection.ops.adapt_datetimefield_value(kept_since)
    for host_id in _host_ids(using, ClosedSocket):

        def delete_some(host_id: int = host_id) -> int:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"DELETE FROM probes_closedsocket WHERE rowid IN ({rows})",
                    [host_id, before, before, BATCH_ROWS],
                )
                return int(cursor.rowcount)

        pruned.closed_sockets += _in_batches(using, delete_some)


def _drop_partitions(using: str, kept_since: dt.datetime, pruned: Pruned) -> None:
    """PostgreSQL: the days that ended before the limit."""
    for day in partitions.days(using):
        if day >= kept_since.astimezone(dt.UTC).date():
            break
        if partitions.drop(using, day):
            pruned.partitions += 1
        else:
            pruned.partitions_in_use += 1


def _host_ids(
    using: str,
    model: type[OpenSocket]
    | type[ClosedSocket]
    | type[CounterSample]
    | type[RollUp]
    | type[Backlog],
) -> Iterator[int]:
    """Ids of the hosts that have rows, hopping along the index from one to the next."""
    last = -1
    while True:
        found = (
            model.objects.using(using)
            .filter(host_id__gt=last)
            .order_by("host_id")
            .values_list("host_id", flat=True)
            .first()
        )
        if found is None:
            return
        last = found
        yield found


def _delete(using: str, rows: QuerySet[Any], field: str) -> int:
    """Delete in batches named by ``field``; how many of these rows went."""
    rows = rows.using(using)
    label = rows.model._meta.label

    def delete_some() -> int:
        # Read before the delete, so that nothing is locked that is not deleted.
        batch = list(rows.values_list(field, flat=True)[:BATCH_ROWS])
        _total, by_model = rows.order_by().filter(**{f"{field}__in": batch}).delete()
        return by_model.get(label, 0)

    return _in_batches(using, delete_some)


def _in_batches(using: str, delete_some: Callable[[], int]) -> int:
    """Call until it deletes nothing, each time in a transaction of its own."""
    total = 0
    while True:
        with transaction.atomic(using=using):
            deleted = delete_some()
        total += deleted
        if not deleted:
            return total
