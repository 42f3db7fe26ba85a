"""How many SSH handshakes may run at once, per server and per second.

Place in the data's way: before every new SSH connection. sshd drops logins beyond its MaxStartups
(10 by default: of 20 at once a third failed, of 8 none), and a worker that starts must not open
thousands of connections in one second. Knows no SSH.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from probes.observation import Code, Failure
from probes.transports.base import Deadline, TransportError

HANDSHAKES_PER_SERVER = 8
NEW_CONNECTIONS_PER_S = 50.0


class Admission:
    """Turns for handshakes. Waiting for one is bounded by the caller's deadline."""

    def __init__(
        self,
        *,
        per_server: int = HANDSHAKES_PER_SERVER,
        per_second: float = NEW_CONNECTIONS_PER_S,
    ) -> None:
        self._per_server = per_server
        self._gap_s = 1.0 / per_second
        self._freed = threading.Condition()
        self._running: dict[Hashable, int] = {}
        self._next_at = 0.0

    @contextmanager
    def turn(self, server: Hashable, deadline: Deadline) -> Iterator[None]:
        """Hold one handshake's place at ``server``. Raises TransportError with TIMED_OUT."""
        with self._freed:
            while self._running.get(server, 0) >= self._per_server:
                if not self._freed.wait(deadline.remaining_s):
                    raise _late()
            self._running[server] = self._running.get(server, 0) + 1
        try:
            self._pace(deadline)
            yield
        finally:
            with self._freed:
                left = self._running[server] - 1
                if left:
                    self._running[server] = left
                else:
                    del self._running[server]
                self._freed.notify_all()

    def _pace(self, deadline: Deadline) -> None:
        with self._freed:
            now = time.monotonic()
            starts_at = max(now, self._next_at)
            if starts_at >= deadline.at:
                raise _late()
            self._next_at = starts_at + self._gap_s
        time.sleep(starts_at - now)


def _late() -> TransportError:
    return TransportError(Failure(Code.TIMED_OUT, "no turn to connect: too many at once"))


admission = Admission()
"""The process's one gate."""
