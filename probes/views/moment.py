"""The moment a host page looks at: now, or the newest whole snapshot at or before ``?at=``.

Place in the data's way: between the query string and ``probes.history.queries``. The slider, the
links to the neighbours and the banner are made here once for all tabs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host
from probes.filters import EARLIEST, LATEST, FilterError
from probes.history import queries
from probes.history.queries import walks
from probes.models import Snapshot
from probes.views import spans

SLIDER_POINTS = 240
"""How many whole snapshots the slider has at most, evenly over its span."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is looked at. ``snapshot`` None means that nothing is known of that time."""

    asked: dt.datetime | None
    """UTC time of ``?at=``; None is now."""
    snapshot: Snapshot | None
    previous: dt.datetime | None
    following: dt.datetime | None
    """When the whole snapshots right next to it were taken."""
    points: list[dt.datetime]
    """When whole snapshots evenly over the span were taken, with this one and its neighbours,
    oldest first."""
    first: dt.datetime | None
    """When the oldest whole snapshot was taken; asked only where nothing is known of the time."""
    span: str
    """One of spans.SPANS."""
    since: dt.datetime
    until: dt.datetime
    """The ends of the span: of the slider, and of the timeline under it."""

    @property
    def past(self) -> bool:
        """Whether a time was asked for."""
        return self.asked is not None


def read(host: Host, query: Mapping[str, str], *, newest: Snapshot | None) -> Moment:
    """The moment ``query`` asks for, with ``at`` and ``span``; ``newest`` is the newest whole
    snapshot of ``host``.

    Raises FilterError naming ``at`` or ``span``. At most four queries, whatever the span.
    """
    asked = parse(query.get("at", ""))
    span = spans.read(query)
    snapshot = newest if asked is None else queries.snapshot_at(host, asked)
    when = None if asked is None or snapshot is None else snapshot.taken_at
    since, until = spans.around(host, span, when, timezone.now())
    if snapshot is None:
        first = walks.first(host) if asked is not None else None
        points = [] if first is None else [first]
        return Moment(asked, None, None, first, points, first, span, since, until)
    previous, following = walks.neighbours(host, snapshot.taken_at)
    evenly = walks.points(host, since, until, number=SLIDER_POINTS)
    near = (when for when in (previous, snapshot.taken_at, following) if when is not None)
    return Moment(
        asked=asked,
        snapshot=snapshot,
        previous=previous,
        following=following,
        points=sorted({*evenly, *near}),
        first=None,
        span=span,
        since=since,
        until=until,
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


def zoned(query: QueryDict, names: Iterable[str] = ("since", "until")) -> QueryDict:
    """A query whose times, given in the site's zone where they name none, are in UTC.

    A whole second means its beginning for ``since`` and its end for others. Raises FilterError
    naming the one that is no time.
    """
    given = query.copy()
    for name in names:
        listed = given.getlist(name)
        if len(listed) != 1 or not str(listed[0]).strip():
            continue
        try:
            when = parse(str(listed[0]))
        except FilterError as error:
            raise FilterError(name, error.message) from None
        if when is not None:
            begins = name == "since" and when.microsecond == 999_999
            given[name] = stamp(when.replace(microsecond=0) if begins else when)
    return given


def stamp(when: dt.datetime) -> str:
    """A time as the ``at`` of a link: exact to the microsecond, free of characters to escape."""
    return when.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def field_value(when: dt.datetime) -> str:
    """A time as ``<input type="datetime-local" step="1">`` wants it, in the site's zone."""
    return timezone.localtime(when).strftime("%Y-%m-%dT%H:%M:%S")
