"""Looks at the end of the feed for all who wait in this process, one thread for all of them.

Place in the data's way: between ``probes.watch.feed`` and the streams of events. Knows places, no
changes, no hosts and nobody who asks. The thread begins with the first who waits and ends with the
last; it alone holds a database connection meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Final

from django.db import Error, connections

from probes.watch import feed

logger = logging.getLogger(__name__)

EVERY_S: Final = 1.0
"""How often it looks. Two short queries along an index each time."""


class Lookout:
    """Where threads of one process wait for the feed to grow."""

    def __init__(self, *, every_s: float = EVERY_S, using: str = "default") -> None:
        self._every_s = every_s
        self._using = using
        self._news = threading.Condition()
        self._waiting = 0
        self._end = 0
        self._looks = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While somebody is in here, the thread looks."""
        with self._news:
            self._waiting += 1
            if not self._looks:
                self._looks = True
                threading.Thread(target=self._look, name="feed-lookout", daemon=True).start()
        try:
            yield
        finally:
            with self._news:
                self._waiting -= 1
                self._news.notify_all()

    def wait(self, after: int, *, timeout_s: float) -> bool:
        """Wait until the feed has places behind ``after``; False where none came in that time."""
        with self._news:
            return self._news.wait_for(lambda: self._end > after, timeout_s)

    @property
    def looks(self) -> bool:
        """Whether the thread runs."""
        with self._news:
            return self._looks

    def _look(self) -> None:
        fails = False
        try:
            while True:
                try:
                    end = feed.end(self._using)
                    fails = False
                except Error as error:
                    if not fails:
                        logger.warning("the feed cannot be read; streams wait: %s", error)
                    fails, end = True, self._end
                    connections[self._using].close()
                with self._news:
                    if end != self._end:
                        self._end = end
                        self._news.notify_all()
                    self._news.wait_for(self._nobody_waits, self._every_s)
                    if self._nobody_waits():
                        return
        finally:
            connections[self._using].close()
            with self._news:
                self._looks = False
                # Somebody came while this thread ended.
                again = self._waiting > 0
                self._looks = again
            if again:
                threading.Thread(target=self._look, name="feed-lookout", daemon=True).start()

    def _nobody_waits(self) -> bool:
        return self._waiting == 0
