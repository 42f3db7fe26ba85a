"""What every transport takes and gives: Command, CommandResult, Deadline, TransportError.

Place in the data's way: ``probes.commands`` makes a Command, a transport runs it, the runner reads
the CommandResult. Knows neither paramiko nor subprocess, and not what the output means. ``Talk`` is
a probe's hold of a transport: all its commands under one deadline and one cap.
"""

from __future__ import annotations

import datetime as dt
import enum
import io
import time
from dataclasses import dataclass, field
from typing import Protocol

from probes.observation import Code, Failure

STDERR_MAX_BYTES = 64 * 1024
"""Standard error kept; more of it is read and dropped, so that it can never block a host."""

LINGER_S = 0.5
"""How long after the end marker a transport waits for the streams to close by themselves."""


@dataclass(frozen=True, slots=True)
class Command:
    """One complete shell line and what is written to its standard input.

    ``stdin`` is sent at once. ``answer`` is sent when ``prompt`` appears on standard error, at
    most once, and standard input is closed right after it, so a second prompt meets the end of
    the input. Without a prompt a line must not read beyond ``stdin``: over SSH the end of the
    input is then not announced, which saves a packet each probe.
    """

    line: str
    stdin: bytes = field(default=b"", repr=False)
    end: bytes = field(default=b"", repr=False)
    """The output is whole when this text and the line it stands on have arrived. Empty for a line
    that nothing can be added to: its output is whole when it ended by itself, with an exit status.
    """
    prompt: bytes = field(default=b"", repr=False)
    answer: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came back, byte for byte, up to the caps."""

    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    exit_status: int | None
    """None where the host did not say in time, or was killed by a signal."""
    started_at: dt.datetime
    """UTC, when the command was started."""
    duration_s: float
    complete: bool
    """Whether the end marker and the rest of its line arrived; without a marker, whether the
    output came to its end and the exit status arrived."""


class Stage(enum.StrEnum):
    """How far a transport came before it failed."""

    REACH = "reach"
    HOST_KEY = "host_key"
    LOGIN = "login"
    COMMAND = "command"


class TransportError(Exception):
    """The only exception a transport raises for what a host or a network does.

    ``partial`` is what had arrived where a command was cut off by the deadline or the cap.
    """

    def __init__(
        self,
        failure: Failure,
        *,
        stage: Stage = Stage.REACH,
        partial: CommandResult | None = None,
    ) -> None:
        super().__init__(f"{failure.code}: {failure.detail}")
        self.failure = failure
        self.stage = stage
        self.partial = partial


class ConnectionBroken(TransportError):
    """An open connection turned out dead before the command gave a byte: worth a fresh one.

    ``sent`` is False where the command cannot have reached the host: one that must not run twice is
    then worth a fresh connection too.
    """

    def __init__(self, detail: str, *, code: Code = Code.TRUNCATED, sent: bool = True) -> None:
        super().__init__(Failure(code, detail), stage=Stage.COMMAND)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock; everything a probe does is bounded by one of these."""

    at: float
    """Seconds of :func:`time.monotonic`."""

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def within(self, seconds: float) -> Deadline:
        """This deadline or ``seconds`` from now, whichever is earlier."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """True from the moment itself on."""
        return time.monotonic() >= self.at


class Transport(Protocol):
    """A way to one machine. One command at a time."""

    @property
    def server(self) -> str:
        """What the other end calls itself, such as ``SSH-2.0-OpenSSH_9.2``; empty for none."""
        ...

    def run(self, command: Command, *, deadline: Deadline, max_bytes: int) -> CommandResult:
        """Run to the end marker, the end of the output, the deadline or the cap.

        An output without its marker is returned with ``complete`` False. Raises TransportError
        with TIMED_OUT or OUTPUT_TOO_LARGE (and ``partial``), or ConnectionBroken.
        """
        ...

    def close(self) -> None:
        """Give back every thread and descriptor. Safe to call twice."""
        ...


class Talk:
    """One probe's commands on one open transport, under one deadline and one cap together."""

    def __init__(self, transport: Transport, *, deadline: Deadline, max_bytes: int) -> None:
        self._transport = transport
        self._room = max_bytes
        self.deadline = deadline
        self.clean = True
        """Whether each command so far ended as it should, so that another may follow it."""

    @property
    def server(self) -> str:
        """See :class:`Transport`."""
        return self._transport.server

    def run(self, command: Command) -> CommandResult:
        """See :class:`Transport`; the cap is what earlier commands left of it."""
        clean, self.clean = self.clean, False
        result = self._transport.run(command, deadline=self.deadline, max_bytes=self._room)
        self._room -= len(result.stdout)
        self.clean = clean and result.complete
        return result


class Capture:
    """Collects both streams of one command: the cap, the end marker, the sudo prompt.

    Memory stays near ``max_bytes``: one buffer, handed out without a second copy.
    """

    def __init__(self, command: Command, *, max_bytes: int) -> None:
        self._command = command
        self.max_bytes = max_bytes
        self._stdout = io.BytesIO()
        self._stderr = bytearray()
        self._tail = b""
        self._answered = not command.prompt
        self._started = time.monotonic()
        self.started_at = dt.datetime.now(dt.UTC)
        self.complete = False
        self.too_large = False
        self.size = 0

    def out(self, data: bytes) -> None:
        """Take bytes of standard output; past the cap they are dropped and ``too_large`` set."""
        room = self.max_bytes - self.size
        if len(data) > room:
            data = data[:room]
            self.too_large = True
        self._stdout.write(data)
        self.size += len(data)
        if self.complete or not self._command.end:
            return
        seen = self._tail + data
        found = seen.find(self._command.end)
        if found < 0:
            self._tail = seen[-len(self._command.end) :]
        elif b"\n" in seen[found:]:
            self.complete = True
        else:
            # The marker is here, the rest of its line is not; the line is short or hostile.
            self._tail = seen[found : found + 4096]

    def err(self, data: bytes) -> bytes:
        """Take bytes of standard error; returns the answer to send now, empty for none."""
        room = STDERR_MAX_BYTES - len(self._stderr)
        self._stderr += data[: max(0, room)]
        if not self._answered and self._command.prompt in self._stderr:
            self._answered = True
            return self._command.answer
        return b""

    @property
    def awaits_prompt(self) -> bool:
        """True while standard input must stay open for the answer."""
        return not self._answered

    def ended(self, exit_status: int | None) -> None:
        """The output came to its end by itself, with that exit status if any."""
        if not self._command.end and exit_status is not None:
            self.complete = True

    def result(self, exit_status: int | None) -> CommandResult:
        """Everything so far."""
        return CommandResult(
            stdout=self._stdout.getvalue(),
            stderr=bytes(self._stderr),
            exit_status=exit_status,
            started_at=self.started_at,
            duration_s=time.monotonic() - self._started,
            complete=self.complete and not self.too_large,
        )

    def check_size(self) -> None:
        """Raise OUTPUT_TOO_LARGE once the cap was passed."""
        if self.too_large:
            raise TransportError(
                Failure(Code.OUTPUT_TOO_LARGE, f"more than {self.max_bytes} bytes"),
                stage=Stage.COMMAND,
                partial=self.result(None),
            )

    def timed_out(self) -> TransportError:
        """The error for a deadline that passed while the command ran."""
        return TransportError(
            Failure(
                Code.TIMED_OUT,
                f"the command gave {self.size} bytes and no end within "
                f"{time.monotonic() - self._started:.1f} s",
            ),
            stage=Stage.COMMAND,
            partial=self.result(None),
        )


def visible(text: str | bytes, limit: int = 200) -> str:
    """Hostile text made safe for a detail: one line, control characters as escapes, cut."""
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "backslashreplace")
    text = " ".join(text[: 4 * limit].split())
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
