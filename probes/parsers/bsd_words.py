"""Words that netstat of macOS, FreeBSD, OpenBSD and NetBSD share.

Place in the data's way: under the readers of the BSD tables. Pure; knows no table.
"""

from __future__ import annotations

import re

from probes.parsers.lines import MAX_QUEUE, OddLine, process_id, program_name, visible
from probes.parsers.records import STATE_ALIASES, TCP_STATES

BSD = "bsd"
"""Where a text does not tell which of the four it is from."""
MACOS = "macos"
FREEBSD = "freebsd"
OPENBSD = "openbsd"
NETBSD = "netbsd"

MAX_TEXT_CHARS = 255

_STATES = {
    **dict(zip(TCP_STATES, TCP_STATES, strict=True)),
    **STATE_ALIASES,
    # Short forms of NetBSD with -An (shorttcpstates in inet.c).
    "SYNSEN": "SYN_SENT",
    "SYSRCV": "SYN_RECV",
    "ESTABL": "ESTABLISHED",
    "CLWAIT": "CLOSE_WAIT",
    "FWAIT1": "FIN_WAIT1",
    "CLOSNG": "CLOSING",
    "LASTAK": "LAST_ACK",
    "FWAIT2": "FIN_WAIT2",
    "TMWAIT": "TIME_WAIT",
}
_SCTP_STATES = {
    "CLOSED": "CLOSE",
    "BOUND": "CLOSE",
    "LISTEN": "LISTEN",
    "COOKIE_WAIT": "SYN_SENT",
    "COOKIE_ECHOED": "SYN_SENT",
    "ESTABLISHED": "ESTABLISHED",
    "SHUTDOWN_PENDING": "FIN_WAIT1",
    "SHUTDOWN_SENT": "FIN_WAIT1",
    "SHUTDOWN_RECEIVED": "CLOSE_WAIT",
    "SHUTDOWN_ACK_SENT": "LAST_ACK",
    "UNKNOWN": "UNKNOWN",
}
"""States of an SCTP association (RFC 9260), each in the word of TCP that says most of it."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,31}")
_PROCESS = re.compile(r"([^:]*):([0-9]{1,10})(?=\s|\Z)")
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(?:[:.-][0-9a-fA-F]{1,2}){5}(?:(?:[:.-][0-9a-fA-F]{1,2}){2})?")


def tcp_state(word: str) -> str | None:
    """The state in our words; None where the word is none. A number is one the tool has no name
    for; ``*`` behind a state was T/TCP's mark of a hidden one."""
    if word.isascii() and word.isdigit():
        return "UNKNOWN"
    return _STATES.get(word.removesuffix("*"))


def sctp_state(word: str) -> str | None:
    """The state of an SCTP association in our words; None where the word is none."""
    return _SCTP_STATES.get(word)


def number(text: str) -> int | None:
    """A count up to 2^63-1; None for anything else, such as ``-``."""
    if _NUMBER.fullmatch(text) is None:
        return None
    value = int(text)
    return value if value <= MAX_QUEUE else None


def interface(text: str) -> str | None:
    """A name of an interface; None where it cannot be one."""
    return text if _INTERFACE.fullmatch(text) else None


def mac(text: str) -> str | None:
    """A hardware address in lower case with colons and all its digits; None for anything else."""
    if _MAC.fullmatch(text) is None:
        return None
    return ":".join(part.zfill(2) for part in re.split("[:.-]", text.lower()))


def kept(text: str) -> str:
    """Text as it may be kept: nothing invisible in it, at most 255 characters."""
    return visible(text.strip()[:MAX_TEXT_CHARS])[:MAX_TEXT_CHARS]


def columns(line: str, words: tuple[str, ...]) -> dict[str, int]:
    """Where each of ``words`` begins in a line of headings; those that are not in it are absent."""
    places = ((word, line.find(word)) for word in words)
    return {word: place for word, place in places if place >= 0}


def hexadecimal(text: str) -> str | None:
    """A kernel address without ``0x`` and padding; None where it is none, or all zeros."""
    digits = text.lower().removeprefix("0x")
    if not 1 <= len(digits) <= 16 or not set(digits) <= set("0123456789abcdef"):
        raise OddLine("kernel address is not hexadecimal")
    return digits.lstrip("0") or None


def process_of(names: tuple[str, ...], text: str) -> tuple[int | None, str | None, str]:
    """PID and program of the columns ``names``, which ``-v`` adds on macOS, and what follows them.

    All columns hold one word but ``process:pid``, whose name may have blanks in it. OddLine where
    the columns are not those.
    """
    if not names:
        return None, None, text
    at = next((i for i, name in enumerate(names) if name in ("pid", "process:pid")), None)
    if at is None or names[at] == "pid":
        parts = text.split(None, len(names))
        if len(parts) < len(names):
            raise OddLine("columns do not match their heading")
        pid = None if at is None else process_id(parts[at]) or None
        return pid, None, parts[len(names)] if len(parts) > len(names) else ""
    before = text.split(None, at)
    found = _PROCESS.match(before[at]) if len(before) > at else None
    if found is None:
        raise OddLine("columns do not match their heading")
    right = len(names) - at - 1
    parts = before[at][found.end() :].split(None, right)
    if len(parts) < right:
        raise OddLine("columns do not match their heading")
    pid = process_id(found[2]) or None
    program = program_name(found[1].strip()) if pid else None
    return pid, program, parts[right] if len(parts) > right else ""
