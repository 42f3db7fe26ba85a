"""``sockstat`` of FreeBSD and NetBSD: who holds which socket.

Place in the data's way: a dialect behind ``probes.parsers.parse``. Pure. Layout from sockstat.c::

    USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS      CONN STATE
    www      nginx      812   6  tcp4   192.0.2.10:443        198.51.100.7:50212   ESTABLISHED
    root     sshd       655   3  tcp46  *:22                  *:*                  LISTEN
    root     syslogd    560   8  dgram  /var/run/log
    ?        ?          ?     ?  tcp4   192.0.2.10:443        198.51.100.9:41022   TIME_WAIT

FreeBSD joins address and port by a colon, NetBSD by a dot. The command is cut to ten characters
and may have blanks in it, so that a row is taken apart from its protocol on. What holds a socket
that netstat has shown in the same text is joined to that row (``joins.complete``); until then it
waits in ``Tables.held``.

Without ``-s`` no state is shown. TCP without a foreign end then is LISTEN; any other state is
not known.
"""

from __future__ import annotations

import re

from probes.parsers import endpoints, sections
from probes.parsers.bsd_endpoints import End, any_address, end, is_name, port
from probes.parsers.bsd_words import FREEBSD, NETBSD, kept, sctp_state, tcp_state
from probes.parsers.lines import OddLine, process_id, program_name
from probes.parsers.records import Flag, Held, Socket, Tables, UnixSocket

_COLUMNS = r"USER +COMMAND +PID +FD +PROTO +LOCAL ADDRESS"
_INTERNET = {"tcp": "tcp", "udp": "udp", "udplite": "udplite", "sctp": "sctp", "icmp": "icmp"}
_UNIX = {"stream": "stream", "dgram": "dgram", "seqpac": "seqpacket", "seqpack": "seqpacket"}
_PROTOCOL = re.compile(r"([a-z]{3,8})(46|4|6)?")
_ROW = (
    r"\S{1,32} +\S{1,32} +(?:[0-9]+ +[0-9]+|\? +\?) +"
    r"(?:(?:tcp|udp|udplite|sctp|icmp|divert)(?:46|4|6)?|stream|dgram|seqpack?) +\S"
)
_SHOWN = {"CONN STATE": "state", "STATE": "state", "STACK": "stack", "CC": "cc"}


class Sockstat(sections.Reader):
    """Reads the table, with or without its heading."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._columns: tuple[str, ...] = ()
        if heading is not None:
            self._heading(heading)

    def read(self, line: str) -> bool:
        """Note who holds the socket; False for the line of headings."""
        if re.match(_COLUMNS, line):
            self._heading(line)
            return False
        if line[:1].isspace():
            raise OddLine("another address of the SCTP association above")
        tokens = line.split()
        at = _protocol_at(tokens)
        user, command = tokens[0], " ".join(tokens[1 : at - 2])
        pid = None if tokens[at - 2] == "?" else process_id(tokens[at - 2])
        fd = None if tokens[at - 1] == "?" else process_id(tokens[at - 1])
        program = None if command == "?" else program_name(command)
        word, rest = tokens[at], tokens[at + 1 :]
        if word in _UNIX:
            self.tables.held_unix.append(self._unix(word, rest, pid, program))
            return True
        socket, more = self._socket(word, rest, pid, program)
        self.tables.held.append(Held(socket, None if user == "?" else kept(user), fd, more))
        return True

    def _heading(self, line: str) -> None:
        self.sure = True
        after = line.partition("FOREIGN ADDRESS")[2]
        places = sorted((after.find(name), name) for name in _SHOWN if name in after)
        # STATE is part of PATH STATE, which only SCTP has, and of CONN STATE.
        names = [name for place, name in places if name != "STATE" or "CONN STATE" not in after]
        self._columns = tuple(_SHOWN[name] for name in names)

    def _unix(self, word: str, rest: list[str], pid: int | None, program: str | None) -> UnixSocket:
        text = " ".join(rest)
        connected = text.startswith("->")
        path = text.removeprefix("->").strip()
        if path in ("", "??", "-", "(not connected)") or path.startswith("["):
            path = ""
        return UnixSocket(
            _UNIX[word],
            "CONNECTED" if connected else None,
            None if connected or not path else kept(path),
            pid=pid,
            program=program,
            connected_to=kept(path) if connected and path else None,
        )

    def _socket(
        self, word: str, rest: list[str], pid: int | None, program: str | None
    ) -> tuple[Socket, tuple[tuple[str, str], ...]]:
        known = _PROTOCOL.fullmatch(word)
        if known is None or known[1] not in _INTERNET:
            raise OddLine("sockets of this kind are not read")
        base, family = _INTERNET[known[1]], known[2] or ""
        if len(rest) < 2:
            raise OddLine("columns are missing")
        protocol = base + ("6" if "6" in family else "")
        near, far = (self._end(text, protocol) for text in rest[:2])
        if (near.is_v6 or far.is_v6) and not protocol.endswith("6"):
            protocol += "6"
        if protocol.endswith("6"):
            near, far = (e._replace(ip="::") if e.ip == "0.0.0.0" else e for e in (near, far))
        flags = near.flags | far.flags << 1
        if family == "46":
            flags |= Flag.LOCAL_STAR if near.ip == "::" else 0
            flags |= Flag.FOREIGN_STAR if far.ip == "::" else 0
        state, more = self._shown(base, rest[2:])
        if state is None and base == "tcp" and far.port is None and near.port is not None:
            state = "LISTEN"
        socket = Socket(
            protocol, None, None, near.ip, near.port, far.ip, far.port, state, pid, program, flags
        )
        return socket, more

    def _end(self, text: str, protocol: str) -> End:
        if text.rfind(".") > text.rfind(":"):
            self.dialect = NETBSD
            return end(text, protocol, whole=True)
        address, colon, port_text = text.rpartition(":")
        if not colon or not address:
            raise OddLine("address and port are not joined")
        if address == "*":
            known = any_address(protocol)
        elif ":" in address or not is_name(address):
            known = endpoints.host(address)
        else:
            known = endpoints.Host(address.lower(), Flag.LOCAL_NAME, protocol.endswith("6"))
        return End(known.ip, port(port_text, protocol), known.flags, known.is_v6)

    def _shown(
        self, base: str, tokens: list[str]
    ) -> tuple[str | None, tuple[tuple[str, str], ...]]:
        """State, stack and congestion control, of which only the first has a fixed vocabulary."""
        if base == "tcp" and len(tokens) == len(self._columns):
            shown = dict(zip(self._columns, tokens, strict=True))
            state = tcp_state(shown.pop("state", ""))
            return state, tuple((name, kept(text)) for name, text in shown.items())
        of = sctp_state if base == "sctp" else tcp_state
        states = (of(token) for token in tokens if not token.isdigit())
        return next((state for state in states if state), None), ()


def _protocol_at(tokens: list[str]) -> int:
    """Where the protocol stands: the first word that is one, behind two numbers or two ``?``."""
    for at in range(4, len(tokens)):
        pid, fd = tokens[at - 2 : at]
        if not (pid == fd == "?" or (pid.isdigit() and fd.isdigit())):
            continue
        known = _PROTOCOL.fullmatch(tokens[at])
        if tokens[at] in _UNIX or (known and known[1] in (*_INTERNET, "divert")):
            return at
    raise OddLine("not a row of sockstat")


OPENINGS = (
    sections.Opening(FREEBSD, "sockets", Sockstat, heading=_COLUMNS),
    sections.Opening(FREEBSD, "sockets", Sockstat, row=_ROW),
)
