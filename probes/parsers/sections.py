"""Text of many tables in, each line read by the dialect it belongs to.

Place in the data's way: between ``probes.parsers.parse`` and the modules of the dialects. A
dialect module declares :class:`Opening`\\ s: how one of its tables is recognised, by a heading or,
where there is none, by the shape of a row. This module walks the lines, opens and closes readers
and keeps the account. It knows no dialect by itself, and no line is read twice or lost.

For each line that is not blank, in this order:

1. a heading of any opening closes the reader at work and opens its own, unless what only a row
   holds is behind it: then two lines are glued together, and both are rejected as one;
2. the reader at work is asked;
3. the shapes of rows of all openings are tried, and the first that fits and whose reader takes
   the line opens it;
4. the line is rejected, with the reason of the reader at work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from probes.parsers.lines import MAX_LINE_CHARS, MORE_THAN_ONE, Account, OddLine, is_glued
from probes.parsers.records import Tables
from probes.parsers.words import gettext_noop

NOT_IN_A_TABLE = gettext_noop("not a row of any table that is known")


class Reader:
    """Reads the lines of one table, from its heading (or first row) to the next heading.

    A dialect's readers derive from this. ``self.dialect`` may be set anew while reading, where a
    later line tells more.
    """

    dialect = ""
    sure = False
    """True once it knows its columns from their heading: a line that it refuses then is not tried
    as the first row of another such table without a heading, which would only guess."""
    untold: tuple[str, ...] = ()
    """The lines before its first row that are taken for its headings (``Opening.untold``); set
    before that row is read, which may judge by them."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        """``heading`` is the line that opened this table; None where a row did."""
        self.tables = tables

    def read(self, line: str) -> bool:
        """Take one line that is not blank: True where it holds (a part of) a row, False where it
        is a heading. OddLine with the reason where it is neither; nothing may be kept of it."""
        raise NotImplementedError

    def blank(self) -> None:
        """A blank line went by; some tables separate their records so."""

    def close(self) -> None:
        """The table has ended: hand over what is not in ``self.tables`` yet."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a table of a dialect begins. Patterns are matched at the beginning of a line; they hold
    no named groups, no back-references, and take linear time whatever the line."""

    dialect: str
    table: str
    """sockets, unix, routes, interfaces, protocols, multicast, masquerade, processes."""
    reader: Callable[[Tables, str | None], Reader] | None
    """None for a heading that says nothing by itself: it only ends the table before."""
    heading: str = ""
    row: str = ""
    """Shape of a row, for text whose heading is missing or in an unknown language."""
    untold: int = 0
    """How many lines right before the first row, not taken by anything, are its headings in
    an unknown language; blank lines between do not count."""


@dataclass(slots=True)
class Reading:
    """Where the walk stands; at its end, what came of it."""

    tables: Tables
    account: Account = field(default_factory=Account)
    row_lines: int = 0
    dialects: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """Names of the tables met."""
    first: str = ""
    """Dialect of the first table met: that of a text of titles whose readers cannot tell."""
    reader: Reader | None = None
    untaken: list[int] = field(default_factory=list)
    """Places in ``account.rejected`` of the lines since anything was taken."""


class Grammar:
    """All openings of all dialects, in the order in which they are tried."""

    def __init__(self, openings: Sequence[Opening]) -> None:
        self._headings = [(re.compile(o.heading), o) for o in openings if o.heading]
        self._rows = [(re.compile(o.row), o) for o in openings if o.row]
        self._any_heading = _any_of([o.heading for o in openings if o.heading])
        self._any_row = _any_of([o.row for o in openings if o.row])

    def first(self, lines: Iterable[str], *, table: str | None = None) -> Opening | None:
        """The opening of the first line that begins a table (of that name, where one is given),
        judged by headings and shapes alone."""
        for line in lines:
            found = self._heading(line) or self._row(line)
            if found is None or found.reader is None:
                continue
            if table is None or found.table == table:
                return found
        return None

    def read(self, lines: Iterable[tuple[int, str, str]], tables: Tables) -> Reading:
        """Read lines, each with its index in the text and the reason to give where nothing reads
        it (empty for that of the reader at work), into ``tables``. Only lines that no rule reads
        come back as rejected."""
        reading = Reading(tables)
        for index, line, reason in lines:
            self._line(reading, index, line, reason)
        _close(reading)
        if not reading.dialects:
            _told(reading, reading.first)
        return reading

    def _line(self, reading: Reading, index: int, line: str, reason: str) -> None:
        account = reading.account
        if not line or line.isspace():
            account.blank_lines += 1
            if reading.reader is not None:
                reading.reader.blank()
            return
        if len(line) > MAX_LINE_CHARS:
            account.rejected.append((index, line, "line too long"))
            return
        heading = self._heading(line)
        if heading is not None:
            if self._is_glued(line):
                reading.untaken.append(len(account.rejected))
                account.rejected.append((index, line, MORE_THAN_ONE))
                return
            _open(reading, heading, line)
            account.header_lines += 1
            return
        try:
            if reading.reader is not None and _ask(reading, line):
                return
        except OddLine as odd:
            reason = reason or str(odd)
        sure = type(reading.reader) if reading.reader is not None and reading.reader.sure else None
        for row in self._fitting(line):
            if sure is not None and row.reader is sure:
                continue
            try:
                self._begin(reading, row, line)
            except OddLine as odd:
                reason = reason or str(odd)
            else:
                return
        reading.untaken.append(len(account.rejected))
        account.rejected.append((index, line, reason or NOT_IN_A_TABLE))

    def _begin(self, reading: Reading, opening: Opening, line: str) -> None:
        """Open the reader of a headless table with its first row; OddLine where it is none."""
        before = reading.untaken[-opening.untold :] if opening.untold else []
        while before and any(is_glued(reading.account.rejected[at][1]) for at in before):
            del before[0]
        previous, told = reading.reader, list(reading.dialects)
        assert opening.reader is not None
        reader = opening.reader(reading.tables, None)
        reader.dialect = reader.dialect or opening.dialect
        reader.untold = tuple(reading.account.rejected[place][1] for place in before)
        reading.reader = reader
        try:
            _ask(reading, line)
        except OddLine:
            reading.reader, reading.dialects = previous, told
            raise
        if previous is not None:
            previous.close()
            _told(reading, previous.dialect)
        _found(reading, opening)
        for place in reversed(before):
            del reading.account.rejected[place]
            reading.account.header_lines += 1

    def _heading(self, line: str) -> Opening | None:
        if self._any_heading.match(line) is None:
            return None
        return next(opening for pattern, opening in self._headings if pattern.match(line))

    def _is_glued(self, line: str) -> bool:
        """Whether a line that begins with a heading goes on with a row."""
        found = self._any_heading.match(line)
        return found is not None and is_glued(line[found.end() :])

    def _row(self, line: str) -> Opening | None:
        return next(self._fitting(line), None)

    def _fitting(self, line: str) -> Iterator[Opening]:
        if self._any_row.match(line) is not None:
            yield from (opening for pattern, opening in self._rows if pattern.match(line))


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)")


def _open(reading: Reading, opening: Opening, line: str) -> None:
    _close(reading)
    reading.untaken.clear()
    if opening.reader is not None:
        reading.reader = opening.reader(reading.tables, line)
        reading.reader.dialect = reading.reader.dialect or opening.dialect
        _found(reading, opening)


def _ask(reading: Reading, line: str) -> bool:
    """Have the reader at work take a line; OddLine where it cannot."""
    reader = reading.reader
    assert reader is not None
    if reader.read(line):
        reading.row_lines += 1
    elif is_glued(line):
        raise OddLine(MORE_THAN_ONE)
    else:
        reading.account.header_lines += 1
    reading.untaken.clear()
    return True


def _close(reading: Reading) -> None:
    if reading.reader is not None:
        reading.reader.close()
        _told(reading, reading.reader.dialect)
        reading.reader = None


def _found(reading: Reading, opening: Opening) -> None:
    reading.first = reading.first or opening.dialect
    if opening.table not in reading.found:
        reading.found.append(opening.table)


def _told(reading: Reading, dialect: str) -> None:
    if dialect and dialect not in reading.dialects:
        reading.dialects.append(dialect)
