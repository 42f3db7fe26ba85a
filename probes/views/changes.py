"""The page of changes: what became of ports, thresholds, probes and peers, and when.

Place in the data's way: shapes ``queries.changes``. Everything that filters is in the address.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError, parse
from probes.history.queries import changes as queries
from probes.history.queries.changes import ChangeFilter
from probes.history.queries.pages import Page
from probes.models import Change
from probes.views import lists, place, watched
from probes.views import moment as moments
from probes.views.hostpage import with_query
from probes.watch.port_list import PROTOCOLS
from probes.wording.ports import RANGES

ROWS_A_PAGE: Final = 100
MOST_TEXT: Final = 120
COLUMNS: Final = (
    ("at", gettext_lazy("Time"), ""),
    ("host", gettext_lazy("Host"), ""),
    ("kind", gettext_lazy("What"), ""),
    ("port", gettext_lazy("Port"), "na-num"),
    ("", gettext_lazy("Before"), ""),
    ("", gettext_lazy("After"), ""),
    ("", gettext_lazy("Alert"), ""),
)


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The changes on hosts that the reader may see."""
    visible = Host.objects.visible_to(request.user)
    problem: FilterError | None = None
    found: Page[Change] = Page((), total=0)
    asked = ChangeFilter()
    try:
        asked = parse(ChangeFilter, moments.zoned(request.GET), ignore=("cursor",))
        chosen = place.narrowed(request, visible, host=asked.host, group=asked.group)
        found = queries.page(
            queries.listed(chosen, asked),
            asked,
            cursor=request.GET.get("cursor") or None,
            limit=ROWS_A_PAGE,
        )
    except FilterError as error:
        problem = error
    own = {name for name in asked.parameters() if name != "sort"}
    context = {
        "problem": problem,
        "asked": asked,
        "rows": [_shaped(change) for change in found.rows],
        "total": min(found.total or 0, queries.MOST_COUNTED),
        "more": (found.total or 0) > queries.MOST_COUNTED,
        "headings": lists.headings(
            request, COLUMNS, usual=queries.USUAL_SORT, largest_first=("at",)
        ),
        "kinds": Change.Kind.choices,
        "protocols": PROTOCOLS,
        "ranges": [(of.value, label) for of, label in RANGES.items()],
        "hosts": list(visible.kept().order_by("name").values_list("pk", "name")),
        "groups": list(
            visible_groups(request.user).order_by("name").values_list("name", flat=True)
        ),
        "since_value": _field(asked.since),
        "until_value": _field(asked.until),
        "filtered": bool(own) or problem is not None,
        "next_url": f"{with_query(request)}&{urlencode({'cursor': found.next})}"
        if found.next
        else "",
        "first_url": with_query(request) if request.GET.get("cursor") else "",
        "csv_url": f"{reverse('api-changes')}?{urlencode(asked.parameters() | {'format': 'csv'})}"
        if found.rows
        else "",
    }
    return render(request, "probes/changes.html", context, status=400 if problem else 200)


def _shaped(change: Change) -> dict[str, Any]:
    """A change for the template: its sentence, and who held the port before and after."""
    before, after = sides(change)
    return watched.change_row(change) | {
        "before": before,
        "after": after,
        "alert_url": reverse("alert", args=[change.alert_id]) if change.alert_id else "",
        "alert": change.alert,
    }


def sides(change: Change) -> tuple[dict[str, Any], dict[str, Any]]:
    """Programs, PIDs and addresses before and after, as far as a change of a port keeps them."""
    detail = change.detail if isinstance(change.detail, dict) else {}
    return _side(detail.get("before")), _side(detail.get("after"))


def _side(held: Any) -> dict[str, Any]:
    if not isinstance(held, dict):
        return {}
    texts = {
        name: ", ".join(map(str, value))[:MOST_TEXT]
        for name in ("programs", "pids", "addresses")
        if isinstance(value := held.get(name), list) and value
    }
    value = held.get("value")
    return texts | ({"value": value} if isinstance(value, int | float) else {})


def _field(when: dt.datetime | None) -> str:
    return "" if when is None else moments.field_value(when)
