"""Runs a command on the controller itself.

Place in the data's way: the transport of a Target without a login. Knows only subprocess; nothing
of SSH, hosts or what the output means.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import IO

from probes.observation import Code, Failure
from probes.transports.base import (
    LINGER_S,
    Capture,
    Command,
    CommandResult,
    Deadline,
    Stage,
    TransportError,
)

READ_BYTES = 256 * 1024
EXIT_POLL_S = 0.002

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "TZ")
"""All the environment a child sees: a worker's own holds keys, and /proc shows it."""


class LocalTransport:
    """One command at a time, each in a process group of its own that dies with its deadline."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        source = os.environ if environment is None else environment
        self._environment = {name: source[name] for name in _PASSED_ON if name in source}

    server = ""

    def run(self, command: Command, *, deadline: Deadline, max_bytes: int) -> CommandResult:
        """See :class:`probes.transports.base.Transport`."""
        capture = Capture(command, max_bytes=max_bytes)
        ended = False
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command.line],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise TransportError(
                Failure(Code.COMMAND_FAILED, f"cannot start a shell: {error.strerror}"),
                stage=Stage.COMMAND,
            ) from None
        try:
            ended = _converse(process, command, capture, deadline)
        finally:
            _end(process)
        status = process.returncode
        if status is not None and status < 0:
            status = None
        if ended:
            capture.ended(status)
        capture.check_size()
        if not capture.complete and deadline.expired:
            raise capture.timed_out()
        return capture.result(status)

    def close(self) -> None:
        """Nothing stays open between commands."""


def _converse(
    process: subprocess.Popen[bytes], command: Command, capture: Capture, deadline: Deadline
) -> bool:
    """Play the command; returns whether both streams came to their end."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    pending = bytearray(command.stdin)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        writing = False
        reading = 2
        while reading and not capture.too_large and not deadline.expired:
            writing = _arm(selector, process.stdin, writing, bool(pending))
            if not pending and not capture.awaits_prompt and not process.stdin.closed:
                _close(process.stdin)
            for key, _events in selector.select(deadline.remaining_s):
                if key.fileobj is process.stdin:
                    _write(process.stdin, pending)
                    continue
                data = os.read(key.fd, READ_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                    reading -= 1
                elif key.fileobj is process.stdout:
                    capture.out(data)
                else:
                    pending += capture.err(data)
            if capture.complete:
                deadline = deadline.within(LINGER_S)
    if not reading:
        _let_exit(process.pid, deadline.within(LINGER_S))
    return not reading


def _let_exit(pid: int, deadline: Deadline) -> None:
    """Wait for a shell that closed its streams, without collecting it: see ``_end``."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, pid, options) is None and not deadline.expired:
        time.sleep(EXIT_POLL_S)


def _arm(selector: selectors.BaseSelector, stdin: IO[bytes], writing: bool, wanted: bool) -> bool:
    """Watch standard input for room exactly while there is something to write."""
    if wanted and not writing and not stdin.closed:
        selector.register(stdin, selectors.EVENT_WRITE)
        return True
    if writing and not wanted:
        selector.unregister(stdin)
        return False
    return writing


def _write(stdin: IO[bytes], pending: bytearray) -> None:
    try:
        del pending[: os.write(stdin.fileno(), pending[:READ_BYTES])]
    except BlockingIOError:
        return
    except OSError:
        pending.clear()


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group, then collect the shell.

    In this order: until the shell is collected, the group's number can belong to nobody else.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        _close(stream)
    # A process stuck in the kernel cannot be killed; it is left to init rather than waited for.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LINGER_S)
