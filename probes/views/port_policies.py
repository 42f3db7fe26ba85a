"""Policies of ports: of the site, of groups and of hosts; looked at before they are changed.

Place in the data's way: between the forms and ``probes.watch.policy_book``, which checks, works out
what a change would do, and records.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts.models import Host, visible_groups
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError, Identifier, Query, parse
from probes.models import PortPolicy
from probes.watch import policies, policy_book
from probes.watch.policy_book import Preview
from probes.watch.port_list import Range
from probes.wording import ports as wording

ENABLED: Final = (
    ("", gettext_lazy("as the next wider rule says")),
    ("yes", gettext_lazy("yes")),
    ("no", gettext_lazy("no, nothing here")),
)
HOSTS_NAMED: Final = 20
PORTS_NAMED: Final = 12


def _area() -> forms.Textarea:
    return forms.Textarea(
        attrs={"rows": 3, "class": "na-mono", "spellcheck": "false", "autocomplete": "off"}
    )


class Scope(Query):
    """Whose policy: of neither, the site's."""

    group: Identifier | None = None
    host: Identifier | None = None


class PolicyForm(forms.Form):
    """A policy as it is typed; ``policy_book`` checks it. The switches are fields by range:
    ``says_system`` whether the row says anything, ``raises_system`` what."""

    enabled = forms.ChoiceField(label=gettext_lazy("Watch ports"), choices=ENABLED, required=False)
    expected = forms.CharField(
        label=wording.LISTS["expected"],
        help_text=wording.LIST_HINTS["expected"],
        required=False,
        max_length=policy_book.LONGEST_LIST,
        widget=_area(),
    )
    allowed = forms.CharField(
        label=wording.LISTS["allowed"],
        help_text=wording.LIST_HINTS["allowed"],
        required=False,
        max_length=policy_book.LONGEST_LIST,
        widget=_area(),
    )
    excluded = forms.CharField(
        label=wording.LISTS["excluded"],
        help_text=wording.LIST_HINTS["excluded"],
        required=False,
        max_length=policy_book.LONGEST_LIST,
        widget=_area(),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for of in Range:
            self.fields[f"says_{of.value}"] = forms.ChoiceField(
                choices=(("", ""), ("yes", "")), required=False
            )
            self.fields[f"raises_{of.value}"] = forms.MultipleChoiceField(
                choices=[(switch.value, label) for switch, label in wording.SWITCHES.items()],
                required=False,
            )

    @property
    def switches(self) -> list[dict[str, Any]]:
        """The switches for the template, as they were sent or are stored."""
        return [
            {
                "range": of.value,
                "label": wording.RANGES[of],
                "hint": wording.RANGE_HINTS[of],
                "says": bool(self[f"says_{of.value}"].value()),
                "boxes": [
                    (
                        switch.value,
                        label,
                        switch.value in self._chosen(of),
                    )
                    for switch, label in wording.SWITCHES.items()
                ],
            }
            for of in Range
        ]

    def _chosen(self, of: Range) -> list[str]:
        return self[f"raises_{of.value}"].value() or []

    def data_of(self) -> dict[str, Any]:
        """What was sent, as ``policy_book`` takes it."""
        sent = self.cleaned_data
        return {
            "enabled": {"yes": True, "no": False}.get(sent["enabled"]),
            **{name: sent[name] for name in policies.LISTS},
            "raises": {
                of.value: sent[f"raises_{of.value}"] for of in Range if sent[f"says_{of.value}"]
            },
        }


def initial_of(policy: PortPolicy) -> dict[str, Any]:
    """A policy as the form shows it."""
    said = policies.switches(policy.raises)
    values: dict[str, Any] = {name: getattr(policy, name) for name in policies.LISTS}
    values["enabled"] = {True: "yes", False: "no", None: ""}[policy.enabled]
    for of in Range:
        values[f"says_{of.value}"] = "yes" if of.value in said else ""
        values[f"raises_{of.value}"] = said.get(of.value, [])
    return values


@require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The policies the reader may know of: the site's, then groups, then hosts."""
    return _listed(request)


def _listed(request: HttpRequest, *, problem: FilterError | None = None) -> HttpResponse:
    rows = sorted(
        policy_book.visible(request),
        key=lambda row: (("site", "group", "host").index(policy_book.scope(row)), str(row)),
    )
    site = policy_book.of_scope(None, None)
    if site._state.adding:
        rows.insert(0, site)
    may = [policy_book.may_change(request, row) for row in rows]
    groups = visible_groups(request.user).filter(port_policy=None).order_by("name")
    hosts = Host.objects.kept().visible_to(request.user).filter(port_policy=None)
    administers = policy_book.administers(request)
    context = {
        "problem": problem,
        "rows": [
            {
                "policy": row,
                "scope": policy_book.scope(row),
                "may_change": allowed,
                "lists": [(wording.LISTS[name], getattr(row, name)) for name in policies.LISTS],
                "switches": _said(row),
            }
            for row, allowed in zip(rows, may, strict=True)
        ],
        "groups": list(groups.values_list("pk", "name")) if administers else [],
        "hosts": list(hosts.order_by("name").values_list("pk", "name")) if administers else [],
    }
    return render(request, "probes/port_policies.html", context, status=400 if problem else 200)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Change a policy: look at what it would do, or save it."""
    try:
        policy = _asked(request)
    except FilterError as error:
        return _listed(request, problem=error)
    if request.method != "POST":
        return _form(request, PolicyForm(initial=initial_of(policy)), policy)
    form = PolicyForm(request.POST)
    if form.is_valid():
        try:
            if "preview" in request.POST:
                made = policy_book.draft(policy, form.data_of())
                return _form(request, form, policy, preview=policy_book.preview(request, made))
            saved = policy_book.save(policy, form.data_of(), request=request)
        except ValidationError as invalid:
            for field, said in _by_field(invalid).items():
                form.add_error(field if field in form.fields else None, said)
        else:
            messages.success(
                request,
                _("The port rules of %(name)s were saved. They count from the next probe on.")
                % {"name": name_of(saved)},
            )
            return redirect("port_policies")
    return _form(request, form, policy, status=400)


@require(Role.ADMIN)
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove the policy of a group or host."""
    policy = policy_book.visible(request).filter(pk=pk).first() if pk < 2**63 else None
    if policy is None:
        raise Http404
    if not policy_book.may_change(request, policy):
        raise PermissionDenied(_("The rules of the site need an administrator of all hosts."))
    try:
        policy_book.remove(policy, request=request)
    except ValidationError as invalid:
        messages.error(request, " ".join(invalid.messages))
    else:
        messages.success(
            request, _("The port rules of %(name)s were removed.") % {"name": name_of(policy)}
        )
    return redirect("port_policies")


def name_of(policy: PortPolicy) -> str:
    """The site, a group or a host in words."""
    if policy.host is not None:
        return policy.host.name
    return _("the whole site") if policy.group is None else policy.group.name


def _asked(request: HttpRequest) -> PortPolicy:
    """The policy that ``?group=`` or ``?host=`` means, of neither the site's.

    Raises FilterError, in the same words for what is not there and what may not be seen.
    """
    asked = parse(Scope, request.GET)
    group = host = None
    if asked.group is not None:
        group = visible_groups(request.user).filter(pk=asked.group).first()
        if group is None:
            raise FilterError("group", _("There is no such host group."))
    if asked.host is not None:
        host = Host.objects.kept().visible_to(request.user).filter(pk=asked.host).first()
        if host is None:
            raise FilterError("host", _("There is no such host."))
    if group is not None and host is not None:
        raise FilterError("host", _("Give a group or a host."))
    policy = policy_book.of_scope(group, host)
    if not policy_book.may_change(request, policy):
        raise FilterError(
            "group",
            _("Give a group or a host: the rules of the site need an administrator of all hosts."),
        )
    return policy


def _form(
    request: HttpRequest,
    form: PolicyForm,
    policy: PortPolicy,
    *,
    preview: Preview | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "policy": policy,
        "scope": policy_book.scope(policy),
        "name": name_of(policy),
        "action": request.get_full_path(),
        "preview": preview,
        "effects": None if preview is None else _effects(preview),
        "more_hosts": 0 if preview is None else max(0, len(preview.effects) - HOSTS_NAMED),
    }
    return render(request, "probes/port_policy_form.html", context, status=status)


def _effects(preview: Preview) -> list[dict[str, Any]]:
    """What it would do to the first hosts, each with its first ports."""
    shaped = []
    for effect in preview.effects[:HOSTS_NAMED]:
        named = {}
        for name in preview.totals:
            keys = getattr(effect, name)
            more = len(keys) - PORTS_NAMED
            named[name] = ", ".join(map(str, keys[:PORTS_NAMED]))
            if more > 0:
                named[name] += f" +{more}"
        shaped.append({"host": effect.host, **named})
    return shaped


def _said(policy: PortPolicy) -> list[tuple[Any, str]]:
    """(range, what raises an alert in it) as far as the row says something."""
    said = policies.switches(policy.raises)
    return [
        (
            wording.RANGES[of],
            ", ".join(
                str(label) for switch, label in wording.SWITCHES.items() if switch in said[of.value]
            )
            or _("nothing"),
        )
        for of in Range
        if of.value in said
    ]


def _by_field(invalid: ValidationError) -> dict[str | None, list[str]]:
    if hasattr(invalid, "error_dict"):
        by_field: dict[str | None, list[str]] = {}
        by_field.update(invalid.message_dict.items())
        return by_field
    return {None: invalid.messages}
