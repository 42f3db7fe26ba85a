"""iproute2: UNIX domain sockets, as ``ss -x`` lists them, alone or among those of IP.

Place in the data's way: a table of the dialect ``ss``, which lists its openings. Pure. Layout from
misc/ss.c (unix_stats_print); the words are those of net-tools for the same kernel states::

    Netid State  Recv-Q Send-Q       Local Address:Port  Peer Address:Port  Process
    u_str LISTEN 0      8            /run/app.sock 913580           * 0     users:(("a",pid=5,fd=6))
    u_dgr UNCONN 0      0      /run/two words.sock 913583           * 0
    u_str ESTAB  0      0                        * 913585           * 913586

An inode stands where IP sockets have their port. A path may hold blanks.
"""

from __future__ import annotations

import re

from probes.parsers import sections, ss_details, ss_rows
from probes.parsers.lines import MAX_LINE_CHARS, OddLine, queue, visible
from probes.parsers.records import Tables, UnixSocket

NAME = "ss"

_TYPES = {"u_str": "stream", "u_dgr": "dgram", "u_seq": "seqpacket", "u_raw": "raw"}
_STATES = {
    "ESTAB": "CONNECTED",
    "SYN-SENT": "CONNECTING",
    "CLOSING": "DISCONNECTING",
    "LISTEN": "LISTEN",
    "UNCONN": None,
}
_HEAD = rf"\s*(?:{'|'.join(_TYPES)})\s*(?:{'|'.join(ss_rows.WORDS)})\s*[0-9]"
_ROW = re.compile(
    rf"\s*({'|'.join(_TYPES)})\s*({'|'.join(ss_rows.WORDS)})\s*([0-9]+)\s+([0-9]+)\s+(\S.*)",
    re.DOTALL,
)
_NUMBER = re.compile(r"[0-9]{1,19}")
_MAX_PATH = 255
_MAX_DETAILS = 16


class UnixSockets(sections.Reader):
    """Rows of the table; what goes on after a tab (``-m``) belongs to them but is not kept."""

    dialect = NAME

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._begun = False

    def read(self, line: str) -> bool:
        """Add the row."""
        if ss_details.is_continued(line) and self._begun:
            return True
        self._begun = False
        self.tables.unix.append(_row(line))
        self._begun = True
        return True


def _row(line: str) -> UnixSocket:
    if len(line) > MAX_LINE_CHARS:
        raise OddLine("line too long")
    cells = _ROW.match(line)
    if cells is None:
        raise OddLine("not a row of a table of UNIX sockets")
    ends, users, after = cells[5].partition(ss_details.USERS)
    if not users:
        ends = _without_details(ends)
    fields = ends.rsplit(None, 3)
    if len(fields) < 4:
        raise OddLine("columns are missing")
    path, inode, _, peer_inode = fields
    pid, program = (None, None)
    if users:
        pid, program = ss_details.lowest(ss_details.holders(users + after)[0])
    return UnixSocket(
        type=_TYPES[cells[1]],
        state=_STATES.get(cells[2], "UNKNOWN"),
        path=None if path == "*" else visible(path[:_MAX_PATH])[:_MAX_PATH],
        inode=_inode(inode),
        peer_inode=_inode(peer_inode),
        recv_queue=queue(cells[3]),
        send_queue=queue(cells[4]),
        pid=pid,
        program=program,
    )


def _inode(text: str) -> int | None:
    if _NUMBER.fullmatch(text) is None:
        raise OddLine("inode is not a number")
    return queue(text) or None


def _without_details(ends: str) -> str:
    """The ends without what ``-e`` appends: ``<->``, ``uid:0``, ``ino:3``..."""
    ends = ends.rstrip()
    for _ in range(_MAX_DETAILS):
        before, _, last = ends.rpartition(" ")
        if not ss_details.are_details(last):
            break
        ends = before.rstrip()
    return ends


OPENINGS = (sections.Opening(NAME, "unix", UnixSockets, row=_HEAD),)
