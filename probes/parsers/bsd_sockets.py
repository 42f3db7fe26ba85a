"""The socket tables of netstat of macOS, FreeBSD, OpenBSD and NetBSD.

Place in the data's way: dialects behind ``probes.parsers.parse``. Pure. Layouts from inet.c
and inet6.c of FreeBSD 7 to 14, network_cmds 76 to 741 (macOS), OpenBSD and NetBSD::

    Active Internet connections (including servers)
    Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
    tcp4       0      0  127.0.0.1.631          *.*                    LISTEN
    tcp46      0      0  *.80                   *.*                    LISTEN
    udp6       0      0  fe80::1%lo0.123        *.*

Columns are known by the words of their heading, a row is split at its blanks. What follows the
foreign end differs most: the state (TCP only), then with ``-v`` on macOS ``rxbytes txbytes rhiwat
shiwat pid epid state options`` in older releases and ``process:pid`` in place of ``pid`` in newer
ones; with ``-x``, ``-R``, ``-c``, ``-C`` and ``-P`` on FreeBSD buffers, timers, flow, stack,
congestion control; with ``-B`` on OpenBSD buffers before the addresses; with ``-A`` everywhere the
address of the protocol control block in front.

``tcp46 *.80`` takes IPv4 and IPv6: given as ``::`` with Flag.LOCAL_STAR, as ss's ``*:80`` is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probes.parsers import sections
from probes.parsers.bsd_endpoints import End, end, port
from probes.parsers.bsd_words import (
    BSD,
    FREEBSD,
    MACOS,
    NETBSD,
    OPENBSD,
    hexadecimal,
    kept,
    number,
    tcp_state,
)
from probes.parsers.lines import OddLine, process_id, program_name, queue
from probes.parsers.records import Details, Flag, Socket, Tables, Timer

_BASES = {
    "tcp": "tcp",
    "toe": "tcp",
    "udp": "udp",
    "udplite": "udplite",
    "icm": "icmp",
    "icmp": "icmp",
    "ip": "raw",
    "igm": "raw",
    "igmp": "raw",
    "pim": "raw",
    "raw": "raw",
}
"""The three letters netstat prints of a protocol's name, and the whole names."""
_NUMBERS = {"igm": 2, "igmp": 2, "pim": 103}
"""IP protocol numbers of raw sockets that are listed under their protocol's name."""
_UNREAD = frozenset({"div", "divert", "sdp", "esp", "ah", "kctl", "kevt"})
_WORD = re.compile(r"([a-z]{2,8})(46|4|6)?")
_TITLE = r"Active Internet6? connections(?: \(including servers\))?\s*$"
_PCB = r"(?:PCB|Socket|Tcpcb)"
_COLUMNS = (
    rf"[ \t]*(?:{_PCB} +(?:Flowhash *)?)?Proto +"
    r"(?:Recv-Q +Send-Q +|Rexmit +OOORcv +0-win +)(?:[RSC][a-z]+-W +){0,3}"
    r"Local Address +Foreign Address"
)
_TOLD_COLUMNS = rf"{_COLUMNS}\s*+(?:\(state\)|TCP-State|IP-Proto|R-MBUF|flowid|Stack|CC\b|Log ID|$)"
_NETBSD_COLUMNS = (
    r"(?:PCB +Proto +Recv-Q +Send-Q +|Proto +Recv-Q +Send-Q  +)Local Address +Foreign Address +"
    r"State\b"
)
_LAST = r"\.[^\s.:]+"
_ROW = (
    r"[ \t]*(?:(?:0x[0-9a-f]{1,16}|[0-9a-f]{6,16}) +(?:[0-9a-f]{1,8} +)?)?"
    r"(?:(?:tcp|udp|icm|igm|pim|toe)(?:46|4|6)?|icmp6?|ip(?: ?[46])?)"
    rf"(?:[ \t]+[0-9]+){{2,5}}[ \t]+\S+{_LAST}[ \t]+\S+{_LAST}(?:\s|$)"
)
_PCB_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}|[0-9a-f]{6,16}")
_FLOWHASH = re.compile(r"[0-9a-f]{1,8}")
_CHANGED = re.compile(r"Some \S+ sockets may have been (?:created|deleted)|\?\?\?$")
_TIMER_COLUMNS = ("rexmt", "persist", "keep", "2msl", "delack", "rcvtime")
_TIMERS = {"rexmt": "rexmt", "persist": "persist", "keep": "keepalive", "2msl": "timewait"}
_PROCESS = re.compile(r"(.*?):([0-9]{1,10})(?: (.*))?")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a line of headings says of the columns."""

    middle: tuple[str, ...] = ("Recv-Q", "Send-Q")
    """Between the protocol and the local end; numbers all."""
    told: bool = False
    """There was a line of headings."""
    has_state: bool = True
    after: tuple[str, ...] = ()
    """After the state."""


def plan(heading: str) -> Plan:
    """The columns of a line of headings that has both addresses."""
    before, _, rest = heading.partition("Local Address")
    words = rest.partition("Foreign Address")[2].replace("Log ID", "Log-ID").split()
    has_state = bool(words) and words[0] in ("(state)", "TCP-State", "State")
    return Plan(
        tuple(
            word for word in before.split() if word.endswith(("-Q", "-W", "0-win", "Rcv", "mit"))
        ),
        True,
        has_state,
        tuple(words[1:] if has_state else words),
    )


class Sockets(sections.Reader):
    """Reads ``netstat -an`` with any of its options but ``-L``, of any of the four."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._plan = Plan()
        self._beside_pcb = False
        self._doubtful: list[int] = []
        self._long = tables.wide
        if heading is not None:
            self._columns(heading)

    def read(self, line: str) -> bool:
        """Add the row; False for the line of headings and for remarks of the tool."""
        if self._columns(line) or _CHANGED.match(line):
            return False
        tokens = line.split()
        details: dict[str, str] = {}
        self._take_pcb(tokens, details)
        base, family, raw_number = self._protocol(tokens, details)
        protocol = base + ("6" if "6" in family else "")
        middle = [queue(tokens.pop(0)) for _ in self._plan.middle if tokens and tokens[0].isdigit()]
        # -T prints nothing there for what is not TCP.
        expected = 0 if not middle and "Rexmit" in self._plan.middle else len(self._plan.middle)
        if len(middle) != expected:
            raise OddLine("columns do not match their heading")
        if len(tokens) < 2:
            raise OddLine("columns are missing")
        near, far = (
            end(token, protocol, whole=self._long, beside_pcb=self._beside_pcb)
            for token in tokens[:2]
        )
        self._judge(family)
        whole = near.long or far.long
        socket, more = self._socket(protocol, family, middle, near, far)
        if raw_number is not None and socket.local_port is None:
            socket = socket._replace(local_port=raw_number)
        socket, told = self._tail(socket, base, tokens[2:])
        if (near.doubtful or far.doubtful) and not whole:
            self._doubtful.append(len(self.tables.sockets))
        if whole:
            self._long = True
            socket = _untruncated(socket)
        pairs = (*details.items(), *more, *told.more)
        if pairs or told.timer:
            known = told._replace(more=pairs)
            self.tables.details[len(self.tables.sockets)] = known
        self.tables.sockets.append(socket)
        return True

    def close(self) -> None:
        """A longer address showed that nothing in this table was cut: clear the earlier doubts."""
        if self._long:
            for place in self._doubtful:
                self.tables.sockets[place] = _untruncated(self.tables.sockets[place])

    def _columns(self, line: str) -> bool:
        """Take a line of headings; False where it is none."""
        if re.match(_COLUMNS, line) is None:
            return False
        self._plan = plan(line)
        self.sure = True
        self._beside_pcb = re.match(rf"[ \t]*{_PCB}", line) is not None
        words = self._plan.after
        if re.search("TCP-State|IP-Proto|Recv-W", line):
            self.dialect = OPENBSD
        elif re.search(r"Address +State\b", line):
            self.dialect = NETBSD
        elif {"rhiwat", "rxbytes"} & set(words) or "Flowhash" in line:
            self.dialect = MACOS
        elif re.search(r"Send-Q Local", line) or "Rexmit" in line or "Tcpcb" in line:
            self.dialect = FREEBSD
        return True

    def _judge(self, family: str) -> None:
        # FreeBSD has had one blank after Send-Q since release 8, and OpenBSD and NetBSD print no 4.
        if self.dialect in ("", BSD) and self._plan.told and "4" in family:
            self.dialect = MACOS

    def _take_pcb(self, tokens: list[str], details: dict[str, str]) -> None:
        if not tokens or _PCB_ADDRESS.fullmatch(tokens[0]) is None:
            return
        self._beside_pcb = True
        address = hexadecimal(tokens.pop(0))
        if address:
            details["pcb"] = address
        if tokens and _FLOWHASH.fullmatch(tokens[0]):
            details["flowhash"] = tokens.pop(0)

    def _protocol(self, tokens: list[str], details: dict[str, str]) -> tuple[str, str, int | None]:
        """Base protocol, family as printed, IP protocol number; they are taken from ``tokens``."""
        known = _WORD.fullmatch(tokens[0]) if tokens else None
        if known is None:
            raise OddLine("not a row of a socket table")
        word, family = known[1], known[2] or ""
        if word in _UNREAD:
            raise OddLine("sockets of this kind are not read")
        if word not in _BASES:
            raise OddLine("protocol is not known")
        del tokens[0]
        # "ip" is shorter than the three characters its column has before the family.
        apart = word == "ip" and not family and len(tokens) > 3 and tokens[2].isdigit()
        if apart and tokens[0] in ("4", "6", "46"):
            family = tokens.pop(0)
        if word == "toe":
            details["offload"] = "toe"
        return _BASES[word], family, _NUMBERS.get(word)

    def _socket(
        self, protocol: str, family: str, middle: list[int], near: End, far: End
    ) -> tuple[Socket, tuple[tuple[str, str], ...]]:
        if (near.is_v6 or far.is_v6) and not protocol.endswith("6"):
            protocol += "6"
            near, far = (
                each._replace(ip="::") if each.ip == "0.0.0.0" else each for each in (near, far)
            )
        flags = near.flags | far.flags << 1
        if family == "46":
            near, far = (
                each._replace(ip="::") if each.ip == "0.0.0.0" else each for each in (near, far)
            )
            flags |= Flag.LOCAL_STAR if near.ip == "::" else 0
            flags |= Flag.FOREIGN_STAR if far.ip == "::" else 0
        by_name = dict(zip(self._plan.middle, middle, strict=False))
        more = tuple(
            (kept(name.lower()), str(value))
            for name, value in by_name.items()
            if name not in ("Recv-Q", "Send-Q")
        )
        socket = Socket(
            protocol,
            by_name.get("Recv-Q"),
            by_name.get("Send-Q"),
            near.ip,
            near.port,
            far.ip,
            far.port,
            None,
            None,
            None,
            flags,
        )
        return socket, more

    def _tail(self, socket: Socket, base: str, tokens: list[str]) -> tuple[Socket, Details]:
        """State and what follows it."""
        known = Details()
        after = self._plan.after
        if base == "tcp" and self._plan.has_state:
            state = tcp_state(tokens[0]) if tokens else None
            if state is None:
                if tokens:
                    raise OddLine("no state this table knows")
                raise OddLine("the state is missing")
            socket = socket._replace(state=state)
            tokens = tokens[1:]
        elif base == "raw" and len(tokens) == 1 and not after and number(tokens[0]) is not None:
            # OpenBSD prints the number of the IP protocol where others have the state.
            return socket._replace(local_port=min(int(tokens[0]), 255)), known
        if not tokens:
            return socket, known
        if not self._plan.told:
            if number(tokens[0]) is None:
                raise OddLine("more columns than this table has")
            return socket, known
        if not after:
            raise OddLine("columns do not match their heading")
        return _with_columns(socket, after, tokens)


def _with_columns(
    socket: Socket, names: tuple[str, ...], tokens: list[str]
) -> tuple[Socket, Details]:
    """What the columns after the state tell; OddLine where they are not those of ``names``."""
    at = next((place for place, name in enumerate(names) if name.startswith("process:")), None)
    values: dict[str, str] = {}
    if at is not None:
        right = len(names) - at - 1
        effective = at + 1 < len(names) and names[at + 1].startswith("eprocess:")
        right -= effective
        middle = " ".join(tokens[at : len(tokens) - right])
        process = _PROCESS.fullmatch(middle)
        if len(tokens) < at + 1 + right or process is None:
            raise OddLine("columns do not match their heading")
        socket = _held(socket, process[2], process[1])
        if effective:
            name, _, pid = (process[3] or "").rpartition(":")
            values |= {"eprocess": kept(name), "epid": pid.strip()}
        names = names[:at] + names[len(names) - right :]
        tokens = tokens[:at] + tokens[len(tokens) - right :]
    if len(names) > len(tokens) and names[-len(_TIMER_COLUMNS) :] == _TIMER_COLUMNS:
        names = names[: -len(_TIMER_COLUMNS)]  # -x prints no timers of what is not TCP
    if len(names) != len(tokens):
        raise OddLine("columns do not match their heading")
    values = {name: kept(token) for name, token in zip(names, tokens, strict=True)} | values
    if "IP-Proto" in values:
        return socket._replace(local_port=port(values["IP-Proto"], socket.protocol)), Details()
    pid = values.pop("pid", None)
    if pid is not None:
        socket = _held(socket, pid, "")
    if values.get("epid") in ("", "0"):
        del values["epid"]
    more = tuple((kept(name.lower()), value) for name, value in values.items() if value)
    return socket, Details(timer=_timer(values), more=more)


def _held(socket: Socket, pid: str, program: str) -> Socket:
    """The socket with its process; the kernel's own have the PID 0, which is nobody's."""
    known = process_id(pid)
    if not known:
        return socket
    return socket._replace(pid=known, program=program_name(program.strip()))


def _timer(values: dict[str, str]) -> Timer | None:
    """The first timer that runs, of those that ``-x`` shows in seconds."""
    for name, kind in _TIMERS.items():
        text = values.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}\.[0-9]{2}", text) and float(text):
            return Timer(kind, float(text), None, None)
    return None


def _untruncated(socket: Socket) -> Socket:
    return socket._replace(flags=socket.flags & ~(Flag.LOCAL_TRUNCATED | Flag.FOREIGN_TRUNCATED))


OPENINGS = (
    sections.Opening(BSD, "sockets", Sockets, heading=_TITLE),
    sections.Opening(NETBSD, "sockets", Sockets, heading=_NETBSD_COLUMNS),
    sections.Opening(BSD, "sockets", Sockets, row=_TOLD_COLUMNS),
    sections.Opening(BSD, "sockets", Sockets, row=_ROW),
)
