"""Processes that a parent starts, listens to, and takes down with itself.

Place: used by ``supervisor``, which decides what runs. Knows nothing of netadmin's parts.
Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024
"""Size at which a log file is put aside as ``NAME.log.1``, replacing the one before."""

# Runs between fork and the program, in an interpreter of its own, so that no Python code runs in
# a forked copy of this process. A parent that died before prctl took effect is noticed by its id.
_DIE_WITH_PARENT = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, int(sys.argv[2]))\n"  # PR_SET_PDEATHSIG, prctl(2)
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Child:
    """One process in a session of its own, whose output is read line by line.

    ``death_signal`` is what the kernel sends it when this process dies, however it dies.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        log: Path,
        death_signal: signal.Signals = signal.SIGKILL,
        keep_files: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._rest = b""
        if sys.platform == "linux":
            command = [
                sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT,
                str(os.getpid()), str(int(death_signal)), *command,
            ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            start_new_session=True,
            pass_fds=keep_files,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def fileno(self) -> int:
        """Where its output arrives, for a selector."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def read(self) -> list[str] | None:
        """Lines that have arrived, control characters made visible; None at the end of output.

        They are also added to the log file.
        """
        try:
            chunk = os.read(self.fileno(), 65536)
        except BlockingIOError:
            return []
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk and self._rest:
            whole, self._rest = [self._rest], b""
        lines = [
            _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", raw.decode("utf-8", "replace"))
            for raw in whole
        ]
        if lines:
            self._keep(lines)
        return lines if chunk or lines else None

    def status(self) -> int | None:
        """Exit status once it has ended, negative for a signal; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to end; its own children are its business."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                self._process.terminate()

    def wait(self, deadline: float) -> bool:
        """Wait for its end until ``deadline`` (``time.monotonic``); whether it ended.

        Its output is read on the way, so that a full pipe cannot hold it up.
        """
        while self._process.poll() is None:
            self.read()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def destroy(self) -> None:
        """Kill what is left of it and of everything it started in its session. Safe to repeat."""
        if self._process.stdout is None or self._process.stdout.closed:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        while self.read():
            pass
        self._process.stdout.close()

    def _keep(self, lines: Sequence[str]) -> None:
        # A full disk must not stop the site for want of its log.
        with contextlib.suppress(OSError):
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_name(f"{self.log.name}.1"))
            with self.log.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)


def describe(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
