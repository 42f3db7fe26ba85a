"""SSH by paramiko: connect to a target, prove who it is, log in, run one command at a time.

Place in the data's way: Target -> Connection -> CommandResult. Every step has its own limit
inside the caller's deadline, and the server's key is compared with the pins before anything
secret is sent. Keeps no connections itself (``pool`` does) and knows nothing of the output.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Hashable
from typing import Any

import paramiko

from hosts.target import Target
from probes.observation import Code, Failure
from probes.transports import keys
from probes.transports.admission import admission
from probes.transports.base import (
    Capture,
    Command,
    CommandResult,
    ConnectionBroken,
    Deadline,
    Stage,
    TransportError,
    visible,
)
from probes.transports.login import authenticate
from probes.transports.stream import Stream, window
from probes.transports.watchdog import watchdog
from probes.transports.wire import Wire

TCP_S = 3.0
KEY_EXCHANGE_S = 5.0
LOGIN_S = 5.0
CHANNEL_S = 5.0
COMMAND_S = 20.0
"""A host whose whole deadline is longer than the usual 30 s gets two thirds of it instead."""
GRACE_S = 1.0
"""How long after a deadline the watchdog ends what still blocks."""

_NETWORK_ERRORS = (paramiko.SSHException, EOFError, OSError)


def connect(target: Target, *, deadline: Deadline, via: Connection | None = None) -> Connection:
    """Open and log in to ``target``. ``via`` is an open connection to its jump host.

    Without ``via`` a jump host is connected to first, and closed with the connection. Raises
    TransportError: why, and at which stage. A failed login is not tried a second time.
    """
    login = target.login
    if login is None:
        raise ValueError("a local target has no SSH connection")
    if target.jump is not None:
        if via is None:
            via = connect_jump(target.jump, deadline=deadline)
        else:
            via.retain()
    wire: Wire | None = None
    try:
        with admission.turn(server_of(target), deadline):
            if via is None:
                sock: socket.socket | paramiko.Channel = _dial(target, deadline)
            else:
                sock = via.tunnel(target, deadline)
            wire = Wire(sock, host_key_algorithms=keys.algorithms(target.pins))
            with watchdog.limit(Deadline(deadline.at + GRACE_S), wire.wake):
                host_key = _exchange_keys(wire, target, deadline.within(KEY_EXCHANGE_S))
                authenticate(wire, login, deadline.within(LOGIN_S))
        wire.quiet()
        return Connection(wire, host_key=host_key, via=via)
    except BaseException:
        if wire is not None:
            wire.end()
        if via is not None:
            via.release()
        raise


def connect_jump(jump: Target, *, deadline: Deadline, via: Connection | None = None) -> Connection:
    """``connect`` to a jump host: what fails there is named JUMP_FAILED for those behind it."""
    try:
        return connect(jump, deadline=deadline, via=via)
    except TransportError as error:
        raise as_jump_failure(jump, error) from None


def as_jump_failure(jump: Target, error: TransportError) -> TransportError:
    """The same failure as seen by a target behind ``jump``."""
    inner = error.failure
    if inner.code is Code.JUMP_FAILED:
        return error
    detail = f"{jump.name}: {inner.code.value}: {inner.detail}"
    failure = Failure(Code.JUMP_FAILED, detail, offered_key=inner.offered_key, cause=inner.code)
    return TransportError(failure, stage=Stage.REACH)


def server_of(target: Target) -> Hashable:
    """What shares one sshd: the address and port, seen from the same place."""
    jump = None if target.jump is None else server_of(target.jump)
    return (target.address, target.port, jump)


def _dial(target: Target, deadline: Deadline) -> socket.socket:
    limit = deadline.within(TCP_S)
    error: OSError | None = None
    for family, kind, protocol, _name, address in _resolve(target, deadline):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.01, limit.remaining_s))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return sock
        except OSError as failed:
            sock.close()
            error = failed
    if isinstance(error, ConnectionRefusedError):
        raise TransportError(Failure(Code.CONNECTION_REFUSED, f"port {target.port}"))
    if isinstance(error, TimeoutError):
        raise TransportError(Failure(Code.TIMED_OUT, f"no TCP connection to port {target.port}"))
    raise TransportError(Failure(Code.UNREACHABLE, (error and error.strerror) or "no address"))


def _resolve(target: Target, deadline: Deadline) -> list[Any]:
    host = target.address.strip("[]") if target.address.startswith("[") else target.address
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _look_up(host, target.port, deadline)
    return socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM)


def _look_up(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Resolve a name in a thread of its own: the resolver's waits cannot be interrupted."""
    answer: list[Any] = []
    errors: list[str] = []
    done = threading.Event()

    def ask() -> None:
        try:
            answer.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except socket.gaierror as error:
            errors.append(error.strerror or "not found")
        except (OSError, UnicodeError):
            errors.append("not a host name")
        finally:
            done.set()

    threading.Thread(target=ask, name="probe-resolver", daemon=True).start()
    if not done.wait(deadline.within(KEY_EXCHANGE_S).remaining_s):
        raise TransportError(Failure(Code.TIMED_OUT, "the name lookup did not end"))
    if not answer:
        raise TransportError(Failure(Code.NAME_NOT_FOUND, visible("".join(errors))))
    return answer


def _exchange_keys(wire: Wire, target: Target, deadline: Deadline) -> bytes:
    """Run the key exchange and check the server's key against the pins; returns the key."""
    done = threading.Event()
    wire.start_client(event=done)
    heard_nothing = "it accepted the connection, but no SSH handshake came"
    if not done.wait(deadline.remaining_s):
        raise TransportError(Failure(Code.TIMED_OUT, heard_nothing))
    error = wire.get_exception()
    if not wire.is_active() or error is not None:
        raise TransportError(_no_handshake(wire, error))
    key = wire.get_remote_server_key()
    keys.check(target, key_type=key.get_name(), key=key.asbytes())
    return key.asbytes()


def _no_handshake(wire: Wire, error: Exception | None) -> Failure:
    heard = wire.packetizer.heard
    if not wire.remote_version:
        if heard:
            return Failure(Code.NOT_SSH, f"it said: {visible(heard)}")
        return Failure(Code.TRUNCATED, "it closed the connection without a word")
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return Failure(Code.NOT_SSH, f"no common algorithm: {visible(str(error))}")
    if wire.hung_up_saying:
        return Failure(Code.TRUNCATED, f"it hung up: {visible(wire.hung_up_saying)}")
    if error is None or isinstance(error, (EOFError, OSError)):
        return Failure(Code.TRUNCATED, "it closed the connection during the key exchange")
    return Failure(Code.NOT_SSH, f"broken key exchange: {visible(str(error))}")


class Connection:
    """A logged-in connection: one command at a time, and tunnels for hosts behind it.

    Shared by counting holders: the opener holds it once, every connection tunnelled through it
    once more; the last ``release`` closes it.
    """

    def __init__(self, wire: Wire, *, host_key: bytes, via: Connection | None) -> None:
        self._wire = wire
        self._via = via
        self._holders = 1
        self._counting = threading.Lock()
        self.host_key = host_key
        self.opened_at = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """False once the connection is known to be gone; a frozen peer stays alive."""
        return self._wire.is_active()

    @property
    def server(self) -> str:
        """The server's identification line (RFC 4253, 4.2), printable, cut."""
        return visible(self._wire.remote_version)

    @property
    def via(self) -> Connection | None:
        """The jump host's connection this one runs through."""
        return self._via

    def retain(self) -> None:
        """Become another holder."""
        with self._counting:
            self._holders += 1

    def release(self) -> None:
        """Stop holding; the last one closes."""
        with self._counting:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self._wire.end()
            if self._via is not None:
                self._via.release()

    close = release

    def tunnel(self, target: Target, deadline: Deadline) -> paramiko.Channel:
        """A byte stream from this host to ``target``, by direct-tcpip (RFC 4254, 7.2)."""
        limit = deadline.within(CHANNEL_S)
        where = f"{target.address}:{target.port}"
        try:
            with watchdog.limit(Deadline(limit.at + GRACE_S), self._wire.wake):
                return self._wire.open_channel(
                    "direct-tcpip",
                    (target.address, target.port),
                    ("127.0.0.1", 0),
                    timeout=limit.remaining_s,
                )
        except paramiko.ChannelException as error:
            if error.code == _CONNECT_FAILED:
                detail = f"the jump host cannot connect to {where}"
                raise TransportError(Failure(Code.UNREACHABLE, detail)) from None
            detail = f"the jump host forwards no connections ({visible(str(error.text))})"
            raise TransportError(Failure(Code.JUMP_FAILED, detail)) from None
        except _NETWORK_ERRORS:
            self._wire.wake()
            code = Code.TIMED_OUT if limit.expired else Code.TRUNCATED
            raise TunnelBroken(where, code) from None

    def run(self, command: Command, *, deadline: Deadline, max_bytes: int) -> CommandResult:
        """See :class:`probes.transports.base.Transport`. Not for two threads at once."""
        capture = Capture(command, max_bytes=max_bytes)
        with watchdog.limit(Deadline(deadline.at + GRACE_S), self._wire.wake):
            channel = self._open(deadline, window(max_bytes))
            try:
                status = Stream(self._wire, channel, capture).play(command, capture, deadline)
            finally:
                with contextlib.suppress(*_NETWORK_ERRORS):
                    channel.close()
        capture.check_size()
        if not capture.complete:
            if deadline.expired:
                raise capture.timed_out()
            # Not asked of the transport: it calls itself active for a moment after it broke.
            if not capture.size and status is None:
                raise ConnectionBroken("the connection broke before any output")
        return capture.result(status)

    def _open(self, deadline: Deadline, window_size: int) -> paramiko.Channel:
        limit = deadline.within(CHANNEL_S)
        try:
            return self._wire.open_session(window_size, timeout=limit.remaining_s)
        except paramiko.ChannelException as error:
            raise TransportError(
                Failure(Code.COMMAND_FAILED, f"no session: {visible(str(error.text))}"),
                stage=Stage.COMMAND,
            ) from None
        except _NETWORK_ERRORS:
            if limit.expired:
                detail = "no session was opened"
                raise ConnectionBroken(detail, code=Code.TIMED_OUT, sent=False) from None
            raise ConnectionBroken("the connection broke before the command", sent=False) from None


_CONNECT_FAILED = 2  # SSH_OPEN_CONNECT_FAILED, RFC 4254, 5.1


class TunnelBroken(TransportError):
    """The jump host's own connection is dead or frozen, so no tunnel came."""

    def __init__(self, where: str, code: Code) -> None:
        super().__init__(Failure(Code.JUMP_FAILED, f"{code.value}: no way to {where}", cause=code))
