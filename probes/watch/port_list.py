"""Lists of ports as people write them: ``22, 80-90, 443/tcp nginx, udp/53, program:dhclient``.

Place in the data's way: what a policy of ports is made of, read by ``probes.watch.policies`` and
the forms. Pure: knows no database and no words for people; what is wrong is a :class:`Problem`.

Entries stand between commas or on lines of their own; ``#`` begins a comment. An entry is

``22``  ``80-90``  ``443/tcp``  ``udp/53``  ``8000-8999/tcp``
    ports, of any protocol where none is named;
``443/tcp nginx``  ``5432 "my, db"``
    the same, held by this program alone (``"`` around a name with a comma, ``#`` or ``"`` in it);
``program:dhclient``
    whatever this program alone listens on;
``loopback``
    listeners that are bound to loopback addresses only;
``ephemeral``
    ports of the range that the host's kernel gives to connections by itself.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

PROTOCOLS: Final = ("tcp", "udp", "sctp", "dccp")
"""Base protocols that have ports: a tcp6 listener is one of tcp."""

MOST_ENTRIES: Final = 500
LONGEST_NAME: Final = 200
COMM_LENGTH: Final = 15
MOST_EXPECTED: Final = 1_000
"""Ports that ranges of a list of expected ones may name in all."""


class Range(enum.StrEnum):
    """Which kind of port it is, which is what switches go by."""

    SYSTEM = "system"
    """Below 1024: RFC 6335, section 6."""
    REGISTERED = "registered"
    EPHEMERAL = "ephemeral"
    """As the host's kernel has it."""


class Problem(enum.StrEnum):
    """What is wrong with an entry."""

    NOT_UNDERSTOOD = "not_understood"
    PORT = "port"
    """No number from 1 to 65535."""
    ORDER = "order"
    """A range from the higher to the lower port."""
    PROTOCOL = "protocol"
    PROGRAM = "program"
    """No name, one too long, or one with characters that do not print."""
    QUOTE = "quote"
    """A quotation mark without its other one."""
    NO_PORT = "no_port"
    """A list of expected ports needs a port in each entry."""
    TOO_MANY = "too_many"


class ListError(ValueError):
    """An entry that is wrong: ``entry`` as it was written, on ``line`` (from 1)."""

    def __init__(self, problem: Problem, entry: str, line: int) -> None:
        super().__init__(f"line {line}: {entry!r}: {problem.value}")
        self.problem = problem
        self.entry = entry
        self.line = line


class Word(enum.StrEnum):
    """Entries that are one word."""

    LOOPBACK = "loopback"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a word, or a program, or ports with what else has to fit."""

    low: int = 0
    """0: names no port."""
    high: int = 0
    protocol: str = ""
    program: str = ""
    word: Word | None = None

    def __str__(self) -> str:
        if self.word is not None:
            return self.word.value
        program = _quoted(self.program)
        if not self.low:
            return f"program:{program}"
        ports = str(self.low) if self.low == self.high else f"{self.low}-{self.high}"
        return f"{ports}{self.protocol and '/' + self.protocol}{program and ' ' + program}"

    def covers(self, protocol: str, port: int) -> bool:
        """Whether it names this port, whoever holds it."""
        return self.low <= port <= self.high and self.protocol in ("", protocol)

    def matches(self, listener: Listening) -> bool:
        """Whether a listener is what the entry names."""
        if self.word is Word.LOOPBACK:
            return bool(listener.addresses) and all(map(is_loopback, listener.addresses))
        if self.word is Word.EPHEMERAL:
            return listener.range is Range.EPHEMERAL
        if self.low and not self.covers(listener.protocol, listener.port):
            return False
        return not self.program or _is_program(self.program, listener.programs)


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener as lists are matched against it."""

    protocol: str
    """Of :data:`PROTOCOLS`."""
    port: int
    range: Range
    addresses: Collection[str] = ()
    programs: Collection[str] = ()
    """Names that are known; none of them is empty."""


@dataclass(frozen=True, slots=True)
class PortList:
    """A list in its order."""

    entries: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __str__(self) -> str:
        return ", ".join(map(str, self.entries))

    def __add__(self, other: PortList) -> PortList:
        """Both lists, each entry once."""
        return PortList(tuple(dict.fromkeys((*self.entries, *other.entries))))

    def matches(self, listener: Listening) -> bool:
        """Whether any entry names the listener."""
        return any(entry.matches(listener) for entry in self.entries)

    def covers(self, protocol: str, port: int) -> bool:
        """Whether any entry names the port, whoever holds it."""
        return any(entry.covers(protocol, port) for entry in self.entries)

    def each_expected(self) -> Iterator[tuple[str, int, str]]:
        """(protocol, port, program or "") of every port, tcp where no protocol is named."""
        for entry in self.entries:
            for port in range(entry.low, entry.high + 1) if entry.low else ():
                yield entry.protocol or "tcp", port, entry.program


def parse(text: str, *, expected: bool = False) -> PortList:
    """Read a list; raises :class:`ListError` for the first entry that is wrong.

    ``expected`` asks for ports in each entry, at most MOST_EXPECTED in all.
    """
    entries: dict[Entry, None] = {}
    ports = 0
    for line, written in _split(text):
        entry = _entry(written, line)
        if entry in entries:
            continue
        if expected:
            if not entry.low:
                raise ListError(Problem.NO_PORT, written, line)
            ports += entry.high - entry.low + 1
        entries[entry] = None
        if len(entries) > MOST_ENTRIES or ports > MOST_EXPECTED:
            raise ListError(Problem.TOO_MANY, written, line)
    return PortList(tuple(entries))


def is_loopback(address: str) -> bool:
    """Whether an address of a listener takes connections from its own host only."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def is_called(wanted: str, program: str) -> bool:
    """Whether a program that a tool shows is the one called ``wanted``.

    Whatever the case; ``nginx: master`` is nginx, since a program may put behind its name what it
    does (setproctitle(3)); and what Linux cut at 15 characters (TASK_COMM_LEN,
    include/linux/sched.h) is the longer name it begins.
    """
    name, shown = wanted.casefold(), program.casefold()
    if shown == name or shown.startswith(f"{name}:"):
        return True
    return len(shown) == COMM_LENGTH and name.startswith(shown)


def range_of(port: int, ephemeral: tuple[int, int]) -> Range:
    """The range of a port on a host whose kernel gives out the ports from low to high."""
    if port < 1024:
        return Range.SYSTEM
    return Range.EPHEMERAL if ephemeral[0] <= port <= ephemeral[1] else Range.REGISTERED


_PORTS: Final = re.compile(
    r"(?:(?P<before>[A-Za-z]{1,10})/)?(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?"
    r"(?:/(?P<behind>[A-Za-z]{1,10}))?"
)
_NUMBER: Final = re.compile(r"[0-9]{1,20}(?:-[0-9]{1,20})?")
_PLAIN: Final = re.compile(r'[^\s,#"\\](?:[^,#"\\]*[^\s,#"\\])?')
"""A program's name that needs no quotation marks."""


def _split(text: str) -> Iterator[tuple[int, str]]:
    """(line, entry) of all that stands between commas and is no comment. Linear in the text."""
    for number, line in enumerate(text.splitlines(), start=1):
        begin, quoted, at = 0, False, 0
        while at < len(line):
            letter = line[at]
            if letter == "\\" and quoted:
                at += 1
            elif letter == '"':
                quoted = not quoted
            elif not quoted and letter in ",#":
                if part := line[begin:at].strip():
                    yield number, part
                begin = at + 1
                if letter == "#":
                    break
            at += 1
        else:
            if part := line[begin:].strip():
                if quoted:
                    raise ListError(Problem.QUOTE, part, number)
                yield number, part


def _entry(written: str, line: int) -> Entry:
    lowered = written.lower()
    if lowered in (Word.LOOPBACK, Word.EPHEMERAL):
        return Entry(word=Word(lowered))
    if lowered.startswith("program:"):
        return Entry(program=_program(written[len("program:") :].strip(), written, line))
    first, *behind_ports = written.split(None, 1)
    match = _PORTS.fullmatch(first)
    if match is None:
        numbers = _NUMBER.fullmatch(first) is not None
        raise ListError(Problem.PORT if numbers else Problem.NOT_UNDERSTOOD, written, line)
    before, behind = match["before"], match["behind"]
    protocol = (before or behind or "").lower()
    if (before and behind) or protocol not in ("", *PROTOCOLS):
        raise ListError(Problem.PROTOCOL, written, line)
    low = int(match["low"])
    high = int(match["high"] or low)
    if not (1 <= low <= 65535 and 1 <= high <= 65535):
        raise ListError(Problem.PORT, written, line)
    if low > high:
        raise ListError(Problem.ORDER, written, line)
    name = behind_ports[0] if behind_ports else ""
    return Entry(low, high, protocol, _program(name, written, line) if name else "")


def _program(text: str, written: str, line: int) -> str:
    """The name behind a port or ``program:``, out of its quotation marks."""
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):
            raise ListError(Problem.QUOTE, written, line)
        inside, name, at = text[1:-1], [], 0
        while at < len(inside):
            if inside[at] == "\\":
                at += 1
            elif inside[at] == '"':
                raise ListError(Problem.QUOTE, written, line)
            if at == len(inside):
                raise ListError(Problem.QUOTE, written, line)
            name.append(inside[at])
            at += 1
        text = "".join(name)
    elif '"' in text or "\\" in text:
        raise ListError(Problem.QUOTE, written, line)
    if not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
        raise ListError(Problem.PROGRAM, written, line)
    return text


def _quoted(name: str) -> str:
    if not name or _PLAIN.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _is_program(wanted: str, programs: Collection[str]) -> bool:
    """Whether all that is known to hold it is this program: one more holder is another thing."""
    return bool(programs) and all(is_called(wanted, program) for program in programs)
