""" "Probe now" and how far it is.

Place in the data's way: asks ``probes.schedule`` for a probe and rings the bell; the workers do
the rest.
"""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hosts.models import Host
from netadmin.access import audit
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import bell
from probes import schedule as schedules
from probes.models import Schedule
from probes.observation import EXPLANATIONS, Code
from probes.views import hostpage


@require(Role.OPERATOR)
@require_POST
def probe_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the host due now; answers the button's new state, or the page it stands on."""
    host = hostpage.get(request, pk)
    if not host.enabled:
        messages.warning(request, _("%(host)s is disabled.") % {"host": host.name})
        return _reloaded(request, _back(request, host))
    asked = schedules.ensure_one(host)
    if schedules.is_paused(asked, host):
        title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
        messages.warning(request, f"{_(title)}. {_(hint)}")
        return _reloaded(request, _back(request, host))
    with transaction.atomic():
        audit.record("probe.now", request=request, target=host)
        schedule = schedules.request_probe(host, by=request.user.get_username())
    bell.ring()
    if getattr(request, "htmx", False):
        compact = "compact" in request.POST
        return _button(request, host, schedule, since=_latest_id(schedule), compact=compact)
    messages.success(request, _("%(host)s is probed next.") % {"host": host.name})
    return redirect(_back(request, host))


@require(Role.VIEWER)
@require_safe
def probe_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The button's state now; ``?since=`` is the newest snapshot the page knows.

    Once the probe is stored the page is told to renew itself; a row of the overview
    (``?compact=1``) is renewed by the overview's own polling.
    """
    host = hostpage.get(request, pk)
    schedule = hostpage.schedule_of(host)
    compact = "compact" in request.GET
    since = request.GET.get("since", "0")
    if not (since.isascii() and since.isdigit()):
        since = "0"
    response = _button(request, host, schedule, since=since, compact=compact)
    stored = hostpage.asked_progress(schedule) == "idle" and _latest_id(schedule) != since
    if stored and not compact:
        response["HX-Refresh"] = "true"
    return response


def _button(
    request: HttpRequest, host: Host, schedule: Schedule | None, *, since: str, compact: bool
) -> HttpResponse:
    progress = hostpage.asked_progress(schedule)
    context = {"host": host, "since": since, "compact": compact, "progress": progress}
    return render(request, "probes/_probe_button.html", context)


def _latest_id(schedule: Schedule | None) -> str:
    return str((schedule.latest_id if schedule is not None else None) or 0)


def _reloaded(request: HttpRequest, address: str) -> HttpResponse:
    """The page again, with its messages: htmx must be told so, a form follows a redirect."""
    if getattr(request, "htmx", False):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return redirect(address)


def _back(request: HttpRequest, host: Host) -> str:
    came_from = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(
        came_from, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return came_from if safe else reverse("host", args=[host.pk])
