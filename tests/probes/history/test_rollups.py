"""Quarters, hours and days summed up from probes, whenever and however often that is done."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from hosts.models import Host
from probes.history import retention, rollups, store
from probes.history.queries import tops
from probes.models import ClosedSocket, Outcome, RollUp, Schedule, Snapshot
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, START, at, failed, line, observed, table

MIDNIGHT = dt.datetime(2026, 3, 29, tzinfo=dt.UTC)
"""Two minutes after START."""
LATER = MIDNIGHT + dt.timedelta(days=3)


def peers(count: int, *, first: int = 51000, state: str = "ESTABLISHED") -> list[str]:
    """So many connections to port 22."""
    return [line(foreign=f"10.0.0.9:{first + n}", state=state) for n in range(count)]


def made(host: Host, using: str, minutes: int) -> list[RollUp]:
    """The stretches of that width, oldest first."""
    rows = RollUp.objects.using(using).filter(host_id=host.pk, minutes=minutes)
    return list(rows.order_by("begins_at"))


def numbers(rows: Iterable[RollUp]) -> list[dict[str, Any]]:
    """All that a stretch says."""
    return [
        {
            field.attname: getattr(row, field.attname)
            for field in RollUp._meta.concrete_fields
            if field.attname not in ("id", "tops_zstd")
        }
        | {"tops": None if row.tops_zstd is None else tops.unpack(bytes(row.tops_zstd))}
        for row in rows
    ]


@both_databases
def test_a_quarter_is_its_last_whole_snapshot_with_the_most_and_the_sums(
    host: Host, using: str
) -> None:
    for minute, lines in ((3, peers(2)), (4, peers(9)), (5, peers(3)), (20, [])):
        store.save(host, observed(minute, table(LISTENER, *lines)), using=using)
    store.save(host, failed(6), using=using)

    assert rollups.roll_up(LATER, using=using) == 1

    first, second = made(host, using, 15)
    assert (first.begins_at, first.taken_at) == (MIDNIGHT, at(5))
    assert (first.sockets, first.listeners, first.by_state) == (
        4, 1, {"LISTEN": 1, "ESTABLISHED": 3}
    )  # fmt: skip
    assert (first.most_sockets, first.most_by_state) == (10, {"LISTEN": 1, "ESTABLISHED": 9})
    assert (first.opened, first.closed) == (10, 6)
    assert (first.probes, first.failures, first.code) == (4, 1, "unreachable")
    assert (second.begins_at, second.sockets, second.opened, second.closed) == (
        MIDNIGHT + rollups.QUARTER, 1, 0, 3
    )  # fmt: skip
    assert first.tops_zstd is None


@both_databases
def test_hours_and_days_are_made_of_their_quarters(host: Host, using: str) -> None:
    for minute, count in ((3, 1), (30, 8), (50, 2), (70, 5), (24 * 60 + 3, 4)):
        store.save(host, observed(minute, table(LISTENER, *peers(count))), using=using)

    rollups.roll_up(LATER, using=using)

    hours = [(row.begins_at.hour, row.sockets, row.most_sockets) for row in made(host, using, 60)]
    assert hours == [(0, 3, 9), (1, 6, 6), (0, 5, 5)]
    first, second = made(host, using, 1440)
    assert (first.begins_at, first.taken_at, first.probes) == (MIDNIGHT, at(70), 4)
    assert (first.most_by_state["ESTABLISHED"], first.by_state["ESTABLISHED"]) == (8, 5)
    assert second.begins_at == MIDNIGHT + rollups.DAY


@both_databases
def test_the_tops_of_an_hour_are_those_of_its_last_whole_snapshot(host: Host, using: str) -> None:
    busy = table(
        LISTENER,
        *peers(3),
        *peers(2, first=52000, state="TIME_WAIT"),
        line("10.0.0.5:80", "198.51.100.7:4000", "SYN_RECV", "-"),
        line("[2001:db8::5]:443", "2001:db8::9:61003", holder="9/nginx", protocol="tcp6"),
        line("127.0.0.1:9000", "127.0.0.1:33000", holder="9/nginx"),
    )
    store.save(host, observed(3, busy), using=using)
    store.save(host, observed(70, table(LISTENER)), using=using)

    rollups.roll_up(LATER, using=using)

    packed = made(host, using, 60)[0].tops_zstd
    assert packed is not None
    seen = tops.unpack(bytes(packed))
    assert seen.ip["10.0.0.9"] == {"ESTABLISHED": 3, "TIME_WAIT": 2}
    assert seen.ip["2001:db8::9"] == {"ESTABLISHED": 1}
    assert seen.port["22"] == {"ESTABLISHED": 3, "TIME_WAIT": 2}
    assert seen.port_ip["80 198.51.100.7"] == {"SYN_RECV": 1}
    assert seen.program == {
        "sshd": {"LISTEN": 1, "ESTABLISHED": 3, "TIME_WAIT": 2},
        "nginx": {"ESTABLISHED": 2},
    }
    assert seen.scope == {
        "private": {"ESTABLISHED": 3, "TIME_WAIT": 2},
        "external": {"SYN_RECV": 1, "ESTABLISHED": 1},
        "loopback": {"ESTABLISHED": 1},
    }
    assert made(host, using, 1440)[0].taken_at == at(70)


@both_databases
def test_only_the_largest_are_remembered_with_all_of_their_states(host: Host, using: str) -> None:
    many = [
        line(foreign=f"10.1.{n // 250}.{n % 250 + 1}:{port}", state=state)
        for n in range(tops.TOP + 20)
        for port, state in ((5000, "ESTABLISHED"), (5001, "TIME_WAIT"))[: 1 + (n >= 20)]
    ]
    store.save(host, observed(3, table(LISTENER, *many)), using=using)

    rollups.roll_up(LATER, using=using)

    packed = made(host, using, 60)[0].tops_zstd
    assert packed is not None
    seen = tops.unpack(bytes(packed))
    assert len(seen.ip) == tops.TOP
    assert all(found == {"ESTABLISHED": 1, "TIME_WAIT": 1} for found in seen.ip.values())
    assert not seen.is_complete("ip")
    assert seen.is_complete("program")


@both_databases
def test_doing_it_bit_by_bit_twice_or_at_once_gives_the_same(host: Host, using: str) -> None:
    drawn = random.Random(7)
    for minute in sorted(drawn.sample(range(0, 3000), 60)):
        seen = observed(minute, table(LISTENER, *peers(drawn.randrange(6))))
        store.save(host, failed(minute) if drawn.random() < 0.2 else seen, using=using)
    rollups.roll_up(LATER, using=using)
    at_once = [numbers(made(host, using, width)) for width in rollups.WIDTHS]

    RollUp.objects.using(using).all().delete()
    Schedule.objects.using(using).update(rolled_until=None)
    now = START
    while now < LATER:
        now += dt.timedelta(minutes=drawn.choice((7, 20, 45, 400)))
        rollups.roll_up(now, using=using)
    rollups.roll_up(LATER, using=using)
    bit_by_bit = [numbers(made(host, using, width)) for width in rollups.WIDTHS]
    Schedule.objects.using(using).update(rolled_until=None)
    rollups.roll_up(LATER, using=using)

    assert bit_by_bit == at_once
    assert [numbers(made(host, using, width)) for width in rollups.WIDTHS] == at_once
    assert sum(row["probes"] for row in at_once[0]) == 60
    assert sum(row["probes"] for row in at_once[2]) == 60


@both_databases
def test_only_what_is_finished_is_rolled_up_and_nothing_twice(host: Host, using: str) -> None:
    store.save(host, observed(3, table(LISTENER)), using=using)
    end = MIDNIGHT + rollups.QUARTER
    rollups.roll_up(end, using=using)
    assert not made(host, using, 15)  # a probe may still be under way

    assert rollups.roll_up(end + dt.timedelta(minutes=2), using=using) == 1
    assert Schedule.objects.using(using).get().rolled_until == end
    assert rollups.roll_up(end + dt.timedelta(minutes=3), using=using) == 0
    assert rollups.roll_up(LATER, using=using) == 0  # nothing was probed since


@both_databases
def test_a_probe_stored_after_its_quarter_was_made_is_counted_by_the_next(
    host: Host, using: str
) -> None:
    store.save(host, observed(10, table(LISTENER)), using=using)
    rollups.roll_up(MIDNIGHT + dt.timedelta(minutes=20), using=using)
    store.save(host, failed(12), using=using)
    store.save(host, observed(9, table(LISTENER, *peers(4))), using=using)  # late: changes nothing
    store.save(host, observed(20, table(LISTENER)), using=using)

    rollups.roll_up(MIDNIGHT + dt.timedelta(minutes=40), using=using)

    first, second = made(host, using, 15)
    assert (first.probes, first.failures, first.sockets, first.most_sockets) == (2, 1, 1, 1)
    assert second.probes == 1
    assert made(host, using, 60)[0].probes == 3


@both_databases
def test_months_of_history_are_worked_off_a_day_at_a_time_and_gaps_at_once(
    host: Host, using: str
) -> None:
    for day in (0, 1, 2, 60):
        Snapshot.objects.using(using).create(
            host=host, taken_at=at(24 * 60 * day), outcome=Outcome.OK, sockets=day
        )
    Schedule.objects.using(using).create(
        host=host,
        next_probe_at=START,
        latest=Snapshot.objects.using(using).latest("taken_at"),
    )
    now = START + dt.timedelta(days=61)
    steps = 0
    while rollups.roll_up(now, using=using, run_s=0.0):
        steps += 1

    assert 2 <= steps <= 4
    assert [row.sockets for row in made(host, using, 1440)] == [0, 1, 2, 60]
    assert len(made(host, using, 15)) == 4


@both_databases
def test_a_backlog_delays_nobodys_newest_hour(host: Host, using: str) -> None:
    new = Host.objects.using(using).create(name="new", address="192.0.2.2")
    for day in range(5):
        store.save(host, observed(24 * 60 * day, table(LISTENER)), using=using)
    current = observed(24 * 60 * 4 - 20, table(LISTENER))
    store.save(new, current, using=using)
    now = at(24 * 60 * 4 + 5)

    # One host a run: the new one is not the last to be done.
    order = []
    while rollups.roll_up(now, using=using, run_s=0.0):
        order.append(RollUp.objects.using(using).filter(host_id=new.pk).exists())

    assert order.index(True) <= 2
    assert len(order) > 4


@both_databases
def test_trouble_with_one_host_stops_no_other(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = Host.objects.using(using).create(name="other", address="192.0.2.2")
    for each in (host, other):
        store.save(each, observed(3, table(LISTENER)), using=using)
    read = tops.read

    def fails_once(scope: Any) -> tops.Tops:
        if scope.host_ids == (host.pk,):
            raise RuntimeError("no")
        return read(scope)

    monkeypatch.setattr(tops, "read", fails_once)

    assert rollups.roll_up(LATER, using=using) == 1
    assert not made(host, using, 15)
    assert made(other, using, 15)
    assert f"rolling up host {host.pk} failed" in caplog.text


@both_databases
def test_a_removed_host_is_rolled_up_to_its_end(host: Host, using: str) -> None:
    store.save(host, observed(3, table(LISTENER)), using=using)
    Host.objects.using(using).update(removed_at=at(4), enabled=False)

    assert rollups.roll_up(LATER, using=using) == 1
    assert rollups.roll_up(LATER, using=using) == 0
    assert made(host, using, 60)


@both_databases
def test_quarters_go_with_the_snapshots_and_hours_are_kept_longer(host: Host, using: str) -> None:
    now = timezone.now()
    for days in (1, 200, 800):
        for minutes in rollups.WIDTHS:
            RollUp.objects.using(using).create(
                host=host, minutes=minutes, begins_at=now - dt.timedelta(days=days)
            )

    with override_settings(RETENTION_DAYS=90, ROLLUP_RETENTION_DAYS=730):
        pruned = retention.prune(now, using)

    assert pruned.rollups == 4
    left = Counter(RollUp.objects.using(using).values_list("minutes", flat=True))
    assert left == {15: 1, 60: 2, 1440: 2}


@both_databases
def test_what_was_there_is_not_touched(host: Host, using: str) -> None:
    for minute in (3, 20):
        store.save(host, observed(minute, table(LISTENER, *peers(minute))), using=using)
    before = (
        list(ClosedSocket.objects.using(using).values_list()),
        Snapshot.objects.using(using).count(),
    )

    rollups.roll_up(LATER, using=using)

    assert before == (
        list(ClosedSocket.objects.using(using).values_list()),
        Snapshot.objects.using(using).count(),
    )
