"""The schedule: leases, lanes, back-off, pauses, requests."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from hosts.models import Credential, Host, HostKey
from probes import schedule
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import Code

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def make_host(name: str = "alpha", **fields: object) -> Host:
    return Host.objects.create(name=name, address=f"{name}.example", **fields)


def failed(host: Host, code: Code = Code.TIMED_OUT) -> Snapshot:
    return Snapshot.objects.create(
        host=host, taken_at=timezone.now(), outcome=Outcome.FAILED, code=code
    )


def whole(host: Host) -> Snapshot:
    return Snapshot.objects.create(host=host, taken_at=timezone.now(), outcome=Outcome.OK)


def claimed(lane: schedule.Lane = "live", *, limit: int = 100) -> list[int]:
    return schedule.claim(lane, limit=limit)[0]


def probed(host: Host, snapshot: Snapshot) -> Schedule:
    """Lease ``host``, store ``snapshot`` as its newest and book it, as a worker does."""
    token = schedule.claim_one(host)
    assert token is not None
    Schedule.objects.filter(pk=host.pk).update(latest=snapshot)
    schedule.finish(host, token, snapshot)
    return Schedule.objects.get(pk=host.pk)


def test_a_new_host_is_due_at_once() -> None:
    host = make_host()

    assert schedule.ensure() == 1
    assert claimed() == [host.pk]


def test_ensuring_twice_adds_nothing() -> None:
    make_host()
    schedule.ensure()

    assert schedule.ensure() == 0


def test_disabled_and_removed_hosts_are_not_claimed() -> None:
    make_host("disabled", enabled=False)
    gone = make_host("gone")
    schedule.ensure()
    Host.objects.filter(pk=gone.pk).update(removed_at=timezone.now())

    assert claimed() == []


def test_a_claimed_host_is_not_claimed_again_until_its_lease_ends() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        schedule.ensure()
        assert claimed() == [host.pk]

        assert claimed() == []
        clock.shift(schedule.QUEUE_LEASE_S + 1)
        assert claimed() == [host.pk]


def test_a_claim_takes_no_more_than_its_limit_and_the_longest_due_first() -> None:
    first, second = make_host("first"), make_host("second")
    schedule.ensure()
    Schedule.objects.filter(pk=second.pk).update(next_probe_at=NOW)

    assert claimed(limit=1) == [second.pk]
    assert claimed(limit=0) == []
    assert claimed(limit=-5) == []
    assert claimed(limit=1) == [first.pk]


def test_an_expired_queue_lease_does_not_start() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        schedule.ensure()
        _ids, token = schedule.claim("live", limit=1)
        clock.shift(schedule.QUEUE_LEASE_S + 1)

        assert schedule.start(host.pk, token) is False


def test_a_lease_that_went_to_another_does_not_start_for_the_first() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        schedule.ensure()
        _ids, old = schedule.claim("live", limit=1)
        clock.shift(schedule.QUEUE_LEASE_S + 1)
        _ids, new = schedule.claim("live", limit=1)

        assert schedule.start(host.pk, old) is False
        assert schedule.start(host.pk, new) is True


def test_a_running_lease_outlives_the_deadline_of_a_probe(settings: object) -> None:
    settings.PROBE_DEADLINE_S = 30  # type: ignore[attr-defined]
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        token = schedule.claim_one(host)
        assert token is not None
        clock.shift(31 + 20)

        assert schedule.claim_one(host) is None


def test_a_released_host_stays_due() -> None:
    host = make_host()
    schedule.ensure()
    _ids, token = schedule.claim("live", limit=1)

    schedule.release(host.pk, token)

    assert claimed() == [host.pk]


def test_a_whole_probe_is_followed_by_one_per_interval_at_the_hosts_own_place() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host(interval_s=60)
        first = probed(host, whole(host)).next_probe_at
        assert NOW + dt.timedelta(seconds=30) <= first <= NOW + dt.timedelta(seconds=90)

        clock.move_to(first + dt.timedelta(seconds=2))
        second = probed(host, whole(host)).next_probe_at

    assert second - first == dt.timedelta(seconds=60)


def test_after_a_long_pause_a_host_is_probed_once_and_then_at_its_place() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host(interval_s=60)
        before = probed(host, whole(host)).next_probe_at
        clock.shift(3600)

        assert claimed() == [host.pk]
        Schedule.objects.update(lease_until=None, lease_token="")
        after = probed(host, whole(host)).next_probe_at

        assert after > timezone.now()
        assert (after - before).total_seconds() % 60 == pytest.approx(0, abs=1e-3)


def test_a_fleet_spreads_over_the_interval() -> None:
    with time_machine.travel(NOW, tick=False):
        hosts = [make_host(f"host{n}", interval_s=60) for n in range(60)]
        places = {
            int(probed(host, whole(host)).next_probe_at.timestamp() % 60) // 6 for host in hosts
        }

    assert places == set(range(10))


def test_a_dead_host_is_tried_ever_less_often_but_at_least_every_15_minutes() -> None:
    waits = [schedule.backoff_s(60, failures=n) for n in range(1, 12)]

    assert 54 <= waits[0] <= 60
    assert 108 <= waits[1] <= 120
    assert all(810 <= wait <= 900 for wait in waits[5:])
    assert schedule.backoff_s(3600, failures=9) <= 3600


def test_a_failed_host_waits_in_its_own_lane() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        dead, alive = make_host("dead"), make_host("alive")
        schedule.ensure()
        probed(dead, failed(dead))
        clock.shift(120)

        assert claimed("live") == [alive.pk]
        assert claimed("failing") == [dead.pk]


def test_a_good_probe_forgets_the_failures() -> None:
    host = make_host()
    assert probed(host, failed(host)).failures == 1
    assert probed(host, failed(host)).failures == 2

    row = probed(host, whole(host))

    assert (row.failures, row.failing_since) == (0, None)


@pytest.mark.parametrize("code", [Code.LOGIN_FAILED, Code.SUDO_REFUSED])
def test_a_refused_login_is_paused_until_the_credential_is_edited(code: Code) -> None:
    credential = Credential.objects.create(name="ops", user="ops")
    host = make_host(credential=credential)
    row = probed(host, failed(host, code))
    assert schedule.is_paused(row, host)

    credential.version += 1
    credential.save()
    host.refresh_from_db()

    assert not schedule.is_paused(row, host)


def test_a_refused_login_at_a_jump_host_pauses_those_behind_it_until_it_is_edited() -> None:
    credential = Credential.objects.create(name="ops", user="ops")
    jump = make_host("jump", credential=credential)
    host = make_host(credential=Credential.objects.create(name="app", user="app"), jump_host=jump)
    token = schedule.claim_one(host)
    assert token is not None

    snapshot = failed(host, Code.JUMP_FAILED)
    schedule.finish(host, token, snapshot, cause=Code.LOGIN_FAILED)

    row = Schedule.objects.get(pk=host.pk)
    assert schedule.is_paused(row, host)

    credential.version += 1
    credential.save()
    assert not schedule.is_paused(row, Host.objects.get(pk=host.pk))


def test_a_paused_host_is_looked_at_each_interval_without_a_probe() -> None:
    with time_machine.travel(NOW, tick=False):
        host = make_host(interval_s=60)
        probed(host, failed(host, Code.LOGIN_FAILED))
        token = schedule.claim_one(host)
        assert token is not None

        schedule.postpone(host, token)

        row = Schedule.objects.get()
        assert row.lease_until is None
        assert row.next_probe_at > NOW
        assert Snapshot.objects.count() == 1


def test_seeing_the_login_work_ends_the_pause() -> None:
    host = make_host()
    probed(host, failed(host, Code.LOGIN_FAILED))

    schedule.resume(host)

    row = Schedule.objects.get()
    assert not schedule.is_paused(row, host)


def test_an_edited_dead_host_is_due_at_once() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        for _attempt in range(6):
            clock.shift(1)
            probed(host, failed(host))
        clock.shift(5)
        assert claimed("failing") == []

        host.port = 2222
        host.save()

        assert claimed("failing") == [host.pk]


def test_a_decided_host_key_makes_its_host_due_at_once() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        probed(host, failed(host, Code.HOST_KEY_UNKNOWN))
        clock.shift(5)
        assert claimed("failing") == []

        HostKey.objects.create(
            address=host.address, port=host.port, key_type="ssh-ed25519", decided_at=timezone.now()
        )

        assert claimed("failing") == [host.pk]


def test_a_requested_host_is_due_and_shows_its_progress() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        assert schedule.progress(probed(host, whole(host))) == "idle"
        clock.shift(1)

        row = schedule.request_probe(host, "anna")
        assert schedule.progress(row) == "queued"

        _ids, token = schedule.claim("live", limit=1)
        row.refresh_from_db()
        assert schedule.progress(row) == "running"

        clock.shift(1)
        schedule.finish(host, token, whole(host))
        row.refresh_from_db()
        assert schedule.progress(row) == "idle"


def test_a_request_made_while_a_probe_runs_is_kept_for_the_next() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        token = schedule.claim_one(host)
        assert token is not None
        running = whole(host)
        clock.shift(1)
        schedule.request_probe(host, "anna")

        schedule.finish(host, token, running)

        assert claimed() == [host.pk]


def test_a_late_finish_of_a_lost_lease_changes_nothing() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        host = make_host()
        lost = schedule.claim_one(host)
        assert lost is not None
        clock.shift(3600)
        assert schedule.claim_one(host) is not None

        schedule.finish(host, lost, failed(host))

        row = Schedule.objects.get()
        assert row.failures == 0
        assert row.lease_until is not None
        assert row.lease_until > timezone.now()


@pytest.mark.django_db(databases=["default"], transaction=True)
def test_two_dispatchers_at_once_share_the_due_hosts_without_overlap() -> None:
    expected = {make_host(f"host{n}").pk for n in range(40)}
    schedule.ensure()
    taken: list[int] = []
    gate = threading.Barrier(4)

    def dispatcher() -> None:
        gate.wait()
        for _turn in range(10):
            taken.extend(claimed(limit=5))
        connections.close_all()

    threads = [threading.Thread(target=dispatcher) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(expected)


# --- the other tables -----------------------------------------------------------------------------


def due_in(host: Host, *, minutes: float) -> bool:
    """Whether the tables are due so long after they were taken now."""
    row = schedule.ensure_one(host)
    row.tables_at = timezone.now() - dt.timedelta(minutes=minutes)
    return schedule.tables_due(host, row)


def test_the_other_tables_of_a_new_host_are_due_at_once() -> None:
    host = make_host()

    assert schedule.tables_due(host, schedule.ensure_one(host))


def test_the_other_tables_are_due_at_the_probe_nearest_to_their_time(settings: Any) -> None:
    settings.PROBE_TABLES_MINUTES = 10
    host = make_host(interval_s=60)
    with time_machine.travel(NOW, tick=False):
        assert not due_in(host, minutes=0)
        assert not due_in(host, minutes=9)
        # Probes come a moment early or late; they must not wait a whole interval for that.
        assert due_in(host, minutes=9.9)
        assert due_in(host, minutes=10)


def test_a_host_probed_more_seldom_than_its_tables_are_due_brings_them_each_time(
    settings: Any,
) -> None:
    settings.PROBE_TABLES_MINUTES = 10
    with time_machine.travel(NOW, tick=False):
        assert due_in(make_host(interval_s=3600), minutes=60)


def test_the_other_tables_are_never_due_where_the_setting_is_0(settings: Any) -> None:
    settings.PROBE_TABLES_MINUTES = 0
    host = make_host()

    assert not schedule.tables_due(host, schedule.ensure_one(host))
    assert not schedule.tables_due(host, schedule.request_probe(host, by="anna"))


def test_a_probe_that_somebody_asks_for_takes_the_other_tables_too() -> None:
    host = make_host()
    row = schedule.request_probe(host, by="anna")
    row.tables_at = timezone.now()

    assert schedule.tables_due(host, row)


@pytest.mark.parametrize("outcome", ["whole", "failed"])
def test_tables_that_were_tried_are_booked_however_the_probe_ended(outcome: str) -> None:
    host = make_host()
    token = schedule.claim_one(host)
    assert token is not None
    snapshot = whole(host) if outcome == "whole" else failed(host)

    schedule.finish(host, token, snapshot, tables_at=NOW)

    assert Schedule.objects.get().tables_at == NOW


def test_a_probe_without_the_tables_leaves_their_time_alone() -> None:
    host = make_host()
    schedule.ensure_one(host)
    Schedule.objects.update(tables_at=NOW)

    assert probed(host, whole(host)).tables_at == NOW
