"""The exposure ledger as JSON and CSV, and trying listeners by a script."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import Host
from netadmin.access.models import AuditEntry, Scope
from probes import connect_back
from probes.history import store
from probes.models import Reach, ReachRun
from tests.probes.api.site import FIRST, Site, error_of
from tests.probes.history.played import at, line, observed

NEW = FIRST + line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "9/java") + "\n"


def ports(site: Site, who: str = "viewer", **query: Any) -> list[tuple[str, int]]:
    data = site.session(who).get("/api/v1/exposure", **query)
    return [(row["host"]["name"], row["local_port"]) for row in data["exposure"]]


def test_a_row_says_all_of_a_listener(site: Site) -> None:
    data = site.session("viewer").get("/api/v1/exposure", host=site.host.pk, port=22)

    (row,) = data["exposure"]
    explanation = row.pop("explanation")
    assert row == {
        "host": {"id": site.host.pk, "name": "web1"},
        "protocol": "tcp",
        "local_ip": "0.0.0.0",
        "local_port": 22,
        "service": "ssh",
        "programs": ["sshd"],
        "pids": [800],
        "bound": "any",
        "families": "ipv4",
        "since": at(0).isoformat(),
        "from_the_first": True,
        "first_seen": at(0).isoformat(),
        "last_seen": None,
        "connections": 2,
        "remote_ips": 2,
        "external_ips": 1,
        "external_connections": 1,
        "peers": [
            {"ip": "10.0.0.9", "external": False, "connections": 1},
            {"ip": "203.0.113.8", "external": True, "connections": 1},
        ],
        "reach": None,
        "holders": [{"pid": 800, "program": "sshd", "first_seen": at(0).isoformat(), "copies": 1}],
    }
    assert "2 addresses are connected, 1 of them from outside." in explanation
    assert data["by_bound"] == {"any": 1}


def test_filters_times_and_orders_are_obeyed(site: Site) -> None:
    store.save(site.host, observed(5, NEW))

    assert ports(site, bound="loopback", host=site.host.pk) == [("web1", 5432)]
    assert ports(site, since=at(1).isoformat()) == [("web1", 8080)]
    assert ports(site, since=at(1).isoformat(), at=at(2).isoformat()) == []
    assert ports(site, host=site.host.pk, at=at(1).isoformat()) == [
        ("web1", 22), ("web1", 68), ("web1", 5432),
    ]  # fmt: skip
    assert ports(site, group="inside", proto="udp") == [("web1", 68)]
    store.save(site.host, observed(6, FIRST))
    assert ports(site, show="gone", since=at(5).isoformat()) == [("web1", 8080)]
    assert ports(site, show="gone") == []
    assert ports(site, sort="port")[0] == ("db1", 22)


def test_what_is_outside_ones_groups_is_absent(site: Site) -> None:
    assert {name for name, _port in ports(site, "limited viewer")} == {"web1"}
    limited = site.session("limited viewer")
    assert limited.refused(404, "/api/v1/exposure", host=site.hidden.pk)["field"] == "host"
    assert limited.refused(404, "/api/v1/exposure", group="others")["field"] == "group"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bound", "moon"),
        ("bound", "any,"),
        ("port", "0"),
        ("since", "yesterday"),
        ("show", "all"),
        ("reach", "maybe"),
        ("sort", "age"),
        ("proto", "icmp"),
        ("cursor", "x"),
        ("at", "soon"),
    ],
)
def test_wrong_input_is_named(site: Site, name: str, value: str) -> None:
    error = site.session("viewer").refused(400, "/api/v1/exposure", **{name: value})
    assert error["field"] == name


def test_a_cursor_is_of_one_question(site: Site) -> None:
    caller = site.session("viewer")
    cursor = caller.get("/api/v1/exposure", limit=1)["next"]
    assert caller.get("/api/v1/exposure", limit=1, cursor=cursor)["exposure"]
    error = caller.refused(400, "/api/v1/exposure", cursor=cursor, bound="any")
    assert error["field"] == "cursor"


def test_a_script_has_listeners_tried_and_reads_the_results(site: Site) -> None:
    caller = site.token("operator", Scope.OPERATE)
    path = site.path("api-host-reach")

    response = caller.call("POST", path)

    assert response.status_code == 202
    assert response.json()["data"]["run"]["state"] == "queued"
    assert AuditEntry.objects.filter(action="host.reach", object_name="web1").count() == 1
    again = caller.call("POST", path)
    assert again.status_code == 202
    assert again.json()["data"]["run"] == response.json()["data"]["run"]
    assert AuditEntry.objects.filter(action="host.reach").count() == 1
    Reach.objects.create(
        host=site.host, address="192.0.2.1", port=22, result="open", checked_at=at(3)
    )
    ReachRun.objects.update(started_at=at(2), finished_at=at(3), tried=1, planned=1)
    data = caller.get(path)
    assert data["run"]["state"] == "finished"
    assert data["reach"] == [
        {
            "address": "192.0.2.1",
            "port": 22,
            "result": "open",
            "checked_at": at(3).isoformat(),
            "duration_ms": 0,
            "asked_by": None,
        }
    ]
    (row,) = caller.get("/api/v1/exposure", reach="open")["exposure"]
    assert row["reach"] == data["reach"][0]
    assert "A TCP connection from the controller was taken." in row["explanation"]


def test_how_far_a_run_is(site: Site) -> None:
    caller, path = site.session("viewer"), site.path("api-host-reach")
    assert (caller.get(path)["run"], caller.get(path)["reach"]) == (None, [])
    run = ReachRun.objects.create(host=site.host, asked_at=timezone.now(), started_at=at(0))
    assert caller.get(path)["run"]["state"] == "running"
    run.asked_at -= dt.timedelta(seconds=connect_back.STALE_S + 1)
    run.save()
    assert caller.get(path)["run"]["state"] == "lost"


@pytest.mark.parametrize(
    ("change", "code"), [({"is_local": True}, "is_local"), ({"enabled": False}, "disabled")]
)
def test_what_is_not_tried_is_refused_with_its_own_code(
    site: Site, change: dict[str, bool], code: str
) -> None:
    Host.objects.filter(pk=site.host.pk).update(**change)
    error = error_of(site.session("operator").call("POST", site.path("api-host-reach")), 409)
    assert error["code"] == code


def test_switched_off_it_is_refused(site: Site, settings: Any) -> None:
    settings.CONNECT_BACK = False
    answer = site.session("operator").call("POST", site.path("api-host-reach"))
    assert error_of(answer, 409)["code"] == "connect_back_off"
