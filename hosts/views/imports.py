"""Importing hosts from CSV: first what would happen to each row, then all of it or nothing."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from hosts import csv_import
from hosts.csv_import import Kind
from hosts.views.credentials import site_wide
from netadmin.access.models import Role
from netadmin.access.permissions import require

EXAMPLE = """\
name,address,port,credential,groups,notes
web-1,10.0.0.11,22,deploy,web;paris,behind the load balancer
db-1,db-1.example.com,2222,deploy,db,
"""


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The form, the dry run, and with ``confirm`` the import itself.

    A confirmation carries the text and a digest of the fates that were shown; where they would
    differ by now, the new ones are shown instead.
    """
    site_wide(request)
    if request.method != "POST":
        return _show(request)
    text = ""
    try:
        text = _text(request)
        rows = csv_import.read(text)
    except csv_import.UnreadableError as error:
        return _show(request, text=text, problem=str(error))
    confirmed = request.POST.get("confirm")
    outcome = csv_import.run(rows, request=request, store=confirmed is not None, shown=confirmed)
    if not outcome.stored:
        changed = ""
        if confirmed is not None and outcome.good:
            changed = _("Hosts were changed since the dry run. Look again at what would happen.")
        return _show(request, text=text, outcome=outcome, problem=changed)
    count = outcome.count(Kind.NEW) + outcome.count(Kind.CHANGED)
    messages.success(
        request,
        ngettext("%(count)s host imported.", "%(count)s hosts imported.", count) % {"count": count},
    )
    return redirect("host_list")


def _text(request: HttpRequest) -> str:
    upload = request.FILES.get("file")
    if upload is not None:
        return csv_import.decode(upload.read(csv_import.MAX_BYTES + 1))
    text = request.POST.get("text", "")
    # As long as the same text would be as a file.
    return csv_import.decode(text.encode("utf-8", "surrogatepass")) if text.strip() else ""


def _show(
    request: HttpRequest,
    *,
    text: str = "",
    problem: str = "",
    outcome: csv_import.Outcome | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "text": text,
        "problem": problem,
        "outcome": outcome,
        "columns": csv_import.COLUMNS,
        "example": EXAMPLE,
        "max_rows": csv_import.MAX_ROWS,
    }
    if outcome is not None:
        context["counts"] = [(kind, outcome.count(kind)) for kind in Kind if outcome.count(kind)]
        context["confirmable"] = outcome.good and any(
            fate.kind is not Kind.UNCHANGED for fate in outcome.fates
        )
    bad = bool(problem) or (outcome is not None and not outcome.good)
    return render(request, "hosts/host_import.html", context, status=400 if bad else 200)
