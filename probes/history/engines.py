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
from typing import NamedTuple

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

COPY_TYPES = (
    "int8", "int2", "int2", "bytea", "int4", "bytea", "int4", "int8", "text", "text", "text",
    "int2", "int2", "int4", "int8", "int8", "int8", "timestamptz",
)  # fmt: skip
"""Types of OPEN_COLUMNS on PostgreSQL; a binary COPY converts nothing."""


class Inconsistent(Exception):
    """The open sockets are not what the caller took them for; nothing may be committed."""


def move(
    using: str,
    host_id: int,
    *,
    deltas: Mapping[int, int],
    last_seen: dt.datetime,
) -> dict[int, Held]:
    """Move the open rows of these keys to the closed table; return what must be opened again.

    ``deltas`` is the net change in copies of each key. A key whose copies are not all gone
    comes back with the copies and queues its row had. ``last_seen`` is the time of the previous
    whole snapshot; on PostgreSQL the partition of its day exists (``history.partitions``).
    Raises Inconsistent where fewer copies were open than are to go.
    """
    if not deltas:
        return {}
    if connections[using].vendor == "postgresql":
        found, moved = _move_postgresql(using, host_id, deltas, last_seen)
    else:
        found, moved = _move_sqlite(using, host_id, deltas, last_seen)
    # Every key with fewer copies than before was there, and what is not listed came to nothing.
    listed = sum(deltas[key] < 0 for key in found)
    expected = sum(delta < 0 for delta in deltas.values())
    if moved - (len(found) - listed) != expected:
        raise Inconsistent(f"host {host_id}: {expected} open sockets should be there to close")
    for key, held in found.items():
        if held.copies + deltas[key] < 0:
            raise Inconsistent(f"host {host_id}: more copies of a socket closed than were open")
    return found


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


def requeue(using: str, host_id: int, sums: Mapping[int, tuple[int, int]]) -> None:
    """Add to the queues of open rows: key -> (receive, send). Raises Inconsistent."""
    if not sums:
        return
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "UPDATE probes_opensocket AS o"
                " SET recv_queue = o.recv_queue + d.recv, send_queue = o.send_queue + d.send"
                " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS d(key, recv, send)"
                " WHERE o.host_id = %s AND o.key = d.key",
                [
                    _array(sums),
                    _array(recv for recv, _send in sums.values()),
                    _array(send for _recv, send in sums.values()),
                    host_id,
                ],
            )
            updated = cursor.rowcount
        else:
            cursor.executemany(
                "UPDATE probes_opensocket"
                " SET recv_queue = recv_queue + %s, send_queue = send_queue + %s"
                " WHERE host_id = %s AND key = %s",
                [(recv, send, host_id, key) for key, (recv, send) in sums.items()],
            )
            updated = cursor.rowcount
    if updated != len(sums):
        raise Inconsistent(f"host {host_id}: {len(sums)} open sockets should be there to update")


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


def listening(using: str, host_id: int) -> list[tuple[int, int | None]]:
    """(number of protocol, local port) of the open rows whose direction is LISTEN."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT protocol, local_port FROM probes_opensocket"
            f" WHERE host_id = %s AND direction = {Way.LISTEN.value}",
            [host_id],
        )
        return [(protocol, port) for protocol, port in cursor.fetchall()]


def newest_first_seen(using: str, host_id: int) -> dt.datetime | None:
    """When the newest open row was first seen: a time at which all of them were open."""
    newest: dt.datetime | None = (
        OpenSocket.objects.using(using)
        .filter(host_id=host_id)
        .aggregate(newest=Max("first_seen"))["newest"]
    )
    return newest


def _move_postgresql(
    using: str, host_id: int, deltas: Mapping[int, int], last_seen: dt.datetime
) -> tuple[dict[int, Held], int]:
    """Rows with copies left, and how many rows moved. The rest never leaves the server."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "WITH d AS (SELECT * FROM unnest(%s::bigint[], %s::int[]) AS d(key, delta)),"
            " gone AS (DELETE FROM probes_opensocket AS o USING d"
            " WHERE o.host_id = %s AND o.key = d.key RETURNING o.*, d.delta),"
            f" moved AS (INSERT INTO probes_closedsocket"
            f" ({SOCKET_COLUMNS}, host_id, first_seen, last_seen)"
            f" SELECT {SOCKET_COLUMNS}, host_id, first_seen,"
            " %s::timestamptz FROM gone)"
            " SELECT key, copies, recv_queue, send_queue FROM gone WHERE copies + delta <> 0"
            " UNION ALL SELECT NULL, count(*), NULL, NULL FROM gone",
            [_array(deltas), _array(deltas.values()), host_id, last_seen],
        )
        *rows, (_none, moved, _recv, _send) = sorted(
            cursor.fetchall(), key=lambda row: row[0] is None
        )
    return {key: Held(*rest) for key, *rest in rows}, moved


def _move_sqlite(
    using: str, host_id: int, deltas: Mapping[int, int], last_seen: dt.datetime
) -> tuple[dict[int, Held], int]:
    """The same in three statements, since SQLite cannot write inside a WITH. The first tells
    which keys are there at all, so that the others look up no more."""
    connection = connections[using]
    these = "host_id = %s AND key IN (SELECT value FROM json_each(%s))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key, copies, recv_queue, send_queue FROM probes_opensocket WHERE {these}",
            [host_id, json.dumps(sorted(deltas))],
        )
        rows = cursor.fetchall()
        if not rows:
            return {}, 0
        keys = json.dumps([key for key, *_rest in rows])
        cursor.execute(
            f"INSERT INTO probes_closedsocket ({SOCKET_COLUMNS}, host_id, first_seen, last_seen)"
            f" SELECT {SOCKET_COLUMNS}, host_id, first_seen, %s"
            f" FROM probes_opensocket WHERE {these}",
            [connection.ops.adapt_datetimefield_value(last_seen), host_id, keys],
        )
        cursor.execute(f"DELETE FROM probes_opensocket WHERE {these}", [host_id, keys])
    return {
        key: Held(copies, *queues) for key, copies, *queues in rows if copies + deltas[key] != 0
    }, len(rows)


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
