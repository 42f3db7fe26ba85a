"""Gives changes their places in the feed, and reads the feed on from a place.

Place in the data's way: between the changes that ``probes.watch.lifecycle`` writes and whoever
follows them: the route of changes, the stream of events. Knows no HTTP; the rows that are given
decide what may be seen.

An id does not do as a place: of two transactions the one with the lower ids may end last, and
whoever read the higher ones by then would never see the lower. So a change gets its place after it
was committed, by whoever holds the row of ``FeedEnd``: places become visible in their order, and
what is behind a place that was read is complete for good. Killed anywhere, :func:`number` leaves
changes without a place to its next call; nothing gets two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Max, QuerySet

from probes.models import Change, FeedEnd

BATCH: Final = 500
"""Changes that one transaction gives places to."""
MOST_BATCHES: Final = 20
"""Of one call, so that a flood keeps nobody from reading; the next call goes on."""
_ROW: Final = 1


@dataclass(frozen=True, slots=True)
class Followed:
    """What came after a place."""

    rows: Sequence[Change]
    next_after: int
    """Where to go on: nothing up to there is left to read, whatever was filtered out."""
    more: bool
    """Whether there is more to read at once."""
    missed: bool
    """Whether some of what came after the place is no longer kept, or the place is of another
    history, as after a backup was restored: begin with the whole lists."""


def number(using: str = "default") -> int:
    """Give a place to each committed change that has none; returns how many. One query where
    there is nothing to do. May be called at any time by several processes."""
    waiting = Change.objects.using(using).filter(feed=None)
    given = 0
    for _turn in range(MOST_BATCHES):
        if not waiting.exists():
            break
        with transaction.atomic(using=using):
            end = _locked_end(using)
            rows = _unheld(waiting)
            for place, row in enumerate(rows, start=end.last + 1):
                row.feed = place
            if rows:
                Change.objects.using(using).bulk_update(rows, ["feed"])
                end.last += len(rows)
                end.save(using=using, update_fields=["last"])
        given += len(rows)
        if not rows:
            break
    return given


def _unheld(waiting: QuerySet[Change]) -> list[Change]:
    """The first of those without a place, locked, up to the first that somebody holds.

    The outbox holds them for a moment, in this order. What came behind those waits with them, or a
    port would be told to be back before it was told to be down.
    """
    first = waiting.order_by("pk")[:BATCH]
    known = set(first.values_list("pk", flat=True))
    rows = list(waiting.order_by("pk").select_for_update(skip_locked=True).only("pk")[:BATCH])
    held = min(known.difference(row.pk for row in rows), default=None)
    return rows if held is None else [row for row in rows if row.pk < held]


def end(using: str = "default") -> int:
    """The last place that was given, 1 or more: whoever follows from there sees what comes from
    now on.

    Gives the missing places first. Two queries.
    """
    return _begun(using)[0]


def _begun(using: str) -> tuple[int, int]:
    """As :func:`_ends` once all places are given, in a feed that has begun: 0 is no place in it,
    but before all of them, and who asks from there has missed nothing."""
    number(using)
    last, forgotten = _ends(using)
    if not last:
        with transaction.atomic(using=using):
            begun = _locked_end(using)
            if not begun.last:
                begun.last = 1
                begun.save(using=using, update_fields=["last"])
        last = begun.last
    return last, forgotten


def following(rows: QuerySet[Change], *, after: int, limit: int) -> Followed:
    """The first ``limit`` of ``rows`` behind the place ``after``, in the order of the feed; 0
    begins with the oldest that is kept. Two queries where nothing came, else four.

    Called again with ``next_after``, it gives each change of ``rows`` once, whoever writes
    meanwhile.
    """
    using = rows.db
    last, forgotten = _begun(using)
    if after > last:
        return Followed((), next_after=last, more=False, missed=True)
    found: list[Change] = []
    if after < last:
        found = list(rows.filter(feed__gt=after, feed__lte=last).order_by("feed")[: limit + 1])
        # Read behind the rows: what retention took before they were read, it had noted by then.
        forgotten = _ends(using)[1]
    more = len(found) > limit
    if more:
        found.pop()
    return Followed(
        found,
        next_after=found[-1].feed or last if more else last,
        more=more,
        missed=0 < after < forgotten,
    )


def _locked_end(using: str) -> FeedEnd:
    """The row of the feed's end, held until the transaction ends."""
    ends = FeedEnd.objects.using(using).select_for_update()
    found = ends.filter(pk=_ROW).first()
    if found is not None:
        return found
    # Only where rows were carried over by hand and this one was not.
    newest = Change.objects.using(using).aggregate(newest=Max("feed"))["newest"]
    return ends.get_or_create(pk=_ROW, defaults={"last": newest or 0})[0]


def _ends(using: str) -> tuple[int, int]:
    """The last place given, and the last that retention took."""
    found = FeedEnd.objects.using(using).filter(pk=_ROW).values_list("last", "forgotten").first()
    return found or (0, 0)
