"""Maintenance windows as a list, among those that a reader may see.

Place in the data's way: between the rows of ``Silence`` and the pages and routes that show them.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from hosts.models import Host, visible_groups
from netadmin.access.permissions import sees_all
from probes.alert_filters import SilenceFilter
from probes.history.queries.pages import Page, bad_cursor, open_cursor, seal
from probes.models import Silence

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


def visible(user: User | AnonymousUser) -> QuerySet[Silence]:
    """Windows that name hosts and groups that ``user`` may see; those that name neither are for
    whoever sees all hosts."""
    hosts = Host.objects.visible_to(user).order_by()
    groups = visible_groups(user).order_by()
    named = Q(host__in=hosts) & (Q(group=None) | Q(group__in=groups))
    named |= Q(host=None, group__in=groups)
    if sees_all(user):
        named |= Q(host=None, group=None)
    return Silence.objects.filter(named).select_related("host", "group", "rule")


def listed(
    rows: QuerySet[Silence], wanted: SilenceFilter, *, now: dt.datetime | None = None
) -> QuerySet[Silence]:
    """Those of :func:`visible` that pass the filter, the one that ends last first."""
    at = now or timezone.now()
    if wanted.state in ("current", "running", "planned"):
        rows = rows.filter(ends_at__gt=at)
    if wanted.state == "running":
        rows = rows.filter(starts_at__lte=at)
    if wanted.state == "planned":
        rows = rows.filter(starts_at__gt=at)
    if wanted.state == "over":
        rows = rows.filter(ends_at__lte=at)
    if wanted.host is not None:
        rows = rows.filter(host=wanted.host)
    if wanted.group is not None:
        rows = rows.filter(group__name=wanted.group)
    return rows.order_by("-ends_at", "-pk")


def page(rows: QuerySet[Silence], *, kind: str, cursor: str | None, limit: int) -> Page[Silence]:
    """One page of :func:`listed`; raises FilterError for a cursor that is not of ``kind``."""
    total = rows.count()
    if cursor is not None:
        when, pk = open_cursor(kind, cursor, parts=2)
        end = _time(when)
        rows = rows.filter(Q(ends_at__lt=end) | Q(ends_at=end, pk__lt=pk))
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        following = seal(kind, found[-1].ends_at.isoformat(), found[-1].pk)
    return Page(found, following, total)


def _time(text: Any) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise bad_cursor() from None
