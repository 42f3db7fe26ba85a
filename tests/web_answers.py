"""A real web server on loopback that answers as a test scripts it, wrongly too."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived: header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """A whole answer; ``odd`` writes one by itself, given the handler and the server's stop."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    odd: Callable[[BaseHTTPRequestHandler, threading.Event], None] | None = None


class WebServer:
    """``answers`` maps a path with its query to an :class:`Answer`; others are 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.stop = threading.Event()
        self.port = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The address of ``path`` here."""
        return f"http://{host}:{self.port}{path}"

    def say(self, path: str, body: bytes, **more: object) -> None:
        """From now on ``path`` answers ``body``."""
        self.answers[path] = Answer(body, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def web_server() -> Iterator[WebServer]:
    """Run one until the block ends."""
    state = WebServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append(
                Asked(self.command, self.path, headers, self.rfile.read(length) if length else b"")
            )
            self.close_connection = True
            found = state.answers.get(self.path, Answer(b"not here", 404))
            with contextlib.suppress(OSError):
                if found.odd is not None:
                    found.odd(self, state.stop)
                    return
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_arguments: object) -> None:
            """Nothing: what was asked is in ``asked``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.stop.set()
        server.shutdown()
        thread.join(DEADLINE_S)
        server.server_close()


def drip(handler: BaseHTTPRequestHandler, stop: threading.Event) -> None:
    """A body that goes on for ever, a byte at a time."""
    handler.send_response(200)
    handler.end_headers()
    while not stop.wait(0.05):
        handler.wfile.write(b"x")


def silence(handler: BaseHTTPRequestHandler, stop: threading.Event) -> None:
    """No answer, and an open connection."""
    stop.wait(DEADLINE_S)


def cut(handler: BaseHTTPRequestHandler, _stop: threading.Event) -> None:
    """Says 1,000 bytes and ends after a few."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"hosts": [{"name": "a"')


def flood(size: int) -> Answer:
    """``size`` bytes without a length in front."""

    def odd(handler: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        handler.send_response(200)
        handler.end_headers()
        sent, block = 0, b"name,address\n" * 4096
        while sent < size and not stop.is_set():
            handler.wfile.write(block)
            sent += len(block)

    return Answer(odd=odd)
