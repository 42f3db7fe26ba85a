"""Text of tables that a person brought: quoted in a ticket, or one output after the other.

Place in the data's way: between the page "Paste netstat output", ``POST parse`` and ``manage.py
parse``, and ``probes.parsers``; never before a probe's output, which nobody has quoted. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from probes import parsers
from probes.parsers import quoting
from probes.parsers.records import Parsed, ParseError
from probes.parsers.words import gettext_noop

SEVERAL: Final = gettext_noop(
    "the text holds several socket tables of the same kind one after the other; all rows are shown"
)

_HEADING = re.compile(
    r"[ \t]*(?:Proto[ \t]+(?:Re[cf][vC]|\S+[ \t]+\S)"
    r"|(?:Netid[ \t]*)?(?:State[ \t]*)?Recv-Q[ \t]*Send)"
)
"""The columns of net-tools, busybox, BSD and macOS, of Windows in languages that write Proto, of
ss."""
_DIGIT = re.compile(r"[0-9]")
_MOST_COMPARED: Final = 1_000
"""Of the socket tables of a text. Where there are more, as from ``netstat -c``, their headings are
enough."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A text that was brought, as it is to be read."""

    text: str
    """With as many lines as it came with, less what stood before each."""
    parsed: Parsed


def understand(text: str, *, wide: bool = False) -> Understood:
    """Parse ``text`` as ``parsers.parse`` does, and where lines are left that no rule reads and it
    was quoted, what was quoted, if that reads far better; a remark says so. ParseError where no
    table is in either."""
    plain, problem = _parsed(text, wide=wide)
    best = Understood(text, plain) if plain is not None else None
    if plain is None or plain.rejected:
        for text_again, remarks in _unquoted(text):
            read, _ = _parsed(text_again, wide=wide)
            if read is not None and _is_better(read, plain, None if best is None else best.parsed):
                best = Understood(text_again, read)
                for remark in remarks:
                    read.tables.remark(remark)
    if best is None:
        raise problem or ParseError("no table that is known")
    if _superseded(best.text, wide=wide):
        best.parsed.tables.remark(SEVERAL)
    return best


def _unquoted(text: str) -> Iterator[tuple[str, list[str]]]:
    """What ``text`` may have been, each with what was taken off: less before more."""
    bare = quoting.without_escapes(text)
    if bare is not None:
        yield bare.text, [bare.remark]
    for one in quoting.unquoted(text):
        yield one.text, [one.remark]
    if bare is not None:
        for one in quoting.unquoted(bare.text):
            yield one.text, [bare.remark, one.remark]


def is_several(parsed: Parsed) -> bool:
    """Whether :func:`understand` found one socket table after the other in the text."""
    return SEVERAL in parsed.tables.remarks


def newest(text: str, *, wide: bool = False) -> str:
    """``text`` without the socket tables that a later one in it tells anew, and without what stands
    between them: what a host showed at one moment. The same text where none is told twice."""
    lines = text.split("\n")
    dropped: set[int] = set()
    for first, behind in _superseded(text, wide=wide):
        dropped.update(range(first, behind))
    if not dropped:
        return text
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)


def _parsed(text: str, *, wide: bool) -> tuple[Parsed | None, ParseError | None]:
    try:
        return parsers.parse(text, wide=wide), None
    except ParseError as error:
        return None, error


def _is_better(read: Parsed, plain: Parsed | None, best: Parsed | None) -> bool:
    """Whether ``read`` is far better than the text as it came, and better than the best so far.

    Where nothing was read of that, a few lines that look like rows are no table yet.
    """
    rejected = len(read.rejected)
    if best is not None and best is not plain:
        return rejected < len(best.rejected) and read.row_lines >= best.row_lines
    if plain is None:
        return rejected <= read.row_lines + read.header_lines
    return 2 * rejected <= len(plain.rejected) and read.row_lines >= plain.row_lines


def _superseded(text: str, *, wide: bool) -> list[tuple[int, int]]:
    """The socket tables, from their first line to behind their last (counted from 0), after which
    another comes with the same heading and with sockets of the same protocol and state.

    The same heading alone is not enough: ``ss -tan; ss -uan`` prints it twice.
    """
    lines = text.split("\n")
    starts: list[tuple[int, tuple[str, str]]] = []
    for number, line in enumerate(lines):
        if _HEADING.match(line):
            title_at = _title(lines, number)
            title = "" if title_at == number else " ".join(lines[title_at].split())
            starts.append((title_at, (title, " ".join(line.split()))))
    if len({key for _start, key in starts}) == len(starts):
        return []
    superseded: list[tuple[int, int]] = []
    later: dict[tuple[str, str], set[tuple[str, str | None]]] = {}
    behind = len(lines)
    for start, key in reversed(starts):
        kinds: set[tuple[str, str | None]] = {("any", None)}
        if len(starts) <= _MOST_COMPARED:
            read, _ = _parsed("\n".join(lines[start:behind]), wide=wide)
            kinds = set() if read is None else {(row.protocol, row.state) for row in read.sockets}
        told = later.setdefault(key, set())
        if kinds & told:
            superseded.append((start, behind))
        told |= kinds
        behind = start
    return superseded


def _title(lines: list[str], heading: int) -> int:
    """Where the title of a table stands: right above its columns, or a blank line further up. A
    row of the table before has digits in it."""
    for number in range(heading - 1, max(-1, heading - 3), -1):
        line = lines[number]
        if line and not line.isspace():
            return heading if len(line) > 200 or _DIGIT.search(line) else number
    return heading
