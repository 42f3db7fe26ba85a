"""What opened, closed and changed on one host between two times.

Place in the data's way: shapes ``queries.diffs``. The two times are whole snapshots; a page has a
bounded number of rows whatever differs.
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
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import EARLIEST, FilterError, SocketFilter, parse
from probes.history import queries
from probes.history.queries import diffs
from probes.history.queries.diffs import Change, Diff, Side
from probes.models import Snapshot
from probes.views import ends, hostpage, lists, sockets
from probes.views import moment as moments
from probes.views.hostpage import with_query

ROWS: Final = 100

OWN: Final = ("from", "to", "at", "span", "kind", "what", "sort", "cursor")
"""Parameters of the page besides the filters."""

COLUMNS: Final = (
    ("kind", pgettext_lazy("difference", "Change"), ""),
    ("protocol", gettext_lazy("Proto"), ""),
    ("local_port", gettext_lazy("Local"), ""),
    ("foreign_ip", gettext_lazy("Remote"), ""),
    ("state", gettext_lazy("State"), ""),
    ("program", gettext_lazy("Program"), ""),
    ("pid", gettext_lazy("PID"), ""),
    ("seen", gettext_lazy("When"), ""),
)
KINDS: Final = {
    "opened": gettext_lazy("Opened"),
    "closed": gettext_lazy("Closed"),
    "changed": pgettext_lazy("difference", "Changed"),
}
WHATS: Final = {
    "listeners": gettext_lazy("Listeners"),
    "connections": gettext_lazy("Connections"),
}
BACK: Final = (
    ("3600", gettext_lazy("1 hour before")),
    ("86400", gettext_lazy("the day before")),
    ("604800", gettext_lazy("the week before")),
)
"""Quick choices of the first time: seconds before the second one."""


@require(Role.VIEWER)
@require_safe
def diff(request: HttpRequest, pk: int) -> HttpResponse:
    """The tab: two times, how much differs, and what."""
    host = hostpage.get(request, pk, removed=True)
    context = hostpage.context(request, host, tab="host_diff")
    problem: FilterError | None = None
    before: Snapshot | None = None
    after: Snapshot | None = None
    found: Diff | None = None
    try:
        before, after = _times(request, host)
        wanted = parse(SocketFilter, request.GET, ignore=OWN)
        kind = _one_of(request, "kind", KINDS)
        what = _one_of(request, "what", WHATS)
        if before is not None and after is not None:
            found = diffs.times(
                host,
                before,
                after,
                filters=wanted,
                kind=kind,
                what=what,
                sort=request.GET.get("sort", ""),
                cursor=request.GET.get("cursor") or None,
                limit=ROWS,
            )
    except FilterError as error:
        problem = error
    context |= sockets.bar(request, problem)
    context |= {
        "problem": problem,
        "before": before,
        "after": after,
        "found": found,
        "rows": (
            [_shaped(request, change, _when(host, change, before, after)) for change in found.rows]
            if found
            else []
        ),
        "total": found.total(kind=kind, what=what) if found else 0,
        "columns": lists.headings(
            request, COLUMNS, usual=diffs.USUAL_SORT, largest_first=("seen",)
        ),
        "next_url": (
            with_query(request) + f"&{urlencode({'cursor': found.next})}"
            if found and found.next
            else ""
        ),
        "first_page_url": with_query(request) if "cursor" in request.GET else "",
        "csv_url": _csv_url(request, host, before, after),
        "kept_fields": lists.kept(request, but=("from", "to", "at")),
        "filter_kept": lists.kept(request, but=(*sockets.NAMES, "at", "sort")),
        **_times_context(request, host, before, after),
        **(_chips(request, found) if found else {}),
    }
    return render(request, "probes/host_diff.html", context, status=400 if problem else 200)


def _times(request: HttpRequest, host: Host) -> tuple[Snapshot | None, Snapshot | None]:
    """The whole snapshots that ``from`` and ``to`` mean: the newest one (of ``at``, where the page
    before looked at a past time) and the one before it, where nothing is said."""
    begin, end = (_time(request, name) for name in ("from", "to"))
    end = end or moments.parse(request.GET.get("at", ""))
    after = hostpage.newest_whole(host) if end is None else queries.snapshot_at(host, end)
    if begin is not None:
        return queries.snapshot_at(host, begin), after
    return (None if after is None else diffs.previous(host, after)), after


def _time(request: HttpRequest, name: str) -> dt.datetime | None:
    try:
        return moments.parse(request.GET.get(name, ""))
    except FilterError as error:
        raise FilterError(name, error.message) from None


def _one_of(request: HttpRequest, name: str, allowed: dict[str, Any]) -> str | None:
    value = request.GET.get(name, "")
    if value and value not in allowed:
        raise FilterError(name, _("One of %(names)s.") % {"names": ", ".join(allowed)})
    return value or None


def _times_context(
    request: HttpRequest, host: Host, before: Snapshot | None, after: Snapshot | None
) -> dict[str, Any]:
    """The two fields, the quick choices and the links to both times."""
    end = after.taken_at if after is not None else timezone.now()
    second = moments.stamp(after.taken_at) if after is not None else None
    quick = [(_("the probe before"), with_query(request, at=None, to=second, **{"from": None}))]
    for seconds, label in BACK:
        begin = max(EARLIEST, end - dt.timedelta(seconds=int(seconds)))
        first = moments.stamp(begin)
        quick.append((str(label), with_query(request, at=None, to=second, **{"from": first})))
    swapped = ""
    if before is not None and after is not None:
        swapped = with_query(
            request, at=None, to=moments.stamp(before.taken_at), **{"from": second}
        )
    address = reverse("host", args=[host.pk])
    return {
        "from_shown": _field(request, "from", before),
        "to_shown": _field(request, "to", after),
        "quick": quick,
        "swap_url": swapped,
        "now_url": with_query(request, at=None, to=None, **{"from": None}),
        "before_url": _at(address, before),
        "after_url": _at(address, after),
        "turned": before is not None and after is not None and before.taken_at > after.taken_at,
        "same": before is not None and after is not None and before.pk == after.pk,
    }


def _field(request: HttpRequest, name: str, snapshot: Snapshot | None) -> str:
    """What a date field shows: the snapshot found, else the time asked for where it is one."""
    if snapshot is not None:
        return moments.field_value(snapshot.taken_at)
    try:
        asked = moments.parse(request.GET.get(name, ""))
    except FilterError:
        return ""
    return "" if asked is None else moments.field_value(asked)


def _at(address: str, snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return ""
    return f"{address}?{urlencode({'at': moments.stamp(snapshot.taken_at)})}"


def _chips(request: HttpRequest, found: Diff) -> dict[str, Any]:
    kind, what = request.GET.get("kind") or None, request.GET.get("what") or None
    return {
        "kinds": [
            lists.chip(request, "kind", None, _("All"), found.total(what=what)),
            *(
                lists.chip(request, "kind", name, label, found.total(what=what, kind=name))
                for name, label in KINDS.items()
            ),
        ],
        "whats": [
            lists.chip(request, "what", None, _("Both"), found.total(kind=kind)),
            *(
                lists.chip(request, "what", name, label, found.total(what=name, kind=kind))
                for name, label in WHATS.items()
            ),
        ],
    }


def _when(
    host: Host, change: Change, before: Snapshot | None, after: Snapshot | None
) -> dt.datetime | None:
    """When it was there: what is gone, at the first of both times; None where it is there now."""
    side = before if change.after is None else after
    return None if side is None or side == hostpage.newest_whole(host) else side.taken_at


def _shaped(request: HttpRequest, change: Change, when: dt.datetime | None) -> dict[str, Any]:
    """A row of the table; of what changed, both values where they differ."""
    newer = change.after or change.before
    assert newer is not None
    return {
        **ends.shaped(request, change, at=when),
        "kind": change.kind,
        "kind_label": KINDS[change.kind],
        "values": {
            name: _values(change.before, change.after, name)
            for name in ("state", "program", "pid", "copies")
        },
        "program_url": with_query(request, program=newer.program) if newer.program else "",
        "since": newer.first_seen if change.after is not None else None,
        "gone": newer.last_seen if change.after is None else None,
    }


def _values(before: Side | None, after: Side | None, name: str) -> tuple[Any, Any, bool]:
    """(old, new, whether both are known and differ)."""
    old, new = before and getattr(before, name), after and getattr(after, name)
    both = before is not None and after is not None
    return old, (new if after is not None else old), both and old != new


def _csv_url(
    request: HttpRequest, host: Host, before: Snapshot | None, after: Snapshot | None
) -> str:
    if before is None or after is None:
        return ""
    query = sockets.only(request, (*sockets.NAMES, "kind", "what", "sort"))
    query["from"] = moments.stamp(before.taken_at)
    query["to"] = moments.stamp(after.taken_at)
    query["format"] = "csv"
    return f"{reverse('api-host-diff', args=[host.pk])}?{query.urlencode()}"
