"""Real output of the real tools, in network namespaces made for it.

``take(folder, commands)`` starts a process in namespaces of its own (network, PIDs, mounts, host
name), where two hosts, near and far, are joined by a virtual cable. There it makes sockets in
every state a kernel knows, held by programs of odd names, runs the tools on the near host and
writes what they print, with the truth of how each socket was made beside it. Nothing of the
machine is changed; whatever was made goes when that process ends, also where it was killed.

By hand, for new fixtures: ``python -m tests.captures FOLDER``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.captures.commands import COMMANDS, Command
from tests.servers import _die_with_parent, find_program

ROOT = Path(__file__).parents[2]
NAMESPACES = ("--net", "--pid", "--mount", "--uts", "--ipc")
NEEDED = (
    "captures need the right to make namespaces: run the tests as root, or with sudo without a"
    " password, with CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)"
)
_TIME_LIMIT_S = 60


def take(folder: Path, commands: Sequence[Command] = COMMANDS) -> dict[str, Any]:
    """Run ``commands`` in front of the scene; ``<name>.out`` each in ``folder``, and the truth.

    AssertionError with one line where namespaces cannot be made or a tool is missing.
    """
    for program, package in (("netstat", "net-tools"), ("ss", "iproute2"), ("busybox", "busybox")):
        find_program(program, package=package)
    unshare = find_program("unshare", package="util-linux")
    inside = [sys.executable, "-m", "tests.captures.inside", str(folder)]
    # --kill-child: whoever kills this process ends the first one of the PID namespace, and with
    # it every process in there and all the namespaces.
    process = subprocess.run(
        [*_as_root(), unshare, *NAMESPACES, "--fork", "--kill-child", "--mount-proc", *inside],
        input=json.dumps([command.name for command in commands]),
        capture_output=True,
        text=True,
        errors="replace",
        cwd=ROOT,
        timeout=_TIME_LIMIT_S,
        preexec_fn=_die_with_parent(signal.SIGKILL),
        env=os.environ
        | {
            "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        },
    )
    if "unshare: unshare failed: Operation not permitted" in process.stderr:
        raise AssertionError(NEEDED)
    assert process.returncode == 0, process.stderr[-2000:]
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="ascii"))
    return truth


def _as_root() -> tuple[str, ...]:
    """What to put before a command where the tests run as somebody who may become root."""
    sudo = shutil.which("sudo")
    if os.geteuid() == 0 or sudo is None:
        return ()
    may = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
    return (sudo, "-n", "--preserve-env=PATH,LC_ALL") if may else ()
