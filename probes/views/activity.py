"""The page of the activity: what happened and what was done, newest first.

Place in the data's way: shapes ``queries.activity``; refreshes itself while it is seen.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host, SyncRun, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import administers_all, require
from probes.alert_filters import ActivityFilter
from probes.filters import FilterError, parse
from probes.history.queries import activity as queries
from probes.history.queries import windows
from probes.history.queries.activity import Entry
from probes.history.queries.pages import Page
from probes.views import moment as moments
from probes.views import place
from probes.views.hostpage import with_query
from probes.views.watched import CHANGE_ICONS, at_url, colour
from probes.wording import activity as wording

ROWS_A_PAGE: Final = 50
KINDS: Final = (
    ("", gettext_lazy("everything")),
    (queries.CHANGE, gettext_lazy("changes")),
    (queries.ACKNOWLEDGED, gettext_lazy("acknowledgements")),
    (queries.SNOOZE, gettext_lazy("snoozes")),
    (queries.WINDOW, gettext_lazy("maintenance windows")),
    (queries.RESTART, gettext_lazy("restarts")),
    (queries.SYNC, gettext_lazy("synchronisations")),
)
RESTART_ICONS: Final = {
    "recovered": "ok",
    "still_down": "bad",
    "failed": "bad",
    "refused": "warn",
    "unknown": "warn",
    "dry_run": "info",
}
SYNC_ICONS: Final = {
    SyncRun.State.DONE: "ok",
    SyncRun.State.UNCHANGED: "ok",
    SyncRun.State.WAITING: "warn",
    SyncRun.State.REFUSED: "warn",
    SyncRun.State.FAILED: "bad",
    SyncRun.State.DRY_RUN: "info",
}


def seen(request: HttpRequest) -> queries.Seen:
    """What the caller may see of it."""
    return queries.Seen(
        hosts=Host.objects.visible_to(request.user),
        windows=windows.visible(request.user),
        synchronisations=administers_all(request.user),
    )


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """The activity; for htmx only its list."""
    problem: FilterError | None = None
    found: Page[Entry] = Page(())
    asked = ActivityFilter()
    try:
        asked = parse(ActivityFilter, moments.zoned(request.GET), ignore=("cursor",))
        place.narrowed(
            request, Host.objects.visible_to(request.user), host=asked.host, group=asked.group
        )
        found = queries.page(
            seen(request), asked, cursor=request.GET.get("cursor") or None, limit=ROWS_A_PAGE
        )
    except FilterError as error:
        problem = error
    csv = asked.parameters() | {"format": "csv"}
    context: dict[str, Any] = {
        "problem": problem,
        "rows": [_shaped(entry) for entry in found.rows],
        "next_url": with_query(request, cursor=found.next) if found.next else "",
        "first_url": with_query(request) if request.GET.get("cursor") else "",
        "filtered": bool(asked.parameters()) or problem is not None,
        "poll_url": request.get_full_path(),
        "live": not request.GET.get("cursor") and problem is None,
    }
    if request.headers.get("HX-Request") == "true" and problem is None:
        return render(request, "probes/_activity_live.html", context)
    kinds = KINDS if administers_all(request.user) else KINDS[:-1]
    visible = Host.objects.kept().visible_to(request.user)
    context |= {
        "asked": asked,
        "since_value": _field(asked.since),
        "until_value": _field(asked.until),
        "kinds": kinds,
        "csv_url": f"{reverse('api-activity')}?{urlencode(csv)}" if found.rows else "",
        "hosts": list(visible.order_by("name").values_list("pk", "name")),
        "groups": list(
            visible_groups(request.user).order_by("name").values_list("name", flat=True)
        ),
    }
    return render(request, "probes/activity.html", context, status=400 if problem else 200)


def _shaped(entry: Entry) -> dict[str, Any]:
    """An entry for the template."""
    row = entry.row
    icon, url = "info", ""
    if entry.kind == queries.CHANGE:
        icon = CHANGE_ICONS.get(row.kind, "info")
        url = (
            reverse("alert", args=[row.alert_id])
            if row.alert_id is not None
            else at_url(reverse("host", args=[row.host_id]), row.at)
        )
    elif entry.kind == queries.ACKNOWLEDGED:
        icon, url = "ok", reverse("alert", args=[row.pk])
    elif entry.kind in (queries.SNOOZE, queries.WINDOW):
        icon, url = "off", reverse("silences") + "?state=all"
    elif entry.kind == queries.RESTART:
        icon, url = RESTART_ICONS.get(row.state, "refresh"), _url("service", row.service_id)
    elif entry.kind == queries.SYNC:
        icon, url = SYNC_ICONS.get(row.state, "refresh"), _url("sync_run", row.pk)
    return {
        "entry": entry,
        "icon": icon,
        "css": colour(icon),
        "url": url,
        "title": wording.title(entry),
        "second": wording.second(entry),
        "kind": wording.KINDS[entry.kind],
    }


def _url(name: str, pk: int) -> str:
    try:
        return reverse(name, args=[pk])
    except NoReverseMatch:
        return ""


def _field(when: dt.datetime | None) -> str:
    return "" if when is None else moments.field_value(when)
