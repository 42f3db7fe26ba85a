"""A production environment passes every check, and a careless one is told (trust 5, 22)."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = """
import sys, django
django.setup()
from django.conf import settings
from django.core.management import call_command
call_command("check", deploy=True, fail_level="WARNING")
print(settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT)
"""


def check(folder: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """``check --deploy`` in a process of its own, with the environment of a production site."""
    given = {
        "DJANGO_SETTINGS_MODULE": "netadmin.settings",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SITE_URL": "https://netadmin.example.com",
        "TRUSTED_PROXIES": "1",
        "DEBUG": "off",
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/site.sqlite3",
    }
    env = {**os.environ, **given, **changed}
    return subprocess.run(
        [sys.executable, "-c", CHECK], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def test_a_production_environment_is_clean(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True True True"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"SITE_URL": "http://netadmin.example.com"}, "netadmin.W001"),
        ({"DEBUG": "on"}, "security.W018"),
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"FIELD_ENCRYPTION_KEYS": "k1:short"}, "FIELD_ENCRYPTION_KEYS"),
        ({"SITE_URL": "netadmin.example.com"}, "SITE_URL must look like"),
    ],
)
def test_a_careless_one_is_told(tmp_path: Path, changed: dict[str, str], says: str) -> None:
    done = check(tmp_path, **changed)
    assert done.returncode != 0
    assert re.search(says, done.stderr)
    assert not re.search(r"k1:short", done.stderr)
