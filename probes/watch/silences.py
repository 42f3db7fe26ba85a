"""Which maintenance windows hold an alert, so that it is shown as silenced and nobody is told.

Place in the data's way: between the rows of ``Silence`` and whoever shows alerts or tells of them
(``probes.notify``). :func:`fits` is pure; the rest are one query each. Windows open and end
nothing: an alert is written and resolved as ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db.models import QuerySet
from django.utils import timezone

from hosts.models import Host
from probes.models import Alert, Silence

PLANNED, RUNNING, OVER = "planned", "running", "over"
STATES = (PLANNED, RUNNING, OVER)


def fits(silence: Silence, alert: Alert, groups: Collection[int]) -> bool:
    """Whether the window is about this alert, whose host is in ``groups`` (ids), at any time.

    All that the window names has to fit; one that names nothing fits everything.
    """
    return (
        (silence.host_id is None or silence.host_id == alert.host_id)
        and (silence.group_id is None or silence.group_id in groups)
        and (silence.rule_id is None or silence.rule_id == alert.rule_id)
        and (not silence.kind or silence.kind == alert.kind)
        and (not silence.fingerprint or silence.fingerprint == alert.fingerprint)
    )


def state(silence: Silence, now: dt.datetime) -> str:
    """``planned``, ``running`` or ``over``; a window counts from its start, not at its end."""
    if silence.ends_at <= now:
        return OVER
    return RUNNING if silence.starts_at <= now else PLANNED


def running(now: dt.datetime, *, using: str = "default") -> QuerySet[Silence]:
    """The windows that count at ``now``, the one that lasts longest first."""
    return (
        Silence.objects.using(using)
        .filter(starts_at__lte=now, ends_at__gt=now)
        .order_by("-ends_at", "pk")
    )


def silenced_now(
    alerts: Iterable[Alert],
    *,
    now: dt.datetime | None = None,
    groups: Mapping[int, Collection[int]] | None = None,
    using: str = "default",
) -> dict[int, Silence]:
    """By the id of each silenced alert: the window that holds it longest.

    ``groups`` gives the groups' ids of each host where they are known; otherwise they are asked
    for, and only where a window names a group. At most two queries.
    """
    asked = list(alerts)
    if not asked:
        return {}
    windows = list(running(now or timezone.now(), using=using))
    if not windows:
        return {}
    known = groups
    if known is None:
        by_group = any(window.group_id is not None for window in windows)
        known = groups_of({alert.host_id for alert in asked}, using=using) if by_group else {}
    return held(windows, asked, known)


def held(
    windows: Sequence[Silence], alerts: Iterable[Alert], groups: Mapping[int, Collection[int]]
) -> dict[int, Silence]:
    """By the id of each alert that a window holds: the first of them, in their order."""
    found: dict[int, Silence] = {}
    for alert in alerts:
        mine = groups.get(alert.host_id, ())
        window = next((each for each in windows if fits(each, alert, mine)), None)
        if window is not None:
            found[alert.pk] = window
    return found


def groups_of(host_ids: Collection[int], *, using: str = "default") -> dict[int, set[int]]:
    """The ids of the groups of each host; one query."""
    found: dict[int, set[int]] = {}
    links = Host.groups.through.objects.using(using).filter(host_id__in=host_ids)
    for host_id, group_id in links.values_list("host_id", "hostgroup_id"):
        found.setdefault(host_id, set()).add(group_id)
    return found
