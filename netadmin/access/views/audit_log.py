"""The audit log for administrators: filtered, paged by id, exported as CSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin import csvfile
from netadmin.access import permissions
from netadmin.access.forms import LIMIT, AuditQuery
from netadmin.access.models import AuditEntry, Role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

COLUMNS = ("at", "actor", "token", "address", "action", "kind", "object_id", "object_name",
           "request_id")  # fmt: skip


@permissions.require(Role.ADMIN)
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """Newest first; ``format=csv`` gives every filtered row, ``cursor`` the page after an id."""
    form = AuditQuery(request.GET)
    if not form.is_valid():
        return render(request, "access/audit.html", {"form": form, "entries": []}, status=400)
    entries = _filtered(cast("User", request.user), form)
    if form.cleaned_data["format"] == "csv":
        rows = (
            [*(getattr(entry, name) for name in COLUMNS), _json(entry.detail)]
            for entry in entries.iterator(chunk_size=500)
        )
        return csvfile.answer("audit", [*COLUMNS, "detail"], rows)
    oldest = form.cleaned_data["order"] == "oldest"
    cursor = form.cleaned_data["cursor"]
    if cursor is not None:
        entries = entries.filter(pk__gt=cursor) if oldest else entries.filter(pk__lt=cursor)
    page = list(entries[: LIMIT + 1])
    context = {
        "form": form,
        "asked": form.asked,
        "entries": [(entry, detail_lines(entry)) for entry in page[:LIMIT]],
        "next_url": link(request.GET, cursor=str(page[LIMIT - 1].pk)) if len(page) > LIMIT else "",
        "prev_url": link(request.GET, cursor="") if cursor is not None else "",
        "csv_url": link(request.GET, cursor="", format="csv"),
    }
    return render(request, "access/audit.html", context)


def link(query: QueryDict, **changed: str) -> str:
    """The same page with some parameters changed, those with no value left out."""
    target = query.copy()
    for name, value in changed.items():
        target[name] = value
    for name in [name for name, value in target.items() if not value]:
        del target[name]
    return f"?{target.urlencode()}"


def detail_lines(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """What an entry tells beyond its columns, as (name, before, after) of text for people."""
    detail = entry.detail if isinstance(entry.detail, dict) else {"detail": entry.detail}
    found = []
    for name, value in detail.items():
        if isinstance(value, list) and len(value) == 2:
            found.append((name, _text(value[0]), _text(value[1])))
        else:
            found.append((name, "", _text(value)))
    return found


def _filtered(user: User, form: AuditQuery) -> QuerySet[AuditEntry]:
    asked = form.cleaned_data
    entries = AuditEntry.objects.order_by("pk" if asked["order"] == "oldest" else "-pk")
    if not permissions.administers_all(user):
        # An administrator of some groups sees what concerns their hosts, and its own acts.
        seen = [str(pk) for pk in Host.objects.visible_to(user).values_list("pk", flat=True)]
        entries = entries.filter(
            Q(actor=user.get_username()) | Q(kind="hosts.host", object_id__in=seen)
        )
    if asked["who"]:
        entries = entries.filter(actor=asked["who"])
    if asked["action"]:
        entries = entries.filter(action__startswith=asked["action"])
    if asked["object"]:
        entries = entries.filter(
            Q(object_name__icontains=asked["object"]) | Q(object_id=asked["object"][:50])
        )
    if asked["request"]:
        entries = entries.filter(request_id=asked["request"])
    if asked["since"]:
        entries = entries.filter(at__gte=asked["since"])
    if asked["until"]:
        entries = entries.filter(at__lt=asked["until"])
    return entries


def _text(value: object) -> str:
    if value is None or value == "":
        return "—"
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
