"""Windows: ``tasklist``, as ``/fo csv`` and as its own table, with ``/nh``, ``/svc`` and ``/v``.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``; ``joins`` gives the
names to the sockets. Pure. From the documentation of tasklist at Microsoft Learn::

    "svchost.exe","1064","Services","0","12,345 K"
    "svchost.exe","1064","RpcEptMapper,RpcSs"

    Image Name                     PID Session Name        Session#    Mem Usage
    ========================= ======== ================ =========== ============
    System Idle Process              0 Services                   0          8 K
    svchost.exe                   1064 Services                   0     12,345 K

Headings come in the display language of Windows; the name is always the first column and the PID
the second.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.lines import OddLine, process_id, program_name
from probes.parsers.records import Tables

_NAME = "windows"

_CSV_ROW = r'"[^"]{1,300}","[0-9]{1,10}"(?:,"|[ \t]*$)'
_CSV_HEADING = r'"[^"0-9]{1,80}","PID"(?:,"|[ \t]*$)'
_RULER = r"={8,80} ={3,20}(?: ={3,80})+[ \t]*$"

_CSV = re.compile(r'"([^"]+)","([0-9]+)"(?:,|[ \t]*$)')
_TABLE_ROW = re.compile(r"(\S.{0,79}?) {1,80}([0-9]{1,10})(?: |$)")
"""Where no ruler tells the widths, or it does not fit: names in wide characters take two columns
for one character."""

_RULER_LINE = re.compile(_RULER)
_USUAL_WIDTHS = (25, 34)

_HEADLESS = (
    r"\S.{7,24} {1,9}[0-9]{1,8} \S.{0,30} {1,12}[0-9]{1,6} {1,12}[0-9][0-9.,\u00a0\u202f ]{0,12}"
    r" [Kk\u041a\u043a][oBb\u0411\u0431]?[ \t]*$"
)
"""``/nh`` without ``/fo csv``: a name, a PID, a session and kilobytes."""


class CsvProcesses(sections.Reader):
    """Rows of ``/fo csv``."""

    def read(self, line: str) -> bool:
        """Add the process."""
        row = _CSV.match(line)
        if row is None:
            raise OddLine("not a row of a list of processes")
        _add(self.tables, row[1], row[2])
        return True


class Processes(sections.Reader):
    """Rows under a ruler of ``=``, whose first two columns it measures, or without one."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._name_width, self._pid_end = _USUAL_WIDTHS
        self._ruled = False

    def read(self, line: str) -> bool:
        """Add the process; a line of services alone goes on with the one before."""
        if line.startswith("==="):
            if self._ruled or _RULER_LINE.match(line) is None:
                raise OddLine("not a row of a list of processes")
            name, pid = line.split(" ")[:2]
            self._name_width, self._pid_end = len(name), len(name) + 1 + len(pid)
            self._ruled = True
            return False
        if self._ruled and line[: self._pid_end].isspace():
            return True
        name = line[: self._name_width].strip()
        pid = line[self._name_width : self._pid_end].strip()
        if not name or line[0].isspace() or not pid.isascii() or not pid.isdigit():
            row = _TABLE_ROW.match(line)
            if row is None:
                raise OddLine("not a row of a list of processes")
            name, pid = row[1], row[2]
        _add(self.tables, name, pid)
        return True


def _add(tables: Tables, name: str, pid: str) -> None:
    known = program_name(name.strip())
    if known is None:
        raise OddLine("the process has no name")
    tables.processes[process_id(pid)] = known


OPENINGS = (
    sections.Opening(
        _NAME, "processes", CsvProcesses, heading=_CSV_HEADING, row=_CSV_ROW, untold=1
    ),
    sections.Opening(_NAME, "processes", Processes, row=_RULER, untold=1),
    sections.Opening(_NAME, "processes", Processes, row=_HEADLESS),
)
