"""Holds every connection that a thread opens to ``addresses.check`` and to a deadline.

Place in the data's way: around whatever sends (``netadmin.outbound.client``, Apprise's plugins,
``smtplib``). An audit hook of the interpreter (PEP 578) sees each ``connect`` of each library with
the very address connected to, after all name look-ups and redirects, so a name that changes its
address between a check and the connection (rebinding) gains nothing. The hook is installed once,
by the first use, and looks no further than one context variable outside a guard.

What it does not see: connections opened before the guard, threads started inside it, and C
libraries with sockets of their own (libpq). So: a guard holds sending only, nothing else.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from django.utils.translation import gettext as _

from netadmin.outbound.addresses import check

_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class Blocked(OSError):
    """The address may not be reached from here; ``code`` is always ``blocked``.

    An OSError, so that libraries which try the next address of a name do so.
    """

    code = "blocked"


class Guard:
    """What :func:`guarded` gives: when it ends, and what was refused inside."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        """On the monotonic clock, in seconds."""
        self.refused: Blocked | None = None
        """The first refusal, also where a library swallowed it."""
        self._twins: list[socket.socket] = []
        self._lock = threading.Lock()
        self._over = False

    @property
    def remaining_s(self) -> float:
        """Seconds left; 0 when over."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining_s <= 0

    def admit(self, sock: socket.socket, address: Any) -> None:
        """Called before ``sock`` goes to ``address``; raises Blocked or TimeoutError."""
        reason = _reason(sock, address)
        if reason is not None:
            # Only the address: what stands in a URL's path may be a secret.
            refusal = Blocked(
                _("%(address)s may not be reached from here: %(reason)s.")
                % {"address": _shown(address), "reason": reason}
            )
            self.refused = self.refused or refusal
            raise refusal
        left = self.remaining_s
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        timeout_s = sock.gettimeout()
        if timeout_s is None or timeout_s > left:
            sock.settimeout(left)
        # TLS moves the descriptor into another object; a duplicate can still be shut down.
        twin = sock.dup()
        with self._lock:
            if self._over:
                twin.close()
                raise TimeoutError("the deadline has passed")
            self._twins.append(twin)

    def cut(self) -> None:
        """Ends every connection opened inside; a read that waits returns at once."""
        with self._lock:
            self._over = True
            for twin in self._twins:
                with contextlib.suppress(OSError):
                    twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            self._over = True
            for twin in self._twins:
                twin.close()
            self._twins.clear()


_current: ContextVar[Guard | None] = ContextVar("netadmin_outbound_guard", default=None)
_install_lock = threading.Lock()
_installed = False


@contextlib.contextmanager
def guarded(*, deadline_s: float) -> Iterator[Guard]:
    """Inside, this thread reaches allowed addresses only, and nothing after ``deadline_s``.

    A connection that is refused fails with :class:`Blocked` (an OSError), and ``guard.refused``
    remembers it; at the deadline all connections opened inside are shut down, so that not even a
    body that drips byte by byte goes on. A guard inside a guard ends no later than the outer one.
    """
    _install()
    outer = _current.get()
    deadline = time.monotonic() + deadline_s
    guard = Guard(deadline if outer is None else min(deadline, outer.deadline))
    watchdog = threading.Timer(guard.remaining_s, guard.cut)
    watchdog.daemon = True
    watchdog.start()
    token = _current.set(guard)
    try:
        yield guard
    finally:
        _current.reset(token)
        watchdog.cancel()
        guard.close()


def current() -> Guard | None:
    """The guard this code runs in."""
    return _current.get()


def _install() -> None:
    global _installed
    with _install_lock:
        if not _installed:
            # A proxy would be connected to in place of the address, which then nobody checks.
            os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
            sys.addaudithook(_hook)
            _installed = True


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        guard = _current.get()
        if guard is not None:
            guard.admit(*arguments[:2])


def _reason(sock: socket.socket, address: Any) -> str | None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return "not an Internet address"
    if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
        return "not an address"
    return check(address[0])


def _shown(address: Any) -> str:
    host = address[0] if isinstance(address, tuple) and address else address
    text = host if isinstance(host, str) else ""
    return "".join(char for char in text[:100] if char.isprintable()) or "?"
