"""What happened and what was done, as one list, newest first.

Place in the data's way: between changes, alerts, windows, restarts and synchronisations, each
written by its own module, and the page and route of the activity. What may be seen is given: the
hosts, the windows, and whether synchronisations are.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.db.models import OuterRef, Q, QuerySet, Subquery

from hosts.models import Host, SyncRun
from probes.alert_filters import ActivityFilter
from probes.history.queries.pages import Page, bad_cursor, open_cursor, seal
from probes.models import Alert, Change, Restart, Silence

CHANGE, ACKNOWLEDGED, SNOOZE, WINDOW = "change", "acknowledged", "snooze", "window"
RESTART, SYNC = "restart", "sync"
KINDS: Final = (CHANGE, ACKNOWLEDGED, SNOOZE, WINDOW, RESTART, SYNC)
ROWS_AT_ONCE: Final = 500
ALERT_FIELDS: Final = ("subject", "facts", "hits")
"""Of the alert that a snooze is about: ``alert_subject`` and so on of its row."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of the feed."""

    kind: str
    """One of KINDS."""
    at: dt.datetime
    pk: int
    row: Any
    """The Change, Alert, Silence, Restart or SyncRun, with what its words need."""
    host: Host | None
    person: str
    """User name; empty where nobody did it."""

    @property
    def key(self) -> tuple[dt.datetime, int, int]:
        """Falls from the newest to the oldest, and is unique."""
        return self.at, KINDS.index(self.kind), self.pk


@dataclass(frozen=True, slots=True)
class Seen:
    """What the reader may see."""

    hosts: QuerySet[Host]
    windows: QuerySet[Silence]
    synchronisations: bool


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows of one table, and how one becomes an entry."""

    kind: str
    rows: QuerySet[Any]
    time: str
    """Name of the field that says when."""
    host: Callable[[Any], Host | None]
    person: Callable[[Any], str]

    def entry(self, row: Any) -> Entry:
        when = getattr(row, self.time)
        return Entry(self.kind, when, row.pk, row, self.host(row), self.person(row))


def page(seen: Seen, wanted: ActivityFilter, *, cursor: str | None, limit: int) -> Page[Entry]:
    """Some of the feed; raises FilterError for a cursor of another list. One query a kind."""
    kind = f"activity:{wanted.parameters()}"
    after = None if cursor is None else _opened(kind, cursor)
    found = list(islice(_merged(_sources(seen, wanted), after, limit + 1), limit + 1))
    following = None
    if len(found) > limit:
        found.pop()
        last = found[-1]
        following = seal(kind, last.at.isoformat(), KINDS.index(last.kind), last.pk)
    return Page(found, following)


def every(seen: Seen, wanted: ActivityFilter) -> Iterator[Entry]:
    """All of the feed, read some rows at a time."""
    return _merged(_sources(seen, wanted), None, None)


def newest_changes(hosts: QuerySet[Host], *, most: int) -> list[Change]:
    """The newest changes on ``hosts``. One query."""
    rows = Change.objects.filter(host__in=hosts.order_by())
    return list(rows.select_related("host", "alert", "alert__rule").order_by("-at", "-pk")[:most])


def _opened(kind: str, cursor: str) -> tuple[dt.datetime, int, int]:
    when, rank, pk = open_cursor(kind, cursor, parts=3)
    try:
        return dt.datetime.fromisoformat(when), int(rank), int(pk)
    except (TypeError, ValueError):
        raise bad_cursor() from None


def _merged(
    sources: list[_Source], after: tuple[dt.datetime, int, int] | None, most: int | None
) -> Iterator[Entry]:
    streams = [_stream(source, after, most) for source in sources]
    return heapq.merge(*streams, key=lambda entry: entry.key, reverse=True)


def _stream(
    source: _Source, after: tuple[dt.datetime, int, int] | None, most: int | None
) -> Iterator[Entry]:
    rows, time = source.rows, source.time
    if after is not None:
        when, rank, pk = after
        here = KINDS.index(source.kind)
        beside = Q(**{time: when}, pk__lt=pk) if here == rank else Q(**{time: when})
        earlier = Q(**{f"{time}__lt": when})
        # The time once more alone, for the index.
        rows = rows.filter(earlier | beside if here <= rank else earlier, **{f"{time}__lte": when})
    rows = rows.order_by(f"-{time}", "-pk")
    listed = rows.iterator(ROWS_AT_ONCE) if most is None else iter(rows[:most])
    return (source.entry(row) for row in listed)


def _sources(seen: Seen, wanted: ActivityFilter) -> list[_Source]:
    hosts = seen.hosts.order_by()
    if wanted.host is not None:
        hosts = hosts.filter(pk=wanted.host)
    if wanted.group is not None:
        hosts = hosts.filter(groups__name=wanted.group)
    narrowed = wanted.host is not None or wanted.group is not None
    windows = seen.windows.select_related("host", "group", "rule")
    if narrowed:
        windows = windows.filter(_about(wanted))
    found = [
        _Source(
            CHANGE,
            Change.objects.filter(host__in=hosts).select_related("host", "alert", "alert__rule"),
            "at",
            _host_of,
            _nobody,
        ),
        _Source(
            ACKNOWLEDGED,
            Alert.objects.filter(host__in=hosts, acknowledged_at__isnull=False).select_related(
                "host", "rule", "hunt"
            ),
            "acknowledged_at",
            _host_of,
            lambda row: str(row.acknowledged_by),
        ),
        _Source(SNOOZE, _snoozes(windows), "created_at", _host_of, _creator),
        _Source(WINDOW, windows.filter(fingerprint=""), "created_at", _host_of, _creator),
        _Source(
            RESTART,
            Restart.objects.filter(host__in=hosts).select_related("host", "service"),
            "planned_at",
            _host_of,
            lambda row: str(row.by),
        ),
    ]
    if seen.synchronisations and not narrowed:
        found.append(
            _Source(
                SYNC,
                SyncRun.objects.select_related("source").defer("plan"),
                "started_at",
                lambda _row: None,
                lambda row: str(row.by),
            )
        )
    asked = [source for source in found if wanted.kind in (None, source.kind)]
    return [_narrowed(source, wanted) for source in asked if _may_be_by(source, wanted)]


def _snoozes(windows: QuerySet[Silence]) -> QuerySet[Silence]:
    """Those of one alert, with what its words need; null where it is gone."""
    newest = Alert.objects.filter(
        host=OuterRef("host"), fingerprint=OuterRef("fingerprint")
    ).order_by("-opened_at", "-pk")
    return windows.exclude(fingerprint="").annotate(
        **{f"alert_{name}": Subquery(newest.values(name)[:1]) for name in ALERT_FIELDS}
    )


_PEOPLE: Final = {
    ACKNOWLEDGED: "acknowledged_by",
    SNOOZE: "created_by",
    WINDOW: "created_by",
    RESTART: "by",
    SYNC: "by",
}


def _may_be_by(source: _Source, wanted: ActivityFilter) -> bool:
    return wanted.person is None or source.kind in _PEOPLE


def _narrowed(source: _Source, wanted: ActivityFilter) -> _Source:
    rows = source.rows
    if wanted.since is not None:
        rows = rows.filter(**{f"{source.time}__gte": wanted.since})
    if wanted.until is not None:
        rows = rows.filter(**{f"{source.time}__lte": wanted.until})
    if wanted.person is not None:
        rows = rows.filter(**{_PEOPLE[source.kind]: wanted.person})
    return _Source(source.kind, rows, source.time, source.host, source.person)


def _about(wanted: ActivityFilter) -> Q:
    """Windows that name the host, or the group or a host of it."""
    about = Q()
    if wanted.host is not None:
        about &= Q(host=wanted.host)
    if wanted.group is not None:
        named = Host.groups.through.objects.filter(hostgroup__name=wanted.group)
        about &= Q(group__name=wanted.group) | Q(host__in=named.values("host_id"))
    return about


def _host_of(row: Any) -> Host | None:
    host: Host | None = row.host
    return host


def _nobody(_row: Any) -> str:
    return ""


def _creator(row: Any) -> str:
    return str(row.created_by)
