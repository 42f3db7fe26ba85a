"""Who may call what with which proof, and that what is outside one's groups is absent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse

from hosts.models import Source
from netadmin.access.models import APIToken, AuditEntry, Role, Scope
from probes.api.routing import Endpoint, Operation
from probes.models import Channel, Hunt, RestartCommand, Rule, Service
from tests.people import browser_of
from tests.probes.api.site import (
    DELIVERY,
    ENDPOINTS,
    FIRST,
    GONE_PORT,
    MAILING,
    OVERRIDE,
    PEER,
    POLICY,
    RULE,
    SERVICE,
    SILENCE,
    TOKEN,
    Caller,
    Site,
    error_of,
)

CASES = [
    pytest.param(endpoint, operation, id=f"{endpoint.name} {operation.method}")
    for endpoint in ENDPOINTS
    for operation in endpoint.operations.values()
]
ABOUT_ONE = [
    case
    for case in CASES
    if "<int:pk>" in case.values[0].path  # type: ignore[attr-defined]
    and not case.values[1].site_wide  # type: ignore[attr-defined]
]
RANKS = {"without a role": None, "viewer": Role.VIEWER, "operator": Role.OPERATOR} | {
    "admin": Role.ADMIN
}
SCOPES = {Scope.READ: Role.VIEWER, Scope.OPERATE: Role.OPERATOR, Scope.ADMIN: Role.ADMIN}


def ask(site: Site, caller: Caller, endpoint: Endpoint, operation: Operation) -> HttpResponse:
    """A request that is right in all but, perhaps, who sends it."""
    query = {
        "api-ports": "?port=22",
        "api-ports-check": "?port=22",
        "api-search": "?q=web",
        "api-diff": f"?hosts={site.host.pk},{site.hidden.pk}",
        "api-statistics-trend": "?by=ip",
        "api-statistics-interfaces": f"?host={site.host.pk}&interface=lo",
    }
    if endpoint.name == "api-connections-search" and operation.method == "GET":
        query[endpoint.name] = "?port=22"
    bodies: dict[str, Any] = {
        "POST": {"name": "added", "address": "192.0.2.9"},
        "PATCH": {"notes": "x"},
        "api-connections-search POST": {"indicators": "10.0.0.9"},
        "api-hunts POST": {"name": f"hunt {Hunt.objects.count()}", "indicators": "10.0.0.9"},
        "api-hunt PATCH": {"enabled": False},
        "api-alert-snooze POST": {"minutes": 5},
        "api-silences POST": {"ends_at": "2199-01-01", "starts_at": "2198-12-31"},
        "api-silence PATCH": {"reason": "disks"},
        "api-channels POST": {
            "name": f"channel {Channel.objects.count()}", "kind": "email",
            "recipients": ["ops@example.org"],
        },
        "api-channel PATCH": {"per_hour": 9},
        "api-channel-retry POST": {"delivery": DELIVERY},
        "api-cmdb-sources POST": {
            "name": f"source {Source.objects.count()}", "kind": "csv",
            "location": "https://cmdb.example.com/hosts.csv", "group": "inside",
        },
        "api-cmdb-source PATCH": {"enabled": False},
        "api-cmdb-source-sync POST": {"dry_run": True},
        "api-cmdb-run-decide POST": {"decision": "decline"},
        "api-report-mailings POST": {
            "name": "new", "every": "day", "recipients": ["ops@example.org"],
        },
        "api-report-mailing PATCH": {"enabled": False},
        "api-services POST": {
            "name": "new", "host": site.host.pk, "port": 20_000 + Service.objects.count(),
        },
        "api-service PATCH": {"notes": "x"},
        "api-rules POST": {"name": f"rule {Rule.objects.count()}", "metric": "sockets"},
        "api-rule PATCH": {"advice": "x"},
        "api-rule-overrides POST": {"host": site.host.pk, "threshold": 5},
        "api-rule-override PATCH": {"threshold": 6},
        "api-port-policies POST": {"host": site.host.pk, "expected": "22"},
        "api-port-policy PATCH": {"expected": "22, 80"},
        "api-service-restart POST": {"dry_run": True},
        "api-restart-commands POST": {
            "name": f"command {RestartCommand.objects.count()}", "argv": ["true"],
        },
        "api-peer-decide POST": {"action": "approve"},
        "api-host-watch-forget POST": {"protocol": "tcp", "port": GONE_PORT},
        "api-drift-watch PUT": {"enabled": False},
        "api-restart-command PATCH": {"use_sudo": False},
    }  # fmt: skip
    body = bodies.get(f"{endpoint.name} {operation.method}", bodies.get(operation.method))
    body = body if operation.body else None
    path = site.path(endpoint.name) + query.get(endpoint.name, "")
    if endpoint.name == "api-rule-set" and operation.method == "PUT":
        return caller.call("PUT", path, b"version: 1\n", content_type="text/plain")
    if operation.text_bytes:
        return caller.call(operation.method, path, FIRST.encode(), content_type="text/plain")
    return caller.call(operation.method, path, body)


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize(("endpoint", "operation"), CASES)
def test_a_role_may_what_it_may_and_no_more(
    site: Site, endpoint: Endpoint, operation: Operation
) -> None:
    for who, role in RANKS.items():
        response = ask(site, site.session(who), endpoint, operation)
        if role is None or role < operation.role:
            assert error_of(response, 403)["code"] == "forbidden"
        else:
            assert response.status_code in (200, 201, 202), response.content


@pytest.mark.parametrize(("endpoint", "operation"), CASES)
def test_a_token_may_no_more_than_its_scope_nor_than_its_user(
    site: Site, endpoint: Endpoint, operation: Operation
) -> None:
    for scope, role in SCOPES.items():
        response = ask(site, site.token("admin", scope), endpoint, operation)
        assert (response.status_code == 403) == (role < operation.role)
        response = ask(site, site.token("viewer", scope), endpoint, operation)
        assert (response.status_code == 403) == (operation.role > Role.VIEWER)


@pytest.mark.parametrize(("endpoint", "operation"), CASES)
def test_nobody_is_asked_to_log_in(site: Site, endpoint: Endpoint, operation: Operation) -> None:
    response = ask(site, site.nobody(), endpoint, operation)

    assert error_of(response, 401)["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("endpoint", "operation"), ABOUT_ONE)
def test_what_is_outside_ones_groups_is_absent_to_the_letter(
    site: Site, endpoint: Endpoint, operation: Operation
) -> None:
    caller = site.session("limited admin")
    hidden = site.path(endpoint.name, hidden=True)
    named = {
        "snapshots/<": site.second.pk,
        "hunts/<": site.hunt.pk,
        "alerts/<": site.alert.pk,
        "report-mailings/<": MAILING,
        "peers/<": PEER,
        "drift-watches/<": site.group.pk,
        "services/<": SERVICE,
        "silences/<": SILENCE,
        "port-policies/<": POLICY,
        "rules/<": RULE,
        "tokens/<": TOKEN,
        "rule-overrides/<": OVERRIDE,
    }
    pk = next((pk for part, pk in named.items() if part in endpoint.path), site.host.pk)
    missing = site.path(endpoint.name).replace(f"/{pk}", "/987654321")
    for query in ("", "?zzz=1", "?limit=0&format=csv"):
        for body in (None, b"rubbish"):
            outside = caller.call(operation.method, hidden + query, body)
            absent = caller.call(operation.method, missing + query, body)
            assert error_of(outside, 404)["code"] == "not_found"
            assert outside.content == absent.content
            assert outside.headers.keys() == absent.headers.keys()


def test_lists_hold_only_what_is_inside_ones_groups(site: Site) -> None:
    caller = site.session("limited viewer")

    assert [row["name"] for row in caller.get("/api/v1/hosts/")["hosts"]] == ["web1"]
    holders = caller.get("/api/v1/ports", port=22)["ports"]
    assert [row["host"]["name"] for row in holders] == ["web1"]
    states = caller.get("/api/v1/statistics/states")["states"]
    assert {row["state"]: row["sockets"] for row in states}["ESTABLISHED"] == 4
    ips = caller.get("/api/v1/statistics/ips")["ips"]
    assert max(row["total"] for row in ips) == 3


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/ports", {"port": 22}),
        ("/api/v1/statistics/ips", {}),
        ("/api/v1/statistics/ends", {}),
        ("/api/v1/statistics/ports", {}),
        ("/api/v1/statistics/programs", {}),
        ("/api/v1/statistics/states", {}),
        ("/api/v1/statistics/protocols", {}),
        ("/api/v1/statistics/common-ports", {}),
        ("/api/v1/statistics/scopes", {}),
        ("/api/v1/statistics/connections", {}),
        ("/api/v1/statistics/traffic", {}),
        ("/api/v1/statistics/timeline", {}),
        ("/api/v1/statistics/trend", {"by": "ip"}),
        ("/api/v1/hosts/", {}),
        ("/api/v1/connections/search", {"port": 22}),
        ("/api/v1/alerts", {}),
    ],
)
def test_a_host_or_group_named_from_outside_is_as_absent_as_one_that_is_not(
    site: Site, path: str, query: dict[str, Any]
) -> None:
    caller = site.session("limited viewer")

    def body(**more: Any) -> Any:
        response = caller.client.get(path, query | more)
        assert response.status_code == 404
        return json.loads(response.content)

    assert body(host=site.hidden.pk) == body(host=987654321)
    assert body(host=site.hidden.pk)["error"]["field"] == "host"
    assert body(group="others") == body(group="no such group")


def test_a_token_of_some_groups_sees_those_alone(site: Site) -> None:
    caller = site.token("admin", Scope.ADMIN)
    token = APIToken.objects.get()
    token.all_hosts = False
    token.save()
    token.groups.add(site.group)

    assert [row["name"] for row in caller.get("/api/v1/hosts/")["hosts"]] == ["web1"]
    assert caller.refused(404, site.path("api-host", hidden=True))["code"] == "not_found"


def test_the_name_of_a_jump_host_outside_is_not_told(site: Site) -> None:
    site.host.jump_host = site.hidden
    site.host.save()

    path = site.path("api-host")
    assert site.session("viewer").get(path)["host"]["jump_host"]["name"] == "db1"
    assert site.session("limited viewer").get(path)["host"]["jump_host"] is None


def test_a_session_needs_its_csrf_token_and_a_bearer_does_not(site: Site) -> None:
    path = site.path("api-host-probe")
    bare = Caller(browser_of(site.people["operator"], csrf=True))

    assert error_of(bare.call("POST", path), 403)["code"] == "csrf_failed"
    assert not AuditEntry.objects.filter(action="probe.now").exists()
    by_token = site.token("operator", Scope.OPERATE)
    by_token.client.handler.enforce_csrf_checks = True
    assert by_token.call("POST", path).status_code == 202


@pytest.mark.parametrize(
    "header", ["Bearer x", "Bearer ", "Basic YTpi", "bearer", "Bearer nad_a_b"]
)
def test_a_wrong_token_is_refused_even_beside_a_session(site: Site, header: str) -> None:
    response = site.session("admin").call("GET", "/api/v1/hosts/", Authorization=header)

    assert error_of(response, 401)["code"] == "bad_token"
