"""Text that was quoted on its way: what stands before every line, and the colours of a terminal.

Place in the data's way: before ``probes.parsers.parse``, for text that a person brought
(``probes.brought``) and never for a probe's. Pure; knows no dialect and does not judge whether what
is left is a table. Every function keeps the number of lines, so that a line has the number it had.

What tickets, mails, chats and logs make of a line of netstat::

    > > tcp        0      0 0.0.0.0:22      0.0.0.0:*       LISTEN
    web1 | tcp        0      0 0.0.0.0:22      0.0.0.0:*       LISTEN
    12:tcp        0      0 0.0.0.0:22      0.0.0.0:*       LISTEN
    2026-01-31T03:12:05+00:00 web1 cron[81]: tcp    0   0 0.0.0.0:22   0.0.0.0:*   LISTEN
    | tcp | 0 | 0 | 0.0.0.0:22 | 0.0.0.0:* | LISTEN |

Takes linear time: each pattern looks at the beginning of a line only, and no further than some
hundred characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from probes.parsers.words import gettext_noop

SHARE: Final = 0.75
"""Of the lines that are not blank, how many a prefix must stand before: a greeting or a signature
around what was quoted has none."""

_LOOKED_AT: Final = 200
"""Lines that decide whether it is worth while to look at all of them."""

COLOURS: Final = gettext_noop("colours and other codes of a terminal were taken off")

_ESCAPE = re.compile(
    r"(?:\\x1b|\^\[|\x1b)"
    r"(?:\[[0-9;:?<=>]{0,40}[A-Za-z]|[()][0-9A-Za-z]|\][^\\\n\x07\x1b]{0,300}(?:\\x07|\\x1b\\|\x07))"
)
r"""ECMA-48: CSI sequences (SGR ends in m, what grep adds in K), OSC ones (links), and the choice of
a character set. ``probes.parsers.decode`` has written ESC as ``\x1b``, ``cat -v`` as ``^[``."""

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
_TAG = r"(?:[\w.-]{1,64} [\w./()@-]{1,64}(?:\[[0-9]{1,10}\])?:(?: |$))?"
_QUOTE = re.compile(r"[ \t]{0,8}(?:> ?){0,19}>")
_BAR = re.compile(r"[ \t]{0,8}[|\u2502\u2503]")
_NAME_BAR = re.compile(r"([\w.@/-]{1,64})[ \t]{0,40}[|\u2502]")
_NAME_BRACKET = re.compile(r"\[([\w.@/: -]{1,64})\]:?")
_NAME_COLON = re.compile(r"([\w.@/-]{1,64}):(?: |$)")
_NUMBER = re.compile(r"[ \t]{0,8}[0-9]{1,7}(?:[:|)\-]|\t|$)")
_STAMP = re.compile(
    r"(?:<[0-9]{1,3}>)?\[?(?:"
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_TIME}(?:Z| ?UTC|[+-][0-9]{{2}}:?[0-9]{{2}})?"
    rf"|{_MONTH} [ 0-9][0-9] (?:[0-9]{{4}} )?{_TIME}"
    rf"|{_TIME})\]?:?(?: {_TAG}|\t|$)"
)
_UPTIME = re.compile(r"\[ {0,8}[0-9]{1,9}\.[0-9]{6}\]")
_CELLS = re.compile(r"[ \t]{0,8}\|.*\|[ \t]*$")
_RULE = re.compile(r"[ \t|:+-]*$")


@dataclass(frozen=True, slots=True)
class Unquoted:
    """A text as it may have been before it was quoted."""

    text: str
    """With as many lines as before."""
    remark: str
    """What was taken off, an English msgid."""


def without_escapes(text: str) -> Unquoted | None:
    """``text`` without the codes of a terminal; None where it has none."""
    bare = _ESCAPE.sub("", text)
    return None if bare == text else Unquoted(bare, COLOURS)


def unquoted(text: str) -> Iterator[Unquoted]:
    """``text`` without what nearly all of its lines begin with, for each kind that this is.

    Most have one at most; which of several it was can only be told by what is left. Lines without
    the prefix stay as they are.
    """
    lines = text.split("\n")
    for strip, remark in _KINDS:
        stripped = strip(lines)
        if stripped is not None:
            yield Unquoted("\n".join(stripped), remark)


def _filled(lines: list[str]) -> list[str]:
    return [line for line in lines if line and not line.isspace()]


def _enough(some: int, of: int) -> bool:
    return some > 0 and some >= SHARE * of


def _prefix(pattern: re.Pattern[str]) -> Callable[[list[str]], list[str] | None]:
    """Takes off what ``pattern`` matches; where it has a group, only with the one text in it that
    is the most frequent: the lines of one host among those of several are not the table of all."""

    def matched(line: str, word: str | None) -> re.Match[str] | None:
        found = pattern.match(line)
        return found if found is None or word is None or found[1] == word else None

    def strip(lines: list[str]) -> list[str] | None:
        head = _filled(lines[: 2 * _LOOKED_AT])[:_LOOKED_AT]
        word = None
        if pattern.groups:
            words = [found[1] for line in head if (found := pattern.match(line))]
            word = max(words, key=words.count) if words else None
        if not _enough(sum(matched(line, word) is not None for line in head), len(head)):
            return None
        ends = [-1 if (found := matched(line, word)) is None else found.end() for line in lines]
        if not _enough(sum(end >= 0 for end in ends), len(_filled(lines))):
            return None
        behind = [line[end:] for line, end in zip(lines, ends, strict=True) if end >= 0]
        # A blank behind it is a part of it, but not where only rows are indented by one.
        more = all(rest.startswith(" ") for rest in _filled(behind))
        return [
            line if end < 0 else line[end:].removeprefix(" ") if more else line[end:]
            for line, end in zip(lines, ends, strict=True)
        ]

    return strip


def _indentation(lines: list[str]) -> list[str] | None:
    """Takes off the blanks that all lines begin with."""
    filled = _filled(lines)
    if not filled:
        return None
    first, last = min(filled), max(filled)
    width = 0
    while width < min(len(first), len(last)) and first[width] == last[width] in " \t":
        width += 1
    if not width:
        return None
    return [line[width:] if line[:width] == first[:width] else line for line in lines]


def _cells(lines: list[str]) -> list[str] | None:
    """Takes a table of Markdown, or of a database's client, apart into its columns; the line
    between heading and rows becomes a blank one."""
    head = _filled(lines[: 2 * _LOOKED_AT])[:_LOOKED_AT]
    if not _enough(sum(map(_is_cells, head)), len(head)):
        return None
    if not _enough(sum(map(_is_cells, lines)), len(_filled(lines))):
        return None
    return [_row(line) if _is_cells(line) else line for line in lines]


def _is_cells(line: str) -> bool:
    if _is_rule(line):
        return "|" in line or "+" in line
    return line.count("|") > 2 and _CELLS.match(line) is not None


def _is_rule(line: str) -> bool:
    return "--" in line and _RULE.match(line) is not None


def _row(line: str) -> str:
    if _is_rule(line):
        return ""
    return "  ".join(
        cell.strip(" \t`") for cell in line.strip(" \t").strip("|").split("|")
    ).rstrip()


_KINDS: Final[tuple[tuple[Callable[[list[str]], list[str] | None], str], ...]] = (
    (
        _prefix(_QUOTE),
        gettext_noop("the lines began with >, as quoted mail does, which was taken off"),
    ),
    (_cells, gettext_noop("the columns stood between bars, as in Markdown, which were taken off")),
    (_prefix(_BAR), gettext_noop("the lines began with a bar, which was taken off")),
    (
        _prefix(_NAME_BAR),
        gettext_noop("the lines began with one name and a bar, which were taken off"),
    ),
    (
        _prefix(_STAMP),
        gettext_noop("the lines began with a time, as those of a log, which was taken off"),
    ),
    (
        _prefix(_UPTIME),
        gettext_noop("the lines began with a time, as those of a log, which was taken off"),
    ),
    (
        _prefix(_NAME_BRACKET),
        gettext_noop("the lines began with one name in brackets, which was taken off"),
    ),
    (
        _prefix(_NAME_COLON),
        gettext_noop("the lines began with one name and a colon, which were taken off"),
    ),
    (_prefix(_NUMBER), gettext_noop("the lines began with their numbers, which were taken off")),
    (_indentation, gettext_noop("the lines were indented, which was taken off")),
)
"""In the order in which they are tried."""
