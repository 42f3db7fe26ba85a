""" "Try from here": which listeners of a host answer the controller, and how far that is.

Place in the data's way: asks ``probes.connect_back`` and rings; a worker does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
from probes import connect_back
from probes.connect_back import under_way
from probes.models import Reach, ReachRun
from probes.views import hostpage
from probes.wording.exposure import PROBLEMS, REACHES, SKIPS


@require(Role.OPERATOR)
@require_POST
def host_reach(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the host's listeners tried; answers the button's new state, or the page it stands on."""
    host = hostpage.get(request, pk)
    try:
        with transaction.atomic():
            audit.record("host.reach", request=request, target=host)
            connect_back.ask(host, by=request.user.get_username())
    except connect_back.Refused as refused:
        messages.warning(request, f"{host.name}: {refused.message} {refused.hint}".strip())
    else:
        if not connect_back.ring(host):
            messages.warning(request, str(PROBLEMS[connect_back.Problem.NO_WORKER]))
        elif getattr(request, "htmx", False):
            return _button(request, host)
        else:
            messages.success(
                request, _("The listeners of %(host)s are tried next.") % {"host": host.name}
            )
    if getattr(request, "htmx", False):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return redirect(_back(request, host))


@require(Role.VIEWER)
@require_safe
def host_reach_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The button's state now; once the run is finished the page is told to renew itself."""
    host = hostpage.get(request, pk)
    shown = context(host)
    response = render(request, "probes/_reach_button.html", shown)
    if shown["reach"] is None or not shown["reach"]["under_way"]:
        response["HX-Refresh"] = "true"
    return response


def context(host: Host, *, past: bool = False) -> dict[str, Any]:
    """What ``probes/_reach_button.html`` and ``probes/_reach_run.html`` need, as ``reach``; None
    where trying is switched off, or what is looked at is past or removed. Two queries at most."""
    refused = connect_back.refusal(host)
    if past or host.removed_at or (refused is not None and refused.code == "connect_back_off"):
        return {"reach": None}
    run = None if refused else ReachRun.objects.filter(pk=host.pk).first()
    return {"reach": {"host": host, "refused": refused, **_run(run)}}


def _run(run: ReachRun | None) -> dict[str, Any]:
    if run is None:
        return {"run": None, "under_way": False}
    skipped = [
        (number, SKIPS[reason]) for reason, number in sorted(run.skipped.items()) if reason in SKIPS
    ]
    return {
        "run": run,
        "under_way": under_way(run),
        "skipped": skipped,
        "problem": PROBLEMS.get(run.problem, ""),
        "lost": run.finished_at is None and not under_way(run),
    }


def tallies(results: Iterable[Reach | None]) -> list[tuple[str, Any, int]]:
    """Icon, word and number of each result that is there."""
    found = [row.result for row in results if row is not None]
    return [
        (icon, word, found.count(result))
        for result, (icon, word, _meaning) in REACHES.items()
        if result in found
    ]


def _button(request: HttpRequest, host: Host) -> HttpResponse:
    return render(request, "probes/_reach_button.html", context(host))


def _back(request: HttpRequest, host: Host) -> str:
    came_from = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(
        came_from, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return came_from if safe else reverse("host_ports", args=[host.pk])
