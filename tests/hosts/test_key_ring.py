"""Every process refuses to start on a bad key ring, and says why (trust 5)."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks

from hosts import credentials, rotation, secrets
from hosts.models import Credential

ROOT = Path(__file__).resolve().parents[2]
RING = "k1:" + base64.b64encode(b"r" * 32).decode()
PROCESSES = {
    "web": [sys.executable, "-c", "import netadmin.wsgi"],
    "worker": [sys.executable, "-m", "celery", "-A", "netadmin.celery:app", "worker", "-P", "solo"],
    "scheduler": [
        *(sys.executable, "-m", "celery", "-A", "netadmin.celery:app"),
        *("beat", "-S", "celery.beat:Scheduler", "--pidfile="),
    ],
    "command": [
        *(sys.executable, "-c"),
        "from django.core.management import execute_from_command_line as e; e(['', 'check'])",
    ],
}


def start(process: str, tmp_path: Path, **given: str) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FIELD_ENCRYPTION_KEYS", "PYTEST"))
    }
    environ |= {
        "DJANGO_SETTINGS_MODULE": "netadmin.settings",
        "DATA_DIR": str(tmp_path),
        "CELERY_BROKER_URL": "memory://",
        **given,
    }
    return subprocess.run(
        PROCESSES[process], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=90,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("process", ["web", "command"])
def test_no_process_starts_without_a_ring(process: str, tmp_path: Path) -> None:
    ended = start(process, tmp_path)
    assert ended.returncode != 0
    assert "FIELD_ENCRYPTION_KEYS is not set" in ended.stdout + ended.stderr


def test_no_process_starts_on_a_malformed_ring(tmp_path: Path) -> None:
    ended = start("command", tmp_path, FIELD_ENCRYPTION_KEYS="k1:AAAA")
    assert ended.returncode != 0
    assert "3 bytes, not 32" in ended.stdout + ended.stderr


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_starts_on_a_key_file_that_others_can_read(process: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(RING)
    keys.chmod(0o644)
    ended = start(process, tmp_path, FIELD_ENCRYPTION_KEYS_FILE=str(keys))
    assert ended.returncode != 0
    assert f"chmod 600 {keys}" in ended.stdout + ended.stderr
    assert RING.partition(":")[2] not in ended.stdout + ended.stderr


def test_a_private_key_file_is_taken(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(RING)
    keys.chmod(0o600)
    ended = start("command", tmp_path, FIELD_ENCRYPTION_KEYS_FILE=str(keys))
    assert ended.returncode == 0, ended.stderr


def test_the_env_file_of_the_data_folder_must_be_private(settings: object, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    env = tmp_path / "env"
    env.write_text(f"SECRET_KEY=x\nFIELD_ENCRYPTION_KEYS={RING}\n")
    env.chmod(0o600)
    secrets.verify_files()
    for mode in (0o640, 0o604, 0o620):
        env.chmod(mode)
        with pytest.raises(secrets.KeyRingError, match=f"chmod 600 {env}"):
            secrets.verify_files()


def test_a_file_without_the_ring_is_not_looked_at(settings: object, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path  # type: ignore[attr-defined]
    env = tmp_path / ".env"
    env.write_text("SITE_URL=x\n# FIELD_ENCRYPTION_KEYS=\nFIELD_ENCRYPTION_KEYS=\n")
    env.chmod(0o644)
    secrets.verify_files()


def found() -> list[str]:
    return [str(problem.msg) for problem in run_checks(tags=["hosts"])]


@pytest.mark.django_db
def test_a_wrong_key_is_found_by_what_it_cannot_open(deploy: Credential, settings: object) -> None:
    assert found() == []
    settings.FIELD_ENCRYPTION_KEYS = "t1:" + base64.b64encode(b"w" * 32).decode()  # type: ignore[attr-defined]
    (problem,) = found()
    assert "password of the credential 'deploy' cannot be decrypted" in problem
    assert "s3cret-pass" not in problem
    with pytest.raises(secrets.KeyRingError, match="deploy"):
        secrets.verify_ring()


@pytest.mark.django_db
def test_a_key_gone_from_the_ring_is_named(deploy: Credential, settings: object) -> None:
    settings.FIELD_ENCRYPTION_KEYS = RING  # type: ignore[attr-defined]
    (problem,) = found()
    assert "'t1' is not in FIELD_ENCRYPTION_KEYS" in problem


@pytest.mark.django_db
def test_one_altered_secret_among_good_ones_keeps_no_site_from_starting(deploy: Credential) -> None:
    bad = Credential(name="altered", user="ops")
    bad.password_encrypted = deploy.password_encrypted
    bad.save()
    assert found() == []
    with pytest.raises(secrets.DecryptionError):
        bad.login()


@pytest.mark.django_db
def test_what_is_lost_with_its_key_can_be_forgotten(deploy: Credential, settings: object) -> None:
    settings.FIELD_ENCRYPTION_KEYS = RING  # type: ignore[attr-defined]
    other = {"name": "new", "user": "ops", "method": "password", "password": "kept"}
    kept = credentials.create(other, request=None)
    assert rotation.forget_unreadable() == ["deploy, password"]
    assert found() == []
    deploy.refresh_from_db()
    assert not deploy.has_secret("password")
    assert deploy.version == 2
    assert kept.secret("password") == "kept"


def test_the_tests_themselves_have_a_ring() -> None:
    assert list(secrets.parse_ring(django_settings.FIELD_ENCRYPTION_KEYS)) == ["t1"]
