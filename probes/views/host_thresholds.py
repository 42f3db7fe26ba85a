"""The rules as they count for one host, and how far each has come: a part of its Watch tab.

Place in the data's way: shapes ``watch.thresholds`` and ``watch.standing`` for
``probes/_host_thresholds.html``, which takes what :func:`context` gives.
"""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host, visible_groups
from probes.models import Metric, RuleOverride, Severity
from probes.views import hostpage
from probes.watch import measures, rule_limits, rules, standing
from probes.watch.rules import Limits
from probes.wording import rules as wording

SEVERITY_ICONS: Final = {"info": "new", "warning": "warn", "critical": "bad"}


def context(request: HttpRequest, host: Host) -> dict[str, Any]:
    """``host_thresholds``: a row a rule, the wrong ones first. Five queries at most.

    The number now is that of the newest whole snapshot; of ports and addresses only those above are
    known.
    """
    only = Host.objects.filter(pk=host.pk)
    above = standing.above(only)
    other = standing.overrides(only, visible_groups(request.user).filter(hosts=host))
    whole = hostpage.newest_whole(host)
    rows = []
    for limits in rule_limits.of_host(host.pk):
        here = above.get(limits.rule_id, [])
        value = None
        # A rise is held against snapshots of before: only worked out when a probe comes.
        plain = limits.metric in rules.NUMBERS - rules.ABOUT - {"rise"}
        if whole is not None and plain:
            value = measures.of_snapshot(limits, whole)
        rows.append(_row(limits, here, other.get(limits.rule_id, []), value))
    rows.sort(key=lambda row: (not row["raised"], not row["counting"], not row["limits"].enabled))
    return {
        "host_thresholds": {
            "host": host,
            "rows": rows,
            "raised": sum(1 for row in rows if row["raised"]),
            "may_change": hostpage.administers(request) and host.removed_at is None,
        }
    }


def said(row: RuleOverride) -> str:
    """What an override says, in a few words."""
    words = []
    if row.enabled is not None:
        words.append(_("on") if row.enabled else _("off"))
    if row.threshold is not None:
        words.append(_("threshold %(number)s") % {"number": wording.number(row.threshold)})
    if row.clear_at is not None:
        words.append(_("over at %(number)s") % {"number": wording.number(row.clear_at)})
    if row.probes is not None:
        words.append(_("%(number)s in a row") % {"number": row.probes})
    if row.severity:
        words.append(str(Severity(row.severity).label))
    return ", ".join(words)


def _row(
    limits: Limits,
    here: list[standing.Above],
    other: list[RuleOverride],
    value: float | None,
) -> dict[str, Any]:
    raised = [each for each in here if each.raised]
    counting = [each for each in here if not each.raised]
    return {
        "limits": limits,
        "metric": Metric(limits.metric).label,
        "is_number": limits.metric in rules.NUMBERS,
        "meaning": wording.sentence(limits),
        "severity": Severity(limits.severity).label,
        "icon": SEVERITY_ICONS[limits.severity],
        "value": None if value is None else wording.number(value),
        "share": None
        if value is None or limits.threshold <= 0
        else min(100, round(100 * value / limits.threshold)),
        "raised": raised,
        "abouts": [
            {"about": each.about, "value": wording.number(each.value)}
            for each in here
            if each.about
        ][:5],
        "since": min((each.since for each in raised), default=None),
        "counting": max((each.streak for each in counting), default=0),
        "overrides": [
            {"name": "" if each.host_id else str(each.group), "said": said(each)} for each in other
        ],
    }
