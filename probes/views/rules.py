"""The pages of thresholds: which rules there are, who is above them, and changing them.

Place in the data's way: between the forms and ``probes.watch.rule_book``, which checks and records.
"""

from __future__ import annotations

from typing import Any, Final, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.models import Host, HostGroup, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import administers_all, require
from probes.filters import FilterError
from probes.models import Metric, Rule, RuleOverride, Severity
from probes.views import host_thresholds, hostpage
from probes.watch import replay, rule_book, rule_limits, rules, standing
from probes.wording import rules as wording

MOST_NAMED: Final = 3
"""Hosts above a rule that its row names."""
MOST_PREVIEWED: Final = 100

_STATES: Final = [(state, state) for state in rule_book.STATES]
_HINTS: Final = {
    "threshold": gettext_lazy("Wrong above it."),
    "clear_at": gettext_lazy("Empty: nine tenths of the threshold."),
    "at_least": gettext_lazy("With fewer connections than this it is never wrong."),
    "within_minutes": gettext_lazy("Held against the most there were in as long a time before."),
    "probes": gettext_lazy("So many have to show it, one after the other."),
    "ports": gettext_lazy("Each has a count and an alert of its own: 22, 80, 443."),
    "advice": gettext_lazy("What to do, for whoever gets the alert. Empty: netadmin's own words."),
}
_UNITS: Final = {
    Metric.RATIO: gettext_lazy("Threshold (%)"),
    Metric.RISE: gettext_lazy("Threshold (%)"),
    Metric.SLOW: gettext_lazy("Threshold (seconds)"),
    Metric.STALE: gettext_lazy("Threshold (intervals of the host)"),
}


def _number(label: Any, *, required: bool = True) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        required=required,
        min_value=0,
        max_value=rule_book.MOST_NUMBER,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


class RuleForm(forms.Form):
    """A rule as it is typed; only the fields that mean something to its metric are there."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    state = forms.ChoiceField(label=gettext_lazy("State"))
    of_state = forms.ChoiceField(label=gettext_lazy("In percent of"))
    ports = forms.CharField(label=gettext_lazy("Local ports"), max_length=500)
    threshold = _number(gettext_lazy("Threshold"))
    clear_at = _number(gettext_lazy("Over at or below"), required=False)
    at_least = _number(gettext_lazy("Not below"), required=False)
    within_minutes = forms.IntegerField(
        label=gettext_lazy("Within minutes"), min_value=1, max_value=rule_book.MOST_MINUTES
    )
    probes = forms.IntegerField(
        label=gettext_lazy("Probes in a row"), min_value=1, max_value=rule_book.MOST_PROBES
    )
    severity = forms.ChoiceField(label=gettext_lazy("Severity"), choices=Severity.choices)
    advice = forms.CharField(label=gettext_lazy("Advice"), max_length=500, required=False)
    enabled = forms.BooleanField(label=gettext_lazy("Enabled"), required=False)

    def __init__(self, metric: str, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.metric = metric
        fields = cast("dict[str, Any]", self.fields)
        of_metric = rule_book.fields_of(metric)
        for name in set(fields) - of_metric:
            del fields[name]
        for name in of_metric & {"state", "of_state"}:
            fields[name].choices = list(_STATES)
        if metric == Metric.RISE:
            fields["state"].choices = [("", _("all sockets")), *_STATES]
            fields["state"].required = False
        for name, hint in _HINTS.items():
            if name in fields:
                fields[name].help_text = hint
        if "threshold" in fields and metric in _UNITS:
            fields["threshold"].label = _UNITS[Metric(metric)]

    def values(self) -> dict[str, Any]:
        """What ``rule_book`` takes."""
        given = dict(self.cleaned_data)
        if given.get("at_least", 0) is None:
            given["at_least"] = 0
        return given | {"metric": self.metric}


class OverrideForm(forms.Form):
    """What is other for a host or group; what is empty is as the rule says."""

    enabled = forms.ChoiceField(label=gettext_lazy("Switched"), required=False)
    threshold = _number(gettext_lazy("Threshold"), required=False)
    clear_at = _number(gettext_lazy("Over at or below"), required=False)
    probes = forms.IntegerField(
        label=gettext_lazy("Probes in a row"),
        min_value=1,
        max_value=rule_book.MOST_PROBES,
        required=False,
    )
    severity = forms.ChoiceField(label=gettext_lazy("Severity"), required=False)

    def __init__(self, rule: Rule, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        fields = cast("dict[str, Any]", self.fields)
        for name in set(fields) - rule_book.fields_of(rule.metric):
            del fields[name]
        as_said = _("as the rule says")
        fields["enabled"].choices = [("", as_said), ("on", _("on")), ("off", _("off"))]
        fields["severity"].choices = [("", as_said), *Severity.choices]
        limits = rule_limits.stored(rule)
        usual = {
            "threshold": wording.number(rule.threshold),
            "clear_at": wording.number(limits.over_at),
            "probes": str(limits.needed),
        }
        for name, value in usual.items():
            if name in fields:
                fields[name].widget.attrs["placeholder"] = value
        if "threshold" in fields and rule.metric in _UNITS:
            fields["threshold"].label = _UNITS[Metric(rule.metric)]

    def values(self) -> dict[str, Any]:
        """What ``rule_book`` takes."""
        given = dict(self.cleaned_data)
        given["enabled"] = {"on": True, "off": False}.get(given["enabled"])
        return given


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All rules with what they mean, what is other for whom, and the hosts above them now."""
    visible = Host.objects.kept().visible_to(request.user)
    above = standing.above(visible)
    other = standing.overrides(visible, visible_groups(request.user))
    rows = [_row(rule, above, other) for rule in Rule.objects.order_by("name")]
    context = {
        "parts": [
            (_("Numbers"), [row for row in rows if not row["trouble"]]),
            (_("Trouble with probes"), [row for row in rows if row["trouble"]]),
        ],
        "any": bool(rows),
        "csv_url": f"{reverse('api-rules')}?format=csv",
        "may_change": administers_all(request.user),
        "may_override": hostpage.administers(request),
    }
    return render(request, "probes/rules.html", context)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Choose what a rule looks at, and write it."""
    _for_the_site(request)
    metric = request.GET.get("metric", "")
    taken = set(Rule.objects.filter(metric__in=rules.TROUBLE).values_list("metric", flat=True))
    offered = [name for name in Metric.values if name not in taken]
    if metric not in offered:
        context = {
            "offered": [(name, Metric(name).label, wording.about(name)) for name in offered],
            "problem": FilterError("metric", _("There is none of that name to add."))
            if metric
            else None,
        }
        return render(request, "probes/rule_metrics.html", context, status=400 if metric else 200)
    if request.method == "POST":
        return _save(request, None, metric)
    fresh = {"probes": 2, "severity": Severity.WARNING, "enabled": True, "within_minutes": 10}
    return _form(request, RuleForm(metric, initial=fresh), None)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a rule; or see, before it is saved, what it would have raised."""
    _for_the_site(request)
    rule = _rule(pk)
    if request.method == "POST":
        return _save(request, rule, rule.metric)
    return _form(request, RuleForm(rule.metric, initial=_plain(rule_book.described(rule))), rule)


@require(Role.ADMIN)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a rule; what it raised is over."""
    _for_the_site(request)
    rule = _rule(pk)
    rule_book.remove(rule, request=request)
    messages.success(
        request, _("The rule %(name)s was removed. What it raised is over.") % {"name": rule.name}
    )
    return redirect("rules")


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def override_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what is other about a rule for the host or group of the query, or change it."""
    rule = _rule(pk)
    visible = Host.objects.kept().visible_to(request.user)
    groups = visible_groups(request.user)
    problem: FilterError | None = None
    scope: Host | HostGroup | None = None
    try:
        scope = _scope(request, visible, groups)
    except FilterError as error:
        problem = error
    if scope is None:
        choices: dict[str, Any] = {
            "rule": rule,
            "problem": problem,
            "hosts": list(visible.order_by("name").values_list("pk", "name")),
            "groups": list(groups.order_by("name").values_list("pk", "name")),
        }
        return render(request, "probes/rule_scope.html", choices, status=400 if problem else 200)
    field = "host" if isinstance(scope, Host) else "group"
    known = RuleOverride.objects.filter(rule=rule, **{field: scope}).first()
    form = OverrideForm(rule, initial={} if known is None else _initial(known))
    if request.method == "POST":
        form = OverrideForm(rule, request.POST)
        if form.is_valid():
            try:
                rule_book.set_override(rule, scope, form.values(), request=request)
            except ValidationError as invalid:
                _add_errors(form, invalid)
            else:
                messages.success(
                    request,
                    _("%(rule)s was saved for %(name)s.") % {"rule": rule.name, "name": scope},
                )
                return redirect("rules")
    context = {
        "rule": rule,
        "meaning": wording.sentence(rule_limits.stored(rule)),
        "scope": scope,
        "is_host": isinstance(scope, Host),
        "known": known,
        "form": form,
        "action": f"{request.path}?{field}={scope.pk}",
    }
    status = 400 if form.errors else 200
    return render(request, "probes/rule_override.html", context, status=status)


@require(Role.ADMIN)
@require_POST
def override_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a rule count for a host or group as for all others."""
    visible = Host.objects.kept().visible_to(request.user)
    found = standing.overrides(visible, visible_groups(request.user))
    row = next((each for rows in found.values() for each in rows if each.pk == pk), None)
    if row is None:
        raise Http404
    rule_book.remove_override(row, request=request)
    messages.success(
        request,
        _("%(rule)s counts for %(name)s as for all others.")
        % {"rule": row.rule.name, "name": row.host or row.group},
    )
    return redirect("rules")


def _row(
    rule: Rule,
    above: dict[int, list[standing.Above]],
    other: dict[int, list[RuleOverride]],
) -> dict[str, Any]:
    limits = rule_limits.stored(rule)
    raised = [each for each in above.get(rule.pk, []) if each.raised]
    hosts = list(dict.fromkeys((each.host_id, each.host) for each in raised))
    return {
        "rule": rule,
        "limits": limits,
        "trouble": rule.metric in rules.TROUBLE,
        "meaning": wording.sentence(limits),
        "threshold": wording.number(rule.threshold)
        if "threshold" in rule_book.fields_of(rule.metric)
        else "",
        "unit": {"ratio": "%", "rise": "%", "slow": "s"}.get(rule.metric, ""),
        "severity_icon": host_thresholds.SEVERITY_ICONS[rule.severity],
        "overrides": [
            {"row": row, "said": host_thresholds.said(row)} for row in other.get(rule.pk, [])
        ],
        "hosts": hosts[:MOST_NAMED],
        "more_hosts": max(0, len(hosts) - MOST_NAMED),
        "raised": len(hosts),
        "counting": len({each.host_id for each in above.get(rule.pk, []) if not each.raised}),
    }


def _save(request: HttpRequest, rule: Rule | None, metric: str) -> HttpResponse:
    form = RuleForm(metric, request.POST)
    if form.is_valid():
        try:
            if "preview" in request.POST:
                return _form(request, form, rule, preview=_preview(request, form, rule))
            if rule is None:
                saved = rule_book.create(form.values(), request=request)
            else:
                saved = rule_book.change(rule, form.values(), request=request)
        except ValidationError as invalid:
            _add_errors(form, invalid)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("rules")
    return _form(request, form, rule, status=400)


def _preview(request: HttpRequest, form: RuleForm, rule: Rule | None) -> dict[str, Any]:
    """What the rule as it is typed would have raised; ValidationError by field."""
    typed = Rule(pk=None if rule is None else rule.pk, metric=form.metric)
    rule_book.fill(typed, form.values() | {"enabled": True})
    limits = rule_limits.stored(typed)
    hosts = Host.objects.kept().filter(enabled=True).visible_to(request.user)
    found = replay.replay(limits, hosts, until=timezone.now())
    return {
        "found": found,
        "rows": [
            {"would": each, "value": wording.number(each.value)}
            for each in found.alerts[:MOST_PREVIEWED]
        ],
        "with_value": form.metric in rules.NUMBERS,
        "hosts": len({each.host_id for each in found.alerts}),
        "more": max(0, len(found.alerts) - MOST_PREVIEWED),
        "meaning": wording.sentence(limits),
    }


def _form(
    request: HttpRequest,
    form: RuleForm,
    rule: Rule | None,
    *,
    preview: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "rule": rule,
        "about": wording.about(form.metric),
        "metric": Metric(form.metric).label,
        "can_preview": replay.can(form.metric),
        "preview": preview,
        "action": request.path if rule is not None else f"{request.path}?metric={form.metric}",
    }
    return render(request, "probes/rule_form.html", context, status=status)


def _add_errors(form: forms.Form, invalid: ValidationError) -> None:
    for field, said in invalid.message_dict.items():
        form.add_error(field if field in form.fields else None, said)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers without a decimal point, as people type them."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in fields.items()
    }


def _initial(row: RuleOverride) -> dict[str, Any]:
    known = _plain(rule_book.described_override(row))
    switched = {True: "on", False: "off", None: ""}[row.enabled]
    return {**known, "enabled": switched}


def _scope(request: HttpRequest, hosts: Any, groups: Any) -> Host | HostGroup | None:
    """The host or group that the query names; None where it names neither. Raises FilterError where
    the caller may know of none."""
    absent = {"host": _("There is no such host."), "group": _("There is no such host group.")}
    for name, rows in (("host", hosts), ("group", groups)):
        given = (request.GET.get(name) or request.POST.get(name, "")).strip()
        if given:
            found: Host | HostGroup | None = None
            if given.isascii() and given.isdigit() and len(given) < 19:
                found = rows.filter(pk=int(given)).first()
            if found is None:
                raise FilterError(name, absent[name])
            return found
    return None


def _rule(pk: int) -> Rule:
    rule = Rule.objects.filter(pk=pk).first() if pk < 2**63 else None
    if rule is None:
        raise Http404
    return rule


def _for_the_site(request: HttpRequest) -> None:
    if not administers_all(request.user):
        raise PermissionDenied(_("A rule is changed by an administrator of all hosts."))
