"""Hunting, saved hunts, alerts and the search as scripts have them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import Host
from netadmin.access.models import APIToken, Scope
from probes.models import Alert, Hunt
from tests.probes.api.site import Site, error_of
from tests.probes.history.played import at

SEARCH = "/api/v1/connections/search"


def test_a_search_tells_first_and_last_time_by_host(site: Site) -> None:
    data = site.session("viewer").get(SEARCH, ip="203.0.113.8")

    assert data["indicators"] == [{"indicator": "203.0.113.8", "kind": "ip"}]
    rows = {row["host"]["name"]: row for row in data["sightings"]}
    assert rows.keys() == {"web1", "db1"}
    assert rows["web1"] == {
        "indicator": "203.0.113.8",
        "kind": "ip",
        "host": {"id": site.host.pk, "name": "web1"},
        "removed_at": None,
        "first_seen": at(1).isoformat(),
        "last_seen": None,
        "intervals": 1,
        "still_there": 1,
        "states": ["ESTABLISHED"],
        "directions": ["in"],
        "local_ports": [22],
        "remote_ports": [],
        "programs": ["sshd"],
    }
    assert (data["total"], data["next"], data["capped"]) == (2, None, [])


def test_a_removed_host_is_in_it_and_marked(site: Site) -> None:
    Host.objects.filter(pk=site.host.pk).update(removed_at=timezone.now())
    rows = site.session("viewer").get(SEARCH, ip="203.0.113.8", host=site.host.pk)["sightings"]
    assert [row["last_seen"] for row in rows] == [at(1).isoformat()]
    assert rows[0]["removed_at"] is not None


def test_a_posted_list_is_answered_with_what_was_not_understood(site: Site) -> None:
    body = {"indicators": "203[.]0[.]113[.]8\nevil.example\nprogram:dhcl"}
    response = site.session("viewer").call("POST", f"{SEARCH}?view=rows&limit=1", body)
    data = json.loads(response.content)["data"]
    assert [row["line"] for row in data["rejected"]] == [2]
    assert len(data["rows"]) == 1
    again = site.session("viewer").call(
        "POST", f"{SEARCH}?view=rows&limit=9&cursor={data['next']}", body
    )
    rows = data["rows"] + json.loads(again.content)["data"]["rows"]
    assert sorted((row["host"]["name"], row["indicator"]) for row in rows) == [
        (host, text) for host in ("db1", "web1") for text in ("203.0.113.8", "program:dhcl")
    ]


def test_a_network_in_a_wider_one_is_said_to_be_covered(site: Site) -> None:
    data = site.session("viewer").get(SEARCH, indicators="203.0.113.0/24 203.0.0.0/16")
    assert data["covered"] == [{"indicator": "203.0.113.0/24", "by": "203.0.0.0/16"}]
    assert {row["indicator"] for row in data["sightings"]} == {"203.0.0.0/16"}


@pytest.mark.parametrize(
    ("query", "field"),
    [({}, "ip"), ({"local_port": 80}, "ip"), ({"ip": "10.0.0.0/8"}, "ip"),
     ({"ip": "10.0.0.1", "cidr": "10.0.0.0/8"}, "cidr"), ({"indicators": "evil.example"},
     "indicators"), ({"port": 22, "since": "2026-02-01", "until": "2026-01-01"}, "since"),
     ({"port": 22, "view": "all"}, "view")],
)  # fmt: skip
def test_a_search_that_bounds_nothing_is_refused(
    site: Site, query: dict[str, Any], field: str
) -> None:
    assert site.session("viewer").refused(400, SEARCH, **query)["field"] == field


def test_lists_and_counts_hold_only_what_is_inside_ones_groups(site: Site) -> None:
    caller = site.session("limited viewer")
    assert [row["host"]["name"] for row in caller.get(SEARCH, port=22)["sightings"]] == ["web1"]
    rows = caller.get(SEARCH, port=22, view="rows")["rows"]
    assert {row["host"]["name"] for row in rows} == {"web1"}
    assert "db1" not in caller.csv(SEARCH, port=22)
    assert [row["id"] for row in caller.get("/api/v1/alerts")["alerts"]] == [site.alert.pk]
    assert caller.get("/api/v1/alerts")["total"] == 1
    hunts = {row["name"]: row["open_alerts"] for row in caller.get("/api/v1/hunts")["hunts"]}
    assert hunts["botnet"] == 1
    found = caller.get("/api/v1/search", q="203.0.113.8")
    assert (found["now"]["total"], found["history"]["total"]) == (1, 1)
    assert found["alerts"]["total"] == 0
    assert caller.get("/api/v1/search", q="botnet")["alerts"]["total"] == 1
    assert caller.get("/api/v1/search", q="db1")["hosts"]["total"] == 0
    assert caller.get("/api/v1/search", q="pid 800")["hosts_looked_through"] == 1


def test_a_hunt_is_changed_by_its_owner_and_by_administrators_of_all_hosts(site: Site) -> None:
    path = site.path("api-hunt")
    owner, admin = site.people["operator"], site.session("admin")
    limited = site.session("limited admin")
    Hunt.objects.filter(pk=site.hunt.pk).update(owner=owner, mail_to="soc@example.org")
    assert error_of(limited.call("PATCH", path, {"enabled": False}), 403)["code"] == "forbidden"
    assert error_of(limited.call("DELETE", path), 403)["code"] == "forbidden"
    assert limited.get(path)["hunt"]["mail_to"] is None
    assert admin.get(path)["hunt"]["mail_to"] == ["soc@example.org"]
    answer = admin.call("PATCH", path, {"enabled": False})
    changed = json.loads(answer.content)["data"]["hunt"]
    assert (changed["enabled"], changed["owner"]) == (False, owner.get_username())


def test_a_token_of_some_groups_changes_no_hunt(site: Site) -> None:
    caller = site.token("operator", Scope.OPERATE)
    token = APIToken.objects.get()
    token.all_hosts = False
    token.save()
    token.groups.add(site.group)
    new = {"name": "new", "indicators": "port 22", "mail_to": ["me@example.org"]}
    assert error_of(caller.call("POST", "/api/v1/hunts", new), 403)["code"] == "forbidden"
    body = {"mail_to": ["me@example.org"]}
    assert error_of(caller.call("PATCH", site.path("api-hunt"), body), 403)["code"] == "forbidden"


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", None), ("name", "botnet"), ("indicators", ""), ("indicators", 5),
     ("indicators", "evil.example"), ("mail_to", ["x"]), ("mail_to", "a@example.org"),
     ("mail_to", ["a@example.org\nBcc: b@example.org"]), ("enabled", "yes"), ("owner", 1)],
)  # fmt: skip
def test_a_field_of_a_hunt_that_does_not_fit_is_named(site: Site, field: str, value: Any) -> None:
    before = list(Hunt.objects.values("name", "indicators", "mail_to"))
    body = {"name": "new", "indicators": "port 22"} | {field: value}
    error = error_of(site.session("operator").call("POST", "/api/v1/hunts", body), 400)
    assert str(error["field"]).partition(".")[0] == field
    assert list(Hunt.objects.values("name", "indicators", "mail_to")) == before


def test_an_alert_is_acknowledged_with_its_evidence_kept(site: Site) -> None:
    path = site.path("api-alert-acknowledge")
    for who in ("operator", "admin"):
        data = json.loads(site.session(who).call("POST", path).content)["data"]["alert"]
        assert data["acknowledged_by"] == site.people["operator"].get_username()
    assert Alert.objects.filter(acknowledged_at=None).count() == 1
    assert site.session("viewer").get("/api/v1/alerts", state="open")["total"] == 1
    hidden = site.path("api-alert-acknowledge", hidden=True)
    assert error_of(site.session("limited admin").call("POST", hidden), 404)
