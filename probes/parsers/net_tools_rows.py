"""One row of net-tools' or busybox's table of sockets, read with care.

Place in the data's way: behind the fast and the sectional reader of ``netstat_linux``, which hold
the table's layout. Pure. A line is read by itself, its columns by what they look like: a long
queue, address or name shifts the rest of its line.

After the addresses come, each only where its option was given: the state, user and inode
(``-e``), the program (``-p``), the SELinux context (``-Z``), the timer (``-o``)::

    ESTABLISHED 1000       154342     17/python3.11        keepalive (7187.42/0/0)
    LISTEN      www-data   154329     18/nginx: master pr  off (0.00/0/0)

Formats: finish_this_one, addr_do_one and sctp_*_do_one in netstat.c.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from probes.parsers import net_tools_words as words
from probes.parsers import service_names
from probes.parsers.endpoints import NET_TOOLS_WIDTH, Host, host, net_tools_host
from probes.parsers.lines import (
    MAX_LINE_CHARS,
    MAX_QUEUE,
    PORTS,
    OddLine,
    is_ipv4,
    process_id,
    program_name,
    queue,
    visible,
)
from probes.parsers.records import STATE_ALIASES, TCP_STATES, Details, Flag, Timer
from probes.parsers.words import gettext_noop

PROTOCOLS = {
    "tcp": "tcp",
    "tcp6": "tcp6",
    "udp": "udp",
    "udp6": "udp6",
    "udpl": "udplite",
    "udpl6": "udplite6",
    "udplite": "udplite",
    "udplite6": "udplite6",
    "sctp": "sctp",
    "sctp6": "sctp6",
    "raw": "raw",
    "raw6": "raw6",
    "dccp": "dccp",
    "dccp6": "dccp6",
}

_OTHER_FAMILIES = frozenset({"unix", "ax25", "IPX", "netrom", "x25", "rose", "l2cap", "rfcomm"})

CONTINUED = " " * 20
"""Begins the lines with the further addresses of an SCTP association or endpoint."""

A_NAME = gettext_noop("a host name where the address belongs")
"""Reason for a row that history cannot hold, while the table as such can be read."""

_States = dict[str, str | None]
_TCP: _States = dict(zip(TCP_STATES, TCP_STATES, strict=True))
_TCP.update({alias: state for alias, state in STATE_ALIASES.items() if alias != "UNCONN"})
_TCP.update(words.STATES)
_UDP: _States = {word: state for word, state in _TCP.items() if state in ("ESTABLISHED", "UNKNOWN")}
del _UDP["ESTAB"]
_STATES_OF_OTHERS: _States = {
    word: None if state == "CLOSE" else state
    for word, state in (_TCP | {"UNCONN": "CLOSE"}).items()
}
"""What some tools print of a UDP or raw socket all the same, such as the toolbox of old Android:
taken for a state only in its own column, before a PID or alone. CLOSE says no more than ss'
UNCONN: there is no connection."""
_RAW: _States = {str(number): None for number in range(256)}
STATES = {
    name: _RAW if name.startswith("raw") else _UDP if name.startswith("udp") else _TCP
    for name in PROTOCOLS.values()
}
_NUMBERED_UNKNOWN = re.compile(r"UNKNOWN\([0-9]+\)")

_TIMES = re.compile(r"\(\(?([0-9]{1,12})[.,]([0-9]{1,6})/(-?[0-9]{1,12})(?:/(-?[0-9]{1,12}))?\)")
_MAX_TIMES_CHARS = 64
_TIMER_KINDS = ("off", "on", "keepalive", "timewait", "probe")
_KINDS = {f"{kind}{digit}": kind for kind in _TIMER_KINDS for digit in ("", *range(10))}
_TIMER_KIND = re.compile(r"unkn-[0-9]+")
_MAX_USER_CHARS = 64
_MAX_CONTEXT_CHARS = 255
_USER_WIDTH = 10
_EXTENDED = re.compile(r"([^\s/]+)( +)([0-9]{1,20})(?: +(\S.*))?", re.DOTALL)
"""User and Inode of ``-e`` before the program, which has a slash before its first blank."""
_OWNED = re.compile(r"[0-9]+/|-(?: |\Z)")
_PROGRAM_COLUMN = NET_TOOLS_WIDTH + 1 + 12
"""Behind the foreign address and the state, each with a blank; a state may be shifted less."""
_HOLDER = re.compile(r"([0-9]+)/(.*)", re.DOTALL)
_USUAL_PROCESS_CHARS = 64
"""Longer ones are not worth to be remembered."""
_CONTEXT = re.compile(r"[a-z0-9_.-]+_u:[a-z0-9_.-]+_r:[a-zA-Z0-9_.-]+_t(?::\S+)?")

HOST_NAME = re.compile(r"(?=[^.]*[A-Za-z_]|.*\.[A-Za-z])[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253})")
_DOTTED_CUT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}\.?")


class Tail(NamedTuple):
    """What follows the addresses."""

    state: str | None
    pid: int | None
    program: str | None
    details: Details | None
    """Where there is more than the rest of this."""


class Row(NamedTuple):
    """A row: the fields of a Socket, in their order, and what else is known."""

    fields: tuple[Any, ...]
    details: Details | None


class _End(NamedTuple):
    host: Host
    port: int | None


def row(line: str, *, wide: bool, names: bool) -> Row:
    """Any row of the table; OddLine with the reason otherwise. With ``names``, a host name may
    stand for an address; without, that is an OddLine of the reason A_NAME."""
    if len(line) > MAX_LINE_CHARS:
        raise OddLine("line too long")
    fields = line.split(None, 5)
    word = fields[0]
    if word not in PROTOCOLS:
        if word in _OTHER_FAMILIES:
            raise OddLine("sockets of this kind are not read")
        raise OddLine("not a row of a socket table")
    protocol = PROTOCOLS[word]
    if protocol.startswith("sctp") and len(fields) > 1 and ":" in fields[1]:
        return _sctp_endpoint(line, names=names)
    if len(fields) < 5:
        raise OddLine("columns are missing")
    _, recv, send, local, foreign, *after = fields
    recv_queue, send_queue = queue(recv), queue(send)
    # A longer endpoint on the same line proves that nothing on it was cut.
    whole = wide or max(len(local), len(foreign)) > NET_TOOLS_WIDTH
    near = _end(local, protocol, wide=whole, names=names)
    far = _end(foreign, protocol, wide=whole, names=names)
    if (near.host.is_v6 or far.host.is_v6) and not protocol.endswith("6"):
        protocol += "6"  # net-tools before 1.60-17 wrote tcp for both families, and sctp is alone
    end = tail(protocol, *_placed(line, foreign, after))
    return Row(
        (
            protocol,
            recv_queue,
            send_queue,
            near.host.ip,
            near.port,
            far.host.ip,
            far.port,
            end.state,
            end.pid,
            end.program,
            near.host.flags | far.host.flags << 1,
        ),
        end.details,
    )


def _sctp_endpoint(line: str, *, names: bool) -> Row:
    """``sctp  local:port  STATE  program``: an endpoint has no queues and no foreign end."""
    fields = line.split(None, 2)
    near = _end(fields[1], "sctp", wide=True, names=names)
    protocol = "sctp6" if near.host.is_v6 or fields[0].endswith("6") else "sctp"
    end = tail(protocol, fields[2] if len(fields) > 2 else "")
    far = "::" if protocol == "sctp6" else "0.0.0.0"
    return Row(
        (
            protocol,
            None,
            None,
            near.host.ip,
            near.port,
            far,
            None,
            end.state,
            end.pid,
            end.program,
            near.host.flags,
        ),
        end.details,
    )


class Continuation(NamedTuple):
    """Further addresses of an SCTP association or endpoint, and the tail its last line has."""

    more: tuple[tuple[str, str], ...]
    tail: Tail


def continuation(line: str, *, endpoint: bool) -> Continuation:
    """A line that begins with CONTINUED; OddLine where it holds no address. ``endpoint``: below
    the row of an endpoint, where ports are with the addresses::

                            10.1.0.1                10.1.0.2                            77/diameter
    """
    text = line[len(CONTINUED) :]
    columns = ["local_addresses", "foreign_addresses"][text.startswith(" ") :]
    more = []
    rest = text.strip()
    for column in columns:
        word = rest.partition(" ")[0]
        try:
            known = host(word.rpartition(":")[0] if endpoint else word)
        except OddLine:
            break
        more.append((column, known.ip))
        rest = rest[len(word) :].lstrip()
    if not more:
        raise OddLine("no further address of an SCTP row")
    return Continuation(tuple(more), _after_state(None, rest))


def _end(endpoint: str, protocol: str, *, wide: bool, names: bool) -> _End:
    """An endpoint by its parts. What is named may be cut as well, even an IPv4 address: where a
    name of a service takes more room than a number (addr_do_one in netstat.c)."""
    text, _, port_text = endpoint.rpartition(":")
    port, named_port = _port(port_text, protocol)
    if text == "*":
        return _End(Host("::" if protocol.endswith("6") else "0.0.0.0", 0, False), port)
    try:
        known = net_tools_host(endpoint, wide=wide)
    except OddLine:
        if named_port and len(endpoint) == NET_TOOLS_WIDTH and _DOTTED_CUT.fullmatch(text):
            return _End(_cut_ipv4(text), port)
        if HOST_NAME.fullmatch(text) is None:
            raise
        if not names:
            raise OddLine(A_NAME) from None
        cut = not wide and len(endpoint) == NET_TOOLS_WIDTH
        flags = Flag.LOCAL_NAME | (Flag.LOCAL_TRUNCATED if cut else 0)
        return _End(Host(text, flags, False), port)
    if named_port and not wide and len(endpoint) == NET_TOOLS_WIDTH and not known.is_v6:
        known = known._replace(flags=known.flags | Flag.LOCAL_TRUNCATED)
    return _End(known, port)


def _port(text: str, protocol: str) -> tuple[int | None, bool]:
    """The port, None for ``*``, and whether it was a name."""
    try:
        return PORTS[text], False
    except KeyError:
        known = service_names.number(text, protocol)
    if known is None:
        raise OddLine("port is neither a number from 0 to 65535 nor a service that is known")
    return known, True


def _cut_ipv4(cut: str) -> Host:
    """The beginning of an IPv4 address, as it was printed; OddLine where none begins so."""
    octets = [octet for octet in cut.split(".") if octet]
    if not is_ipv4(".".join((octets + ["0"] * 3)[:4])):
        raise OddLine("address not understood")
    return Host(cut, Flag.LOCAL_TRUNCATED, False)


def _placed(line: str, foreign: str, after: list[str]) -> tuple[str, int]:
    """The text after the addresses, and how far behind the beginning of the foreign one it is."""
    if not after:
        return "", 0
    before = line[: len(line) - len(after[0])]
    return after[0], len(foreign) + len(before) - len(before.rstrip())


def tail(protocol: str, text: str, column: int | None = None) -> Tail:
    """State, process and what else stands after the addresses; OddLine where it cannot be.

    ``column`` is how far behind the beginning of the foreign address it stands: where it is not
    known, a lone word that may be a state or a program is an OddLine.
    """
    states = STATES[protocol]
    word, rest = (*text.split(None, 1), "", "")[:2]
    if word in states:
        return _after_state(states[word], rest)
    if states is not _TCP:
        if word in _STATES_OF_OTHERS and _ends_a_state(rest):
            if rest or (column is not None and column < _PROGRAM_COLUMN):
                return _after_state(None if states is _RAW else _STATES_OF_OTHERS[word], rest)
            if column is None:
                raise OddLine
        return _after_state(None, text)
    if _NUMBERED_UNKNOWN.fullmatch(word):
        return _after_state("UNKNOWN", rest)
    two_words, state = words.STATE_OF_TWO_WORDS
    if text.startswith(two_words):
        return _after_state(state, text[len(two_words) :])
    if word:
        raise OddLine("no state this table knows")
    raise OddLine("the state is missing")


def _ends_a_state(rest: str) -> bool:
    """Whether this is what follows a state, and not the rest of a program's name."""
    rest = _timer(rest.strip())[0]
    if not rest or _OWNED.match(rest):
        return True
    owned = _EXTENDED.fullmatch(rest)
    return owned is not None and (owned[4] is None or _OWNED.match(owned[4]) is not None)


def _after_state(state: str | None, text: str) -> Tail:
    text, timer = _timer(text.strip())
    context = None
    if "_t" in text:
        before, _, word = text.rpartition(" ")
        if _CONTEXT.fullmatch(word):
            text, context = before.rstrip(), visible(word[:_MAX_CONTEXT_CHARS])
    user, inode, text = _owner(text)
    pid, program = _process(text)
    if inode == 0:  # SYN_RECV and TIME_WAIT have no socket, and the latter no owner
        inode = None
        user = None if state == "TIME_WAIT" else user
    if user is None and inode is None and timer is None and context is None:
        return Tail(state, pid, program, None)
    more = (("context", context[:_MAX_CONTEXT_CHARS]),) if context else ()
    return Tail(state, pid, program, Details(user, inode, timer, (), more))


def _timer(text: str) -> tuple[str, Timer | None]:
    """The text before the timer at its end, and the timer: ``keepalive (7187.42/0/0)``."""
    if not text.endswith(")"):
        return text, None
    at = text.rfind(" (")
    if at < 0 or len(text) - at > _MAX_TIMES_CHARS:
        return text, None
    times = _times(text[at + 1 :])
    before = text[:at]
    rest, _, word = before.rpartition(" ")
    kind = _KINDS.get(word)
    if kind is None and _TIMER_KIND.fullmatch(word):
        kind = "unknown"
    if kind is None:
        kind = words.TIMERS.get(word.rstrip("0123456789").rstrip("-"))
    if kind is None:
        two_words = " ".join(before.rsplit(" ", 2)[-2:])
        kind = words.TIMERS.get(two_words)
        rest = before.removesuffix(two_words)
    if kind is None or times is None:
        return text, None
    return rest.rstrip(), Timer(kind, *times)


@lru_cache(maxsize=1024)
def _times(text: str) -> tuple[float, int | None, int | None] | None:
    """Seconds left, retransmits and probes out of ``(7187.42/0/0)``."""
    times = _TIMES.fullmatch(text)
    if times is None:
        return None
    return float(f"{times[1]}.{times[2]}"), _count(times[3]), _count(times[4])


def _count(text: str | None) -> int | None:
    """A number of retransmits or probes; None for those below 0, which UDP sockets show."""
    return None if text is None or text.startswith("-") else int(text)


def _owner(text: str) -> tuple[str | None, int | None, str]:
    """User and inode, where they are there, and what follows. A program without a PID can look
    the same (``worker 3``), but netstat pads a user to ten characters."""
    found = _EXTENDED.fullmatch(text)
    if found is None:
        return None, None, text
    user, gap, inode, rest = found.groups()
    padded = len(user) + len(gap) > _USER_WIDTH
    if not (padded or user.isdecimal() or (rest and _OWNED.match(rest))):
        return None, None, text
    number = int(inode)
    if number > MAX_QUEUE:
        raise OddLine("inode is not a number from 0 to 9223372036854775807")
    return visible(user[:_MAX_USER_CHARS])[:_MAX_USER_CHARS], number, rest or ""


def _process(text: str) -> tuple[int | None, str | None]:
    """PID and program of their column: ``2007/nginx: master``, ``-``, ``2007``, ``nginx``."""
    if text in ("", "-"):
        return None, None
    return _holder(text) if len(text) <= _USUAL_PROCESS_CHARS else _holder.__wrapped__(text)


@lru_cache(maxsize=4096)
def _holder(text: str) -> tuple[int | None, str | None]:
    holder = _HOLDER.fullmatch(text)
    if holder:
        return process_id(holder[1]), program_name(holder[2])
    if text.isascii() and text.isdigit():
        return process_id(text), None
    return None, program_name(text)
