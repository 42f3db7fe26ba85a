"""Processes that end with whoever started them, and what they print."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netadmin import children
from netadmin.children import Child, describe

Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a child that runs a piece of Python; destroyed at the end."""
    started: list[Child] = []

    def start(code: str, **options: Any) -> Child:
        child = Child(
            "x",
            [sys.executable, "-c", code],
            environ=dict(os.environ),
            log=tmp_path / "x.log",
            **options,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.destroy()


def read_all(child: Child, wait_until: Callable[..., Any]) -> list[str]:
    lines: list[str] = []

    def ended() -> bool:
        new = child.read()
        lines.extend(new or [])
        return new is None

    wait_until(ended)
    return lines


def test_lines_arrive_whole_and_are_kept(
    start: Start, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    child = start("print('one'); print('two', end='')")
    assert read_all(child, wait_until) == ["one", "two"]
    assert (tmp_path / "x.log").read_text() == "one\ntwo\n"


def test_no_line_moves_the_terminal(start: Start, wait_until: Callable[..., Any]) -> None:
    child = start(r"import sys; sys.stdout.buffer.write(b'a\x1b[2Jb\rc\xff\x00\n')")
    assert read_all(child, wait_until) == ["a\\x1b[2Jb\\x0dc\ufffd\\x00"]


def test_a_large_log_is_put_aside(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    monkeypatch.setattr(children, "LOG_BYTES", 3)
    (tmp_path / "x.log").write_text("older\n")
    read_all(start("print('newer')"), wait_until)
    assert (tmp_path / "x.log").read_text() == "newer\n"
    assert (tmp_path / "x.log.1").read_text() == "older\n"


def test_destroying_takes_what_the_child_started_with_it(
    start: Start, wait_until: Callable[..., Any]
) -> None:
    child = start(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    (line,) = wait_until(child.read)
    grandchild = int(line)
    child.terminate()
    assert not child.wait(time.monotonic() + 0.1)
    child.destroy()
    assert child.status() == -signal.SIGKILL
    wait_until(lambda: not alive(grandchild))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def test_an_end_is_put_in_words() -> None:
    assert describe(3) == "exit status 3"
    assert describe(-9) == "killed by SIGKILL"
