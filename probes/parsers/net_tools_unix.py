"""UNIX domain sockets as ``netstat -x`` prints them: net-tools and busybox.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from
unix_do_one in netstat.c of either; the program column is there with ``-p``::

    Proto RefCnt Flags       Type       State         I-Node   PID/Program name     Path
    unix  2      [ ACC ]     STREAM     LISTENING     913580   15/app               /run/app.sock
    unix  2      [ ]         DGRAM                    913583   -                    @agent
    unix  3      [ ]         SEQPACKET  CONNECTED     913585   77/sd: worker        private/anvil

A path may hold blanks, and so may a program: its column is 20 characters wide, and the name is cut
to 19. busybox leaves no blank between that column and the path.
"""

from __future__ import annotations

import re

from probes.parsers import net_tools_words as words
from probes.parsers import sections
from probes.parsers.lines import OddLine, process_id, program_name, queue, visible
from probes.parsers.netstat_linux import BUSYBOX, NAME
from probes.parsers.records import Tables, UnixSocket

_TYPES = {
    "STREAM": "stream",
    "DGRAM": "dgram",
    "SEQPACKET": "seqpacket",
    "RAW": "raw",
    "RDM": "rdm",
    "UNKNOWN": None,
    **words.UNIX_TYPES,
}
_STATES = {
    "LISTENING": "LISTEN",
    "CONNECTED": "CONNECTED",
    "CONNECTING": "CONNECTING",
    "DISCONNECTING": "DISCONNECTING",
    "FREE": "FREE",
    "UNKNOWN": "UNKNOWN",
    **words.UNIX_STATES,
    **{word: "UNKNOWN" for word, state in words.STATES.items() if state == "UNKNOWN"},
}
_ROW = re.compile(
    r"unix +([0-9]+) +\[([A-Z ]{0,20})\] +([^\s\[]+) +(?:([^\s0-9-]\S*) +)?([0-9]+|-)(?: +(\S.*))?",
    re.DOTALL,
)
_OWNED = re.compile(r"-(?: +|\Z)|([0-9]+)/")
_PROGRAM_WIDTH = 20
_MAX_PATH_CHARS = 255
_BUSYBOX_COLUMNS = re.compile(r".* I-Node (?:PID/Program name    )?Path *\Z")


class UnixSockets(sections.Reader):
    """Rows of the table, with or without the column of programs."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._owned: bool | None = None
        """Whether there is a column of programs; None where no heading says it."""
        if heading is not None:
            self._owned = "PID/" in heading
            if _BUSYBOX_COLUMNS.match(heading):
                self.dialect = BUSYBOX

    def read(self, line: str) -> bool:
        """Add the row."""
        self.tables.unix.append(_unix_socket(line, owned=self._owned))
        return True


def _unix_socket(line: str, *, owned: bool | None) -> UnixSocket:
    found = _ROW.fullmatch(line.rstrip())
    if found is None:
        raise OddLine("not a row of a table of UNIX sockets")
    references, flags, kind, state, inode, rest = found.groups()
    if kind not in _TYPES:
        raise OddLine("no type this table knows")
    if state is not None and state not in _STATES:
        raise OddLine("no state this table knows")
    pid, program, path = _owner(rest or "", owned=owned)
    return UnixSocket(
        type=_TYPES[kind],
        state=None if state is None else _STATES[state],
        path=visible(path[:_MAX_PATH_CHARS])[:_MAX_PATH_CHARS] or None,
        references=queue(references),
        flags=flags.strip() or None,
        inode=None if inode == "-" else queue(inode),
        pid=pid,
        program=program,
    )


def _owner(text: str, *, owned: bool | None) -> tuple[int | None, str | None, str]:
    """PID, program and path."""
    found = None if owned is False else _OWNED.match(text)
    if found is None:
        return None, None, text
    if found[1] is None:
        return None, None, text[found.end() :]
    gap = text.find("  ", 0, _PROGRAM_WIDTH + 2)
    end = _PROGRAM_WIDTH if gap < 0 else gap
    name = text[found.end() : end]
    return process_id(found[1]), program_name(name), text[end:].strip()


_TITLES = "|".join(
    re.escape(title) + (r" \(" if title.isascii() and title.startswith("Active") else "")
    for title in words.UNIX_TITLES
)

OPENINGS = (
    sections.Opening(NAME, "unix", None, heading=_TITLES),
    sections.Opening(
        NAME,
        "unix",
        UnixSockets,
        heading="|".join(words.UNIX_COLUMNS),
        row=r"unix +[0-9]+ +\[",
        untold=2,
    ),
)
