"""Reads a pasted list of indicators of compromise: what a hunt looks for.

Place in the data's way: between a text field (or a saved hunt) and
``probes.history.queries.sightings``. Pure: knows addresses and ports, no models and no requests.

    10[.]0[.]0[.]1                     one address, written so that no mail program links it
    hxxp://198.51.100.7:8080/x.sh      a URL whose host is an address
    2001:db8::/32, 10.0.0.0/8          networks
    [2001:db8::1]:443  203.0.113.9:80  an address and the remote port
    port 4444   4444/tcp               a port that was listened on, whichever end had it
    program:xmrig                      part of a program's name; in quotes where it has blanks

Words stand apart by blanks, commas or semicolons; ``#`` begins a comment. What is not understood
is said with its line and a reason, and nothing a text holds makes :func:`read` raise.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from probes.filters import AddressRange, Invalid, Message, address_range, packed, unstorable

Kind = Literal["ip", "cidr", "port", "ip+port", "program"]

MOST: Final = 1_000
"""Indicators of one list."""
MOST_CHARACTERS: Final = 256 * 1024
LONGEST_PROGRAM: Final = 200

PROTOS: Final = ("tcp", "udp", "sctp")
"""What may stand behind a port, as ``proto`` of ``probes.filters`` reads it."""

_DEFANGED: Final = (
    (re.compile(r"\[://\]"), "://"),
    (re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)", re.IGNORECASE), "."),
    (re.compile(r"\[:\]|\(:\)|\{:\}"), ":"),
    (re.compile(r"\[/\]"), "/"),
)
_WORD: Final = re.compile(r'program:"(?:[^"\\]|\\.)*"|#.*|[^\s,;]+', re.IGNORECASE | re.DOTALL)
"""A word, or a comment to the end of the line."""
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,20}://", re.IGNORECASE)
_PORT: Final = re.compile(r"(?:port:|:)?([0-9]{1,5})(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_TURNED: Final = re.compile(r"(tcp|udp|sctp)[/:]([0-9]{1,5})", re.IGNORECASE)
_IPV4_PORT: Final = re.compile(r"([0-9.]{7,15}):([0-9]{1,5})(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_IPV6_PORT: Final = re.compile(
    r"\[([^\[\]]{2,80})\]:([0-9]{1,5})(?:/(tcp|udp|sctp))?", re.IGNORECASE
)
_NAME: Final = re.compile(r"(?=.{4,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+", re.IGNORECASE)
_RANGE: Final = re.compile(r"[0-9a-f.:]{3,45}-[0-9a-f.:]{1,45}", re.IGNORECASE)
_DRESS: Final = "\"'<>`"
"""What may stand around a word that was copied out of something else."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One thing to look for; all that is not None must fit."""

    text: str
    """Its plain form. What came out of a list is read as the same again; an address with a
    listened-on port, which no list can say, is not."""
    addresses: AddressRange | None = None
    """Of the remote end."""
    remote_port: int | None = None
    port: int | None = None
    """The port that was listened on, whichever end has it."""
    program: str | None = None
    """Part of the name."""
    proto: str | None = None
    """One of PROTOS, with its IPv6 form."""

    @property
    def kind(self) -> Kind:
        """What it is, in a word."""
        if self.addresses is not None:
            if self.remote_port is not None or self.port is not None:
                return "ip+port"
            return "ip" if self.addresses.low == self.addresses.high else "cidr"
        return "port" if self.port is not None else "program"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A word that is no indicator."""

    line: int
    """From 1."""
    text: str
    reason: Message


@dataclass(frozen=True, slots=True)
class Reading:
    """What a list says. Each line is blank, understood, or has its words in ``rejected``."""

    indicators: tuple[Indicator, ...]
    """Each once, in the order of the text."""
    rejected: tuple[Rejected, ...]
    repeated: int
    """Words that said again what another had said."""
    lines: int
    blank: int
    """Empty, or nothing but a comment."""
    understood: int
    """Lines of which every word is an indicator."""


def read(text: str) -> Reading:
    """The indicators of ``text``; never raises.

    At most MOST of them and MOST_CHARACTERS are read; what is beyond is among the rejected.
    """
    found: dict[Indicator, None] = {}
    rejected: list[Rejected] = []
    repeated = blank = understood = 0
    lines = text[:MOST_CHARACTERS].splitlines()
    for number, line in enumerate(lines, start=1):
        words = list(_words(line))
        bad = len(rejected)
        for word in words:
            try:
                indicator = one(word)
                if indicator in found:
                    repeated += 1
                elif len(found) >= MOST:
                    raise Invalid(format_lazy(_("At most {most} indicators are read."), most=MOST))
                else:
                    found[indicator] = None
            except Invalid as error:
                rejected.append(Rejected(number, _shown(word), error.message))
        blank += not words
        understood += bool(words) and len(rejected) == bad
    if len(text) > MOST_CHARACTERS:
        reason = format_lazy(_("At most {most} characters are read."), most=MOST_CHARACTERS)
        rejected.append(Rejected(len(lines), "…", reason))
        understood -= bool(lines) and _was_understood(lines[-1], rejected, len(lines))
    return Reading(tuple(found), tuple(rejected), repeated, len(lines), blank, max(0, understood))


def _was_understood(line: str, rejected: list[Rejected], number: int) -> bool:
    """Whether the line that was cut had counted as understood."""
    return bool(list(_words(line))) and [row.line for row in rejected].count(number) == 1


def one(word: str) -> Indicator:
    """The indicator that a word is; raises Invalid with the reason where it is none."""
    plain = word
    for pattern, meant in _DEFANGED:
        plain = pattern.sub(meant, plain)
    if plain[:8].lower() == "program:":
        return of_program(_unquoted(plain[8:]))
    plain = plain.strip(_DRESS).rstrip(".")
    scheme = _SCHEME.match(plain)
    if scheme is not None:
        return _of_url(plain[scheme.end() :])
    match = _IPV4_PORT.fullmatch(plain) or _IPV6_PORT.fullmatch(plain)
    if match is not None:
        return of_address(match[1], remote_port=_port(match[2]), proto=_proto(match[3]))
    match = _PORT.fullmatch(plain)
    if match is not None:
        if plain.isdigit():
            reason = format_lazy(_("Write “port {n}” for a port."), n=plain)
            raise Invalid(reason)
        return of_port(_port(match[1]), proto=_proto(match[2]))
    match = _TURNED.fullmatch(plain)
    if match is not None:
        return of_port(_port(match[2]), proto=_proto(match[1]))
    bare = plain[1:-1] if plain[:1] == "[" and plain[-1:] == "]" else plain
    try:
        return of_address(bare)
    except Invalid:
        raise Invalid(_why_not(bare)) from None


def of_address(
    text: str, *, remote_port: int | None = None, port: int | None = None, proto: str | None = None
) -> Indicator:
    """An address or network, with a remote port or a listened-on one; raises Invalid."""
    addresses = address_range(text)
    if addresses.zone is not None and not re.fullmatch(r"[\w.-]{1,64}", addresses.zone):
        raise Invalid(_("Give the name of an interface behind the %."))
    shown = _canonical(text, addresses)
    if remote_port is not None:
        shown = f"[{shown}]:{remote_port}" if ":" in shown else f"{shown}:{remote_port}"
    elif port is not None:
        shown = f"{shown} port {port}"
    return Indicator(
        f"{shown}/{proto}" if proto else shown,
        addresses=addresses,
        remote_port=remote_port,
        port=port,
        proto=proto,
    )


def of_port(port: int, *, proto: str | None = None) -> Indicator:
    """A port that was listened on."""
    return Indicator(f"{port}/{proto}" if proto else f"port {port}", port=port, proto=proto)


def of_program(name: str) -> Indicator:
    """Part of a program's name; raises Invalid."""
    if not name.strip():
        raise Invalid(_("Give part of a program's name behind program:"))
    if len(name) > LONGEST_PROGRAM:
        raise Invalid(format_lazy(_("Give at most {most} characters."), most=LONGEST_PROGRAM))
    if unstorable(name) or not name.isprintable():
        raise Invalid(_("This holds a character that no program's name has."))
    plain = re.fullmatch(r"[^\s,;\"\\#]+", name) is not None
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return Indicator(f"program:{name}" if plain else f'program:"{quoted}"', program=name)


def _words(line: str) -> Iterator[str]:
    """The words of a line without its comment; ``port 4444`` is one."""
    before = ""
    for match in _WORD.finditer(line):
        word = match[0]
        if word.startswith("#"):
            break
        if before:
            if word.isascii() and re.fullmatch(r"[0-9]{1,5}(?:/[a-zA-Z]{3,4})?", word):
                yield f"port:{word}"
                before = ""
                continue
            yield before
            before = ""
        if word.lower() in ("port", "port:"):
            before = word
        else:
            yield word
    if before:
        yield before


def _of_url(rest: str) -> Indicator:
    """The address of a URL's host, with its port where one is given."""
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2]
    match = _IPV4_PORT.fullmatch(authority) or _IPV6_PORT.fullmatch(authority)
    if match is not None:
        return of_address(match[1], remote_port=_port(match[2]))
    bare = authority.strip("[]")
    try:
        if "/" in bare:
            raise Invalid("")
        return of_address(bare)
    except Invalid:
        raise Invalid(_why_not(bare.partition(":")[0])) from None


def _canonical(text: str, addresses: AddressRange) -> str:
    """The usual spelling; IPv4 in IPv6 is IPv4."""
    plain, percent, zone = text.partition("%")
    network = ipaddress.ip_network(plain, strict=False)
    base = network.network_address
    bits = network.prefixlen
    mapped = base.ipv4_mapped if isinstance(base, ipaddress.IPv6Address) else None
    if mapped is not None and bits >= 96:
        base, bits = mapped, bits - 96
    shown = str(base)
    if packed(base) != addresses.high:
        shown = f"{shown}/{bits}"
    return f"{shown}{percent}{zone}"


def _port(digits: str) -> int:
    number = int(digits)
    if not 1 <= number <= 65535:
        raise Invalid(_("Give a port from 1 to 65535."))
    return number


def _proto(name: str | None) -> str | None:
    return name.lower() if name else None


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _why_not(word: str) -> Message:
    """Why a word is no indicator, and what to give instead."""
    if _RANGE.fullmatch(word) and ("." in word or ":" in word):
        return _("A range of addresses is given as networks, such as 10.0.0.0/28.")
    if _NAME.fullmatch(word) and not word.replace(".", "").isdigit():
        return _(
            "Names are not searched: a host's table holds addresses only. "
            "Give the addresses it had."
        )
    if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", word, re.IGNORECASE):
        return _("A file's hash is not searched: a host's table holds none.")
    if re.fullmatch(r"[A-Za-z_][\w+.-]{0,60}", word):
        return format_lazy(_("Write “program:{name}” for a program."), name=word)
    return _(
        "This is no address, network, port or program. "
        "Write 10.0.0.1, 10.0.0.0/8, [2001:db8::1]:443, port 4444 or program:xmrig."
    )


def _shown(word: str) -> str:
    cut = word if len(word) <= 100 else f"{word[:99]}…"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in cut)
