"""How many requests of one web process are worked on at the same time.

Place in the data's way: around the whole application, in ``netadmin.wsgi``. The threads of a Python
process compute in turns whatever their number; with sixteen awake a third of the CPU went into
handing over (docs/performance.md, 200 clients). So few work at a time, and the others wait without
cost. Who waits for something else, a host that answers or a change that comes, stands outside
meanwhile: the text of a stream is made outside anyway, after its head was answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

MOST: Final = 4
"""More than one, so that a request that waits for its database keeps nobody from computing."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_places: Final = threading.BoundedSemaphore(MOST)
_mine: Final = threading.local()


def guarded(application: Application) -> Application:
    """``application`` with so many calls at a time; the others wait for their turn."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with _inside():
            return application(environ, start_response)

    return answer


@contextmanager
def _inside() -> Iterator[None]:
    with _places:
        _mine.place = True
        try:
            yield
        finally:
            _mine.place = False


@contextmanager
def outside() -> Iterator[None]:
    """Give one's place to others while waiting; nothing to do for who has none."""
    if not getattr(_mine, "place", False):
        yield
        return
    _mine.place = False
    _places.release()
    try:
        yield
    finally:
        _places.acquire()
        _mine.place = True
