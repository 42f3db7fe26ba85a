"""Testing a connection from the host form, against a real OpenSSH server (trust 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from hosts import credentials, inventory, keys
from hosts.models import Credential, Host, HostGroup, HostKey
from hosts.target import Trust
from netadmin.access.models import AuditEntry, Role
from probes.models import Snapshot
from probes.observation import EXPLANATIONS, Code
from tests.people import browser_of, person
from tests.servers import free_port
from tests.sshd import Sshd, toolbox

pytestmark = pytest.mark.django_db

TABLE = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
"""
URL = "/hosts/test/"
HTMX = {"HX-Request": "true"}


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server whose sessions find a netstat that prints TABLE."""
    folder = tmp_path_factory.mktemp("sshd")
    path = toolbox(folder / "bin", netstat=f"cat <<'END'\n{TABLE}END")
    with Sshd(folder / "server", environment={"PATH": str(path)}) as server:
        yield server


@pytest.fixture
def admin(db: None) -> User:
    """Administers all hosts."""
    return person("anna", Role.ADMIN)


@pytest.fixture
def browser(admin: User) -> Client:
    """Its browser."""
    return browser_of(admin)


def form(port: int, **given: Any) -> dict[str, Any]:
    """The form of "Add a host" with a new credential."""
    data = {"name": "new-1", "address": "127.0.0.1", "port": str(port), "platform": "auto"}
    data |= {"credential_from": "new", "new_method": "key", "new_sudo": "none", "enabled": "on"}
    return data | given


def by_key(sshd: Sshd, **given: Any) -> dict[str, Any]:
    return form(sshd.port, new_user=sshd.user, new_private_key=sshd.client_key, **given)


def trust_the_server(sshd: Sshd) -> None:
    for pin in sshd.pins:
        row = HostKey.objects.create(
            address="127.0.0.1",
            port=sshd.port,
            key_type=pin.key_type,
            key_base64=pin.key_base64,
            fingerprint=keys.fingerprint(pin.key_base64),
        )
        keys.decide(row, Trust.TRUSTED, request=None)


def states(answer: Any) -> list[str]:
    """How each step ended, in order."""
    return [step.icon for step in answer.context["steps"]]


def test_a_new_host_is_tested_approved_and_found_usable_before_it_is_saved(
    browser: Client, sshd: Sshd
) -> None:
    first = browser.post(URL, by_key(sshd), headers=HTMX)
    assert first.status_code == 200
    assert states(first) == ["ok", "bad", "off", "off", "off"]
    row = HostKey.objects.get()
    assert row.trust == "pending"
    text = first.content.decode()
    assert row.fingerprint in text
    assert EXPLANATIONS[Code.HOST_KEY_UNKNOWN][0] in text
    assert "<html" not in text, "htmx gets the result alone"
    second = browser.post(URL, by_key(sshd, approve_key=str(row.pk)), headers=HTMX)
    assert states(second)[:4] == ["ok", "ok", "ok", "ok"]
    row.refresh_from_db()
    assert (row.trust, row.decided_by) == ("trusted", "anna")
    assert not Host.objects.exists()
    assert not Credential.objects.exists()
    assert not Snapshot.objects.exists()
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["connection.test", "hostkey.approve", "connection.test"]
    assert sshd.client_key.splitlines()[1] not in text + second.content.decode()


def test_without_javascript_the_whole_page_answers_and_holds_no_secret(
    browser: Client, sshd: Sshd
) -> None:
    trust_the_server(sshd)
    answer = browser.post(URL, by_key(sshd))
    text = answer.content.decode()
    assert "<html" in text
    assert states(answer)[:4] == ["ok"] * 4
    assert 'value="new-1"' in text
    assert sshd.client_key.splitlines()[1] not in text


def test_a_refused_port_says_so_with_its_fix(browser: Client) -> None:
    data = form(free_port(), new_method="password", new_user="ops", new_password="p")
    answer = browser.post(URL, data, headers=HTMX)
    assert states(answer) == ["bad", "off", "off", "off", "off"]
    assert EXPLANATIONS[Code.CONNECTION_REFUSED][1] in answer.content.decode()


def test_a_wrong_login_says_so(browser: Client, sshd: Sshd) -> None:
    trust_the_server(sshd)
    data = form(sshd.port, new_method="password", new_user=sshd.user, new_password="wrong")
    answer = browser.post(URL, data, headers=HTMX)
    assert states(answer) == ["ok", "ok", "bad", "off", "off"]
    assert "wrong" not in answer.content.decode()


def test_a_mistake_in_the_form_tries_nothing(browser: Client, sshd: Sshd) -> None:
    answer = browser.post(URL, by_key(sshd) | {"port": "70000"}, headers=HTMX)
    assert "SSH port" in answer.content.decode()
    assert "steps" not in answer.context
    assert not HostKey.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_stored_secret_is_tested_at_no_new_address_without_being_typed(
    browser: Client, sshd: Sshd
) -> None:
    trust_the_server(sshd)
    data = {"name": "deploy", "user": sshd.user, "method": "password", "password": "stored-pass"}
    credential = credentials.create(data, request=None)
    given = {"name": "a", "address": "192.0.2.1", "credential": credential}
    host = inventory.create_host(given, request=None)
    moved = form(sshd.port, name="a", host=str(host.pk), credential_from="stored")
    moved["credential"] = str(credential.pk)
    answer = browser.post(URL, moved, headers=HTMX)
    assert "steps" not in answer.context
    assert "Type it again" in answer.content.decode()
    assert not AuditEntry.objects.filter(action="connection.test").exists()
    typed = browser.post(URL, {**moved, "confirm_secret": "stored-pass"}, headers=HTMX)
    assert states(typed)[:2] == ["ok", "ok"]
    assert "stored-pass" not in typed.content.decode()


def test_only_a_key_of_that_address_can_be_approved_here(browser: Client, sshd: Sshd) -> None:
    limited = person("greta", Role.ADMIN, groups=[HostGroup.objects.create(name="web")])
    elsewhere = HostKey.objects.create(
        address="192.0.2.1", port=22, key_type="ssh-ed25519", key_base64="AAAA", fingerprint="f"
    )
    group = HostGroup.objects.get()
    data = by_key(sshd, approve_key=str(elsewhere.pk), groups=[str(group.pk)])
    answer = browser_of(limited).post(URL, data, headers=HTMX)
    assert "steps" not in answer.context
    elsewhere.refresh_from_db()
    assert elsewhere.trust == "pending"
    for odd in ("x", "-1", "９", "9" * 30):
        assert browser.post(URL, by_key(sshd, approve_key=odd), headers=HTMX).status_code == 200


def test_hosts_outside_ones_groups_are_absent_and_others_may_not_test(sshd: Sshd) -> None:
    group = HostGroup.objects.create(name="web")
    host = inventory.create_host({"name": "a", "address": "192.0.2.1"}, request=None)
    limited = browser_of(person("greta", Role.ADMIN, groups=[group]))
    assert limited.post(URL, by_key(sshd, host=str(host.pk))).status_code == 404
    assert limited.post(URL, by_key(sshd, host="x")).status_code == 404
    for role in (Role.VIEWER, Role.OPERATOR):
        assert browser_of(person(f"p{role}", role)).post(URL, by_key(sshd)).status_code == 403


def test_the_admin_tests_chosen_hosts_together(browser: Client, sshd: Sshd) -> None:
    key = {"name": "k", "user": sshd.user, "method": "key", "private_key": sshd.client_key}
    credentials.create(key, request=None)
    made = [
        inventory.create_host(
            {"name": name, "address": "127.0.0.1", "port": port, "credential": credential},
            request=None,
        )
        for name, port, credential in (
            ("up", sshd.port, "k"),
            ("down", free_port(), "k"),
            ("bare", 22, None),
        )
    ]
    trust_the_server(sshd)
    data = {"action": "test_connection", "_selected_action": [host.pk for host in made]}
    answer = browser.post("/admin/hosts/host/", data, follow=True)
    said = sorted(str(message) for message in answer.context["messages"])
    assert len(said) == 3
    assert said[0].startswith("bare: No credential")
    assert said[1].startswith("down: Connection refused")
    assert said[2] == "up: works"
    assert AuditEntry.objects.filter(action="connection.test").count() == 3
