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
"""

from __future__ import annotations

import re
from itertools import repeat
from operator import itemgetter
from typing import Any

from probes.parsers import sections
from probes.parsers.columns import PORT, add_in_order, as_sockets, sockets_of
from probes.parsers.endpoints import NET_TOOLS_WIDTH, Host, Hosts, net_tools_host, port
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
from probes.parsers.records import STATE_ALIASES, TCP_STATES, Socket

NAME = "net-tools"

_HEADER = re.compile(
    r"Active Internet connections \("
    r"|Proto +Recv-Q +Send-Q +Local Address +Foreign Address +State\b"
    r"|\(Not all processes could be identified"
    r"| ?will not be shown, you would have to be root"
    r'|\(No info could be read for "-p"'
    r"|netstat: no support for "
)
_OTHER_FAMILIES = frozenset({"unix", "ax25", "IPX", "netrom", "x25", "rose", "l2cap", "rfcomm"})

_PROTOCOLS = {
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
}

_States = dict[str, str | None]
_TCP: _States = dict(zip(TCP_STATES, TCP_STATES, strict=True))
_TCP.update({alias: state for alias, state in STATE_ALIASES.items() if alias != "UNCONN"})
_UDP: _States = {"ESTABLISHED": "ESTABLISHED", "UNKNOWN": "UNKNOWN"}
_RAW: _States = {str(number): None for number in range(256)}
_STATES = {
    name: _RAW if name.startswith("raw") else _UDP if name.startswith("udp") else _TCP
    for name in _PROTOCOLS.values()
}
_NUMBERED_UNKNOWN = re.compile(r"UNKNOWN\([0-9]+\)")
_TIMER = re.compile(
    r"(?:^| )(?:off|on[0-9]?|keepalive|timewait|probe|unkn-[0-9]+)"
    r" \([0-9]+\.[0-9]+/-?[0-9]+/-?[0-9]+\)\Z"
)
_EXTENDED = re.compile(r"[^\s/]+ +[0-9]+(?: +(?P<program>\S.*))?", re.DOTALL)
"""User and Inode of ``-e`` before the program, which has a slash before its first blank."""
_HOLDER = re.compile(r"([0-9]+)/(.*)", re.DOTALL)


_FIRST, _SECOND, _THIRD = itemgetter(0), itemgetter(1), itemgetter(2)

_HEAD_CHARS = 20
"""Protocol, Recv-Q, Send-Q and a blank, as long as no queue has more than six digits."""


def _usual(word: str) -> re.Pattern[str]:
    """The usual rows of a protocol: head, address and port twice, tail; see ``columns``.

    None that may have been cut, none with a zone. If the groups are numbers and addresses at all
    is left to those who take them.
    """
    head = rf"{word} [ 0-9]{{{_HEAD_CHARS - len(word) - 2}}} "
    ip = rf"(?!\S{{{NET_TOOLS_WIDTH}}} )([0-9a-f.:]+)" if word.endswith("6") else "([0-9.]++)"
    return re.compile(rf"^({head}){ip}:{PORT} +{ip}:{PORT} +(\S.*)", re.MULTILINE)


_USUAL = {word: _usual(word) for word in ("tcp", "tcp6", "udp", "udp6")}
_PARTS = 7
"""Parts a row when a text is split by such a pattern: what is before the row, and six groups."""

_Tail = tuple[str | None, int | None, str | None]


class _Tails(dict[str, _Tail]):
    """State, PID and program by the text after the addresses, as met in one parse."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol

    def __missing__(self, text: str) -> _Tail:
        if len(text) > MAX_LINE_CHARS:
            raise KeyError(text)
        state, rest = _state(self._protocol, text)
        known = state, *_process(rest)
        self[text] = known
        return known


class _Heads(dict[str, tuple[str, int, int, bool, _Tails]]):
    """Protocol, queues, whether IPv6, and the right tails, by the beginning of a line."""

    def __init__(self) -> None:
        self.tails = {name: _Tails(name) for name in _STATES}

    def __missing__(self, text: str) -> tuple[str, int, int, bool, _Tails]:
        # Three whole words and a blank after them, or the next column would lose its beginning.
        word, recv, send = text.split()
        if len(text) != _HEAD_CHARS or text[-1] != " " or word.startswith("sctp"):
            raise KeyError(text)
        protocol = _PROTOCOLS[word]
        is_v6 = protocol.endswith("6")
        known = protocol, queue(recv), queue(send), is_v6, self.tails[protocol]
        self[text] = known
        return known


_SHAPE = r"\s*(?:(?:tcp|udp|udpl|udplite|raw)6?\s+[0-9]+\s+[0-9]+\s+\S+:|sctp6?\s)"
"""A row of this table, in text without a heading."""


class Reader:
    """Lines to sockets, headers, blanks or rejected lines; no line's reading depends on another.

    ``wide`` says that the text is from ``-W``, so that an IPv6 endpoint of full width is whole.
    """

    def __init__(self, *, wide: bool) -> None:
        self.account = Account()
        self.plain = True
        self._wide = wide
        self._memory = _Heads(), Ipv4Texts(), Hosts()

    def feed(self, text: str) -> None:
        """Add the lines of a text to the account: one more than there are newlines.

        The usual rows of one protocol, that of the last line, are read a column at a time;
        other lines by ``read``, and all by ``read`` where a value is not what it seemed.
        """
        word = text[text.rfind("\n") + 1 :].partition(" ")[0]
        if word in _USUAL:
            parts = _USUAL[word].split(text)
            try:
                found = self._usual_rows(word, parts)
            except (ValueError, KeyError, OSError):
                pass
            else:
                add_in_order(self.account, found, between=parts[::_PARTS], read=self.read)
                return
        self.read(text.split("\n"))

    def _usual_rows(self, word: str, parts: list[str]) -> list[Socket]:
        heads, ipv4s, hosts = self._memory
        known = [heads[text] for text in parts[1::_PARTS]]
        tails = heads.tails[_PROTOCOLS[word]]
        known_tails = [tails[text] for text in parts[6::_PARTS]]
        return sockets_of(
            head=(repeat(word), map(_SECOND, known), map(_THIRD, known)),
            ends=(parts[2::_PARTS], parts[3::_PARTS], parts[4::_PARTS], parts[5::_PARTS]),
            tail=(map(_FIRST, known_tails), map(_SECOND, known_tails), map(_THIRD, known_tails)),
            known=hosts if word.endswith("6") else ipv4s,
        )

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
                state, pid, program = tails[tail]
                local_ip, _, local_port = local.rpartition(":")
                foreign_ip, _, foreign_port = foreign.rpartition(":")
                if not is_v6:
                    add(
                        (
                            protocol,
                            recv,
                            send,
                            ipv4s[local_ip],
                            ports[local_port],
                            ipv4s[foreign_ip],
                            ports[foreign_port],
                            state,
                            pid,
                            program,
                            0,
                        )
                    )
                    continue
                if len(local) == NET_TOOLS_WIDTH or len(foreign) == NET_TOOLS_WIDTH:
                    raise OddLine
                near, far = hosts[local_ip], hosts[foreign_ip]
                add(
                    (
                        protocol,
                        recv,
                        send,
                        near[0],
                        ports[local_port],
                        far[0],
                        ports[foreign_port],
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
                    try:
                        add(_row(line, wide=self._wide))
                    except OddLine as odd:
                        account.reject(line, str(odd), rows=len(rows))
        account.sockets += as_sockets(rows)


class Sockets(sections.Reader):
    """The same table, in full, as one section of a text."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the row."""
        self.tables.sockets += as_sockets([_row(line, wide=self.tables.wide)])
        return True


OPENINGS = (sections.Opening(NAME, "sockets", Sockets, heading=_HEADER.pattern, row=_SHAPE),)


def _row(line: str, *, wide: bool) -> tuple[Any, ...]:
    """The eleven fields of any row, in the order of Socket; OddLine with the reason otherwise."""
    if len(line) > MAX_LINE_CHARS:
        raise OddLine("line too long")
    fields = line.split(None, 5)
    word = fields[0]
    if word not in _PROTOCOLS:
        if word in _OTHER_FAMILIES:
            raise OddLine(f"{word} sockets are not read")
        raise OddLine("not a row of a socket table")
    protocol = _PROTOCOLS[word]
    if protocol.startswith("sctp") and len(fields) > 1 and ":" in fields[1]:
        return _sctp_listener(line)
    if len(fields) < 5:
        raise OddLine("columns are missing")
    _, recv, send, local, foreign, *tail = fields
    # A longer endpoint on the same line proves that nothing on it was cut.
    whole = wide or max(len(local), len(foreign)) > NET_TOOLS_WIDTH
    recv_queue, send_queue = queue(recv), queue(send)
    near, local_port = _end(local, wide=whole)
    far, foreign_port = _end(foreign, wide=whole)
    if (near.is_v6 or far.is_v6) and not protocol.endswith("6"):
        protocol += "6"  # net-tools before 1.60-17 wrote tcp for both families, and sctp is alone
    state, rest = _state(protocol, tail[0] if tail else "")
    return (
        protocol,
        recv_queue,
        send_queue,
        near.ip,
        local_port,
        far.ip,
        foreign_port,
        state,
        *_process(rest),
        near.flags | far.flags << 1,
    )


def _end(endpoint: str, *, wide: bool) -> tuple[Host, int | None]:
    return net_tools_host(endpoint, wide=wide), port(endpoint.rpartition(":")[2])


def _sctp_listener(line: str) -> tuple[Any, ...]:
    """``sctp  local:port  STATE  program``: an endpoint has no queues and no foreign end."""
    fields = line.split(None, 2)
    near, local_port = _end(fields[1], wide=True)
    state, rest = _state("sctp", fields[2] if len(fields) > 2 else "")
    return (
        "sctp6" if near.is_v6 or fields[0].endswith("6") else "sctp",
        None,
        None,
        near.ip,
        local_port,
        "::" if near.is_v6 else "0.0.0.0",
        None,
        state,
        *_process(rest),
        near.flags,
    )


def _state(protocol: str, text: str) -> tuple[str | None, str]:
    """The state at the beginning of what follows the addresses, and what follows the state."""
    states = _STATES[protocol]
    word, rest = (*text.split(None, 1), "", "")[:2]
    if word in states:
        return states[word], rest
    if states is not _TCP:
        return None, text
    if _NUMBERED_UNKNOWN.fullmatch(word):
        return "UNKNOWN", rest
    raise OddLine("no state this table knows" if word else "the state is missing")


def _process(text: str) -> tuple[int | None, str | None]:
    """PID and program of their column: ``2007/nginx: master``, ``-``, ``2007``, ``nginx``.

    User and inode (``-e``) before it and the timer (``-o``) after it are left out.
    """
    text = _TIMER.sub("", text.rstrip()).strip()
    extended = _EXTENDED.fullmatch(text)
    if extended:
        text = extended["program"] or ""
    if text in ("", "-"):
        return None, None
    holder = _HOLDER.fullmatch(text)
    if holder:
        return process_id(holder[1]), program_name(holder[2])
    if text.isascii() and text.isdigit():
        return process_id(text), None
    return None, program_name(text)
