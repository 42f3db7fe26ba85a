"""Services, restarts and commands as scripts see them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from django.utils import timezone

from hosts.models import Host
from probes.models import Restart, RestartCommand, Service
from probes.recovery import shaped
from tests.probes.api.site import Caller, Site, error_of
from tests.probes.history.played import LISTENER
from tests.probes.views import fleet


def made(site: Site, **fields: Any) -> Service:
    """A service on a host that was probed whole a moment ago."""
    host = Host.objects.create(name="shop1", address="192.0.2.50", credential=site.credential)
    host.groups.add(site.group)
    fleet.seen(host, 1, LISTENER)
    command = RestartCommand.objects.create(name="sshd", argv=["true"], use_sudo=False)
    return Service.objects.create(
        **{"name": "login", "host": host, "port": 22, "command": command} | fields
    )


def post(caller: Caller, path: str, **body: Any) -> tuple[int, Any]:
    response = caller.call("POST", path, body)
    return response.status_code, json.loads(response.content)


def test_a_service_is_made_shown_changed_and_removed(site: Site) -> None:
    caller = site.session("admin")
    status, answer = post(
        caller, "/api/v1/restart-commands", name="x", argv=["systemctl", "restart", "x y;$(id)"]
    )
    assert (status, answer["data"]["command"]["argv"][2]) == (201, "x y;$(id)")
    command = answer["data"]["command"]["id"]
    fields = {"name": "shop", "host": site.host.pk, "port": 8080, "command": command}
    status, answer = post(caller, "/api/v1/services", **fields, automatic=True)
    assert status == 201
    shown = answer["data"]["service"]
    assert list(shown) == list(shaped.SERVICE)
    assert shown["state"] == "unknown", "its newest probe failed"
    path = f"/api/v1/services/{shown['id']}"
    assert caller.get(path)["service"]["command"] == {"id": command, "name": "x"}

    refused = caller.call("PATCH", path, {"command": None})
    assert error_of(refused, 400)["field"] == "command"
    assert caller.call("PATCH", path, {"command": None, "automatic": False}).status_code == 200
    assert caller.call("DELETE", path).status_code == 200
    assert caller.refused(404, path)["code"] == "not_found"


def test_words_that_are_no_command_are_refused_by_the_api_too(site: Site) -> None:
    caller = site.session("admin")
    for argv in ([], ["-rf"], ["a\nb"], ["true", "a\tb"], ["true", ""], ["id;id"], ["x"] * 65):
        refused = caller.call("POST", "/api/v1/restart-commands", {"name": "x", "argv": argv})
        assert str(error_of(refused, 400)["field"]).startswith("argv"), argv
    assert not RestartCommand.objects.exists()


def test_a_restart_by_script_meets_the_guard_and_can_be_followed(site: Site) -> None:
    service = made(site)
    caller = site.session("operator")
    path = f"/api/v1/services/{service.pk}/restart"
    status, answer = post(caller, path, dry_run=True)
    assert (status, answer["data"]["dry_run"]["refusal"]["code"]) == (200, "confirm")
    assert answer["data"]["dry_run"]["command_line"] == "true"
    assert not Restart.objects.exists()
    assert error_of(caller.call("POST", path, {}), 409)["code"] == "confirm"
    status, answer = post(caller, path, confirm="yes")
    assert (status, answer["data"]["restart"]["state"]) == (202, "planned")
    assert error_of(caller.call("POST", path, {"confirm": "yes"}), 409)["code"] == "under_way"

    (row,) = caller.get(f"{path}s")["restarts"]
    assert (list(row), row["by"]) == (list(shaped.RESTART), "otto")


def test_a_host_whose_newest_probe_failed_is_not_touched(site: Site) -> None:
    service = Service.objects.create(
        name="x", host=site.host, port=9,
        command=RestartCommand.objects.create(name="x", argv=["true"], use_sudo=False),
    )  # fmt: skip
    caller = site.session("operator")
    path = f"/api/v1/services/{service.pk}/restart"
    refused = caller.call("POST", path, {"confirm": "yes"})
    assert error_of(refused, 409)["code"] == "not_whole"


def test_lists_are_paged_and_their_csv_has_every_row(site: Site) -> None:
    service = made(site)
    for n in range(5):
        Restart.objects.create(
            service=service, host=service.host, state="failed", planned_at=timezone.now(),
            ended_at=timezone.now(), output=f"=cmd {n}",
            affected={"connections": 0, "ips": [], "programs": [], "up": False},
        )  # fmt: skip
        Service.objects.create(name=f"s{n}", host=site.hidden, port=100 + n)
    caller = site.session("viewer")
    for path, name in (
        ("/api/v1/services", "services"),
        (f"/api/v1/services/{service.pk}/restarts", "restarts"),
    ):
        whole = caller.get(path)[name]
        rows, cursor = [], {}
        while True:
            page = caller.get(path, limit=2, **cursor)
            rows += page[name]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert rows == whole
        header, *lines = csv.reader(io.StringIO(caller.csv(path)))
        assert (header, len(lines)) == (list(whole[0]), len(whole))
    assert [row["name"] for row in site.session("limited viewer").get("/api/v1/services")[
        "services"
    ]] == ["login"]  # fmt: skip
