"""What one table of a text tells about the rows of another.

Place in the data's way: the last step of ``probes.parsers.parse``, once all sections are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from probes.parsers.records import Details, Flag, Held, Holder, Socket, Tables, UnixSocket

_NO_DETAILS = Details()
_BSD = "bsd"
_BSDS = frozenset({"macos", "freebsd", "openbsd", "netbsd"})

_Key = tuple[str, str, int | None, str, int | None]


def complete(tables: Tables) -> None:
    """Give sockets what other tables of the text know of them.

    Their processes' names, where a list of processes is in the text; their holders, where a list
    of those is (sockstat): each to the socket of the same protocol and ends. What no row matches
    is a socket of its own, so nothing is lost, and nothing is there twice.
    """
    _name_programs(tables)
    if tables.held:
        _join(tables)
    if tables.held_unix:
        _join_unix(tables)


def settled(dialects: Sequence[str]) -> list[str]:
    """The dialects of a text, each once: ``bsd`` left out where another table told which BSD, and
    net-tools where another told busybox, most of whose tables look the same."""
    guessed = {_BSD: _BSDS, "net-tools": {"busybox"}}
    return [name for name in dialects if guessed.get(name, _BSDS - _BSDS).isdisjoint(dialects)]


def _name_programs(tables: Tables) -> None:
    if not tables.processes:
        return
    names = tables.processes
    tables.sockets = [
        socket._replace(program=names[socket.pid])
        if socket.program is None and socket.pid in names
        else socket
        for socket in tables.sockets
    ]


def _key(socket: Socket) -> _Key:
    near, far = (socket.local_ip, socket.local_port), (socket.foreign_ip, socket.foreign_port)
    return socket.protocol, *near, *far


def _join(tables: Tables) -> None:
    """Sockets that several processes hold stand in ``held`` once for each.

    Several rows of netstat with the same ends (SO_REUSEPORT) get one process each, in order: which
    is whose cannot be known. A row whose address netstat cut is matched by protocol and ports,
    where only one is left that it can be.
    """
    waiting: dict[_Key, list[Held]] = defaultdict(list)
    for held in tables.held:
        waiting[_key(held.socket)].append(held)
    places: dict[_Key, list[int]] = defaultdict(list)
    for place, socket in enumerate(tables.sockets):
        places[_key(socket)].append(place)
    for key, rows in places.items():
        found = waiting.pop(key, [])
        by_process = _by_process(found)
        for number, place in enumerate(rows):
            last = number == len(rows) - 1
            of_row = by_process[number:] if last else by_process[number : number + 1]
            _give(tables, place, [held for process in of_row for held in process])
    for place, socket in enumerate(tables.sockets):
        if socket.pid is None and socket.flags & (Flag.LOCAL_TRUNCATED | Flag.FOREIGN_TRUNCATED):
            possible = [key for key in waiting if _may_be(socket, key)]
            if len(possible) == 1:
                _give(tables, place, waiting.pop(possible[0]))
    for key, rest in waiting.items():
        # What is not bound has the same ends as all others that are not.
        for group in [rest] if key[2] is not None else [[held] for held in rest]:
            tables.sockets.append(group[0].socket)
            _give(tables, len(tables.sockets) - 1, group)
    tables.held = []


def _by_process(found: Iterable[Held]) -> list[list[Held]]:
    by_process: dict[int | None, list[Held]] = defaultdict(list)
    for held in found:
        by_process[held.socket.pid].append(held)
    return list(by_process.values())


def _may_be(cut: Socket, key: _Key) -> bool:
    protocol, local_ip, local_port, foreign_ip, foreign_port = key
    return (
        (cut.protocol, cut.local_port, cut.foreign_port) == (protocol, local_port, foreign_port)
        and (bool(cut.flags & Flag.LOCAL_TRUNCATED) or cut.local_ip == local_ip)
        and (bool(cut.flags & Flag.FOREIGN_TRUNCATED) or cut.foreign_ip == foreign_ip)
    )


def _give(tables: Tables, place: int, found: Sequence[Held]) -> None:
    """Add holders to a socket: the first to the row itself, all where there are several."""
    if not found:
        return
    socket, first = tables.sockets[place], found[0]
    state = socket.state or first.socket.state
    if socket.pid is None:
        socket = socket._replace(pid=first.socket.pid, program=first.socket.program)
    elif socket.program is None and socket.pid == first.socket.pid:
        socket = socket._replace(program=first.socket.program)
    tables.sockets[place] = socket._replace(state=state)
    known = tables.details.get(place, _NO_DETAILS)
    holders = tuple(
        Holder(held.socket.pid, held.socket.program, held.fd)
        for held in found
        if held.socket.pid is not None
    )
    more = {**dict(known.more), **dict(first.more)}
    told = known._replace(
        user=known.user or first.user,
        holders=known.holders or (holders if len(holders) > 1 else ()),
        more=tuple(more.items()),
    )
    if told != _NO_DETAILS:
        tables.details[place] = told


def _join_unix(tables: Tables) -> None:
    """Give a UNIX socket that has a path its process. Where netstat listed them, sockstat's rows
    without a path are among those already, only not to be told apart."""
    if not tables.unix:
        tables.unix, tables.held_unix = tables.held_unix, []
        return
    waiting: dict[tuple[str | None, str], list[UnixSocket]] = defaultdict(list)
    for held in tables.held_unix:
        if held.path is not None:
            waiting[held.type, held.path].append(held)
    met = set()
    for place, socket in enumerate(tables.unix):
        if socket.path is None or (socket.type, socket.path) not in waiting:
            continue
        met.add((socket.type, socket.path))
        found = waiting[socket.type, socket.path]
        if found and socket.pid is None:
            first = found.pop(0)
            tables.unix[place] = socket._replace(pid=first.pid, program=first.program)
    tables.unix += [found[0] for path, found in waiting.items() if path not in met]
    tables.held_unix = []
