"""Probes one target and says what came of it, whatever the target does.

Place in the data's way: Target -> conversation over a transport -> Observation. Usable from a REPL
without Django: ``observe(Target("web1", address="192.0.2.7", login=Login("ops", password="..."),
pins=(...)))``. Knows no database and does not parse; how a kind of host is asked, and what its
answer is worth, is known to ``probes.posix`` and ``probes.windows``.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import traceback
from dataclasses import replace

from hosts.target import Platform, Target
from probes import commands, posix, windows
from probes.observation import Code, Failure, Observation
from probes.transports.base import Command, Talk, TransportError
from probes.transports.pool import Pool

logger = logging.getLogger(__name__)


def observe(target: Target, *, pool: Pool | None = None, tables: bool = False) -> Observation:
    """Probe ``target`` once. Never raises for anything a host, a network or a login does.

    Ends within ``target.deadline_s`` and a few seconds. Without a ``pool`` the connection is
    closed afterwards. With ``failure`` None the text is a whole socket table. With ``tables`` the
    same session also takes the other tables, once the sockets are there; each fails alone.
    """
    started_at, started = dt.datetime.now(dt.UTC), time.monotonic()
    try:
        if pool is not None:
            observation = _observe(target, pool, tables=tables)
        else:
            with Pool() as own:
                observation = _observe(target, own, tables=tables)
    except Exception as error:
        observation = Observation(started_at, 0.0, failure=defect(target, error))
    if observation.command:
        return observation
    # No command was started: the times are those of the attempt.
    return replace(observation, taken_at=started_at, duration_s=time.monotonic() - started)


def _observe(target: Target, pool: Pool, *, tables: bool) -> Observation:
    try:
        command = prepare(target, tables=tables)
        return pool.talk(target, lambda talk: converse(target, talk, command, tables=tables))
    except commands.UnusablePassword as error:
        failure = Failure(Code.SUDO_REFUSED, str(error))
    except TransportError as error:
        failure = error.failure
    return Observation(dt.datetime.now(dt.UTC), 0.0, failure=failure)


def prepare(target: Target, *, tables: bool = False) -> Command:
    """The command for the target's shell, ready before anything is connected to.

    Raises commands.UnusablePassword where sudo would need one it cannot be given.
    """
    login = target.login
    if login is None or target.platform is Platform.WINDOWS:
        return commands.sockets(tables=tables)
    password = login.sudo_password if login.sudo_password is not None else login.password
    return commands.sockets(login.sudo, password=password, tables=tables)


def converse(target: Target, talk: Talk, command: Command, *, tables: bool = False) -> Observation:
    """Ask a connected host in the way it understands.

    The line for a shell is never sent where the platform or the server's greeting says Windows:
    cmd.exe would take it apart and run some of its pieces. Where a host of unknown platform ends
    the line without having begun it, the lines for Windows are tried. Raises ConnectionBroken, and
    TransportError where nothing was run.
    """
    unknown = target.platform is Platform.AUTO and not target.is_local
    if target.platform is Platform.WINDOWS or (unknown and windows.is_windows(talk.server)):
        return windows.observe(talk, tables=tables)
    result, cut = posix.ask(talk, command)
    if unknown and posix.is_no_shell(command, result):
        guess = _guess(talk, tables=tables)
        if guess is not None:
            return guess
    return posix.read(target, command, result, cut, tables=tables)


def _guess(talk: Talk, *, tables: bool) -> Observation | None:
    """What the lines for Windows give, where they give a table of Windows."""
    try:
        observation = windows.observe(talk, tables=tables)
    except TransportError:
        return None
    return observation if windows.is_understood(observation) else None


def defect(target: Target, error: Exception) -> Failure:
    """The failure for an error of our own, logged."""
    # Neither the message nor the locals: both may hold what must not be logged.
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("probe of %s failed: %s\n%s", target.name, type(error).__name__, frames)
    return Failure(Code.INTERNAL_ERROR, type(error).__name__)
