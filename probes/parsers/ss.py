"""iproute2: ``ss -antup`` with and without ``H``, ``w``, ``S``, ``e`` and ``o``.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from
misc/ss.c of iproute2 2.6 to 6.x (sock_state_print, inet_addr_print, proc_ctx_print)::

    Netid State  Recv-Q Send-Q   Local Address:Port     Peer Address:Port Process
    udp   UNCONN 0      0        127.0.0.53%lo:53            0.0.0.0:*    users:(("dns",pid=9,fd=4))
    tcp   LISTEN 0      128                  *:22                  *:*    users:(("ssh",pid=7,fd=4))
    tcp   ESTAB  0      0    [::ffff:10.0.0.1]:80 [::ffff:10.0.0.2]:51022

There is no tcp6: the form of the addresses says which it is. An IPv6 socket that takes IPv4 as
well prints ``*``; before iproute2 4.20 an IPv4 socket did so too, and the other end then tells
them apart unless it is ``*`` as well. Columns are as wide as their widest cell, so that cells of
one line may touch (``TIME-WAIT0``, ``*:*users:``).

Of several processes that hold one socket the lowest PID is named: the one that netstat names,
the oldest of a family that inherited it, and the same one in whatever order ss lists them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import itemgetter
from typing import Any

from probes.parsers import sections
from probes.parsers.columns import PORT, add_in_order, as_sockets, sockets_of
from probes.parsers.endpoints import Host, Hosts, host, port
from probes.parsers.lines import (
    MAX_LINE_CHARS,
    PORTS,
    Account,
    Ipv4Texts,
    OddLine,
    process_id,
    program_name,
    queue,
)
from probes.parsers.records import STATE_ALIASES, TCP_STATES, Flag, Socket

NAME = "ss"

_WORDS = (
    "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN",
    "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "UNDEF", "UNKNOWN", "BOUND-INACTIVE",
)  # fmt: skip
_ASSOCIATION_WORDS = (
    "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTAB", "SHUTDOWN_PENDING", "SHUTDOWN_SENT",
    "SHUTDOWN_RECEIVED", "ACK_SENT",
)  # fmt: skip

_States = dict[str, str | None]


def _our_word(word: str) -> str:
    plain = word.replace("-", "_")
    plain = STATE_ALIASES.get(plain, plain)
    return plain if plain in TCP_STATES else "UNKNOWN"


_TCP: _States = {word: _our_word(word) for word in (*_WORDS, *_ASSOCIATION_WORDS)}
_UDP: _States = {word: None if word == "UNCONN" else _our_word(word) for word in _WORDS}
_RAW: _States = dict.fromkeys(_WORDS)

_FAST: dict[str, tuple[str, str, _States]] = {
    "tcp": ("tcp", "tcp6", _TCP),
    "udp": ("udp", "udp6", _UDP),
    "udplite": ("udplite", "udplite6", _UDP),
    "sctp": ("sctp", "sctp6", _TCP),
    "raw": ("raw", "raw6", _RAW),
}
_OTHER_FAMILIES = {
    "u_str": "unix", "u_seq": "unix", "u_dgr": "unix", "u_raw": "unix", "nl": "netlink",
    "p_raw": "packet", "p_dgr": "packet", "v_str": "vsock", "v_dgr": "vsock", "xdp": "xdp",
    "ti_st": "tipc", "ti_sq": "tipc", "ti_rd": "tipc", "ti_dg": "tipc",
    "dccp": "dccp", "mptcp": "mptcp", "icmp6": "icmp6",
}  # fmt: skip

_HEADER = re.compile(r"Netid *State *Recv-Q *Send-Q|State *Recv-Q *Send-Q +Local Address")
_OTHER = re.compile("|".join(sorted(_OTHER_FAMILIES, key=len, reverse=True)))
_STATE_FIRST = re.compile(rf"\s*(?:{'|'.join(_WORDS)})\s*[0-9]")
_ROW = re.compile(
    rf"\s*(?:(?P<netid>{'|'.join(_FAST)})\s*(?P<state>{'|'.join(_WORDS)})"
    rf"|`- (?P<association>{'|'.join(_ASSOCIATION_WORDS)}))"
    r"\s*(?P<recv>[0-9]+)\s+(?P<send>[0-9]+)\s+(?P<ends>\S.*)",
    re.DOTALL,
)
_FOUR_WORDS = re.compile(rf"(?:{'|'.join(_FAST)})\s+(?:{'|'.join(_WORDS)})(?: +[0-9]+){{2}} ")
_USERS = "users:(("
_HOLDER = re.compile(
    r'\("(.{0,255}?)",(?:pid=)?([0-9]+),(?:tid=[0-9]+,)?(?:proc_ctx=[^,]{0,255},)?(?:fd=)?[0-9]+[,)]',
    re.DOTALL,
)
_ONLY_HOLDER = re.compile(r'users:\(\("(.{0,255}?)",pid=([0-9]+)', re.DOTALL)
_DETAILS = re.compile(r"(?:[a-z0-9_]+:|<->|-->|<--|---)")
"""What ``-e`` and ``-o`` append where no process is known: ``timer:(..)``, ``uid:0``, ``ino:3``."""


_IP = {False: r"([0-9.]++)", True: r"(\[[0-9a-f:.]+\])"}
_PARTS = 7
"""Parts a row when a text is split by a pattern of ``_usual``: what is before it, six groups."""
_PROTOCOL = {False: itemgetter(0), True: itemgetter(1)}
_RECV, _SEND, _STATE = itemgetter(2), itemgetter(3), itemgetter(4)
_PID, _PROGRAM = itemgetter(0), itemgetter(1)


@lru_cache(maxsize=64)
def _usual(chars: int, *, is_v6: bool) -> re.Pattern[str]:
    """The usual rows of a family: head of ``chars``, address and port twice, the holder if one;
    see ``columns``. If the groups are numbers and addresses is left to those who take them."""
    ip = _IP[is_v6]
    return re.compile(
        rf"^(.{{{chars - 1}}} ) *{ip}:{PORT} +{ip}:{PORT} *"
        r'(?: (users:\(\("[^"\n]*",pid=[0-9]+),fd=[^(\n]+)?$',
        re.MULTILINE,
    )


class _Holders(dict[str | None, tuple[int | None, str | None]]):
    """PID and program by the text of a process column up to its first file descriptor; None
    where there is no such column."""

    def __init__(self) -> None:
        self[None] = None, None

    def __missing__(self, text: str | None) -> tuple[int | None, str | None]:
        holder = _ONLY_HOLDER.fullmatch(text or "")
        if holder is None:
            raise KeyError(text)
        known = process_id(holder[2]), program_name(holder[1])
        self[text] = known
        return known


_Head = tuple[str, str, int, int, str | None]


class _Heads(dict[str, _Head]):
    """Protocol for either family, queues and state by the beginning of a line, ``chars`` long.

    A text has columns of one width, which its first row shows; a line that does not fit them
    is read by the careful way.
    """

    def __init__(self) -> None:
        self.chars = 0

    def __missing__(self, text: str) -> _Head:
        # Four whole words and a blank after them, or the next column would lose its beginning.
        netid, word, recv, send = text.split()
        if len(text) != self.chars or text[-1] != " ":
            raise KeyError(text)
        protocol, protocol6, states = _FAST[netid]
        known = protocol, protocol6, queue(recv), queue(send), states[word]
        self[text] = known
        return known

    def learn(self, line: str) -> None:
        """Take the width from a row with its first four words apart."""
        first = _FOUR_WORDS.match(line)
        if first:
            self.chars = first.end()
            self.clear()


_SHAPE = r"\s*(?:(?:tcp|udp|udplite|raw|sctp)\s*[A-Z]{3}|`- )"
"""A row of this table, in text without a heading."""


class Reader:
    """Lines to sockets, headers, blanks or rejected lines; no line's reading depends on another.

    ``wide`` is there for all dialects to be made alike: ss never cuts an address.
    """

    def __init__(self, *, wide: bool) -> None:
        self.account = Account()
        self.plain = True
        self._memory = _Heads(), Ipv4Texts(), Hosts(), _Holders()

    def feed(self, text: str) -> None:
        """Add the lines of a text to the account: one more than there are newlines.

        The usual rows of one family, that of the last line, are read a column at a time; other
        lines by ``read``, and all by ``read`` where a value is not what it seemed.
        """
        heads = self._memory[0]
        if heads.chars:
            is_v6 = "[" in text[text.rfind("\n") + 1 :]
            parts = _usual(heads.chars, is_v6=is_v6).split(text)
            try:
                found = self._usual_rows(parts, is_v6=is_v6)
            except (ValueError, KeyError, OSError):
                pass
            else:
                add_in_order(self.account, found, between=parts[::_PARTS], read=self.read)
                return
        self.read(text.split("\n"))

    def _usual_rows(self, parts: list[str], *, is_v6: bool) -> list[Socket]:
        heads, ipv4s, hosts, holders = self._memory
        known = [heads[text] for text in parts[1::_PARTS]]
        held = [holders[text] for text in parts[6::_PARTS]]
        return sockets_of(
            head=(map(_PROTOCOL[is_v6], known), map(_RECV, known), map(_SEND, known)),
            ends=(parts[2::_PARTS], parts[3::_PARTS], parts[4::_PARTS], parts[5::_PARTS]),
            tail=(map(_STATE, known), map(_PID, held), map(_PROGRAM, held)),
            known=hosts if is_v6 else ipv4s,
        )

    def read(self, lines: list[str]) -> None:
        """Add some lines to the account. Those of the usual form are read here, all in one loop
        because a call a line would cost as much as reading it; the others by ``_row``."""
        account = self.account
        rows: list[tuple[Any, ...]] = []
        add = rows.append
        ports = PORTS
        heads, ipv4s, hosts, holders = self._memory
        chars = heads.chars
        for line in lines:
            try:
                protocol, protocol6, recv, send, state = heads[line[:chars]]
                ends = line[chars:].split(None, 2)
                if len(ends) == 3:
                    local, peer, rest = ends
                    start, fd, more = rest.partition(",fd=")
                    if not fd or "(" in more:
                        raise OddLine
                    pid, program = holders[start]
                else:
                    local, peer = ends
                    pid = program = None
                local_ip, _, local_port = local.rpartition(":")
                peer_ip, _, peer_port = peer.rpartition(":")
                if local[0] != "[" and peer[0] != "[":
                    add(
                        (
                            protocol,
                            recv,
                            send,
                            ipv4s[local_ip],
                            ports[local_port],
                            ipv4s[peer_ip],
                            ports[peer_port],
                            state,
                            pid,
                            program,
                            0,
                        )
                    )
                    continue
                near, far = hosts[local_ip], hosts[peer_ip]
                add(
                    (
                        protocol6 if near[2] or far[2] else protocol,
                        recv,
                        send,
                        near[0],
                        ports[local_port],
                        far[0],
                        ports[peer_port],
                        state,
                        pid,
                        program,
                        near[1] | far[1] << 1,
                    )
                )
            except (ValueError, KeyError):
                if not line or line.isspace():
                    account.blank_lines += 1
                elif _HEADER.match(line):
                    account.header_lines += 1
                else:
                    if not chars:
                        heads.learn(line)
                        chars = heads.chars
                    try:
                        add(_row(line))
                    except OddLine as odd:
                        account.reject(line, str(odd), rows=len(rows))
        account.sockets += as_sockets(rows)


class Sockets(sections.Reader):
    """The same table, in full, as one section of a text."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the row."""
        self.tables.sockets += as_sockets([_row(line)])
        return True


OPENINGS = (sections.Opening(NAME, "sockets", Sockets, heading=_HEADER.pattern, row=_SHAPE),)


def _row(line: str) -> tuple[Any, ...]:
    """The eleven fields of any row, in the order of Socket; OddLine with the reason otherwise."""
    if len(line) > MAX_LINE_CHARS:
        raise OddLine("line too long")
    row = _ROW.match(line)
    if row is None:
        raise OddLine(_why_not(line))
    protocol, protocol6, states = _FAST[row["netid"] or "sctp"]
    recv_queue, send_queue = queue(row["recv"]), queue(row["send"])
    # The peer's port and the process may touch; no address holds the word users.
    ends, users, holders = row["ends"].partition(_USERS)
    fields = ends.split(None, 2)
    if len(fields) < 2:
        raise OddLine("columns are missing")
    local, peer, *rest = fields
    if rest and _DETAILS.match(rest[0]) is None:
        raise OddLine("unexpected text after the addresses")
    near, local_port = _end(local, other=peer)
    far, peer_port = _end(peer, other=local)
    return (
        protocol6 if near.is_v6 or far.is_v6 else protocol,
        recv_queue,
        send_queue,
        near.ip,
        local_port,
        far.ip,
        peer_port,
        states[row["state"] or row["association"]],
        *(_lowest(users + holders) if users else (None, None)),
        near.flags | far.flags << 1,
    )


def _end(endpoint: str, *, other: str) -> tuple[Host, int | None]:
    """Address and port of one end; ``other`` is the other end, for which family a ``*`` is of."""
    text, _, port_text = endpoint.rpartition(":")
    bare, percent, zone = text.partition("%")
    if bare != "*":
        return host(text), port(port_text)
    other_host = other.rpartition(":")[0].partition("%")[0]
    is_v6 = other_host == "*" or host(other_host).is_v6
    any_address = host(("::" if is_v6 else "0.0.0.0") + percent + zone)
    return any_address._replace(flags=Flag.LOCAL_STAR), port(port_text)


def _lowest(users: str) -> tuple[int, str | None]:
    """The holder with the lowest PID out of ``users:(("nginx",pid=8,fd=6),...)``."""
    holders = [(process_id(pid), name) for name, pid in _HOLDER.findall(users)]
    if not holders:
        raise OddLine("process column not understood")
    pid, name = min(holders)
    return pid, program_name(name)


def _why_not(line: str) -> str:
    """The reason for a line of no known form."""
    other = _OTHER.match(line.lstrip())
    if other:
        return f"{_OTHER_FAMILIES[other[0]]} sockets are not read"
    if _STATE_FIRST.match(line):
        return "the Netid column is missing: ss leaves it out when asked for one protocol alone"
    return "not a row of a socket table"
