"""The probes of a host page by page, and all hosts at a glance with a bounded number of queries."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host, HostGroup
from probes.filters import FilterError
from probes.history import queries, store
from probes.models import Outcome, Schedule, Snapshot
from probes.status import Level
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, failed, observed, table


def hosts(using: str) -> Any:
    return Host.objects.using(using).all()


def made(using: str, name: str, **fields: Any) -> Host:
    return Host.objects.using(using).create(name=name, address="192.0.2.9", **fields)


@both_databases
def test_hosts_come_worst_first_and_then_by_name(host: Host, using: str) -> None:
    fine, broken = made(using, "Beta"), made(using, "zeta")
    made(using, "alpha", enabled=False)
    made(using, "new")
    store.save(host, observed(0, table(LISTENER)), using=using)
    store.save(fine, observed(0, table(LISTENER)), using=using)
    store.save(broken, observed(0, table(LISTENER)), using=using)
    store.save(broken, failed(1), using=using)

    with time_machine.travel(at(1), tick=False):
        rows = queries.overview(hosts(using))

    assert [(row.host.name, row.status.level) for row in rows] == [
        ("zeta", Level.BAD),
        ("new", Level.NEW),
        ("Beta", Level.OK),
        ("web1", Level.OK),
        ("alpha", Level.OFF),
    ]
    bad = rows[0]
    assert bad.latest is not None
    assert bad.latest_whole is not None
    assert bad.latest.code == bad.status.code == "unreachable"
    assert bad.latest_whole.taken_at == at(0)
    assert [(bar.at, bar.outcome, bar.code) for bar in bad.bars] == [
        (at(0), "ok", ""),
        (at(1), "failed", "unreachable"),
    ]
    assert (rows[1].schedule, rows[1].latest, rows[1].bars) == (None, None, [])


@both_databases
def test_bars_are_the_newest_probes_oldest_first(host: Host, using: str) -> None:
    Snapshot.objects.using(using).bulk_create(
        Snapshot(host=host, taken_at=at(minute), outcome=Outcome.OK) for minute in range(50)
    )

    (row,) = queries.overview(hosts(using))
    (short,) = queries.overview(hosts(using), bars=3)
    (none,) = queries.overview(hosts(using), bars=0)

    assert [bar.at for bar in row.bars] == [at(minute) for minute in range(20, 50)]
    assert [bar.at for bar in short.bars] == [at(47), at(48), at(49)]
    assert none.bars == []


@both_databases
def test_the_overview_asks_as_often_for_many_hosts_as_for_one(host: Host, using: str) -> None:
    group = HostGroup.objects.using(using).create(name="web")

    def ask() -> int:
        with CaptureQueriesContext(connections[using]) as captured:
            for row in queries.overview(hosts(using)):
                assert [str(each) for each in row.host.groups.all()] == ["web"]
                assert row.status.label
                assert row.schedule is None or row.latest is not None
        return len(captured)

    store.save(host, observed(0, table(LISTENER)), using=using)
    host.groups.add(group)
    few = ask()
    for number in range(20):
        one = made(using, f"host{number}")
        one.groups.add(group)
        store.save(one, observed(0, table(LISTENER)), using=using)

    assert ask() == few == 3
    # What is not the newest probe as well is asked for by itself.
    for one in hosts(using).exclude(pk=host.pk):
        store.save(one, failed(1), using=using)
    assert ask() == 4


@both_databases
def test_bars_read_no_more_of_a_long_history_than_they_show(host: Host, using: str) -> None:
    Snapshot.objects.using(using).bulk_create(
        Snapshot(host=host, taken_at=at(minute), outcome=Outcome.OK) for minute in range(3000)
    )
    made(using, "other")
    with CaptureQueriesContext(connections[using]) as captured:
        queries.overview(hosts(using))
    sql = captured[-1]["sql"]
    assert "probes_snapshot" in sql

    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute("ANALYZE probes_snapshot")
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on probes_snapshot" not in plan, plan
            assert "rows=3000" not in plan, plan
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = "\n".join(row[3] for row in cursor.fetchall())
            assert "SCAN s" not in plan, plan
            assert "(host_id=?)" in plan, plan


@both_databases
def test_one_host_is_the_row_of_the_overview_without_bars(host: Host, using: str) -> None:
    store.save(host, observed(0, table(LISTENER)), using=using)

    row = queries.host_row(host)

    assert row.host == host
    assert row.latest_whole is not None
    assert row.schedule == Schedule.objects.using(using).get()
    assert row.bars == []


@both_databases
def test_probes_are_paged_newest_first_while_new_ones_come(host: Host, using: str) -> None:
    other = made(using, "other")
    for minute in range(7):
        save = failed(minute) if minute % 3 == 0 else observed(minute, table(LISTENER))
        store.save(host, save, using=using)
        store.save(other, observed(minute, table(LISTENER)), using=using)

    page = queries.snapshots(host, limit=3)
    assert page.total == 7
    times = [row.taken_at for row in page.rows]
    store.save(host, observed(9, table(LISTENER)), using=using)
    while page.next is not None:
        page = queries.snapshots(host, cursor=page.next, limit=3)
        times += [row.taken_at for row in page.rows]

    assert times == [at(minute) for minute in range(6, -1, -1)]
    failures = queries.snapshots(host, outcome="failed")
    assert [row.taken_at for row in failures.rows] == [at(6), at(3), at(0)]
    assert failures.total == 3


@both_databases
def test_a_cursor_of_other_probes_is_refused(host: Host, using: str) -> None:
    other = made(using, "other")
    for minute in range(3):
        store.save(host, observed(minute, table(LISTENER)), using=using)
    cursor = queries.snapshots(host, limit=1).next
    assert cursor is not None

    for where, outcome, given in (
        (other, None, cursor),
        (host, "ok", cursor),
        (host, None, cursor[1:]),
        (host, None, "2026-01-01"),
    ):
        with pytest.raises(FilterError) as caught:
            queries.snapshots(where, outcome=outcome, cursor=given)
        assert caught.value.field == "cursor"
