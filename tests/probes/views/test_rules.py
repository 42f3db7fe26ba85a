"""The pages and JSON routes of thresholds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.models import Rule, RuleOverride, RuleState, Snapshot
from probes.observation import Code
from probes.watch import measures, rule_book
from tests.people import browser_of, person
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    measures.forget()


@pytest.fixture
def inside() -> HostGroup:
    return HostGroup.objects.create(name="inside")


@pytest.fixture
def web(inside: HostGroup) -> Host:
    host = Host.objects.create(name="web1", address="192.0.2.1")
    host.groups.add(inside)
    return host


@pytest.fixture
def admin() -> Client:
    return browser_of(person("ada", Role.ADMIN))


@pytest.fixture
def limited(inside: HostGroup) -> Client:
    """An administrator of one group only."""
    return browser_of(person("lin", Role.ADMIN, groups=[inside]))


def established() -> Rule:
    return Rule.objects.get(name="ESTABLISHED")


def typed(**fields: Any) -> dict[str, Any]:
    """The form of ESTABLISHED as a browser sends it."""
    values = {
        "name": "ESTABLISHED", "state": "ESTABLISHED", "threshold": "200", "clear_at": "",
        "probes": "2", "severity": "warning", "advice": "", "enabled": "on",
    }  # fmt: skip
    return values | fields


def counted(host: Host, minutes_ago: float, number: int, **fields: Any) -> Snapshot:
    """A whole snapshot with so many connections."""
    return Snapshot.objects.create(
        host=host,
        taken_at=timezone.now() - dt.timedelta(minutes=minutes_ago),
        **({"outcome": "ok", "by_state": {"ESTABLISHED": number}} | fields),
    )


def test_every_seeded_rule_is_said_in_a_sentence(admin: Client) -> None:
    text = admin.get(reverse("rules")).content.decode()
    assert "More than 200 connections in ESTABLISHED, at 2 probes in a row. Over at 180 or" in text
    assert "No probe for more than 5 of the host&#x27;s intervals." in text
    assert Rule.objects.count() == 14
    for rule in Rule.objects.all():
        assert rule.name in text


def test_the_page_names_the_hosts_above_a_rule_that_the_reader_may_see(
    web: Host, limited: Client
) -> None:
    hidden = Host.objects.create(name="secret9", address="192.0.2.9")
    for host in (web, hidden):
        RuleState.objects.create(
            host=host, rule=established(), raised=True, value=300, since=timezone.now()
        )
        RuleOverride.objects.create(rule=established(), host=host, threshold=250)
    text = limited.get(reverse("rules")).content.decode()
    assert "web1" in text
    assert "1 host" in text
    assert "secret9" not in text


def test_a_rule_is_changed_and_recorded(admin: Client) -> None:
    address = reverse("rule_edit", args=[established().pk])
    assert admin.post(address, typed(threshold="333", clear_at="300")).status_code == 302
    rule = established()
    assert (rule.threshold, rule.clear_at) == (333, 300)
    entry = AuditEntry.objects.get(action="rule.change")
    assert entry.detail == {"threshold": [200, 333], "clear_at": [None, 300]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", "-1"),
        ("threshold", "nan"),
        ("clear_at", "201"),
        ("probes", "0"),
        ("severity", "loud"),
        ("state", "DREAMING"),
        ("name", "SYN_RECV"),
        ("name", ""),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(admin: Client, field: str, value: str) -> None:
    answer = admin.post(reverse("rule_edit", args=[established().pk]), typed(**{field: value}))
    assert answer.status_code == 400
    assert answer.context["form"].errors.keys() == {field}
    assert answer.context["form"].data[field] == value
    assert established().threshold == 200


def test_a_rule_of_each_metric_can_be_added(admin: Client) -> None:
    Rule.objects.all().delete()
    every = typed(of_state="SYN_RECV", ports="22 443", at_least="5", within_minutes="7")
    chosen = admin.get(reverse("rule_add")).context["offered"]
    assert len(chosen) == 13
    for metric, _label, _about in chosen:
        answer = admin.post(f"{reverse('rule_add')}?metric={metric}", every | {"name": metric})
        assert answer.status_code == 302, (metric, answer.context["form"].errors)
    assert Rule.objects.get(metric="port").ports == "22, 443"
    assert Rule.objects.get(metric="unreachable").threshold == 0
    # Trouble with probes has one rule each.
    assert {name for name, _label, _about in admin.get(reverse("rule_add")).context["offered"]} == {
        *("state", "sockets", "listeners", "port", "remote_ip", "ratio", "rise"),
    }


def test_an_administrator_of_some_groups_changes_no_rule_but_what_is_other_for_those(
    web: Host, inside: HostGroup, limited: Client
) -> None:
    rule = established()
    assert limited.post(reverse("rule_edit", args=[rule.pk]), typed()).status_code == 403
    address = reverse("rule_override_add", args=[rule.pk])
    data = {"enabled": "", "threshold": "900", "clear_at": "", "probes": "", "severity": ""}
    assert limited.post(f"{address}?group={inside.pk}", data).status_code == 302
    assert limited.post(f"{address}?host={web.pk}", data | {"enabled": "off"}).status_code == 302
    hidden = Host.objects.create(name="secret9", address="192.0.2.9")
    assert limited.post(f"{address}?host={hidden.pk}", data).status_code == 400
    rows = RuleOverride.objects.filter(rule=rule)
    assert {(row.host, row.group, row.threshold, row.enabled) for row in rows} == {
        (None, inside, 900.0, None),
        (web, None, 900.0, False),
    }
    assert "secret9" not in limited.get(address).content.decode()
    own = rows.get(host=web)
    assert limited.post(reverse("rule_override_remove", args=[own.pk])).status_code == 302
    other = RuleOverride.objects.create(rule=rule, host=hidden, threshold=1)
    assert limited.post(reverse("rule_override_remove", args=[other.pk])).status_code == 404
    assert AuditEntry.objects.filter(action__startswith="rule.override").count() == 3


def test_an_override_has_to_say_something(web: Host, admin: Client) -> None:
    address = f"{reverse('rule_override_add', args=[established().pk])}?host={web.pk}"
    assert admin.post(address, {}).context["form"].errors.keys() == {"threshold"}


def test_the_preview_tells_what_it_would_have_raised_and_saves_nothing(
    web: Host, admin: Client
) -> None:
    for minute, number in enumerate((10, 60, 70, 80, 50, 45, 44, 10)):
        counted(web, 60 - minute, number)
    counted(web, 26 * 60, 1_000)
    address = reverse("rule_edit", args=[established().pk])
    answer = admin.post(address, typed(threshold="50", preview="1"))
    found = answer.context["preview"]["found"]
    assert found.probes == 8
    (would,) = found.alerts
    assert (would.host, would.value) == ("web1", 80)
    assert (would.until - would.at) == pytest.approx(
        dt.timedelta(minutes=3), abs=dt.timedelta(seconds=9)
    )
    assert established().threshold == 200
    assert "It would have opened 1 alert" in answer.content.decode()
    RuleOverride.objects.create(rule=established(), host=web, threshold=500)
    answer = admin.post(address, typed(threshold="50", preview="1"))
    assert answer.context["preview"]["found"].alerts == []


def test_the_preview_of_trouble_and_of_a_rise(web: Host, admin: Client) -> None:
    for minute in range(4):
        fleet.failed(web, 300 - 60 * minute, Code.UNREACHABLE)
    rule = Rule.objects.get(metric="unreachable")
    answer = admin.post(
        reverse("rule_edit", args=[rule.pk]),
        {"name": rule.name, "probes": "3", "severity": "critical", "preview": "1"},
    )
    (would,) = answer.context["preview"]["found"].alerts
    assert would.until is None
    for minute in range(30):
        counted(web, 100 - minute, 100 if minute < 20 else 250)
    rise = Rule.objects.get(metric="rise")
    described = {
        name: "" if value is None else value for name, value in rule_book.described(rise).items()
    }
    answer = admin.post(
        reverse("rule_edit", args=[rise.pk]), described | {"probes": "1", "preview": "1"}
    )
    assert len(answer.context["preview"]["found"].alerts) == 1


def test_removing_a_rule_takes_its_streaks_with_it(web: Host, admin: Client) -> None:
    RuleState.objects.create(host=web, rule=established(), since=timezone.now())
    assert admin.post(reverse("rule_remove", args=[established().pk])).status_code == 302
    assert not Rule.objects.filter(name="ESTABLISHED").exists()
    assert not RuleState.objects.exists()
    assert AuditEntry.objects.filter(action="rule.remove").exists()


# --- JSON ---------------------------------------------------------------------------------------


def test_rules_and_overrides_over_json(web: Host, admin: Client) -> None:
    made = admin.post(
        "/api/v1/rules",
        {"name": "many", "metric": "sockets", "threshold": 9_000},
        content_type="application/json",
    )
    assert made.status_code == 201
    rule = made.json()["data"]["rule"]
    assert (rule["threshold"], rule["state"], rule["probes"]) == (9_000, None, 2)
    path = f"/api/v1/rules/{rule['id']}"
    assert made["Location"] == path
    changed = admin.patch(path, {"enabled": False}, content_type="application/json").json()
    assert changed["data"]["rule"]["enabled"] is False
    wrong = admin.patch(path, {"clear_at": 9_001}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "clear_at")
    said = admin.post(
        f"{path}/overrides", {"host": web.pk, "threshold": 5}, content_type="application/json"
    )
    assert said.json()["data"]["override"]["host"] == {"id": web.pk, "name": "web1"}
    one = said["Location"]
    both = {"host": web.pk, "group": "inside", "threshold": 5}
    refused = admin.post(f"{path}/overrides", both, content_type="application/json")
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "host")
    admin.patch(one, {"severity": "critical"}, content_type="application/json")
    (row,) = admin.get(f"{path}/overrides").json()["data"]["overrides"]
    assert (row["threshold"], row["severity"]) == (5, "critical")
    assert admin.delete(one).status_code == 200
    assert admin.delete(path).status_code == 200
    assert admin.get(path).status_code == 404
    listed = admin.get("/api/v1/rules", {"limit": 3}).json()["data"]
    assert (listed["total"], len(listed["rules"])) == (14, 3)
    assert admin.get("/api/v1/rules", {"format": "csv"}).getvalue().count(b"\r\n") == 15


def test_an_administrator_of_some_groups_changes_no_rule_over_json(limited: Client) -> None:
    path = f"/api/v1/rules/{established().pk}"
    assert limited.delete(path).status_code == 403
    assert limited.patch(path, {"probes": 9}, content_type="application/json").status_code == 403
