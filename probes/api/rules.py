"""``rules`` and ``rule-overrides``: thresholds, and what is other about them for whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host, HostGroup, visible_groups
from netadmin import envelope
from netadmin.access.models import Role
from netadmin.access.permissions import administers_all
from probes import payloads
from probes.api.routing import Body, Refusal, route
from probes.api.shared import Listed, absent, visible_hosts
from probes.filters import FilterError
from probes.history.queries.pages import slice_rows
from probes.models import Rule, RuleOverride
from probes.payloads import rules as shapes
from probes.payloads.shapes import Nothing
from probes.payloads.shapes import rules as answers
from probes.watch import rule_book, standing

Number = Annotated[float, Field(ge=0, le=rule_book.MOST_NUMBER, allow_inf_nan=False)]
Probes = Annotated[int, Field(ge=1, le=rule_book.MOST_PROBES)]
Minutes = Annotated[int, Field(ge=1, le=rule_book.MOST_MINUTES)]
SeverityName = Literal["info", "warning", "critical"]
Text = Annotated[str, Field(max_length=500)]
StateName = Annotated[str, Field(max_length=20)]
Name = Annotated[str, Field(max_length=100)]


class RuleChange(Body):
    """Fields of a rule."""

    name: Name = ""
    enabled: bool = True
    state: StateName = ""
    of_state: StateName = ""
    ports: Text = ""
    threshold: Number = 0
    clear_at: Number | None = None
    at_least: Number = 0
    within_minutes: Minutes = 10
    probes: Probes = 2
    severity: SeverityName = "warning"
    advice: Text = ""


class NewRule(RuleChange):
    """A rule needs a name and something to look at."""

    name: Name
    metric: Annotated[str, Field(max_length=12)]


class OverrideChange(Body):
    """What is other; null is as the rule says."""

    enabled: bool | None = None
    threshold: Number | None = None
    clear_at: Number | None = None
    probes: Probes | None = None
    severity: SeverityName | None = None


class NewOverride(OverrideChange):
    """For a host, by its id, or for a group, by its name."""

    host: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    group: Name | None = None


def any_rule(_request: HttpRequest, pk: int) -> Rule | None:
    """A rule by its id: the whole team sees which there are."""
    return Rule.objects.filter(pk=pk).first()


def visible_override(request: HttpRequest, pk: int) -> RuleOverride | None:
    """What is other for a host or group that the caller may know of."""
    rows = RuleOverride.objects.select_related("rule", "host", "group").filter(
        Q(host__in=visible_hosts(request).order_by())
        | Q(group__in=visible_groups(request.user).order_by())
    )
    return rows.filter(pk=pk).first()


@route("GET", Role.VIEWER, query=Listed, data=answers.Rules)
def rules(request: HttpRequest, query: Listed) -> HttpResponseBase:
    """The rules by name, with their overrides and the hosts above them that the caller may see."""
    found = _shaped(request, Rule.objects.order_by("name"))
    if query.format == "csv":
        return payloads.csv("rules", shapes.RULE, found)
    page = slice_rows(
        found,
        kind="rules",
        key=lambda row: [row["name"], row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"rules": page.rows, "total": page.total, "next": page.next})


@route("POST", Role.ADMIN, body=NewRule, data=answers.OneRule, also=(201,))
def add(request: HttpRequest, body: NewRule) -> HttpResponse:
    """Add a rule; it counts from the next probe of each host on."""
    _for_the_site(request)
    rule = rule_book.create(body.model_dump(exclude_unset=True), request=request)
    response = envelope.answer(
        {"rule": shapes.rule(rule)}, message=_("The rule was saved."), status=201
    )
    response["Location"] = f"{request.path}/{rule.pk}"
    return response


@route("GET", Role.VIEWER, about=any_rule, data=answers.OneRule)
def show(request: HttpRequest, rule: Rule) -> HttpResponse:
    """One rule."""
    return envelope.answer({"rule": _shaped(request, [rule])[0]})


@route("PATCH", Role.ADMIN, body=RuleChange, about=any_rule, data=answers.OneRule)
def change(request: HttpRequest, rule: Rule, body: RuleChange) -> HttpResponse:
    """Change a rule; what it looks at stays."""
    _for_the_site(request)
    changed = rule_book.change(rule, body.model_dump(exclude_unset=True), request=request)
    return envelope.answer(
        {"rule": _shaped(request, [changed])[0]}, message=_("The rule was saved.")
    )


@route("DELETE", Role.ADMIN, about=any_rule, data=Nothing)
def remove(request: HttpRequest, rule: Rule) -> HttpResponse:
    """Remove a rule with its overrides; what it raised is over."""
    _for_the_site(request)
    rule_book.remove(rule, request=request)
    return envelope.answer(message=_("The rule was removed. What it raised is over."))


@route("GET", Role.VIEWER, query=Listed, about=any_rule, data=answers.RuleOverrides)
def overrides(request: HttpRequest, rule: Rule, query: Listed) -> HttpResponseBase:
    """What is other about a rule for hosts and groups that the caller may see."""
    found = standing.overrides(visible_hosts(request), visible_groups(request.user), rule.pk)
    rows = [shapes.override(row) for row in found.get(rule.pk, [])]
    if query.format == "csv":
        return payloads.csv("rule-overrides", shapes.OVERRIDE, rows)
    page = slice_rows(
        rows,
        kind=f"rule-overrides:{rule.pk}",
        key=lambda row: [row["host"] is not None, (row["host"] or row["group"])["name"], row["id"]],
        cursor=query.cursor,
        limit=query.limit,
    )
    return envelope.answer({"overrides": page.rows, "total": page.total, "next": page.next})


@route(
    "POST", Role.ADMIN, body=NewOverride, about=any_rule, data=answers.OneRuleOverride, also=(201,)
)
def add_override(request: HttpRequest, rule: Rule, body: NewOverride) -> HttpResponse:
    """Say what is other about a rule for a host or a group; said again, it is changed."""
    scope = _scope(request, body)
    data = body.model_dump(exclude_unset=True, exclude={"host", "group"})
    row = rule_book.set_override(rule, scope, data, request=request)
    response = envelope.answer(
        {"override": shapes.override(row)}, message=_("It was saved."), status=201
    )
    response["Location"] = f"/api/v1/rule-overrides/{row.pk}"
    return response


@route("GET", Role.VIEWER, about=visible_override, data=answers.OneRuleOverride)
def show_override(request: HttpRequest, row: RuleOverride) -> HttpResponse:
    """What is other about a rule for one host or group."""
    return envelope.answer({"override": shapes.override(row)})


@route(
    "PATCH", Role.ADMIN, body=OverrideChange, about=visible_override, data=answers.OneRuleOverride
)
def change_override(request: HttpRequest, row: RuleOverride, body: OverrideChange) -> HttpResponse:
    """Change what is other about a rule for a host or group."""
    scope = row.host or row.group
    assert scope is not None
    data = body.model_dump(exclude_unset=True)
    changed = rule_book.set_override(row.rule, scope, data, request=request)
    return envelope.answer({"override": shapes.override(changed)}, message=_("It was saved."))


@route("DELETE", Role.ADMIN, about=visible_override, data=Nothing)
def remove_override(request: HttpRequest, row: RuleOverride) -> HttpResponse:
    """Let a rule count for a host or group as for all others."""
    rule_book.remove_override(row, request=request)
    return envelope.answer(message=_("The rule counts there as for all others."))


def _scope(request: HttpRequest, body: NewOverride) -> Host | HostGroup:
    if (body.host is None) == (body.group is None):
        raise FilterError("host", _("Give host or group, one of them."))
    if body.host is not None:
        host = visible_hosts(request).filter(pk=body.host).first()
        if host is None:
            raise absent("host", _("There is no such host."))
        return host
    group = visible_groups(request.user).filter(name=body.group).first()
    if group is None:
        raise absent("group", _("There is no such host group."))
    return group


def _for_the_site(request: HttpRequest) -> None:
    if not administers_all(request.user):
        raise Refusal(
            envelope.error(
                403,
                "forbidden",
                _("A rule is changed by an administrator of all hosts."),
                hint=_("An administrator of some groups says what is other for those."),
            )
        )


def _shaped(request: HttpRequest, rows: Iterable[Rule]) -> list[dict[str, Any]]:
    hosts, groups = visible_hosts(request), visible_groups(request.user)
    other, above = standing.overrides(hosts, groups), standing.above(hosts)
    return [
        shapes.rule(row, overrides=other.get(row.pk, []), above=above.get(row.pk, []))
        for row in rows
    ]
