"""iproute2: tables of ``ss``, with ``-antup``, ``-w``, ``-S``, ``-M``, ``-H``, ``-e``, ``-o``,
``-i``, ``-m``, ``-O``, in any mix.

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

Of several processes that hold one socket the lowest PID is named in the row: the one that netstat
names, the oldest of a family that inherited it, and the same one in whatever order ss lists them.

The fast :class:`Reader` reads what fits on a line into the fields of a Socket; :class:`Sockets`
reads all there is, with rows that need the lines around them: those of a table of one protocol
(``ss -tn`` has no Netid column) and those that go on after a tab.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import itemgetter
from typing import Any

from probes.parsers import sections, ss_details, ss_rows, ss_summary, ss_unix
from probes.parsers.columns import PORT, add_in_order, as_sockets, sockets_of
from probes.parsers.endpoints import Hosts
from probes.parsers.lines import (
    PORTS,
    Account,
    Ipv4Texts,
    OddLine,
    process_id,
    program_name,
    queue,
)
from probes.parsers.records import Details, Socket, Tables

NAME = "ss"

_NETIDS = "|".join(ss_rows.PROTOCOLS)
_STATES = "|".join(ss_rows.WORDS)
_HEADER = re.compile(
    r"Netid *State *Recv-Q *Send-Q|(?:Netid *|State *)?Recv-Q *Send-Q +Local Address"
)
_ALL_COLUMNS = re.compile(r"Netid *State")
_SHAPE = (
    rf"\s*(?:(?:{_NETIDS})\s*(?:{_STATES})\s*[0-9]|`- |(?:{_STATES})\s*[0-9]+\s+[0-9]+\s+\S+:\S)"
)
"""A row of this table, in text without a heading."""
_FOUR_WORDS = re.compile(rf"(?:{_NETIDS})\s+(?:{_STATES})(?: +[0-9]+){{2}} ")
_ONLY_HOLDER = re.compile(r'users:\(\("(.{0,255}?)",pid=([0-9]+)', re.DOTALL)
_LAST_DESCRIPTOR = re.compile(r"[0-9]+\)\) *")

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
        r'(?: (users:\(\("[^"\n]*",pid=[0-9]+),fd=[0-9]+\)\) *)?$',
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
        protocol, protocol6, states = ss_rows.PROTOCOLS[netid]
        known = protocol, protocol6, queue(recv), queue(send), states[word]
        self[text] = known
        return known

    def learn(self, line: str) -> None:
        """Take the width from a row with its first four words apart."""
        first = _FOUR_WORDS.match(line)
        if first:
            self.chars = first.end()
            self.clear()


class _Ends(set[str]):
    """Texts after ``,fd=`` that say no more than the descriptor; a KeyError means another."""

    def check(self, text: str) -> None:
        if text not in self:
            if _LAST_DESCRIPTOR.fullmatch(text) is None:
                raise KeyError(text)
            self.add(text)


class Reader:
    """Lines to sockets, headers, blanks or rejected lines; no line's reading depends on another.

    ``wide`` is there for all dialects to be made alike: ss never cuts an address.
    """

    def __init__(self, *, wide: bool) -> None:
        self.account = Account()
        self.plain = True
        self._memory = _Heads(), Ipv4Texts(), Hosts(), _Holders()
        self._ends = _Ends()

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
        ends_of_holders, check = self._ends, self._ends.check
        for line in lines:
            try:
                protocol, protocol6, recv, send, state = heads[line[:chars]]
                ends = line[chars:].split(None, 2)
                if len(ends) == 3:
                    local, peer, rest = ends
                    start, _, end = rest.partition(",fd=")
                    if end not in ends_of_holders:
                        check(end)
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
                    if _ALL_COLUMNS.match(line) is None:
                        self.plain = False
                else:
                    if not chars:
                        heads.learn(line)
                        chars = heads.chars
                    try:
                        row = ss_rows.row(line, names=False)
                    except OddLine as odd:
                        account.reject(line, str(odd), rows=len(rows))
                        if self.plain and _needs_more(line, str(odd)):
                            self.plain = False
                    else:
                        add(row.fields)
                        if row.details is not None:
                            self.plain = False
        account.sockets += as_sockets(rows)


def _needs_more(line: str, reason: str) -> bool:
    """Whether a line that stands for nothing by itself may be read with those around it."""
    return (
        reason == ss_rows.A_NAME
        or ss_details.is_continued(line)
        or _STATE_FIRST.match(line) is not None
    )


class Sockets(sections.Reader):
    """The same table, in full, as one section of a text."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._has = ss_rows.columns(heading)
        self._headed = heading is not None
        self._last: int | None = None
        """Index of the socket that the line before told of."""
        self._loose: list[tuple[int, str | None]] = []
        """Rows that do not say their protocol: index and state as printed; tcp until close."""

    def read(self, line: str) -> bool:
        """Add the row, or what the line says of the row before."""
        sockets, details = self.tables.sockets, self.tables.details
        if ss_details.is_continued(line):
            if self._last is None:
                raise OddLine("goes on with a socket that was not read")
            before = details.get(self._last, _NO_DETAILS)
            details[self._last] = ss_details.added(before, line)
            return True
        self._last = None
        row = self._row(line)
        self._last = len(sockets)
        sockets += as_sockets([row.fields])
        if row.details is not None:
            details[self._last] = row.details
        if row.netid is None:
            self._loose.append((self._last, row.word))
        return True

    def _row(self, line: str) -> ss_rows.Row:
        forms = [self._has] if self._has == _ALL else [self._has, _ALL]
        if not self._headed:
            forms.append(_NO_NETID)
        first: OddLine | None = None
        for has in forms:
            for otherwise in ("tcp",) if has[0] else ("tcp", "raw"):
                try:
                    return ss_rows.row(line, has=has, otherwise=otherwise, names=True)
                except OddLine as odd:
                    first = first or odd
        assert first is not None
        raise first

    def close(self) -> None:
        """Give the rows that do not say their protocol the one that all of them together show."""
        if not self._has[1]:
            self.tables.remark("ss leaves out the column of states where one alone was asked for")
        if not self._loose:
            return
        netid = self._netid()
        protocol, protocol6, states = ss_rows.PROTOCOLS[netid]
        for index, word in self._loose:
            socket = self.tables.sockets[index]
            is_v6 = socket.protocol.endswith("6")
            self.tables.sockets[index] = socket._replace(
                protocol=protocol6 if is_v6 else protocol,
                state=None if word is None else states[word],
            )
        self.tables.remark(
            "ss leaves out the column that names the protocol where one alone was asked for: "
            f"by what these rows hold they are taken for {netid}"
        )

    def _netid(self) -> str:
        """tcp, udp or raw. Only TCP has more states than two, timers and windows. A TCP socket
        without a connection is listed in no usual table, and ``ss`` without ``-a`` lists what is
        connected: nearly always TCP was asked for."""
        found = [self.tables.sockets[index] for index, _ in self._loose]
        words = {word for _, word in self._loose}
        if any(socket.protocol.startswith("raw") for socket in found):
            return "raw"
        if words - {"UNCONN", "ESTAB", None} or any(map(self._is_tcp, self._loose)):
            return "tcp"
        return "udp" if "UNCONN" in words else "tcp"

    def _is_tcp(self, loose: tuple[int, str | None]) -> bool:
        details = self.tables.details.get(loose[0], _NO_DETAILS)
        return details.timer is not None or any(name in _OF_TCP for name, _ in details.more)


_ALL = (True, True)
_NO_NETID = (False, True)
_NO_DETAILS = Details()
_OF_TCP = frozenset({"cwnd", "rto", "mss"})
_STATE_FIRST = re.compile(rf"\s*(?:{_STATES})\s*[0-9]")

OPENINGS = (
    sections.Opening(NAME, "sockets", Sockets, heading=_HEADER.pattern, row=_SHAPE),
    *ss_unix.OPENINGS,
    *ss_summary.OPENINGS,
)
