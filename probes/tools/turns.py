"""Who may hold a thread of this process while hosts answer: few at a time, fewer of one user.

Place in the data's way: around whatever makes a caller wait for a probe, the live tools and a probe
that is asked for by hand. Without it a dozen questions about hosts that do not answer would leave
no thread for pages, and one user none for the others. Knows neither hosts nor probes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.utils.translation import gettext as _

from netadmin import gate
from netadmin.envelope import Refused

MOST_AT_ONCE: Final = 4
"""Callers of one process that wait at once. Of its sixteen threads the streams of events hold six
more (EVENT_STREAMS)."""
MOST_OF_ONE: Final = 2
"""Of one user, by session and all tokens, so that nobody keeps the others from asking."""
RETRY_S: Final = 5

_waiting: Final[list[int | None]] = []
"""The user of each that waits in this process."""
_lock: Final = threading.Lock()


@contextmanager
def turn(user_id: int | None) -> Iterator[None]:
    """Wait within it. Raises Refused, before anything is done, where too many wait already."""
    with _lock:
        if _waiting.count(user_id) >= MOST_OF_ONE:
            raise busy(_("Too many hosts are being asked for you at this moment."))
        if len(_waiting) >= MOST_AT_ONCE:
            raise busy(_("Too many hosts are being asked at this moment."))
        _waiting.append(user_id)
    try:
        with gate.outside():
            yield
    finally:
        with _lock:
            _waiting.remove(user_id)


def busy(message: str) -> Refused:
    """The refusal of what will do some seconds later."""
    return Refused(
        503,
        "busy",
        message,
        hint=_("Ask again in some seconds."),
        headers={"Retry-After": str(RETRY_S)},
    )
