"""``cmdb/``: sources of hosts and their synchronisations. A token goes in and never comes out.

Place in the data's way: between scripts and ``hosts.cmdb``, which checks, records and does; here
its fields are named and typed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.cmdb import decisions, sources, sync, wording
from hosts.models import Source, SyncRun
from netadmin import envelope
from netadmin.access.models import Role
from probes import payloads
from probes.api.inventory import Name, Secret, Wanted
from probes.api.routing import Body, route
from probes.api.shared import Listed
from probes.filters import Identifier
from probes.history.queries.pages import open_cursor, seal, slice_rows
from probes.payloads.shapes import Nothing, names
from probes.payloads.shapes import cmdb as shapes

SOURCE: Final = names(shapes.Source)
RUN: Final = names(shapes.SyncRun)
Minutes = Annotated[int, Field(ge=1, le=10_080)]


class SourceChange(Body):
    """What to change of a source; what is absent stays."""

    name: Name = ""
    kind: Literal["csv", "json", "ansible", "netbox"] = "json"
    location: Annotated[str, Field(min_length=1, max_length=500)] = ""
    fields: Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=10)] = {}
    group: Wanted = 0
    credential: Wanted | None = None
    every_minutes: Minutes = 60
    enabled: bool = True
    token: Secret | None = None
    """Write-only."""
    clear_token: bool = False
    confirm_secret: Secret | None = None
    """The credential's secret typed again: asked for where it would go where it did not."""
    confirm_sudo_password: Secret | None = None


class NewSource(SourceChange):
    """A source needs a name, a kind, a place and a group."""

    name: Name
    kind: Literal["csv", "json", "ansible", "netbox"]
    location: Annotated[str, Field(min_length=1, max_length=500)]
    group: Wanted


class Synchronise(Body):
    """How to synchronise."""

    dry_run: bool = False


class Decision(Body):
    """What a person decides about a run."""

    decision: Literal["approve", "decline", "adopt", "take_back"]
    host: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """Of ``adopt`` and ``take_back``."""


class RunList(Listed):
    """Which synchronisations."""

    source: Identifier | None = None
    state: Literal["running", "done", "unchanged", "waiting", "refused", "failed",
                   "dry_run"] | None = None  # fmt: skip


def any_source(_request: HttpRequest, pk: int) -> Source | None:
    """A source by its id."""
    return _sources().filter(pk=pk).first()


def any_run(_request: HttpRequest, pk: int) -> SyncRun | None:
    """A synchronisation by its id."""
    return SyncRun.objects.select_related("source__group").filter(pk=pk).first()


@route("GET", Role.ADMIN, query=Listed, site_wide=True, data=shapes.Sources)
def listing(request: HttpRequest, query: Listed) -> HttpResponseBase:
    """Sources of hosts by name, each with its newest synchronisation."""
    rows = _shaped(list(_sources()))
    if query.format == "csv":
        return payloads.csv("sources", SOURCE, rows)
    page = slice_rows(rows, kind="cmdb-sources", key=lambda row: [row["name"], row["id"]],
                      cursor=query.cursor, limit=query.limit)  # fmt: skip
    return envelope.answer({"sources": page.rows, "total": page.total, "next": page.next})


@route("POST", Role.ADMIN, body=NewSource, site_wide=True, data=shapes.OneSource, also=(201,))
def add(request: HttpRequest, body: NewSource) -> HttpResponse:
    """Add a source; it is synchronised within the next minute."""
    made = sources.create(body.model_dump(exclude_unset=True), request=request)
    response = envelope.answer(
        {"source": _one(made)}, message=_("The source was saved."), status=201
    )
    response["Location"] = f"{request.path}/{made.pk}"
    return response


@route("GET", Role.ADMIN, about=any_source, site_wide=True, data=shapes.OneSource)
def show(request: HttpRequest, source: Source) -> HttpResponse:
    """One source."""
    return envelope.answer({"source": _one(source)})


@route(
    "PATCH", Role.ADMIN, body=SourceChange, about=any_source, site_wide=True, data=shapes.OneSource
)
def change(request: HttpRequest, source: Source, body: SourceChange) -> HttpResponse:
    """Change a source."""
    changed = sources.change(source, body.model_dump(exclude_unset=True), request=request)
    return envelope.answer({"source": _one(changed)}, message=_("The source was saved."))


@route("DELETE", Role.ADMIN, about=any_source, site_wide=True, data=Nothing)
def remove(request: HttpRequest, source: Source) -> HttpResponse:
    """Forget a source and its synchronisations; its hosts stay."""
    sources.remove(source, request=request)
    return envelope.answer(message=_("The source was removed. Its hosts stay."))


@route(
    "POST",
    Role.ADMIN,
    body=Synchronise,
    about=any_source,
    site_wide=True,
    data=shapes.OneSyncRun,
    also=(409,),
)
def synchronise(request: HttpRequest, source: Source, body: Synchronise) -> HttpResponse:
    """Synchronise now and wait for it, or say what would happen."""
    done = sync.run(source.pk, request=request, dry=body.dry_run)
    if done is None:
        return envelope.error(
            409,
            "busy",
            _("This source is being synchronised right now."),
            hint=_("Ask again in a minute."),
        )
    return envelope.answer({"run": _whole(done)})


@route("GET", Role.ADMIN, query=RunList, site_wide=True, data=shapes.SyncRuns)
def runs(request: HttpRequest, query: RunList) -> HttpResponseBase:
    """Synchronisations, newest first."""
    rows = SyncRun.objects.select_related("source")
    if query.source is not None:
        rows = rows.filter(source=query.source)
    if query.state is not None:
        rows = rows.filter(state=query.state)
    if query.format == "csv":
        return payloads.csv("synchronisations", RUN, map(_run, rows.iterator(200)))
    kind = f"cmdb-runs:{query.source}:{query.state}"
    total, later = rows.count(), rows.order_by("-pk")
    if query.cursor is not None:
        (after,) = open_cursor(kind, query.cursor, parts=1)
        later = later.filter(pk__lt=after)
    found = list(later[: query.limit + 1])
    following = None
    if len(found) > query.limit:
        found.pop()
        following = seal(kind, found[-1].pk)
    return envelope.answer({"runs": [_run(row) for row in found], "total": total,
                            "next": following})  # fmt: skip


@route("GET", Role.ADMIN, about=any_run, site_wide=True, data=shapes.OneSyncRun)
def run(request: HttpRequest, row: SyncRun) -> HttpResponse:
    """One synchronisation with what it did, or would do."""
    return envelope.answer({"run": _whole(row)})


@route("POST", Role.ADMIN, body=Decision, about=any_run, site_wide=True, data=shapes.OneSyncRun)
def decide(request: HttpRequest, row: SyncRun, body: Decision) -> HttpResponse:
    """Approve or decline what waits; let a source have a host, or have one come again."""
    if body.decision == "approve":
        decided = decisions.approve(row, request=request)
    elif body.decision == "decline":
        decided = decisions.decline(row, request=request)
    else:
        act: Any = decisions.adopt if body.decision == "adopt" else decisions.take_back
        act(row, body.host or 0, request=request)
        decided = row
    return envelope.answer({"run": _whole(SyncRun.objects.get(pk=decided.pk))})


def _sources() -> QuerySet[Source]:
    newest = SyncRun.objects.filter(source=OuterRef("pk")).order_by("-started_at", "-pk")
    return Source.objects.select_related("group", "credential").annotate(
        host_count=Count("sourced", filter=Q(sourced__host__removed_at=None)),
        newest_id=Subquery(newest.values("pk")[:1]),
    )


def _one(source: Source) -> dict[str, Any]:
    (shaped,) = _shaped(list(_sources().filter(pk=source.pk)))
    return shaped


def _shaped(rows: list[Any]) -> list[dict[str, Any]]:
    newest = SyncRun.objects.in_bulk([row.newest_id for row in rows if row.newest_id])
    return [_source(row, newest.get(row.newest_id)) for row in rows]


def _source(row: Any, newest: SyncRun | None) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "location": row.location,
        "fields": row.fields,
        "group": {"id": row.group_id, "name": row.group.name},
        "credential": row.credential
        and {"id": row.credential_id, "name": row.credential.name},
        "has_token": row.has_secret("token"),
        "every_minutes": row.every_minutes,
        "enabled": row.enabled,
        "hosts": row.host_count,
        "next_sync_at": payloads.time(row.next_sync_at),
        "newest_run": newest and {"id": newest.pk, "state": newest.state,
                                  "started_at": payloads.time(newest.started_at)},
        "created_at": payloads.time(row.created_at),
        "updated_at": payloads.time(row.updated_at),
    }  # fmt: skip


def _run(row: SyncRun) -> dict[str, Any]:
    return {
        "id": row.pk,
        "source": {"id": row.source_id, "name": row.source.name},
        "state": row.state,
        "by": row.by,
        "started_at": payloads.time(row.started_at),
        "ended_at": payloads.time(row.ended_at),
        "rows": row.rows,
        "added": row.added,
        "changed": row.changed,
        "removed": row.removed,
        "problems": len(row.plan.get("problems", [])),
        "code": row.code or None,
        "why": wording.run(row) or None,
        "decided_by": row.decided_by or None,
        "decided_at": payloads.time(row.decided_at),
    }


def _whole(row: SyncRun) -> dict[str, Any]:
    plan = row.plan
    problems = [{**each, "message": wording.problem(each)} for each in plan.get("problems", [])]
    return _run(row) | {
        "plan": {
            "add": plan.get("add", []),
            "change": plan.get("change", []),
            "remove": plan.get("remove", []),
            "keep": plan.get("keep", 0),
            "later": plan.get("later", 0),
            "ignored": plan.get("ignored", []),
            "problems": problems,
        }
    }
