"""The page of alerts: what hunts found, newest first, with the rows that show it.

Place in the data's way: shapes ``queries.alerts``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from hosts.models import Host, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import mail
from probes.filters import FilterError, parse
from probes.history.queries import alerts as queries
from probes.history.queries.pages import Page
from probes.hunt_filters import AlertFilter
from probes.hunts import alert_mail
from probes.hunts import saved as saved_hunts
from probes.models import Alert, Hunt
from probes.views import moment as moments
from probes.views import place
from probes.views.hostpage import with_query

ROWS_A_PAGE: Final = 50
EVIDENCE_SHOWN: Final = 3
"""Rows in sight at once; the others open on a click."""
STATES: Final = (
    ("", gettext_lazy("all")),
    ("open", gettext_lazy("open")),
    ("acknowledged", gettext_lazy("acknowledged")),
)


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The alerts on hosts that the reader may see."""
    hosts = Host.objects.visible_to(request.user)
    problem: FilterError | None = None
    found: Page[Alert] = Page(())
    asked = AlertFilter()
    try:
        asked = parse(AlertFilter, request.GET, ignore=("cursor",))
        chosen = place.narrowed(request, hosts, host=asked.host, group=asked.group)
        found = queries.page(
            queries.listed(chosen, asked),
            kind=f"alerts:{asked.parameters()}",
            cursor=request.GET.get("cursor") or None,
            limit=ROWS_A_PAGE,
        )
    except FilterError as error:
        problem = error
    csv = asked.parameters() | {"format": "csv"}
    context = {
        "problem": problem,
        "rows": [_shaped(alert) for alert in found.rows],
        "total": found.total,
        "next_url": with_query(request, cursor=found.next) if found.next else "",
        "first_url": with_query(request) if request.GET.get("cursor") else "",
        "csv_url": f"{reverse('api-alerts')}?{urlencode(csv)}" if found.rows else "",
        "states": STATES,
        "mails_in_vain": not mail.can_mail()
        and any(alert.mail_after is not None for alert in found.rows),
        "hunts": list(Hunt.objects.order_by("name").values_list("pk", "name")),
        "groups": list(visible_groups(request.user).filter(hosts__in=hosts.order_by()).distinct()),
        "filtered": bool(asked.parameters()) or problem is not None,
        "here": request.get_full_path(),
    }
    return render(request, "probes/alerts.html", context, status=400 if problem else 200)


@require(Role.OPERATOR)
@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that somebody knows of it, and go back to the list."""
    visible = Alert.objects.filter(host__in=Host.objects.visible_to(request.user).order_by())
    alert = visible.filter(pk=pk).first() if pk < 2**63 else None
    if alert is None:
        raise Http404
    saved_hunts.acknowledge(alert, request=request)
    messages.success(request, _("Acknowledged: %(subject)s.") % {"subject": alert.subject})
    back = request.POST.get("next", "")
    local = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if local and back.startswith("/alerts/") else reverse("alerts"))


def _shaped(alert: Alert) -> dict[str, Any]:
    """An alert for the template: its rows with links to that very time of the host."""
    here = reverse("host", args=[alert.host_id])
    rows = [row | _times(row, here) for row in alert.evidence]
    return {
        "alert": alert,
        "host_url": here,
        "rows": rows[:EVIDENCE_SHOWN],
        "more": rows[EVIDENCE_SHOWN:],
        "not_mailed": _not_mailed(alert),
    }


def _not_mailed(alert: Alert) -> str:
    """Why an alert that is to be mailed has not been; empty where that is in order."""
    if alert.mail_after is not None and not mail.can_mail():
        return _("not mailed: no mail server is set")
    if alert.mailed_at is None and alert.mail_tries:
        if alert.mail_after is not None:
            return _("not mailed to all yet: it is tried again")
        if alert.mail_tries >= alert_mail.TRIES:
            return _("not mailed to all: the mail server refused it or was out of reach")
    return ""


def _times(row: dict[str, Any], host_url: str) -> dict[str, Any]:
    first = dt.datetime.fromisoformat(row["first_seen"])
    at = urlencode({"at": moments.stamp(first)})
    return {"first_seen": first, "then_url": f"{host_url}?{at}" if host_url else ""}
