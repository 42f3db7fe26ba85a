"""Changed copies of real output: lines, words and bytes moved, cut, doubled and exchanged."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures"
PIECE_LINES = 24
MAX_BYTES = 6_000
_WORD = re.compile(rb"\S+")
_BLANKS = re.compile(rb"[ \t]+")
_DIGITS = re.compile(rb"[0-9]+")

HOSTILE = (
    b"", b"-", b"-1", b"*", b"0", b"00", b"0x", b"65536", b"4294967296", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"9" * 40, b"1e9", b"0.0", b"1.5sec",
    b"999999999999999999999999.9", b"nan", b"inf", "\u0663".encode(), "\u00b2".encode(), b"::",
    b":", b"[::]", b"[::", b"]", b"%", b"%25", b"::ffff:1.2.3.4", b"::ffff:0:0", b"1.2.3.4",
    b"1.2.3.4.5", b"1.2.3", b"256.1.1.1", b"01.2.3.4", b"fe80::1%eth0", b"fe80::1%\xff",
    b"10.0.0.0/33", b"10.1.2.3/8", b"default", b"link#1", b"LISTEN", b"LISTENING", b"ESTABLISHED",
    b"ESTAB", b"/", b"//", b"1/", b"/x", b"(", b")", b'users:(("', b'"', b'",pid=1,fd=', b"()",
    b"timer:(", b"\x00", b"\x1b[31m", b"\x7f", b"\x85", b"\xff\xfe", b"\xc2\x85", b"\xe2\x80\xa8",
    b"\xe2\x80\xae", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u4f60\u597d".encode(), b"\r", b"\t",
    b"==> /proc/net/tcp <==", b"==> /proc/net/dev <==",
)  # fmt: skip

Change = Callable[[random.Random, list[bytes], Sequence[bytes]], None]


def seeds() -> list[bytes]:
    """The fixtures, each whole where it is short, and in pieces under its first two lines."""
    found: dict[bytes, None] = {}
    for path in sorted(FIXTURES.glob("*/*--*.out")):
        raw = path.read_bytes()
        lines = raw.split(b"\n")
        if len(raw) <= MAX_BYTES:
            found[raw] = None
        for start in range(0, len(lines), PIECE_LINES):
            piece = b"\n".join(lines[start : start + PIECE_LINES])
            found[piece[:MAX_BYTES]] = None
            found[b"\n".join([*lines[:2], piece])[:MAX_BYTES]] = None
    return list(found)


def words(texts: Sequence[bytes]) -> list[bytes]:
    """Every word of ``texts``, once, and the hostile ones."""
    known = dict.fromkeys(word for text in texts for word in _WORD.findall(text) if len(word) < 80)
    return [*known, *HOSTILE * 4]


class Mutator:
    """Makes new inputs; the same seed makes the same ones."""

    def __init__(self, source: random.Random, dictionary: Sequence[bytes]) -> None:
        self._random = source
        self._dictionary = dictionary

    def change(self, raw: bytes, other: bytes) -> bytes:
        """A copy of ``raw`` with a few things changed, some after the manner of ``other``."""
        source = self._random
        lines = raw.split(b"\n")
        for _ in range(1 + int(source.expovariate(0.5))):
            step = source.random()
            if step < 0.55:
                _in_a_line(source, lines, self._dictionary)
            elif step < 0.92:
                source.choice(_LINES)(source, lines, other.split(b"\n"))
            else:
                lines = source.choice(_WHOLE)(source, b"\n".join(lines)).split(b"\n")
        return b"\n".join(lines)[: MAX_BYTES if source.random() < 0.98 else 100_000]


def _in_a_line(source: random.Random, lines: list[bytes], dictionary: Sequence[bytes]) -> None:
    at = source.randrange(len(lines))
    line = lines[at]
    found = list(_WORD.finditer(line))
    choice = source.randrange(9)
    if choice == 0 or not found:
        cut = source.randrange(len(line) + 1)
        put = bytes(source.randrange(256) for _ in range(source.randrange(1, 5)))
        lines[at] = line[:cut] + put + line[cut + source.randrange(4) :]
        return
    start, end = source.choice(found).span()
    word = line[start:end]
    if choice <= 3:
        put = source.choice(dictionary)
    elif choice == 4:
        put = b""
    elif choice == 5:
        put = word + b" " * source.randrange(2) + word
    elif choice == 6:
        number = source.choice((b"0", b"1", b"255", b"65535", b"2147483648", b"9" * 20, b"-1"))
        put = _DIGITS.sub(number, word, count=source.randrange(1, 3))
    elif choice == 7:
        place = source.randrange(len(word) + 1)
        put = word[:place] + source.choice(dictionary) + word[place:]
    else:
        start, end = source.choice([*_BLANKS.finditer(line), found[0]]).span()
        put = source.choice((b"", b" ", b"  ", b"\t", b" " * 30))
    lines[at] = line[:start] + put + line[end:]


def _line_away(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    if len(lines) > 1:
        del lines[source.randrange(len(lines))]


def _line_twice(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    lines.insert(source.randrange(len(lines) + 1), source.choice(lines))


def _blank_line(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    lines.insert(source.randrange(len(lines) + 1), source.choice((b"", b" ", b"\t", b"\x0c")))


def _line_of_another(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    lines.insert(source.randrange(len(lines) + 1), source.choice(other))


def _part_of_another(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    start = source.randrange(len(other))
    at = source.randrange(len(lines) + 1)
    lines[at:at] = other[start : start + source.randrange(1, 12)]


def _shuffled(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    start = source.randrange(len(lines))
    part = lines[start : start + source.randrange(2, 8)]
    source.shuffle(part)
    lines[start : start + len(part)] = part


def _joined(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    at = source.randrange(len(lines))
    if at + 1 < len(lines):
        lines[at : at + 2] = [lines[at] + source.choice((b"", b" ")) + lines[at + 1]]


def _broken(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    at = source.randrange(len(lines))
    place = source.randrange(len(lines[at]) + 1)
    lines[at : at + 1] = [lines[at][:place], lines[at][place:]]


def _crossed(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    at = source.randrange(len(lines))
    line, more = lines[at], source.choice(other)
    lines[at] = line[: source.randrange(len(line) + 1)] + more[source.randrange(len(more) + 1) :]


def _long(source: random.Random, lines: list[bytes], other: Sequence[bytes]) -> None:
    at = source.randrange(len(lines))
    found = _WORD.findall(lines[at]) or [b"x"]
    word = source.choice(found) + source.choice((b"", b" "))
    times = source.choice((20, 300, 70_000)) // len(word) + 1
    lines[at] = lines[at].replace(word, word * times, 1)


_LINES: tuple[Change, ...] = (
    _line_away, _line_twice, _blank_line, _line_of_another, _part_of_another, _shuffled, _joined,
    _broken, _crossed, _long,
)  # fmt: skip


def _bytes_flipped(source: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw or b"\n")
    for _ in range(source.randrange(1, 6)):
        changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def _cut_short(source: random.Random, raw: bytes) -> bytes:
    return raw[: source.randrange(len(raw) + 1)]


def _of_a_terminal(source: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"\n", source.choice((b"\r\n", b"\r\r\n", b"\r")))


def _recoded(source: random.Random, raw: bytes) -> bytes:
    code = source.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp936", "cp850"))
    return raw.decode("utf-8", "replace").encode(code, "replace")


_WHOLE = (_bytes_flipped, _cut_short, _of_a_terminal, _recoded)
