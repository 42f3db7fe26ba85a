"""The Django admin of hosts: every page without a secret, every change recorded, actions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.urls import reverse

from hosts import credentials, inventory, keys
from hosts.models import Credential, Host, HostGroup, HostKey
from netadmin.access.models import AuditEntry, Role
from probes.models import Schedule, Snapshot
from tests.hosts.test_credentials import ED25519, pem
from tests.hosts.test_keys import Met, key
from tests.people import browser_of, person

pytestmark = pytest.mark.django_db

CANARY = "canary-77b1-secret"


@pytest.fixture
def secretive() -> Credential:
    """A credential with a secret in every field its method uses."""
    text = pem(ED25519, passphrase=CANARY)
    data = {"name": "k", "user": "ops", "method": "key", "private_key": text, "passphrase": CANARY}
    return credentials.create({**data, "sudo": "password", "sudo_password": CANARY}, request=None)


@pytest.fixture
def host(secretive: Credential) -> Host:
    """A host that uses it."""
    data = {"name": "web-1", "address": "192.0.2.10", "credential": secretive}
    return inventory.create_host(data, request=None)


def form_of(page: Any) -> dict[str, Any]:
    """What a browser would post back from an admin form as it was shown."""
    form = page.context["adminform"].form
    data: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value not in (None, False, ""):
            data[field.html_name] = "on" if value is True else value
    return data


def test_no_page_of_the_admin_renders_a_secret(
    admin: User, host: Host, secretive: Credential
) -> None:
    HostGroup.objects.create(name="g")
    keys.offered(Met(key(), address=host.address))
    browser = browser_of(admin)
    sealed = [getattr(secretive, f"{field}_encrypted") for field in Credential.SECRET_FIELDS]
    private_key = secretive.secret("private_key")
    assert private_key is not None
    hidden = [CANARY, *private_key.splitlines()[1:-1], *filter(None, sealed)]
    seen = 0
    for model, registered in django_admin.site._registry.items():
        label = f"{model._meta.app_label}_{model._meta.model_name}"
        urls = [reverse(f"admin:{label}_changelist")]
        request: Any = browser.get("/admin/").wsgi_request
        if registered.has_add_permission(request):
            urls.append(reverse(f"admin:{label}_add"))
        for row in model._default_manager.all()[:5]:
            urls += [
                reverse(f"admin:{label}_{page}", args=[row.pk]) for page in ("change", "history")
            ]
        for url in urls:
            answer = browser.get(url)
            assert answer.status_code == 200, url
            text = answer.content.decode()
            assert not [secret for secret in hidden if secret in text], url
            seen += 1
    assert seen > 15


def test_only_administrators_of_all_hosts_come_in(group_admin: User, host: Host) -> None:
    for user in (group_admin, person("otto", Role.OPERATOR), person("vera", Role.VIEWER)):
        for url in ("/admin/", "/admin/hosts/host/", f"/admin/hosts/host/{host.pk}/change/"):
            assert browser_of(user).get(url).status_code == 403


def test_a_credential_is_added_and_changed_and_recorded(admin: User) -> None:
    browser = browser_of(admin)
    data = {"name": "c", "user": "ops", "method": "password", "sudo": "none", "password": CANARY}
    answer = browser.post("/admin/hosts/credential/add/", data)
    assert answer.status_code == 302, answer.content.decode()
    row = Credential.objects.get()
    assert row.secret("password") == CANARY
    url = f"/admin/hosts/credential/{row.pk}/change/"
    browser.post(url, {**form_of(browser.get(url)), "user": "root"})
    row.refresh_from_db()
    assert (row.user, row.secret("password"), row.version) == ("root", CANARY, 2)
    browser.post(url, {**form_of(browser.get(url)), "password": "other"})
    row.refresh_from_db()
    assert row.secret("password") == "other"
    said = list(AuditEntry.objects.filter(kind="hosts.credential").order_by("pk"))
    assert [entry.action for entry in said] == ["credential.add"] + ["credential.change"] * 2
    assert said[2].detail == {"password": ["***", "***"]}
    assert CANARY not in str([entry.detail for entry in said])


def test_a_mistake_is_shown_and_nothing_is_saved(admin: User) -> None:
    data = {"name": "c", "user": "a;b", "method": "key", "sudo": "none", "private_key": CANARY}
    answer = browser_of(admin).post("/admin/hosts/credential/add/", data)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "errorlist" in text
    assert CANARY not in text
    assert not Credential.objects.exists()


def test_a_host_is_added_and_its_address_changes_only_with_the_secret(
    admin: User, deploy: Credential
) -> None:
    browser = browser_of(admin)
    group = HostGroup.objects.create(name="g")
    data = {"name": "a", "address": "192.0.2.1", "port": "22", "platform": "auto", "enabled": "on"}
    data |= {"credential": str(deploy.pk), "groups": str(group.pk)}
    answer = browser.post("/admin/hosts/host/add/", data)
    assert answer.status_code == 302, answer.content.decode()
    made = Host.objects.get()
    assert list(made.groups.all()) == [group]
    url = f"/admin/hosts/host/{made.pk}/change/"
    moved = {**data, "address": "192.0.2.66"}
    assert "Type it again" in browser.post(url, moved).content.decode()
    assert browser.post(url, {**moved, "confirm_secret": "s3cret-pass"}).status_code == 302
    made.refresh_from_db()
    assert made.address == "192.0.2.66"
    entry = AuditEntry.objects.get(action="host.change")
    assert entry.detail["address"] == ["192.0.2.1", "192.0.2.66"]
    assert "s3cret-pass" not in str(entry.detail)


def act(browser: Any, model: str, action: str, *rows: Any, **more: Any) -> str:
    """Run an action of a list and give the page it leads to."""
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    answer = browser.post(f"/admin/hosts/{model}/", data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_hosts_are_enabled_disabled_and_probed_from_the_list(admin: User, host: Host) -> None:
    browser = browser_of(admin)
    act(browser, "host", "disable", host)
    assert not Host.objects.get().enabled
    act(browser, "host", "enable", host)
    assert Host.objects.get().enabled
    act(browser, "host", "probe_now", host)
    assert Schedule.objects.get(host=host).requested_by == "anna"
    actions = AuditEntry.objects.filter(actor="anna").values_list("action", flat=True)
    assert sorted(actions) == ["host.change", "host.change", "probe.now"]


def test_deleting_removes_and_keeps_the_history(admin: User, host: Host) -> None:
    browser = browser_of(admin)
    text = act(browser, "host", "delete_selected", host)
    assert "web-1" in text
    assert Host.objects.kept().exists()
    act(browser, "host", "delete_selected", host, post="yes")
    assert Host.objects.filter(pk=host.pk).exclude(removed_at=None).exists()
    assert list(AuditEntry.objects.filter(actor="anna").values_list("action", flat=True)) == [
        "host.remove"
    ]


def test_a_jump_host_in_use_cannot_be_deleted_but_with_its_users(admin: User, host: Host) -> None:
    inner = inventory.create_host(
        {"name": "inner", "address": "10.0.0.1", "jump_host": host}, request=None
    )
    browser = browser_of(admin)
    act(browser, "host", "delete_selected", host, post="yes")
    assert Host.objects.kept().count() == 2
    act(browser, "host", "delete_selected", host, inner, post="yes")
    assert Host.objects.kept().count() == 0


def test_keys_are_approved_and_refused_from_the_list(admin: User, host: Host) -> None:
    row = keys.offered(Met(key(), address=host.address))
    browser = browser_of(admin)
    assert row.fingerprint in browser.get("/admin/hosts/hostkey/").content.decode()
    assert row.fingerprint in act(browser, "hostkey", "approve", row)
    assert HostKey.objects.get().trust == "trusted"
    act(browser, "hostkey", "refuse", row)
    assert HostKey.objects.get().trust == "refused"
    said = AuditEntry.objects.filter(kind="hosts.hostkey").order_by("pk")
    assert [entry.action for entry in said] == ["hostkey.approve", "hostkey.refuse"]


def test_a_key_cannot_be_typed_in(admin: User, host: Host) -> None:
    row = keys.offered(Met(key(), address=host.address))
    browser = browser_of(admin)
    assert browser.get("/admin/hosts/hostkey/add/").status_code == 403
    page = browser.get(f"/admin/hosts/hostkey/{row.pk}/change/").content.decode()
    assert not re.search(r'<(input|textarea)[^>]*name="(trust|key_base64|fingerprint)"', page)


def test_snapshots_are_read_only(admin: User, host: Host) -> None:
    snapshot = Snapshot.objects.create(host=host, taken_at=host.created_at, outcome="ok")
    browser = browser_of(admin)
    assert browser.get("/admin/probes/snapshot/add/").status_code == 403
    url = f"/admin/probes/snapshot/{snapshot.pk}/change/"
    assert browser.get(url).status_code == 200
    assert browser.post(url, {"outcome": "failed"}).status_code == 403


def test_the_list_says_how_each_host_does(admin: User, host: Host) -> None:
    text = browser_of(admin).get("/admin/hosts/host/?q=web").content.decode()
    assert "Not probed yet" in text
