"""The pages of alerts: the list with what is asked of it, one alert with what shows it, and what
people do about them.

Place in the data's way: shapes ``queries.alerts`` in the words of ``wording.alerts``; what is done
goes through ``watch.handling``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from hosts.models import Host, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import mail
from probes.alert_filters import AlertFilter
from probes.filters import FilterError, parse
from probes.history.queries import alerts as queries
from probes.history.queries.pages import Page
from probes.hunts import alert_mail
from probes.models import Alert, AlertKind, Hunt, Rule, Severity, Silence
from probes.views import moment as moments
from probes.views import place
from probes.views.hostpage import with_query
from probes.views.watched import ICONS, alert_links, change_row, evidence_rows, pivots
from probes.watch import handling, silences
from probes.wording import alerts as wording

ROWS_A_PAGE: Final = 50
MOST_CHANGES: Final = 100
MOST_DELIVERIES: Final = 50
STATES: Final = (
    ("", gettext_lazy("active")),
    ("open", gettext_lazy("nobody knows of")),
    ("acknowledged", gettext_lazy("acknowledged")),
    ("silenced", gettext_lazy("silenced")),
    ("resolved", gettext_lazy("resolved")),
    ("all", gettext_lazy("all")),
)
SORTS: Final = (
    ("", gettext_lazy("newest first")),
    ("severity", gettext_lazy("worst first")),
    ("opened", gettext_lazy("opened last")),
    ("oldest", gettext_lazy("opened first")),
    ("host", gettext_lazy("by host")),
)
SNOOZES: Final = (
    ("1", gettext_lazy("1 hour")),
    ("8", gettext_lazy("8 hours")),
    ("24", gettext_lazy("1 day")),
    ("168", gettext_lazy("7 days")),
)


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The alerts on hosts that the reader may see; those that are not over, where nothing else is
    asked."""
    hosts = Host.objects.visible_to(request.user)
    problem: FilterError | None = None
    found: Page[Alert] = Page(())
    asked = AlertFilter()
    now = timezone.now()
    try:
        asked = parse(AlertFilter, moments.zoned(request.GET), ignore=("cursor",))
        wanted = asked if asked.state else asked.model_copy(update={"state": "active"})
        chosen = place.narrowed(request, hosts, host=asked.host, group=asked.group)
        found = queries.page(
            queries.listed(chosen, wanted.model_copy(update={"host": None, "group": None})),
            kind=f"alerts:{asked.parameters()}",
            cursor=request.GET.get("cursor") or None,
            limit=ROWS_A_PAGE,
            sort=asked.sort,
        )
    except FilterError as error:
        problem = error
    csv = {"state": "active"} | asked.parameters() | {"format": "csv"}
    held = silences.silenced_now([row for row in found.rows if row.resolved_at is None], now=now)
    context = {
        "problem": problem,
        "rows": [_listed(row, held.get(row.pk)) for row in found.rows],
        "total": found.total,
        "next_url": with_query(request, cursor=found.next) if found.next else "",
        "first_url": with_query(request) if request.GET.get("cursor") else "",
        "csv_url": f"{reverse('api-alerts')}?{urlencode(csv)}" if found.rows else "",
        "mails_in_vain": not mail.can_mail()
        and any(alert.mail_after is not None for alert in found.rows),
        "asked": asked,
        "since_value": "" if asked.since is None else moments.field_value(asked.since),
        "until_value": "" if asked.until is None else moments.field_value(asked.until),
        "filtered": bool(asked.parameters().keys() - {"sort"}) or problem is not None,
        "more_filters": any(
            request.GET.get(name) for name in ("rule", "hunt", "port", "since", "until")
        ),
        "here": request.get_full_path(),
        **_choices(request, hosts),
    }
    return render(request, "probes/alerts.html", context, status=400 if problem else 200)


def _choices(request: HttpRequest, hosts: Any) -> dict[str, Any]:
    """What the selects of the bar offer, of what the reader may see."""
    groups = visible_groups(request.user).filter(hosts__in=hosts.order_by()).distinct()
    alerted = Alert.objects.order_by().values("host_id")
    return {
        "states": STATES,
        "sorts": SORTS,
        "kinds": AlertKind.choices,
        "severities": Severity.choices,
        "rules": list(Rule.objects.order_by("name").values_list("pk", "name")),
        "hunts": list(Hunt.objects.order_by("name").values_list("pk", "name")),
        "hosts": list(hosts.filter(pk__in=alerted).order_by("name").values_list("pk", "name")),
        "groups": list(groups.order_by("name").values_list("name", flat=True)),
    }


@require(Role.VIEWER)
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One alert: what is wrong, what shows it, what happened to it and who was told."""
    return _page(request, _visible(request, pk))


@require(Role.OPERATOR)
@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that somebody knows of it, and go back to where one was."""
    alert = _visible(request, pk)
    try:
        known = handling.acknowledge(alert, request=request, note=request.POST.get("note", ""))
    except ValidationError as invalid:
        return _page(request, alert, invalid=invalid)
    messages.success(request, _("Acknowledged: %(subject)s.") % {"subject": known.subject})
    return redirect(_back(request))


@require(Role.OPERATOR)
@require_POST
def acknowledge_several(request: HttpRequest) -> HttpResponse:
    """Acknowledge the alerts that were ticked, of those the caller may see."""
    ticked = [int(text) for text in request.POST.getlist("alert") if _is_id(text)]
    found = _all_visible(request).filter(pk__in=ticked[: handling.MOST_AT_ONCE])
    try:
        known = handling.acknowledge_all(found, request=request, note=request.POST.get("note", ""))
    except ValidationError as invalid:
        messages.error(request, " ".join(invalid.messages))
        return redirect(_back(request))
    if known:
        said = ngettext("%(n)s alert was acknowledged.", "%(n)s alerts were acknowledged.", known)
        messages.success(request, said % {"n": known})
    else:
        messages.info(request, _("Tick the alerts to acknowledge first."))
    return redirect(_back(request))


@require(Role.OPERATOR)
@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End an alert that has no end of its own."""
    alert = _visible(request, pk)
    try:
        handling.end(alert, request=request, note=request.POST.get("note", ""))
    except ValidationError as invalid:
        return _page(request, alert, invalid=invalid)
    messages.success(request, _("Over: %(subject)s.") % {"subject": alert.subject})
    return redirect("alert", pk)


@require(Role.OPERATOR)
@require_POST
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Have nobody told of it for some hours, or until a time."""
    alert = _visible(request, pk)
    try:
        silence = handling.snooze(
            alert,
            until=_until(request),
            request=request,
            reason=request.POST.get("reason", ""),
        )
    except FilterError as error:
        return _page(request, alert, invalid=ValidationError({error.field: [str(error.message)]}))
    except ValidationError as invalid:
        return _page(request, alert, invalid=invalid)
    until = f"{timezone.localtime(silence.ends_at):%Y-%m-%d %H:%M}"
    messages.success(request, _("Nobody is told of it until %(until)s.") % {"until": until})
    return redirect("alert", pk)


def _until(request: HttpRequest) -> dt.datetime:
    """The end of a snooze; raises FilterError."""
    hours = request.POST.get("hours", "")
    if hours:
        if hours not in dict(SNOOZES):
            raise FilterError("until", _("Choose one of the times, or give one."))
        return timezone.now() + dt.timedelta(hours=int(hours))
    try:
        until = moments.parse(request.POST.get("until", ""))
    except FilterError as error:
        raise FilterError("until", error.message) from None
    if until is None:
        raise FilterError("until", _("Choose one of the times, or give one."))
    return until


def _page(
    request: HttpRequest, alert: Alert, *, invalid: ValidationError | None = None
) -> HttpResponse:
    now = timezone.now()
    held = {}
    if alert.resolved_at is None:
        held = silences.silenced_now([alert], now=now)
    rows = evidence_rows(alert)
    changes = queries.changes_of(alert, most=MOST_CHANGES)
    context = {
        "alert": alert,
        "title": wording.title(alert),
        "icon": ICONS.get(alert.severity, "warn"),
        "advice": wording.advice(alert),
        "lines": wording.lines(alert, tops=False),
        "pivots": pivots(alert),
        "links": alert_links(request, alert),
        "rows": rows,
        "with_indicator": any(row.get("indicator") for row in rows),
        "changes": [change_row(change) for change in changes],
        "deliveries": queries.deliveries(alert, most=MOST_DELIVERIES),
        "silence": held.get(alert.pk),
        "lasted": (alert.resolved_at or now) - alert.opened_at,
        "not_mailed": _not_mailed(alert),
        "snoozes": SNOOZES,
        "until_value": request.POST.get("until", ""),
        "reason_value": request.POST.get("reason", ""),
        "note_value": request.POST.get("note", ""),
        "errors": {} if invalid is None else invalid.message_dict,
    }
    return render(request, "probes/alert.html", context, status=400 if invalid else 200)


def _all_visible(request: HttpRequest) -> Any:
    visible = Host.objects.visible_to(request.user).order_by()
    return Alert.objects.filter(host__in=visible).select_related("host", "rule", "hunt")


def _visible(request: HttpRequest, pk: int) -> Alert:
    alert: Alert | None = _all_visible(request).filter(pk=pk).first() if pk < 2**63 else None
    if alert is None:
        raise Http404
    return alert


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _back(request: HttpRequest) -> str:
    """The page of alerts, or of one, that the form was on."""
    back = request.POST.get("next", "")
    local = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return back if local and back.startswith("/alerts/") else reverse("alerts")


def _listed(alert: Alert, silence: Silence | None) -> dict[str, Any]:
    return {
        "alert": alert,
        "title": wording.title(alert),
        "icon": ICONS.get(alert.severity, "warn"),
        "silence": silence,
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
