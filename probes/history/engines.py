"""The two writes to the socket tables, each the cheapest its database offers.

Place in the data's way: below ``history.store``, inside its transaction. Knows the tables of the
first migration and the two engines; knows no text, no snapshot and no order of probes.

PostgreSQL: one statement moves what closed, on the server, and one COPY brings what opened.
SQLite: keys travel as one JSON array, rows by ``executemany``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Max

from probes.history.diff import Held
from probes.history.packing import Way
from probes.models import OpenSocket


class OpenRow(NamedTuple):
    """A row of the open table but for its host and time, columns in the order of OPEN_COLUMNS."""

    key: int
    protocol: int
    state: int | None
    local_ip: bytes
    local_port: int | None
    remote_ip: bytes
    remote_port: int | None
    pid: int | None
    program: str | None
    local_zone: str | None
    remote_zone: str | None
    flags: int
    direction: int
    copies: int
    recv_queue: int | None
    send_queue: int | None


SOCKET_COLUMNS = ", ".join(OpenRow._fields[:-2])
"""What both tables have, but for host and first_seen."""

OPEN_COLUMNS = f"{', '.join(OpenRow._fields)}, host_id, first_seen"

INT2, INT4, INT8, BYTEA, TEXT, TIMESTAMPTZ = 21, 23, 20, 17, 25, 1184
COPY_TYPES = (
    INT8, INT2, INT2, BYTEA, INT4, BYTEA, INT4, INT8, TEXT, TEXT, TEXT, INT2, INT2, INT4, INT8,
    INT8, INT8, TIMESTAMPTZ,
)  # fmt: skip
"""Types of OPEN_COLUMNS on PostgreSQL, by the numbers of its pg_type.dat, which the driver would
look up each time; a binary COPY converts nothing."""


class Moved(NamedTuple):
    """What :func:`move` found."""

    found: dict[int, Held]
    """What must be opened again: keys whose copies are not all gone, as their rows were."""
    listening: list[tuple[int, int | None]]
    """(number of protocol, local port) of the rows left open whose direction is LISTEN."""


_LISTENING = (
    "SELECT DISTINCT protocol, local_port FROM probes_opensocket"
    f" WHERE host_id = %s AND direction = {Way.LISTEN.value}"
)


class Inconsistent(Exception):
    """The open sockets are not what the caller took them for; nothing may be committed."""


def move(
    using: str,
    host_id: int,
    *,
    deltas: Mapping[int, int],
    requeued: Mapping[int, tuple[int, int]],
    last_seen: dt.datetime,
) -> Moved:
    """Move open rows to the closed table, and add to the queues of others that stay open.

    ``deltas`` is the net change in copies of each key that is to move, ``requeued`` what to add
    to (receive, send) of each key that is not. ``last_seen`` is the time of the previous whole
    snapshot; on PostgreSQL the partition of its day exists (``history.partitions``). Raises
    Inconsistent where fewer copies were open than are to go, or a row to stay was not.
    """
    if connections[using].vendor == "postgresql":
        result = _move_postgresql(using, host_id, deltas, requeued, last_seen)
    else:
        result = _move_sqlite(using, host_id, deltas, requeued, last_seen)
    found, moved, listening, updated = result
    if updated != len(requeued):
        raise Inconsistent(f"host {host_id}: {len(requeued)} open sockets should be there to stay")
    # Every key with fewer copies than before was there, and what is not listed came to nothing.
    listed = sum(deltas[key] < 0 for key in found)
    expected = sum(delta < 0 for delta in deltas.values())
    if moved - (len(found) - listed) != expected:
        raise Inconsistent(f"host {host_id}: {expected} open sockets should be there to close")
    for key, held in found.items():
        if held.copies + deltas[key] < 0:
            raise Inconsistent(f"host {host_id}: more copies of a socket closed than were open")
    return Moved(found, listening)


def insert(using: str, host_id: int, rows: Sequence[OpenRow], *, first_seen: dt.datetime) -> None:
    """Add rows to the open table; their keys must not be there."""
    if not rows:
        return
    connection = connections[using]
    if connection.vendor == "postgresql":
        copy_in(using, host_id, rows, first_seen=first_seen)
        return
    seen = connection.ops.adapt_datetimefield_value(first_seen)
    marks = ", ".join(["%s"] * len(OpenRow._fields))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO probes_opensocket ({OPEN_COLUMNS})"
            f" VALUES ({marks}, {int(host_id)}, '{seen}')",
            # In the order of the clustered key: neighbours share pages.
            sorted(rows),
        )


def held(using: str, host_id: int) -> dict[int, Held]:
    """All open sockets of a host by key: what a rebuild compares a whole text with."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # As arrays: half the time of 100,000 rows.
            cursor.execute(
                "SELECT array_agg(key), array_agg(copies), array_agg(recv_queue),"
                " array_agg(send_queue) FROM probes_opensocket WHERE host_id = %s",
                [host_id],
            )
            keys, *columns = cursor.fetchone()
            if keys is None:
                return {}
            return dict(zip(keys, map(Held, *columns), strict=True))
        cursor.execute(
            "SELECT key, copies, recv_queue, send_queue FROM probes_opensocket WHERE host_id = %s",
            [host_id],
        )
        return {key: Held(*rest) for key, *rest in cursor.fetchall()}


def newest_first_seen(using: str, host_id: int) -> dt.datetime | None:
    """When the newest open row was first seen: a time at which all of them were open."""
    newest: dt.datetime | None = (
        OpenSocket.objects.using(using)
        .filter(host_id=host_id)
        .aggregate(newest=Max("first_seen"))["newest"]
    )
    return newest


_Found = tuple[dict[int, Held], int, list[tuple[int, int | None]], int]
"""Rows with copies left, how many rows moved, the listeners left, how many rows got new queues."""

_MOVE = (
    "WITH d AS (SELECT * FROM unnest(%s::bigint[], %s::int[]) AS d(key, delta)),"
    " gone AS (DELETE FROM probes_opensocket AS o USING d"
    " WHERE o.host_id = %s AND o.key = d.key RETURNING o.*, d.delta),"
    f" moved AS (INSERT INTO probes_closedsocket ({SOCKET_COLUMNS}, host_id, first_seen, last_seen)"
    f" SELECT {SOCKET_COLUMNS}, host_id, first_seen, %s::timestamptz FROM gone)"
    " SELECT key, copies, recv_queue, send_queue FROM gone WHERE copies + delta <> 0"
    " UNION ALL SELECT NULL, count(*), NULL, NULL FROM gone"
)
_REQUEUE = (
    "UPDATE probes_opensocket AS o"
    " SET recv_queue = o.recv_queue + d.recv, send_queue = o.send_queue + d.send"
    " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS d(key, recv, send)"
    " WHERE o.host_id = %s AND o.key = d.key"
)


def _move_postgresql(
    using: str,
    host_id: int,
    deltas: Mapping[int, int],
    requeued: Mapping[int, tuple[int, int]],
    last_seen: dt.datetime,
) -> _Found:
    """All in one round trip; rows of which nothing is left never leave the server."""
    statements = [_MOVE, _LISTENING]
    params: list[Any] = [_array(deltas), _array(deltas.values()), host_id, last_seen, host_id]
    if requeued:
        statements.append(_REQUEUE)
        queues = zip(*requeued.values(), strict=True)
        params += [_array(requeued), *map(_array, queues), host_id]
    with connections[using].cursor() as cursor:
        cursor.execute("; ".join(statements), params)
        *rows, (_none, moved, _recv, _send) = sorted(
            cursor.fetchall(), key=lambda row: row[0] is None
        )
        cursor.nextset()
        listening = cursor.fetchall()
        updated = cursor.rowcount if cursor.nextset() else 0
    return {key: Held(*rest) for key, *rest in rows}, moved, listening, updated


def _move_sqlite(
    using: str,
    host_id: int,
    deltas: Mapping[int, int],
    requeued: Mapping[int, tuple[int, int]],
    last_seen: dt.datetime,
) -> _Found:
    """The same, a statement each, since SQLite cannot write inside a WITH. The first tells
    which keys are there at all, so that the others look up no more."""
    connection = connections[using]
    these = "host_id = %s AND key IN (SELECT value FROM json_each(%s))"
    updated = 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key, copies, recv_queue, send_queue FROM probes_opensocket WHERE {these}",
            [host_id, json.dumps(sorted(deltas))],
        )
        rows = cursor.fetchall()
        if rows:
            keys = json.dumps([key for key, *_rest in rows])
            cursor.execute(
                "INSERT INTO probes_closedsocket"
                f" ({SOCKET_COLUMNS}, host_id, first_seen, last_seen)"
                f" SELECT {SOCKET_COLUMNS}, host_id, first_seen, %s"
                f" FROM probes_opensocket WHERE {these}",
                [connection.ops.adapt_datetimefield_value(last_seen), host_id, keys],
            )
            cursor.execute(f"DELETE FROM probes_opensocket WHERE {these}", [host_id, keys])
        if requeued:
            cursor.executemany(
                "UPDATE probes_opensocket"
                " SET recv_queue = recv_queue + %s, send_queue = send_queue + %s"
                " WHERE host_id = %s AND key = %s",
                [(recv, send, host_id, key) for key, (recv, send) in requeued.items()],
            )
            updated = cursor.rowcount
        cursor.execute(_LISTENING, [host_id])
        listening = cursor.fetchall()
    found = {
        key: Held(copies, *queues) for key, copies, *queues in rows if copies + deltas[key] != 0
    }
    return found, len(rows), listening, updated


def copy_in(using: str, host_id: int, rows: Sequence[OpenRow], *, first_seen: dt.datetime) -> None:
    """One binary COPY, for five rows as for 100,000: half the client's time of the text format,
    and a fifth of an INSERT of many VALUES."""
    tail = host_id, first_seen
    with (
        connections[using].cursor() as cursor,
        cursor.copy(f"COPY probes_opensocket ({OPEN_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(COPY_TYPES)
        for row in rows:
            copy.write_row(row + tail)


def _array(numbers: Iterable[int]) -> str:
    """A PostgreSQL array in text form: dearer to read as a list of adapted numbers."""
    return f"{{{','.join(map(str, numbers))}}}"
