"""Adding, changing and removing hosts by script."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.models import Credential, Host
from netadmin.access.models import AuditEntry, Scope
from probes.models import OpenSocket, Snapshot
from tests.probes.api.site import PASSWORD, Site, error_of

SECRET = "another-p@ss'$(id) 密码"


def added(site: Site, body: dict[str, Any]) -> Any:
    response = site.token("admin", Scope.ADMIN).call("POST", "/api/v1/hosts/", body)
    assert response.status_code == 201, response.content
    host = response.json()["data"]["host"]
    assert response["Location"] == f"/api/v1/hosts/{host['id']}/"
    return host


def test_a_host_is_added_with_a_credential_of_its_own(site: Site) -> None:
    shown = added(
        site,
        {
            "name": "new",
            "address": "192.0.2.9",
            "port": 2222,
            "groups": ["inside", site.others.pk],
            "jump_host": "db1",
            "interval_s": 30,
            "notes": "two\nlines",
            "new_credential": {"name": "new login", "user": "root", "password": SECRET},
        },
    )

    host = Host.objects.get(name="new")
    assert host.credential is not None
    assert host.credential.secret("password") == SECRET
    assert {group.name for group in host.groups.all()} == {"inside", "others"}
    assert (host.port, host.interval_s, host.jump_host) == (2222, 30, site.hidden)
    assert shown["credential"] == {"id": host.credential.pk, "name": "new login"}
    assert shown["status"]["level"] == "new"
    entry = AuditEntry.objects.get(action="host.add")
    assert (entry.actor, entry.object_name, len(entry.token)) == ("anna", "new", 8)


def test_a_host_is_added_with_a_stored_credential(site: Site) -> None:
    by_id = added(site, {"name": "a", "address": "h.example", "credential": site.credential.pk})
    by_name = added(site, {"name": "b", "address": "::1", "credential": "watcher"})

    assert by_id["credential"] == by_name["credential"]
    assert by_id["port"] == 22


def test_no_secret_is_in_any_answer_or_in_the_log(site: Site) -> None:
    body = {
        "name": "new",
        "address": "192.0.2.9",
        "new_credential": {
            "name": "n",
            "user": "root",
            "password": SECRET,
            "sudo": "password",
            "sudo_password": "sudo-secret",
        },
    }
    caller = site.session("admin")
    created = caller.call("POST", "/api/v1/hosts/", body)
    pk = created.json()["data"]["host"]["id"]
    listed = caller.call("GET", "/api/v1/hosts/")
    shown = caller.call("GET", f"/api/v1/hosts/{pk}/")
    refused = caller.call("POST", "/api/v1/hosts/", body | {"port": 0})

    texts = [response.content.decode() for response in (created, listed, shown, refused)]
    texts += [str(entry.detail) for entry in AuditEntry.objects.all()]
    for text in texts:
        assert SECRET not in text
        assert "sudo-secret" not in text
        assert PASSWORD not in text
        assert "encrypted" not in text


def test_a_change_changes_what_is_given_alone(site: Site) -> None:
    before = Host.objects.values().get(pk=site.host.pk)
    response = site.session("admin").call(
        "PATCH", site.path("api-host"), {"notes": "x", "interval_s": 15, "groups": ["others"]}
    )

    after = Host.objects.values().get(pk=site.host.pk)
    changed = {name for name in after if after[name] != before[name]}
    assert response.json()["data"]["host"]["groups"] == [{"id": site.others.pk, "name": "others"}]
    assert changed == {"notes", "interval_s", "updated_at"}
    assert AuditEntry.objects.get(action="host.change").detail.keys() == {
        "notes",
        "interval_s",
        "groups",
    }


def test_nothing_given_changes_nothing(site: Site) -> None:
    response = site.session("admin").call("PATCH", site.path("api-host"), {})

    assert response.status_code == 200
    assert not AuditEntry.objects.filter(action="host.change").exists()


def test_null_empties_what_may_be_empty(site: Site) -> None:
    caller, path = site.session("admin"), site.path("api-host")
    caller.call("PATCH", path, {"interval_s": 15})

    assert caller.call("PATCH", path, {"interval_s": None, "credential": None}).status_code == 200
    host = Host.objects.get(pk=site.host.pk)
    assert (host.interval_s, host.credential) == (None, None)


def test_another_address_or_port_asks_for_the_credential_again(site: Site) -> None:
    caller, path = site.session("admin"), site.path("api-host")

    for change in ({"address": "192.0.2.66"}, {"port": 2222}):
        for extra in ({}, {"credential": site.credential.pk}):
            error = error_of(caller.call("PATCH", path, change | extra), 400)
            assert error["field"] == "credential"
            assert "confirm_secret" in error["hint"]
        wrong = caller.call("PATCH", path, change | {"confirm_secret": "guess"})
        assert error_of(wrong, 400)["field"] == "confirm_secret"
    unchanged = Host.objects.get(pk=site.host.pk)
    assert (unchanged.address, unchanged.port) == ("192.0.2.1", 22)

    right = caller.call("PATCH", path, {"port": 2222, "confirm_secret": PASSWORD})
    assert right.status_code == 200
    own = {"name": "own", "user": "u", "password": "p"}
    fresh = caller.call("PATCH", path, {"address": "192.0.2.66", "new_credential": own})
    assert fresh.status_code == 200
    changed = Host.objects.get(pk=site.host.pk)
    assert (changed.address, changed.port) == ("192.0.2.66", 2222)
    assert changed.credential == Credential.objects.get(name="own")


def test_a_name_that_is_taken_is_refused(site: Site) -> None:
    caller = site.session("admin")

    created = caller.call("POST", "/api/v1/hosts/", {"name": "db1", "address": "192.0.2.9"})
    changed = caller.call("PATCH", site.path("api-host"), {"name": "db1"})

    assert error_of(created, 400)["field"] == error_of(changed, 400)["field"] == "name"
    assert Host.objects.count() == 2


def test_a_removed_host_is_absent_and_its_history_is_kept(site: Site) -> None:
    caller, path = site.session("admin"), site.path("api-host")

    assert caller.call("DELETE", path).status_code == 200

    for method in ("GET", "PATCH", "DELETE"):
        assert error_of(caller.call(method, path), 404)["code"] == "not_found"
    assert [row["name"] for row in caller.get("/api/v1/hosts/")["hosts"]] == ["db1"]
    data = caller.get(f"/api/v1/snapshots/{site.second.pk}")
    assert data["snapshot"]["id"] == site.second.pk
    assert Host.objects.get(pk=site.host.pk).removed_at is not None
    assert Snapshot.objects.filter(host=site.host).count() == 3
    assert OpenSocket.objects.filter(host_id=site.host.pk).count() == 9
    assert AuditEntry.objects.get(action="host.remove").object_name == "web1"


@pytest.mark.parametrize(
    "of",
    ["connections", "ports", "diff", "history", "snapshots", "routes", "interfaces", "protocols",
     "multicast"],
)  # fmt: skip
def test_what_is_known_of_a_removed_host_can_be_read(site: Site, of: str) -> None:
    caller = site.session("admin")
    assert caller.call("DELETE", site.path("api-host")).status_code == 200
    assert caller.get(f"/api/v1/hosts/{site.host.pk}/{of}")["host"]["id"] == site.host.pk


def test_a_removed_host_has_its_chart_and_is_in_no_sum(site: Site) -> None:
    caller = site.session("admin")
    assert caller.call("DELETE", site.path("api-host")).status_code == 200
    alone = caller.get(f"/api/v1/statistics/timeline?host={site.host.pk}")
    assert alone["host"]["id"] == site.host.pk
    for act in ("probe", "reach"):
        path = f"/api/v1/hosts/{site.host.pk}/{act}"
        assert error_of(caller.call("POST", path), 404)["code"] == "not_found"


def test_a_jump_host_in_use_is_not_removed(site: Site) -> None:
    Host.objects.filter(pk=site.hidden.pk).update(jump_host=site.host)

    response = site.session("admin").call("DELETE", site.path("api-host"))

    assert error_of(response, 400)["field"] == "jump_host"
    assert Host.objects.get(pk=site.host.pk).removed_at is None


def test_an_administrator_of_a_group_stays_within_it(site: Site) -> None:
    caller = site.session("limited admin")
    body = {"name": "mine", "address": "192.0.2.9"}

    for change, field in (
        ({}, "groups"),
        ({"groups": ["others"]}, "groups"),
        ({"groups": ["inside"], "jump_host": site.hidden.pk}, "jump_host"),
        ({"groups": ["inside"], "is_local": True}, "is_local"),
    ):
        error = error_of(caller.call("POST", "/api/v1/hosts/", body | change), 400)
        assert error["field"] == field
    assert caller.call("POST", "/api/v1/hosts/", body | {"groups": ["inside"]}).status_code == 201


def test_if_the_log_cannot_be_written_nothing_is_changed(site: Site, monkeypatch: Any) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(AuditEntry, "save", broken)
    caller = site.session("admin")

    for method, path, body in (
        ("POST", "/api/v1/hosts/", {"name": "new", "address": "192.0.2.9"}),
        ("PATCH", site.path("api-host"), {"notes": "x"}),
        ("DELETE", site.path("api-host"), None),
        ("POST", site.path("api-host-probe"), None),
    ):
        response = caller.call(method, path, body)
        assert error_of(response, 500)["code"] == "internal_error"
    host = Host.objects.get(pk=site.host.pk)
    assert (host.notes, host.removed_at) == ("", None)
    assert Host.objects.count() == 2
    assert host.schedule.requested_at is None
