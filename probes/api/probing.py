"""``hosts/{id}/probe``, ``hosts/{id}/snapshots``, ``snapshots/{id}``: probes and what they gave."""

from __future__ import annotations

import time
from typing import Annotated, Final, Literal

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.text import slugify
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin import envelope
from netadmin.access import audit
from netadmin.access.models import Role
from probes import bell, payloads, schedule
from probes.api.routing import route
from probes.api.shared import Listed, readable_host, visible_host, visible_snapshot
from probes.filters import Query, number
from probes.history import queries, store
from probes.models import Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code

MOST_WAIT_S: Final = 60
_POLL_S: Final = 0.25


class ProbeNow(Query):
    """Whether to wait for the probe."""

    wait: Annotated[int, number(1, MOST_WAIT_S)] | None = None
    """Seconds to wait for its snapshot at most."""


class SnapshotList(Listed):
    """Which probes of a host."""

    outcome: Literal["ok", "limited", "partial", "late", "failed"] | None = None


@route("POST", Role.OPERATOR, query=ProbeNow, about=visible_host)
def probe(request: HttpRequest, host: Host, query: ProbeNow) -> HttpResponse:
    """Probe a host now: 202 with the probe, or 200 with its snapshot where it was waited for."""
    if not host.enabled:
        return envelope.error(
            409, "disabled", _("This host is disabled."), hint=_("Enable it, then probe it.")
        )
    if schedule.is_paused(schedule.ensure_one(host), host):
        title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
        return envelope.error(409, Code.LOGIN_PAUSED.value, _(title), hint=_(hint))
    with transaction.atomic():
        audit.record("probe.now", request=request, target=host)
        asked = schedule.request_probe(host, by=request.user.get_username())
    bell.ring()
    snapshot = _wait(asked, query.wait) if query.wait is not None else None
    if snapshot is not None:
        return envelope.answer({"snapshot": payloads.explained(snapshot)})
    now = Schedule.objects.get(pk=asked.pk)
    return envelope.answer(
        {"probe": payloads.probe(asked, progress=schedule.progress(now))},
        message=_("The host is probed next."),
        status=202,
    )


@route("GET", Role.VIEWER, query=SnapshotList, about=readable_host)
def snapshots(request: HttpRequest, host: Host, query: SnapshotList) -> HttpResponseBase:
    """Probes of a host, newest first."""
    if query.format == "csv":
        stored = queries.all_snapshots(host, outcome=query.outcome).iterator(chunk_size=2000)
        return payloads.csv(
            f"snapshots-{host.pk}", payloads.SNAPSHOT, map(payloads.snapshot, stored)
        )
    page = queries.snapshots(host, cursor=query.cursor, limit=query.limit, outcome=query.outcome)
    return envelope.answer(
        {
            "host": payloads.host_name(host),
            "snapshots": [payloads.snapshot(stored) for stored in page.rows],
            "total": page.total,
            "next": page.next,
        }
    )


@route("GET", Role.VIEWER, about=visible_snapshot)
def snapshot(request: HttpRequest, stored: Snapshot) -> HttpResponse:
    """One probe: what ran, as whom, what came of it, and how to mend what failed."""
    output = store.raw(stored)
    return envelope.answer(
        {
            "snapshot": payloads.explained(stored),
            "raw": {"kept": output is not None, "bytes": None if output is None else len(output)},
            "notes": store.notes(stored),
        }
    )


@route("GET", Role.VIEWER, about=visible_snapshot)
def raw(request: HttpRequest, stored: Snapshot) -> HttpResponse:
    """What the host printed, byte for byte where it is still kept."""
    output = store.raw(stored)
    if output is None:
        return envelope.error(
            404,
            "raw_not_kept",
            _("The output of this probe is no longer kept."),
            hint=_("It is kept of the newest probe, and of those that failed or were not clear."),
        )
    name = f"{slugify(stored.host.name) or stored.host_id}-{stored.taken_at:%Y%m%dT%H%M%SZ}.txt"
    return HttpResponse(
        output,
        content_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _wait(asked: Schedule, wait_s: int) -> Snapshot | None:
    """The snapshot of the probe asked for, or None where it is not stored in time.

    The request's row says when: it is cleared with the probe that answers it.
    """
    give_up_at = time.monotonic() + wait_s
    while time.monotonic() < give_up_at:
        now = Schedule.objects.select_related("latest").get(pk=asked.pk)
        if now.requested_at is None or now.requested_at != asked.requested_at:
            return now.latest
        time.sleep(_POLL_S)
    return None
