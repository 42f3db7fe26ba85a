"""Adding, changing and removing rules, and what is other about them for groups and hosts: checked
and recorded.

Place in the data's way: between pages, JSON routes and imports and the rows. Each function is one
transaction with its audit entry. A refusal is a ValidationError with messages by field. Whether the
caller may at all is decided before.

What a rule looks at (its metric) never changes: its alerts and streaks are about that. Fields that
mean nothing to a metric are kept at their defaults, so that a rule says only what counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Field
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host, HostGroup
from netadmin.access import audit
from probes.filters import unstorable
from probes.models import Metric, Rule, RuleOverride, Severity
from probes.parsers.records import TCP_STATES
from probes.watch import port_numbers, rules

MOST_RULES: Final = 100
MOST_OVERRIDES: Final = 1_000
"""Of one rule."""
MOST_NUMBER: Final = 1e9
MOST_MINUTES: Final = 1_440
MOST_PROBES: Final = 100

FIELDS: Final = (
    "name",
    "metric",
    "enabled",
    "state",
    "of_state",
    "ports",
    "threshold",
    "clear_at",
    "at_least",
    "within_minutes",
    "probes",
    "severity",
    "advice",
)
OVERRIDABLE: Final = ("enabled", "threshold", "clear_at", "probes", "severity")

STATES: Final = tuple(state for state in TCP_STATES if state != "UNKNOWN")

_OF_METRIC: Final[Mapping[str, frozenset[str]]] = {
    Metric.STATE: frozenset({"state", "threshold", "clear_at", "probes"}),
    Metric.SOCKETS: frozenset({"threshold", "clear_at", "probes"}),
    Metric.LISTENERS: frozenset({"threshold", "clear_at", "probes"}),
    Metric.PORT: frozenset({"state", "ports", "threshold", "clear_at", "probes"}),
    Metric.REMOTE_IP: frozenset({"state", "threshold", "clear_at", "probes"}),
    Metric.RATIO: frozenset({"state", "of_state", "threshold", "clear_at", "at_least", "probes"}),
    Metric.RISE: frozenset(
        {"state", "threshold", "clear_at", "at_least", "within_minutes", "probes"}
    ),
    Metric.UNREACHABLE: frozenset({"probes"}),
    Metric.LOGIN_FAILED: frozenset(),
    Metric.KEY_CHANGED: frozenset({"probes"}),
    Metric.INCOMPLETE: frozenset({"probes"}),
    Metric.STALE: frozenset({"threshold"}),
    Metric.SLOW: frozenset({"threshold", "clear_at", "probes"}),
}
_ALWAYS: Final = frozenset({"name", "metric", "enabled", "severity", "advice"})


def fields_of(metric: str) -> frozenset[str]:
    """The fields of FIELDS that mean something to a metric."""
    return _ALWAYS | _OF_METRIC[metric]


def create(data: Mapping[str, Any], *, request: HttpRequest | None = None) -> Rule:
    """Add a rule; it counts from the next probe of each host on."""
    with transaction.atomic():
        if Rule.objects.count() >= MOST_RULES:
            raise ValidationError(
                {"name": [_("There are %(most)s rules already.") % {"most": MOST_RULES}]}
            )
        rule = Rule()
        fill(rule, data)
        _save(rule)
        audit.record("rule.add", request=request, target=rule, detail=described(rule))
    return rule


def change(rule: Rule, data: Mapping[str, Any], *, request: HttpRequest | None = None) -> Rule:
    """Change what ``data`` names, and return the rule fresh."""
    with transaction.atomic():
        stored = Rule.objects.select_for_update().filter(pk=rule.pk).first()
        if stored is None:
            raise ValidationError({"name": [_("This rule was removed meanwhile.")]})
        before = described(stored)
        fill(stored, data)
        _save(stored)
        audit.record(
            "rule.change",
            request=request,
            target=stored,
            detail=audit.changes(before, described(stored)),
        )
    return stored


def remove(rule: Rule, *, request: HttpRequest | None = None) -> None:
    """Delete a rule with its overrides and streaks; what it raised is over with the next round
    (``watch.rounds``), and nobody is told."""
    with transaction.atomic():
        # Whoever writes a streak of it just now holds the row until that is done.
        stored = Rule.objects.select_for_update().filter(pk=rule.pk).first()
        if stored is None:
            return
        audit.record("rule.remove", request=request, target=stored, detail=described(stored))
        stored.delete()


def set_override(
    rule: Rule,
    scope: Host | HostGroup,
    data: Mapping[str, Any],
    *,
    request: HttpRequest | None = None,
) -> RuleOverride:
    """Say what is other about a rule for a host or group; what ``data`` names changes where
    something is said already."""
    field = "host" if isinstance(scope, Host) else "group"
    with transaction.atomic():
        if not Rule.objects.select_for_update().filter(pk=rule.pk).exists():
            raise ValidationError({"rule": [_("This rule was removed meanwhile.")]})
        known = RuleOverride.objects.filter(rule=rule)
        row = known.filter(**{field: scope}).first()
        added = row is None
        if row is None:
            if known.count() >= MOST_OVERRIDES:
                raise ValidationError(
                    {field: [_("Give at most %(most)s of them.") % {"most": MOST_OVERRIDES}]}
                )
            row = RuleOverride(rule=rule, **{field: scope})
        before = described_override(row)
        fill_override(row, rule, data)
        row.save()
        after = described_override(row)
        audit.record(
            "rule.override_add" if added else "rule.override_change",
            request=request,
            target=scope,
            detail={"rule": rule.name} | (after if added else audit.changes(before, after)),
        )
    return row


def remove_override(row: RuleOverride, *, request: HttpRequest | None = None) -> None:
    """Let the rule count for the host or group as it does for all others."""
    with transaction.atomic():
        stored = RuleOverride.objects.select_related("rule", "host", "group").filter(pk=row.pk)
        found = stored.first()
        if found is None:
            return
        audit.record(
            "rule.override_remove",
            request=request,
            target=found.host or found.group,
            detail={"rule": found.rule.name} | described_override(found),
        )
        found.delete()


def fill(rule: Rule, data: Mapping[str, Any]) -> None:
    """Put checked values on ``rule``, which need not be stored; raises ValidationError by field."""
    wrong: dict[str, str] = {}
    metric = str(data.get("metric") or rule.metric)
    if metric not in Metric.values:
        raise ValidationError({"metric": [_("There is no such metric.")]})
    if not rule._state.adding and metric != rule.metric:
        raise ValidationError({"metric": [_("What a rule looks at cannot be changed.")]})
    rule.metric = metric
    of_metric = fields_of(metric)
    for name in FIELDS:
        if name not in of_metric:
            field = Rule._meta.get_field(name)
            assert isinstance(field, Field)
            setattr(rule, name, field.get_default())
        elif name in data and name != "metric":
            try:
                setattr(rule, name, _CHECKS[name](data[name]))
            except ValueError as error:
                wrong[name] = str(error)
    wrong = _together(rule, of_metric) | wrong
    if wrong:
        raise ValidationError({field: [message] for field, message in wrong.items()})


def fill_override(row: RuleOverride, rule: Rule, data: Mapping[str, Any]) -> None:
    """The same of an override; None and "" are as the rule says."""
    wrong: dict[str, str] = {}
    for name in OVERRIDABLE:
        if name not in fields_of(rule.metric):
            setattr(row, name, "" if name == "severity" else None)
            continue
        if name not in data:
            continue
        value = data[name]
        if value is None or value == "":
            setattr(row, name, "" if name == "severity" else None)
            continue
        try:
            setattr(row, name, _CHECKS[name](value))
        except ValueError as error:
            wrong[name] = str(error)
    if not wrong and row.clear_at is not None:
        above = rule.threshold if row.threshold is None else row.threshold
        if row.clear_at > above:
            wrong["clear_at"] = _("Give a number that is not above the threshold.")
    if not wrong and all(getattr(row, name) in (None, "") for name in OVERRIDABLE):
        first = "threshold" if "threshold" in fields_of(rule.metric) else "enabled"
        wrong[first] = _("Say something that is other than in the rule.")
    if wrong:
        raise ValidationError({field: [message] for field, message in wrong.items()})


def _together(rule: Rule, of_metric: frozenset[str]) -> dict[str, str]:
    """What is wrong about fields as a whole."""
    wrong: dict[str, str] = {}
    if not rule.name:
        wrong["name"] = _("Give it a name.")
    if "state" in of_metric and not rule.state and rule.metric != Metric.RISE:
        wrong["state"] = _("Choose a state.")
    if rule.metric in rules.ABOUT and rule.state == "LISTEN":
        wrong["state"] = _("A listener has no remote end. Choose another state.")
    if "of_state" in of_metric and (not rule.of_state or rule.of_state == rule.state):
        wrong["of_state"] = _("Choose another state.")
    if "ports" in of_metric and not rule.ports:
        wrong["ports"] = _("Give at least one port.")
    if rule.clear_at is not None and rule.clear_at > rule.threshold:
        wrong["clear_at"] = _("Give a number that is not above the threshold.")
    if rule.metric == Metric.STALE and rule.threshold < 1:
        wrong["threshold"] = _("Give at least 1.")
    if rule.metric in rules.TROUBLE:
        others = Rule.objects.filter(metric=rule.metric).exclude(pk=rule.pk)
        if others.exists():
            wrong["metric"] = _("There is a rule for this already: change that one.")
    return wrong


def _save(rule: Rule) -> None:
    try:
        rule.validate_constraints()
        rule.validate_unique()
        with transaction.atomic():
            rule.save()
    except (IntegrityError, ValidationError):
        raise ValidationError({"name": [_("A rule with this name exists already.")]}) from None


def described(rule: Rule) -> dict[str, Any]:
    """The fields that count, as the audit log and an export keep them."""
    of_metric = fields_of(rule.metric)
    return {name: getattr(rule, name) for name in FIELDS if name in of_metric}


def described_override(row: RuleOverride) -> dict[str, Any]:
    """What is said to be other."""
    said = {name: getattr(row, name) for name in OVERRIDABLE}
    return {name: value for name, value in said.items() if value not in (None, "")}


# --- single fields: each gives what is stored, or raises ValueError with a message ---------------


def _name(value: Any) -> str:
    name = str(value or "").strip()
    if not name:
        raise ValueError(_("Give it a name."))
    if len(name) > 100 or unstorable(name) or not name.isprintable():
        raise ValueError(_("Give at most 100 printable characters."))
    return name


def _state(value: Any) -> str:
    state = str(value or "")
    if state and state not in STATES:
        raise ValueError(_("There is no such state."))
    return state


def _ports(value: Any) -> str:
    text = str(value or "")[:1_000]
    try:
        return port_numbers.written(port_numbers.read(text))
    except ValueError:
        raise ValueError(
            _("Give at most %(most)s ports from 1 to 65535: 22, 80, 443.")
            % {"most": port_numbers.MOST}
        ) from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_("Give a number."))
    # An integer may be too large for a float.
    if not (0 <= value <= MOST_NUMBER and math.isfinite(value)):
        raise ValueError(_("Give a number from 0 to 1,000,000,000."))
    return float(value)


def _optional_number(value: Any) -> float | None:
    return None if value is None or value == "" else _number(value)


def _whole(most: int) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(_("Give a whole number from 1 to %(most)s.") % {"most": most})
        return value

    return check


def _severity(value: Any) -> str:
    if value not in Severity.values:
        raise ValueError(_("There is no such severity."))
    return str(value)


def _advice(value: Any) -> str:
    text = " ".join(str(value or "").split())
    if len(text) > 500 or unstorable(text):
        raise ValueError(_("Give at most 500 printable characters."))
    return text


_CHECKS: Final[Mapping[str, Any]] = {
    "name": _name,
    "enabled": bool,
    "state": _state,
    "of_state": _state,
    "ports": _ports,
    "threshold": _number,
    "clear_at": _optional_number,
    "at_least": _number,
    "within_minutes": _whole(MOST_MINUTES),
    "probes": _whole(MOST_PROBES),
    "severity": _severity,
    "advice": _advice,
}
