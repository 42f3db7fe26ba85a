"""Whose open sockets fit one thing that is looked for, and which of them a process has.

Place in the data's way: the search box. As ``sightings``, but now: only sockets of each host's
newest whole snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, TypeVar

from django.db.models import F, QuerySet

from hosts.models import Host
from probes.history.queries import sockets, sql
from probes.history.queries import sought as looking
from probes.history.queries.sockets import SocketRow
from probes.history.queries.sought import Sought
from probes.history.queries.sql import OPEN, SERVICE_PORT, Scope, Statement
from probes.indicators import Indicator
from probes.models import Direction

MOST: Final = 50_000
"""Open sockets of one address, port or program that are counted."""

MOST_LOOKED_THROUGH: Final = 100_000
"""Open sockets that are looked through for a PID: there is no index on those, since what is asked
of a PID is asked of a host. Whole hosts, by name, as long as they fit."""
PIDS: Final = 200
"""Sockets of a PID that are listed."""

_NAMED: Final = 5

Name = TypeVar("Name", int, str)


@dataclass(slots=True)
class Talker:
    """A host with open sockets that fit."""

    host: Host
    listeners: int = 0
    connections: int = 0
    ports: list[int] = field(default_factory=list)
    """The ports that were listened on, some of them."""
    programs: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Talkers:
    """Who has what fits, the most sockets first."""

    rows: list[Talker]
    more: bool
    """Whether there was more than is counted."""


@dataclass(frozen=True, slots=True)
class PidRow:
    """A socket of a process."""

    host: Host
    socket: SocketRow


@dataclass(frozen=True, slots=True)
class Processes:
    """The open sockets of a PID."""

    rows: list[PidRow]
    looked_through: int
    left_out: int
    """Hosts."""


def talkers(hosts: QuerySet[Host], indicator: Indicator) -> Talkers:
    """The hosts whose open sockets fit ``indicator``. Three queries, five for a program."""
    ids = tuple(hosts.order_by("name").values_list("pk", flat=True))
    if not ids:
        return Talkers([], False)
    scope = Scope(hosts.db, ids)
    found = looking.things(scope, (indicator,))
    if not found.rows:
        return Talkers([], found.more_names)
    columns = ("host_id", "direction", f"{SERVICE_PORT} AS service", "program", "copies")
    every = looking.union(
        looking.branches(
            scope, Sought((indicator,)), found, table=OPEN, columns=columns, limit=MOST
        )
    )
    summed = Statement(
        "SELECT host_id, direction, service, program, COUNT(*), SUM(copies)"
        f" FROM ({every.sql}) AS s GROUP BY host_id, direction, service, program",
        every.params,
    )
    rows: dict[int, Talker] = {}
    ports: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    programs: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counted = 0
    groups = sql.fetch(scope, summed)
    # Of a thousand hosts a few are found: only those are loaded.
    by_id = hosts.in_bulk({group[0] for group in groups})
    for host_id, direction, service, program, number, copies in groups:
        counted += int(number)
        if host_id not in by_id:
            continue
        row = rows.setdefault(host_id, Talker(by_id[host_id]))
        if direction == Direction.LISTEN:
            row.listeners += int(copies)
        else:
            row.connections += int(copies)
        if service is not None:
            ports[host_id][service] += int(copies)
        if program:
            programs[host_id][program] += int(copies)
    for host_id, row in rows.items():
        row.ports = _commonest(ports[host_id])
        row.programs = _commonest(programs[host_id])
    ordered = sorted(
        rows.values(), key=lambda row: (-row.listeners - row.connections, row.host.name)
    )
    return Talkers(ordered, counted >= MOST or found.more_names)


def processes(hosts: QuerySet[Host], pid: int) -> Processes:
    """The open sockets of ``pid``, on as many hosts as are looked through. Two queries."""
    known = hosts.filter(schedule__latest_whole__isnull=False)
    sized = known.annotate(size=F("schedule__latest_whole__sockets")).order_by("name")
    chosen: dict[int, Host] = {}
    room, left_out = MOST_LOOKED_THROUGH, 0
    for host in sized:
        if host.size <= room:
            room -= host.size
            chosen[host.pk] = host
        else:
            left_out += 1
    if not chosen:
        return Processes([], 0, left_out)
    scope = Scope(hosts.db, tuple(chosen))
    columns = ", ".join(
        "CAST(NULL AS timestamp with time zone) AS last_seen" if name == "last_seen" else name
        for name in sockets.COLUMNS
    )
    names = ", ".join(sockets.COLUMNS)
    if scope.is_postgres:
        # A loop over the hosts, so that no planner prefers to read all of them.
        statement = Statement(
            f"SELECT {names} FROM unnest(%s::bigint[]) AS h(at_host) CROSS JOIN LATERAL"
            f" (SELECT {columns} FROM {OPEN} WHERE host_id = at_host AND pid = %s OFFSET 0) AS s"
            " ORDER BY host_id, key LIMIT %s",
            (list(chosen), pid, PIDS),
        )
    else:
        here = sql.in_hosts(scope)
        statement = Statement(
            f"SELECT {columns} FROM {OPEN} WHERE {here.sql} AND pid = %s"
            " ORDER BY host_id, key LIMIT %s",
            (*here.params, pid, PIDS),
        )
    found = [sockets.socket_row(values) for values in sql.fetch(scope, statement)]
    rows = [PidRow(chosen[row.host_id], row) for row in found]
    rows.sort(key=lambda row: (row.host.name, row.socket.local_port or 0))
    return Processes(rows, len(chosen), left_out)


def _commonest(counted: dict[Name, int]) -> list[Name]:
    return sorted(counted, key=lambda name: (-counted[name], name))[:_NAMED]
