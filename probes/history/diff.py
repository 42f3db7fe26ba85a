"""What changed between two texts of one host, parsing only the lines that are not in both.

Place in the data's way: between the parsers and ``history.store``, which applies the changes to
the open sockets. Pure: knows texts and rows, no database and no host.

A socket here is an identity: all fields of a row but its queues. Several rows of one identity are
its copies. Between two probes most lines are the same to the letter, and a line means the same in
either text, so the lines on one side only tell the whole difference:

    tcp   0   0 10.0.0.5:22   10.0.0.9:51000   ESTABLISHED 811/sshd      in both: not looked at
    tcp   0   0 10.0.0.5:22   10.0.0.9:51001   ESTABLISHED 812/sshd      old only: a copy less
    tcp   0  36 10.0.0.5:22   10.0.0.9:51000   ESTABLISHED 811/sshd      new only: a copy more
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from probes import parsers
from probes.history import packing, tally, unseen
from probes.history.tally import Counts
from probes.parsers.records import Rejected, Socket

WHOLE_ABOVE = 0.4
"""Share of unseen lines above which parsing the whole new text is cheaper (performance.md)."""

WHOLE_BELOW_LINES = 50
"""Texts this short are compared line by line whatever their share: both ways cost nothing."""


_USERS = "users:(("
_BLANKS = re.compile(" {2,}")


class Change(NamedTuple):
    """How an identity differs: net copies, and net sums of its queues."""

    socket: Socket
    """Any row of the identity. Of its queues only whether they are None matters here."""
    copies: int
    recv_queue: int
    send_queue: int


@dataclass(frozen=True, slots=True)
class Delta:
    """The difference of two texts, each identity at most once."""

    opened: list[Change] = field(default_factory=list)
    """More copies than before."""
    closed: list[Change] = field(default_factory=list)
    """Fewer copies than before; ``copies`` is negative."""
    requeued: list[Change] = field(default_factory=list)
    """As many copies, other sums of queues."""
    counts: Counts = field(default_factory=Counts)
    """New counts minus old ones."""
    unseen_lines: int = 0
    """Lines of the new text that had to be parsed, each distinct text once."""


class Held(NamedTuple):
    """All rows of one identity in one text, or in the open sockets."""

    copies: int
    recv_queue: int | None
    send_queue: int | None


@dataclass(frozen=True, slots=True)
class Whole:
    """A text parsed from end to end."""

    dialect: str
    sockets: dict[int, tuple[Socket, Held]]
    """By key of the identity (``history.packing``)."""
    rejected: list[Rejected]
    counts: Counts


def compare(old_text: str, new_text: str, dialect: str, *, wide: bool = False) -> Delta | None:
    """How ``new_text`` differs from ``old_text``, both of ``dialect``, ``wide`` as parsers take it.

    None where so much is new that :func:`whole` is cheaper, and where a line of the dialect means
    nothing without those around it. Total: lines that cannot be read are
    counted, nothing raises.
    """
    if dialect not in parsers.LINEWISE:
        return None
    if old_text == new_text:
        return Delta()
    lines = new_text.count("\n") + 1
    if lines > parsers.MAX_LINES:
        return None  # the parser refuses it, and says why
    more_lines, fewer_lines, distinct = unseen.texts(*_comparable(old_text, new_text, dialect))
    if distinct > WHOLE_ABOVE * lines and lines > WHOLE_BELOW_LINES:
        return None
    # In order, rows of one protocol stand together, and the parser reads them a column at a time.
    more = parsers.parse_lines(sorted(more_lines), dialect, wide=wide)
    fewer = parsers.parse_lines(sorted(fewer_lines), dialect, wide=wide)
    opened: list[Change] = []
    closed: list[Change] = []
    requeued: list[Change] = []
    for change in _net(more.sockets, fewer.sockets):
        if change.copies > 0:
            opened.append(change)
        elif change.copies < 0:
            closed.append(change)
        elif change.recv_queue or change.send_queue:
            requeued.append(change)
    return Delta(
        opened, closed, requeued, counts=_counts(more) + -_counts(fewer), unseen_lines=distinct
    )


def whole(text: str, *, wide: bool = False) -> Whole:
    """Parse all of ``text``; raises ParseError where it is in no dialect known."""
    parsed = parsers.parse_sockets(text, wide=wide)
    sockets: dict[int, tuple[Socket, Held]] = {}
    for socket in parsed.sockets:
        key = packing.key(socket)
        known = sockets.get(key)
        held = Held(1, _capped(socket.recv_queue), _capped(socket.send_queue))
        if known is None:
            sockets[key] = socket, held
        else:
            sockets[key] = known[0], added(known[1], held)
    counts = tally.count(
        parsed.sockets,
        rejected=len(parsed.rejected),
        # Lines of other tables, and those of rows that span several, say nothing of a socket.
        header_lines=parsed.lines - len(parsed.sockets) - len(parsed.rejected) - parsed.blank_lines,
        blank_lines=parsed.blank_lines,
    )
    return Whole(parsed.dialect, sockets, parsed.rejected, counts)


def added(one: Held, other: Held) -> Held:
    """Both together. A queue is unknown only where it is unknown in both."""
    return Held(
        one.copies + other.copies,
        _sum(one.recv_queue, other.recv_queue),
        _sum(one.send_queue, other.send_queue),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def _capped(queue: int | None) -> int | None:
    return queue if queue is None or queue <= packing.MAX_QUEUE else packing.MAX_QUEUE


def _comparable(old: str, new: str, dialect: str) -> tuple[str, str]:
    """Two texts in the form in which their lines are compared, and parsed.

    ss fits its columns to the longest address, so that one longer address moves every line; its
    heading moves with them. Only then blanks have to be squeezed before lines can be compared.
    """
    if dialect == "ss" and old.partition("\n")[0] != new.partition("\n")[0]:
        return _squeezed(old), _squeezed(new)
    return old, new


def _squeezed(text: str) -> str:
    """The lines of ss with their columns one blank apart; names of programs keep theirs."""
    lines = text.split("\n")
    if not any(_has_blanks_in_a_name(line) for line in lines):
        return _BLANKS.sub(" ", text)
    squeezed = []
    for line in lines:
        columns, users, programs = line.partition(_USERS)
        squeezed.append(f"{_BLANKS.sub(' ', columns)}{users}{programs}")
    return "\n".join(squeezed)


def _has_blanks_in_a_name(line: str) -> bool:
    at = line.find(_USERS)
    return at >= 0 and line.find("  ", at) >= 0


def _net(more: list[Socket], fewer: list[Socket]) -> list[Change]:
    """What remains of rows gained and lost once the same identity is taken from both."""
    gained = {socket[:1] + socket[3:]: socket for socket in more}
    lost = {socket[:1] + socket[3:]: socket for socket in fewer}
    if len(gained) != len(more) or len(lost) != len(fewer):
        return _net_of_copies(more, fewer)
    both = gained.keys() & lost.keys()
    net = [_change(socket, 1) for identity, socket in gained.items() if identity not in both]
    net += [_change(socket, -1) for identity, socket in lost.items() if identity not in both]
    for identity in both:
        now, before = _change(gained[identity], 1), _change(lost[identity], -1)
        net.append(
            Change(
                now.socket,
                0,
                now.recv_queue + before.recv_queue,
                now.send_queue + before.send_queue,
            )
        )
    return net


def _change(socket: Socket, sign: int) -> Change:
    recv, send = socket[1], socket[2]
    if not recv and not send:
        return Change(socket, sign, 0, 0)
    return Change(
        socket,
        sign,
        sign * min(recv or 0, packing.MAX_QUEUE),
        sign * min(send or 0, packing.MAX_QUEUE),
    )


def _net_of_copies(more: list[Socket], fewer: list[Socket]) -> list[Change]:
    """The same where some identity has several rows on one side."""
    net: dict[tuple[object, ...], tuple[Socket, list[int]]] = {}
    for sockets, sign in ((more, 1), (fewer, -1)):
        for socket in sockets:
            known = net.setdefault(socket[:1] + socket[3:], (socket, [0, 0, 0]))
            for at, number in enumerate(_change(socket, sign)[1:]):
                known[1][at] += number
    return [Change(socket, *sums) for socket, sums in net.values()]


def _counts(read: parsers.LineResult) -> Counts:
    return tally.count(
        read.sockets,
        rejected=len(read.rejected),
        header_lines=read.header_lines,
        blank_lines=read.blank_lines,
    )
