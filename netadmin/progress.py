"""Running a long installer with its progress shown line by line.

Place: used by ``bootstrap`` and ``testbed`` before anything is installed. Standard library only.
"""

from __future__ import annotations

import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

TICK_S = 5.0
"""Seconds of silence after which a line says that the work goes on."""

KEPT_LINES = 400


def say(message: str) -> None:
    """One line to the terminal at once."""
    print(f"netadmin: {message}", flush=True)


def run(
    command: Sequence[str],
    *,
    doing: str,
    shorten: Callable[[str], str | None],
    environ: Mapping[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Run ``command``; return its exit status and the last lines it printed.

    ``shorten`` turns a line of output into what is shown, or None. While nothing is shown, a line
    with the seconds gone by says that ``doing`` still goes on.
    """
    started = shown = time.monotonic()
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
    )
    assert process.stdout is not None
    with process, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        rest = b""
        try:
            while True:
                if selector.select(timeout=max(0.0, shown + TICK_S - time.monotonic())):
                    chunk = process.stdout.read1(65536)  # type: ignore[attr-defined]
                    if not chunk:
                        break
                    *whole, rest = (rest + chunk).split(b"\n")
                    for raw in whole:
                        line = raw.decode("utf-8", "replace").rstrip()
                        lines.append(line)
                        short = shorten(line)
                        if short is not None:
                            print(f"  {short}", flush=True)
                            shown = time.monotonic()
                if time.monotonic() - shown >= TICK_S:
                    print(f"  ... {doing} ({time.monotonic() - started:.0f} s)", flush=True)
                    shown = time.monotonic()
            if rest:
                lines.append(rest.decode("utf-8", "replace").rstrip())
            return process.wait(), list(lines)
        except BaseException:
            # Ctrl-C reaches the child too; this is for a signal sent to this process alone.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def fail(message: str) -> int:
    """One line to standard error; returns the exit status of a failed command."""
    sys.stdout.flush()
    print(f"netadmin: {message}", file=sys.stderr, flush=True)
    return 1
