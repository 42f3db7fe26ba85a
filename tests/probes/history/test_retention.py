"""What is forgotten, what is kept, and that what is kept stays exact."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import partitions, retention, store, tables
from probes.history.queries import network
from probes.models import (
    Alert,
    Change,
    ClosedSocket,
    CounterSample,
    LastText,
    NetworkTable,
    OpenSocket,
    RawOutput,
    ReportRun,
    ReportSchedule,
    Schedule,
    Silence,
    Snapshot,
    TableStatus,
)
from probes.observation import Table
from tests.databases import POSTGRESQL, both_databases
from tests.probes.history import tabled
from tests.probes.history.played import (
    LISTENER,
    at,
    everything,
    failed,
    line,
    observed,
    open_rows,
    rows_at,
    rows_of,
    table,
)

DAY_MIN = 24 * 60


@pytest.fixture(autouse=True)
def _days(settings: Any) -> None:
    settings.RETENTION_DAYS = 10
    settings.RAW_RETENTION_DAYS = 2


def text_of(day: int) -> str:
    """A listener and one connection a day."""
    return table(LISTENER, line(foreign=f"10.0.0.9:{day + 1}"))


def play(host: Host, using: str, days: int) -> None:
    for day in range(days):
        store.save(host, observed(day * DAY_MIN, text_of(day)), using=using)


@both_databases
def test_snapshots_within_retention_stay_exact(host: Host, using: str) -> None:
    play(host, using, 30)
    now = at(30 * DAY_MIN)
    pruned = retention.prune(now, using)

    kept = Snapshot.objects.using(using).order_by("taken_at")
    assert [snapshot.taken_at for snapshot in kept] == [at(d * DAY_MIN) for d in range(20, 30)]
    assert pruned.snapshots == 20
    for day in range(20, 30):
        assert rows_at(host, at(day * DAY_MIN), using) == rows_of(text_of(day))
    # The day that the limit cuts keeps its partition on PostgreSQL.
    assert 9 <= ClosedSocket.objects.using(using).count() <= 10
    if using == POSTGRESQL:
        assert pruned.partitions == 20
        assert pruned.partitions_in_use == 0
        assert partitions.days(using)[0] == (now - dt.timedelta(days=10)).date()
    else:
        assert pruned.closed_sockets == 20


@both_databases
def test_a_second_call_finds_nothing_more(host: Host, using: str) -> None:
    play(host, using, 15)
    retention.prune(at(15 * DAY_MIN), using)
    before = everything(host, using)
    assert retention.prune(at(15 * DAY_MIN), using) == retention.Pruned()
    assert everything(host, using) == before


@both_databases
def test_a_long_lived_socket_is_kept_while_a_snapshot_needs_it(host: Host, using: str) -> None:
    lasting = table(LISTENER, line())
    for day in range(20):
        store.save(host, observed(day * DAY_MIN, lasting), using=using)
    store.save(host, observed(20 * DAY_MIN, table(LISTENER)), using=using)
    retention.prune(at(25 * DAY_MIN), using)

    [closed] = ClosedSocket.objects.using(using).all()
    assert (closed.first_seen, closed.last_seen) == (at(0), at(19 * DAY_MIN))
    for day in range(15, 20):
        assert rows_at(host, at(day * DAY_MIN), using) == rows_of(lasting)


@both_databases
def test_the_newest_whole_snapshot_of_a_dead_host_is_kept(host: Host, using: str) -> None:
    whole = store.save(host, observed(0, text_of(0)), using=using)
    for day in range(1, 30):
        store.save(host, failed(day * DAY_MIN), using=using)
    retention.prune(at(30 * DAY_MIN), using)

    assert Snapshot.objects.using(using).filter(pk=whole.pk).exists()
    assert Snapshot.objects.using(using).count() == 11
    assert open_rows(host, using) == rows_of(text_of(0))
    # It comes back, and what was there until it died is history.
    store.save(host, observed(30 * DAY_MIN, table(LISTENER)), using=using)
    assert rows_at(host, at(0), using) == rows_of(text_of(0))
    assert open_rows(host, using) == rows_of(table(LISTENER))


@both_databases
def test_raw_output_goes_before_its_snapshot(host: Host, using: str) -> None:
    for day in range(8):
        store.save(host, failed(day * DAY_MIN, raw=b"tcp"), using=using)
    pruned = retention.prune(at(8 * DAY_MIN), using)

    assert pruned.raw_outputs == 6
    assert pruned.snapshots == 0
    assert Snapshot.objects.using(using).count() == 8
    kept = RawOutput.objects.using(using).values_list("snapshot__taken_at", flat=True)
    assert set(kept) == {at(6 * DAY_MIN), at(7 * DAY_MIN)}


@both_databases
def test_a_host_that_prints_too_much_keeps_its_newest_raw_output(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    for minute in range(5):
        store.save(host, failed(minute, raw=bytes(range(256)) * 4), using=using)
        store.save(quiet, failed(minute, raw=b"x"), using=using)
    one = len(bytes(RawOutput.objects.using(using).filter(snapshot__host=host)[0].stdout_zstd))
    monkeypatch.setattr(retention, "RAW_HOST_MAX_BYTES", one * 2 + 1)

    assert retention.prune(at(6), using).raw_outputs == 3
    kept = RawOutput.objects.using(using).filter(snapshot__host=host)
    assert set(kept.values_list("snapshot__taken_at", flat=True)) == {at(3), at(4)}
    assert RawOutput.objects.using(using).filter(snapshot__host=quiet).count() == 5


@both_databases
def test_a_removed_host_keeps_its_history_until_retention(host: Host, using: str) -> None:
    play(host, using, 5)
    Host.objects.using(using).filter(pk=host.pk).update(removed_at=at(5 * DAY_MIN))

    retention.prune(at(14 * DAY_MIN), using)
    assert rows_at(host, at(4 * DAY_MIN), using) == rows_of(text_of(4))
    assert open_rows(host, using) == rows_of(text_of(4))

    pruned = retention.prune(at(16 * DAY_MIN), using)
    assert pruned.open_sockets == 2
    assert everything(host, using)[0] == everything(host, using)[2] == []
    assert not LastText.objects.using(using).exists()
    # The day that the limit cuts waits for the next call on PostgreSQL.
    retention.prune(at(18 * DAY_MIN), using)
    assert everything(host, using) == [[], [], []]


@both_databases
def test_a_deleted_host_leaves_no_rows(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    play(host, using, 3)
    play(other, using, 3)
    before = everything(other, using)
    gone = host.pk
    host.delete()

    retention.prune(at(3 * DAY_MIN), using)
    assert not OpenSocket.objects.using(using).filter(host_id=gone).exists()
    assert everything(other, using) == before
    retention.prune(at(20 * DAY_MIN), using)
    assert not ClosedSocket.objects.using(using).filter(host_id=gone).exists()


@both_databases
def test_no_statement_deletes_more_than_a_batch(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    play(host, using, 12)
    with CaptureQueriesContext(connections[using]) as captured:
        pruned = retention.prune(at(22 * DAY_MIN), using)

    # The newest is kept, since the schedule points at it; ten others in batches of three.
    assert pruned.snapshots == 11
    deletes = [
        query["sql"]
        for query in captured.captured_queries
        if query["sql"].startswith('DELETE FROM "probes_snapshot"')
    ]
    assert len(deletes) >= 4
    assert Snapshot.objects.using(using).count() == 1
    if using != POSTGRESQL:
        assert pruned.closed_sockets == 11


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_a_partition_that_is_being_read_is_left_for_the_next_call() -> None:
    using = POSTGRESQL
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    play(host, using, 3)
    reading, read = threading.Event(), threading.Event()

    def reader() -> None:
        with transaction.atomic(using=using):
            list(ClosedSocket.objects.using(using).all())
            reading.set()
            read.wait(timeout=30)
        connections[using].close()

    thread = threading.Thread(target=reader)
    thread.start()
    assert reading.wait(timeout=30)
    pruned = retention.prune(at(30 * DAY_MIN), using)
    assert (pruned.partitions, pruned.partitions_in_use) == (0, 2)
    read.set()
    thread.join(timeout=30)

    pruned = retention.prune(at(30 * DAY_MIN), using)
    assert (pruned.partitions, pruned.partitions_in_use) == (2, 0)
    assert Schedule.objects.using(using).get().latest_whole is not None


# --- the other tables -----------------------------------------------------------------------------


def play_tables(host: Host, using: str, days: int) -> None:
    """Every day another route, and counters of a network card that count on."""
    for day in range(days):
        route = (f"10.{day}.0.0", "192.0.2.254", "255.255.0.0", "UG", "eth0")
        _routes, *others = tabled.usual(1_000_000 * (day + 1))
        observation = tabled.seen(day * DAY_MIN, tabled.routes(route), *others)
        tables.save(host, observation, using=using)


@both_databases
def test_former_tables_and_counters_go_and_the_rest_stays_exact(host: Host, using: str) -> None:
    play_tables(host, using, 30)

    pruned = retention.prune(at(30 * DAY_MIN), using)

    assert (pruned.network_tables, pruned.counter_samples) == (20, 40)
    days = [row.first_seen for row in NetworkTable.objects.using(using).filter(table="routes")]
    assert sorted(days) == [at(day * DAY_MIN) for day in range(20, 30)]
    for day in range(20, 30):
        (row,) = network.routes(host, at=at(day * DAY_MIN)).rows
        assert row.destination == f"10.{day}.0.0/16"
    assert network.interfaces(host).rows[1].interface.rx_bytes == 30_000_000
    assert network.interfaces(host, at=at(19 * DAY_MIN)).rows[1].interface.rx_bytes is None
    assert retention.prune(at(30 * DAY_MIN), using) == retention.Pruned()


@both_databases
def test_the_newest_whole_tables_stay_however_old_they_are(host: Host, using: str) -> None:
    play_tables(host, using, 2)
    for day in (200, 300):
        missing = [tabled.missing(table) for table in Table]
        tables.save(host, tabled.seen(day * DAY_MIN, *missing), using=using)

    retention.prune(at(400 * DAY_MIN), using)

    assert [row.destination for row in network.routes(host).rows] == ["10.1.0.0/16"]
    assert network.interfaces(host).rows[1].interface.rx_bytes == 2_000_000
    assert network.protocols(host).rows
    assert len(network.multicast(host).rows) == 3


@both_databases
def test_a_host_with_too_many_tables_loses_its_oldest(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_tables(host, using, 8)
    monkeypatch.setattr(retention, "TABLES_HOST_MAX_BYTES", 700)
    monkeypatch.setattr(retention, "LARGE_SAMPLE_BYTES", 10)

    retention.prune(at(8 * DAY_MIN), using)

    contents = NetworkTable.objects.using(using).filter(table="routes").order_by("first_seen")
    days = [row.first_seen for row in contents]
    assert 1 < len(days) < 8
    assert days == [at(day * DAY_MIN) for day in range(8 - len(days), 8)]
    assert 2 < CounterSample.objects.using(using).count() < 16
    assert network.interfaces(host).rows[1].rates["rx_bytes"] == pytest.approx(1_000_000 / 86_400)


@both_databases
def test_tables_of_a_host_removed_long_ago_go(host: Host, using: str) -> None:
    play_tables(host, using, 1)
    Host.objects.using(using).filter(pk=host.pk).update(removed_at=at(0))

    retention.prune(at(5 * DAY_MIN), using)
    assert TableStatus.objects.using(using).count() == 4
    retention.prune(at(20 * DAY_MIN), using)

    for model in (TableStatus, NetworkTable, CounterSample):
        assert not model.objects.using(using).exists()


@both_databases
def test_alerts_that_are_over_go_with_their_rows(host: Host, using: str) -> None:
    fields: dict[str, Any] = {"kind": "hunt", "host": host, "subject": "x", "opened_at": at(0)}
    old, new = {"newest_at": at(0)}, {"newest_at": at(11 * DAY_MIN)}
    alerts = Alert.objects.using(using)
    gone = alerts.create(**fields, **old, resolved_at=at(1))
    changes = Change.objects.using(using)
    change = changes.create(host=host, kind="hunt_hit", at=at(11 * DAY_MIN), alert=gone)
    known = alerts.create(**fields, **old, acknowledged_at=at(1))
    kept = alerts.create(**fields, **new, resolved_at=at(11 * DAY_MIN))
    late = alerts.create(**fields, **old, resolved_at=at(11 * DAY_MIN))

    assert retention.prune(at(12 * DAY_MIN), using).alerts == 1

    assert set(alerts.values_list("pk", flat=True)) == {known.pk, kept.pk, late.pk}
    change.refresh_from_db()
    assert change.alert_id is None, "the change stays as long as its time is kept"


@both_databases
def test_windows_that_were_over_long_ago_go(host: Host, using: str) -> None:
    windows = Silence.objects.using(using)
    for days in (1, 11, 13):
        windows.create(host=host, starts_at=at(0), ends_at=at(days * DAY_MIN))
    assert retention.prune(at(12 * DAY_MIN), using).silences == 1
    assert windows.count() == 2


@both_databases
def test_tables_go_with_a_host_that_is_deleted(host: Host, using: str) -> None:
    play_tables(host, using, 2)

    Host.objects.using(using).get(pk=host.pk).delete()

    for model in (TableStatus, NetworkTable, CounterSample):
        assert not model.objects.using(using).exists()


@both_databases
def test_how_mailings_went_is_forgotten_but_for_the_newest_of_each(using: str) -> None:
    owner = User.objects.using(using).create(username="otto")
    schedules = [
        ReportSchedule.objects.using(using).create(
            name=name, owner=owner, every="day", recipients="a@example.org", next_at=at(0)
        )
        for name in ("often", "once")
    ]

    def ran(schedule: ReportSchedule, day: int, **fields: Any) -> ReportRun:
        when = at(day * DAY_MIN)
        values = {"began_at": when, "ended_at": when, "outcome": "sent"} | fields
        return ReportRun.objects.using(using).create(schedule=schedule, **values)

    old, recent = ran(schedules[0], 0), ran(schedules[0], 15)
    alone = ran(schedules[1], 0)
    waiting = ran(schedules[0], 1, ended_at=None, outcome="sending")

    pruned = retention.prune(at(20 * DAY_MIN), using=using)

    left = set(ReportRun.objects.using(using).values_list("pk", flat=True))
    assert left == {recent.pk, alone.pk, waiting.pk}
    assert pruned.report_runs == 1
    assert old.pk not in left


@both_databases
def test_changes_go_once_they_were_announced(host: Host, using: str) -> None:
    changes = Change.objects.using(using)
    fields = {"host": host, "kind": "port_new", "protocol": "tcp", "port": 80}
    changes.create(**fields, at=at(0), announced_at=at(0))
    untold = changes.create(**fields, at=at(0))
    kept = changes.create(**fields, at=at(11 * DAY_MIN), announced_at=at(11 * DAY_MIN))

    assert retention.prune(at(12 * DAY_MIN), using).changes == 1

    assert set(changes.values_list("pk", flat=True)) == {untold.pk, kept.pk}
