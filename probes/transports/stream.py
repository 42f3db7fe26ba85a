"""One command over one SSH channel: what is typed, and what comes back.

Place in the data's way: used by ``ssh`` for each command. paramiko's own buffers would copy every
byte three times and wake the waiting thread for each packet; here the transport's thread hands
packets straight to the Capture and the waiting thread wakes for what matters: an end, a prompt, a
cap. What lies beyond the cap is never held, whatever the server makes of its window.
"""

from __future__ import annotations

import contextlib
import threading

import paramiko

from probes.transports.base import LINGER_S, Capture, Command, Deadline
from probes.transports.wire import Wire

STDERR_WINDOW_BYTES = 8 * 1024 * 1024
"""Room for standard error beside the output's cap. The window is opened once, for everything a
command may print, and never moved."""

STATUS_S = 5.0
"""How long after the end of an output without a marker the exit status is waited for."""

_NETWORK_ERRORS = (paramiko.SSHException, EOFError, OSError)


class _Ear:
    """Takes the place of a channel's buffer (``paramiko.BufferedPipe``); fed by its transport."""

    def __init__(self, stream: Stream, *, is_stderr: bool) -> None:
        self._stream = stream
        self._is_stderr = is_stderr

    def feed(self, data: bytes) -> None:
        self._stream.hear(data, is_stderr=self._is_stderr)

    def close(self) -> None:
        self._stream.bell.set()

    def read_ready(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


class Stream:
    """Plays one command on an open session channel."""

    def __init__(self, wire: Wire, channel: paramiko.Channel, capture: Capture) -> None:
        self._wire = wire
        self._channel = channel
        self._capture: Capture | None = capture
        self._lock = threading.Lock()
        self._answer = b""
        self._room = window(capture.max_bytes)
        self.bell = threading.Event()
        # Before the command is asked for, so nothing can have come yet.
        channel.in_buffer = _Ear(self, is_stderr=False)  # type: ignore[assignment]
        channel.in_stderr_buffer = _Ear(self, is_stderr=True)  # type: ignore[assignment]

    def hear(self, data: bytes, *, is_stderr: bool) -> None:
        """Called in the transport's thread, packet by packet."""
        with self._lock:
            capture = self._capture
            if capture is None:
                return
            self._room -= len(data)
            if is_stderr:
                self._answer = capture.err(data) or self._answer
            elif not capture.too_large:
                capture.out(data)
            if self._room < 0:
                capture.too_large = True
            rings = capture.complete or capture.too_large or self._answer
        if rings:
            self.bell.set()

    def play(self, command: Command, capture: Capture, deadline: Deadline) -> int | None:
        """Run ``command`` to its end marker, its end, the cap or the deadline.

        Returns the exit status where one came. Never raises for a connection that breaks:
        whatever arrived stands, and without its end marker nobody takes it for whole.
        """
        channel = self._channel
        try:
            channel.settimeout(max(0.01, deadline.remaining_s))
            self._request(command.line)
            self._type(command.stdin)
            while not (capture.too_large or deadline.expired):
                if capture.complete:
                    # What was written to standard error before the marker may come after it.
                    deadline = deadline.within(LINGER_S)
                if channel.closed or channel.eof_received:
                    break
                self.bell.wait(deadline.remaining_s)
                self.bell.clear()
                self._reply()
            if not capture.complete and not capture.too_large:
                # The exit status may follow the end of the output. Where there is no marker, it
                # alone tells a whole output from one that was cut off.
                linger_s = LINGER_S if command.end else STATUS_S
                channel.status_event.wait(deadline.within(linger_s).remaining_s)
        except _NETWORK_ERRORS:
            pass
        finally:
            # The transport's thread keeps its last channel, and that this stream, until the next
            # command: without this a kept connection would hold a whole output and a password.
            with self._lock:
                self._capture, self._answer = None, b""
        status = channel.exit_status if channel.exit_status >= 0 else None
        if channel.eof_received:
            capture.ended(status)
        return status

    def _request(self, line: str) -> None:
        """Ask for the command without waiting for the reply, which saves a round trip.

        ``Channel.exec_command`` would wait, without limit. A refusal closes the channel.
        """
        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(line)
        self._wire.send_user_message(message)

    def _reply(self) -> None:
        with self._lock:
            answer, self._answer = self._answer, b""
        if answer:
            self._type(answer)
            with contextlib.suppress(OSError):
                self._channel.shutdown_write()

    def _type(self, data: bytes) -> None:
        """Write to standard input. A command that is gone may still have printed why."""
        with contextlib.suppress(OSError):
            self._channel.sendall(data)


def window(max_bytes: int) -> int:
    """The receive window of a command with that cap."""
    return max_bytes + STDERR_WINDOW_BYTES
