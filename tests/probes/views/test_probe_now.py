""" "Probe now": who may, what is recorded, how its progress shows."""

from __future__ import annotations

import pytest
from django.test import Client

from hosts.models import Credential, Host
from netadmin.access.models import AuditEntry
from probes import bell, schedule
from probes.models import Schedule, Snapshot
from tests.probes.history.played import LISTENER
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often the bell rang; no broker is needed here."""
    rung: list[str] = []
    monkeypatch.setattr(bell, "ring", lambda: rung.append("ring") or True)
    return rung


def test_it_makes_the_host_due_rings_and_is_recorded(
    operator: Client, host: Host, rings: list[str]
) -> None:
    response = operator.post(f"/hosts/{host.pk}/probe/")
    assert response.status_code == 302
    assert response["Location"] == f"/hosts/{host.pk}/"
    asked = Schedule.objects.get(host=host)
    assert asked.requested_by == "operator"
    assert schedule.progress(asked) == "queued"
    assert rings == ["ring"]
    entry = AuditEntry.objects.get(action="probe.now")
    assert (entry.actor, entry.object_id) == ("operator", str(host.pk))


def test_a_viewer_may_not(viewer: Client, host: Host, rings: list[str]) -> None:
    assert viewer.post(f"/hosts/{host.pk}/probe/").status_code == 403
    assert not rings
    assert Schedule.objects.get(host=host).requested_at is None


def test_a_get_changes_nothing(operator: Client, host: Host, rings: list[str]) -> None:
    assert operator.get(f"/hosts/{host.pk}/probe/").status_code == 405
    assert not rings


def test_the_way_back_never_leaves_the_site(operator: Client, host: Host) -> None:
    headers = {"Referer": "https://evil.example/hosts/1/"}
    response = operator.post(f"/hosts/{host.pk}/probe/", headers=headers)
    assert response["Location"] == f"/hosts/{host.pk}/"
    headers = {"Referer": "http://testserver/?q=web"}
    response = operator.post(f"/hosts/{host.pk}/probe/", headers=headers)
    assert response["Location"] == "http://testserver/?q=web"


def test_htmx_gets_the_button_that_asks_on(operator: Client, host: Host) -> None:
    html = operator.post(f"/hosts/{host.pk}/probe/", headers=HTMX).content.decode()
    newest = Snapshot.objects.filter(host=host).latest("taken_at")
    assert f'hx-get="/hosts/{host.pk}/progress/?since={newest.pk}"' in html
    assert "Waiting for a worker" in html


def test_the_page_is_renewed_once_the_probe_is_stored(operator: Client, host: Host) -> None:
    newest = Snapshot.objects.filter(host=host).latest("taken_at")
    operator.post(f"/hosts/{host.pk}/probe/", headers=HTMX)
    address = f"/hosts/{host.pk}/progress/?since={newest.pk}"
    assert "HX-Refresh" not in operator.get(address, headers=HTMX)
    token = schedule.claim_one(host)
    assert token is not None
    running = operator.get(address, headers=HTMX)
    assert "Probing…" in running.content.decode()
    # Taken after the request, as a worker's probe is.
    stored = fleet.seen(host, -1, LISTENER)
    assert "HX-Refresh" not in operator.get(address, headers=HTMX), "not booked yet"
    schedule.finish(host, token, stored)
    done = operator.get(address, headers=HTMX)
    assert done["HX-Refresh"] == "true"
    assert "Probe now" in done.content.decode()


def test_a_disabled_host_is_not_probed(operator: Client, host: Host, rings: list[str]) -> None:
    Host.objects.filter(pk=host.pk).update(enabled=False)
    html = operator.post(f"/hosts/{host.pk}/probe/", follow=True).content.decode()
    assert "web1 is disabled." in html
    assert not rings


def test_a_paused_login_is_not_tried_again_and_the_fix_is_said(
    operator: Client, host: Host, rings: list[str]
) -> None:
    credential = Credential.objects.create(name="c", user="u")
    Host.objects.filter(pk=host.pk).update(credential=credential)
    host.refresh_from_db()
    Schedule.objects.filter(host=host).update(
        paused_code="login_failed", paused_login_version=host.login_version
    )
    html = operator.post(f"/hosts/{host.pk}/probe/", follow=True).content.decode()
    assert "Edit the credential to go on." in html
    assert not rings
    answer = operator.post(f"/hosts/{host.pk}/probe/", headers=HTMX)
    assert answer.status_code == 204
    assert answer["HX-Refresh"] == "true"


@pytest.mark.parametrize("since", ["", "x", "-1", "９", "1" * 400])
def test_an_odd_since_is_no_error(operator: Client, host: Host, since: str) -> None:
    response = operator.get(f"/hosts/{host.pk}/progress/", {"since": since}, headers=HTMX)
    assert response.status_code == 200
