"""``alerts`` and ``activity``: what is wrong, what people do about it, and what happened."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host
from netadmin import envelope
from netadmin.access.models import Role
from netadmin.access.permissions import administers_all
from probes import payloads
from probes.alert_filters import ActivityFilter, AlertFilter
from probes.api import versions
from probes.api.routing import Body, route
from probes.api.shared import Listed, hosts_of
from probes.filters import FilterError, Invalid, Query, moment
from probes.history.queries import activity as activity_queries
from probes.history.queries import alerts as queries
from probes.history.queries import windows
from probes.models import Alert
from probes.payloads import activity as activity_payloads
from probes.payloads import alerts as alert_payloads
from probes.payloads.shapes import alerts as shapes
from probes.watch import handling, silences

MOST_CHANGES = 100


class AlertList(AlertFilter, Listed):
    """Which alerts, a page at a time."""


class ActivityList(ActivityFilter, Listed):
    """Which of what happened, a page at a time."""


class Note(Query):
    """What the audit log keeps of it."""

    note: Annotated[str, Field(max_length=handling.LONGEST_NOTE)] | None = None


class Snooze(Body):
    """Until when nobody is told: a time, or minutes from now."""

    until: Annotated[str, Field(max_length=40)] | None = None
    minutes: Annotated[int, Field(ge=1, le=90 * 1440)] | None = None
    reason: Annotated[str, Field(max_length=200)] = ""


def visible_alert(request: HttpRequest, pk: int) -> Alert | None:
    """An alert on a host that the caller may see."""
    hosts = Host.objects.visible_to(request.user).order_by()
    alerts = Alert.objects.select_related("host", "rule", "hunt")
    return alerts.filter(pk=pk, host__in=hosts).first()


@route("GET", Role.VIEWER, query=AlertList, data=shapes.Alerts, version=versions.of_body)
def alerts(request: HttpRequest, query: AlertList) -> HttpResponseBase:
    """The alerts on hosts that the caller may see, newest first where nothing else is asked."""
    hosts = hosts_of(request, query, removed=True)
    # The hosts are narrowed already, by what is absent where it may not be seen.
    wanted = query.model_copy(update={"host": None, "group": None})
    now = timezone.now()
    rows = queries.listed(hosts, wanted, now=now)
    if query.format == "csv":
        marked = rows.annotate(held=queries.silenced(now))
        return payloads.csv(
            "alerts",
            alert_payloads.ALERT,
            (
                alert_payloads.alert(row, silenced=row.resolved_at is None and row.held)
                for row in marked.iterator(500)
            ),
        )
    asked = {name: value for name, value in query.parameters().items() if name not in PAGING}
    page = queries.page(
        rows, kind=f"alerts:{asked}", cursor=query.cursor, limit=query.limit, sort=query.sort
    )
    held = _held(list(page.rows), now)
    return envelope.answer(
        {
            "alerts": [alert_payloads.alert(row, silenced=row.pk in held) for row in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


@route("GET", Role.VIEWER, about=visible_alert, data=shapes.AlertInFull)
def show(request: HttpRequest, alert: Alert) -> HttpResponse:
    """One alert with what shows it, what happened to it, and who was told."""
    changes = queries.changes_of(alert, most=MOST_CHANGES)
    told = queries.deliveries(alert, most=MOST_CHANGES)
    return envelope.answer(
        {
            "alert": _one(alert),
            "changes": [alert_payloads.change(change) for change in changes],
            "deliveries": [alert_payloads.told_by(delivery) for delivery in told],
        }
    )


@route("POST", Role.OPERATOR, query=Note, about=visible_alert, data=shapes.OneAlert)
def acknowledge(request: HttpRequest, alert: Alert, query: Note) -> HttpResponse:
    """Say that somebody knows of an alert; one that has no end of its own is over by that."""
    known = handling.acknowledge(alert, request=request, note=query.note or "")
    return envelope.answer({"alert": _one(known)}, message=_("Acknowledged."))


@route("POST", Role.OPERATOR, body=Snooze, about=visible_alert, data=shapes.OneSilence)
def snooze(request: HttpRequest, alert: Alert, body: Snooze) -> HttpResponse:
    """Have nobody told of an alert until a time, or for some minutes."""
    until = _until(body)
    silence = handling.snooze(alert, until=until, request=request, reason=body.reason)
    state = silences.state(silence, timezone.now())
    return envelope.answer(
        {"silence": alert_payloads.silence(silence, state=state)}, message=_("Snoozed.")
    )


@route("GET", Role.VIEWER, query=ActivityList, data=shapes.Activity)
def activity(request: HttpRequest, query: ActivityList) -> HttpResponseBase:
    """What happened and what was done, newest first."""
    hosts_of(request, query, removed=True)
    seen = activity_queries.Seen(
        hosts=Host.objects.visible_to(request.user),
        windows=windows.visible(request.user),
        synchronisations=administers_all(request.user),
    )
    wanted = ActivityFilter.model_validate(
        {
            name: value
            for name, value in query.parameters().items()
            if name in ActivityFilter.model_fields
        }
    )
    if query.format == "csv":
        return payloads.csv(
            "activity",
            activity_payloads.ENTRY,
            map(activity_payloads.entry, activity_queries.every(seen, wanted)),
        )
    page = activity_queries.page(seen, wanted, cursor=query.cursor, limit=query.limit)
    return envelope.answer(
        {"activity": [activity_payloads.entry(row) for row in page.rows], "next": page.next}
    )


PAGING = frozenset({"cursor", "limit", "format"})


def _held(rows: list[Alert], now: dt.datetime) -> set[int]:
    active = [row for row in rows if row.resolved_at is None]
    return set(silences.silenced_now(active, now=now))


def _one(alert: Alert) -> dict[str, Any]:
    held = _held([alert], timezone.now())
    return alert_payloads.alert(alert, silenced=alert.pk in held)


def _until(body: Snooze) -> dt.datetime:
    if (body.until is None) == (body.minutes is None):
        raise FilterError("until", _("Give until or minutes."))
    if body.minutes is not None:
        return timezone.now() + dt.timedelta(minutes=body.minutes)
    try:
        return moment(body.until)
    except Invalid as error:
        raise FilterError("until", error.message) from None
