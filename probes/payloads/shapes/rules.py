"""Thresholds, and what is other about them for hosts and groups.

Place in the data's way: filled by ``probes.payloads.rules``, declared by ``probes.api.rules``.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.words import Metric, Severity


class RuleOverride(TypedDict):
    """What is other about a rule for a host or a group; null is as the rule says."""

    id: Identity
    rule: Identity
    """The rule's id."""
    host: Named | None
    """Either host or group is set."""
    group: Named | None
    enabled: bool | None
    threshold: float | None
    clear_at: float | None
    probes: Count | None
    severity: Severity | None


class AboveRule(TypedDict):
    """A host, or one address or port of it, that is above a rule now."""

    host: Named
    about: str | None
    """An address or a port, where the rule counts each of them."""
    raised: bool
    """False while it is on its way: not above for enough probes in a row."""
    streak: Count
    """Probes in a row that were above."""
    value: float
    since: Time


class Rule(TypedDict):
    """Something that is wrong above a threshold, some probes in a row. Fields that mean nothing to
    its metric are null."""

    id: Identity
    name: str
    metric: Metric
    """What it looks at."""
    enabled: bool
    state: str | None
    """Of TCP; empty of ``rise`` where all sockets count."""
    of_state: str | None
    """Of ``ratio``: the state that is 100 %."""
    ports: str | None
    """Of ``port``, such as ``22, 80, 443``."""
    threshold: float | None
    """Wrong above it: a count; percent of ``ratio`` and ``rise``; seconds of ``slow``; intervals
    of ``stale``."""
    clear_at: float | None
    """Over at or below it; null: at nine tenths of the threshold."""
    at_least: float | None
    """Of ``ratio`` and ``rise``: a smaller number is never wrong."""
    within_minutes: Count | None
    """Of ``rise``."""
    probes: Count | None
    """So many in a row."""
    severity: Severity
    advice: str
    """What to do, in the team's words; empty: netadmin's own."""
    meaning: str
    """The rule as a sentence, in the reader's language."""
    overrides: list[RuleOverride]
    """Those that the caller may see."""
    above: list[AboveRule]
    """Hosts that are above it now, of those that the caller may see."""
    updated_at: Time


class Rules(Listed):
    """The rules, by name."""

    rules: list[Rule]


class OneRule(TypedDict):
    """A rule."""

    rule: Rule


class RuleOverrides(Listed):
    """What is other about a rule, for groups and then for hosts."""

    overrides: list[RuleOverride]


class OneRuleOverride(TypedDict):
    """What is other about a rule for one host or group."""

    override: RuleOverride
