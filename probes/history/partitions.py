"""The closed sockets of PostgreSQL, one partition a UTC day: made when needed, dropped when old.

Place in the data's way: beside ``history.store``, before its transaction, and below
``history.retention``. On SQLite there is one table and nothing to do.

There is no DEFAULT partition: once it held rows of a day, that day's own partition could not be
made without scanning it under an exclusive lock.
"""

from __future__ import annotations

import datetime as dt
import re
import threading

from django.db import OperationalError, connections, transaction
from django.db.utils import DatabaseError

TABLE = "probes_closedsocket"
_NAME = re.compile(rf"^{TABLE}_p(\d{{8}})$")

DROP_LOCK_TIMEOUT_MS = 150
"""How long a drop waits for queries on the table before it gives up: those that come after it
wait behind it, and no lock may hold them 200 ms (trust.md, 36)."""

_known: dict[str, set[dt.date]] = {}
_known_lock = threading.Lock()


def ensure(using: str, last_seen: dt.datetime) -> None:
    """See that rows closed at ``last_seen`` have a partition; asks the database once a day.

    Best called before the transaction that needs it: inside, other writers who need a new day
    wait for its end. A new partition is made aside and attached, which
    blocks neither readers nor writers of the others.
    """
    if connections[using].vendor != "postgresql":
        return
    day = last_seen.astimezone(dt.UTC).date()
    with _known_lock:
        if day in _known.setdefault(using, set()):
            return
    _make(using, day)
    with _known_lock:
        _known.setdefault(using, set()).add(day)


def forget(using: str) -> None:
    """Ask the database again: after a partition was found missing, because it was dropped."""
    with _known_lock:
        _known.pop(using, None)


def is_missing(error: DatabaseError) -> bool:
    """True where a write failed because its day has no partition."""
    # A violated check without a name: the rows' own constraints, had they any, would have one.
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) == "23514" and "no partition" in str(cause)


def days(using: str) -> list[dt.date]:
    """The days that have a partition, oldest first."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass ORDER BY c.relname",
            [TABLE],
        )
        matches = [_NAME.match(name) for (name,) in cursor.fetchall()]
    return [
        dt.datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=dt.UTC).date()
        for match in matches
        if match
    ]


def drop(using: str, day: dt.date) -> bool:
    """Drop a day; False where queries held the table too long, then the next try does it."""
    forget(using)
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {DROP_LOCK_TIMEOUT_MS}")
            cursor.execute(f"DROP TABLE IF EXISTS {_name(day)}")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == "55P03":  # lock_not_available
            return False
        raise
    return True


def _make(using: str, day: dt.date) -> None:
    name, start, end = _name(day), day.isoformat(), (day + dt.timedelta(days=1)).isoformat()
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        # Two writers at midnight: the second one waits here and then finds it made.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TABLE])
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            return
        cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING ALL)")
        cursor.execute(
            f"ALTER TABLE {TABLE} ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{start} 00:00:00+00') TO ('{end} 00:00:00+00')"
        )


def _name(day: dt.date) -> str:
    return f"{TABLE}_p{day:%Y%m%d}"
