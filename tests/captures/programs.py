"""Processes that hold sockets and do nothing else, under any name.

A process has two names: the one that ss reads (``comm``, at most 15 bytes, which the process sets)
and the one that netstat reads (the first argument). Both are bytes without a rule but "no NUL".
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_CODE = """\
import os, sys
with open("/proc/self/comm", "wb", buffering=0) as comm:
    comm.write(bytes.fromhex(sys.argv[1]))
os.write(1, b".")
os.read(0, 1)
"""
_COMM_BYTES = 15


@dataclass(frozen=True, slots=True)
class Program:
    """One such process."""

    pid: int
    title: bytes
    """What netstat shows, or as much of it as has room."""

    @property
    def comm(self) -> bytes:
        """What ss shows."""
        return self.title[:_COMM_BYTES]


class Programs:
    """All of them; they end with this process, whose end of their pipes closes."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def hold(self, title: bytes, descriptors: Sequence[int]) -> Program:
        """Start a process called ``title`` that keeps these descriptors open under their numbers.

        The caller's own stay open: close them once all who shall hold them do.
        """
        process = subprocess.Popen(
            [title, "-S", "-s", "-c", _CODE, title[:_COMM_BYTES].hex()],
            executable=os.path.realpath(sys.executable),
            env={"PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=descriptors,
            cwd="/",
        )
        self._started.append(process)
        return Program(process.pid, title)

    def wait(self) -> None:
        """Until all have their names."""
        for process in self._started:
            assert process.stdout is not None
            if process.stdout.read(1) != b".":
                raise AssertionError(f"{process.args!r} did not start")
