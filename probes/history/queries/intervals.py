"""The connections of one host over a time: from when to when, through which states, held by whom.

Place in the data's way: the tab History and ``hosts/{id}/history``. Intervals of the same endpoints
(protocol, both addresses and ports) that follow one another without a break are one connection.
Where a whole snapshot did not show the socket, another one begins: ports are used again.

Grouping, order and pages are the database's, since a host may have 100,000 sockets. The work is
bounded: how many intervals a time holds is known from the snapshots alone, and where it is more
than is grouped in about a second, the time is cut at its beginning and the answer says so. What is
shown of the time that is left is complete.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hosts.models import Host
from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import interval_sql, listing, sql
from probes.history.queries.interval_sql import CONNECTION, ENDS, Reach
from probes.history.queries.listing import Order, address, moment
from probes.history.queries.pages import open_cursor, seal
from probes.history.queries.sockets import DIRECTION_NAMES, snapshot_at
from probes.history.queries.sql import Scope
from probes.models import Snapshot

_Stored = tuple[int | None, int | None, str | None, int, dt.datetime, dt.datetime]
"""A step as it is stored: state, PID, program, copies, first and last seen."""

ORDERS: Final[dict[str, Order]] = {
    "last_seen": moment("ended"),
    "first_seen": moment("first_seen"),
    "duration": Order("lasted_ms"),
    "protocol": Order("protocol"),
    "local_ip": address("local_ip"),
    "local_port": Order("local_port"),
    "foreign_ip": address("remote_ip"),
    "foreign_port": Order("remote_port"),
    "direction": Order("direction"),
}
"""What ``sort`` may be, with ``-`` before it for the reverse. Whatever is seen beyond the end of
the time has ended at its end, so that a probe meanwhile moves nothing from page to page."""
USUAL_SORT: Final = "-last_seen"
_TIE: Final = (Order("id"), moment("first_seen"))
"""The smallest key of a connection, and when it began: a key may come back later."""


@dataclass(frozen=True, slots=True)
class Step:
    """A while in which nothing about the socket changed."""

    state: str | None
    pid: int | None
    program: str | None
    copies: int
    first_seen: dt.datetime
    last_seen: dt.datetime
    lasted_s: float
    """Until the next step was first seen; of the last one, until it was last seen."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection or listener from first to last sight."""

    protocol: str
    local_ip: str
    local_port: int | None
    foreign_ip: str
    foreign_port: int | None
    direction: str
    flags: int
    first_seen: dt.datetime
    last_seen: dt.datetime
    """Of what is still there: the time of the host's newest whole snapshot."""
    is_open: bool
    times: int
    """The how-manieth connection of these very endpoints in the time it is."""
    steps: tuple[Step, ...]
    """In the order of time; at once where several processes hold one listener."""

    @property
    def duration_s(self) -> float:
        """How long it was seen; 0 where one snapshot alone showed it."""
        return (self.last_seen - self.first_seen).total_seconds()

    @property
    def states(self) -> list[tuple[str | None, float]]:
        """The states it went through, each with how long it stayed, in seconds."""
        path: list[tuple[str | None, float]] = []
        for step in self.steps:
            if path and path[-1][0] == step.state:
                path[-1] = step.state, path[-1][1] + step.lasted_s
            else:
                path.append((step.state, step.lasted_s))
        return path

    @property
    def processes(self) -> list[tuple[int | None, str | None]]:
        """PIDs and programs that held it, each once, in the order of time, unknown ones last."""
        seen = dict.fromkeys((step.pid, step.program) for step in self.steps)
        return sorted(seen, key=lambda process: process == (None, None))


@dataclass(frozen=True, slots=True)
class History:
    """Some of the connections, and what was looked at."""

    rows: list[Connection]
    next: str | None
    """Cursor of the next page."""
    total: int
    since: dt.datetime
    """From when on everything was looked at."""
    until: dt.datetime
    complete: bool
    """False where ``since`` is later than what was asked for, to bound the work."""
    newest: Snapshot | None
    """The newest whole snapshot; None where there is none."""


def history(
    host: Host,
    *,
    since: dt.datetime,
    until: dt.datetime,
    filters: SocketFilter = NOTHING_FILTERED,
    listeners: bool | None = None,
    sort: str = "",
    cursor: str | None = None,
    limit: int = 100,
) -> History:
    """The connections of ``host`` that were seen at some time from ``since`` to ``until``.

    ``filters`` choose those that pass at some time in it; ``listeners`` those alone, or none of
    them. A connection is told whole, also what was before ``since`` where one of its intervals
    reaches into the time; an earlier one that ended before is not. ``sort`` is one of ORDERS.
    A ``cursor`` goes on in the very time of the first page, whatever is given. Raises FilterError
    for ``sort``, and for a ``cursor`` of another list. Four queries.
    """
    by = listing.sorted_by(ORDERS, sort, usual=USUAL_SORT)
    kind = f"history:{host.pk}:{listeners}:{filters.parameters()}"
    inner = None
    if cursor is not None:
        inner, *ends = open_cursor(kind, cursor, parts=3)
        since, until = map(dt.datetime.fromisoformat, ends)
    newest = snapshot_at(host, None)
    scope = sql.of_host(host, None)
    reach = interval_sql.reach(scope, since, until, filters)
    if newest is None:
        return History([], None, 0, reach.since, reach.until, reach.complete, None)
    found, following = listing.page(
        scope,
        interval_sql.connections(
            scope, newest, reach, filters, listeners=listeners, with_steps=False
        ),
        CONNECTION,
        by,
        tie=_TIE,
        kind=kind,
        cursor=inner,
        limit=limit,
    )
    if following is not None:
        following = seal(kind, following, since.isoformat(), until.isoformat())
    total = int(found[0][CONNECTION.index("total")]) if found else 0
    rows = [_ended(host, row) for row in _with_steps(scope, newest, reach, found)]
    return History(rows, following, total, reach.since, reach.until, reach.complete, newest)


def iter_history(
    host: Host,
    *,
    since: dt.datetime,
    until: dt.datetime,
    filters: SocketFilter = NOTHING_FILTERED,
    listeners: bool | None = None,
    sort: str = "",
) -> Iterator[Connection]:
    """All connections that :func:`history` would page through, in its order, streamed.

    ``sort`` is checked at once, before the first row is asked for.
    """
    by = listing.sorted_by(ORDERS, sort, usual=USUAL_SORT)
    newest = snapshot_at(host, None)
    if newest is None:
        return iter(())
    scope = sql.of_host(host, None)
    reach = interval_sql.reach(scope, since, until, filters)
    inner = interval_sql.connections(
        scope, newest, reach, filters, listeners=listeners, with_steps=True
    )
    found = listing.rows(scope, inner, CONNECTION, by, tie=_TIE)
    return (_ended(host, _connection(values, _unpacked(values[-1]))) for values in found)


def _ended(host: Host, row: Connection) -> Connection:
    """Nothing is still there of a host that was removed: it was last seen by its last probe."""
    return row if host.removed_at is None else dataclasses.replace(row, is_open=False)


def _unpacked(stored: Any) -> list[_Stored]:
    """Steps out of JSON, which psycopg gives decoded; times have their zone on PostgreSQL alone."""
    steps = json.loads(stored) if isinstance(stored, str) else stored
    return [
        (*step[:4], *(sql.utc(dt.datetime.fromisoformat(when)) for when in step[4:]))
        for step in steps
    ]


def _with_steps(
    scope: Scope, newest: Snapshot, reach: Reach, found: list[tuple[Any, ...]]
) -> list[Connection]:
    """The connections of a page, each with its steps. One query; none for no rows."""
    if not found:
        return []
    ends = [_ends(values[1 : 1 + len(ENDS)]) for values in found]
    by_ends: dict[tuple[Any, ...], list[_Stored]] = defaultdict(list)
    for values in sql.fetch(scope, interval_sql.steps(scope, newest, reach, ends)):
        *step, begun, ended = values[len(ENDS) :]
        key = _ends(values[: len(ENDS)])
        by_ends[key].append((*step, sql.utc(begun), sql.utc(ended)))
    begun_at, ended_at = CONNECTION.index("first_seen"), CONNECTION.index("last_seen")
    return [
        _connection(
            values,
            [
                step
                for step in by_ends[key]
                if sql.utc(values[begun_at]) <= step[4] <= sql.utc(values[ended_at])
            ],
        )
        for values, key in zip(found, ends, strict=True)
    ]


def _ends(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in values)


def _connection(values: tuple[Any, ...], steps: list[_Stored]) -> Connection:
    row = dict(zip(CONNECTION, values, strict=True))
    return Connection(
        protocol=packing.PROTOCOLS[row["protocol"]],
        local_ip=packing.address(row["local_ip"], row["local_zone"]),
        local_port=row["local_port"],
        foreign_ip=packing.address(row["remote_ip"], row["remote_zone"]),
        foreign_port=row["remote_port"],
        direction=DIRECTION_NAMES[row["direction"]],
        flags=row["flags"],
        first_seen=sql.utc(row["first_seen"]),
        last_seen=sql.utc(row["last_seen"]),
        is_open=bool(row["is_open"]),
        times=int(row["times"]),
        steps=_steps(steps),
    )


def _steps(stored: list[_Stored]) -> tuple[Step, ...]:
    ordered = sorted(stored, key=lambda step: (step[4], step[5], step[1] or 0, step[0] or 0))
    steps = []
    for one, later in itertools.zip_longest(ordered, ordered[1:]):
        state, pid, program, copies, begun, ended = one
        # A step that goes on beside the next one lasts for as long as it was seen itself.
        end = ended if later is None else max(ended, later[4])
        steps.append(
            Step(
                state=None if state is None else packing.STATES[state],
                pid=pid,
                program=program,
                copies=copies,
                first_seen=begun,
                last_seen=ended,
                lasted_s=(end - begun).total_seconds(),
            )
        )
    return tuple(steps)
