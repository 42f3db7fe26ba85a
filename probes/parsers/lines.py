"""What every dialect shares: the account of lines, text made safe to keep, the memory of a parse.

Place in the data's way: between the decoded text and the dialect modules (``netstat_linux``,
``ss``), which are the only callers besides ``probes.parsers`` itself. Knows no dialect.
"""

from __future__ import annotations

import gc
import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from socket import AF_INET, inet_pton

from probes.parsers.records import Details, Socket
from probes.parsers.words import gettext_noop

MAX_LINE_CHARS = 65_536
"""A longer line is rejected unread. ``ss`` names every process that holds a socket in one line,
about 30 characters each, so this allows two thousand of them."""

MAX_PROGRAM_CHARS = 255
"""Program names are cut here. netstat prints 19 characters with the PID, ss at most 64."""

MAX_QUEUE = 2**63 - 1
MAX_COUNTER = 2**64 - 1
MAX_PID = 2**31 - 1
MAX_PORT = 65_535

_QUEUE = re.compile(r"0|[1-9][0-9]{0,18}")
_COUNTER = re.compile(r"0|[1-9][0-9]{0,19}")
NOT_A_COUNTER = gettext_noop("counter is not a number from 0 to 18446744073709551615")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")


MORE_THAN_ONE = gettext_noop("more than one line in one")
"""Reason for a heading with a row behind it: what stood between them was no line feed."""
_GLUED = re.compile(
    r"\\x(?:0[a-d]|1[c-e]|85)|\\u202[89]|[\x0b-\x0d\x1c-\x1e\x85\u2028\u2029]"
    r"|:[0-9*:]|\*\.\*|[0-9]\.[0-9]{1,3}\.|(?<!\S)[0-9]+(?!\S)"
)


def is_glued(text: str) -> bool:
    """Whether ``text``, (the rest of) a heading, holds what only rows hold: an address, an
    endpoint or a number by itself; or another kind of line end, as it is or made visible."""
    return _GLUED.search(text) is not None


class OddLine(ValueError):
    """A line that is no row of the dialect; the message is the reason shown to people."""


@dataclass(slots=True)
class Account:
    """Where each line went; every line adds exactly one to exactly one of the four."""

    sockets: list[Socket] = field(default_factory=list)
    details: dict[int, Details] = field(default_factory=dict)
    """By index into ``sockets``, for those whose line told more."""
    rejected: list[tuple[int, str, str]] = field(default_factory=list)
    """Index of the line (from 0), the line as it came, the reason."""
    header_lines: int = 0
    blank_lines: int = 0

    def add(self, sockets: list[Socket], told: Sequence[Details | None] = ()) -> None:
        """Add rows. ``told`` is what else each of their lines told; empty where none did."""
        if told:
            start = len(self.sockets)
            self.details |= {start + at: one for at, one in enumerate(told) if one is not None}
        self.sockets += sockets

    def reject(self, line: str, reason: str, *, rows: int) -> None:
        """Note a line that is no row; ``rows`` are those read but not yet among the sockets."""
        before = len(self.sockets) + rows + self.header_lines + self.blank_lines
        self.rejected.append((before + len(self.rejected), line, reason))


class Queues(dict[str, int]):
    """Queue length by its text. A KeyError means the text is no number up to MAX_QUEUE."""

    def __missing__(self, text: str) -> int:
        if _QUEUE.fullmatch(text) is None:
            raise KeyError(text)
        value = int(text)
        if value > MAX_QUEUE:
            raise KeyError(text)
        self[text] = value
        return value


class Ports(dict[str, int | None]):
    """Port by its text, ``*`` as None. Never more than 65,537 entries, so one is shared."""

    def __missing__(self, text: str) -> int | None:
        if text == "*":
            self[text] = None
            return None
        if _PORT.fullmatch(text) is None:
            raise KeyError(text)
        value = int(text)
        if value > MAX_PORT:
            raise KeyError(text)
        self[text] = value
        return value


PORTS = Ports()
"""Shared by all parses and threads: setting a key twice stores the same value."""


class Ipv4Texts(dict[str, str]):
    """Dotted IPv4 addresses met in one parse; a KeyError means the text is not one."""

    def __missing__(self, text: str) -> str:
        if not is_ipv4(text):
            raise KeyError(text)
        self[text] = text
        return text


def is_ipv4(text: str) -> bool:
    """True for four decimal octets without leading zeros, ASCII digits only."""
    try:
        inet_pton(AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL or a lone surrogate in it
        return False
    return True


def queue(text: str) -> int:
    """The queue length in ``text``; OddLine unless it is a number from 0 to 2^63-1."""
    if _QUEUE.fullmatch(text) is None or int(text) > MAX_QUEUE:
        raise OddLine("queue is not a number from 0 to 9223372036854775807")
    return int(text)


def counter(text: str) -> int:
    """The counter in ``text``, of 64 bits at most; OddLine where it is none."""
    if _COUNTER.fullmatch(text) is None or int(text) > MAX_COUNTER:
        raise OddLine(NOT_A_COUNTER)
    return int(text)


def process_id(digits: str) -> int:
    """The PID in ``digits``; OddLine unless it is a number from 0 to 2^31-1."""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or int(digits) > MAX_PID:
        raise OddLine("PID is not a number from 0 to 2147483647")
    return int(digits)


def program_name(text: str) -> str | None:
    """A program's name as kept: padding gone, at most 255 characters, nothing invisible in it."""
    return visible(text.rstrip(" ")[:MAX_PROGRAM_CHARS])[:MAX_PROGRAM_CHARS] or None


def visible(text: str) -> str:
    r"""``text`` with control, format and surrogate characters written out (``\x1b``, ``\u202e``).

    The answer can be shown, sent as JSON and stored by PostgreSQL (no NUL, no lone surrogate).
    """
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escaped(char) for char in text])


def printed_width(text: str) -> int:
    """Columns of a terminal that ``text`` takes, which :func:`visible` made fit to be shown."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_pausing = threading.Lock()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the cyclic garbage collector from walking the growing rows: up to twice the speed.

    The collector is one per process and workers have many threads. The first thread to come
    pauses it; a thread that comes meanwhile neither waits nor touches it, it parses with
    whatever holds at that moment. Only who paused it turns it on again, and only if it was on,
    so it is never left off and never off for longer than one parse. Rows hold no cycles, so
    nothing is leaked in between. What grew is handed over as old: the next small collection
    would walk all of it, which takes a fifth as long as reading it did.
    """
    if not _pausing.acquire(blocking=False):
        yield
        return
    try:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if was_enabled:
                if not gc.get_freeze_count():  # or what somebody else froze would thaw
                    gc.freeze()
                    gc.unfreeze()
                gc.enable()
    finally:
        _pausing.release()
