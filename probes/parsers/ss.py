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
from collections.abc import Sequence
from typing import Any

from probes.parsers import sections, ss_details, ss_rows, ss_summary, ss_unix
from probes.parsers.columns import PORT, add_in_order, as_sockets, fields_of, sockets_of
from probes.parsers.endpoints import Hosts
from probes.parsers.lines import (
    MORE_THAN_ONE,
    PORTS,
    Account,
    Ipv4Texts,
    OddLine,
    is_glued,
    process_id,
    program_name,
    queue,
)
from probes.parsers.records import Details, Socket, Tables
from probes.parsers.words import gettext_noop

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


def _usual(opening: str, address: str, closing: str, more: str) -> re.Pattern[str]:
    """The usual rows of a family: all up to the local address, port, address, port, the holder if
    there is one, and ``more``; see ``columns``. If the groups are numbers and addresses is left
    to those who take them."""
    return re.compile(
        rf"^([a-z]++ ++[A-Z0-9-]++ ++[0-9]++ ++[0-9]++ ++{opening}{address}){closing}:{PORT}"
        rf" +{opening}({address}){closing}:{PORT} *+"
        rf'(?:(users:\(\("[^"\n]*",pid=[0-9]++),fd=[0-9]++\)\) *+)?{more}$',
        re.MULTILINE,
    )


_IPV4, _IPV6 = ("", "[0-9.]++", ""), (r"\[", "[0-9a-f]*+:[0-9a-f:.]++", r"\]")
_USUAL = {
    (is_v6, tells): _usual(*address, more="(.*)" if tells else "")
    for is_v6, address in enumerate((_IPV4, _IPV6))
    for tells in (False, True)
}
"""By whether they are IPv6, and whether they tell more than a Socket has fields for."""
_TELLS = re.compile(r" (?:ino|timer):")
_USUAL_CHARS = 4096


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


class _Starts(dict[str, tuple[str, int, int, str, str | None, int]]):
    """Protocol, queues, local address, state and flags by the text up to that address."""

    def __init__(self, ipv4s: Ipv4Texts, hosts: Hosts) -> None:
        self._ipv4s = ipv4s
        self._hosts = hosts

    def __missing__(self, text: str) -> tuple[str, int, int, str, str | None, int]:
        netid, word, recv, send, address = text.split()
        protocol, protocol6, states = ss_rows.PROTOCOLS[netid]
        if address.startswith("["):
            protocol = protocol6
            ip, flags, _ = self._hosts[address[1:]]
        else:
            ip, flags = self._ipv4s[address], 0
        known = protocol, queue(recv), queue(send), ip, states[word], flags
        self[text] = known
        return known


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
        self._starts = _Starts(*self._memory[1:3])
        self._ends = _Ends()

    def feed(self, text: str) -> None:
        """Add the lines of a text to the account: one more than there are newlines.

        The usual rows of one family, that of the last line, are read a column at a time; other
        lines by ``read``, and all by ``read`` where a value is not what it seemed.
        """
        last = text[text.rfind("\n") + 1 :]
        is_v6 = "[" in last
        usual = _USUAL[is_v6, _TELLS.search(last) is not None]
        parts, step = usual.split(text), usual.groups + 1  # what is before a row, and its groups
        if len(parts) > 1:
            try:
                found = self._usual_rows(parts, step, is_v6=is_v6)
            except (ValueError, KeyError, OSError):
                pass
            else:
                add_in_order(self.account, *found, between=parts[::step], read=self.read)
                return
        self.read(text.split("\n"))

    def _usual_rows(
        self, parts: list[str], step: int, *, is_v6: bool
    ) -> tuple[list[Socket], Sequence[Details | None]]:
        _, _, hosts, holders = self._memory
        starts, near_ports, far, far_ports, users, *rests = (
            parts[group::step] for group in range(1, step)
        )
        *head, states, flags = fields_of(self._starts, starts)
        sockets = sockets_of(
            head=head,
            local_ports=near_ports,
            foreign=(far, far_ports),
            tail=(states, *fields_of(holders, users)),
            flags=flags,
            hosts=hosts if is_v6 else None,
        )
        return sockets, list(map(_told, rests[0], users)) if rests else ()

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
                elif (heading := _HEADER.match(line)) is not None:
                    if is_glued(line[heading.end() :]):
                        account.reject(line, MORE_THAN_ONE, rows=len(rows))
                        continue
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
                            account.details[len(account.sockets) + len(rows) - 1] = row.details
        account.add(as_sockets(rows))


def _told(rest: str, users: str | None) -> Details | None:
    """What a row tells after its holder, or after its addresses where it has none; a KeyError
    means that it takes more care to know what is what."""
    if not rest:
        return None
    if len(rest) > _USUAL_CHARS or '("' in rest or not (users or ss_details.are_details(rest)):
        raise KeyError(rest)
    return ss_details.details(rest, ())


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
        self.tables.remark(_TAKEN_FOR[netid])

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
        if all(one.local_port in _IP_PROTOCOLS and one.foreign_port is None for one in found):
            return "raw"
        return "udp" if "UNCONN" in words else "tcp"

    def _is_tcp(self, loose: tuple[int, str | None]) -> bool:
        details = self.tables.details.get(loose[0], _NO_DETAILS)
        return details.timer is not None or any(name in _OF_TCP for name, _ in details.more)


_TAKEN_FOR = {
    "tcp": gettext_noop(
        "ss leaves out the column that names the protocol where one alone was asked for: "
        "by what these rows hold they are taken for tcp"
    ),
    "udp": gettext_noop(
        "ss leaves out the column that names the protocol where one alone was asked for: "
        "by what these rows hold they are taken for udp"
    ),
    "raw": gettext_noop(
        "ss leaves out the column that names the protocol where one alone was asked for: "
        "by what these rows hold they are taken for raw"
    ),
}
_ALL = (True, True)
_NO_NETID = (False, True)
_NO_DETAILS = Details()
_IP_PROTOCOLS = frozenset({1, 2, 58, 89, 103, 112, 132, 255})
"""What raw sockets are opened for (ICMP, IGMP, ICMPv6, OSPF, PIM, VRRP, SCTP, anything), which
ss prints where the port belongs. No one serves UDP on these alone."""
_OF_TCP = frozenset({"cwnd", "rto", "mss"})
_STATE_FIRST = re.compile(rf"\s*(?:{_STATES})\s*[0-9]")

OPENINGS = (
    sections.Opening(NAME, "sockets", Sockets, heading=_HEADER.pattern, row=_SHAPE),
    *ss_unix.OPENINGS,
    *ss_summary.OPENINGS,
)
