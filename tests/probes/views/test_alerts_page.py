"""The pages of saved hunts and their alerts: who may change and see what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.hunts import alert_mail
from probes.hunts import running as hunting
from probes.models import Alert, AlertKind, Change, Channel, Delivery, Hunt
from probes.watch import lifecycle
from tests.people import browser_of, person
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db

FORM = {"name": "botnet", "indicators": "203.0.113.9", "mail_to": "", "enabled": "on"}


@pytest.fixture
def owner(db: None) -> User:
    return person("olga", Role.OPERATOR)


@pytest.fixture
def alert(host: Host, owner: User) -> Alert:
    """web1 talks to 203.0.113.9."""
    long_ago = timezone.now() - dt.timedelta(hours=1)
    Hunt.objects.create(name="botnet", owner=owner, indicators="203.0.113.9", checked_at=long_ago)
    hunting.run()
    return Alert.objects.get()


def test_an_operator_saves_changes_and_removes_a_hunt(operator: Client, page: Page) -> None:
    assert "No saved hunt yet" in page(operator, "/hunts/")
    assert operator.post("/hunts/add/", FORM).status_code == 302
    hunt = Hunt.objects.get()
    assert hunt.checked_at is not None
    assert "botnet" in page(operator, "/hunts/")
    changed = FORM | {"indicators": "port 4444", "mail_to": "a@example.org\nb@example.org"}
    assert operator.post(f"/hunts/{hunt.pk}/edit/", changed).status_code == 302
    hunt.refresh_from_db()
    assert (hunt.indicators, hunt.mail_to) == ("port 4444", "a@example.org\nb@example.org")
    assert "port 4444" in page(operator, f"/hunts/{hunt.pk}/edit/")
    assert operator.post(f"/hunts/{hunt.pk}/remove/").status_code == 302
    assert not Hunt.objects.exists()
    acts = AuditEntry.objects.filter(action__startswith="hunt.").order_by("pk")
    assert [entry.action for entry in acts] == ["hunt.add", "hunt.change", "hunt.remove"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "x" * 101), ("name", "a\nb"), ("indicators", ""),
     ("indicators", "evil.example"), ("indicators", "# nothing"), ("mail_to", "no address"),
     ("mail_to", "a@example.org\r\nBcc: x@example.org"),
     ("mail_to", "\n".join(f"a{n}@example.org" for n in range(21)))],
)  # fmt: skip
def test_what_does_not_fit_is_said_and_not_saved(operator: Client, field: str, value: str) -> None:
    response = operator.post("/hunts/add/", FORM | {field: value})
    assert response.status_code == 400
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not Hunt.objects.exists()


def test_two_hunts_have_no_one_name(operator: Client) -> None:
    operator.post("/hunts/add/", FORM)
    response = operator.post("/hunts/add/", FORM)
    assert "exists already" in response.content.decode()


def test_only_the_owner_and_administrators_of_all_hosts_change_it(
    alert: Alert, admin: Client, operator: Client, page: Page
) -> None:
    path = f"/hunts/{alert.hunt_id}/edit/"
    group = HostGroup.objects.create(name="inside")
    limited = browser_of(person("lisa", Role.ADMIN, groups=[group]))
    for other in (operator, limited):
        assert other.get(path).status_code == 403
        assert other.post(path, FORM).status_code == 403
        assert other.post(f"/hunts/{alert.hunt_id}/remove/").status_code == 403
        assert "botnet" in page(other, "/hunts/")
    assert admin.get(path).status_code == 200
    assert operator.get("/hunts/987654321/edit/").status_code == 404


def test_a_hunt_without_an_owner_who_sees_anything_rests(
    alert: Alert, owner: User, viewer: Client, page: Page
) -> None:
    assert "Rests" not in page(viewer, "/hunts/")
    owner.is_active = False
    owner.save()
    assert "its owner may see no host any more" in page(viewer, "/hunts/")


def test_an_alert_shows_its_rows_with_that_very_time(
    alert: Alert, viewer: Client, page: Page
) -> None:
    assert f'href="/alerts/{alert.pk}/"' in page(viewer, "/alerts/")
    html = page(viewer, f"/alerts/{alert.pk}/")
    first = alert.evidence[0]["first_seen"].replace("+00:00", "Z").replace(":", "%3A")
    assert "botnet" in html
    assert f'href="/hosts/{alert.host_id}/?at={first}"' in html
    assert 'href="/hunt/?ip=203.0.113.9"' in html
    assert f'action="/alerts/{alert.pk}/acknowledge/"' not in html, "that is for operators"
    assert '<span class="na-badge"' in page(viewer, "/")
    assert "Open alerts" in page(viewer, "/")


def test_an_operator_acknowledges_it_once(alert: Alert, operator: Client, page: Page) -> None:
    path = f"/alerts/{alert.pk}/acknowledge/"
    response = operator.post(path, {"next": "/alerts/?state=open"})
    assert response["Location"] == "/alerts/?state=open"
    assert operator.post(path, {"next": "//evil.example/"})["Location"] == "/alerts/"
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.acknowledged_at is None) == ("operator", False)
    assert AuditEntry.objects.filter(action="alert.acknowledge").count() == 1
    assert '<span class="na-badge"' not in page(operator, "/")
    assert "Nothing is wrong" in page(operator, "/alerts/"), "what is over is not active"
    assert "acknowledged by operator" in page(operator, "/alerts/?state=resolved")
    assert "acknowledged by operator" in page(operator, f"/alerts/{alert.pk}/")


def test_filters_narrow_the_list(alert: Alert, host: Host, viewer: Client, page: Page) -> None:
    HostGroup.objects.create(name="web").hosts.add(host)
    for query, found in (
        ("state=open", True), ("state=acknowledged", False), (f"hunt={alert.hunt_id}", True),
        ("hunt=987654321", False), (f"host={host.pk}", True), ("group=web", True),
        ("kind=hunt", True), ("kind=port", False), ("severity=warning", True), ("port=80", False),
        ("severity=critical", False), ("q=203.0.113.9", True), ("q=BOTNET", True), ("q=%25", False),
        ("q=nginx&sort=severity", True), ("state=all", True), ("state=resolved", False),
        ("state=silenced", False), ("until=2020-01-01T00:00", False), ("rule=987654321", False),
        ("since=2020-01-01T00:00&sort=host", True), ("state=active&sort=oldest", True),
    ):  # fmt: skip
        html = page(viewer, f"/alerts/?{query}")
        assert (f'id="alert-{alert.pk}"' in html) == found, query
    for query in (
        "state=odd",
        "severity=x",
        "port=0",
        "sort=x",
        "until=x",
        "hunt=x",
        "zzz=1",
        "cursor=x",
        "host=987654321",
        "group=none",
    ):
        html = page(viewer, f"/alerts/?{query}", status=400)
        assert f"<code>{query.partition('=')[0]}</code>" in html


def test_alerts_come_a_page_at_a_time(alert: Alert, viewer: Client, page: Page) -> None:
    import re

    now = timezone.now()
    fields: dict[str, Any] = {"kind": "hunt", "subject": "old", "acknowledged_at": now}
    fields |= {"resolved_at": now}
    Alert.objects.bulk_create(
        Alert(host=alert.host, opened_at=now, newest_at=now - dt.timedelta(days=n // 3), **fields)
        for n in range(70)
    )
    for sort in ("newest", "opened", "oldest", "severity", "host"):
        seen: list[str] = []
        query = f"?state=all&sort={sort}"
        while True:
            html = page(viewer, f"/alerts/{query}")
            seen += re.findall(r'id="alert-(\d+)"', html)
            following = re.findall(r'href="(\?[^"]*cursor=[^"]+)" rel="next"', html)
            if not following:
                break
            query = following[0].replace("&amp;", "&")
        assert len(seen) == len(set(seen)) == 71, sort


def test_without_a_mail_server_the_pages_say_so_and_how_to_set_one(
    alert: Alert, owner: User, page: Page, settings: Any
) -> None:
    Hunt.objects.update(mail_to="soc@example.org")
    Alert.objects.update(mail_after=timezone.now())
    browser = browser_of(owner)
    for path in ("/hunts/", "/hunts/add/", "/alerts/"):
        assert "No mail server is set." not in page(browser, path)
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    for path in ("/hunts/", "/hunts/add/", "/alerts/"):
        html = page(browser, path)
        assert "No mail server is set." in html
        assert "EMAIL_URL=smtp+tls://" in html
    assert "not mailed: no mail server is set" in html
    Hunt.objects.update(mail_to="")
    assert "No mail server is set." not in page(browser, "/hunts/"), "nothing is mailed"


def test_an_alert_that_could_not_be_mailed_says_so(alert: Alert, page: Page, owner: User) -> None:
    Alert.objects.update(mail_tries=1, mail_after=timezone.now())
    assert "not mailed to all yet" in page(browser_of(owner), "/alerts/")
    Alert.objects.update(mail_tries=alert_mail.TRIES, mail_after=None)
    assert "the mail server refused it or was out of reach" in page(browser_of(owner), "/alerts/")


def test_alerts_outside_ones_groups_are_absent_and_uncounted(
    alert: Alert, host: Host, page: Page
) -> None:
    group = HostGroup.objects.create(name="inside")
    other = Host.objects.create(name="web2", address="192.0.2.2")
    other.groups.add(group)
    limited = browser_of(person("lars", Role.OPERATOR, groups=[group]))
    for path in ("/", "/alerts/", "/hunts/", "/search/?q=botnet"):
        html = page(limited, path)
        assert '<span class="na-badge"' not in html
        assert f'id="alert-{alert.pk}"' not in html
        assert "web1" not in html
    for act in ("acknowledge", "end", "snooze"):
        assert limited.post(f"/alerts/{alert.pk}/{act}/", {"hours": "1"}).status_code == 404
    assert limited.get(f"/alerts/{alert.pk}/").status_code == 404
    limited.post("/alerts/acknowledge/", {"alert": [alert.pk]})
    alert.refresh_from_db()
    assert alert.acknowledged_at is None
    fleet.seen(other, 1, fleet.NEW_PEER)
    Hunt.objects.update(checked_at=timezone.now() - dt.timedelta(hours=1))
    hunting.run()
    assert '<span class="na-badge" title="open alerts">1</span>' in page(limited, "/alerts/")


def test_several_are_acknowledged_with_a_note(
    alert: Alert, host: Host, operator: Client, page: Page
) -> None:
    now = timezone.now()
    fields: dict[str, Any] = {"kind": "port", "subject": "tcp/80", "opened_at": now}
    ports = [
        Alert.objects.create(host=host, fingerprint=f"p{n}", newest_at=now, **fields)
        for n in range(2)
    ]
    ticked = [alert.pk, ports[0].pk, "x", "9" * 30]
    response = operator.post(
        "/alerts/acknowledge/", {"alert": ticked, "note": "new disks", "next": "/alerts/"}
    )
    assert response["Location"] == "/alerts/"
    html = page(operator, "/alerts/")
    assert "2 alerts were acknowledged." in html
    assert "acknowledged by operator" in html
    known = Alert.objects.filter(acknowledged_by="operator")
    assert set(known.values_list("pk", flat=True)) == {alert.pk, ports[0].pk}
    notes = AuditEntry.objects.filter(action="alert.acknowledge", detail__note="new disks")
    assert notes.count() == 2
    operator.post("/alerts/acknowledge/", {})
    assert "Tick the alerts" in page(operator, "/alerts/")


def test_an_alert_is_snoozed_for_some_hours_or_until_a_time(
    alert: Alert, operator: Client, page: Page
) -> None:
    path = f"/alerts/{alert.pk}/snooze/"
    assert operator.post(path, {"hours": "8"}).status_code == 302
    html = page(operator, f"/alerts/{alert.pk}/")
    assert "Silenced until" in html
    assert "silenced until" in page(operator, "/alerts/?state=silenced")
    until = timezone.now() + dt.timedelta(days=3)
    assert operator.post(path, {"until": f"{until:%Y-%m-%dT%H:%M}"}).status_code == 302
    for wrong in ({}, {"hours": "2"}, {"until": "2020-01-01T00:00"}, {"until": "odd"}):
        response = operator.post(path, wrong)
        assert response.status_code == 400
        assert 'role="alert"' in response.content.decode()


def test_the_page_of_an_alert_says_what_shows_it_and_who_was_told(
    host: Host, viewer: Client, page: Page, django_assert_max_num_queries: Any
) -> None:
    facts = {
        "metric": "state", "state": "SYN_RECV", "value": 400, "threshold": 50, "clear_at": 45,
        "probes": 2, "before": {"value": 3}, "top_ips": [["203.0.113.9", 300], ["odd"]],
        "top_programs": [["<b>nc</b>", 2]], "group": "a group of others",
    }  # fmt: skip
    raised = lifecycle.Raise(
        kind=AlertKind.RULE, fingerprint="rule:1", subject="SYN_RECV", facts=facts
    )
    (change,) = lifecycle.record(
        [
            lifecycle.Transition(
                kind=Change.Kind.RAISED,
                host_id=host.pk,
                at=timezone.now(),
                detail=facts,
                raises=raised,
            )
        ]
    )
    channel = Channel.objects.create(
        name="Team chat", kind="email", recipients="secret@example.org", address_shown="x.example"
    )
    Delivery.objects.create(channel=channel, kind="alerts", state="sent").changes.add(change)
    with django_assert_max_num_queries(9):  # signed in: 5; alert, windows, changes, deliveries
        html = page(viewer, f"/alerts/{change.alert_id}/")
    assert "400 in SYN_RECV, the threshold is 50" in html
    assert "3 → 400" in html
    assert "remote_ip=203.0.113.9" in html, "a pivot to its rows at that time"
    assert "&lt;b&gt;nc&lt;/b&gt;" in html
    assert "Team chat" in html
    assert "secret@example.org" not in html
    assert "x.example" not in html
    assert "a group of others" not in html
    assert (
        "a group of others" not in viewer.get(f"/api/v1/alerts/{change.alert_id}").content.decode()
    )
    marks = page(viewer, f"/hosts/{host.pk}/")
    assert "Alert: SYN_RECV" in marks, "a mark on the timeline"
    assert f'href="/alerts/{change.alert_id}/"' in marks, "and in the head of the page"
    assert 'title="active alerts"' in page(viewer, "/")
