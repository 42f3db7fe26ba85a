"""The connections of one host over a time: since when, through which states, held by whom.

Place in the data's way: shapes ``queries.intervals``. The work is bounded there; where the time was
cut for it, the page says so.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError, SocketFilter, parse
from probes.history.queries import intervals
from probes.history.queries.intervals import Connection, History
from probes.views import ends, hostpage, lists, sockets, spans
from probes.views import moment as moments
from probes.views.hostpage import with_query

ROWS: Final = 100
USUAL_SPAN: Final = "86400"
LONGEST: Final = dt.timedelta(days=366)

OWN: Final = ("since", "until", "at", "span", "what", "sort", "cursor")
"""Parameters of the page besides the filters."""

COLUMNS: Final = (
    ("protocol", gettext_lazy("Proto"), ""),
    ("local_port", gettext_lazy("Local"), ""),
    ("foreign_ip", gettext_lazy("Remote"), ""),
    ("first_seen", gettext_lazy("First seen"), ""),
    ("last_seen", gettext_lazy("Last seen"), ""),
    ("duration", gettext_lazy("Seen for"), "na-num"),
    ("", gettext_lazy("States"), ""),
    ("", gettext_lazy("Held by"), ""),
    ("direction", gettext_lazy("Direction"), ""),
)
WHATS: Final = {
    "listeners": gettext_lazy("Listeners"),
    "connections": gettext_lazy("Connections"),
}
STEPS: Final = 6
"""States of one connection that a row shows; the others are counted."""
HOLDERS: Final = 3
"""Processes of one connection that a row names."""


@require(Role.VIEWER)
@require_safe
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """The tab: a time, filters, and each connection from first to last sight."""
    host = hostpage.get(request, pk, removed=True)
    context = hostpage.context(request, host, tab="host_history")
    problem: FilterError | None = None
    found: History | None = None
    since = until = None
    span = USUAL_SPAN
    try:
        span = spans.read(request.GET, usual=USUAL_SPAN)
        since, until = _time(request, host, span)
        wanted = parse(SocketFilter, request.GET, ignore=OWN)
        found = intervals.history(
            host,
            since=since,
            until=until,
            filters=wanted,
            listeners=_listeners(request),
            sort=request.GET.get("sort", ""),
            cursor=request.GET.get("cursor") or None,
            limit=ROWS,
        )
    except FilterError as error:
        problem = error
    context |= sockets.bar(request, problem)
    context |= {
        "problem": problem,
        "found": found,
        "rows": [_shaped(request, row, until) for row in found.rows] if found else [],
        "columns": lists.headings(
            request,
            COLUMNS,
            usual=intervals.USUAL_SORT,
            largest_first=("first_seen", "last_seen", "duration"),
        ),
        "whats": [
            lists.chip(request, "what", None, _("Both"), None),
            *(lists.chip(request, "what", name, label, None) for name, label in WHATS.items()),
        ],
        "spans": lists.spans(request, "" if request.GET.get("since") else span, since=None),
        "since_value": _field(since),
        "until_value": _field(until),
        "next_url": (
            with_query(request) + f"&{urlencode({'cursor': found.next})}"
            if found and found.next
            else ""
        ),
        "first_page_url": with_query(request) if "cursor" in request.GET else "",
        "now_url": with_query(request, at=None, since=None, until=None),
        "past": bool(request.GET.get("at") or request.GET.get("until")),
        "kept_fields": lists.kept(request, but=("since", "until", "at")),
        "filter_kept": lists.kept(request, but=(*sockets.NAMES, "at", "sort")),
        "csv_url": "" if found is None else _csv_url(request, host, since, until),
    }
    return render(request, "probes/host_history.html", context, status=400 if problem else 200)


def _time(request: HttpRequest, host: Host, span: str) -> tuple[dt.datetime, dt.datetime]:
    """From when to when: ``since`` and ``until``; a span that ends at ``at`` or now."""
    begin, end = (_moment(request, name) for name in ("since", "until"))
    until = end or moments.parse(request.GET.get("at", "")) or timezone.now()
    if begin is None:
        begin = spans.begin(host, span, until)
    elif begin.microsecond == 999_999:
        begin = begin.replace(microsecond=0)  # the beginning of its second, not the end
    if begin >= until:
        raise FilterError("since", _("Give a time before the other."))
    if until - begin > LONGEST:
        raise FilterError("since", _("Give a time at most 366 days before the other."))
    return begin, until


def _moment(request: HttpRequest, name: str) -> dt.datetime | None:
    try:
        return moments.parse(request.GET.get(name, ""))
    except FilterError as error:
        raise FilterError(name, error.message) from None


def _listeners(request: HttpRequest) -> bool | None:
    what = request.GET.get("what", "")
    if what and what not in WHATS:
        raise FilterError("what", _("One of %(names)s.") % {"names": ", ".join(WHATS)})
    return None if not what else what == "listeners"


def _field(when: dt.datetime | None) -> str:
    return "" if when is None else moments.field_value(when)


def _when(request: HttpRequest, row: Connection, until: dt.datetime | None) -> dt.datetime | None:
    """When it was last there, up to the end of what is shown; None where it is there now."""
    if row.is_open and not (request.GET.get("at") or request.GET.get("until")):
        return None
    return row.last_seen if until is None else min(row.last_seen, until)


def _shaped(request: HttpRequest, row: Connection, until: dt.datetime | None) -> dict[str, Any]:
    path = row.states
    holders = [process for process in row.processes if process != (None, None)]
    listens = row.direction == "listen"
    return {
        **ends.shaped(request, row, at=_when(request, row, until)),
        "first_seen": row.first_seen,
        "first_url": _at(request, row.first_seen),
        "last_seen": row.last_seen,
        "last_url": "" if row.is_open else _at(request, row.last_seen),
        "is_open": row.is_open,
        "duration": duration(row.duration_s),
        "times": row.times,
        "path": [(state, duration(lasted_s)) for state, lasted_s in path[:STEPS]],
        "more_states": max(0, len(path) - STEPS),
        "single": len(path) == 1,
        "holders": [
            (program, pid, with_query(request, program=program) if program else "")
            for pid, program in holders[:HOLDERS]
        ],
        "more_holders": max(0, len(holders) - HOLDERS),
        "listens": listens,
    }


def _at(request: HttpRequest, when: dt.datetime) -> str:
    """The host as it was at that time."""
    match = request.resolver_match
    assert match is not None
    address = reverse("host", args=[match.kwargs["pk"]])
    return f"{address}?{urlencode({'at': moments.stamp(when)})}"


def duration(seconds: float) -> str:
    """``0 s``, ``95 s``, ``12 min``, ``5 h``, ``3 d``: a length of time in one unit."""
    for least, unit, text in (
        (2 * 86_400, 86_400, _("%(n)s d")),
        (2 * 3600, 3600, _("%(n)s h")),
        (120, 60, _("%(n)s min")),
    ):
        if seconds >= least:
            return text % {"n": round(seconds / unit)}
    return _("%(n)s s") % {"n": round(seconds)}


def _csv_url(
    request: HttpRequest, host: Host, since: dt.datetime | None, until: dt.datetime | None
) -> str:
    assert since is not None
    assert until is not None
    query = sockets.only(request, (*sockets.NAMES, "what", "sort"))
    query["since"] = moments.stamp(since)
    query["until"] = moments.stamp(until)
    query["format"] = "csv"
    return f"{reverse('api-host-history', args=[host.pk])}?{query.urlencode()}"
