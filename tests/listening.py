"""Real TCP ports on loopback that answer, refuse, or keep silent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.waiting import wait_until


@contextmanager
def open_port(address: str = "127.0.0.1") -> Iterator[int]:
    """A port whose connections the kernel takes."""
    with _listener(address, backlog=64) as (_server, port):
        yield port


@contextmanager
def refused_port(address: str = "127.0.0.1") -> Iterator[int]:
    """A port that is bound, so that nobody else takes it, and listened on by nobody."""
    with socket.socket(_family(address), socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        yield server.getsockname()[1]


@contextmanager
def silent_port(address: str = "127.0.0.1") -> Iterator[int]:
    """A port whose accept queue is full: the kernel drops what knocks, as a firewall does."""
    with _listener(address, backlog=0) as (_server, port), ExitStack() as clients:

        def full() -> bool:
            client = clients.enter_context(socket.socket(_family(address), socket.SOCK_STREAM))
            client.settimeout(0.3)
            try:
                client.connect((address, port))
            except TimeoutError:
                return True
            return False

        wait_until(full, what="the accept queue is full")
        yield port


@contextmanager
def _listener(address: str, *, backlog: int) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(_family(address), socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        server.listen(backlog)
        yield server, server.getsockname()[1]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
