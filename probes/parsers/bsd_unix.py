"""UNIX domain sockets of netstat of macOS, FreeBSD, OpenBSD and NetBSD.

Place in the data's way: one of the tables behind ``probes.parsers.parse``. Pure. Layout from
unix.c of the four::

    Active UNIX domain sockets
    Address          Type   Recv-Q Send-Q            Inode             Conn  Refs  Nextref Addr
    fffff80003a2c000 stream      0      0 fffff8000b1c2000                0     0        0 /tmp/.X

macOS calls them ``Active LOCAL (UNIX) domain sockets`` and with ``-v`` has the columns of its
socket table before the path. All but the queues are addresses of the kernel: ``Inode`` is that of
a vnode, so it is no inode's number and is left out; ``Refs`` is that of another socket, no count.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.bsd_words import BSD, MACOS, hexadecimal, kept, process_of
from probes.parsers.lines import OddLine, queue
from probes.parsers.records import Tables, UnixSocket

_TITLE = r"Active (?:LOCAL \(UNIX\)|UNIX) domain sockets\s*$"
_COLUMNS = r"Address +Type +Recv-Q +Send-Q +Inode +Conn +Refs +Nextref"
_TYPES = {
    "stream": "stream",
    "dgram": "dgram",
    "seqpac": "seqpacket",
    "seqpacket": "seqpacket",
    "raw": "raw",
    "rdm": "rdm",
}
_HEX = r"(?:0x)?[0-9a-f]{1,16}"
_ROW = (
    rf"[ \t]*(?:0x[0-9a-f]{{1,16}}|[0-9a-f]{{6,16}}) +(?:stream|dgram|seqpac|raw|rdm)[a-z]* +"
    rf"[0-9]+ +[0-9]+ +{_HEX} +{_HEX} +{_HEX} +{_HEX}(?:\s|$)"
)
_CHANGED = re.compile(r"Some \S+ sockets may have been (?:created|deleted)")
_FIXED = 8
"""Columns before the path, or before what ``-v`` adds."""


class UnixSockets(sections.Reader):
    """Reads the table, with or without its headings."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._more: tuple[str, ...] = ()
        if heading is not None and "LOCAL" in heading:
            self.dialect = MACOS

    def read(self, line: str) -> bool:
        """Add the row; False for the line of headings and for remarks of the tool."""
        columns = re.match(_COLUMNS, line)
        if columns:
            self.sure = True
            self._more = tuple(line[columns.end() :].split()[:-1])
            if self._more:
                self.dialect = MACOS
            return False
        if _CHANGED.match(line):
            return False
        tokens = line.split(None, _FIXED)
        if len(tokens) < _FIXED or tokens[1] not in _TYPES:
            raise OddLine("not a row of a table of UNIX domain sockets")
        address, word, received, sent, _inode, peer, _refs, _next, *rest = tokens
        pid, program, path = process_of(self._more, rest[0] if rest else "")
        connected_to = hexadecimal(peer)
        if path.startswith("-> "):
            path = ""  # NetBSD: the path of the other end
        self.tables.unix.append(
            UnixSocket(
                _TYPES[word],
                "CONNECTED" if connected_to else None,
                kept(path) or None,
                recv_queue=queue(received),
                send_queue=queue(sent),
                pid=pid,
                program=program,
                address=hexadecimal(address),
                connected_to=connected_to,
            )
        )
        return True


OPENINGS = (
    sections.Opening(BSD, "unix", UnixSockets, heading=_TITLE),
    sections.Opening(BSD, "unix", UnixSockets, row=_COLUMNS),
    sections.Opening(BSD, "unix", UnixSockets, row=_ROW),
)
