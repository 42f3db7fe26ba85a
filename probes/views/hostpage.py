"""What every tab of a host's page has: the host itself or 404, its status, problems and tabs.

Place in the data's way: shapes what ``probes.status`` and the schedule say for the templates.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import request_role
from probes import schedule as schedules
from probes import status as statuses
from probes.history.queries import trouble
from probes.models import Schedule, Snapshot
from probes.observation import Code
from probes.status import Status
from probes.views import moment as moments
from probes.views import spans, watched
from probes.views.moment import Moment

TABS = (
    ("host", gettext_lazy("Connections")),
    ("host_ports", gettext_lazy("Ports")),
    ("host_peers", gettext_lazy("Peers")),
    ("host_states", gettext_lazy("States")),
    ("host_network", gettext_lazy("Network")),
    ("host_history", gettext_lazy("History")),
    ("host_diff", gettext_lazy("Diff")),
    ("host_watch", gettext_lazy("Watch")),
    ("host_probes", gettext_lazy("Probes")),
)
WITHOUT_TIME = frozenset({"host_watch", "host_probes"})
"""Tabs that look at no moment of their own."""


KEY_CODES = frozenset({Code.HOST_KEY_UNKNOWN, Code.HOST_KEY_CHANGED, Code.HOST_KEY_REFUSED})
CREDENTIAL_CODES = frozenset(
    {
        Code.LOGIN_FAILED,
        Code.LOGIN_PAUSED,
        Code.CREDENTIAL_MISSING,
        Code.KEY_UNREADABLE,
        Code.SUDO_REFUSED,
        Code.PERMISSION_LIMITED,
    }
)
OUTPUT_CODES = frozenset({Code.COMMAND_FAILED, Code.NOT_UNDERSTOOD, Code.TRUNCATED})


@dataclass(frozen=True, slots=True)
class Fix:
    """A link to where a problem is mended or seen."""

    icon: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: a real URL, current or not, with a number beside its word."""

    name: str
    label: str
    url: str
    count: int | None


def get(request: HttpRequest, pk: int, *, removed: bool = False) -> Host:
    """The host, if the user may see it; raises Http404 alike for absent, removed and foreign.

    With ``removed``, for pages that only read, also one that is no longer watched and whose history
    is kept.
    """
    hosts = Host.objects.readable() if removed else Host.objects.kept()
    visible = hosts.visible_to(request.user)
    return get_object_or_404(
        visible.select_related("schedule__latest", "schedule__latest_whole", "credential"), pk=pk
    )


def schedule_of(host: Host) -> Schedule | None:
    """The host's schedule row, if the scheduler made one yet."""
    return getattr(host, "schedule", None)


def newest_whole(host: Host) -> Snapshot | None:
    """The snapshot the open sockets show."""
    schedule = schedule_of(host)
    return schedule.latest_whole if schedule is not None else None


def administers(request: HttpRequest) -> bool:
    """Whether pages for administrators are open to this request."""
    role = request_role(request)
    return role is not None and role >= Role.ADMIN


def asked_progress(schedule: Schedule | None) -> str:
    """How far a probe is that somebody asked for; the scheduler's own probes show nothing."""
    if schedule is None or schedule.requested_at is None:
        return "idle"
    return schedules.progress(schedule)


def fix(status: Status, host: Host, latest: Snapshot | None, *, administers: bool) -> Fix | None:
    """Where what ``status`` complains of is mended or seen, if there is such a page."""
    code = status.code
    if administers and code in KEY_CODES:
        return Fix("key", _("Look at the host keys"), reverse("host_keys"))
    if administers and code in CREDENTIAL_CODES:
        if host.credential_id is None:
            return Fix("edit", _("Edit"), reverse("host_edit", args=[host.pk]))
        address = reverse("credential_edit", args=[host.credential_id])
        return Fix("edit", _("Edit the credential"), address)
    if latest is not None and code in OUTPUT_CODES:
        address = reverse("snapshot", args=[latest.pk])
        return Fix("file", _("Raw output"), f"{address}#raw-card")
    if latest is not None and code == "rejected":
        address = reverse("snapshot", args=[latest.pk])
        return Fix("file", _("Lines not understood"), f"{address}#rejected")
    return None


def context(request: HttpRequest, host: Host, *, tab: str) -> dict[str, Any]:
    """What ``probes/_host_base.html`` needs: one query, for the host's active alerts."""
    schedule = schedule_of(host)
    latest = schedule.latest if schedule is not None else None
    whole = newest_whole(host)
    status = statuses.of(
        host, schedule=schedule, latest=latest, latest_whole=whole, now=timezone.now()
    )
    active = watched.host_alerts(host)
    return {
        "host": host,
        "status": status,
        "fix": fix(status, host, latest, administers=administers(request)),
        "schedule": schedule,
        "latest": latest,
        "whole": whole,
        "progress": asked_progress(schedule),
        "since": latest.pk if latest is not None else 0,
        **active,
        "suspicions": {} if host.removed_at else trouble.suspicions(whole),
        "tabs": _tabs(request, host, whole, alerts=active["active_total"]),
        "tab": tab,
    }


def time_context(request: HttpRequest, host: Host, moment: Moment) -> dict[str, Any]:
    """What ``probes/_time.html`` needs: every link keeps the filters and forgets the cursor."""

    newest = newest_whole(host)

    def link(when: dt.datetime | None) -> str:
        return with_query(request, at=moments.stamp(when) if when else None)

    def to(when: dt.datetime) -> str:
        return link(None if newest and when == newest.taken_at else when)

    shown = moment.snapshot
    return {
        "moment": moment,
        "shown": shown,
        "previous_url": link(moment.previous) if moment.previous else "",
        "following_url": to(moment.following) if moment.following else "",
        "first_url": link(moment.first) if moment.first else "",
        "now_url": link(None),
        "at_value": moments.field_value(
            moment.asked or (shown.taken_at if shown else timezone.now())
        ),
        "time_spans": [
            (label, with_query(request, span=name), name == moment.span)
            for name, label in spans.SPANS
        ],
        "kept_fields": [
            (name, value)
            for name, values in request.GET.lists()
            for value in values
            if value and name not in {"at", "cursor", "known"}
        ],
        "slider": {
            "base": link(None),
            "current": moment.points.index(shown.taken_at) if shown is not None else 0,
            "points": [
                [
                    f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S}",
                    "" if newest and when == newest.taken_at else moments.stamp(when),
                ]
                for when in moment.points
            ],
        },
    }


def with_query(request: HttpRequest, **changes: str | None) -> str:
    """``?`` and this page's query with parameters set, or dropped where None; no cursor."""
    query: QueryDict = request.GET.copy()
    for name in ("cursor", "known", "page"):
        query.pop(name, None)
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"


def _tabs(request: HttpRequest, host: Host, whole: Snapshot | None, *, alerts: int) -> list[Tab]:
    at = request.GET.get("at", "")
    kept = QueryDict(mutable=True)
    for parameter in ("at", "span"):
        if request.GET.get(parameter):
            kept[parameter] = request.GET[parameter]
    counts = {
        "host": whole.sockets if whole is not None and not at else None,
        "host_ports": whole.listeners if whole is not None and not at else None,
        "host_watch": alerts or None,
    }
    suffix = f"?{kept.urlencode()}" if kept else ""
    return [
        Tab(
            name=name,
            label=str(label),
            url=reverse(name, args=[host.pk]) + ("" if name in WITHOUT_TIME else suffix),
            count=counts.get(name),
        )
        for name, label in TABS
    ]
