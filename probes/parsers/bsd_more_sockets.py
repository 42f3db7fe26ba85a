"""Socket tables of the BSDs beside the main one: listen queues, SCTP, and those not read.

Place in the data's way: dialects behind ``probes.parsers.parse``. Pure. Layouts from inet.c
(``-L``) and sctp.c of FreeBSD's netstat, and inet.c, mptcp.c and systm.c of macOS's::

    Current listen queue sizes (qlen/incqlen/maxqlen)
    Proto Listen                           Local Address
    tcp4  0/0/128                          *.22

    Active SCTP associations (including servers)
    Proto  Type  Local Address          Foreign Address        (state)
    sctp4  1to1  *.38412                                       LISTEN

Multipath TCP and the kernel's own sockets have tables of their own, whose rows are listed above
as sockets of TCP, or are no sockets of the network: they are rejected with that reason.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.bsd_endpoints import any_address, end
from probes.parsers.bsd_words import BSD, FREEBSD, MACOS, kept, sctp_state
from probes.parsers.lines import OddLine
from probes.parsers.records import Details, Flag, Socket, Tables, UnixSocket
from probes.parsers.words import gettext_noop

_LISTEN_TITLE = r"Current listen queue sizes \(qlen/incqlen/maxqlen\)"
_LISTEN_COLUMNS = r"(?:Proto +)?Listen +Local Address"
_LISTEN_ROW = r"(?:(?:tcp|sctp?)(?:46|4|6)? +)?[0-9]+/[0-9]+/[0-9]+ +\S+\.[^\s.:]+\s*$"
_LISTEN_QUEUE = re.compile(r"([0-9]{1,10})/([0-9]{1,10})/([0-9]{1,10})")
_LISTENERS = {"tcp": "tcp", "sct": "sctp", "sctp": "sctp"}
_WORD = re.compile(r"([a-z]{2,8})(46|4|6)?")
_SCTP_TITLE = r"Active SCTP associations"
_SCTP_COLUMNS = r"(?:Socket +)?Proto +Type +Local Address +Foreign Address +\(state\)"


class ListenQueues(sections.Reader):
    """Reads ``netstat -Lan``: ``tcp4  0/0/128   *.22``, on macOS without the protocol.

    As on Linux, Recv-Q of a listener is how many wait to be accepted, Send-Q how many may.
    """

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        if heading is not None and re.match(_LISTEN_COLUMNS, heading):
            self.dialect = FREEBSD if heading.startswith("Proto") else MACOS

    def read(self, line: str) -> bool:
        """Add the listener."""
        tokens = line.split(None, 2)
        if len(tokens) < 2:
            raise OddLine("not a row of a table of listen queues")
        word = "tcp" if _LISTEN_QUEUE.fullmatch(tokens[0]) else tokens.pop(0)
        lengths = _LISTEN_QUEUE.fullmatch(tokens[0])
        if lengths is None or len(tokens) < 2:
            raise OddLine("not a row of a table of listen queues")
        waiting, incomplete, limit = map(int, lengths.groups())
        if word == "unix":
            path = kept(" ".join(tokens[1:])) or None
            self.tables.unix.append(
                UnixSocket(None, "LISTEN", path, recv_queue=waiting, send_queue=limit)
            )
            return True
        known = _WORD.fullmatch(word)
        base = _LISTENERS.get(known[1] if known else "")
        if known is None or base is None:
            raise OddLine("protocol is not known")
        family = known[2] or ""
        protocol = base + ("6" if "6" in family else "")
        text = " ".join(tokens[1:]).strip()
        if " " in text:
            raise OddLine("more columns than this table has")
        near = end(text, protocol, whole=self.tables.wide)
        if near.is_v6 and not protocol.endswith("6"):
            protocol += "6"
        flags = near.flags
        if family == "46" and near.ip == "::":
            flags |= Flag.LOCAL_STAR
        self.tables.details[len(self.tables.sockets)] = Details(
            more=(("incqlen", str(incomplete)),)
        )
        far = any_address(protocol)
        self.tables.sockets.append(
            Socket(
                protocol,
                waiting,
                limit,
                near.ip,
                near.port,
                far.ip,
                None,
                "LISTEN",
                None,
                None,
                flags,
            )
        )
        return True


class Associations(sections.Reader):
    """Reads the SCTP table of FreeBSD: ``sctp4  1to1  *.38412            LISTEN``.

    An association has several addresses; all but the first pair stand on lines of their own.
    """

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self.dialect = FREEBSD

    def read(self, line: str) -> bool:
        """Add the association; False for the line of headings."""
        if re.match(_SCTP_COLUMNS, line):
            return False
        if line[:1].isspace():
            raise OddLine("another address of the SCTP association above")
        tokens = line.split()
        known = re.fullmatch(r"sctp?(46|4|6)?", tokens[0])
        if known is None or not 4 <= len(tokens) <= 5 or not tokens[1].startswith("1to"):
            raise OddLine("not a row of the table of SCTP associations")
        state = sctp_state(tokens[-1])
        if state is None:
            raise OddLine("no state this table knows")
        protocol = "sctp6" if "6" in (known[1] or "") else "sctp"
        near = end(tokens[2], protocol, whole=self.tables.wide)
        far = end(tokens[3], protocol, whole=self.tables.wide) if len(tokens) == 5 else None
        far_ip = any_address(protocol).ip if far is None else far.ip
        flags = near.flags | (0 if far is None else far.flags << 1)
        self.tables.details[len(self.tables.sockets)] = Details(more=(("type", kept(tokens[1])),))
        self.tables.sockets.append(
            Socket(
                protocol,
                None,
                None,
                near.ip,
                near.port,
                far_ip,
                None if far is None else far.port,
                state,
                None,
                None,
                flags,
            )
        )
        return True


class Unread(sections.Reader):
    """A table of macOS whose rows are no sockets of the network; all are rejected."""

    columns = re.compile(r"(?!)")
    reason = ""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self.dialect = MACOS

    def read(self, line: str) -> bool:
        """False for the line of headings, OddLine for a row."""
        if self.columns.match(line):
            return False
        raise OddLine(self.reason)


class Multipath(Unread):
    """``mptcp/00  00000004/00000000   ESTABLISHED``, its token, and its subflows."""

    columns = re.compile(r"Proto/ID +Flags +Local Address")
    reason = gettext_noop("subflows of multipath TCP are in the table of Internet connections")


class Kernel(Unread):
    """``kevt       0      0      1      1      6``, ``kctl ...`` and the list of modules."""

    columns = re.compile(
        r"(?: *pcb )?Proto +Recv-Q +Send-Q +(?:vendor|unit|rxbytes)"
        r"|(?:kctlref +)?id +(?:unit +)?flags"
    )
    reason = gettext_noop("sockets between kernel and programs are no network sockets")


OPENINGS = (
    sections.Opening(
        BSD, "sockets", ListenQueues, heading=rf"(?:{_LISTEN_TITLE}|{_LISTEN_COLUMNS})"
    ),
    sections.Opening(BSD, "sockets", ListenQueues, row=_LISTEN_ROW),
    sections.Opening(FREEBSD, "sockets", Associations, heading=_SCTP_TITLE),
    sections.Opening(MACOS, "kernel", Multipath, heading=r"Active Multipath Internet connections"),
    sections.Opening(
        MACOS,
        "kernel",
        Kernel,
        heading=r"(?:Active (?:kernel (?:event|control)|routing|VSOCK|key) sockets"
        r"|Registered kernel control modules)",
    ),
)
