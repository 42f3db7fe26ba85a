"""SSH servers that misbehave as told, in this process, on free loopback ports.

``RawServer`` speaks bytes and need not be SSH at all. ``ScriptedServer`` is paramiko's server side
with its own keys: it records every login and command and plays a script for each command. Both are
context managers that leave no thread and no descriptor behind.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import paramiko

from hosts.target import Login, Pin, Target

FOREVER_S = 3600.0
CHUNK = 32 * 1024
TABLE = b"""\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
udp6       0      0 ::1:323                 :::*                                640/chronyd
"""
GOOD_END = b"0 1000 none netstat -antuwpW /bin/netstat"


class Listener(ABC):
    """A loopback port where each connection is handled in a thread of its own."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.accepted = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @abstractmethod
    def handle(self, sock: socket.socket) -> None:
        """What happens on one connection."""

    def drop_all(self) -> None:
        """Cut every connection of this moment at the TCP level."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Listener:
        self._accepting.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join(60)
        self.drop_all()
        for thread in self._threads:
            thread.join(60)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _address = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            thread = threading.Thread(target=self._handle, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _handle(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.handle(sock)


class RawServer(Listener):
    """Plays ``behave(sock, stopping)`` on each connection, then closes it."""

    def __init__(self, behave: Callable[[socket.socket, threading.Event], None]) -> None:
        super().__init__()
        self._behave = behave

    def handle(self, sock: socket.socket) -> None:
        try:
            self._behave(sock, self.stopping)
        finally:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def target(self, **changes: object) -> Target:
        """How to reach it; nothing is trusted, since no key is ever seen."""
        return _target(self.port, (), changes)


def silence(sock: socket.socket, stopping: threading.Event) -> None:
    """Accept, and say nothing."""
    stopping.wait(FOREVER_S)


def hang_up(sock: socket.socket, stopping: threading.Event) -> None:
    """Accept, and close at once."""


def rubbish(sock: socket.socket, stopping: threading.Event) -> None:
    """Answer like a web server, with bytes no terminal should see."""
    sock.sendall(b"HTTP/1.1 400 Bad\x1b[31m\xff Request\r\n\r\n")


def endless_line(sock: socket.socket, stopping: threading.Event) -> None:
    """Send a greeting that never ends."""
    while not stopping.is_set():
        sock.sendall(b"x" * CHUNK)


def endless_lines(sock: socket.socket, stopping: threading.Event) -> None:
    """Send lines before the greeting (RFC 4253, 4.2 allows some), slowly and for ever."""
    while not stopping.wait(0.05):
        sock.sendall(b"welcome\r\n")


def dripping_greeting(sock: socket.socket, stopping: threading.Event) -> None:
    """Send a greeting one byte at a time."""
    while not stopping.wait(0.1):
        sock.sendall(b"S")


def greeting_only(sock: socket.socket, stopping: threading.Event) -> None:
    """Greet as SSH, then say nothing."""
    sock.sendall(b"SSH-2.0-Quiet\r\n")
    stopping.wait(FOREVER_S)


def rubbish_after_greeting(sock: socket.socket, stopping: threading.Event) -> None:
    """Greet as SSH, then send a packet of four gigabytes."""
    sock.sendall(b"SSH-2.0-Rubbish\r\n" + b"\xff" * 4096)
    stopping.wait(FOREVER_S)


class Session:
    """One command a client asked for, as a script sees it."""

    def __init__(self, server: ScriptedServer, channel: paramiko.Channel, command: bytes) -> None:
        self.server = server
        self.channel = channel
        self.command = command
        self._typed = b""

    def read_line(self) -> bytes:
        """The next line of standard input, with its end; short at the end of the input."""
        while b"\n" not in self._typed:
            data = self.channel.recv(CHUNK)
            if not data:
                break
            self._typed += data
        line, end, self._typed = self._typed.partition(b"\n")
        return line + end

    def token(self) -> bytes:
        """The marker that a probe sends first."""
        return self.read_line().split(b" ")[0]

    def framed(
        self, table: bytes = TABLE, end: bytes = b"0 1000 none netstat -antuwpW /bin/netstat"
    ) -> bytes:
        """What a good host prints."""
        token = self.token()
        return token + b" begin\n" + table + token + b" end " + end + b"\n"

    def finish(self, status: int = 0) -> None:
        """End as a command does: exit status, end of output, close."""
        self.channel.send_exit_status(status)
        self.channel.shutdown_write()
        self.channel.close()


def answer(session: Session) -> None:
    """Play a good host."""
    session.channel.sendall(session.framed())
    session.finish()


class ScriptedServer(Listener):
    """An SSH server with one user, ``ops``, whose password or key is what the test says.

    ``script`` plays each command in a thread; ``stall`` names the step that never answers:
    ``login`` or ``exec``. ``methods`` are the authentication methods offered, ``greeting`` is the
    identification line in place of paramiko's own.
    """

    def __init__(
        self,
        script: Callable[[Session], None] = answer,
        *,
        password: str = "right",
        methods: str = "password",
        stall: str = "",
        questions: int = 1,
        greeting: str = "",
    ) -> None:
        super().__init__()
        self.script = script
        self.greeting = greeting
        self.password = password
        self.methods = methods
        self.stall = stall
        self.questions = questions
        self.key = paramiko.ECDSAKey.generate()
        self.logins: list[tuple[str, str, str]] = []
        """(method, user, what was given), in order."""
        self.commands: list[bytes] = []
        self._wires: list[paramiko.Transport] = []

    def handle(self, sock: socket.socket) -> None:
        wire = paramiko.Transport(sock)
        wire.add_server_key(self.key)
        if self.greeting:
            wire.local_version = self.greeting
        self._wires.append(wire)
        wire.start_server(event=threading.Event(), server=_Policy(self))
        while wire.is_alive():
            channel = wire.accept(0.1)
            if channel is None:
                continue
            thread = threading.Thread(target=self._play, args=(channel,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def __exit__(self, *_exc: object) -> None:
        self.stopping.set()
        self.drop_all()
        super().__exit__()
        for wire in self._wires:
            wire.close()
            if wire.is_alive():
                wire.join(60)

    def target(self, **changes: object) -> Target:
        """How to reach it, its key trusted, with the right password."""
        pin = Pin(self.key.get_name(), self.key.get_base64())
        return _target(
            self.port, (pin,), {"login": Login("ops", password=self.password), **changes}
        )

    def _play(self, channel: paramiko.Channel) -> None:
        asked = wait_for_command(channel, self.stopping)
        if asked is not None:
            self.commands.append(asked)
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self.script(Session(self, channel, asked))


def wait_for_command(channel: paramiko.Channel, stopping: threading.Event) -> bytes | None:
    """The command line asked for on a channel, None where none came."""
    while not stopping.is_set() and not channel.closed:
        asked: bytes | None = getattr(channel, "asked", None)
        if asked is not None:
            return asked
        time.sleep(0.002)
    return None


class _Policy(paramiko.ServerInterface):
    """Who may do what: everything the script decides."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._asked = 0

    def get_allowed_auths(self, username: str) -> str:
        return self._server.methods

    def check_auth_password(self, username: str, password: str) -> int:
        if "password" not in self._server.methods.split(","):
            return paramiko.AUTH_FAILED
        return self._judge("password", username, password)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._server.logins.append(("publickey", username, key.get_base64()))
        return paramiko.AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> object:
        if "keyboard-interactive" not in self._server.methods.split(","):
            return paramiko.AUTH_FAILED
        self._user = username
        return self._question()

    def check_auth_interactive_response(self, responses: list[str]) -> object:
        self._asked += 1
        verdict = self._judge("keyboard-interactive", self._user, "".join(responses))
        if self._asked < self._server.questions:
            return self._question()
        return verdict

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._server.stall == "exec":
            self._server.stopping.wait(FOREVER_S)
        channel.asked = command  # type: ignore[attr-defined]
        return True

    def _question(self) -> paramiko.server.InteractiveQuery:
        query = paramiko.server.InteractiveQuery("", "")
        query.add_prompt("Password: ", False)
        return query

    def _judge(self, method: str, user: str, given: str) -> int:
        self._server.logins.append((method, user, given))
        if self._server.stall == "login":
            self._server.stopping.wait(FOREVER_S)
        good = user == "ops" and given == self._server.password
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED


def _target(port: int, pins: tuple[Pin, ...], changes: dict[str, object]) -> Target:
    given: dict[str, object] = {
        "name": "hostile",
        "address": "127.0.0.1",
        "port": port,
        "login": Login("ops", password="right"),
        "pins": pins,
        "deadline_s": 2.0,
        **changes,
    }
    return Target(**given)  # type: ignore[arg-type]
