"""Alerts, maintenance windows and the activity as scripts have them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from probes.models import Alert, AlertKind, Change, Silence
from probes.watch import lifecycle
from tests.probes.api.site import Site, error_of

ALERTS, SILENCES = "/api/v1/alerts", "/api/v1/silences"


@pytest.fixture
def port_down(site: Site) -> Alert:
    """A port of the host is down, critically."""
    raised = lifecycle.Raise(
        kind=AlertKind.PORT,
        fingerprint="port_down:tcp/443",
        subject="tcp/443 nginx",
        severity="critical",
        facts={"protocol": "tcp", "port": 443, "programs": ["nginx"], "group": "others"},
    )
    (change,) = lifecycle.record(
        [
            lifecycle.Transition(
                kind=Change.Kind.PORT_DOWN,
                host_id=site.host.pk,
                at=timezone.now(),
                raises=raised,
            )
        ]
    )
    return Alert.objects.get(pk=change.alert_id)


def test_an_alert_tells_what_is_wrong_in_words_and_facts(site: Site, port_down: Alert) -> None:
    data = site.session("viewer").get(f"{ALERTS}/{port_down.pk}")
    alert = data["alert"]
    assert alert["title"] == "Port tcp/443 (nginx) is down"
    assert (alert["state"], alert["severity"], alert["silenced"]) == ("active", "critical", False)
    assert alert["facts"] == {
        "event": "port_down", "protocol": "tcp", "port": 443, "programs": ["nginx"]
    }, "a group's name is nobody's who does not see the group"  # fmt: skip
    assert [change["turn"] for change in data["changes"]] == ["opened"]
    assert data["deliveries"] == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 3), ({"state": "all"}, 3), ({"state": "active"}, 3), ({"state": "resolved"}, 0),
        ({"kind": "port"}, 1), ({"severity": "critical"}, 1), ({"port": 443}, 1), ({"port": 44}, 0),
        ({"q": "NGINX"}, 1), ({"q": "botnet"}, 2), ({"until": "2000-01-01"}, 0),
        ({"group": "inside"}, 2), ({"since": "2000-01-01", "sort": "severity"}, 3),
    ],
)  # fmt: skip
def test_filters_narrow_the_list(
    site: Site, port_down: Alert, query: dict[str, Any], found: int
) -> None:
    caller = site.session("viewer")
    assert caller.get(ALERTS, **query)["total"] == found
    assert len(caller.csv(ALERTS, **query).splitlines()) == found + 1


def test_the_worst_come_first_where_that_is_asked(site: Site, port_down: Alert) -> None:
    first, *_others = site.session("viewer").get(ALERTS, sort="severity")["alerts"]
    assert first["id"] == port_down.pk


def test_an_alert_is_snoozed_and_what_does_not_fit_is_named(site: Site, port_down: Alert) -> None:
    caller, path = site.session("operator"), f"{ALERTS}/{port_down.pk}/snooze"
    answer = caller.call("POST", path, {"minutes": 60, "reason": "known"})
    silence = json.loads(answer.content)["data"]["silence"]
    assert (silence["fingerprint"], silence["state"]) == ("port_down:tcp/443", "running")
    assert caller.get(ALERTS, state="silenced")["total"] == 1
    until = (timezone.now() + dt.timedelta(hours=3)).isoformat()
    assert caller.call("POST", path, {"until": until}).status_code == 200
    assert Silence.objects.count() == 1
    for body, field in (
        ({}, "until"), ({"until": "odd"}, "until"), ({"until": "2000-01-01"}, "until"),
        ({"minutes": 0}, "minutes"), ({"minutes": 5, "until": until}, "until"),
        ({"minutes": 5, "reason": "x" * 201}, "reason"),
    ):  # fmt: skip
        assert error_of(caller.call("POST", path, body), 400)["field"] == field


def test_a_note_is_kept_and_may_not_be_long(site: Site, port_down: Alert) -> None:
    caller, path = site.session("operator"), f"{ALERTS}/{port_down.pk}/acknowledge"
    assert error_of(caller.call("POST", f"{path}?note={'x' * 501}"), 400)["field"] == "note"
    known = json.loads(caller.call("POST", f"{path}?note=disks").content)["data"]["alert"]
    assert (known["state"], known["acknowledged_by"]) == ("acknowledged", "otto")


@pytest.mark.parametrize(
    ("field", "value"),
    [("ends_at", "odd"), ("ends_at", "2000-01-01"), ("ends_at", None), ("starts_at", "odd"),
     ("host", 987654321), ("group", 987654321), ("rule", 987654321), ("kind", "odd"),
     ("reason", "x" * 201), ("fingerprint", "x"), ("host", "1")],
)  # fmt: skip
def test_a_field_of_a_window_that_does_not_fit_is_named(site: Site, field: str, value: Any) -> None:
    body = {"host": site.host.pk, "ends_at": (timezone.now() + dt.timedelta(1)).isoformat()}
    answer = site.session("operator").call("POST", SILENCES, body | {field: value})
    assert error_of(answer, 400)["field"] == field
    assert not Silence.objects.exists()


def test_a_window_lives_and_ends(site: Site) -> None:
    caller = site.session("operator")
    until = (timezone.now() + dt.timedelta(hours=1)).isoformat()
    answer = caller.call("POST", SILENCES, {"group": site.group.pk, "ends_at": until})
    assert answer.status_code == 201
    path = answer["Location"]
    changed = caller.call("PATCH", path, {"reason": "disks", "kind": "port", "group": None})
    data = json.loads(changed.content)["data"]["silence"]
    assert (data["reason"], data["kind"], data["group"]) == ("disks", "port", None)
    assert caller.get(SILENCES, state="running")["total"] == 1
    assert site.session("limited viewer").get(SILENCES)["total"] == 0, "the whole site is not its"
    caller = site.session("operator")
    assert json.loads(caller.call("DELETE", path).content)["data"]["silence"]["state"] == "over"
    assert caller.get(SILENCES, state="current")["total"] == 0
    assert error_of(caller.call("PATCH", path, {"reason": "x"}), 400)["field"] == "ends_at"


def test_the_activity_of_others_is_absent(site: Site, port_down: Alert) -> None:
    caller = site.session("limited viewer")
    rows = caller.get("/api/v1/activity")["activity"]
    assert [(row["kind"], row["alert"], row["host"]["name"]) for row in rows] == [
        ("change", port_down.pk, "web1")
    ]
    Change.objects.update(host=site.hidden)
    assert caller.get("/api/v1/activity")["activity"] == []
    assert "web1" not in caller.csv("/api/v1/activity")
    assert caller.refused(404, "/api/v1/activity", host=site.hidden.pk)["field"] == "host"
    assert caller.refused(404, "/api/v1/activity", group="others")["field"] == "group"
