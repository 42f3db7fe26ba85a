"""The pages of hosts, credentials, host keys and import: who sees what, what never shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hosts import credentials, inventory, keys
from hosts.models import Credential, Host, HostGroup, HostKey
from hosts.target import Trust
from netadmin.access.models import AuditEntry, Role
from tests.hosts.test_credentials import ED25519, pem
from tests.hosts.test_csv_import import HEADER
from tests.hosts.test_keys import Met, key
from tests.people import browser_of, person

pytestmark = pytest.mark.django_db

CANARY = "canary-3f9a-secret"


@pytest.fixture
def host(deploy: Credential, group: HostGroup) -> Host:
    """A host of the group ``web``."""
    data = {"name": "web-1", "address": "192.0.2.10", "credential": deploy, "groups": [group]}
    return inventory.create_host(data, request=None)


@pytest.fixture
def other(deploy: Credential) -> Host:
    """A host of no group."""
    data = {"name": "db-1", "address": "192.0.2.20", "credential": deploy}
    return inventory.create_host(data, request=None)


def page_form(**given: Any) -> dict[str, Any]:
    """What a browser posts from "Add a host" as it is first shown."""
    data = {
        "name": "new-1",
        "address": "192.0.2.30",
        "port": "22",
        "platform": "auto",
        "enabled": "on",
        "keep_connection": "on",
        "credential_from": "stored",
        "new_method": "password",
        "new_sudo": "none",
    }
    return {name: value for name, value in (data | given).items() if value is not None}


def host_form(host: Host, **given: Any) -> dict[str, Any]:
    stored = {
        "name": host.name,
        "address": host.address,
        "port": str(host.port),
        "credential": str(host.credential_id),
        "groups": [str(group.pk) for group in host.groups.all()],
    }
    return page_form(**(stored | given))


# --- who ---


def test_only_what_is_in_ones_groups_is_listed(host: Host, other: Host, group: HostGroup) -> None:
    for role in Role:
        limited = browser_of(person(f"limited-{role}", role, groups=[group]))
        text = limited.get("/hosts/").content.decode()
        assert "web-1" in text
        assert "db-1" not in text
        exported = limited.get("/hosts/?format=csv").getvalue().decode()  # type: ignore[attr-defined]
        assert "web-1" in exported
        assert "db-1" not in exported


def test_who_does_not_administer_sees_no_credential(host: Host) -> None:
    viewer = browser_of(person("vera", Role.VIEWER))
    assert "deploy" not in viewer.get("/hosts/").content.decode()
    assert "deploy" not in viewer.get("/hosts/?format=csv").getvalue().decode()  # type: ignore[attr-defined]
    admin = browser_of(person("ada", Role.ADMIN))
    assert "deploy" in admin.get("/hosts/").content.decode()


@pytest.mark.parametrize("name", ["host_edit", "host_remove"])
def test_a_host_outside_ones_groups_is_absent(
    name: str, host: Host, other: Host, group_admin: User
) -> None:
    browser = browser_of(group_admin)
    assert browser.get(reverse(name, args=[host.pk])).status_code == 200
    outside = browser.get(reverse(name, args=[other.pk]))
    absent = browser.get(reverse(name, args=[999_999]))
    assert (outside.status_code, absent.status_code) == (404, 404)
    assert browser.post(reverse(name, args=[other.pk]), host_form(other)).status_code == 404
    assert Host.objects.get(pk=other.pk).removed_at is None


@pytest.mark.parametrize("name", ["credentials", "credential_add", "host_import"])
def test_what_belongs_to_the_whole_site_is_for_administrators_of_it(
    name: str, admin: User, group_admin: User
) -> None:
    assert browser_of(admin).get(reverse(name)).status_code == 200
    assert browser_of(group_admin).get(reverse(name)).status_code == 403
    for role in (Role.VIEWER, Role.OPERATOR):
        assert browser_of(person(f"p{role}", role)).get(reverse(name)).status_code == 403


@pytest.mark.parametrize("name", ["host_add", "host_keys"])
def test_no_one_below_an_administrator_adds_hosts_or_decides_keys(name: str) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        assert browser_of(person(f"p{role}", role)).get(reverse(name)).status_code == 403


# --- adding and editing ---


def test_a_host_is_added_with_a_new_credential_in_one_page(admin: User) -> None:
    data = page_form(credential_from="new", new_user="ops", new_password=CANARY)
    answer = browser_of(admin).post("/hosts/add/", data)
    assert answer.status_code == 302, answer.content.decode()
    made = Host.objects.get()
    assert made.credential is not None
    assert made.credential.name == "ops@new-1"
    assert made.credential.secret("password") == CANARY
    assert CANARY not in str(list(AuditEntry.objects.values()))


def test_a_host_is_added_with_a_stored_credential(admin: User, deploy: Credential) -> None:
    data = page_form(credential=str(deploy.pk))
    assert browser_of(admin).post("/hosts/add/", data).status_code == 302
    assert Host.objects.get().credential == deploy


def test_this_machine_needs_neither_address_nor_credential(admin: User) -> None:
    data = page_form(is_local="on", address="")
    assert browser_of(admin).post("/hosts/add/", data).status_code == 302
    assert Host.objects.get().is_local


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"port": "70000"}, "port"),
        ({"port": "２２"}, "port"),
        ({"port": ""}, "port"),
        ({"name": "$(id)"}, "name"),
        ({"address": "a;b"}, "address"),
        ({"address": ""}, "address"),
        ({"credential": None}, "credential"),
        ({"credential": "999999"}, "credential"),
        ({"credential_from": "new", "new_user": "ops"}, "new_password"),
        ({"credential_from": "new", "new_password": "p"}, "new_user"),
        ({"credential_from": "new", "new_user": "a b", "new_password": "p"}, "new_user"),
        ({"interval_s": "1"}, "interval_s"),
        ({"jump_host": "abc"}, "jump_host"),
        ({"notes": "a\x00b"}, "notes"),
    ],
)
def test_a_mistake_is_shown_beside_its_field_and_nothing_is_saved(
    admin: User, deploy: Credential, given: dict[str, Any], field: str
) -> None:
    data = page_form(**({"credential": str(deploy.pk)} | given))
    answer = browser_of(admin).post("/hosts/add/", data)
    assert answer.status_code == 400
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not Host.objects.exists()
    assert Credential.objects.count() == 1


def test_no_secret_comes_back_in_a_page_with_a_mistake(admin: User) -> None:
    given = {"port": "0", "credential_from": "new", "new_user": "ops", "new_password": CANARY}
    given |= {"new_private_key": CANARY, "new_passphrase": CANARY, "new_sudo_password": CANARY}
    answer = browser_of(admin).post("/hosts/add/", page_form(**given))
    assert answer.status_code == 400
    assert CANARY not in answer.content.decode()


def test_no_stored_secret_is_in_any_page(admin: User) -> None:
    text = pem(ED25519, passphrase=CANARY)
    data = {"name": "k", "user": "ops", "method": "key", "private_key": text, "passphrase": CANARY}
    data |= {"sudo": "password", "sudo_password": CANARY}
    credential = credentials.create(data, request=None)
    given = {"name": "a", "address": "192.0.2.1", "credential": credential}
    made = inventory.create_host(given, request=None)
    sealed = [getattr(credential, f"{field}_encrypted") for field in Credential.SECRET_FIELDS]
    hidden = [CANARY, *text.splitlines()[1:-1], *filter(None, sealed)]
    browser = browser_of(admin)
    for url in (
        "/hosts/",
        "/hosts/?format=csv",
        "/hosts/add/",
        "/hosts/keys/",
        "/hosts/import/",
        "/credentials/",
        "/credentials/add/",
        f"/credentials/{credential.pk}/edit/",
        f"/hosts/{made.pk}/edit/",
        f"/hosts/{made.pk}/remove/",
        "/audit/",
    ):
        answer = browser.get(url)
        assert answer.status_code == 200, url
        page = (answer.getvalue() if answer.streaming else answer.content).decode()  # type: ignore[attr-defined]
        assert not [secret for secret in hidden if secret in page], url


def test_editing_keeps_what_is_blank(admin: User, host: Host, deploy: Credential) -> None:
    url = f"/hosts/{host.pk}/edit/"
    assert browser_of(admin).post(url, host_form(host, notes="x")).status_code == 302
    host.refresh_from_db()
    assert (host.notes, host.credential, host.groups.count()) == ("x", deploy, 1)


def test_a_new_address_asks_for_the_secret_again(admin: User, host: Host) -> None:
    browser, url = browser_of(admin), f"/hosts/{host.pk}/edit/"
    moved = host_form(host, address="192.0.2.66")
    answer = browser.post(url, moved)
    assert answer.status_code == 400
    assert 'id="id_confirm_secret_error"' in answer.content.decode()
    assert Host.objects.get().address == "192.0.2.10"
    assert browser.post(url, {**moved, "confirm_secret": "s3cret-pass"}).status_code == 302
    assert Host.objects.get().address == "192.0.2.66"


def test_removing_asks_once(admin: User, host: Host) -> None:
    browser, url = browser_of(admin), f"/hosts/{host.pk}/remove/"
    assert "web-1" in browser.get(url).content.decode()
    assert Host.objects.kept().exists()
    assert browser.post(url).status_code == 302
    assert not Host.objects.kept().exists()
    assert browser.get(f"/hosts/{host.pk}/edit/").status_code == 404


def test_removing_a_jump_host_in_use_says_who_uses_it(admin: User, host: Host) -> None:
    behind = {"name": "inner", "address": "10.0.0.1", "jump_host": host}
    inventory.create_host(behind, request=None)
    answer = browser_of(admin).post(f"/hosts/{host.pk}/remove/")
    assert answer.status_code == 400
    assert "inner" in answer.content.decode()


def test_credentials_are_added_changed_and_deleted(admin: User) -> None:
    browser = browser_of(admin)
    data = {"name": "c", "user": "ops", "method": "password", "sudo": "none", "password": CANARY}
    assert browser.post("/credentials/add/", data).status_code == 302
    row = Credential.objects.get()
    blank = {**data, "password": "", "user": "root"}
    assert browser.post(f"/credentials/{row.pk}/edit/", blank).status_code == 302
    row.refresh_from_db()
    assert (row.user, row.secret("password"), row.version) == ("root", CANARY, 2)
    wrong = browser.post(f"/credentials/{row.pk}/edit/", {**blank, "method": "key"})
    assert wrong.status_code == 400
    assert 'id="id_private_key_error"' in wrong.content.decode()
    assert browser.post(f"/credentials/{row.pk}/remove/").status_code == 302
    assert not Credential.objects.exists()


# --- the list ---


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["db-1", "web-1"]),
        ("?sort=-name", ["web-1", "db-1"]),
        ("?sort=address", ["web-1", "db-1"]),
        ("?sort=rubbish", ["db-1", "web-1"]),
        ("?q=WEB", ["web-1"]),
        ("?q=192.0.2.20", ["db-1"]),
        ("?q=%00", []),
        ("?group=x", []),
        ("?group=99999999999999999999", []),
        ("?state=disabled", []),
        ("?page=99", ["db-1", "web-1"]),
        ("?page=x", ["db-1", "web-1"]),
    ],
)
def test_the_list_is_filtered_and_sorted_by_the_address(
    admin: User, host: Host, other: Host, query: str, names: list[str]
) -> None:
    answer = browser_of(admin).get(f"/hosts/{query}")
    assert answer.status_code == 200
    assert [row.name for row in answer.context["page"]] == names


def test_the_list_costs_the_same_for_any_number_of_hosts(admin: User, host: Host) -> None:
    browser = browser_of(admin)

    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            browser.get("/hosts/")
        return len(queries)

    count()
    few = count()
    for number in range(30):
        data = {"name": f"h{number}", "address": "192.0.2.1", "groups": list(host.groups.all()),
                "credential": host.credential, "jump_host": host}  # fmt: skip
        inventory.create_host(data, request=None)
    assert count() == few


def test_hostile_notes_are_escaped(admin: User, host: Host) -> None:
    inventory.change_host(host, {"notes": "<script>alert(1)</script>"}, request=None)
    text = browser_of(admin).get("/hosts/").content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


# --- host keys ---


def test_a_new_key_is_shown_with_its_fingerprint_and_approved(admin: User, host: Host) -> None:
    row = keys.offered(Met(key(), address=host.address))
    browser = browser_of(admin)
    text = browser.get("/hosts/keys/").content.decode()
    assert row.fingerprint in text
    assert "web-1" in text
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in text
    assert HostKey.objects.get().trust == "pending", "looking approves nothing"
    assert browser.get(f"/hosts/keys/{row.pk}/").status_code == 405
    assert browser.post(f"/hosts/keys/{row.pk}/", {"trust": "maybe"}).status_code == 302
    assert HostKey.objects.get().trust == "pending"
    browser.post(f"/hosts/keys/{row.pk}/", {"trust": "trusted"})
    assert HostKey.objects.get().trust == "trusted"
    assert HostKey.objects.get().decided_by == "anna"


def test_a_changed_key_is_shown_beside_the_trusted_one(
    admin: User, host: Host, by_admin: HttpRequest
) -> None:
    old, new = (keys.offered(Met(key(n), address=host.address)) for n in (1, 2))
    keys.decide(old, Trust.TRUSTED, request=by_admin)
    text = browser_of(admin).get("/hosts/keys/").content.decode()
    pending = text[: text.index("decided-title")]
    assert old.fingerprint in pending
    assert new.fingerprint in pending
    assert "Changed" in pending


def test_a_group_administrator_decides_only_keys_of_its_hosts(
    group_admin: User, host: Host, other: Host
) -> None:
    mine, theirs = (keys.offered(Met(key(h.pk), address=h.address)) for h in (host, other))
    browser = browser_of(group_admin)
    text = browser.get("/hosts/keys/").content.decode()
    assert mine.fingerprint in text
    assert theirs.fingerprint not in text
    assert browser.post(f"/hosts/keys/{theirs.pk}/", {"trust": "trusted"}).status_code == 404
    assert browser.post(f"/hosts/keys/{mine.pk}/", {"trust": "trusted"}).status_code == 302
    assert set(HostKey.objects.values_list("pk", "trust")) == {
        (mine.pk, "trusted"),
        (theirs.pk, "pending"),
    }


# --- import ---


def test_an_import_shows_each_fate_and_stores_when_confirmed(admin: User) -> None:
    browser = browser_of(admin)
    file = SimpleUploadedFile("h.csv", f"{HEADER}\n甲,192.0.2.1,,,,,,,,\n".encode("gbk"))
    shown = browser.post("/hosts/import/", {"file": file})
    assert shown.status_code == 200
    assert "甲" in shown.content.decode()
    assert not Host.objects.exists()
    outcome, text = shown.context["outcome"], shown.context["text"]
    stored = browser.post("/hosts/import/", {"text": text, "confirm": outcome.digest})
    assert stored.status_code == 302
    assert Host.objects.get().name == "甲"


def test_a_confirmation_holds_only_for_what_was_shown(admin: User) -> None:
    browser = browser_of(admin)
    text = f"{HEADER}\na,192.0.2.1,,,,,,,,\n"
    digest = browser.post("/hosts/import/", {"text": text}).context["outcome"].digest
    inventory.create_host({"name": "a", "address": "192.0.2.9"}, request=None)
    answer = browser.post("/hosts/import/", {"text": text, "confirm": digest})
    assert answer.status_code == 400
    assert "Look again" in answer.content.decode()
    assert Host.objects.get().address == "192.0.2.9"
    other = browser.post("/hosts/import/", {"text": text + "b,192.0.2.2\n", "confirm": digest})
    assert other.status_code == 400
    assert Host.objects.count() == 1


@pytest.mark.parametrize("text", ["", "rubbish", "name,address\na;b,c\n", "name,address\n,\nx,\n"])
def test_a_broken_file_is_said_and_stores_nothing(admin: User, text: str) -> None:
    answer = browser_of(admin).post("/hosts/import/", {"text": text, "confirm": "x"})
    assert answer.status_code == 400
    assert not Host.objects.exists()
