"""The pages of maintenance windows: which there are, and adding, changing and ending them.

Place in the data's way: between the forms and ``probes.watch.windows``, which checks and records.
"""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.models import Host, visible_groups
from netadmin.access import permissions
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.alert_filters import SilenceFilter
from probes.filters import FilterError, parse
from probes.history.queries import windows as queries
from probes.history.queries.pages import Page
from probes.models import AlertKind, Rule, Silence
from probes.views import place
from probes.views.hostpage import with_query
from probes.views.moment import field_value
from probes.watch import silences, windows

ROWS_A_PAGE: Final = 50
STATES: Final = (
    ("", gettext_lazy("planned and running")),
    ("running", gettext_lazy("running")),
    ("planned", gettext_lazy("planned")),
    ("over", gettext_lazy("over")),
    ("all", gettext_lazy("all")),
)
WORDS: Final = {
    silences.RUNNING: gettext_lazy("running"),
    silences.PLANNED: gettext_lazy("planned"),
    silences.OVER: gettext_lazy("over"),
}
ICONS: Final = {silences.RUNNING: "off", silences.PLANNED: "new", silences.OVER: "ok"}


def _moment_field(label: Any, *, required: bool) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label,
        required=required,
        input_formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
                       "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(
            format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local", "step": "60"}
        ),
    )  # fmt: skip


class SilenceForm(forms.Form):
    """A window as it is typed; ``windows`` checks it."""

    host = forms.ModelChoiceField(
        label=gettext_lazy("Host"), queryset=Host.objects.none(), required=False
    )
    group = forms.ModelChoiceField(
        label=gettext_lazy("Group"), queryset=Host.objects.none(), required=False
    )
    rule = forms.ModelChoiceField(
        label=gettext_lazy("Only this rule"), queryset=Rule.objects.none(), required=False
    )
    kind = forms.ChoiceField(label=gettext_lazy("Only this kind"), required=False)
    starts_at = _moment_field(gettext_lazy("From"), required=False)
    ends_at = _moment_field(gettext_lazy("Until"), required=True)
    reason = forms.CharField(
        label=gettext_lazy("Reason"), required=False, max_length=windows.LONGEST_REASON
    )

    def __init__(self, request: HttpRequest, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        fields = cast("dict[str, Any]", self.fields)
        everything = permissions.sees_all(request.user)
        fields["host"].queryset = Host.objects.kept().visible_to(request.user).order_by("name")
        fields["group"].queryset = visible_groups(request.user).order_by("name")
        fields["rule"].queryset = Rule.objects.order_by("name")
        fields["kind"].choices = [("", _("any")), *AlertKind.choices]
        for name in ("host", "group", "rule"):
            fields[name].empty_label = _("any")
        if everything:
            fields["host"].help_text = _("Neither host nor group: the whole site.")
        else:
            fields["host"].help_text = _("A host, a group, or both.")
        fields["starts_at"].help_text = _("Empty: from now on.")
        fields["reason"].help_text = _("Seen by whoever sees the window.")

    def values(self) -> dict[str, Any]:
        """What ``windows`` takes."""
        given: dict[str, Any] = dict(self.cleaned_data)
        for name in ("host", "group", "rule"):
            if name in given:
                given[name] = None if given[name] is None else given[name].pk
        return given


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The windows that the reader may see; those that are not over, where nothing else is asked."""
    now = timezone.now()
    problem: FilterError | None = None
    found: Page[Silence] = Page(())
    visible = queries.visible(request.user)
    asked = SilenceFilter()
    try:
        every = request.GET.get("state") == "all"
        ignored = ("cursor", "state") if every else ("cursor",)
        asked = parse(SilenceFilter, request.GET, ignore=ignored)
        place.narrowed(
            request, Host.objects.visible_to(request.user), host=asked.host, group=asked.group
        )
        state = None if every else asked.state or "current"
        found = queries.page(
            queries.listed(visible, asked.model_copy(update={"state": state}), now=now),
            kind=f"silences:{state}:{asked.host}:{asked.group}",
            cursor=request.GET.get("cursor") or None,
            limit=ROWS_A_PAGE,
        )
    except FilterError as error:
        problem = error
    csv = {name: value for name, value in asked.parameters().items() if name != "state"}
    if request.GET.get("state") != "all":
        csv["state"] = asked.state or "current"
    csv["format"] = "csv"
    context = {
        "problem": problem,
        "rows": [shaped(row, now) for row in found.rows],
        "total": found.total,
        "next_url": with_query(request, cursor=found.next) if found.next else "",
        "first_url": with_query(request) if request.GET.get("cursor") else "",
        "csv_url": f"{reverse('api-silences')}?{urlencode(csv)}" if found.rows else "",
        "states": STATES,
        "groups": list(
            visible_groups(request.user).order_by("name").values_list("name", flat=True)
        ),
        "filtered": any(request.GET.get(name) for name in ("state", "group", "host"))
        or problem is not None,
    }
    return render(request, "probes/silences.html", context, status=400 if problem else 200)


@require(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Add a window; ``host``, ``group``, ``rule`` and ``kind`` of the address fill the form."""
    if request.method == "POST":
        return _save(request, None)
    given = {name: request.GET.get(name, "").replace("\0", "")[:20] for name in windows.SCOPE}
    return _form(request, SilenceForm(request, initial=given), None)


@require(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a window that is not over."""
    silence = _visible(request, pk)
    if request.method == "POST":
        return _save(request, silence)
    initial: dict[str, Any] = {
        "host": silence.host_id,
        "group": silence.group_id,
        "rule": silence.rule_id,
        "kind": silence.kind,
        "starts_at": field_value(silence.starts_at)[:16],
        "ends_at": field_value(silence.ends_at)[:16],
        "reason": silence.reason,
    }
    return _form(request, SilenceForm(request, initial=initial), silence)


@require(Role.OPERATOR)
@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a window now."""
    windows.end(_visible(request, pk), request=request)
    messages.success(request, _("The maintenance window is over."))
    return redirect("silences")


def shaped(row: Silence, now: Any) -> dict[str, Any]:
    """A window for the template."""
    state = silences.state(row, now)
    return {
        "silence": row,
        "state": state,
        "word": WORDS[state],
        "icon": ICONS[state],
        "snooze": bool(row.fingerprint),
    }


def _visible(request: HttpRequest, pk: int) -> Silence:
    found = queries.visible(request.user).filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise Http404
    return found


def _save(request: HttpRequest, silence: Silence | None) -> HttpResponse:
    form = SilenceForm(request, request.POST)
    if silence is not None and silence.fingerprint:
        _only_times(form)
    if form.is_valid():
        try:
            if silence is None:
                windows.create(form.values(), request=request)
            else:
                windows.change(silence, form.values(), request=request)
        except ValidationError as invalid:
            for field, said in invalid.message_dict.items():
                form.add_error(field if field in form.fields else None, said)
        else:
            messages.success(request, _("The maintenance window was saved."))
            return redirect("silences")
    return _form(request, form, silence, status=400)


def _only_times(form: SilenceForm) -> None:
    """A snooze is about one alert: it has times and a reason alone."""
    for name in windows.SCOPE:
        form.fields.pop(name, None)


def _form(
    request: HttpRequest, form: SilenceForm, silence: Silence | None, *, status: int = 200
) -> HttpResponse:
    if silence is not None and silence.fingerprint:
        _only_times(form)
    context = {
        "form": form,
        "silence": silence,
        "zone": timezone.get_current_timezone_name(),
    }
    return render(request, "probes/silence_form.html", context, status=status)
