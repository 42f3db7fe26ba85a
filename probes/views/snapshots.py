"""One probe: what ran, as whom, what came, which lines were not understood, the raw output.

Place in the data's way: reads a stored snapshot and its raw output, and parses that again to
show the rejected lines, so a mended parser shows at once what it now understands.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import parsers
from probes.history import store
from probes.models import Snapshot
from probes.observation import EXPLANATIONS, Code
from probes.parsers.records import ParseError, Rejected

SHOWN_BYTES = 256 * 1024
"""Of raw output on the page; the download has all of it."""

SHOWN_REJECTED = 200


@dataclass(frozen=True, slots=True)
class Again:
    """What the parser of today makes of a stored output."""

    rejected: list[Rejected]
    more: int
    problem: str
    """Why it understands nothing at all; empty where it does."""


@require(Role.VIEWER)
@require_safe
def snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of one probe."""
    shown = _get(request, pk)
    output = store.raw(shown)
    again = _parse(output) if output is not None and (shown.rejected or shown.code) else None
    around = Snapshot.objects.filter(host=shown.host)
    before = around.filter(taken_at__lt=shown.taken_at).order_by("-taken_at").only("pk").first()
    after = around.filter(taken_at__gt=shown.taken_at).order_by("taken_at").only("pk").first()
    context = {
        "snapshot": shown,
        "host": shown.host,
        "explanation": EXPLANATIONS[Code(shown.code)] if shown.code else ("", ""),
        "kept": output is not None,
        "size_bytes": len(output or b""),
        "output": parsers.decode((output or b"")[:SHOWN_BYTES]),
        "output_cut": len(output or b"") > SHOWN_BYTES,
        "notes": store.notes(shown),
        "again": again,
        "before": before,
        "after": after,
        "states": sorted(shown.by_state.items(), key=lambda item: -item[1]),
        "protocols": sorted(shown.by_protocol.items(), key=lambda item: -item[1]),
    }
    return render(request, "probes/snapshot.html", context)


@require(Role.VIEWER)
@require_safe
def raw(request: HttpRequest, pk: int) -> HttpResponse:
    """The raw output as a download: hostile bytes, so never anything a browser would render."""
    shown = _get(request, pk)
    output = store.raw(shown)
    if output is None:
        raise Http404("no raw output is kept of this probe")
    name = f"{slugify(shown.host.name) or shown.host_id}-{shown.taken_at:%Y%m%dT%H%M%SZ}.txt"
    response = HttpResponse(output, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _get(request: HttpRequest, pk: int) -> Snapshot:
    hosts = Host.objects.readable().visible_to(request.user)
    return get_object_or_404(Snapshot.objects.select_related("host"), pk=pk, host__in=hosts)


def _parse(output: bytes) -> Again:
    try:
        parsed = parsers.parse(parsers.decode(output))
    except ParseError as error:
        return Again([], 0, str(error))
    rejected = parsed.rejected
    return Again(rejected[:SHOWN_REJECTED], max(0, len(rejected) - SHOWN_REJECTED), "")
