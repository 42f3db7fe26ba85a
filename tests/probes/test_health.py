"""Liveness and readiness, and the tasks that keep them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from hosts.models import Host
from probes import health, tasks
from probes.models import Heartbeat, Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(settings: Any, redis_url: str) -> None:
    settings.CELERY_BROKER_URL = redis_url


def checks(client: Client) -> tuple[int, dict[str, str]]:
    response = client.get("/readyz")
    return response.status_code, response.json()["checks"]


@pytest.mark.usefixtures("broker")
def test_ready_means_database_migrations_broker_and_scheduler_are_well(client: Client) -> None:
    health.beat("worker@test")

    assert checks(client) == (
        200,
        {"database": "ok", "broker": "ok", "migrations": "ok", "scheduler": "ok"},
    )


@pytest.mark.usefixtures("broker")
def test_a_silent_worker_makes_the_site_not_ready_and_says_so(client: Client) -> None:
    assert checks(client)[1]["scheduler"] == "never ran"

    health.beat("worker@test")
    Heartbeat.objects.update(at=timezone.now() - dt.timedelta(seconds=health.LATE_AFTER_S + 1))

    status, said = checks(client)
    assert status == 503
    assert said["scheduler"].startswith("late: last heartbeat")


def test_a_broker_that_is_away_makes_the_site_not_ready(
    client: Client, settings: Any, free_port: int
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port}/0"

    status, said = checks(client)

    assert (status, said["broker"]) == (503, "unreachable")


def test_a_process_that_answers_is_alive_whatever_else_is_down(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_a_heartbeat_names_its_worker_and_counts_as_a_node() -> None:
    tasks.dispatch.run(by_beat=True)
    health.beat("another@test")

    assert health.live_nodes() == 2
    assert health.scheduler_state().late is False


def test_a_probe_by_hand_is_no_heartbeat_of_the_scheduler() -> None:
    tasks.dispatch.run()

    assert health.scheduler_state().late is True


def test_keeping_house_forgets_gone_workers_and_ended_sessions() -> None:
    health.beat("gone@test")
    Heartbeat.objects.update(at=timezone.now() - dt.timedelta(days=2))
    Session.objects.create(session_key="ended", expire_date=timezone.now() - dt.timedelta(days=1))

    tasks.retain()

    assert not Heartbeat.objects.exists()
    assert not Session.objects.exists()


def test_a_dispatch_leases_due_hosts_and_sends_ids_only(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [Host.objects.create(name=f"h{n}", address=f"h{n}.example") for n in range(3)]
    dead = Host.objects.create(name="dead", address="dead.example")
    Schedule.objects.create(host=dead, next_probe_at=timezone.now(), failures=4)
    sent: list[tuple[list[int], str, str]] = []
    monkeypatch.setattr(tasks.probe_batch, "apply_async", lambda args, **options: sent.append(args))

    assert tasks.dispatch() == 4

    assert [(sorted(ids), lane) for ids, _token, lane in sent] == [
        (sorted(host.pk for host in hosts), "live"),
        ([dead.pk], "failing"),
    ]
    assert tasks.dispatch() == 0


@pytest.mark.usefixtures("broker")
def test_a_machine_reads_how_old_the_newest_heartbeat_is(client: Client) -> None:
    assert client.get("/readyz").json()["heartbeat_age_s"] is None

    health.beat("worker@test")
    Heartbeat.objects.update(at=timezone.now() - dt.timedelta(seconds=100))

    said = client.get("/readyz").json()
    assert 100 <= said["heartbeat_age_s"] < 3600
    assert said["late_after_s"] == health.LATE_AFTER_S
    assert said["ready"] is False


def test_health_is_asked_anew_each_time(client: Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
