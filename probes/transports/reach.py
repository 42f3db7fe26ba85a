"""Whether TCP ports answer, seen from this machine: a connect with a deadline, and nothing sent.

Place in the data's way: under ``probes.connect_back``, which decides what may be tried. Knows no
Django and no database. Many at once in one thread, by non-blocking sockets.
"""

from __future__ import annotations

import enum
import errno
import ipaddress
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple


class Result(enum.StrEnum):
    """How an attempt ended; the values are those of ``probes.models.Reach.Result``."""

    OPEN = "open"
    REFUSED = "refused"
    FILTERED = "filtered"
    """No answer within the time."""
    UNREACHABLE = "unreachable"
    """No route, or somebody on the way said that there is none."""


class Endpoint(NamedTuple):
    """An IP address, IPv4 or IPv6 without a zone, and a TCP port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one connect ended."""

    endpoint: Endpoint
    result: Result
    duration_ms: int


_RESULTS: Final = {
    0: Result.OPEN,
    errno.EISCONN: Result.OPEN,
    errno.ECONNREFUSED: Result.REFUSED,
    errno.ECONNRESET: Result.REFUSED,
    errno.ETIMEDOUT: Result.FILTERED,
    errno.EHOSTUNREACH: Result.UNREACHABLE,
    errno.ENETUNREACH: Result.UNREACHABLE,
    errno.EHOSTDOWN: Result.UNREACHABLE,
    errno.ENETDOWN: Result.UNREACHABLE,
    errno.EADDRNOTAVAIL: Result.UNREACHABLE,
    errno.EAFNOSUPPORT: Result.UNREACHABLE,
    errno.EINVAL: Result.UNREACHABLE,  # what a blackhole route answers
    errno.EACCES: Result.UNREACHABLE,  # a prohibit route, or a broadcast address
    errno.EPERM: Result.UNREACHABLE,  # a local firewall rule
}


def connect(endpoints: Sequence[Endpoint], *, timeout_s: float, at_once: int) -> Iterator[Attempt]:
    """Connect to each endpoint once and hang up; attempts come as they end.

    Each has ``timeout_s`` from its own start, ``at_once`` are under way. Raises OSError only where
    this machine has no descriptors or memory left; every other trouble is a result.
    """
    waiting = deque(endpoints)
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < at_once:
                    ended = _begin(waiting.popleft(), selector, timeout_s)
                    if ended is not None:
                        yield ended
                yield from _ended(selector)
        finally:
            for key in list(selector.get_map().values()):
                key.data.sock.close()


def own(address: str) -> bool:
    """Whether this machine itself has ``address``: connecting there would ask the wrong one."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback or parsed.is_unspecified:
        return True
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def resolve(name: str) -> list[str]:
    """The addresses of a host name, or the address it is already; in the system's order, each
    once. Empty where there is none. May take as long as the system's resolver does."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    texts = (str(entry[4][0]).partition("%")[0] for entry in found)
    return list(dict.fromkeys(text for text in texts if text))


@dataclass(slots=True)
class _Pending:
    """A connect under way."""

    endpoint: Endpoint
    sock: socket.socket
    began_at: float
    ends_at: float


def _begin(
    endpoint: Endpoint, selector: selectors.BaseSelector, timeout_s: float
) -> Attempt | None:
    """Start one connect; the attempt where it ended at once."""
    began_at = time.monotonic()
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        return Attempt(endpoint, Result.UNREACHABLE, 0)
    sock.setblocking(False)
    number = sock.connect_ex((endpoint.address, endpoint.port))
    if number in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        pending = _Pending(endpoint, sock, began_at, began_at + timeout_s)
        selector.register(sock, selectors.EVENT_WRITE, pending)
        return None
    sock.close()
    return _attempt(endpoint, number, began_at)


def _ended(selector: selectors.BaseSelector) -> Iterator[Attempt]:
    """Wait for the next to end, by an answer or by its time, and let go of it."""
    pending: list[_Pending] = [key.data for key in selector.get_map().values()]
    if not pending:
        return
    wait_s = min(one.ends_at for one in pending) - time.monotonic()
    answered = {key.data.endpoint: key.data for key, _events in selector.select(max(0.0, wait_s))}
    now = time.monotonic()
    for one in pending:
        if one.endpoint in answered:
            number = one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        elif one.ends_at <= now:
            number = errno.ETIMEDOUT
        else:
            continue
        selector.unregister(one.sock)
        one.sock.close()
        yield _attempt(one.endpoint, number, one.began_at)


def _attempt(endpoint: Endpoint, number: int, began_at: float) -> Attempt:
    result = _RESULTS.get(number, Result.UNREACHABLE)
    return Attempt(endpoint, result, round((time.monotonic() - began_at) * 1000))
