"""Probing by script: asked for, waited for, refused."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from hosts.models import Host
from netadmin.access.models import AuditEntry, Scope
from netadmin.env import VARIABLES
from netadmin.supervisor import WEB_OPTIONS
from probes import bell, schedule
from probes.history import store
from probes.models import Schedule, Snapshot
from probes.observation import Code
from probes.tools import turns
from tests.probes.api.site import FIRST, Site, build, error_of
from tests.probes.history.played import failed, observed


@pytest.fixture
def site(db: None) -> Site:
    """A site of each test's own: some of them commit."""
    return build()


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How often the broker was rung; no message is sent."""
    rung: list[bool] = []
    monkeypatch.setattr(bell, "ring", lambda: rung.append(True))
    return rung


def test_a_probe_asked_for_is_due_now_and_recorded(site: Site, rings: list[bool]) -> None:
    response = site.token("operator", Scope.OPERATE).call("POST", site.path("api-host-probe"))

    assert response.status_code == 202
    probe = response.json()["data"]["probe"]
    assert (probe["host"], probe["state"], probe["requested_by"]) == (
        site.host.pk,
        "queued",
        "otto",
    )
    row = Schedule.objects.get(pk=site.host.pk)
    assert row.requested_at is not None
    assert row.requested_at.isoformat() == probe["requested_at"]
    assert row.next_probe_at <= timezone.now()
    assert rings == [True]
    entry = AuditEntry.objects.get(action="probe.now")
    assert (entry.actor, entry.object_name) == ("otto", "web1")


def test_a_wait_that_ends_without_a_snapshot_is_answered_like_no_wait(site: Site) -> None:
    response = site.session("operator").call("POST", f"{site.path('api-host-probe')}?wait=1")

    assert response.status_code == 202
    assert response.json()["data"]["probe"]["state"] == "queued"


@pytest.mark.parametrize("other", [timezone.now() + dt.timedelta(days=1), None])
def test_a_snapshot_from_before_the_question_is_no_answer_to_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, other: dt.datetime | None
) -> None:
    # Somebody else asks for the same host meanwhile; or the request ends without a probe.
    def asked_again() -> None:
        Schedule.objects.filter(pk=site.host.pk).update(requested_at=other)

    monkeypatch.setattr(bell, "ring", asked_again)
    response = site.session("operator").call("POST", f"{site.path('api-host-probe')}?wait=1")

    assert response.status_code == 202


def test_only_some_requests_wait_at_a_time(site: Site, rings: list[bool]) -> None:
    otto = site.session("operator")
    path = site.path("api-host-probe")
    with ExitStack() as taken:
        for user_id in range(turns.MOST_AT_ONCE):
            taken.enter_context(turns.turn(-user_id))
        refused = otto.call("POST", f"{path}?wait=60")
        assert error_of(refused, 503)["code"] == "busy"
        assert refused.headers["Retry-After"]
        # Nothing was asked for; and who waits for nothing needs no turn.
        assert rings == []
        assert Schedule.objects.get(pk=site.host.pk).requested_at is None
        assert otto.call("POST", path).status_code == 202

    assert otto.call("POST", f"{path}?wait=1").status_code == 202


def test_those_who_wait_leave_threads_for_pages() -> None:
    threads = int(WEB_OPTIONS[WEB_OPTIONS.index("--threads") + 1])
    (streams,) = (each.default for each in VARIABLES if each.name == "EVENT_STREAMS")
    left = threads - turns.MOST_AT_ONCE - streams

    assert left >= threads // 4


def test_a_disabled_host_is_not_probed(site: Site, rings: list[bool]) -> None:
    Host.objects.filter(pk=site.host.pk).update(enabled=False)

    response = site.session("operator").call("POST", site.path("api-host-probe"))

    assert error_of(response, 409)["code"] == "disabled"
    assert not AuditEntry.objects.exists()
    assert rings == []


def test_a_login_that_failed_is_not_tried_again_by_script(site: Site) -> None:
    token = schedule.claim_one(site.host)
    assert token is not None
    refused = replace(failed(3, Code.LOGIN_FAILED), taken_at=timezone.now())
    schedule.finish(site.host, token, store.save(site.host, refused))

    response = site.session("operator").call("POST", site.path("api-host-probe"))

    error = error_of(response, 409)
    assert error["code"] == "login_paused"
    assert "credential" in error["hint"]
    assert Schedule.objects.get(pk=site.host.pk).requested_at is None


@pytest.fixture
def committed_site(transactional_db: None) -> Site:
    """The same, seen by other threads."""
    return build()


@pytest.fixture
def worker(committed_site: Site) -> Iterator[Callable[[Any], None]]:
    """Call with an observation: a thread that stores it once a probe is asked for."""
    threads: list[threading.Thread] = []
    problems: list[BaseException] = []

    def work(seen: Any) -> None:
        host = committed_site.host
        try:
            while Schedule.objects.get(pk=host.pk).requested_at is None:
                if stop.wait(0.02):
                    return
            token = schedule.claim_one(host)
            assert token is not None
            now = replace(seen, taken_at=timezone.now())
            schedule.finish(host, token, store.save(host, now))
        except BaseException as error:
            problems.append(error)
        finally:
            connection.close()

    stop = threading.Event()

    def start(seen: Any) -> None:
        threads.append(threading.Thread(target=work, args=(seen,)))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_a_probe_that_is_waited_for_answers_with_its_snapshot(
    committed_site: Site, worker: Callable[[Any], None]
) -> None:
    site = committed_site
    worker(observed(5, FIRST))
    path = f"{site.path('api-host-probe')}?wait=60"

    response = site.session("operator").call("POST", path)

    assert response.status_code == 200
    snapshot = response.json()["data"]["snapshot"]
    newest = Snapshot.objects.latest("taken_at")
    assert (snapshot["id"], snapshot["outcome"], snapshot["sockets"]) == (newest.pk, "ok", 8)


def test_a_failed_probe_that_is_waited_for_says_how_to_mend_it(
    committed_site: Site, worker: Callable[[Any], None]
) -> None:
    worker(failed(5, Code.CONNECTION_REFUSED))

    path = f"{committed_site.path('api-host-probe')}?wait=30"
    response = committed_site.session("operator").call("POST", path)

    assert response.status_code == 200
    snapshot = response.json()["data"]["snapshot"]
    assert (snapshot["outcome"], snapshot["code"]) == ("failed", "connection_refused")
    assert snapshot["hint"]
