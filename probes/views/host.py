"""The connections of one host, now or at any whole snapshot of the past.

Place in the data's way: shapes ``queries.connections``. A page has a bounded number of rows
however many sockets the host has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import names
from probes.filters import FilterError
from probes.history import queries
from probes.models import Snapshot
from probes.views import hostpage, sockets, timeline
from probes.views import moment as moments
from probes.views.hostpage import with_query

ROWS = 100

COLUMNS = (
    ("protocol", gettext_lazy("Proto"), ""),
    ("local_port", gettext_lazy("Local"), ""),
    ("foreign_ip", gettext_lazy("Remote"), ""),
    ("state", gettext_lazy("State"), ""),
    ("program", gettext_lazy("Program"), ""),
    ("pid", gettext_lazy("PID"), "na-num"),
    ("direction", gettext_lazy("Direction"), ""),
    ("recv_queue", gettext_lazy("Recv-Q"), "na-num"),
    ("send_queue", gettext_lazy("Send-Q"), "na-num"),
    ("first_seen", gettext_lazy("First seen"), ""),
)
"""(sort name, heading, CSS)"""

DEFAULT_SORT = "local_port"
LARGEST_FIRST = frozenset({"recv_queue", "send_queue", "first_seen"})


@require(Role.VIEWER)
@require_safe
def host(request: HttpRequest, pk: int) -> HttpResponse:
    """The connections tab. For htmx only the table; 204 where it would be the one it has."""
    shown_host = hostpage.get(request, pk, removed=True)
    newest = hostpage.newest_whole(shown_host)
    live = bool(getattr(request, "htmx", False))
    if live and request.GET.get("known") == str(newest.pk if newest else 0):
        return HttpResponse(status=204)
    context = hostpage.context(request, shown_host, tab="host")
    problem: FilterError | None = None
    rows: Sequence[queries.SocketRow] = ()
    cursor = request.GET.get("cursor") or None
    following: str | None = None
    total: int | None = None
    listed: Snapshot | None = None
    at_moment: moments.Moment | None = None
    by = timeline.BYS[0][0]
    try:
        at_moment = moments.read(shown_host, request.GET, newest=newest)
        by = timeline.read(request)
        wanted = sockets.read(request)
        if at_moment.snapshot is not None:
            page = queries.connections(
                shown_host,
                # A cursor of the newest page goes on in the snapshot that page showed.
                snapshot=None if cursor and not at_moment.past else at_moment.snapshot,
                filters=wanted,
                sort=request.GET.get("sort", ""),
                cursor=cursor,
                limit=ROWS,
            )
            rows, following, total = page.rows, page.next, page.total
            listed = page.snapshot
    except FilterError as error:
        problem = error
    if at_moment is None:
        at_moment = moments.read(shown_host, {}, newest=newest)
    context |= hostpage.time_context(request, shown_host, at_moment)
    context |= sockets.bar(request, problem)
    context |= {
        "problem": problem,
        "rows": sockets.shaped(request, rows),
        "hints": names.hints(row.foreign_ip for row in rows),
        "total": total,
        "states": sockets.states(request, at_moment.snapshot),
        "columns": columns(request),
        "listed": listed,
        "live": not at_moment.past and cursor is None and shown_host.removed_at is None,
        "first_page_url": with_query(request) if cursor else "",
        "next_url": with_query(request) + f"&cursor={following}" if following else "",
        "csv_url": _csv_url(request, shown_host.pk, at_moment),
        "waiting_hint": _("The first whole probe of this host will fill this table."),
    }
    if not live:
        context["chart"] = timeline.context(request, shown_host, at_moment, by)
    template = "probes/_connections.html" if live else "probes/host.html"
    return render(request, template, context, status=400 if problem else 200)


def columns(request: HttpRequest) -> list[dict[str, Any]]:
    """The table's headings, each a link that sorts; the second click turns the order round."""
    current = request.GET.get("sort") or DEFAULT_SORT
    shaped = []
    for name, label, css in COLUMNS:
        first = f"-{name}" if name in LARGEST_FIRST else name
        second = name if first.startswith("-") else f"-{name}"
        active = current in (first, second)
        shaped.append(
            {
                "label": label,
                "css": css,
                "order": "" if not active else "descending" if current[0] == "-" else "ascending",
                "url": with_query(request, sort=second if current == first else first),
            }
        )
    return shaped


def _csv_url(request: HttpRequest, pk: int, at_moment: moments.Moment) -> str:
    if at_moment.snapshot is None:
        return ""
    query = sockets.only(request, (*sockets.NAMES, "sort"))
    if at_moment.past:
        query["at"] = moments.stamp(at_moment.snapshot.taken_at)
    query["format"] = "csv"
    return f"{reverse('api-host-connections', args=[pk])}?{query.urlencode()}"
