"""Text of netstat, ss and their like in, rows and an account of every line out.

Place in the data's way: after a transport's bytes, before ``probes.history.diff``. Pure: knows no
Django, no host, no time. Dialects and tables are found by content. Total: whatever comes in, each
line is (a part of) a row, a header, a blank or a rejected line with its reason, and the only
exception is ParseError.

Three ways lead in. :func:`parse` reads every table there is. :func:`parse_sockets` and
:func:`parse_lines` read what history is made of. Tables of sockets can be very long, so those of
the two dialects that most hosts speak (:data:`LINEWISE`) are read by fast readers, to which each
line stands for itself; all else goes line by line through ``probes.parsers.sections``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from probes.parsers import dialects, joins, netstat_linux, ss
from probes.parsers.encoding import decode
from probes.parsers.lines import Account, collector_paused, visible
from probes.parsers.records import Flag, Parsed, ParseError, Rejected, Socket, Tables
from probes.parsers.sections import Grammar, Reading

__all__ = [
    "LINEWISE",
    "MAX_LINES",
    "Flag",
    "LineResult",
    "ParseError",
    "Parsed",
    "Rejected",
    "Socket",
    "decode",
    "identify",
    "parse",
    "parse_lines",
    "parse_sockets",
]

MAX_REJECTED_CHARS = 500
MAX_LINES = 1_000_000
"""A socket takes about 90 bytes of text, so 32 MiB hold some 370,000. Far more lines than that
are no table, and keeping an account of each would take gigabytes."""
_FIRST_CHARS = 16_384
_BULK_LINES = 2_000
_BULK_CHARS = 200_000
"""From here on it pays to pause the garbage collector."""

_PIECE_CHARS = 65_536
_PIECE_LINES = 160


class LinewiseReader(Protocol):
    """Reads rows that stand for themselves: what a line gives depends on no other line."""

    account: Account
    plain: bool
    """False once a line told more than the fields of a Socket, or needs the lines around it:
    then only the sections of the dialect read the text in full."""

    def __init__(self, *, wide: bool) -> None: ...

    def feed(self, text: str) -> None:
        """Add the lines of a text, one more than there are newlines."""
        ...

    def read(self, lines: list[str]) -> None:
        """Add some lines."""
        ...


LINEWISE: dict[str, type[LinewiseReader]] = {
    netstat_linux.NAME: netstat_linux.Reader,
    ss.NAME: ss.Reader,
}
"""Dialects of sockets in which a text can be compared with another line by line."""

GRAMMAR = Grammar(dialects.OPENINGS)

_SHAPE = re.compile(
    r"^[ \t]*(?:"
    r"(?P<net>Active Internet connections|Proto +Re[cf][vC]"
    r"|(?:tcp|udp|udpl|udplite|raw)6?[ \t]+[0-9]+[ \t]+[0-9]+[ \t]+\S+:"
    r"|sctp6?[ \t]+[0-9][0-9. \t]*:)"
    r"|(?P<ss>(?:Netid *)?(?:State *)?Recv-Q *Send-Q +Local|Netid *State|State *Recv-Q"
    r"|(?:tcp|udp|udplite|raw|sctp)[ \t]*[A-Z]{3,10}(?:-[A-Z]{3,8})?(?:-[12])?[ \t]*"
    r"[0-9]+[ \t]+[0-9]+[ \t]+\S+:)"
    r")",
    re.MULTILINE,
)
_BSD = re.compile(
    r"^(?:Active Internet6? connections(?: \(including servers\))?[ \t]*$"
    r"|Proto +Recv-Q +Send-Q +Local Address +Foreign Address +(?:\(state\)|TCP-State)"
    r"|(?:tcp|udp|icm)(?:46|4|6)?[ \t]+[0-9]+[ \t]+[0-9]+[ \t]+\S+\.[^\s.:]+[ \t]+"
    r"\S+\.[^\s.:]+(?:[ \t]|$))",
    re.MULTILINE,
)
"""What net-tools never prints: a title without its brackets, ends joined by dots."""

_COLUMN_HEADING = re.compile(
    r"^[ \t]*(?:Proto +Re[cf][vC]|(?:Netid *)?(?:State *)?Recv-Q)", re.MULTILINE
)
"""The line above the columns: with it, and without a row, a socket table is truly empty."""


@dataclass(frozen=True, slots=True)
class LineResult:
    """Loose lines, parsed: ``len(sockets) + len(rejected) + header_lines + blank_lines`` is their
    number. Sockets and rejected lines each keep the order the lines came in."""

    sockets: list[Socket] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    """The line, whole and as it came, and the reason."""
    header_lines: int = 0
    blank_lines: int = 0


def identify(text: str) -> str | None:
    """The dialect of the first socket table, by the first lines of a text; None where there is
    none. Cheap."""
    head = text[:_FIRST_CHARS]
    dialect = _linewise(head)
    if dialect is not None:
        return dialect
    opening = GRAMMAR.first(head.split("\n"), table="sockets")
    return None if opening is None else opening.dialect


def _linewise(text: str) -> str | None:
    shape = _SHAPE.search(text)
    if shape is None or _BSD.search(text[:_FIRST_CHARS]):
        return None
    return netstat_linux.NAME if shape["net"] is not None else ss.NAME


def parse(text: str, *, wide: bool = False) -> Parsed:
    """All tables of a text, in whichever dialects they are; every line accounted for.

    ``wide``: the caller knows that netstat ran with ``-W``. Without that knowledge an IPv6
    endpoint of exactly 23 characters counts as cut off, as it may be. ParseError where no table
    at all is recognised, or where there are more than a million lines.
    """
    lines = _counted(text)
    dialect = _linewise(text)
    if dialect is not None:
        reader = _fast(text, dialect, wide=wide)
        if reader.plain:
            return _with_other_tables(dialect, reader.account, lines=lines, wide=wide)
    with collector_paused() if len(text) >= _BULK_CHARS else nullcontext():
        reading = GRAMMAR.read(
            ((index, line, "") for index, line in enumerate(_lines(text))), Tables(wide=wide)
        )
    if not reading.found:
        raise ParseError("no table that is known")
    return _parsed(reading.dialects, reading, lines=lines)


def parse_sockets(text: str, *, wide: bool = False) -> Parsed:
    """The socket table of a text, as history reads it: where the dialect is linewise, each line
    gives what :func:`parse_lines` gives, whatever stands around it, and a line of another table
    is a rejected line. ParseError where there is no socket table, or too many lines."""
    _counted(text)
    dialect = identify(text) or _linewise(text)
    if dialect in LINEWISE:
        return _of_account(text, dialect, _fast(text, dialect, wide=wide).account)
    parsed = parse(text, wide=wide)
    if "sockets" not in parsed.found:
        raise ParseError("no socket table that is known")
    if parsed.dialect in LINEWISE:  # under the headings of another
        return _of_account(text, parsed.dialect, _fast(text, parsed.dialect, wide=wide).account)
    return parsed


def parse_lines(lines: Iterable[str], dialect: str, *, wide: bool = False) -> LineResult:
    """Loose lines without header or order, such as those one text has and another has not.

    A line gives the same here as within a text. Only for the dialects of :data:`LINEWISE`;
    ParseError for any other.
    """
    if dialect not in LINEWISE:
        raise ParseError("no dialect whose lines stand for themselves")
    listed = list(lines)
    reader = LINEWISE[dialect](wide=wide)
    with collector_paused() if len(listed) >= _BULK_LINES else nullcontext():
        for start in range(0, len(listed), _PIECE_LINES):
            some = listed[start : start + _PIECE_LINES]
            text = "\n".join(some)
            if text.count("\n") == len(some) - 1:
                reader.feed(text)
            else:  # a newline within a line
                reader.read(some)
    account = reader.account
    return LineResult(
        sockets=account.sockets,
        rejected=[(line, reason) for _, line, reason in account.rejected],
        header_lines=account.header_lines,
        blank_lines=account.blank_lines,
    )


def _counted(text: str) -> int:
    """How many lines a text has; ParseError where they are too many."""
    newlines = text.count("\n")
    if newlines >= MAX_LINES:
        raise ParseError(f"more than {MAX_LINES:,} lines, which is too many for a table")
    return newlines + (not text.endswith("\n"))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _fast(text: str, dialect: str, *, wide: bool) -> LinewiseReader:
    reader = LINEWISE[dialect](wide=wide)
    with collector_paused() if len(text) >= _BULK_CHARS else nullcontext():
        for piece in _pieces(text):
            reader.feed(piece)
    return reader


def _with_other_tables(dialect: str, account: Account, *, lines: int, wide: bool) -> Parsed:
    """The sockets of a fast reading, and what the lines it could not read are."""
    rows = len(account.sockets)
    tables = Tables(wide=wide, sockets=account.sockets, details=account.details)
    reading = GRAMMAR.read(account.rejected, tables)
    reading.account.header_lines += account.header_lines
    reading.account.blank_lines += account.blank_lines
    reading.row_lines += rows
    told = [dialect, *(name for name in reading.dialects if name != dialect)]
    if "sockets" not in reading.found:
        reading.found.insert(0, "sockets")
    return _parsed(told, reading, lines=lines)


def _of_account(text: str, dialect: str, account: Account) -> Parsed:
    # A complaint or a bare title must not read as a host that has nothing open any more.
    nothing = not account.sockets and not account.rejected
    if nothing and _COLUMN_HEADING.search(text) is None:
        raise ParseError("no socket table that is known")
    return Parsed(
        dialect=dialect,
        tables=Tables(sockets=account.sockets),
        rejected=_shown(account),
        row_lines=len(account.sockets),
        header_lines=account.header_lines,
        blank_lines=account.blank_lines,
        lines=len(account.sockets)
        + len(account.rejected)
        + account.header_lines
        + account.blank_lines,
        found=("sockets",),
    )


def _parsed(dialects: list[str], reading: Reading, *, lines: int) -> Parsed:
    joins.complete(reading.tables)
    return Parsed(
        dialect=" + ".join(joins.settled(dialects)),
        tables=reading.tables,
        rejected=_shown(reading.account),
        row_lines=reading.row_lines,
        header_lines=reading.account.header_lines,
        blank_lines=reading.account.blank_lines,
        lines=lines,
        found=tuple(reading.found),
    )


def _pieces(text: str) -> Iterator[str]:
    """A text some hundred lines at a time, less the newlines between: all its lines at once would
    take more than the text, and a piece just split is still in the processor's cache."""
    start, end = 0, len(text) - text.endswith("\n")
    while start <= end and text:
        stop = text.find("\n", start + _PIECE_CHARS, end)
        if stop < 0:
            stop = end
        yield text[start:stop]
        start = stop + 1


def _shown(account: Account) -> list[Rejected]:
    return [
        Rejected(index + 1, visible(line[:MAX_REJECTED_CHARS])[:MAX_REJECTED_CHARS], reason)
        for index, line, reason in account.rejected
    ]
