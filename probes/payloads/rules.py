"""Rules and what is other about them as JSON and CSV.

Place in the data's way: as ``probes.payloads``, whose rows these extend. A host or group has its id
and name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from probes import payloads
from probes.models import Rule, RuleOverride
from probes.payloads.shapes import names
from probes.payloads.shapes import rules as shapes
from probes.watch import rule_book, rule_limits
from probes.watch.standing import Above
from probes.wording import rules as wording

RULE: Final = names(shapes.Rule)
OVERRIDE: Final = names(shapes.RuleOverride)


def rule(
    row: Rule, *, overrides: Iterable[RuleOverride] = (), above: Iterable[Above] = ()
) -> dict[str, Any]:
    """A rule with what the caller may see of its overrides and of the hosts above it. Fields that
    mean nothing to its metric are null."""
    of_metric = rule_book.fields_of(row.metric)
    fields = {name: getattr(row, name) if name in of_metric else None for name in rule_book.FIELDS}
    return {
        "id": row.pk,
        **fields,
        "meaning": wording.sentence(rule_limits.stored(row)),
        "overrides": [override(each) for each in overrides],
        "above": [
            {
                "host": {"id": each.host_id, "name": each.host},
                "about": each.about or None,
                "raised": each.raised,
                "streak": each.streak,
                "value": each.value,
                "since": payloads.time(each.since),
            }
            for each in above
        ],
        "updated_at": payloads.time(row.updated_at),
    }


def override(row: RuleOverride) -> dict[str, Any]:
    """What is other for a host or group; null is as the rule says."""
    return {
        "id": row.pk,
        "rule": row.rule_id,
        "host": None if row.host is None else {"id": row.host.pk, "name": row.host.name},
        "group": None if row.group is None else {"id": row.group.pk, "name": row.group.name},
        "enabled": row.enabled,
        "threshold": row.threshold,
        "clear_at": row.clear_at,
        "probes": row.probes,
        "severity": row.severity or None,
    }
