"""Alerts as a list, newest first, and how many are open.

Place in the data's way: between the rows that ``probes.hunts.running`` writes and the pages and
routes that show them. The hosts that are given decide what may be seen.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Q, QuerySet

from hosts.models import Host
from probes.history.queries.pages import Page, open_cursor, seal
from probes.hunt_filters import AlertFilter
from probes.models import Alert


def listed(hosts: QuerySet[Host], wanted: AlertFilter) -> QuerySet[Alert]:
    """The alerts on ``hosts`` that pass the filter, newest first, with host and hunt."""
    rows = Alert.objects.using(hosts.db).filter(host__in=hosts.order_by())
    if wanted.state is not None:
        rows = rows.filter(acknowledged_at__isnull=wanted.state == "open")
    if wanted.hunt is not None:
        rows = rows.filter(hunt=wanted.hunt)
    if wanted.host is not None:
        rows = rows.filter(host=wanted.host)
    if wanted.group is not None:
        rows = rows.filter(host__in=hosts.order_by().filter(groups__name=wanted.group))
    return rows.select_related("host", "hunt").order_by("-newest_at", "-pk")


def page(rows: QuerySet[Alert], *, kind: str, cursor: str | None, limit: int) -> Page[Alert]:
    """One page of :func:`listed`; raises FilterError for a cursor that is not of ``kind``."""
    total = rows.count()
    if cursor is not None:
        when, pk = open_cursor(kind, cursor, parts=2)
        newest = dt.datetime.fromisoformat(when)
        # The time once more alone, for the index.
        rows = rows.filter(
            Q(newest_at__lt=newest) | Q(newest_at=newest, pk__lt=pk), newest_at__lte=newest
        )
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        following = seal(kind, found[-1].newest_at.isoformat(), found[-1].pk)
    return Page(found, following, total)


def open_count(hosts: QuerySet[Host]) -> int:
    """How many alerts on ``hosts`` nobody has acknowledged: the rows of one partial index."""
    return Alert.objects.using(hosts.db).filter(
        acknowledged_at=None, host__in=hosts.order_by()
    ).count()  # fmt: skip
