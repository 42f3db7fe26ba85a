"""Hosts: every refusal names its field, a stored secret goes nowhere new unasked (trust 7), and
names are no commands (trust 14)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from hosts import credentials, inventory
from hosts.models import Credential, Host, HostGroup
from netadmin.access.models import AuditEntry, Role
from tests.people import person

pytestmark = pytest.mark.django_db

NASTY = [
    "a;b",
    "$(id)",
    "`id`",
    "a\nb",
    "a\r",
    "-oProxyCommand=x",
    "a\x00b",
    "a\u2028b",
    '"',
    "<b>",
]


def errors(
    data: dict[str, Any], host: Host | None = None, *, request: HttpRequest | None = None
) -> dict[str, str]:
    """What is wrong, by field; nothing may have been stored."""
    before = Host.objects.count(), AuditEntry.objects.count(), Credential.objects.count()
    save = inventory.create_host if host is None else partial(inventory.change_host, host)
    with pytest.raises(ValidationError) as caught:
        save(data, request=request)
    after = Host.objects.count(), AuditEntry.objects.count(), Credential.objects.count()
    assert after == before
    return {name: " ".join(found) for name, found in caught.value.message_dict.items()}


@pytest.fixture
def host(deploy: Credential) -> Host:
    """A host that logs in with the credential ``deploy``."""
    data = {"name": "web-1", "address": "192.0.2.10", "credential": deploy}
    return inventory.create_host(data, request=None)


def test_a_host_is_added_with_all_it_has_and_recorded(
    deploy: Credential, group: HostGroup, by_admin: HttpRequest
) -> None:
    bastion = inventory.create_host({"name": "bastion", "address": "192.0.2.1"}, request=None)
    made = inventory.create_host(
        {
            "name": "web-1",
            "address": "WEB-1.Example.COM.",
            "port": "2222",
            "platform": "linux",
            "credential": "deploy",
            "groups": [group.pk],
            "jump_host": bastion.pk,
            "interval_s": 30,
            "notes": "behind\nthe balancer",
        },
        request=by_admin,
    )
    stored = Host.objects.get(pk=made.pk)
    assert (stored.address, stored.port) == ("web-1.example.com", 2222)
    assert (stored.credential, stored.jump_host) == (deploy, bastion)
    assert list(stored.groups.all()) == [group]
    entry = AuditEntry.objects.get(action="host.add", actor="anna")
    assert entry.detail["credential"] == [None, "deploy"]
    assert entry.detail["groups"] == [None, ["web"]]


def test_a_new_credential_is_made_with_the_host_or_not_at_all() -> None:
    new = {"name": "fresh", "user": "ops", "method": "password", "password": "p"}
    data = {"name": "a", "address": "192.0.2.1", "new_credential": new}
    assert set(errors({**data, "port": 0})) == {"port"}
    assert set(errors({**data, "new_credential": {**new, "password": ""}})) == {
        "new_credential.password"
    }
    made = inventory.create_host(data, request=None)
    assert made.credential is not None
    assert made.target().login == made.credential.login()


@pytest.mark.parametrize("name", [*NASTY, "", " lead", "x" * 101])
def test_a_name_with_what_a_shell_or_page_could_read_is_refused(name: str) -> None:
    assert set(errors({"name": name, "address": "192.0.2.1"})) == {"name"}


@pytest.mark.parametrize(
    "address",
    [*NASTY, "", "a b", "http://a", "a:22", "12345", "a..b", "-a.example", "x" * 254, "١.١.١.١",
     "fe80::1%eth0;id", "fe80::1%$(id)", "fe80::1%", "fe80::1%-o", "user@host"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    assert set(errors({"name": "a", "address": address})) == {"address"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("Host_1.Example.", "host_1.example"),
        ("xn--fiqs8s.example", "xn--fiqs8s.example"),
    ],
)
def test_an_address_is_kept_in_one_spelling(given: str, stored: str) -> None:
    assert inventory.create_host({"name": "a", "address": given}, request=None).address == stored


@pytest.mark.parametrize(
    "port", [0, -1, 65536, "", None, "22x", "0x16", "1_0", "２２", 2.5, True, "9" * 40, [22], "NaN"]
)
def test_a_port_out_of_range_or_in_odd_script_is_refused(port: Any) -> None:
    assert set(errors({"name": "a", "address": "192.0.2.1", "port": port})) == {"port"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interval_s", 4),
        ("interval_s", 86_401),
        ("interval_s", "soon"),
        ("platform", "plan9"),
        ("enabled", "perhaps"),
        ("enabled", 1),
        ("notes", "x" * 10_001),
        ("notes", "a\x00b"),
        ("notes", "\ud800"),
        ("notes", 7),
        ("groups", "web"),
        ("groups", ["absent"]),
        ("groups", [None]),
        ("groups", [-1, 2**70]),
        ("credential", "absent"),
        ("credential", 2**70),
        ("credential", True),
        ("jump_host", "absent"),
        ("colour", "red"),
        ("removed_at", "2026-01-01"),
        ("id", 1),
    ],
)
def test_each_field_is_checked_by_name(field: str, value: Any) -> None:
    assert set(errors({"name": "a", "address": "192.0.2.1", field: value})) == {field}


def test_what_is_not_given_stays(host: Host) -> None:
    changed = inventory.change_host(host, {"notes": "new"}, request=None)
    assert (changed.name, changed.credential_id) == ("web-1", host.credential_id)
    assert AuditEntry.objects.get(action="host.change").detail == {"notes": ["", "new"]}


def test_a_change_of_nothing_is_not_recorded(host: Host) -> None:
    inventory.change_host(host, {"name": "web-1", "port": "22"}, request=None)
    assert not AuditEntry.objects.filter(action="host.change").exists()


def test_a_name_is_free_again_after_its_host_was_removed(host: Host) -> None:
    assert set(errors({"name": "web-1", "address": "192.0.2.2"})) == {"name"}
    inventory.remove_host(host, request=None)
    again = inventory.create_host({"name": "web-1", "address": "192.0.2.2"}, request=None)
    assert again.pk != host.pk


def test_removal_forgets_the_login_and_keeps_the_host_for_history(
    host: Host, by_admin: HttpRequest
) -> None:
    inventory.remove_host(host, request=by_admin)
    stored = Host.objects.get(pk=host.pk)
    assert stored.removed_at is not None
    assert stored.credential is None
    assert not stored.enabled
    entry = AuditEntry.objects.get(action="host.remove")
    assert entry.detail["was"]["credential"] == "deploy"
    assert set(errors({"notes": "x"}, stored)) == {"name"}


def test_a_jump_host_in_use_is_not_removed(host: Host) -> None:
    behind = {"name": "db-1", "address": "10.0.0.1", "jump_host": host}
    inventory.create_host(behind, request=None)
    with pytest.raises(ValidationError, match="db-1"):
        inventory.remove_host(host, request=None)
    assert Host.objects.get(pk=host.pk).removed_at is None


def test_no_host_is_reached_through_itself(host: Host) -> None:
    assert set(errors({"jump_host": host.pk}, host)) == {"jump_host"}
    behind = {"name": "db-1", "address": "10.0.0.1", "jump_host": host}
    inner = inventory.create_host(behind, request=None)
    assert set(errors({"jump_host": inner.pk}, host)) == {"jump_host"}


# --- trust 7 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"address": "192.0.2.66"}, {"port": 2222}])
def test_a_new_address_or_port_asks_for_the_credential_again(
    host: Host, by_admin: HttpRequest, change: dict[str, Any]
) -> None:
    assert set(errors(change, host, request=by_admin)) == {"confirm_secret"}
    wrong = {**change, "confirm_secret": "s3cret-pasS"}
    assert set(errors(wrong, host, request=by_admin)) == {"confirm_secret"}
    for odd in (["s3cret-pass"], 7, {"a": 1}):
        assert "confirm_secret" in errors({**change, "confirm_secret": odd}, host, request=by_admin)
    typed = {**change, "confirm_secret": "s3cret-pass"}
    inventory.change_host(host, typed, request=by_admin)
    entry = AuditEntry.objects.get(action="host.change")
    assert "confirmed" in entry.detail
    assert "s3cret-pass" not in str(entry.detail)


def test_choosing_another_stored_credential_is_no_way_round_it(
    host: Host, by_admin: HttpRequest
) -> None:
    other = {"name": "other", "user": "root", "method": "password", "password": "other-pass"}
    credentials.create(other, request=None)
    change = {"address": "192.0.2.66", "credential": "other"}
    assert set(errors(change, host, request=by_admin)) == {"confirm_secret"}
    first = {**change, "confirm_secret": "s3cret-pass"}
    assert set(errors(first, host, request=by_admin)) == {"confirm_secret"}
    inventory.change_host(host, {**change, "confirm_secret": "other-pass"}, request=by_admin)


def test_the_sudo_password_is_asked_for_too(by_admin: HttpRequest, tmp_path: Any) -> None:
    from tests.hosts.test_credentials import ED25519, pem

    path = tmp_path / "id"
    path.write_text(pem(ED25519))
    data = {"name": "f", "user": "ops", "method": "key_file", "key_file": str(path)}
    data |= {"sudo": "password", "sudo_password": "sudo-pass"}
    credentials.create(data, request=None)
    given = {"name": "a", "address": "192.0.2.1", "credential": "f"}
    host = inventory.create_host(given, request=by_admin)
    change = {"port": 2222, "confirm_secret": str(path)}
    assert set(errors(change, host, request=by_admin)) == {"confirm_sudo_password"}
    inventory.change_host(host, {**change, "confirm_sudo_password": "sudo-pass"}, request=by_admin)


def test_a_private_key_is_confirmed_by_pasting_it(by_admin: HttpRequest) -> None:
    from tests.hosts.test_credentials import ED25519, key_data, pem

    text = pem(ED25519)
    credentials.create(key_data(private_key=text), request=None)
    given = {"name": "a", "address": "192.0.2.1", "credential": "k"}
    host = inventory.create_host(given, request=by_admin)
    on_one_line = text.replace("\n", "")
    inventory.change_host(host, {"port": 2222, "confirm_secret": on_one_line}, request=by_admin)
    assert set(errors({"port": 22, "confirm_secret": "-"}, host, request=by_admin)) == {
        "confirm_secret"
    }


def test_a_credential_typed_anew_needs_no_confirmation(host: Host, by_admin: HttpRequest) -> None:
    new = {"name": "fresh", "user": "ops", "method": "password", "password": "p"}
    change = {"address": "192.0.2.66", "new_credential": new}
    changed = inventory.change_host(host, change, request=by_admin)
    assert changed.target().login is not None


def test_making_the_local_machine_remote_asks_too(
    deploy: Credential, by_admin: HttpRequest
) -> None:
    local = inventory.create_host({"name": "here", "is_local": True}, request=by_admin)
    change = {"is_local": False, "address": "192.0.2.66", "credential": deploy.pk}
    assert set(errors(change, local, request=by_admin)) == {"confirm_secret"}


def test_a_secret_that_does_not_open_confirms_nothing(host: Host, by_admin: HttpRequest) -> None:
    Credential.objects.update(password_encrypted="v1:t1:AAAA")
    found = errors({"port": 2222, "confirm_secret": "v1:t1:AAAA"}, host, request=by_admin)
    assert "cannot be opened" in found["confirm_secret"]


# --- administrators of some groups ---


@pytest.fixture
def by_group_admin(group_admin: User, request_of: Callable[[Any], HttpRequest]) -> HttpRequest:
    """A request by an administrator of the group ``web`` only."""
    return request_of(group_admin)


NEW = {"name": "c", "user": "ops", "method": "password", "password": "p"}


def test_a_group_administrator_works_within_its_groups(
    by_group_admin: HttpRequest, group: HostGroup, host: Host, deploy: Credential
) -> None:
    other = HostGroup.objects.create(name="db")
    base = {"name": "a", "address": "192.0.2.1"}
    assert set(errors(base, request=by_group_admin)) == {"groups"}
    outside = {**base, "groups": [group, other]}
    assert "“db”" in errors(outside, request=by_group_admin)["groups"]
    inside = {**base, "groups": [group.pk]}
    assert set(errors({**inside, "credential": deploy.pk}, request=by_group_admin)) == {
        "credential"
    }
    assert set(errors({**inside, "jump_host": host.pk}, request=by_group_admin)) == {"jump_host"}
    local = {**inside, "is_local": True}
    assert set(errors(local, request=by_group_admin)) == {"is_local"}
    made = inventory.create_host({**inside, "new_credential": NEW}, request=by_group_admin)
    assert list(made.groups.all()) == [group]


def test_a_group_administrator_never_reuses_a_secret_without_knowing_it(
    by_group_admin: HttpRequest, group: HostGroup, host: Host
) -> None:
    host.groups.add(group)
    data = {"name": "a", "address": "192.0.2.66", "groups": [group], "credential": "deploy"}
    assert set(errors(data, request=by_group_admin)) == {"confirm_secret"}
    inventory.create_host({**data, "confirm_secret": "s3cret-pass"}, request=by_group_admin)


def test_a_group_administrator_leaves_the_groups_it_does_not_see(
    by_group_admin: HttpRequest, group: HostGroup, host: Host
) -> None:
    other = HostGroup.objects.create(name="db")
    host.groups.set([group, other])
    inventory.change_host(host, {"groups": [group.pk]}, request=by_group_admin)
    assert set(host.groups.all()) == {group, other}
    assert set(errors({"groups": []}, host, request=by_group_admin)) == {"groups"}


def test_a_token_limits_an_administrator_the_same_way(
    request_of: Callable[[Any], HttpRequest], group: HostGroup
) -> None:
    user = person("tom", Role.ADMIN)
    user.token_groups = [group.pk]  # type: ignore[attr-defined]
    request = request_of(user)
    assert set(errors({"name": "a", "address": "192.0.2.1"}, request=request)) == {"groups"}
    inventory.create_host({"name": "a", "address": "192.0.2.1", "groups": [group]}, request=request)
