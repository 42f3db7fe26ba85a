"""Runs the command of a restart on a target, once, and says what came of it.

Place in the data's way: Target and words -> transport -> Ran. Knows no database; what is quoted,
and how, is known to ``probes.commands``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hosts.target import Platform, Sudo, Target
from probes import commands, parsers, posix, replies, windows
from probes.observation import Code
from probes.transports.base import (
    ConnectionBroken,
    Stage,
    Talk,
    TransportError,
    visible,
)
from probes.transports.pool import Pool

WHOLE_S: Final = 90.0
"""From the first connect to the end; the command has two thirds of it."""
OUTPUT_MAX_BYTES: Final = 1024 * 1024
KEPT_CHARS: Final = 8_000

_SUDO_REFUSES = re.compile(
    r"(?im)^(?:sudo: |sh: [^\n]{0,40}sudo: |sorry, )|not allowed to (?:run|execute)"
    r"|is not in the sudoers file|sudo: not found"
)
"""How sudo words a refusal in the C locale, and a shell that there is none."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one try."""

    begun: bool
    """Whether the command may have run; False only where it certainly did not."""
    exit_status: int | None = None
    output: str = ""
    """The end of what it printed, made safe for people: lines of printable characters."""
    code: Code | None = None
    """Why its end is not known, or why it was not begun."""


def run(target: Target, words: Sequence[str], *, sudo: Sudo, pool: Pool) -> Ran:
    """Run ``words`` on ``target``; never raises for anything a host, a network or a login does.

    Ends within WHOLE_S and a few seconds. Only a connection that broke before the command can have
    been sent is replaced by another.
    """
    target = replace(target, deadline_s=WHOLE_S, max_bytes=OUTPUT_MAX_BYTES)
    try:
        return pool.talk(target, lambda talk: _converse(target, talk, words, sudo))
    except commands.UnusablePassword as error:
        return Ran(False, output=str(error), code=Code.SUDO_REFUSED)
    except TransportError as error:
        failure = error.failure
        return Ran(False, output=visible(failure.detail), code=failure.code)


def _converse(target: Target, talk: Talk, words: Sequence[str], sudo: Sudo) -> Ran:
    if target.platform is Platform.WINDOWS or windows.is_windows(talk.server):
        return Ran(False, code=Code.UNSUPPORTED)
    login = target.login
    password = None
    if sudo is Sudo.PASSWORD and login is not None:
        password = login.sudo_password if login.sudo_password is not None else login.password
    made = commands.restart(words, sudo, password=password)
    try:
        result, cut = posix.ask(talk, made)
    except ConnectionBroken as error:
        if not error.sent:
            raise
        return Ran(True, output=visible(error.failure.detail), code=Code.TRUNCATED)
    except TransportError as error:
        if error.stage is not Stage.COMMAND:
            raise
        return Ran(False, output=visible(error.failure.detail), code=error.failure.code)
    if cut is None and posix.is_no_shell(made, result):
        return Ran(False, result.exit_status, _shown(result.stdout), Code.UNSUPPORTED)
    printed, status = replies.restarted(made, result.stdout)
    said = result.stderr.replace(made.prompt, b"") if made.prompt else result.stderr
    output = _shown(printed + said)
    if cut is None and status is None:
        return Ran(True, result.exit_status, output, Code.TRUNCATED)
    if sudo is not Sudo.NONE and status in (1, 127) and not printed.strip():
        complaint = said.decode("utf-8", "replace")
        if _SUDO_REFUSES.search(complaint):
            return Ran(False, status, output, Code.SUDO_REFUSED)
    return Ran(True, status, output, None if cut is None else cut.code)


def _shown(printed: bytes) -> str:
    """The end of an output as text that every database, page and terminal takes."""
    text = parsers.decode(printed[-4 * KEPT_CHARS :]).expandtabs()
    lines = (_visible_line(line) for line in text.split("\n"))
    return "\n".join(lines).strip("\n")[-KEPT_CHARS:]


def _visible_line(line: str) -> str:
    """A line with what is not printable as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in line.rstrip("\r")
    )
