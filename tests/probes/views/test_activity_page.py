"""Maintenance windows and the activity: what is shown to whom, and what may be done."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts.models import Host, HostGroup, Source, SyncRun
from netadmin.access.models import AuditEntry, Role
from probes.models import Alert, AlertKind, Change, Restart, Rule, Service, Silence
from probes.watch import lifecycle
from tests.people import browser_of, person

Page = Callable[..., str]

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def inside() -> HostGroup:
    return HostGroup.objects.create(name="inside")


@pytest.fixture
def limited(inside: HostGroup, host: Host) -> Client:
    """An operator who sees web1 by its group, and no db9 of another group."""
    host.groups.add(inside)
    other = Host.objects.create(name="db9", address="192.0.2.9")
    other.groups.add(HostGroup.objects.create(name="vault"))
    return browser_of(person("lars", Role.OPERATOR, groups=[inside]))


def in_form(host: Host | None, hours: float = 2, **more: Any) -> dict[str, Any]:
    until = timezone.localtime(timezone.now() + hours * HOUR)
    fields = {"ends_at": f"{until:%Y-%m-%dT%H:%M}", "reason": "new disks"}
    return fields | ({} if host is None else {"host": host.pk}) | more


def test_a_window_is_added_seen_changed_and_ended(
    host: Host, operator: Client, viewer: Client, page: Page
) -> None:
    assert "No maintenance window" in page(operator, "/silences/")
    assert operator.post("/silences/add/", in_form(host)).status_code == 302
    window = Silence.objects.get()
    html = page(viewer, "/silences/")
    assert "new disks" in html
    assert "End now" not in html
    assert viewer.get("/silences/add/").status_code == 403
    path = f"/silences/{window.pk}/edit/"
    assert 'value="new disks"' in page(operator, path)
    assert operator.post(path, in_form(host, kind="port")).status_code == 302
    assert operator.post(f"/silences/{window.pk}/end/").status_code == 302
    assert "No maintenance window" in page(operator, "/silences/")
    assert f'id="silence-{window.pk}"' in page(operator, "/silences/?state=over")
    acts = AuditEntry.objects.filter(action__startswith="silence.").order_by("pk")
    assert [act.action for act in acts] == ["silence.add", "silence.change", "silence.end"]


def test_a_form_keeps_what_was_typed_and_says_what_is_wrong(host: Host, operator: Client) -> None:
    response = operator.post("/silences/add/", in_form(host, hours=-2))
    html = response.content.decode()
    assert response.status_code == 400
    assert 'id="id_ends_at_error"' in html
    assert 'value="new disks"' in html
    assert not Silence.objects.exists()


def test_windows_outside_ones_groups_are_absent(limited: Client, host: Host, page: Page) -> None:
    now = timezone.now()
    hidden = Host.objects.get(name="db9")
    vault = HostGroup.objects.get(name="vault")
    usual = {"starts_at": now, "ends_at": now + HOUR}
    mine = Silence.objects.create(host=host, reason="mine", **usual)
    others = [
        Silence.objects.create(host=hidden, reason="others", **usual),
        Silence.objects.create(group=vault, reason="others", **usual),
        Silence.objects.create(host=host, group=vault, reason="others", **usual),
        Silence.objects.create(reason="others", **usual),
    ]
    for path in ("/silences/", "/silences/?state=all", "/activity/", "/silences/add/"):
        html = page(limited, path)
        assert "others" not in html
        assert "db9" not in html
        assert "vault" not in html
    assert "1 window" in page(limited, "/silences/")
    for window in others:
        assert limited.get(f"/silences/{window.pk}/edit/").status_code == 404
        assert limited.post(f"/silences/{window.pk}/end/").status_code == 404
        assert limited.get(f"/api/v1/silences/{window.pk}").status_code == 404
    assert limited.get(f"/silences/{mine.pk}/edit/").status_code == 200
    assert limited.get("/silences/", {"group": "vault"}).status_code == 400
    for fields in (in_form(hidden), in_form(None), in_form(None, group=vault.pk)):
        assert limited.post("/silences/add/", fields).status_code == 400
    assert limited.post("/silences/add/", in_form(host)).status_code == 302
    assert Silence.objects.filter(created_by="lars").count() == 1


@pytest.fixture
def feed(host: Host) -> Alert:
    """One of each kind of entry on web1."""
    now = timezone.now()
    down = lifecycle.Raise(kind=AlertKind.PORT, fingerprint="port_down:tcp/80", subject="tcp/80")
    (change,) = lifecycle.record(
        [
            lifecycle.Transition(
                kind=Change.Kind.PORT_DOWN,
                host_id=host.pk,
                at=now - 5 * HOUR,
                protocol="tcp",
                port=80,
                program="nginx",
                raises=down,
            )
        ]
    )
    alert = Alert.objects.get(pk=change.alert_id)
    alert.acknowledged_at, alert.acknowledged_by = now - 4 * HOUR, "ann"
    alert.save()
    usual = {"starts_at": now, "ends_at": now + HOUR, "host": host, "created_by": "ann"}
    Silence.objects.create(fingerprint=alert.fingerprint, **usual)
    Silence.objects.create(rule=Rule.objects.first(), reason="disks", **usual)
    service = Service.objects.create(name="shop", host=host, port=80)
    Restart.objects.create(
        service=service, host=host, state="recovered", by="ben", planned_at=now - 3 * HOUR
    )
    source = Source.objects.create(
        name="netbox", kind="netbox", location="x", group=HostGroup.objects.create(name="all")
    )
    SyncRun.objects.create(source=source, state="done", added=3, started_at=now - 2 * HOUR)
    return alert


ENTRIES = {
    "change": "Port tcp/80 (nginx) is down",
    "acknowledged": "Acknowledged: ",
    "snooze": "Snoozed until ",
    "window": "Maintenance window until ",
    "restart": "Restart of shop: Recovered",
}


def test_the_feed_has_everything_newest_first(
    feed: Alert, host: Host, viewer: Client, admin: Client, page: Page
) -> None:
    html = page(viewer, "/activity/")
    places = [html.index(words) for words in ENTRIES.values()]
    assert places[0] > places[1] > places[4], "the oldest at the bottom"
    assert min(places) in (places[2], places[3])
    assert "Hosts of netbox" not in html
    assert "Hosts of netbox: Done" in page(admin, "/activity/")
    for kind, words in ENTRIES.items():
        html = page(viewer, f"/activity/?kind={kind}")
        assert words in html
        assert not [other for other in ENTRIES.values() if other != words and other in html]
    assert "shop" not in page(viewer, "/activity/?person=ann")
    assert "shop" in page(viewer, f"/activity/?person=ben&host={host.pk}")
    assert "Nothing matches" in page(viewer, "/activity/?until=2020-01-01T00:00")
    assert "Nothing matches" in page(viewer, "/activity/?kind=sync"), "for administrators alone"
    for wrong in ("kind=odd", "host=987654321", "group=none", "since=x", "cursor=x", "zzz=1"):
        assert f"<code>{wrong.partition('=')[0]}</code>" in page(
            viewer, f"/activity/?{wrong}", status=400
        )


def test_a_snooze_is_told_in_the_words_of_its_alert(
    feed: Alert, host: Host, viewer: Client, page: Page
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(viewer, "/activity/?kind=snooze")
        return len(captured)

    before = asked()
    now = timezone.now()
    usual = {"host": host, "starts_at": now, "ends_at": now + HOUR}
    for state in ("unreachable", "stale"):
        mark = f"probe:{state}"
        facts = {"event": "trouble", "metric": state}
        for begun in (3, 2):
            lifecycle.resolve(host.pk, mark, at=now)
            Alert.objects.create(
                kind="probe", fingerprint=mark, subject="x", host=host, facts=facts,
                opened_at=now - begun * HOUR, newest_at=now,
            )  # fmt: skip
        Silence.objects.create(fingerprint=mark, kind="probe", **usual)
    Silence.objects.create(fingerprint="peer:7:wget:192.0.2.0/24", kind="peer", **usual)
    Silence.objects.create(fingerprint="hunt:7", **usual)
    html = page(viewer, "/activity/?kind=snooze")
    for words in (
        ": Port tcp/80 is down",
        ": The host is not reached",
        ": No probe for too long",
        ": New peer",
        ": an alert that is gone",
    ):
        assert html.count(words) == 1
    for mark in ("probe:", "peer:7", "hunt:7", "port_down:"):
        assert mark not in html
    assert asked() == before


def test_the_feed_of_others_is_absent(limited: Client, feed: Alert, host: Host, page: Page) -> None:
    assert "Port tcp/80 (nginx) is down" in page(limited, "/activity/")
    hidden = Host.objects.get(name="db9")
    for model in (Change, Alert, Restart, Silence):
        model.objects.all().update(host=hidden)
    for path in ("/activity/", "/activity/?kind=change", "/", "/alerts/"):
        html = page(limited, path)
        assert not [words for words in ENTRIES.values() if words in html]
        assert "db9" not in html
    data = limited.get("/api/v1/activity").json()["data"]
    assert data["activity"] == []


def test_the_feed_comes_a_page_at_a_time_with_equal_times(
    host: Host, feed: Alert, admin: Client, page: Page
) -> None:
    now = timezone.now() - 9 * HOUR
    Change.objects.bulk_create(
        Change(host=host, kind="port_new", port=n, protocol="tcp", at=now - n // 7 * HOUR)
        for n in range(1, 131)
    )
    Alert.objects.update(acknowledged_at=now)
    seen: list[str] = []
    query, pages = "", 0
    while True:
        html = page(admin, f"/activity/{query}")
        seen += re.findall(r"New port tcp/(\d+)<", html)
        pages += 1
        following = re.findall(r'href="(\?[^"]*cursor=[^"]+)" rel="next"', html)
        if not following:
            break
        query = following[0].replace("&amp;", "&")
    assert sorted(map(int, seen)) == list(range(1, 131))
    assert pages == 3
    csv = admin.get("/api/v1/activity", {"format": "csv"}).getvalue().decode()
    assert csv.count("New port tcp/") == 130
    assert len(csv.splitlines()) == 130 + 6 + 1


def test_only_the_list_is_asked_for_again_while_the_page_is_seen(
    feed: Alert, viewer: Client
) -> None:
    html = viewer.get("/activity/", headers={"HX-Request": "true"}).content.decode()
    assert "Port tcp/80" in html
    assert "<html" not in html
    assert "data-live" not in html
