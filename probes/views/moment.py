"""The moment a host page looks at: now, or the newest whole snapshot at or before ``?at=``.

Place in the data's way: between the query string and ``probes.history.queries``. The slider, the
links to the neighbours and the banner are made here once for all tabs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host
from probes.filters import EARLIEST, LATEST, FilterError
from probes.history import queries
from probes.models import Outcome, Snapshot

SLIDER_POINTS = 240
"""How many whole snapshots the slider spans, half on each side of a moment of the past."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is looked at. ``snapshot`` None means that nothing is known of that time."""

    asked: dt.datetime | None
    """UTC time of ``?at=``; None is now."""
    snapshot: Snapshot | None
    previous: Snapshot | None
    following: Snapshot | None
    """The whole snapshots next to it."""
    points: list[Snapshot]
    """Whole snapshots around it, oldest first."""
    first: Snapshot | None
    """The oldest whole snapshot there is; read only where nothing is known of the time asked."""

    @property
    def past(self) -> bool:
        """Whether a time was asked for."""
        return self.asked is not None


def read(host: Host, query: Mapping[str, str], *, newest: Snapshot | None) -> Moment:
    """The moment ``query`` asks for; ``newest`` is the newest whole snapshot of ``host``.

    Raises FilterError naming ``at``. At most four queries.
    """
    asked = parse(query.get("at", ""))
    snapshot = newest if asked is None else queries.snapshot_at(host, asked)
    if snapshot is None:
        first = _whole(host).order_by("taken_at").first() if asked is not None else None
        return Moment(asked, None, None, first, [], first)
    half = SLIDER_POINTS // 2 if asked is not None else SLIDER_POINTS
    before = list(_whole(host).filter(taken_at__lt=snapshot.taken_at).order_by("-taken_at")[:half])
    after = (
        []
        if asked is None
        else list(_whole(host).filter(taken_at__gt=snapshot.taken_at).order_by("taken_at")[:half])
    )
    return Moment(
        asked=asked,
        snapshot=snapshot,
        previous=before[0] if before else None,
        following=after[0] if after else None,
        points=[*reversed(before), snapshot, *after],
        first=None,
    )


def parse(text: str) -> dt.datetime | None:
    """UTC time of an ISO 8601 text, in the site's zone where it names none; None for "".

    A time in whole seconds means the end of that second: it comes from the field of the page,
    which knows no fractions, and must find the snapshot it was made from. Raises FilterError
    naming ``at``.
    """
    if not text.strip():
        return None
    try:
        when = dt.datetime.fromisoformat(text.strip()[:40])
        if timezone.is_naive(when):
            when = timezone.make_aware(when)
        utc = when.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise FilterError("at", _("Give a time like 2026-01-31T03:12 or leave it empty.")) from None
    if not EARLIEST <= utc < LATEST:
        # The ends of the calendar do not survive the way back to the site's zone.
        raise FilterError("at", _("Give a time in the years 1970 to 2199."))
    return utc.replace(microsecond=999_999) if utc.microsecond == 0 else utc


def stamp(when: dt.datetime) -> str:
    """A time as the ``at`` of a link: exact to the microsecond, free of characters to escape."""
    return when.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def field_value(when: dt.datetime) -> str:
    """A time as ``<input type="datetime-local" step="1">`` wants it, in the site's zone."""
    return timezone.localtime(when).strftime("%Y-%m-%dT%H:%M:%S")


def _whole(host: Host) -> QuerySet[Snapshot]:
    whole = Snapshot.objects.filter(host=host, outcome=Outcome.OK)
    return whole.only("pk", "host_id", "taken_at", "sockets", "opened", "closed")
