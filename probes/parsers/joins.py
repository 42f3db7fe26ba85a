"""What one table of a text tells about the rows of another.

Place in the data's way: the last step of ``probes.parsers.parse``, once all sections are read.
"""

from __future__ import annotations

from probes.parsers.records import Tables


def complete(tables: Tables) -> None:
    """Give sockets the names of their processes, where a list of processes is in the text."""
    if not tables.processes:
        return
    names = tables.processes
    tables.sockets = [
        socket._replace(program=names[socket.pid])
        if socket.program is None and socket.pid in names
        else socket
        for socket in tables.sockets
    ]
