"""Rotating keys: resumable after any crash, idempotent, beside edits, and honest."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from hosts import credentials, rotation, secrets
from hosts.models import Credential, HostGroup, Source
from netadmin.access.models import AuditEntry
from probes.models import Channel

pytestmark = pytest.mark.django_db

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture(autouse=True)
def fleet(settings: Any) -> list[Credential]:
    """Seven credentials, three of them with a sudo password, sealed by the old key."""
    settings.FIELD_ENCRYPTION_KEYS = OLD
    made = []
    for number in range(7):
        data = {"name": f"c{number}", "user": "ops", "method": "password"}
        data |= {"password": f"password-{number}"}
        if number < 3:
            data |= {"sudo": "password", "sudo_password": f"sudo-{number}"}
        made.append(credentials.create(data, request=None))
    settings.FIELD_ENCRYPTION_KEYS = f"{NEW},{OLD}"
    return made


def rotate() -> str:
    out = io.StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


def texts() -> Iterator[str | None]:
    for row in Credential.objects.order_by("pk"):
        yield row.secret("password")
        yield row.secret("sudo_password")


EXPECTED = [
    text
    for number in range(7)
    for text in (f"password-{number}", f"sudo-{number}" if number < 3 else None)
]


def test_every_secret_is_sealed_anew_and_none_changes(settings: Any) -> None:
    said = rotate()
    assert "10 secrets re-encrypted under 'new'" in said
    assert "The key 'old' is no longer used" in said
    settings.FIELD_ENCRYPTION_KEYS = NEW
    assert list(texts()) == EXPECTED
    assert rotation.usage() == {"new": 10}


def test_a_second_run_changes_nothing() -> None:
    rotate()
    before = list(Credential.objects.order_by("pk").values())
    assert rotate().startswith("0 secrets re-encrypted")
    assert list(Credential.objects.order_by("pk").values()) == before


def test_rotation_makes_no_host_log_in_anew(fleet: list[Credential]) -> None:
    before = list(Credential.objects.order_by("pk").values_list("version", "updated_at"))
    rotate()
    after = list(Credential.objects.order_by("pk").values_list("version", "updated_at"))
    assert after == before


def test_a_run_that_died_is_taken_up_where_it_ended(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    whole = rotation._rotate_row
    seen = []

    def die_at_the_fourth(credential: Credential, report: rotation.Report) -> None:
        seen.append(credential.pk)
        if len(seen) == 4:
            raise KeyboardInterrupt
        whole(credential, report)

    monkeypatch.setattr(rotation, "_rotate_row", die_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate()
    # The batch it died in is as it was; the one before is done.
    assert rotation.usage() == {"new": 4, "old": 6}
    assert list(texts()) == EXPECTED
    monkeypatch.setattr(rotation, "_rotate_row", whole)
    assert rotation.rotate().changed == 6
    settings.FIELD_ENCRYPTION_KEYS = NEW
    assert list(texts()) == EXPECTED


def test_an_edit_made_meanwhile_is_not_written_over(
    fleet: list[Credential], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = secrets.decrypt
    edited = []

    def edit_first(sealed: str, *, context: str) -> str:
        text = whole(sealed, context=context)
        if not edited:
            edited.append(sealed)
            credentials.change(fleet[0], {"password": "typed meanwhile"}, request=None)
        return text

    monkeypatch.setattr(secrets, "decrypt", edit_first)
    report = rotation.rotate()
    monkeypatch.undo()
    assert report.skipped == 1
    assert Credential.objects.get(pk=fleet[0].pk).secret("password") == "typed meanwhile"


def test_what_does_not_open_is_named_and_left_as_it_was(fleet: list[Credential]) -> None:
    Credential.objects.filter(pk=fleet[1].pk).update(password_encrypted=fleet[2].password_encrypted)
    with pytest.raises(CommandError, match="c1, password: The stored secret was altered") as caught:
        rotate()
    assert "password-" not in str(caught.value)
    assert rotation.usage() == {"new": 9, "old": 1}


def test_an_old_key_still_needed_is_not_said_to_be_free(fleet: list[Credential]) -> None:
    Credential.objects.filter(pk=fleet[1].pk).update(password_encrypted=fleet[2].password_encrypted)
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("rotate_keys", stdout=out)
    assert "no longer used" not in out.getvalue()


def test_a_rotation_is_in_the_audit_log() -> None:
    rotate()
    entry = AuditEntry.objects.get(action="keys.rotate")
    assert entry.detail == {"changed": 10, "key": "new"}


def test_a_fresh_key_is_printed_alone() -> None:
    out = io.StringIO()
    call_command("rotate_keys", "--new-key", stdout=out)
    (line,) = out.getvalue().splitlines()
    assert len(secrets.parse_ring(line)) == 1
    assert rotation.usage() == {"old": 10}


def test_a_bad_ring_is_said_and_nothing_is_done(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = "new:AAAA"
    with pytest.raises(CommandError, match="3 bytes, not 32"):
        rotate()


def test_every_model_with_secrets_is_rotated_and_none_is_left_out(settings: Any) -> None:
    assert {model._meta.label_lower for model in rotation.sealed_models()} >= {
        "hosts.credential", "hosts.source", "probes.channel"
    }  # fmt: skip
    settings.FIELD_ENCRYPTION_KEYS = OLD
    group = HostGroup.objects.create(name="cmdb")
    source = Source(name="netbox", kind="netbox", location="https://cmdb.example.com", group=group)
    source.set_secret("token", "token-of-netbox")
    channel = Channel(name="ops", kind="webhook")
    channel.set_secret("address", "https://hooks.example.com/T0/B0")
    channel.set_secret("signing_key", "signing")
    for row in (source, channel):
        row.save()
    settings.FIELD_ENCRYPTION_KEYS = f"{NEW},{OLD}"
    assert rotation.usage() == {"old": 13}
    assert rotation.rotate().changed == 13
    settings.FIELD_ENCRYPTION_KEYS = NEW
    assert Source.objects.get().secret("token") == "token-of-netbox"
    assert Channel.objects.get().secret("address") == "https://hooks.example.com/T0/B0"
    assert Channel.objects.get().secret("signing_key") == "signing"


def test_a_lost_key_of_any_secret_is_said_and_can_be_forgotten(settings: Any) -> None:
    rotate()
    settings.FIELD_ENCRYPTION_KEYS = OLD
    channel = Channel(name="ops", kind="webhook")
    channel.set_secret("address", "https://hooks.example.com/T0/B0")
    channel.save()
    settings.FIELD_ENCRYPTION_KEYS = NEW
    (problem,) = rotation.unreadable()
    assert problem.startswith("The address of the channel 'ops' cannot be decrypted: ")
    assert rotation.forget_unreadable() == ["channel ops, address"]
    assert rotation.unreadable() == []
    assert AuditEntry.objects.filter(action="channel.change").count() == 1
    assert list(texts()) == EXPECTED
