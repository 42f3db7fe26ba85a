"""Making sockets, and asking the kernel how they are.

Each state has a number, that of the far host's address for the connection in that state; the near
end of such a connection has port 40000 and that number.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

STATES = (
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
)
"""By the kernel's number, from 1 (include/net/tcp_states.h)."""
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PEER_PORT = 7000
NUMBERS = {state: 11 + index for index, state in enumerate(STATES)}
"""Of the far host's address for the connection in that state."""

Endpoint = tuple[str, int]


def peer(family: int, number: int) -> str:
    """The far host's address of that number."""
    return f"10.9.1.{number}" if family == 4 else f"2001:db8:9:1::{number}"


def bound(family: int, kind: int, to: Endpoint, protocol: int = 0) -> socket.socket:
    """A socket bound to address (a zone in it) and port, of one family only."""
    made = socket.socket(FAMILIES[family], kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(socket.getaddrinfo(*to)[0][4] if "%" in to[0] else to)
    return made


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Sockets made meanwhile are that user's; the right to bind low ports stays."""
    ctypes.CDLL(None).setfsuid(uid)
    try:
        yield
    finally:
        ctypes.CDLL(None).setfsuid(0)


def state_of(family: int, local_port: int, foreign_port: int) -> str | None:
    """What the kernel says of a connection of the near host, known by its two ports."""
    table = Path("/proc/net/tcp6" if family == 6 else "/proc/net/tcp").read_text(encoding="ascii")
    for line in table.splitlines()[1:]:
        _, local, foreign, number, *_ = line.split()
        if (int(local[-4:], 16), int(foreign[-4:], 16)) == (local_port, foreign_port):
            return STATES[int(number, 16) - 1]
    return None


def wait_for(family: int, number: int, state: str) -> None:
    """Until the connection of that number is in ``state``; AssertionError after ten seconds."""
    wait_until(
        lambda: state_of(family, 40_000 + number, PEER_PORT) == state, what=f"{state}, IPv{family}"
    )
