"""Ends what blocks past its deadline, by one thread for the whole process.

Place in the data's way: beside every SSH step. paramiko waits without limit in several places (a
reply to exec, a send to a peer that reads nothing); shutting the socket down wakes all of them.
Knows nothing of SSH: it calls what it was given when time is up.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probes.transports.base import Deadline

IDLE_S = 60.0
"""The thread ends after this long with nothing to watch."""


class _Entry:
    __slots__ = ("action", "fired")

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action
        self.fired = False


class Watchdog:
    """Calls each action at its deadline unless the guarded block ended before."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, _Entry]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._wakes_at = float("inf")

    @contextmanager
    def limit(self, deadline: Deadline, action: Callable[[], None]) -> Iterator[None]:
        """Run the block; ``action`` is called from another thread if it outlasts ``deadline``."""
        entry = _Entry(action)
        with self._changed:
            heapq.heappush(self._heap, (deadline.at, next(self._order), entry))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._watch, name="probe-watchdog", daemon=True
                )
                self._thread.start()
            elif deadline.at < self._wakes_at:
                self._changed.notify()
        try:
            yield
        finally:
            # Forgotten at once; the empty entry leaves the heap when its time comes.
            entry.action = None

    def _watch(self) -> None:
        while True:
            with self._changed:
                due = self._due()
                if not due:
                    now = time.monotonic()
                    self._wakes_at = self._heap[0][0] if self._heap else now + IDLE_S
                    self._changed.wait(max(0.0, self._wakes_at - now))
                    self._wakes_at = float("inf")
                    due = self._due()
                    if not due and not self._heap:
                        self._thread = None
                        return
            for entry in due:
                action = entry.action
                if action is not None:
                    entry.fired = True
                    action()

    def _due(self) -> list[_Entry]:
        now = time.monotonic()
        due = []
        while self._heap and (self._heap[0][2].action is None or self._heap[0][0] <= now):
            due.append(heapq.heappop(self._heap)[2])
        return [entry for entry in due if entry.action is not None]


watchdog = Watchdog()
"""The process's one watchdog."""
