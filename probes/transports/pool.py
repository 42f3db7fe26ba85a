"""Open connections, kept from probe to probe.

Place in the data's way: the runner's way to any target. One connection per address, port, login
and jump chain, one conversation at a time on each; jump hosts are shared by everything behind them.
Thread-safe. Knows nothing of the output, and no database: ``login_version`` and the pins of the
target say when a kept connection may no longer be used.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from types import TracebackType
from typing import TypeVar

from hosts.target import Target
from probes.observation import Code, Failure
from probes.transports import keys, ssh
from probes.transports.base import (
    Command,
    CommandResult,
    ConnectionBroken,
    Deadline,
    Stage,
    Talk,
    Transport,
    TransportError,
)
from probes.transports.local import LocalTransport

MAX_CONNECTIONS = 3000
MAX_AGE_S = 3600.0
MAX_IDLE_S = 3600.0
JUMP_LOGIN_PAUSE_S = 900.0
"""How long a jump host that refused a login is left alone by everything behind it: each of those
hosts would try the wrong password again, and lock the account."""
JUMP_PAUSE_S = 5.0
"""The same after any other failure: hosts behind a dead jump host fail at once, not in turn."""

_SWEEP_S = 30.0

Answer = TypeVar("Answer")


class _Slot:
    """The place of one connection; ``busy`` is held while it is used or opened."""

    __slots__ = ("busy", "connection", "expires_at", "used_at", "users")

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.connection: ssh.Connection | None = None
        self.expires_at = 0.0
        self.used_at = time.monotonic()
        self.users = 0
        """Threads that hold or wait for this slot: one with users is never forgotten."""


class Pool:
    """Runs commands on targets over kept connections."""

    def __init__(
        self, *, max_connections: int = MAX_CONNECTIONS, max_age_s: float = MAX_AGE_S
    ) -> None:
        self._max_connections = max_connections
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}
        self._failed_jumps: dict[Hashable, tuple[float, TransportError]] = {}
        self._local = LocalTransport()
        self._swept_at = time.monotonic()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close_all()

    def __len__(self) -> int:
        """Connections open now."""
        with self._lock:
            return sum(slot.connection is not None for slot in self._slots.values())

    def run(
        self, target: Target, command: Command, *, deadline: Deadline | None = None
    ) -> CommandResult:
        """Run one command; see :class:`probes.transports.base.Transport` for the result, and
        ``talk`` for the rest."""
        return self.talk(target, lambda talk: talk.run(command), deadline=deadline)

    def talk(
        self,
        target: Target,
        conversation: Callable[[Talk], Answer],
        *,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Hold one connection to ``target`` for all the commands ``conversation`` runs on it.

        Returns what that returns. Raises TransportError. The deadline is the target's unless
        given. A *kept* connection that turns out broken (ConnectionBroken) is replaced once, and
        the conversation begins anew; a failed login is never tried again.
        """
        if deadline is None:
            deadline = Deadline.after(target.deadline_s)
        if target.is_local:
            return conversation(_talk(self._local, target, deadline))
        self._sweep()
        slot = self._enter(target, deadline)
        try:
            return self._run(slot, target, conversation, deadline)
        finally:
            slot.used_at = time.monotonic()
            self._leave(slot)

    def close_all(self) -> None:
        """Close every connection that is not in use this moment, and forget refused logins."""
        with self._lock:
            self._failed_jumps.clear()
            idle = self._forget(lambda slot: True)
        _release(idle)

    def _run(
        self,
        slot: _Slot,
        target: Target,
        conversation: Callable[[Talk], Answer],
        deadline: Deadline,
    ) -> Answer:
        kept = self._usable(slot, target)
        if kept is not None:
            try:
                return self._use(slot, kept, target, conversation, deadline)
            except ConnectionBroken:
                if deadline.expired:
                    raise
        fresh = self._open(slot, target, deadline)
        return self._use(slot, fresh, target, conversation, deadline)

    def _use(
        self,
        slot: _Slot,
        connection: ssh.Connection,
        target: Target,
        conversation: Callable[[Talk], Answer],
        deadline: Deadline,
    ) -> Answer:
        keep = False
        talk = _talk(connection, target, deadline)
        try:
            answer = conversation(talk)
            keep = target.keep_connection and connection.is_alive and talk.clean
            return answer
        finally:
            # Cut off by deadline or cap, or ended oddly: what the peer still sends is not met.
            if not keep:
                slot.connection = None
                connection.release()

    def _usable(self, slot: _Slot, target: Target) -> ssh.Connection | None:
        """The kept connection, if it lives, is young, and each key on its way is still trusted."""
        connection = slot.connection
        if connection is None:
            return None
        if (
            connection.is_alive
            and time.monotonic() < slot.expires_at
            and _still_trusted(connection, target)
        ):
            return connection
        slot.connection = None
        connection.release()
        return None

    def _open(self, slot: _Slot, target: Target, deadline: Deadline) -> ssh.Connection:
        connection = self._connect(target, deadline)
        slot.connection = connection
        slot.expires_at = connection.opened_at + self._max_age_s * random.uniform(0.9, 1.1)
        self._make_room()
        return connection

    def _connect(self, target: Target, deadline: Deadline) -> ssh.Connection:
        if target.jump is None:
            return ssh.connect(target, deadline=deadline)
        via, fresh = self._jump(target.jump, deadline)
        try:
            return ssh.connect(target, deadline=deadline, via=via)
        except ssh.TunnelBroken:
            if fresh or deadline.expired:
                raise
        finally:
            via.release()
        # The kept connection to the jump host was dead: once more over a new one.
        via, _fresh = self._jump(target.jump, deadline)
        try:
            return ssh.connect(target, deadline=deadline, via=via)
        finally:
            via.release()

    def _jump(self, jump: Target, deadline: Deadline) -> tuple[ssh.Connection, bool]:
        """An open connection to a jump host, held for the caller, and whether it is new.

        Apart from the connection that probes the jump host itself, which a slow command may hold.
        """
        self._check_jump(jump)
        try:
            slot = self._enter(jump, deadline, use="tunnel")
        except TransportError as error:
            raise ssh.as_jump_failure(jump, error) from None
        try:
            connection = self._usable(slot, jump)
            fresh = connection is None
            if connection is None:
                self._check_jump(jump)
                try:
                    connection = self._open(slot, jump, deadline)
                except TransportError as error:
                    raise self._jump_failed(jump, ssh.as_jump_failure(jump, error)) from None
            connection.retain()
            return connection, fresh
        finally:
            slot.used_at = time.monotonic()
            self._leave(slot)

    def _check_jump(self, jump: Target) -> None:
        with self._lock:
            until, failed = self._failed_jumps.get((_key(jump), jump.pins), (0.0, None))
        if failed is not None and time.monotonic() < until:
            raise TransportError(failed.failure, stage=failed.stage)

    def _jump_failed(self, jump: Target, failed: TransportError) -> TransportError:
        refused = failed.failure.cause is Code.LOGIN_FAILED
        until = time.monotonic() + (JUMP_LOGIN_PAUSE_S if refused else JUMP_PAUSE_S)
        with self._lock:
            self._failed_jumps[(_key(jump), jump.pins)] = (until, failed)
        return failed

    def _enter(self, target: Target, deadline: Deadline, *, use: str = "probe") -> _Slot:
        key = (use, _key(target))
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slots[key] = _Slot()
            slot.users += 1
        if not slot.busy.acquire(timeout=deadline.remaining_s):
            with self._lock:
                slot.users -= 1
            raise TransportError(
                Failure(Code.TIMED_OUT, "another command on this connection did not end"),
                stage=Stage.COMMAND,
            )
        return slot

    def _leave(self, slot: _Slot) -> None:
        slot.busy.release()
        with self._lock:
            slot.users -= 1

    def _sweep(self) -> None:
        """Close what is old or long unused: nobody else would, for a host that was removed."""
        now = time.monotonic()
        with self._lock:
            if now - self._swept_at < _SWEEP_S:
                return
            self._swept_at = now
            self._failed_jumps = {
                key: pause for key, pause in self._failed_jumps.items() if now < pause[0]
            }
            stale = self._forget(
                lambda slot: (
                    slot.connection is None
                    or not slot.connection.is_alive
                    or now >= slot.expires_at
                    or now - slot.used_at >= MAX_IDLE_S
                )
            )
        _release(stale)

    def _make_room(self) -> None:
        """Close the longest unused connections beyond the limit."""
        with self._lock:
            idle = sorted(
                slot.used_at
                for slot in self._slots.values()
                if slot.connection is not None and not slot.users
            )
            open_now = sum(slot.connection is not None for slot in self._slots.values())
            surplus = min(open_now - self._max_connections, len(idle))
            if surplus <= 0:
                return
            newest_to_go = idle[surplus - 1]
            excess = self._forget(lambda slot: slot.used_at <= newest_to_go)
        _release(excess)

    def _forget(self, chosen: Callable[[_Slot], bool]) -> list[ssh.Connection]:
        """With the lock held: drop the chosen slots nobody uses; returns what they kept open."""
        gone = [key for key, slot in self._slots.items() if not slot.users and chosen(slot)]
        slots = [self._slots.pop(key) for key in gone]
        return [slot.connection for slot in slots if slot.connection is not None]


def _release(connections: Iterable[ssh.Connection]) -> None:
    for connection in connections:
        connection.release()


def _key(target: Target) -> Hashable:
    """What tells one connection from another. Without a version the login itself does."""
    login = target.login_version or target.login
    user = target.login and target.login.user
    jump = None if target.jump is None else _key(target.jump)
    return (target.address, target.port, user, login, jump)


def _still_trusted(connection: ssh.Connection, target: Target) -> bool:
    if not keys.is_trusted(connection.host_key, target.pins):
        return False
    if target.jump is None or connection.via is None:
        return True
    return _still_trusted(connection.via, target.jump)


def _talk(transport: Transport, target: Target, deadline: Deadline) -> Talk:
    limit = deadline.within(max(ssh.COMMAND_S, target.deadline_s * 2 / 3))
    return Talk(transport, deadline=limit, max_bytes=target.max_bytes)
