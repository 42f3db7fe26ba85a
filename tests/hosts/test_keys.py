"""Host keys: met, approved, refused, replaced; never trusted by themselves (trust 8 and 9)."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.http import HttpRequest

from hosts import keys
from hosts.models import Credential, Host, HostKey
from hosts.target import Trust
from netadmin.access.models import AuditEntry


@dataclass(frozen=True)
class Met:
    """A key as a probe reports it."""

    key_base64: str
    address: str = "192.0.2.1"
    port: int = 22
    key_type: str = "ssh-ed25519"
    fingerprint: str = "SHA256:a-lie"


def key(number: int = 0) -> str:
    return base64.b64encode(b"key %d" % number).decode()


def pins() -> set[tuple[str, Trust]]:
    credential = Credential(name="c", user="ops")
    credential.set_secret("password", "p")
    host = Host(name="a", address="192.0.2.1", credential=credential)
    return {(pin.key_base64, pin.trust) for pin in host.target().pins}


@pytest.mark.django_db
def test_a_met_key_awaits_approval_under_its_true_fingerprint() -> None:
    row = keys.offered(Met(key()))
    digest = hashlib.sha256(base64.b64decode(key())).digest()
    assert row.fingerprint == "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    assert row.trust == "pending"
    assert pins() == {(key(), Trust.PENDING)}


@pytest.mark.django_db
def test_meeting_it_again_changes_only_when_it_was_seen(by_admin: HttpRequest) -> None:
    first = keys.offered(Met(key()))
    keys.decide(first, Trust.TRUSTED, request=by_admin)
    keys.offered(Met(key()))
    (row,) = HostKey.objects.all()
    assert row.trust == "trusted"
    assert row.decided_by == "anna"
    assert row.last_seen > first.last_seen


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["not base64!", "A" * 9000, "é"])
def test_what_is_no_key_is_not_kept(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        keys.offered(Met(text))
    assert not HostKey.objects.exists()


@pytest.mark.django_db
def test_a_server_with_a_new_key_each_time_fills_nothing(by_admin: HttpRequest) -> None:
    trusted = keys.offered(Met(key(1000)))
    keys.decide(trusted, Trust.TRUSTED, request=by_admin)
    for number in range(50):
        keys.offered(Met(key(number)))
    assert HostKey.objects.filter(trust="pending").count() == keys.PENDING_KEPT
    assert HostKey.objects.filter(pk=trusted.pk, trust="trusted").exists()
    assert HostKey.objects.filter(key_base64=key(49)).exists(), "the newest is kept"


@pytest.mark.django_db
def test_trusting_a_new_key_refuses_the_one_it_replaces() -> None:
    old, new = keys.offered(Met(key(1))), keys.offered(Met(key(2)))
    other = keys.offered(Met(key(3), key_type="ssh-rsa"))
    keys.decide(old, Trust.TRUSTED, request=None)
    keys.decide(other, Trust.TRUSTED, request=None)
    assert keys.trusted_before(new) == old
    keys.decide(new, Trust.TRUSTED, request=None)
    assert pins() == {
        (key(1), Trust.REFUSED),
        (key(2), Trust.TRUSTED),
        (key(3), Trust.TRUSTED),
    }


@pytest.mark.django_db
def test_keys_of_another_port_are_another_matter() -> None:
    here, there = keys.offered(Met(key(1))), keys.offered(Met(key(2), port=2222))
    keys.decide(here, Trust.TRUSTED, request=None)
    assert keys.trusted_before(there) is None
    keys.decide(there, Trust.TRUSTED, request=None)
    here.refresh_from_db()
    assert here.trust == "trusted"


@pytest.mark.django_db
def test_each_decision_is_recorded_once_with_its_fingerprint(by_admin: HttpRequest) -> None:
    row = keys.offered(Met(key()))
    for _ in range(2):
        keys.decide(row, Trust.TRUSTED, request=by_admin)
    keys.decide(row, Trust.REFUSED, request=by_admin)
    said = list(AuditEntry.objects.order_by("pk").values_list("action", "detail__trust"))
    assert said == [
        ("hostkey.approve", ["pending", "trusted"]),
        ("hostkey.refuse", ["trusted", "refused"]),
    ]
    assert {e.detail["fingerprint"] for e in AuditEntry.objects.all()} == {row.fingerprint}


@pytest.mark.django_db
def test_the_fingerprint_is_the_one_ssh_keygen_prints(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    printed = subprocess.run(
        ["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True
    )
    blob = (tmp_path / "key.pub").read_text(encoding="ascii").split()[1]
    assert keys.fingerprint(blob) == printed.stdout.split()[1]
