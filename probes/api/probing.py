"""``hosts/{id}/probe``, ``hosts/{id}/snapshots``, ``snapshots/{id}``: probes and what they gave."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.text import slugify
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api import versions
from probes.api.routing import Text, route
from probes.api.shared import Listed, readable_host, visible_host, visible_snapshot
from probes.filters import Query, number
from probes.history import queries, store
from probes.models import Snapshot
from probes.payloads.shapes import snapshots as shapes
from probes.tools import asking

MOST_WAIT_S: Final = 60


class ProbeNow(Query):
    """Whether to wait for the probe."""

    wait: Annotated[int, number(1, MOST_WAIT_S)] | None = None
    """Seconds to wait for its snapshot at most."""


class SnapshotList(Listed):
    """Which probes of a host."""

    outcome: Literal["ok", "limited", "partial", "late", "failed"] | None = None


@route(
    "POST",
    Role.OPERATOR,
    query=ProbeNow,
    about=visible_host,
    data=shapes.ProbeDone | shapes.ProbeAsked,
    also=(202, 409, 503),
)
def probe(request: HttpRequest, host: Host, query: ProbeNow) -> HttpResponse:
    """Probe a host now: 202 with the probe, or 200 with its snapshot where it was waited for."""
    asked = asking.probe_now(request, host, wait_s=query.wait)
    if asked.snapshot is not None:
        return envelope.answer({"snapshot": payloads.explained(asked.snapshot)})
    return envelope.answer(
        {"probe": payloads.probe(asked.schedule, progress=asked.progress)},
        message=_("The host is probed next."),
        status=202,
    )


@route(
    "GET",
    Role.VIEWER,
    query=SnapshotList,
    about=readable_host,
    data=shapes.Snapshots,
    version=versions.of_body,
)
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


@route("GET", Role.VIEWER, about=visible_snapshot, data=shapes.OneSnapshot)
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


@route("GET", Role.VIEWER, about=visible_snapshot, data=Text("text/plain"))
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
