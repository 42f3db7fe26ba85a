"""The rows of a probe beside its sockets: last text read, snapshot, pointers and last text written.

Place in the data's way: the first read and the last write of ``history.store``. Written in SQL, as
``history.state`` is and for the same reason: of a small probe the ORM's words for these four
statements were a third. Knows no socket and decides nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connections

from probes.history.state import aware
from probes.models import Snapshot


class Last(NamedTuple):
    """The host's last text, as ``probes.models.LastText`` has it."""

    taken_at: dt.datetime
    dialect: str
    wide: bool
    privilege: str
    login_version: str
    text_zstd: bytes


_LAST = f"SELECT {', '.join(Last._fields)} FROM probes_lasttext WHERE host_id = %s"

_COLUMNS = tuple(field.attname for field in Snapshot._meta.concrete_fields)
_INSERT_SNAPSHOT = (
    f"INSERT INTO probes_snapshot ({', '.join(_COLUMNS[1:])})"
    f" VALUES ({', '.join(['%s'] * len(_COLUMNS[1:]))}) RETURNING id"
)


def last_text(using: str, host_id: int) -> Last | None:
    """The host's last text; None where there is none."""
    with connections[using].cursor() as cursor:
        cursor.execute(_LAST, [host_id])
        row = cursor.fetchone()
    return None if row is None else Last(aware(row[0]), *row[1:])


def write(
    using: str,
    fields: Mapping[str, Any],
    *,
    pointers: Sequence[str],
    text: Mapping[str, Any] | None,
    first_text: bool,
) -> Snapshot:
    """Insert the snapshot of these fields and return it.

    ``pointers`` are the columns of its host's schedule that are to name it; ``text`` is what
    changes of the host's last text, all of it where it is the ``first_text``, None for nothing.
    One statement on PostgreSQL; on SQLite, which has no round trips to save, one each.
    """
    connection = connections[using]
    postgresql = connection.vendor == "postgresql"
    host_id = fields["host_id"]
    values = [fields[name] for name in _COLUMNS[1:]]
    writes = [(_INSERT_SNAPSHOT, _stored(connection, values))]
    with connection.cursor() as cursor:
        if not postgresql:
            cursor.execute(*writes.pop())
            snapshot_id = cursor.fetchone()[0]
        if pointers:
            this = "(SELECT id FROM s0)" if postgresql else str(snapshot_id)
            pointed = ", ".join(f"{column} = {this}" for column in pointers)
            writes.append((f"UPDATE probes_schedule SET {pointed} WHERE host_id = %s", [host_id]))
        if text is not None:
            stored = [*_stored(connection, text.values()), host_id]
            if first_text:
                marks = ", ".join(["%s"] * len(stored))
                sql = f"INSERT INTO probes_lasttext ({', '.join(text)}, host_id) VALUES ({marks})"
            else:
                changed = ", ".join(f"{column} = %s" for column in text)
                sql = f"UPDATE probes_lasttext SET {changed} WHERE host_id = %s"
            writes.append((sql, stored))
        if postgresql:
            parts = ", ".join(f"s{number} AS ({sql})" for number, (sql, _) in enumerate(writes))
            cursor.execute(
                f"WITH {parts} SELECT id FROM s0",
                [value for _, params in writes for value in params],
            )
            snapshot_id = cursor.fetchone()[0]
        else:
            for sql, params in writes:
                cursor.execute(sql, params)
    return Snapshot.from_db(using, _COLUMNS, [snapshot_id, *values])


def _stored(connection: Any, values: Iterable[Any]) -> list[Any]:
    """Values as the engine's cursor takes them for their columns."""
    adapted = {dict: json.dumps, dt.datetime: connection.ops.adapt_datetimefield_value}
    return [adapted[type(value)](value) if type(value) in adapted else value for value in values]
