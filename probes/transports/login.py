"""Logging in over a checked connection, once.

Place in the data's way: after the host key was trusted, before the first command. Tells a refusal
(which pauses the account until its credential is edited) from a connection that broke or stalled
(which does not). Knows no pins and no pool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.ssh_exception import PartialAuthentication

from hosts.target import Login
from probes.observation import Code, Failure
from probes.transports import keys
from probes.transports.base import Deadline, Stage, TransportError, visible
from probes.transports.wire import Wire


def authenticate(wire: Wire, login: Login, deadline: Deadline) -> None:
    """Authenticate once. Raises TransportError; LOGIN_FAILED only where the server refused."""
    key = keys.private_key(login)
    if key is not None:
        further = _attempt(
            wire, deadline, lambda done: wire.auth_publickey(login.user, key, event=done)
        )
        if further is None:
            return
        if login.password is None:
            raise _refused(f"the key is accepted, but also wanted: {visible(', '.join(further))}")
    elif login.password is None:
        raise TransportError(
            Failure(Code.CREDENTIAL_MISSING, "neither a password nor a key"), stage=Stage.LOGIN
        )
    _by_password(wire, login.user, login.password, deadline)


def _by_password(wire: Wire, user: str, password: str, deadline: Deadline) -> None:
    try:
        further = _attempt(
            wire, deadline, lambda done: wire.auth_password(user, password, done, fallback=False)
        )
    except _MethodNotOffered as error:
        if "keyboard-interactive" not in error.offered:
            raise
        further = _by_questions(wire, user, password, deadline)
    if further is not None:
        raise _refused(f"more than a password wanted: {visible(', '.join(further))}")


def _by_questions(wire: Wire, user: str, password: str, deadline: Deadline) -> list[str] | None:
    """Answer one hidden question with the password; a second question would be a retry."""
    asked = False

    def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        nonlocal asked
        if not questions:
            return []
        if asked or len(questions) != 1 or questions[0][1]:
            wire.packetizer.login_refused = True
            raise paramiko.SSHException("asks for more than a password")
        asked = True
        return [password]

    def start(done: threading.Event) -> None:
        handler = AuthHandler(wire)
        wire.auth_handler = handler
        handler.auth_interactive(user, answer, done)

    return _attempt(wire, deadline, start)


class _MethodNotOffered(TransportError):
    def __init__(self, offered: list[str]) -> None:
        super().__init__(
            Failure(Code.LOGIN_FAILED, f"the host accepts only: {visible(', '.join(offered))}"),
            stage=Stage.LOGIN,
        )
        self.offered = offered


def _refused(detail: str) -> TransportError:
    return TransportError(Failure(Code.LOGIN_FAILED, detail), stage=Stage.LOGIN)


def _attempt(
    wire: Wire, deadline: Deadline, start: Callable[[threading.Event], object]
) -> list[str] | None:
    """One authentication. None: in. A list: accepted, and these are wanted besides."""
    done = threading.Event()
    wire.packetizer.login_refused = False
    try:
        start(done)
    except (paramiko.SSHException, EOFError, OSError):
        done.set()
    if not done.wait(deadline.remaining_s):
        raise TransportError(Failure(Code.TIMED_OUT, "no answer to the login"), stage=Stage.LOGIN)
    if wire.is_authenticated():
        return None
    error = wire.get_exception()
    if isinstance(error, PartialAuthentication):
        return list(error.allowed_types)
    if isinstance(error, paramiko.BadAuthenticationType):
        raise _MethodNotOffered(list(error.allowed_types))
    said = visible(wire.hung_up_saying)
    # With MaxAuthTries reached, sshd hangs up instead of refusing.
    if wire.packetizer.login_refused or "authentication" in said.lower():
        raise _refused(said)
    raise TransportError(
        Failure(Code.TRUNCATED, f"it closed the connection during the login {said}".strip()),
        stage=Stage.LOGIN,
    )
