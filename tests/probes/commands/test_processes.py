"""The commands as processes: two streams, pipes, terminals, encodings, and what is not loaded."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120


def started(
    env: dict[str, str], *words: str, python: tuple[str, ...] = (), **more: int
) -> subprocess.Popen[bytes]:
    """A command as a person would type it."""
    return subprocess.Popen(
        [sys.executable, *python, str(ROOT / "manage.py"), *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=more.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
    )


def test_the_answer_is_alone_on_standard_output_and_little_is_loaded_for_it(
    site_env: dict[str, str],
) -> None:
    done = started(site_env, "ports", "443", "--host", "web1", python=("-X", "importtime"))
    out, told = done.communicate(timeout=PATIENCE_S)

    assert done.returncode == 1
    assert [line.split()[0] for line in out.decode().splitlines()] == ["host", "web1"]
    assert b"Port 443 is occupied: 1 listener, at 2026-03-29 00:18:00Z.\n" in told
    loaded = {line.rpartition("|")[2].strip() for line in told.decode().splitlines() if "|" in line}
    assert "probes.history.queries" in loaded
    unwanted = {"celery", "paramiko", "rich", "mcp", "netadmin.urls", "hosts.admin", "probes.views"}
    assert loaded & unwanted == set()


def test_a_reader_that_goes_away_is_no_error(site_env: dict[str, str]) -> None:
    done = started(site_env, "connections", "web1", "--csv", "-q")
    assert done.stdout is not None
    done.stdout.close()
    assert done.stderr is not None
    told = done.stderr.read()

    assert (done.wait(timeout=PATIENCE_S), told) == (0, b"")


def test_a_terminal_of_another_encoding_is_written_to_in_what_it_has(
    site_env: dict[str, str],
) -> None:
    ours, theirs = pty.openpty()
    env = site_env | {"PYTHONIOENCODING": "ascii", "TERM": "xterm", "COLUMNS": "60"}
    done = started(env, "diff", "web1", stdout=theirs)
    os.close(theirs)
    _out, told = done.communicate(timeout=PATIENCE_S)
    shown = os.read(ours, 65536)
    os.close(ours)

    assert done.returncode == 1, told
    assert shown.isascii()
    assert b"\x1b[32mopened" in shown
    assert b"Too narrow for: " in told


def test_a_setting_that_is_wrong_is_no_answer(site_env: dict[str, str]) -> None:
    done = started(site_env | {"PROBE_THREADS": "many"}, "ports", "443")
    out, told = done.communicate(timeout=PATIENCE_S)

    assert (done.returncode, out) == (2, b"")
    assert told.startswith(b"netadmin: PROBE_THREADS")
    assert told.count(b"\n") == 1


def test_a_data_folder_that_is_refused_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SECRET_KEY=known-to-all\n")
    (tmp_path / "env").chmod(0o644)
    done = started({"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}, "diff", "web1")
    out, told = done.communicate(timeout=PATIENCE_S)

    assert (done.returncode, out) == (2, b"")
    assert b"can be read by others" in told


def test_a_database_without_tables_is_no_answer(site_env: dict[str, str], tmp_path: Path) -> None:
    done = started(site_env | {"DATA_DIR": str(tmp_path)}, "hunt", "198.51.100.7")
    out, told = done.communicate(timeout=PATIENCE_S)

    assert (done.returncode, out) == (2, b"")
    assert b"The database does not answer: no such table" in told
    assert b"Traceback" not in told
