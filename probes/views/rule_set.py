"""The rule set as a file: downloaded, and imported after a look at what would change.

Place in the data's way: between the forms and ``probes.rule_set``, which checks and records.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from hosts.views.credentials import site_wide
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import rule_set
from probes.rule_set import Difference, Kind, Outcome, RuleSetError

SECTION_NAMES = {
    "rules": gettext_lazy("Thresholds"),
    "port_policies": gettext_lazy("Port rules"),
    "drift_watches": gettext_lazy("New-peer watches"),
    "restart_commands": gettext_lazy("Restart commands"),
    "services": gettext_lazy("Services"),
    "channels": gettext_lazy("Channels"),
    "maintenance_windows": gettext_lazy("Maintenance windows"),
}


@require(Role.ADMIN)
@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """Everything as YAML, without secrets."""
    site_wide(request)
    name = f"netadmin-rules-{timezone.localtime():%Y-%m-%d}.yaml"
    return HttpResponse(
        rule_set.export(),
        content_type="application/yaml; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def take(request: HttpRequest) -> HttpResponse:
    """The form, what would change, and with ``confirm`` the import itself.

    A confirmation carries the text and a digest of what was shown; where something else would
    happen by now, that is shown instead.
    """
    site_wide(request)
    if request.method != "POST":
        return _show(request)
    replace = request.POST.get("replace") == "1"
    confirmed = request.POST.get("confirm")
    text = ""
    try:
        text = _text(request)
        outcome = rule_set.apply(
            rule_set.load(text),
            replace=replace,
            dry_run=confirmed is None,
            shown=confirmed,
            request=request,
        )
    except RuleSetError as error:
        return _show(request, text=text, replace=replace, problems=error.problems)
    if not outcome.stored:
        changed = []
        if confirmed is not None:
            changed = [("", _("Something was changed meanwhile. Look again at what would happen."))]
        return _show(request, text=text, replace=replace, outcome=outcome, problems=changed)
    done = sum(outcome.count(kind) for kind in (Kind.ADDED, Kind.CHANGED, Kind.REMOVED))
    messages.success(
        request,
        ngettext("%(n)s item was imported.", "%(n)s items were imported.", done) % {"n": done},
    )
    for name, said in outcome.notes:
        messages.warning(request, f"{name}: {said}")
    return redirect(reverse("rules_import"))


def _values(one: Difference) -> list[tuple[str, str, str]]:
    """Fields with their values before and after, as a file would have them."""
    return [
        (name, rule_set.shown(before), rule_set.shown(after))
        for name, (before, after) in one.changes.items()
    ]


def _text(request: HttpRequest) -> str:
    upload = request.FILES.get("file")
    if upload is not None:
        return rule_set.decode(upload.read(rule_set.MAX_BYTES + 1))
    text = request.POST.get("text", "").replace("\r\n", "\n")
    if not text.strip():
        raise RuleSetError([("", _("Choose a file, or paste its text."))])
    return text


def _show(
    request: HttpRequest,
    *,
    text: str = "",
    replace: bool = False,
    problems: list[tuple[str, str]] | None = None,
    outcome: Outcome | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "text": text,
        "replace": replace,
        "problems": problems,
        "outcome": outcome,
        "max_kib": rule_set.MAX_BYTES // 1024,
    }
    if outcome is not None:
        context["counts"] = [(kind, outcome.count(kind)) for kind in Kind if outcome.count(kind)]
        shown = [one for one in outcome.differences if one.kind not in (Kind.UNCHANGED, Kind.LEFT)]
        context["sections"] = [
            (SECTION_NAMES[name], [(one, _values(one)) for one in every])
            for name, every in groupby(shown, key=lambda one: one.section)
        ]
    status = 400 if problems else 200
    return render(request, "probes/rules_import.html", context, status=status)
