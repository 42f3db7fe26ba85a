"""Text of a socket table in, rows and an account of every line out.

Place in the data's way: after a transport's bytes, before ``probes.history.diff``. Pure: knows no
Django, no host, no time. ``parse`` finds the dialect by content; each dialect is one module with
``NAME`` and ``Reader(wide=...)``. Total: whatever comes in, each line is a socket, a header,
a blank or a rejected line with its reason, and the only exception is ParseError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from probes.parsers import netstat_linux, ss
from probes.parsers.lines import Account, collector_paused, visible
from probes.parsers.records import Flag, Parsed, ParseError, Rejected, Socket

__all__ = [
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


class _Reader(Protocol):
    account: Account

    def __init__(self, *, wide: bool) -> None: ...

    def feed(self, lines: list[str]) -> None: ...


_DIALECTS: dict[str, type[_Reader]] = {
    netstat_linux.NAME: netstat_linux.Reader,
    ss.NAME: ss.Reader,
}

_KEPT = bytes([0x09, 0x0A, *range(0x20, 0x7F), *range(0x80, 0x100)])
_CONTROL = bytes(sorted(set(range(0x100)) - set(_KEPT)))
_CRLF = re.compile(rb"\r+\n|\r+\Z")
_C1 = re.compile(rb"\xc2([\x80-\x9f])")

_SHAPE = re.compile(
    r"^[ \t]*(?:"
    r"(?P<net>Active Internet connections|Active UNIX domain sockets|Proto +Re[cf][vC]"
    r"|(?:tcp|udp|udpl|udplite|raw)6?[ \t]+[0-9]+[ \t]+[0-9]+[ \t]+\S+:"
    r"|sctp6?[ \t]+[0-9][0-9. \t]*:)"
    r"|(?P<ss>Netid *State|State *Recv-Q"
    r"|(?:tcp|udp|udplite|raw|sctp)[ \t]*[A-Z]{3,10}(?:-[A-Z]{3,8})?(?:-[12])?[ \t]*"
    r"[0-9]+[ \t]+[0-9]+[ \t]+\S+:)"
    r")",
    re.MULTILINE,
)
_BSD_HEADER = re.compile(
    r"^Proto +Recv-Q +Send-Q +Local Address +Foreign Address +\(state\)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class LineResult:
    """Loose lines, parsed: ``len(sockets) + len(rejected) + header_lines + blank_lines`` is their
    number. Sockets and rejected lines each keep the order the lines came in."""

    sockets: list[Socket] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    """The line, whole and as it came, and the reason."""
    header_lines: int = 0
    blank_lines: int = 0


def decode(raw: bytes) -> str:
    r"""The text of a command's output, safe to store: no NUL, no lone surrogate, no control
    character but tab and newline.

    UTF-8; what is not UTF-8 becomes ``\xNN``, and so does every control character, as in program
    names that netstat prints raw. Line ends of a terminal (CR LF) become LF.
    """
    if len(raw.translate(None, _CONTROL)) != len(raw):
        raw = _CRLF.sub(lambda end: b"\n" if end[0].endswith(b"\n") else b"", raw)
        for code in sorted(set(raw.translate(None, _KEPT))):
            raw = raw.replace(bytes([code]), b"\\x%02x" % code)
    if not raw.isascii():
        raw = _C1.sub(lambda control: b"\\x%02x" % control[1][0], raw)
    return raw.decode("utf-8", errors="backslashreplace")


def identify(text: str) -> str | None:
    """The dialect of a text by its first lines: ``net-tools``, ``ss`` or None. Cheap."""
    return _dialect(text[:_FIRST_CHARS])


def _dialect(text: str) -> str | None:
    shape = _SHAPE.search(text)
    if shape is None or _BSD_HEADER.search(text[:_FIRST_CHARS]):
        return None
    return netstat_linux.NAME if shape["net"] is not None else ss.NAME


def parse(text: str, *, wide: bool = False) -> Parsed:
    """All of a text, in whichever dialect it is; every line accounted for.

    ``wide``: the caller knows that netstat ran with ``-W``. Without that knowledge an IPv6
    endpoint of exactly 23 characters counts as cut off, as it may be. ParseError where no header
    and no row is recognised, or where there are more than a million lines.
    """
    if text.count("\n") >= MAX_LINES:
        raise ParseError("too many lines for a socket table")
    dialect = identify(text) or _dialect(text)
    if dialect is None:
        raise ParseError("no socket table that is known")
    account = _read(_pieces(text), dialect, wide=wide, bulk=len(text) >= _BULK_CHARS)
    return Parsed(
        dialect=dialect,
        sockets=account.sockets,
        rejected=[
            Rejected(index + 1, _shown(line), reason) for index, line, reason in account.rejected
        ],
        header_lines=account.header_lines,
        blank_lines=account.blank_lines,
        lines=text.count("\n") + (not text.endswith("\n")),
    )


def parse_lines(lines: Iterable[str], dialect: str, *, wide: bool = False) -> LineResult:
    """Loose lines without header or order, such as those one text has and another has not.

    A line gives the same here as within a text. ParseError for an unknown dialect.
    """
    if dialect not in _DIALECTS:
        raise ParseError("no dialect of that name")
    listed = list(lines)
    account = _read([listed], dialect, wide=wide, bulk=len(listed) >= _BULK_LINES)
    return LineResult(
        sockets=account.sockets,
        rejected=[(line, reason) for _, line, reason in account.rejected],
        header_lines=account.header_lines,
        blank_lines=account.blank_lines,
    )


def _pieces(text: str) -> Iterator[list[str]]:
    """The lines of a text some hundred at a time: a list of all would take more than the text,
    and what was just split is still in the processor's cache when it is read."""
    start, end = 0, len(text) - text.endswith("\n")
    while start <= end and text:
        stop = text.find("\n", start + _PIECE_CHARS, end)
        if stop < 0:
            stop = end
        yield text[start:stop].split("\n")
        start = stop + 1


def _read(pieces: Iterable[list[str]], dialect: str, *, wide: bool, bulk: bool) -> Account:
    reader = _DIALECTS[dialect](wide=wide)
    with collector_paused() if bulk else nullcontext():
        for lines in pieces:
            reader.feed(lines)
    return reader.account


def _shown(line: str) -> str:
    return visible(line[:MAX_REJECTED_CHARS])[:MAX_REJECTED_CHARS]
