"""Sums up what was probed by quarter of an hour, hour and day, so that charts read little.

Place in the data's way: a task calls :func:`roll_up` about once a minute, apart from the storing of
probes, which stays as cheap as it was. It reads snapshots and sockets that are stored, writes
:class:`RollUp` and moves ``Schedule.rolled_until`` on. Knows no chart.

Each stretch is made from what is stored and written over what was there, so that two workers at
once, a kill between two hosts and a probe that was stored late do no harm. Of a host there is one
small transaction for at most CHUNK of its time; what is not finished goes on in the next run.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from probes.history.queries import tops
from probes.history.queries.sql import Scope
from probes.history.queries.tops import Tops
from probes.models import Outcome, RollUp, Schedule, Snapshot
from probes.models.rollups import WIDTHS
from probes.schedule import STORE_MARGIN_S

__all__ = ["WIDTHS", "Tops", "roll_up"]

logger = logging.getLogger(__name__)

QUARTER, HOUR, DAY = (dt.timedelta(minutes=minutes) for minutes in WIDTHS)
CHUNK: Final = DAY
"""Of one host at a time."""
RUN_S: Final = 20.0
"""Seconds after which a run begins no further host."""
_ROWS: Final = 2000
_SUMMED: Final = [
    field.attname
    for field in RollUp._meta.concrete_fields
    if field.name not in ("id", "host", "minutes", "begins_at")
]
_COUNTED: Final = (
    "host_id",
    "taken_at",
    "outcome",
    "code",
    "sockets",
    "listeners",
    "by_state",
    "by_protocol",
    "opened",
    "closed",
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def roll_up(now: dt.datetime, *, using: str = "default", run_s: float = RUN_S) -> int:
    """Make the stretches that are finished at ``now`` (aware); returns how many hosts moved on.

    Hosts never rolled up come first, then those least behind, a chunk of each in turn: a backlog
    of months (the first run after an update) delays nobody's newest hour. Trouble with one host is
    logged and stops no other.
    """
    give_up_at = time.monotonic() + run_s
    edge = _begin(now - dt.timedelta(seconds=settings.PROBE_DEADLINE_S + STORE_MARGIN_S), QUARTER)
    moved: set[int] = set()
    failed: set[int] = set()
    while True:
        due = [(pk, since) for pk, since in _due(using, edge) if pk not in failed]
        if not due:
            return len(moved)
        for host_id, since in due:
            try:
                _advance(using, host_id, since, edge)
                moved.add(host_id)
            except Exception:
                logger.exception("rolling up host %s failed", host_id)
                failed.add(host_id)
            if time.monotonic() > give_up_at:
                return len(moved)


def _due(using: str, edge: dt.datetime) -> list[tuple[int, dt.datetime | None]]:
    """Hosts with probes that are not rolled up, removed ones too: (id, rolled until)."""
    behind = Q(rolled_until__lt=edge, latest__taken_at__gte=F("rolled_until"))
    fresh = Q(rolled_until=None, latest__isnull=False)
    rows = Schedule.objects.using(using).filter(behind | fresh)
    return list(
        rows.order_by(F("rolled_until").desc(nulls_first=True), "pk").values_list(
            "pk", "rolled_until"
        )
    )


def _advance(using: str, host_id: int, since: dt.datetime | None, edge: dt.datetime) -> None:
    """Roll up one chunk of one host.

    The quarter before is made anew: a probe may have been stored after its quarter was.
    """
    snapshots = Snapshot.objects.using(using).filter(host_id=host_id)
    # A time without probes is passed over at once, be it months.
    after = snapshots if since is None else snapshots.filter(taken_at__gte=since)
    first = after.order_by("taken_at").values_list("taken_at", flat=True).first()
    new = edge if first is None or first >= edge else _begin(first, QUARTER)
    begin, end = new if since is None else since - QUARTER, min(new + CHUNK, edge)
    rows = _stretches(using, host_id, begin, end)
    with transaction.atomic(using=using):
        RollUp.objects.using(using).bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["host", "minutes", "begins_at"],
            update_fields=_SUMMED,
            batch_size=200,
        )
        behind = Q(rolled_until=None) | Q(rolled_until__lt=end)
        Schedule.objects.using(using).filter(behind, pk=host_id).update(rolled_until=end)


def _stretches(using: str, host_id: int, begin: dt.datetime, end: dt.datetime) -> list[RollUp]:
    """The quarters from ``begin`` to ``end`` in which something was probed, and the hours and days
    they are in as far as these have passed."""
    quarters = list(_quarters(using, host_id, begin, end))
    if not quarters:
        return []
    known = RollUp.objects.using(using).filter(host_id=host_id, minutes=15)
    earlier = known.filter(begins_at__gte=_begin(begin, DAY), begins_at__lt=begin)
    later = known.filter(begins_at__gte=end, begins_at__lt=_begin(end, DAY) + DAY)
    day = [*earlier.order_by("begins_at"), *quarters, *later.order_by("begins_at")]
    touched = {_begin(row.begins_at, HOUR) for row in quarters}
    hours = [row for row in _widened(day, HOUR) if row.begins_at in touched]
    days = [
        row for row in _widened(day, DAY) if row.begins_at in {_begin(at, DAY) for at in touched}
    ]
    stored = RollUp.objects.using(using).filter(
        host_id=host_id, minutes=60, begins_at__in=touched, tops_zstd__isnull=False
    )
    kept: dict[dt.datetime | None, bytes] = {
        taken_at: bytes(packed)
        for taken_at, packed in stored.values_list("taken_at", "tops_zstd")
        if packed is not None
    }
    for row in (*hours, *days):
        if row.taken_at is not None:
            if row.taken_at not in kept:
                kept[row.taken_at] = _tops(using, host_id, row.taken_at)
            row.tops_zstd = kept[row.taken_at]
    return [*quarters, *hours, *days]


def _quarters(using: str, host_id: int, begin: dt.datetime, end: dt.datetime) -> Iterator[RollUp]:
    """Straight from the snapshots. What came late takes no part, as in the charts."""
    snapshots = Snapshot.objects.using(using).filter(
        host_id=host_id, taken_at__gte=begin, taken_at__lt=end
    )
    row: RollUp | None = None
    taking_part = snapshots.exclude(outcome=Outcome.LATE).only(*_COUNTED).order_by("taken_at")
    for snapshot in taking_part.iterator(chunk_size=_ROWS):
        begins_at = _begin(snapshot.taken_at, QUARTER)
        if row is None or row.begins_at != begins_at:
            if row is not None:
                yield row
            row = RollUp(host_id=host_id, minutes=15, begins_at=begins_at)
        _count(row, snapshot)
    if row is not None:
        yield row


def _count(row: RollUp, snapshot: Snapshot) -> None:
    row.probes += 1
    if snapshot.outcome != Outcome.OK:
        row.failures += 1
        row.code = snapshot.code or snapshot.outcome
        return
    row.taken_at = snapshot.taken_at
    row.sockets, row.listeners = snapshot.sockets, snapshot.listeners
    row.by_state, row.by_protocol = snapshot.by_state, snapshot.by_protocol
    row.most_sockets = max(row.most_sockets, snapshot.sockets)
    row.most_by_state = _most(row.most_by_state, snapshot.by_state)
    row.opened += snapshot.opened
    row.closed += snapshot.closed


def _widened(quarters: Iterable[RollUp], width: dt.timedelta) -> Iterator[RollUp]:
    """Stretches of ``width`` made of those of a quarter of an hour, in the order of time."""
    wide: RollUp | None = None
    for row in quarters:
        begins_at = _begin(row.begins_at, width)
        if wide is None or wide.begins_at != begins_at:
            if wide is not None:
                yield wide
            wide = RollUp(
                host_id=row.host_id,
                minutes=width // dt.timedelta(minutes=1),
                begins_at=begins_at,
            )
        wide.probes += row.probes
        wide.failures += row.failures
        wide.code = row.code or wide.code
        wide.opened += row.opened
        wide.closed += row.closed
        if row.taken_at is None:
            continue
        for name in ("taken_at", "sockets", "listeners", "by_state", "by_protocol"):
            setattr(wide, name, getattr(row, name))
        wide.most_sockets = max(wide.most_sockets, row.most_sockets)
        wide.most_by_state = _most(wide.most_by_state, row.most_by_state)
    if wide is not None:
        yield wide


def _most(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    return before | {state: max(count, before.get(state, 0)) for state, count in now.items()}


def _tops(using: str, host_id: int, taken_at: dt.datetime) -> bytes:
    # A snapshot's sockets follow from its time; whether it is the newest, from its id.
    whole: dict[str, Any] = {"host_id": host_id, "taken_at": taken_at, "outcome": Outcome.OK}
    snapshot = Snapshot.objects.using(using).only("host_id", "taken_at").get(**whole)
    return tops.read(Scope(using, (host_id,), snapshot)).pack()


def _begin(when: dt.datetime, width: dt.timedelta) -> dt.datetime:
    """Where the stretch of that width begins that ``when`` is in."""
    return _EPOCH + (when - _EPOCH) // width * width
