"""Sources of hosts: what they are, their synchronisations, and what waits for a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.cmdb import decisions, shown, sources, sync, wording
from hosts.forms import add_errors
from hosts.models import HostGroup, Source, SyncRun
from hosts.source_forms import MAP, SourceForm
from hosts.views import fleet
from hosts.views.credentials import site_wide
from netadmin import csvfile
from netadmin.access.models import Role
from netadmin.access.permissions import require

PAGE_ROWS = 50
RUN_COLUMNS = (
    "id", "started_at", "ended_at", "state", "by", "rows", "added", "changed", "removed",
    "problems", "code", "why", "decided_by", "decided_at",
)  # fmt: skip
SOURCE_COLUMNS = (
    "name", "kind", "location", "group", "credential", "every_minutes", "enabled", "hosts",
    "newest_run", "newest_state", "next_sync_at",
)  # fmt: skip
PLAN_PARTS = ("remove", "change", "add", "problems", "ignored")
GOOD = (SyncRun.State.DONE, SyncRun.State.UNCHANGED)


@require(Role.ADMIN)
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """All sources, each with its newest synchronisation."""
    site_wide(request)
    rows = listed()
    if request.GET.get("format") == "csv":
        return csvfile.answer("sources", SOURCE_COLUMNS, _source_cells(rows))
    context = {"rows": rows, "groups_exist": HostGroup.objects.exists()}
    return render(request, "hosts/sources.html", context)


@require(Role.ADMIN)
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One source with its synchronisations, newest first."""
    site_wide(request)
    source = _find(pk)
    state = request.GET.get("state", "")
    runs = SyncRun.objects.filter(source=source)
    if state:
        runs = runs.filter(state=state) if state in SyncRun.State.values else runs.none()
    if request.GET.get("format") == "csv":
        return csvfile.answer("synchronisations", RUN_COLUMNS, map(run_cells, runs.iterator(100)))
    page = Paginator(runs, PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "source": source,
        "page": page,
        "rows": [(run, wording.run(run)) for run in page],
        "state": state,
        "states": SyncRun.State.choices,
        "good": GOOD,
        "hosts": source.sourced.filter(host__removed_at=None).count(),
        "waiting": SyncRun.objects.filter(source=source, state=SyncRun.State.WAITING).first(),
        "csv_url": fleet.with_query(request, format="csv", page=None),
        "next_url": fleet.with_query(request, page=page.next_page_number())
        if page.has_next()
        else "",
        "prev_url": fleet.with_query(request, page=None) if page.number > 1 else "",
    }
    return render(request, "hosts/source.html", context)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Add a source."""
    site_wide(request)
    return _form(request, None)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a source."""
    site_wide(request)
    return _form(request, _find(pk))


@require(Role.ADMIN)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a source; its hosts stay."""
    site_wide(request)
    source = _find(pk)
    sources.remove(source, request=request)
    messages.success(request, _("%(name)s was removed. Its hosts stay.") % {"name": source.name})
    return redirect("sources")


@require(Role.ADMIN)
@require_POST
def synchronise(request: HttpRequest, pk: int) -> HttpResponse:
    """Synchronise now, or with ``dry`` only say what would happen."""
    site_wide(request)
    source = _find(pk)
    done = sync.run(source.pk, request=request, dry=bool(request.POST.get("dry")))
    if done is None:
        messages.error(request, _("This source is being synchronised right now."))
        return redirect("source", pk=source.pk)
    return redirect("sync_run", pk=done.pk)


@require(Role.ADMIN)
@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One synchronisation: what it did, would do, or stumbled over."""
    site_wide(request)
    row = _find_run(pk)
    if request.GET.get("format") == "csv":
        header = ("what", "host", "name", "field", "before", "after", "where", "problem")
        return csvfile.answer("synchronisation", header, _plan_cells(row))
    context = {
        "run": row,
        "source": row.source,
        "why": wording.run(row),
        "good": row.state in GOOD,
        "waits": row.state == SyncRun.State.WAITING,
        "plan": {part: row.plan.get(part, []) for part in PLAN_PARTS},
        "changes": [
            (each, [(name, wording.field_label(name), pair) for name, pair in fields.items()])
            for each in row.plan.get("change", [])
            for fields in (each["fields"],)
        ],
        "problems": [(each, wording.problem(each)) for each in row.plan.get("problems", [])],
        "keep": row.plan.get("keep", 0),
        "later": row.plan.get("later", 0),
        "shown": shown.SHOWN,
    }
    return render(request, "hosts/sync_run.html", context)


@require(Role.ADMIN)
@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """``decision``: approve or decline what waits; adopt or take_back one ``host``."""
    site_wide(request)
    row = _find_run(pk)
    decision, host = request.POST.get("decision", ""), request.POST.get("host", "")
    number = int(host) if host.isascii() and host.isdigit() and len(host) < 18 else 0
    try:
        if decision == "approve":
            done = decisions.approve(row, request=request)
            _say(request, done)
        elif decision == "decline":
            decisions.decline(row, request=request)
            messages.success(request, _("Nothing was changed."))
        elif decision == "adopt":
            adopted = decisions.adopt(row, number, request=request)
            messages.success(
                request,
                _("%(host)s follows this source from the next synchronisation on.")
                % {"host": adopted.name},
            )
        elif decision == "take_back":
            decisions.take_back(row, number, request=request)
            messages.success(request, _("It comes again with the next synchronisation."))
        else:
            raise ValidationError({"decision": _("Approve or decline it.")})
    except ValidationError as invalid:
        messages.error(request, " ".join(invalid.messages))
    return redirect("sync_run", pk=row.pk)


def listed() -> list[Any]:
    """All sources by name with ``newest`` (their newest run), ``why`` and ``host_count``."""
    newest = SyncRun.objects.filter(source=OuterRef("pk")).order_by("-started_at", "-pk")
    rows: list[Any] = list(
        Source.objects.select_related("group", "credential").annotate(
            host_count=Count("sourced", filter=Q(sourced__host__removed_at=None)),
            newest_id=Subquery(newest.values("pk")[:1]),
        )
    )
    runs = SyncRun.objects.in_bulk([row.newest_id for row in rows if row.newest_id])
    waiting = dict(
        SyncRun.objects.filter(state=SyncRun.State.WAITING).values_list("source_id", "pk")
    )
    for row in rows:
        found = runs.get(row.newest_id) if row.newest_id else None
        row.newest = found
        row.why = wording.run(found) if found else ""
        row.waiting = waiting.get(row.pk)
    return rows


def run_cells(row: SyncRun) -> list[Any]:
    """A run as RUN_COLUMNS."""
    return [
        row.pk, row.started_at, row.ended_at, row.state, row.by, row.rows, row.added, row.changed,
        row.removed, len(row.plan.get("problems", [])), row.code, wording.run(row), row.decided_by,
        row.decided_at,
    ]  # fmt: skip


def _say(request: HttpRequest, done: SyncRun) -> None:
    if done.state in GOOD:
        messages.success(request, _("Done."))
    elif done.state == SyncRun.State.WAITING:
        messages.warning(
            request, _("The list was another by now. Look again at what would be removed.")
        )
    else:
        messages.error(request, wording.run(done) or _("Nothing was changed."))


def _source_cells(rows: list[Any]) -> Iterator[list[Any]]:
    for row in rows:
        newest: SyncRun | None = row.newest
        yield [
            row.name, row.kind, row.location, row.group.name,
            row.credential.name if row.credential else None, row.every_minutes, row.enabled,
            row.host_count,
            newest and newest.started_at, newest and newest.state, row.next_sync_at,
        ]  # fmt: skip


def _plan_cells(row: SyncRun) -> Iterator[list[Any]]:
    for each in row.plan.get("remove", []):
        yield ["remove", each["host"], each["name"], None, each["address"], None, None, None]
    for each in row.plan.get("change", []):
        for name, (before, after) in each["fields"].items():
            yield ["change", each["host"], each["name"], name, before, after, None, None]
    for each in row.plan.get("add", []):
        yield ["add", None, each["name"], None, None, each["address"], None, None]
    for each in row.plan.get("problems", []):
        yield ["problem", each.get("host"), each["name"], None, None, None, each["where"],
               wording.problem(each)]  # fmt: skip
    for each in row.plan.get("ignored", []):
        yield ["ignored", each["host"], each["name"], None, None, None, None, None]


def _form(request: HttpRequest, source: Source | None) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    instance = Source() if source is None else Source.objects.get(pk=source.pk)
    form = SourceForm(data, instance=instance)
    if request.method == "POST" and form.is_valid():
        try:
            if source is None:
                saved = sources.create(form.payload(), request=request)
            else:
                saved = sources.change(source, form.payload(), request=request)
        except ValidationError as invalid:
            if "fields" in invalid.error_dict:
                invalid.error_dict[MAP + "name"] = invalid.error_dict.pop("fields")
            add_errors(form, invalid)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("source", pk=saved.pk)
    context = {"form": form, "source": source, "groups_exist": HostGroup.objects.exists()}
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "hosts/source_form.html", context, status=status)


def _find(pk: int) -> Source:
    rows: QuerySet[Source] = Source.objects.select_related("group", "credential")
    source = rows.filter(pk=pk).first() if pk < 2**63 else None
    if source is None:
        raise Http404
    return source


def _find_run(pk: int) -> SyncRun:
    rows: QuerySet[SyncRun] = SyncRun.objects.select_related("source__group")
    row = rows.filter(pk=pk).first() if pk < 2**63 else None
    if row is None:
        raise Http404
    return row
