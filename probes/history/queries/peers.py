"""Peers as a list, and the new-peer watches with how many each has.

Place in the data's way: between the rows that ``probes.watch.drift`` writes and the page and routes
that show them. The groups that are given decide what may be seen.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from hosts.models import HostGroup
from probes.history.queries.pages import Page, open_cursor, seal
from probes.models import DriftWatch, Peer
from probes.peer_filters import PeerFilter, networks_of

DEFAULT_SORT: Final = "-first_seen"


def listed(groups: QuerySet[HostGroup], wanted: PeerFilter) -> QuerySet[Peer]:
    """The peers of ``groups`` that pass the filter, in its order, with group and first host."""
    rows = Peer.objects.filter(group__in=groups.order_by())
    if wanted.state is not None:
        rows = rows.filter(state=wanted.state)
    if wanted.group is not None:
        rows = rows.filter(group__name=wanted.group)
    if wanted.program is not None:
        rows = rows.filter(program__icontains=wanted.program)
    if wanted.ip is not None:
        rows = rows.filter(network__in=list(networks_of(wanted.ip)))
    sort = wanted.sort or DEFAULT_SORT
    down = "-" if sort.startswith("-") else ""
    return rows.select_related("group", "host").order_by(sort, f"{down}pk")


def page(rows: QuerySet[Peer], wanted: PeerFilter, *, cursor: str | None, limit: int) -> Page[Peer]:
    """One page of :func:`listed`; raises FilterError for a cursor of another list or order."""
    sort = wanted.sort or DEFAULT_SORT
    kind = f"peers:{sort}:{sorted(wanted.parameters().items())}"
    name, beyond = sort.lstrip("-"), "lt" if sort.startswith("-") else "gt"
    total = rows.count()
    if cursor is not None:
        edge, pk = open_cursor(kind, cursor, parts=2)
        value: Any = edge
        if name.endswith("_seen"):
            value = dt.datetime.fromisoformat(edge)
        rows = rows.filter(
            Q(**{f"{name}__{beyond}": value}) | Q(**{name: value, f"pk__{beyond}": pk})
        )
    found = list(rows[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        last = getattr(found[-1], name)
        shown = last.isoformat() if isinstance(last, dt.datetime) else last
        following = seal(kind, shown, found[-1].pk)
    return Page(found, following, total)


def watches(groups: QuerySet[HostGroup]) -> QuerySet[DriftWatch]:
    """The watches of ``groups``, by name of the group, each with ``known`` and ``new`` peers."""
    rows = DriftWatch.objects.filter(group__in=groups.order_by()).select_related("group")
    return rows.annotate(
        known=Count("group__peers"),
        new=Count("group__peers", filter=Q(group__peers__state=Peer.State.NEW)),
    ).order_by("group__name", "pk")
