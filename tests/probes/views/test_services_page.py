"""The pages of services: what stands where, picking, saving, and restarting by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosts.models import Credential, Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from probes.models import Alert, Restart, RestartCommand, Service
from probes.observation import Code
from tests.people import browser_of, person
from tests.probes.history.played import line
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db
Page = Callable[..., str]

WEB = line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "812/nginx")
CLIENTS = [line("10.0.0.5:8080", f"203.0.113.{n}:5100{n}", holder="812/nginx") for n in (7, 7, 9)]
CLIENTS[1] = line("10.0.0.5:8080", "203.0.113.7:51999", holder="812/nginx")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def host() -> Host:
    login = Credential.objects.create(name="ops", user="ops", sudo="nopasswd")
    host = Host.objects.create(name="web1", address="192.0.2.1", credential=login)
    fleet.seen(host, 5, WEB, *CLIENTS)
    return host


@pytest.fixture
def service(host: Host) -> Service:
    command = RestartCommand.objects.create(name="nginx", argv=["systemctl", "restart", SCRIPT])
    return Service.objects.create(name="shop", host=host, port=8080, command=command)


def act(client: Client, route: str, *args: int, **fields: Any) -> Any:
    return client.post(reverse(route, args=args), fields)


def test_a_service_is_up_down_or_unknown_as_the_newest_probe_says(
    viewer: Client, page: Page, host: Host, service: Service
) -> None:
    def chips() -> list[tuple[str, int]]:
        context = viewer.get("/services/").context
        return [(str(chip["label"]), chip["count"]) for chip in context["chips"] if chip["count"]]

    assert chips() == [("All", 1), ("Up", 1)]
    fleet.seen(host, 3, CLIENTS[0])
    assert chips() == [("All", 1), ("Down", 1)]
    fleet.failed(host, 1, Code.TIMED_OUT)
    assert chips() == [("All", 1), ("Unknown", 1)]
    Service.objects.update(enabled=False)
    assert chips() == [("All", 1), ("Off", 1)]
    assert "No service matches" in page(viewer, "/services/?state=up")
    assert "shop" in page(viewer, "/services/?q=SHO&port=8080&state=off")
    assert page(viewer, "/services/?port=x", 400)


def test_the_page_of_a_service_shows_who_would_be_cut_off_and_escapes_the_rest(
    viewer: Client, page: Page, service: Service
) -> None:
    Restart.objects.create(
        service=service, host=service.host, state="still_down", planned_at=timezone.now(),
        ended_at=timezone.now(), exit_status=1, output=f"{SCRIPT}\nbad", reason="timed_out",
    )  # fmt: skip
    shown = page(viewer, f"/services/{service.pk}/")
    assert SCRIPT not in shown
    for words in ("3 connections end.", "203.0.113.7", "sudo -n systemctl restart", "Still down"):
        assert words in shown
    assert "Restart…" not in shown, "a viewer restarts nothing"
    assert reverse("service_edit", args=[service.pk]) not in shown


def test_a_service_that_was_given_up_says_why(viewer: Client, page: Page, service: Service) -> None:
    alert = Alert.objects.create(
        kind="service", fingerprint=f"service:{service.pk}", subject="shop", host=service.host,
        facts={"event": "gave_up", "service": SCRIPT, "restarts": 0, "reason": "no_sudo"},
        opened_at=timezone.now(), newest_at=timezone.now(),
    )  # fmt: skip
    shown = page(viewer, f"/services/{service.pk}/")
    assert "was not restarted: The credential allows no sudo." in shown
    assert SCRIPT not in shown
    alert.facts |= {"reason": "budget"}
    alert.save()
    assert "was not restarted" not in page(viewer, f"/services/{service.pk}/")
    assert "given up" not in page(viewer, "/services/"), "it is tried again"


def test_a_dry_run_says_all_and_does_nothing(operator: Client, service: Service) -> None:
    response = act(operator, "service_restart", service.pk, dry_run="yes")
    shown = response.content.decode()
    assert response.status_code == 200
    for words in ("sudo -n systemctl restart &#x27;&lt;script&gt;", "3 of 3 left", "it is up"):
        assert words in shown
    assert not Restart.objects.exists()
    assert not AuditEntry.objects.filter(action="service.restart").exists()


def test_a_service_that_is_up_is_restarted_only_with_a_yes(
    operator: Client, service: Service
) -> None:
    refused = act(operator, "service_restart", service.pk)
    assert (refused.status_code, Restart.objects.count()) == (409, 0)
    assert "all the same" in refused.content.decode()

    assert act(operator, "service_restart", service.pk, confirm="yes").status_code == 302
    restart = Restart.objects.get()
    assert (restart.state, restart.by, restart.change) == ("planned", "operator", None)
    assert restart.affected["ips"] == [["203.0.113.7", 2], ["203.0.113.9", 1]]
    entry = AuditEntry.objects.get(action="service.restart")
    assert (entry.actor, entry.detail["command"], entry.detail["host"]) == (
        "operator", "nginx", "web1",
    )  # fmt: skip

    again = act(operator, "service_restart", service.pk, confirm="yes")
    assert (again.status_code, Restart.objects.count()) == (409, 1)
    assert "under way" in again.content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda service: fleet.failed(service.host, 1, Code.TIMED_OUT), "no whole table"),
        (lambda service: Service.objects.update(enabled=False), "is off"),
        (lambda service: Service.objects.update(command=None), "No restart command"),
        (lambda service: Host.objects.update(platform="windows"), "POSIX"),
        (lambda service: Host.objects.update(enabled=False), "not watched"),
        (lambda service: Service.objects.update(budget=0), "budget is used up"),
    ],
    ids=["unreachable", "off", "no command", "windows", "disabled", "budget"],
)
def test_a_person_meets_the_same_guard(
    operator: Client, service: Service, change: Callable[[Service], Any], words: str
) -> None:
    change(service)
    refused = act(operator, "service_restart", service.pk, confirm="yes")
    assert refused.status_code == 409
    assert words in refused.content.decode()
    assert not Restart.objects.exists()


def test_a_listener_is_picked_and_saved_as_a_service(admin: Client, page: Page, host: Host) -> None:
    shown = page(admin, f"/services/add/?host={host.pk}")
    pick = f"?host={host.pk}&amp;protocol=tcp&amp;port=8080&amp;name=nginx"
    assert pick in shown
    form = admin.get("/services/add/" + pick.replace("&amp;", "&")).context["form"]
    assert (form["name"].value(), form["port"].value(), form["host"].value()) == (
        "nginx", 8080, str(host.pk),
    )  # fmt: skip
    fields = {"name": "shop", "host": host.pk, "protocol": "tcp", "port": 8080, "enabled": "on"}
    fields |= {"budget": 3, "budget_s": 300}
    refused = act(admin, "service_add", **fields, automatic="on")
    assert refused.status_code == 400
    assert "Choose the command that restarts it." in refused.content.decode()
    assert act(admin, "service_add", **fields).status_code == 302
    twice = act(admin, "service_add", **fields)
    assert "This port of the host is a service already." in twice.content.decode()
    assert pick not in page(admin, f"/services/add/?host={host.pk}"), "it is one already"


def test_a_command_is_typed_one_word_a_line(admin: Client) -> None:
    typed = {"name": "shop", "argv": "service\r\n a b;$(id) \r\n\r\nrestart\r\n", "use_sudo": "on"}
    assert act(admin, "restart_command_add", **typed).status_code == 302
    assert RestartCommand.objects.get().argv == ["service", " a b;$(id) ", "restart"]
    for wrong in ("-rf\n/", "A=b\nid", "$(id)", "a\tb", "bin/x"):
        refused = act(admin, "restart_command_add", name="x", argv=wrong)
        assert refused.status_code == 400, wrong
        assert refused.context["form"].errors.keys() == {"argv"}
        assert refused.context["form"]["argv"].value() == wrong, "what was typed stays"
    twice = act(admin, "restart_command_add", **typed)
    assert twice.context["form"].errors.keys() == {"name"}


def test_a_command_that_is_used_is_not_removed(admin: Client, service: Service) -> None:
    assert service.command is not None
    act(admin, "restart_command_remove", service.command.pk)
    assert RestartCommand.objects.count() == 1
    act(admin, "service_remove", service.pk)
    act(admin, "restart_command_remove", service.command.pk)
    assert (RestartCommand.objects.count(), Service.objects.count()) == (0, 0)


def test_services_of_other_groups_are_absent_in_list_counts_picks_and_forms(
    page: Page, host: Host, service: Service
) -> None:
    group = HostGroup.objects.create(name="mine")
    own = Host.objects.create(name="own", address="192.0.2.7")
    own.groups.add(group)
    limited = browser_of(person("lisa", Role.ADMIN, groups=[group]))
    assert limited.get("/services/").context["chips"][0]["count"] == 0
    assert "web1" not in page(limited, f"/services/add/?host={host.pk}")
    fields = {"name": "x", "host": host.pk, "protocol": "tcp", "port": 22, "budget": 3}
    refused = act(limited, "service_add", **fields, budget_s=300)
    assert refused.context["form"].errors.keys() == {"host"}
    assert act(limited, "service_restart", service.pk, dry_run="yes").status_code == 404
    assert limited.get("/services/commands/").status_code == 403


def test_the_alert_of_a_port_leads_to_its_service(
    viewer: Client, page: Page, service: Service
) -> None:
    alert = Alert.objects.create(
        kind="port",
        fingerprint="port_down:tcp/8080",
        host=service.host,
        subject="tcp/8080 nginx",
        facts={"event": "port_down", "protocol": "tcp", "port": 8080},
        opened_at=timezone.now(),
        newest_at=timezone.now(),
    )
    shown = page(viewer, reverse("alert", args=[alert.pk]))
    assert reverse("service", args=[service.pk]) in shown
