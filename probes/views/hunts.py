"""Saved hunts: which there are, and adding, changing and removing one's own.

Place in the data's way: between the forms and ``probes.hunts.saved``, which checks and records.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import indicators, mail
from probes.hunts import running as hunting
from probes.hunts import saved as saved_hunts
from probes.indicators import MOST_CHARACTERS
from probes.models import Alert, Hunt


class HuntForm(forms.Form):
    """A hunt as it is typed; ``saved_hunts`` checks it."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    indicators = forms.CharField(
        label=gettext_lazy("What to look for"),
        max_length=MOST_CHARACTERS,
        widget=forms.Textarea(
            attrs={"rows": 8, "class": "na-mono", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=gettext_lazy(
            "One a line: 10.0.0.1, 10.0.0.0/8, [2001:db8::1]:443, port 4444, program:xmrig. "
            "Defanged forms such as 10[.]0[.]0[.]1 are read; # begins a comment."
        ),
    )
    mail_to = forms.CharField(
        label=gettext_lazy("Mail to"),
        required=False,
        max_length=5_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=gettext_lazy("Mail addresses, one a line: each new alert is mailed once."),
    )
    enabled = forms.BooleanField(label=gettext_lazy("Enabled"), required=False, initial=True)


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All hunts with their alerts, as far as the reader may see those."""
    rows = list(Hunt.objects.select_related("owner__access").order_by("name"))
    seen = Alert.objects.filter(
        hunt__isnull=False, host__in=Host.objects.visible_to(request.user).order_by()
    ).order_by()
    counts = {
        hunt: (open_ones, every, newest)
        for hunt, open_ones, every, newest in seen.values_list("hunt").annotate(
            open_ones=Count("pk", filter=Q(acknowledged_at=None, resolved_at=None)),
            every=Count("pk"),
            newest=Max("newest_at"),
        )
    }
    context = {
        "rows": [
            {
                "hunt": row,
                "indicators": len(indicators.read(row.indicators).indicators),
                "rests": row.enabled and hunting.rests(row),
                "may_change": saved_hunts.may_change(request, row),
                "counts": counts.get(row.pk, (0, 0, None)),
            }
            for row in rows
        ],
        "may_add": saved_hunts.may_add(request),
        "mails_in_vain": not mail.can_mail() and any(row.mail_to for row in rows),
    }
    return render(request, "probes/hunts.html", context)


@require(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Save a hunt; the page of the hunt hands over what it looked for."""
    if not saved_hunts.may_add(request):
        raise PermissionDenied(_("A token that sees some host groups only changes no hunt."))
    if request.method == "POST" and "hand_over" in request.POST:
        given = request.POST.get("indicators", "")[:MOST_CHARACTERS]
        return _form(request, HuntForm(initial={"indicators": given}), None)
    if request.method != "POST":
        given = request.GET.get("indicators", "").replace("\0", "")[:MOST_CHARACTERS]
        return _form(request, HuntForm(initial={"indicators": given}), None)
    return _save(request, None)


@require(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a hunt of one's own."""
    hunt = _own(request, pk)
    if request.method == "POST":
        return _save(request, hunt)
    fields = {name: getattr(hunt, name) for name in saved_hunts.FIELDS}
    return _form(request, HuntForm(initial=fields), hunt)


@require(Role.OPERATOR)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a hunt of one's own; its alerts stay."""
    hunt = _own(request, pk)
    saved_hunts.remove(hunt, request=request)
    messages.success(
        request, _("The hunt %(name)s was removed. Its alerts stay.") % {"name": hunt.name}
    )
    return redirect("hunts")


def _own(request: HttpRequest, pk: int) -> Hunt:
    hunt = Hunt.objects.select_related("owner").filter(pk=pk).first() if pk < 2**63 else None
    if hunt is None:
        raise Http404
    if not saved_hunts.may_change(request, hunt):
        raise PermissionDenied(
            _("A hunt is changed by its owner or an administrator of all hosts.")
        )
    return hunt


def _save(request: HttpRequest, hunt: Hunt | None) -> HttpResponse:
    form = HuntForm(request.POST)
    if form.is_valid():
        data: dict[str, Any] = form.cleaned_data
        try:
            if hunt is None:
                saved = saved_hunts.create(data, request=request)
            else:
                saved = saved_hunts.change(hunt, data, request=request)
        except ValidationError as invalid:
            for field, said in invalid.message_dict.items():
                form.add_error(field if field in form.fields else None, said)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("hunts")
    return _form(request, form, hunt, status=400)


def _form(
    request: HttpRequest, form: HuntForm, hunt: Hunt | None, *, status: int = 200
) -> HttpResponse:
    context = {"form": form, "hunt": hunt, "can_mail": mail.can_mail()}
    return render(request, "probes/hunt_form.html", context, status=status)
