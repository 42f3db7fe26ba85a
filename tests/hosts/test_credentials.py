"""Credentials: secrets go in, are kept where left blank, checked as a whole, and recorded as
changed only (trust 6 and 26)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from hosts import credentials
from hosts.models import Credential, Host
from netadmin.access.models import AuditEntry
from tests.hosts.test_secrets import WEIRD

pytestmark = pytest.mark.django_db

Form = serialization.PrivateFormat


def pem(key: Any, *, form: Form = Form.OpenSSH, passphrase: str = "") -> str:
    sealed = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    text: bytes = key.private_bytes(serialization.Encoding.PEM, form, sealed)
    return text.decode()


ED25519 = ed25519.Ed25519PrivateKey.generate()


def errors(data: dict[str, Any], credential: Credential | None = None) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(ValidationError) as caught:
        credentials.draft(data, credential=credential)
    return {name: " ".join(found) for name, found in caught.value.message_dict.items()}


def key_data(**given: Any) -> dict[str, Any]:
    return {"name": "k", "user": "ops", "method": "key", **given}


@pytest.mark.parametrize("text", [text for text in WEIRD if "\ud800" not in text], ids=len)
def test_a_weird_password_arrives_byte_for_byte(text: str) -> None:
    data = {"name": "w", "user": "ops", "method": "password", "password": text}
    row = credentials.create(data, request=None)
    assert Credential.objects.get(pk=row.pk).login().password == text


def test_blank_keeps_and_a_new_value_replaces(deploy: Credential) -> None:
    for blank in ("", None):
        kept = credentials.change(deploy, {"password": blank, "name": "d2"}, request=None)
        assert kept.secret("password") == "s3cret-pass"
        assert kept.version == 1, "a name is no login"
    changed = credentials.change(deploy, {"password": "other"}, request=None)
    assert changed.secret("password") == "other"
    assert changed.version == 2


@pytest.mark.parametrize("change", [{"user": "root"}, {"sudo": "nopasswd"}, {"password": "again"}])
def test_every_change_of_the_login_makes_hosts_log_in_anew(
    deploy: Credential, change: dict[str, str]
) -> None:
    host = Host.objects.create(name="a", address="192.0.2.1", credential=deploy)
    before = host.login_version
    credentials.change(deploy, change, request=None)
    assert Host.objects.get(pk=host.pk).login_version != before


def test_a_change_of_nothing_writes_nothing(deploy: Credential) -> None:
    entries = AuditEntry.objects.count()
    same = {"name": "deploy", "user": "ops", "method": "password", "password": ""}
    credentials.change(deploy, same, request=None)
    assert AuditEntry.objects.count() == entries


def test_the_audit_log_says_that_a_secret_changed_and_not_what_it_is(
    deploy: Credential, by_admin: HttpRequest
) -> None:
    credentials.change(deploy, {"password": "n3w-secret", "user": "root"}, request=by_admin)
    entry = AuditEntry.objects.filter(action="credential.change").get()
    assert entry.detail == {"user": ["ops", "root"], "password": ["***", "***"]}
    assert (entry.actor, entry.address) == ("anna", "192.0.2.9")


def test_what_the_method_does_not_use_is_forgotten(deploy: Credential) -> None:
    data = {"method": "key", "private_key": pem(ED25519)}
    changed = credentials.change(deploy, data, request=None)
    assert not changed.has_secret("password")
    back = credentials.change(changed, {"method": "password", "password": "p"}, request=None)
    assert not back.has_secret("private_key")


def test_a_passphrase_is_cleared_by_asking_for_it() -> None:
    data = key_data(private_key=pem(ED25519, passphrase="open"), passphrase="open")
    row = credentials.create(data, request=None)
    assert errors({"clear": ["passphrase"]}, row) == {
        "passphrase": "This key needs its passphrase."
    }
    plain = {"private_key": pem(ED25519), "clear": ["passphrase"]}
    changed = credentials.change(row, plain, request=None)
    assert not changed.has_secret("passphrase")


def test_each_method_names_what_it_lacks() -> None:
    base = {"name": "x", "user": "ops"}
    assert set(errors({**base, "method": "password"})) == {"password"}
    assert set(errors({**base, "method": "key"})) == {"private_key"}
    assert set(errors({**base, "method": "key_file"})) == {"key_file"}
    sudo = key_data(private_key=pem(ED25519), sudo="password")
    assert set(errors(sudo)) == {"sudo_password"}
    assert set(errors({**base, "method": "telnet", "password": "p"})) == {"method"}


def test_sudo_may_use_the_login_password() -> None:
    data = {"name": "s", "user": "ops", "method": "password", "password": "p", "sudo": "password"}
    login = credentials.create(data, request=None).login()
    assert (login.password, login.sudo_password) == ("p", None)


@pytest.mark.parametrize(
    "key",
    [
        pem(ED25519),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(rsa.generate_private_key(65537, 2048), form=Form.TraditionalOpenSSL),
        pem(ED25519).replace("\n", "\r\n"),
        "\n\n" + pem(ED25519).strip(),
    ],
    ids=["ed25519", "ecdsa", "rsa-pem", "crlf", "blank-ends"],
)
def test_keys_that_ssh_reads_are_taken(key: str) -> None:
    row = credentials.create(key_data(private_key=key), request=None)
    stored = row.secret("private_key")
    assert stored is not None
    assert "\r" not in stored
    assert stored.endswith("-----\n")


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"private_key": "rubbish"}, "private_key", "does not start with -----BEGIN"),
        ({"private_key": "ssh-ed25519 AAAA me"}, "private_key", "public key"),
        ({"private_key": "PuTTY-User-Key-File-3: ssh-rsa"}, "private_key", "PuTTY"),
        ({"private_key": pem(ED25519, form=Form.PKCS8)}, "private_key", "ssh-keygen -p"),
        ({"private_key": pem(ED25519)[:200]}, "private_key", "damaged"),
        ({"private_key": pem(ED25519, passphrase="a")}, "passphrase", "needs its passphrase"),
        (
            {"private_key": pem(ED25519, passphrase="a"), "passphrase": "b"},
            "passphrase",
            "does not open",
        ),
        (
            {"private_key": pem(dsa.generate_private_key(1024), form=Form.TraditionalOpenSSL)},
            "private_key",
            "not supported",
        ),
        ({"private_key": "-----BEGIN " + "A" * 70_000}, "private_key", "At most"),
    ],
    ids=["rubbish", "public", "putty", "pkcs8", "cut", "locked", "wrong", "dsa", "huge"],
)
def test_a_wrong_key_is_refused_with_the_field_at_fault_and_never_quoted(
    given: dict[str, str], field: str, words: str
) -> None:
    found = errors(key_data(**given))
    assert set(found) == {field}
    assert words in found[field]
    for line in given["private_key"].splitlines()[1:-1]:
        assert line not in found[field]


def test_a_key_file_is_read_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_text(pem(ED25519, passphrase="open"))
    data = {"name": "f", "user": "ops", "method": "key_file", "key_file": str(path)}
    assert set(errors(data)) == {"passphrase"}
    login = credentials.create({**data, "passphrase": "open"}, request=None).login()
    assert (login.key_file, login.passphrase) == (str(path), "open")


@pytest.mark.parametrize("make", ["missing", "folder", "pipe", "rubbish", "relative", "up"])
def test_a_wrong_key_file_names_the_field_and_hangs_nobody(make: str, tmp_path: Path) -> None:
    path = tmp_path / "id"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    elif make == "rubbish":
        path.write_bytes(os.urandom(200))
    given = {"relative": "id_ed25519", "up": f"{tmp_path}/../id"}.get(make, str(path))
    data = {"name": "f", "user": "ops", "method": "key_file", "key_file": given}
    assert set(errors(data)) == {"key_file"}


@pytest.mark.parametrize(
    "user",
    ["", "a;b", "$(id)", "`id`", "a\nb", "-oProxyCommand=x", "a b", "a'b", "a\x00b", "é" * 9],
)
def test_a_user_name_that_a_shell_could_read_is_refused(user: str) -> None:
    data = {"name": "x", "user": user, "method": "password", "password": "p"}
    assert set(errors(data)) == {"user"}


@pytest.mark.parametrize("value", [7, ["x"], {"a": 1}, "x" * 17_000, "\ud800"])
def test_a_password_must_be_text_of_a_sane_size(value: Any) -> None:
    data = {"name": "x", "user": "ops", "method": "password", "password": value}
    assert "password" in errors(data)


def test_an_unknown_field_is_named(deploy: Credential) -> None:
    assert errors({"pasword": "typo"}, deploy) == {"pasword": "There is no such field."}


def test_a_name_is_taken_once(deploy: Credential) -> None:
    data = {"name": "deploy", "user": "x", "method": "password", "password": "p"}
    assert set(errors(data)) == {"name"}


def test_a_credential_in_use_is_not_deleted(deploy: Credential) -> None:
    Host.objects.create(name="a", address="192.0.2.1", credential=deploy)
    with pytest.raises(ValidationError, match="Hosts use it: a"):
        credentials.remove(deploy, request=None)
    assert Credential.objects.filter(pk=deploy.pk).exists()


def test_a_deletion_is_recorded(deploy: Credential, by_admin: HttpRequest) -> None:
    pk = str(deploy.pk)
    credentials.remove(deploy, request=by_admin)
    entry = AuditEntry.objects.get(action="credential.delete")
    assert (entry.object_id, entry.object_name) == (pk, "deploy (ops)")


def test_no_audit_entry_no_change(
    deploy: Credential, by_admin: HttpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("netadmin.access.audit.record", full)
    with pytest.raises(OSError, match="disk full"):
        credentials.change(deploy, {"password": "other"}, request=by_admin)
    assert Credential.objects.get(pk=deploy.pk).secret("password") == "s3cret-pass"
