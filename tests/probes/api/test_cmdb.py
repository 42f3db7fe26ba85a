"""Sources of hosts as scripts have them, and the history of a host that a list removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hosts.models import Host, HostGroup, Source, SyncRun
from netadmin import env
from netadmin.access.models import Role, Scope
from netadmin.access.tokens import create as new_token
from probes.history import store
from tests.people import browser_of, person
from tests.probes.api.site import Caller, error_of
from tests.probes.history.played import LISTENER, line, observed, table
from tests.web_answers import WebServer, web_server

pytestmark = pytest.mark.django_db
SOURCES = "/api/v1/cmdb/sources"
RUNS = "/api/v1/cmdb/runs"
PATH = "/hosts.json"


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def caller(settings: Any) -> Caller:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["127.0.0.0/8"])
    HostGroup.objects.create(name="cmdb")
    anna = person("anna", Role.ADMIN)
    _row, text = new_token(user=anna, name="script", scope=Scope.ADMIN)
    return Caller(browser_of(None), text)


def fill(server: WebServer, *names: str) -> None:
    rows = [{"name": name, "address": f"{name}.example"} for name in names]
    server.say(PATH, json.dumps(rows).encode())


def done(caller: Caller, path: str, body: Any = None, *, status: int = 200) -> Any:
    response = caller.call("POST", path, {} if body is None else body)
    assert response.status_code == status, response.content
    return json.loads(response.content)["data"]


def new(caller: Caller, server: WebServer, **more: Any) -> int:
    body = {"name": "assets", "kind": "json", "location": server.url(PATH), "group": "cmdb"}
    made = done(caller, SOURCES, body | more, status=201)["source"]
    assert made["has_token"] == ("token" in more)
    return int(made["id"])


def test_the_history_of_a_host_that_the_list_removed_is_still_found(
    caller: Caller, server: WebServer
) -> None:
    fill(server, *[f"h{n}" for n in range(10)])
    pk = new(caller, server, token="Bearer hunter2")
    assert done(caller, f"{SOURCES}/{pk}/sync")["run"]["added"] == 10
    gone = Host.objects.get(name="h3")
    rows = [LISTENER, line("10.0.0.5:40000", "203.0.113.77:443", holder="9/curl")]
    store.save(gone, observed(0, table(*rows)))
    fill(server, *[f"h{n}" for n in range(10) if n != 3])
    run = done(caller, f"{SOURCES}/{pk}/sync")["run"]
    assert (run["state"], run["removed"]) == ("done", 1)
    names = [row["name"] for row in caller.get("/api/v1/hosts/", limit=100)["hosts"]]
    assert "h3" not in names
    found = caller.get("/api/v1/connections/search", ip="203.0.113.77")["sightings"]
    assert [(row["host"]["name"], row["removed_at"] is not None) for row in found] == [("h3", True)]


def test_a_removal_waits_and_is_decided(caller: Caller, server: WebServer) -> None:
    fill(server, "a", "b")
    pk = new(caller, server)
    dry = done(caller, f"{SOURCES}/{pk}/sync", {"dry_run": True})["run"]
    assert (dry["state"], [row["name"] for row in dry["plan"]["add"]]) == ("dry_run", ["a", "b"])
    assert not Host.objects.exists()
    done(caller, f"{SOURCES}/{pk}/sync")
    fill(server, "a")
    run = done(caller, f"{SOURCES}/{pk}/sync")["run"]
    assert (run["state"], run["code"]) == ("waiting", "many_removed")
    assert "1 of 2 hosts" in run["why"]
    assert [row["id"] for row in caller.get(RUNS, state="waiting", source=pk)["runs"]] == [
        run["id"]
    ]
    bad = caller.call("POST", f"{RUNS}/{run['id']}/decide", {"decision": "adopt", "host": 1})
    assert error_of(bad, 400)["field"] == "host"
    decided = done(caller, f"{RUNS}/{run['id']}/decide", {"decision": "approve"})["run"]
    assert (decided["state"], decided["decided_by"]) == ("done", "anna")
    again = caller.call("POST", f"{RUNS}/{run['id']}/decide", {"decision": "decline"})
    assert error_of(again, 400)["field"] == "decision"
    assert caller.get(f"{RUNS}/{run['id']}")["run"]["plan"]["remove"][0]["name"] == "b"


def test_lists_are_paged_and_have_csv(caller: Caller, server: WebServer) -> None:
    fill(server, "a")
    pk = new(caller, server)
    Source.objects.create(name="zoo", kind="csv", location="x", group=HostGroup.objects.get())
    for _time in range(3):
        done(caller, f"{SOURCES}/{pk}/sync")
    for path, name in ((SOURCES, "sources"), (RUNS, "runs")):
        whole = caller.get(path)
        seen: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page = caller.get(path, limit=1, **cursor)
            seen += page[name]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert seen == whole[name]
        assert len(seen) == whole["total"]
        assert len(caller.csv(path).splitlines()) == len(seen) + 1
    caller.refused(400, RUNS, cursor="rubbish")


def test_a_token_is_written_and_never_read(caller: Caller, server: WebServer) -> None:
    pk = new(caller, server, token="Bearer hunter2")
    answers = [caller.call("GET", f"{SOURCES}/{pk}"), caller.call("GET", SOURCES)]
    moved = {"location": "https://other.example.com/hosts.json"}
    refused = caller.call("PATCH", f"{SOURCES}/{pk}", moved)
    assert error_of(refused, 400)["field"] == "token"
    answers += [refused, caller.call("PATCH", f"{SOURCES}/{pk}", {"clear_token": True})]
    assert json.loads(answers[-1].content)["data"]["source"]["has_token"] is False
    assert not [answer for answer in answers if b"hunter2" in answer.content]
    assert caller.call("DELETE", f"{SOURCES}/{pk}").status_code == 200
    assert not SyncRun.objects.exists()
    assert caller.call("GET", f"{SOURCES}/{pk}").status_code == 404


def test_a_source_that_is_busy_says_so(caller: Caller, server: WebServer) -> None:
    pk = new(caller, server)
    Source.objects.update(lease_until="2100-01-01T00:00:00+00:00")
    assert error_of(caller.call("POST", f"{SOURCES}/{pk}/sync", {}), 409)["code"] == "busy"
