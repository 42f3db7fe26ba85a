"""The lock of a host's history, and where that history stands.

Place in the data's way: the first thing in every transaction of ``history.store``. Written in SQL
because every probe of every host passes here: the ORM's words for it cost a quarter of a small
probe's time.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from django.db import connections
from django.utils import timezone

from probes.history.tally import Counts
from probes.models import Outcome, Schedule, Snapshot

_LOCK = "SELECT host_id FROM probes_schedule WHERE host_id = %s FOR UPDATE"
# Two of them as subqueries: to plan a join of four tables costs PostgreSQL twice as much.
_STATE = (
    "SELECT (SELECT taken_at FROM probes_snapshot WHERE id = s.latest_id),"
    " (SELECT taken_at FROM probes_lasttext WHERE host_id = s.host_id),"
    " w.taken_at, w.sockets, w.listeners, w.without_pid, w.by_state, w.by_protocol, w.rejected,"
    " w.lines"
    " FROM probes_schedule s LEFT JOIN probes_snapshot w ON w.id = s.latest_whole_id"
    " WHERE s.host_id = %s"
)


@dataclass(frozen=True, slots=True)
class State:
    """A host's history, read under its lock."""

    latest_at: dt.datetime | None
    """Time of the newest snapshot of any outcome."""
    text_at: dt.datetime | None
    """Time of the last text; None where there is none."""
    whole_at: dt.datetime | None
    """Time of the newest whole snapshot."""
    whole: Counts
    """What that one counts, but for headers and blanks."""

    @property
    def baseline_at(self) -> dt.datetime | None:
        """Time of the newest whole snapshot, from whichever record of it is left."""
        return max((at for at in (self.whole_at, self.text_at) if at), default=None)


def lock(using: str, host_id: int) -> State:
    """Take the host's lock, held until the transaction ends, and read its state.

    Two statements on PostgreSQL: one that waits for the lock would give joined rows as they were
    before the wait. They travel together. On SQLite the IMMEDIATE transaction is the lock.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.features.has_select_for_update:
            cursor.execute(f"{_LOCK}; {_STATE}", [host_id, host_id])
            cursor.nextset()
        else:
            cursor.execute(_STATE, [host_id])
        row = cursor.fetchone()
    if row is None:
        Schedule.objects.using(using).bulk_create(
            [Schedule(host_id=host_id, next_probe_at=timezone.now())], ignore_conflicts=True
        )
        return lock(using, host_id)
    latest_at, text_at, whole_at, sockets, listeners, without_pid, states, protocols, *lines = row
    latest_at, text_at, whole_at = (at and aware(at) for at in (latest_at, text_at, whole_at))
    if whole_at is None:
        return _without_pointer(using, host_id, latest_at, text_at)
    return State(
        latest_at,
        text_at,
        whole_at,
        Counts(
            sockets=sockets,
            listeners=listeners,
            without_pid=without_pid,
            by_state=json.loads(states),
            by_protocol=json.loads(protocols),
            rejected=lines[0],
            lines=lines[1],
        ),
    )


def _without_pointer(
    using: str, host_id: int, latest_at: dt.datetime | None, text_at: dt.datetime | None
) -> State:
    """The state of a host whose schedule points at no whole snapshot: new, or made anew."""
    whole = (
        Snapshot.objects.using(using)
        .filter(host_id=host_id, outcome=Outcome.OK)
        .order_by("-taken_at")
        .first()
    )
    if whole is None:
        return State(latest_at, text_at, None, Counts())
    return State(latest_at, text_at, whole.taken_at, _counts_of(whole))


def _counts_of(snapshot: Snapshot) -> Counts:
    return Counts(
        sockets=snapshot.sockets,
        listeners=snapshot.listeners,
        without_pid=snapshot.without_pid,
        by_state=snapshot.by_state,
        by_protocol=snapshot.by_protocol,
        rejected=snapshot.rejected,
        lines=snapshot.lines,
    )


def aware(at: dt.datetime) -> dt.datetime:
    """SQLite gives times without their zone, which is UTC."""
    return at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
