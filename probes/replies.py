"""What the framed output of a command says, taken apart.

Place in the data's way: bytes of a CommandResult in, the sockets' table and the other tables out.
Pure. Knows no dialect: it only undoes what the lines of ``probes.commands`` do.

A reply looks like this, with TOKEN for the marker::

    (whatever the login shell prints by itself)
    TOKEN begin
    Active Internet connections (servers and established)
    ...
    TOKEN end 0 1000 none netstat -antuwpW /usr/bin/netstat
    TOKEN table interfaces netstat
    TOKEN status 127
    TOKEN table interfaces ip
    1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536
    ...
    TOKEN status 0
    TOKEN done

``end`` is followed by the tool's exit status, the user id, how sudo was used, the tool (netstat,
ss, proc, none or running), its options and its path. ``TOKEN next`` stands between two attempts
where the first tool knew not the options. What follows ``end`` is there only where the other
tables were asked for: each attempt at a table with its tool, and the status it ended with.
The limits of the kernel come first, as a table called ``limits``::

    TOKEN table limits proc
    ==> net/core/somaxconn <==
    4096
    TOKEN status 0
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from probes.observation import Table
from probes.transports.base import Command

_MAX_FIELDS_BYTES = 4096
"""Of the line that ends a table: it is short, or not ours."""

_MAX_MARKS = 100
"""Of attempts at tables; a whole reply has at most 26."""

_LIMITS = "limits"
"""What the limits of the kernel are called among the tables; they are no Table."""

_TOOLS = frozenset({"netstat", "ss", "proc", "running"})


@dataclass(frozen=True, slots=True)
class Reply:
    """The sockets' part of an output."""

    table: bytes = field(repr=False)
    """Standard output of the last tool that ran: an earlier one knew not the options."""
    exit_status: int
    """Of the last tool that ran; 127 where none was found or sudo is missing."""
    uid: int | None
    """User id of the login, before sudo."""
    tool: str
    """``netstat``, ``ss``, ``proc`` (files of /proc/net), ``none`` (all missing) or ``running``
    (an earlier one hangs)."""
    options: str
    """As given to the tool; with a ``W`` or ``v``, netstat left no address cut."""
    path: str

    @property
    def wide(self) -> bool:
        """Whether netstat was asked not to cut addresses: ``-W``, on OpenBSD and NetBSD ``-v``."""
        return self.tool == "netstat" and not {"W", "v"}.isdisjoint(self.options)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One tool's go at one of the other tables."""

    table: Table
    tool: str
    """netstat, ip, nstat or proc."""
    output: bytes = field(repr=False)
    exit_status: int | None
    """None where the output ended before the tool did."""


def token(command: Command) -> bytes:
    """The random marker of a framed command."""
    return command.end.split(b" ")[0]


def read(command: Command, stdout: bytes) -> Reply | None:
    """The sockets' part; None where its frame is missing or not as we made it.

    It may be there and whole although the output was cut off after it.
    """
    end = token(command) + b" end "
    end_at = stdout.find(end)
    if end_at < 0:
        return None
    fields_at = end_at + len(end)
    fields, newline, _rest = stdout[fields_at : fields_at + _MAX_FIELDS_BYTES].partition(b"\n")
    words = fields.decode("utf-8", "replace").split(" ", 5)
    if not newline or len(words) != 6 or not _is_number(words[0]):
        return None
    exit_status, uid, _how, tool, options, path = words
    return Reply(
        table=stdout[_table_at(command, stdout, end_at) : end_at],
        exit_status=int(exit_status),
        uid=int(uid) if _is_number(uid) else None,
        tool=tool if tool in _TOOLS else "none",
        options=options[:20],
        path=path[:200],
    )


def restarted(command: Command, stdout: bytes) -> tuple[bytes, int | None]:
    """What the command of a restart printed, and its exit status.

    None where the output ended before it did. The frame, ``TOKEN begin`` and ``TOKEN end 0``, is
    known to the shell around the command alone.
    """
    begin = token(command) + b" begin\n"
    begun = stdout.find(begin)
    if begun < 0:
        return b"", None
    printed, mark, rest = stdout[begun + len(begin) :].partition(b"\n" + command.end)
    status, newline, _rest = rest[:_MAX_FIELDS_BYTES].partition(b"\n")
    word = status.decode("ascii", "replace")
    return printed, int(word) if mark and newline and _is_number(word) else None


def attempts(command: Command, stdout: bytes) -> list[Attempt]:
    """Each attempt at the other tables, in order, as far as the output goes."""
    return [
        Attempt(Table(name), tool, output, int(status) if status else None)
        for name, tool, output, status in _told(command, stdout)
        if name in list(Table)
    ]


def limits(command: Command, stdout: bytes) -> bytes:
    """What was printed of the limits of the kernel, however that ended; empty where nothing was."""
    told = (output for name, _tool, output, _status in _told(command, stdout) if name == _LIMITS)
    return next(told, b"")


def _told(command: Command, stdout: bytes) -> Iterator[tuple[str, str, bytes, bytes | None]]:
    """Name, tool, output and exit status of whatever was tried after the sockets."""
    marks = re.compile(
        re.escape(token(command))
        + rb" (?:table ([a-z]{1,20}) ([a-z]{1,20})|status ([0-9]{1,10})|done)\n"
    )
    begun: re.Match[bytes] | None = None
    # The host knows the marker, so it may print as many as it likes.
    for mark in itertools.islice(marks.finditer(stdout), _MAX_MARKS):
        if begun is not None:
            output = stdout[begun.end() : mark.start()]
            yield begun[1].decode("ascii"), begun[2].decode("ascii"), output, mark[3]
        begun = mark if mark[1] else None
    if begun is not None:
        yield begun[1].decode("ascii"), begun[2].decode("ascii"), stdout[begun.end() :], None


def unframed(command: Command, stdout: bytes) -> bytes:
    """What the host printed after our first marker, of an output that is not whole."""
    return stdout[_table_at(command, stdout, len(stdout)) :]


def _table_at(command: Command, stdout: bytes, end_at: int) -> int:
    for marker in (token(command) + b" next\n", token(command) + b" begin\n"):
        at = stdout.rfind(marker, 0, end_at)
        if at >= 0:
            return at + len(marker)
    return 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10
