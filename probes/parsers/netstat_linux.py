"""net-tools: ``netstat -antup`` with and without ``W``, ``w``, ``e`` and ``o``, and busybox's.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from
netstat.c of net-tools 1.60 to 2.10 (tcp_do_one, udp_do_one, raw_do_one, sctp_*_do_one)::

    Proto Recv-Q Send-Q Local Address       Foreign Address     State       PID/Program name
    tcp        0      0 0.0.0.0:8080        0.0.0.0:*           LISTEN      2007/nginx: master
    tcp6       0      0 2001:db8::5:443     2001:db8::9:51022   ESTABLISHED 2007/nginx: worker
    udp        0      0 0.0.0.0:53          0.0.0.0:*                       123/LISTEN
    udpl       0      0 0.0.0.0:7000        0.0.0.0:*                       88/caster
    raw        0      0 0.0.0.0:1           0.0.0.0:*           7           99/ping
    sctp                0.0.0.0:3868                            LISTEN      77/diameter

Columns are not sliced: a long queue or address shifts the rest of its line. Which word is the
state follows from the protocol alone: TCP and SCTP always have one, UDP prints ESTABLISHED or
UNKNOWN or nothing, raw prints a number that says nothing. A program is ``PID/name`` or ``-``, so
a UDP program called LISTEN or ESTABLISHED is never at the beginning of its column.

Two readers: ``Reader`` takes lines by themselves, many at once, for history and for plain text;
``Sockets`` takes them as a table, with what else they tell (``net_tools_rows``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from probes.parsers import net_tools_words as words
from probes.parsers import sections
from probes.parsers.columns import PORT, add_in_order, as_sockets, fields_of, sockets_of
from probes.parsers.endpoints import NET_TOOLS_WIDTH, Hosts
from probes.parsers.lines import (
    MAX_LINE_CHARS,
    MORE_THAN_ONE,
    PORTS,
    Account,
    Ipv4Texts,
    OddLine,
    is_glued,
    queue,
)
from probes.parsers.net_tools_rows import (
    A_NAME,
    CONTINUED,
    PROTOCOLS,
    STATES,
    Tail,
    continuation,
    row,
    tail,
)
from probes.parsers.records import Details, Socket, Tables

NAME = "net-tools"
BUSYBOX = "busybox"

_COMPLAINT = r"netstat: no support for (?!`ip_masquerade)|warning, got bogus "
_COLUMNS = re.compile("|".join(words.SOCKET_COLUMNS))
_HEADER = re.compile(
    "|".join(map(re.escape, words.SOCKET_TITLES))
    + f"|{_COLUMNS.pattern}"
    + r"|\(Not all processes could be identified"
    r"| ?will not be shown, you would have to be root"
    r'|\(No info could be read for "-p"'
    r"|" + _COMPLAINT
)
_BUSYBOX_COLUMNS = re.compile(r"Proto Recv-Q Send-Q Local Address +Foreign Address +State {7}\Z")
"""busybox leaves a blank more behind the last column than net-tools, and pads no program."""


_HEAD_CHARS = 20
"""Protocol, Recv-Q, Send-Q and a blank, as long as no queue has more than six digits."""


def _usual(word: str, *, wide: bool) -> re.Pattern[str]:
    """The usual rows of a protocol: all up to the local address, port, address, port, tail; see
    ``columns``.

    None that may have been cut, none with a zone. If the groups are numbers and addresses at all
    is left to those who take them.
    """
    head = rf"{word} .{{{_HEAD_CHARS - len(word) - 2}}} "
    whole = "" if wide else rf"(?!\S{{{NET_TOOLS_WIDTH}}} )"
    ip = f"{whole}[0-9a-f.:]+" if word.endswith("6") else "[0-9.]++"
    return re.compile(rf"^({head}{ip}):{PORT} +({ip}):{PORT} +(\S.*)", re.MULTILINE)


_USUAL = {
    wide: {word: _usual(word, wide=wide) for word in ("tcp", "tcp6", "udp", "udp6")}
    for wide in (False, True)
}
_PARTS = 6
"""Parts a row when a text is split by such a pattern: what is before the row, and five groups."""


class _Seen:
    """What was met in one parse."""

    more = False
    """A line needs its neighbours, or the heading of its table, to be understood in full."""
    untold = False
    """Nothing understood yet but for lines that may be headings of an unknown language."""


class _Tails(dict[str, Tail]):
    """State, PID, program and more by the text after the addresses, as met in one parse."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol

    def __missing__(self, text: str) -> Tail:
        if len(text) > MAX_LINE_CHARS:
            raise KeyError(text)
        known = tail(self._protocol, text)
        if known.details is None:  # with an inode or a timer it will hardly come again
            self[text] = known
        return known


class _Heads(dict[str, tuple[str, int, int, bool, _Tails]]):
    """Protocol, queues, whether IPv6, and the right tails, by the beginning of a line."""

    def __init__(self) -> None:
        self.tails = {name: _Tails(name) for name in STATES}

    def __missing__(self, text: str) -> tuple[str, int, int, bool, _Tails]:
        # Three whole words and a blank after them, or the next column would lose its beginning.
        word, recv, send = text.split()
        if len(text) != _HEAD_CHARS or text[-1] != " " or word.startswith("sctp"):
            raise KeyError(text)
        protocol = PROTOCOLS[word]
        is_v6 = protocol.endswith("6")
        known = protocol, queue(recv), queue(send), is_v6, self.tails[protocol]
        self[text] = known
        return known


class _Starts(dict[str, tuple[int, int, str, int]]):
    """Queues, local address and its flags by the text up to that address."""

    def __init__(self, ipv4s: Ipv4Texts, hosts: Hosts) -> None:
        self._ipv4s = ipv4s
        self._hosts = hosts

    def __missing__(self, text: str) -> tuple[int, int, str, int]:
        word, recv, send, address = text.split()
        if word.endswith("6"):
            ip, flags, _ = self._hosts[address]
        else:
            ip, flags = self._ipv4s[address], 0
        known = queue(recv), queue(send), ip, flags
        self[text] = known
        return known


_MAX_ADDRESSES_CHARS = 4096

_SHAPE = r"\s*(?:(?:tcp|udp|udpl|udplite|raw|dccp)6?\s+[0-9]+\s+[0-9]+\s+\S+:|sctp6?\s)"
"""A row of this table, in text without a heading."""


class Reader:
    """Lines to sockets, headers, blanks or rejected lines; no line's reading depends on another.

    ``wide`` says that the text is from ``-W``, so that an IPv6 endpoint of full width is whole.
    """

    def __init__(self, *, wide: bool) -> None:
        self.account = Account()
        self.plain = True
        self._wide = wide
        self._seen = _Seen()
        self._memory = _Heads(), Ipv4Texts(), Hosts()
        self._starts = _Starts(*self._memory[1:])

    def feed(self, text: str) -> None:
        """Add the lines of a text to the account: one more than there are newlines.

        The usual rows of one protocol, that of the last line, are read a column at a time;
        other lines by ``read``, and all by ``read`` where a value is not what it seemed.
        """
        word = text[text.rfind("\n") + 1 :].partition(" ")[0]
        usual = _USUAL[self._wide].get(word)
        parts = [] if usual is None else usual.split(text)
        if len(parts) > 1:
            try:
                found = self._usual_rows(word, parts)
            except (ValueError, KeyError, OSError):
                pass
            else:
                add_in_order(self.account, *found, between=parts[::_PARTS], read=self.read)
                self.plain = not (self._seen.more or self._seen.untold)
                return
        self.read(text.split("\n"))

    def _usual_rows(
        self, word: str, parts: list[str]
    ) -> tuple[list[Socket], Sequence[Details | None]]:
        heads, _, hosts = self._memory
        *head, flags = fields_of(self._starts, parts[1::_PARTS])
        *tail, told = fields_of(heads.tails[PROTOCOLS[word]], parts[5::_PARTS])
        sockets = sockets_of(
            head=(repeat(word), *head),
            local_ports=parts[2::_PARTS],
            foreign=(parts[3::_PARTS], parts[4::_PARTS]),
            tail=tail,
            flags=flags,
            hosts=hosts if word.endswith("6") else None,
        )
        return sockets, told if any(told) else ()

    def read(self, lines: list[str]) -> None:
        """Add some lines to the account. Those of the usual form are read here, all in one loop
        because a call a line would cost as much as reading it; the others by ``_row``."""
        account = self.account
        rows: list[tuple[Any, ...]] = []
        add = rows.append
        ports = PORTS
        heads, ipv4s, hosts = self._memory
        for line in lines:
            try:
                protocol, recv, send, is_v6, tails = heads[line[:_HEAD_CHARS]]
                local, foreign, tail = line[_HEAD_CHARS:].split(None, 2)
                state, pid, program, details = tails[tail]
                local_ip, _, local_port = local.rpartition(":")
                foreign_ip, _, foreign_port = foreign.rpartition(":")
                if is_v6:
                    if len(local) == NET_TOOLS_WIDTH or len(foreign) == NET_TOOLS_WIDTH:
                        raise OddLine
                    near, far = hosts[local_ip], hosts[foreign_ip]
                    near_ip, far_ip, flags = near[0], far[0], near[1] | far[1] << 1
                else:
                    near_ip, far_ip, flags = ipv4s[local_ip], ipv4s[foreign_ip], 0
                add(
                    (
                        protocol,
                        recv,
                        send,
                        near_ip,
                        ports[local_port],
                        far_ip,
                        ports[foreign_port],
                        state,
                        pid,
                        program,
                        flags,
                    )
                )
                if details is not None:
                    account.details[len(account.sockets) + len(rows) - 1] = details
            except (ValueError, KeyError):
                if not line or line.isspace():
                    account.blank_lines += 1
                elif (heading := _HEADER.match(line)) is not None:
                    if is_glued(line[heading.end() :]):
                        account.reject(line, MORE_THAN_ONE, rows=len(rows))
                        continue
                    account.header_lines += 1
                    self._seen.more |= _BUSYBOX_COLUMNS.match(line) is not None
                    self._seen.untold &= bool(rows or account.sockets)
                else:
                    try:
                        known = row(line, wide=self._wide, names=False)
                    except OddLine as odd:
                        self._seen.more |= _needs_others(line, str(odd))
                        self._seen.untold |= not (rows or account.sockets)
                        account.reject(line, str(odd), rows=len(rows))
                    else:
                        add(known.fields)
                        if known.details is not None:
                            account.details[len(account.sockets) + len(rows) - 1] = known.details
        account.add(as_sockets(rows))
        self.plain = not (self._seen.more or self._seen.untold)


def _needs_others(line: str, reason: str) -> bool:
    """Whether a line that is no row by itself can be one elsewhere: with host names, which
    history cannot hold, or with further addresses of the row before."""
    return reason == A_NAME or line.startswith(CONTINUED)


class Sockets(sections.Reader):
    """The same table, in full, as one section of a text."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._sctp: int | None = None
        """Index of the SCTP row that the line before this belongs to."""
        self._only_title = bool(heading) and _COLUMNS.match(heading or "") is None
        if heading and _BUSYBOX_COLUMNS.match(heading):
            self.dialect = BUSYBOX

    def read(self, line: str) -> bool:
        """Add the row, or what the line has to say of the row before."""
        if self._sctp is not None and line.startswith(CONTINUED):
            self._go_on(self._sctp, line)
            return True
        fields, details = row(line, wide=self.tables.wide, names=True)
        at = len(self.tables.sockets)
        self.tables.sockets += as_sockets([fields])
        if details is not None:
            self.tables.details[at] = details
        self._sctp = at if fields[0].startswith("sctp") else None
        self._only_title = False
        return True

    def _go_on(self, at: int, line: str) -> None:
        socket = self.tables.sockets[at]
        known = self.tables.details.get(at, Details())
        told = continuation(line, endpoint=socket.recv_queue is None)
        more = dict(known.more)
        for column, ip in told.more:
            more[column] = f"{more[column]}, {ip}" if column in more else ip
            if len(more[column]) > _MAX_ADDRESSES_CHARS:
                raise OddLine("more addresses than an SCTP row can have")
        last = told.tail.details or Details()
        more |= dict(last.more)
        self.tables.details[at] = known._replace(
            user=known.user if last.user is None else last.user,
            inode=known.inode if last.inode is None else last.inode,
            more=tuple(more.items()),
        )
        if told.tail.pid is not None or told.tail.program is not None:
            self.tables.sockets[at] = socket._replace(pid=told.tail.pid, program=told.tail.program)

    def close(self) -> None:
        """Leave it to the columns below a title to say whose table it is."""
        if self._only_title:
            self.dialect = ""


_OTHER_TITLES = (
    r"Active (?:IPX|AX\.25|X\.25|NET/ROM|ROSE) sockets|Active Bluetooth connections"
    r"|Dest +Source +Device +|User +Dest +Source +Device +|dest_addr +dest_call "
    r"|Proto  Destination +Source +State +(?:PSM|Channel)"
)
"""Families that no server has had for long; their rows are rejected with their name."""

_UNTOLD_LINES = 2

OPENINGS = (
    sections.Opening(NAME, "sockets", None, heading=_OTHER_TITLES),
    sections.Opening(
        NAME, "sockets", Sockets, heading=_HEADER.pattern, row=_SHAPE, untold=_UNTOLD_LINES
    ),
)
