"""A host's sockets as they come and go, probed each few seconds while the page is seen.

Place in the data's way: shapes ``queries.connections`` for the page and ``queries.changed`` for
its beats; ``probes.live`` keeps the session. A page has LIVE_ROWS rows at most, the newest,
however many sockets the host has.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hosts.models import Host
from netadmin.access import audit
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import live, names
from probes import schedule as schedules
from probes.filters import FilterError, SocketFilter, number, parse
from probes.history import queries
from probes.history.queries import changed, sql
from probes.history.queries.sockets import count
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code
from probes.views import hostpage, sockets
from probes.views.hostpage import with_query

LIVE_ROWS: Final = 500
CHOICES: Final = (1, 2, 5, 10, 30, 60)


class LiveFilter(SocketFilter):
    """Which sockets, and how often the host is probed."""

    every: Annotated[int, number(live.LEAST_EVERY_S, live.MOST_EVERY_S)] = live.USUAL_EVERY_S
    """Seconds."""


@require(Role.OPERATOR)
@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """The sockets as the newest whole probe saw them; the script then asks for what changes."""
    host = hostpage.get(request, pk)
    problem: FilterError | None = None
    wanted = LiveFilter()
    try:
        wanted = parse(LiveFilter, request.GET)
    except FilterError as error:
        problem = error
    newest = hostpage.newest_whole(host)
    context = hostpage.context(request, host, tab="host_live")
    context |= sockets.bar(request, problem)
    context |= {
        "problem": problem,
        "every": wanted.every,
        "live_every": wanted.every,
        "choices": sorted({*CHOICES, wanted.every}),
        "kept": [
            (name, value)
            for name, value in wanted.filters().parameters().items()
            if name in sockets.NAMES
        ],
        "minutes": live.LIVE_S // 60,
        "shown": newest,
        "most": LIVE_ROWS,
        "stopped": _stopped(host),
        "clear_url": with_query(request, **dict.fromkeys(sockets.NAMES)),
    }
    if problem is None:
        context |= _rows(request, host, newest, wanted.filters())
        query = {**dict(context["kept"]), "sort": "-first_seen", "format": "csv"}
        context["csv_url"] = f"{reverse('api-host-connections', args=[pk])}?{urlencode(query)}"
    return render(request, "probes/host_live.html", context, status=400 if problem else 200)


@require(Role.OPERATOR)
@require_POST
def beat(request: HttpRequest, pk: int) -> HttpResponse:
    """What changed since the snapshot the page knows; asks for the next probe where it is time.

    JSON with the pieces of the page that are new. A page without a session of its own begins one,
    which is recorded.
    """
    host = hostpage.get(request, pk)
    try:
        wanted = parse(LiveFilter, request.GET)
    except FilterError as error:
        return JsonResponse({"stopped": f"{error.field}: {error.message}"}, status=400)
    stopped = _stopped(host)
    if stopped:
        return JsonResponse({"stopped": stopped, "again": False})
    by = request.user.get_username()
    session = request.POST.get("session", "")[:500]
    over = live.is_over(session, host, by) if session else None
    if over:
        minutes = live.LIVE_S // 60
        stopped = _("Stopped after %(minutes)s minutes.") % {"minutes": minutes}
        return JsonResponse({"stopped": stopped, "again": True})
    first = over is None
    if first:
        with transaction.atomic():
            audit.record(
                "live.start", request=request, target=host, detail={"every_s": wanted.every}
            )
            session = live.begin(host, by)
    live.ask(host, by, every_s=wanted.every, first=first)
    row = Schedule.objects.select_related("latest", "latest_whole").get(pk=host.pk)
    return JsonResponse(
        {
            "session": session,
            "waiting": live.is_waiting(row),
            **_difference(request, host, row, wanted.filters()),
        }
    )


def _stopped(host: Host) -> str:
    """Why the host is not probed, or nothing."""
    if not host.enabled:
        return _("%(host)s is disabled.") % {"host": host.name}
    schedule = hostpage.schedule_of(host)
    if schedule is not None and schedules.is_paused(schedule, host):
        title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
        return f"{_(title)}. {_(hint)}"
    return ""


def _difference(
    request: HttpRequest, host: Host, row: Schedule, filters: SocketFilter
) -> dict[str, Any]:
    """From the snapshot the page knows to the newest; all rows where it knows none that is kept."""
    newest = row.latest_whole
    answer: dict[str, Any] = {
        "snapshot": newest.pk if newest is not None else 0,
        "status": render_to_string(
            "probes/_live_status.html", {"shown": newest, "failure": _failure(row)}, request
        ),
    }
    known = request.POST.get("known", "")
    if newest is None or known == str(newest.pk):
        return answer
    total, _printed = count(sql.of_host(host, None), filters)
    answer["totals"] = render_to_string(
        "probes/_live_totals.html",
        {"states": sockets.states(request, newest), "total": total, "most": LIVE_ROWS},
        request,
    )
    answer["queues"] = [
        [str(key), *waiting] for key, *waiting in changed.queued(host, filters=filters)
    ]
    before = _known(host, known)
    if before is None:
        _total, rows = _newest(host, newest, filters)
        return answer | {"reset": True, **_html(request, rows)}
    change = changed.between(host, before, newest, filters=filters, limit=LIVE_ROWS)
    return answer | {
        **_html(request, change.came, new=True),
        "came": change.came_count,
        "went": [str(key) for key in change.went],
    }


def _known(host: Host, text: str) -> Snapshot | None:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    return Snapshot.objects.filter(pk=int(text), host=host, outcome=Outcome.OK).first()


def _failure(row: Schedule) -> dict[str, str] | None:
    """What the newest probe failed of, if it did."""
    latest = row.latest
    if latest is None or latest.outcome in (Outcome.OK, Outcome.LATE) or not latest.code:
        return None
    title, hint = EXPLANATIONS[Code(latest.code)]
    return {"title": _(title) if title else latest.code, "hint": _(hint) if hint else ""}


def _rows(
    request: HttpRequest, host: Host, newest: Snapshot | None, filters: SocketFilter
) -> dict[str, Any]:
    schedule = hostpage.schedule_of(host)
    total, rows = (0, []) if newest is None else _newest(host, newest, filters)
    return {
        "rows": _shaped(request, rows),
        "hints": names.hints(row.foreign_ip for row in rows),
        "total": total,
        "states": sockets.states(request, newest),
        "failure": _failure(schedule) if schedule is not None else None,
        "beat_url": reverse("host_live_beat", args=[host.pk]),
    }


def _newest(
    host: Host, newest: Snapshot, filters: SocketFilter
) -> tuple[int, list[queries.SocketRow]]:
    """How many there are, and the newest of them."""
    found = queries.connections(
        host, snapshot=newest, filters=filters, sort="-first_seen", limit=LIVE_ROWS
    )
    return found.total or 0, list(found.rows)


def _shaped(request: HttpRequest, rows: list[queries.SocketRow]) -> list[dict[str, Any]]:
    shaped = sockets.shaped(request, rows)
    for shown, row in zip(shaped, rows, strict=True):
        shown["key"] = row.key
    return shaped


def _html(
    request: HttpRequest, rows: list[queries.SocketRow], *, new: bool = False
) -> dict[str, str]:
    context = {
        "rows": _shaped(request, rows),
        "hints": names.hints(row.foreign_ip for row in rows),
        "new": new,
    }
    return {"rows": render_to_string("probes/_live_rows.html", context, request)}
