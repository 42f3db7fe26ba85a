"""Windows: ``netstat`` with ``-a``, ``-n``, ``-o``, ``-b``, ``-q``, ``-t``, ``-f`` and ``-p``.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from the
documentation of netstat at Microsoft Learn and from outputs seen in public::

    Active Connections

      Proto  Local Address          Foreign Address        State           PID
      TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1064
      RpcSs
     [svchost.exe]
      TCP    0.0.0.0:445            0.0.0.0:0              LISTENING       4
     Can not obtain ownership information
      TCP    [fe80::1%12]:49670     [fe80::9%12]:445       ESTABLISHED     4
      TCP    192.0.2.7:49702        198.51.100.9:443       ABHÖREN         2468     InHost
      UDP    0.0.0.0:5353           *:*                                    2044

Windows prints headings, most sentences and in some languages the states in its display language,
so nothing but the form of a row is relied on: TCP or UDP in capitals, two endpoints, words, digits.
A listener is known by its empty foreign end (``0.0.0.0:0``), whatever word follows. Of a connected
socket in a language that is not known here the state is UNKNOWN. No row is lost for its words.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from probes.parsers import sections, service_names
from probes.parsers.endpoints import host, port
from probes.parsers.lines import OddLine, process_id, program_name, visible
from probes.parsers.records import (
    STATE_ALIASES,
    TCP_STATES,
    Details,
    Flag,
    Socket,
    Tables,
)

NAME = "windows"

_PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "TCPv6": "tcp6", "UDPv6": "udp6"}
_ROW = r"[ \t]*(?:TCP|UDP)(?:v6)?[ \t]+\S+:[^\s:]+[ \t]+\S+:[^\s:]+(?:[ \t]|$)"
_RDMA_ROW = r"[ \t]*(?:Kernel|User)[ \t]+[0-9]{1,10}[ \t]+\S{1,40}[ \t]+\S+:[0-9]{1,5}[ \t]"

_TITLES = (
    "Active Connections",
    "活动连接",
    "使用中連線",
    "アクティブな接続",
    "Aktive Verbindungen",
    "Connexions actives",
    "Conexiones activas",
    "Conexões ativas",
    "Connessioni attive",
    "Активные подключения",
    "활성 연결",
)
_LOCAL_ADDRESS = (
    "Local Address",
    "本地地址",
    "本機位址",
    "ローカル アドレス",
    "Lokale Adresse",
    "Adresse locale",
    "Dirección local",
    "Endereço local",
    "Indirizzo locale",
    "Локальный адрес",
    "로컬 주소",
)
_TITLE = rf"[ \t]*(?:{'|'.join(_TITLES)})[ \t]*$"
_HEADING = rf"[ \t]*[^\W\d]{{2,12}}[ \t]+(?:{'|'.join(_LOCAL_ADDRESS)})[ \t]"
"""These help a table without rows; one with rows is known in every language."""

_EMPTY = ("0.0.0.0", "::")
_BOUND = frozenset({"BOUND", "DELETE_TCB", "GEBUNDEN"})
"""States only Windows has, here CLOSE: bound without listening, and about to be deleted. Which
of them stays in ``Details.more``."""

_STATES = {
    **dict(zip(TCP_STATES, TCP_STATES, strict=True)),
    **{word: state for word, state in STATE_ALIASES.items() if word != "UNCONN"},
    **dict.fromkeys(_BOUND, "CLOSE"),
    # German Windows translates the states; most other languages print the English ones.
    "ABHÖREN": "LISTEN",
    "HERGESTELLT": "ESTABLISHED",
    "WARTEND": "TIME_WAIT",
    "SCHLIESSEN_WARTEN": "CLOSE_WAIT",
    "SCHLIESSEND": "CLOSING",
    "GESCHLOSSEN": "CLOSE",
    "SYN_GESENDET": "SYN_SENT",
    "SYN_EMPFANGEN": "SYN_RECV",
    "FIN_WARTEN_1": "FIN_WAIT1",
    "FIN_WARTEN_2": "FIN_WAIT2",
    "ZULETZT_ACK": "LAST_ACK",
    "LETZTES_ACK": "LAST_ACK",
    "NASŁUCHIWANIE": "LISTEN",
    "USTANOWIONO": "ESTABLISHED",
    "ESCUCHANDO": "LISTEN",
    "ESTABLECIDO": "ESTABLISHED",
    "IN ASCOLTO": "LISTEN",
}
_TEMPLATES = frozenset(
    {
        "Not Applicable",
        "Automatic",
        "Internet",
        "InternetCustom",
        "Datacenter",
        "DatacenterCustom",
        "Compat",
    }
)
"""What ``-y`` prints after the state, in place of the offload state of ``-t``."""

_RPC_PORT = 135
"""The RPC endpoint mapper, which listens on every Windows."""

_NAME = re.compile(r"\w[\w.-]{0,254}")
_COLUMNS = re.compile(r"[ \t]{2,}|\t")
_MAX_OWNER_LINES = 40
"""Of one socket; Windows XP lists every library on the way to it."""
_MAX_MORE_CHARS = 255


class _End(NamedTuple):
    """One endpoint, with the flags of a local one."""

    ip: str
    port: int | None
    flags: int
    is_v6: bool
    empty: bool
    """True where there is nobody at this end: ``0.0.0.0:0``, ``[::]:0``, ``*:*``."""


class Sockets(sections.Reader):
    """One table of sockets, until its next title."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._local_end, self._tail = cache(_end), cache(_state_and_pid)
        """Of one table alone; most local ends and most states with their PID come many times."""
        self._owner_lines: list[str] = []
        """Lines of ``-b`` after the last row whose executable has not come yet."""
        self._owned = True
        """False from a row until a blank line or its executable: only then -b's lines follow."""
        self._gap = False
        self._strays = 0
        """Lines that were no rows since the last row; ``_gap``: a blank one among them."""
        self._told_listener = False
        self._unknown: dict[str, list[int]] = {}
        """Sockets without a foreign end by their state, where that is a word not known here."""

    def read(self, line: str) -> bool:
        """Add the row, or what the line tells of the row before."""
        fields = line.split(None, 3)
        if fields[0] in _PROTOCOLS:
            if self._gap and self._strays:
                raise OddLine("a row after lines that are no row")  # opens the next table
            self._end_of_row()
            self._owned = True
            self._row(fields)
            self._owned, self._gap, self._strays = False, False, 0
            return True
        if not self._owned and self._is_owner(line):
            return True
        self._end_of_row()
        self._owned = True
        self._strays += 1
        raise OddLine("not a row of a table of sockets")

    def blank(self) -> None:
        """No line of -b comes after a blank one."""
        self._end_of_row()
        self._owned = self._gap = True

    def close(self) -> None:
        """Settle which of several unknown words stands for a listener."""
        self._end_of_row()
        if not self._told_listener and len(self._unknown) < 2:
            return
        sockets = self.tables.sockets
        for indexes in self._unknown.values():
            listens = not self._told_listener and any(
                sockets[index].local_port == _RPC_PORT for index in indexes
            )
            if not listens:
                for index in indexes:
                    sockets[index] = sockets[index]._replace(state="UNKNOWN")

    def _row(self, fields: list[str]) -> None:
        if len(fields) < 3:
            raise OddLine("columns are missing")
        word, local, foreign, *tail = fields
        base = word[:3].lower()
        near, far = self._local_end(local, base), _end(foreign, base)
        is_v6 = near.is_v6 or far.is_v6 or word.endswith("v6")
        text = tail[0] if tail else ""
        state, pid, rest = self._tail(text) if base == "tcp" else ("", *_pid(text.split()))
        known: str | None = None
        if base == "tcp":
            known = _STATES.get(state.upper(), "LISTEN" if far.empty else "UNKNOWN")
            self._told_listener |= known == "LISTEN" and state.upper() in _STATES
        if far.empty or (known == "LISTEN" and not far.port):
            # A listener's foreign end is often printed as this host's own name.
            far = _End(_any(is_v6=is_v6), None, 0, is_v6, True)
        more = []
        if state and (state.upper() in _BOUND or state.upper() not in _STATES):
            more.append(("state", _kept(state)))
        if rest:
            more.append(("template" if rest in _TEMPLATES else "offload", _kept(rest)))
        sockets = self.tables.sockets
        row = Socket(
            protocol=base + ("6" if is_v6 else ""),
            recv_queue=None,
            send_queue=None,
            local_ip=_any(is_v6=is_v6) if near.ip == "*" else near.ip,
            local_port=near.port,
            foreign_ip=_any(is_v6=is_v6) if far.ip == "*" else far.ip,
            foreign_port=far.port,
            state=known,
            pid=process_id(pid) or None if pid else None,
            program=None,
            flags=near.flags | far.flags << 1,
        )
        if known == "LISTEN" and state.upper() not in _STATES:
            self._unknown.setdefault(state, []).append(len(sockets))
        if more:
            self.tables.details[len(sockets)] = Details(more=tuple(more))
        sockets.append(row)

    def _is_owner(self, line: str) -> bool:
        """Take ``[svchost.exe]``, ``RpcSs`` or a sentence in its place; False for another line."""
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            at = len(self.tables.sockets) - 1
            program = program_name(text[1:-1].strip())
            self.tables.sockets[at] = self.tables.sockets[at]._replace(program=program)
            self._keep_components(self._owner_lines)
            self._owner_lines = []
            self._owned = True
            return True
        if line[0] not in " \t" or len(self._owner_lines) >= _MAX_OWNER_LINES:
            return False
        self._owner_lines.append(line)
        return True

    def _end_of_row(self) -> None:
        """Keep the component of a socket whose executable is not told. A sentence that says so
        is indented by one blank, a component by two."""
        if self._owner_lines:
            self._keep_components([line for line in self._owner_lines if line[:2] == "  "])
            self._owner_lines = []
            self.tables.remark("Windows did not tell the programs of some sockets")

    def _keep_components(self, lines: list[str]) -> None:
        if lines:
            at = len(self.tables.sockets) - 1
            known = self.tables.details.get(at, Details())
            names = ", ".join(line.strip() for line in lines)
            more = (*known.more, ("component", _kept(names)))
            self.tables.details[at] = known._replace(more=more)


def _any(*, is_v6: bool) -> str:
    return "::" if is_v6 else "0.0.0.0"


def _end(endpoint: str, protocol: str) -> _End:
    """One of ``0.0.0.0:135``, ``[::]:0``, ``*:*``, ``[fe80::1%12]:54``, ``web1:https``."""
    address, _, service = endpoint.rpartition(":")
    number = _port(service, protocol)
    if address == "*":
        return _End("*", number, 0, False, not number)
    try:
        known = host(address)
    except OddLine:
        name = address.strip("[]")
        if _NAME.fullmatch(name) is None or not name.isprintable():
            raise
        return _End(name, number, Flag.LOCAL_NAME, address.startswith("["), False)
    empty = not number and known.ip in _EMPTY
    return _End(known.ip, number, known.flags, known.is_v6, empty)


def _port(text: str, protocol: str) -> int | None:
    if text == "*" or text.isdecimal():
        return port(text)
    number = service_names.number(text, protocol)
    if number is None:
        raise OddLine("the service is not known")
    return number


def _state_and_pid(text: str) -> tuple[str, str, str]:
    """State, PID and what follows, of the text after a TCP row's addresses. A state may be of
    several words; it is followed by the PID, the offload state, both or nothing."""
    words = text.split()
    at = next((place for place, word in enumerate(words) if _is_number(word)), None)
    if at is not None:
        return " ".join(words[:at]), words[at], " ".join(words[at + 1 :])
    if words and words[0].upper() in _STATES:
        return words[0], "", " ".join(words[1:])
    columns = _COLUMNS.split(text.strip())
    return columns[0], "", " ".join(columns[1:])


def _pid(words: list[str]) -> tuple[str, str]:
    """PID and what follows, of what comes after a UDP row's addresses."""
    if words and _is_number(words[0]):
        return words[0], " ".join(words[1:])
    return "", " ".join(words)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _kept(text: str) -> str:
    return visible(text[:_MAX_MORE_CHARS])[:_MAX_MORE_CHARS]


class NetworkDirect(sections.Reader):
    """``-x``: endpoints of RDMA. They are neither TCP nor UDP, so none of their rows is read."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Refuse the row."""
        raise OddLine("endpoints of NetworkDirect (RDMA) are not read")


OPENINGS = (
    sections.Opening(
        NAME,
        "rdma",
        None,
        heading=r"[ \t]*(?:Active NetworkDirect Connections|Mode +IfIndex +Type +Local Address)",
    ),
    sections.Opening(NAME, "rdma", NetworkDirect, row=_RDMA_ROW),
    sections.Opening(NAME, "sockets", None, heading=_TITLE),
    sections.Opening(NAME, "sockets", Sockets, heading=_HEADING, row=_ROW, untold=2),
)
