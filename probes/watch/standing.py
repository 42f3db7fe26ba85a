"""Which hosts are above which rules right now, and what is other about rules for whom.

Place in the data's way: between the rows that ``probes.watch.thresholds`` and ``rule_book`` write
and the pages and routes that show them. Only of hosts and groups that the reader may know of.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from hosts.models import Host, HostGroup
from probes.models import RuleOverride, RuleState


@dataclass(frozen=True, slots=True)
class Above:
    """A rule that is wrong on a host."""

    rule_id: int
    host_id: int
    host: str
    about: str
    raised: bool
    """Else it is on its way there."""
    streak: int
    value: float
    since: dt.datetime


def above(hosts: QuerySet[Host], rule_id: int | None = None) -> dict[int, list[Above]]:
    """By rule the hosts that are above it, the raised ones and the largest first. One query."""
    rows = RuleState.objects.using(hosts.db).filter(host__in=hosts.order_by())
    if rule_id is not None:
        rows = rows.filter(rule_id=rule_id)
    found: dict[int, list[Above]] = {}
    listed = rows.order_by("rule_id", "-raised", "-value", "host__name", "about").values_list(
        "rule_id", "host_id", "host__name", "about", "raised", "streak", "value", "since"
    )
    for values in listed:
        each = Above(*values)
        found.setdefault(each.rule_id, []).append(each)
    return found


def overrides(
    hosts: QuerySet[Host], groups: QuerySet[HostGroup], rule_id: int | None = None
) -> dict[int, list[RuleOverride]]:
    """By rule what is other about it, of groups and then of hosts, by name. One query."""
    rows = RuleOverride.objects.using(hosts.db).filter(
        Q(host__in=hosts.order_by()) | Q(group__in=groups.order_by())
    )
    if rule_id is not None:
        rows = rows.filter(rule_id=rule_id)
    found: dict[int, list[RuleOverride]] = {}
    for row in _by_name(rows.select_related("host", "group", "rule")):
        found.setdefault(row.rule_id, []).append(row)
    return found


def _by_name(rows: Iterable[RuleOverride]) -> list[RuleOverride]:
    return sorted(rows, key=lambda row: (row.host is not None, str(row.host or row.group)))
