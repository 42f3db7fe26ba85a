"""What a rule would have raised lately, from snapshots alone: asked while somebody writes one.

Place in the data's way: beside ``probes.watch.thresholds``, with the same pure rules over stored
snapshots; writes nothing. Rules about single ports and addresses, and the absence of probes, are
not replayed: the first would read every socket of a day, the last leaves no row.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from hosts.models import Host
from probes.models import Outcome, Snapshot
from probes.status import TOOL_PASTED
from probes.watch import measures, rule_limits, rules
from probes.watch.rules import Held, Limits, Turn

OVER: Final = dt.timedelta(hours=24)
MOST_PROBES: Final = 40_000
"""Snapshots that are read; of more only the newest."""
MOST_HOSTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Would:
    """An alert that a rule would have opened."""

    host_id: int
    host: str
    since: dt.datetime
    """Of the first probe of the streak."""
    at: dt.datetime
    until: dt.datetime | None
    """None: it would be open still."""
    value: float
    """The largest number meanwhile."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it, the newest first."""

    alerts: list[Would]
    probes: int
    """Snapshots that were looked at."""
    hosts: int
    since: dt.datetime
    cut: bool
    """Whether ``since`` is later than asked, as there are too many probes."""


def can(metric: str) -> bool:
    """Whether snapshots alone tell what a rule would have raised."""
    return metric not in rules.ABOUT and metric != "stale"


def replay(rule: Limits, hosts: QuerySet[Host], *, until: dt.datetime) -> Replayed:
    """What ``rule``, as it is for each of ``hosts``, would have raised in OVER before ``until``.

    Four queries at most.
    """
    using = hosts.db
    names = dict(hosts.order_by("name").values_list("pk", "name")[:MOST_HOSTS])
    of_host = rule_limits.overridden(rule, names, using=using)
    since = until - OVER
    probes = Snapshot.objects.using(using).filter(
        host_id__in=list(names), taken_at__gte=since, taken_at__lte=until
    )
    number = probes.count()
    cut = number > MOST_PROBES
    if cut:
        since = until - OVER * (MOST_PROBES / number)
        probes = probes.filter(taken_at__gte=since)
    rows = probes.only(
        *("host_id", "taken_at", "outcome", "code", "duration_ms", "tool", "sockets"),
        *("listeners", "by_state"),
    ).order_by("host_id", "taken_at")[:MOST_PROBES]
    found: list[Would] = []
    seen = 0
    for host_id, of_one in itertools.groupby(rows.iterator(2_000), key=lambda row: row.host_id):
        listed = list(of_one)
        seen += len(listed)
        if of_host[host_id].enabled:
            found += _of_host(of_host[host_id], names[host_id], listed)
    found.sort(key=lambda would: (would.at, would.host_id), reverse=True)
    return Replayed(found, seen, len(names), since, cut)


def _of_host(rule: Limits, name: str, probes: Iterable[Snapshot]) -> list[Would]:
    found: list[Would] = []
    held: Held | None = None
    most = 0.0
    past: deque[tuple[dt.datetime, int]] = deque()
    for snapshot in probes:
        value = _value(rule, snapshot, past)
        decide = rules.decide if rule.metric in rules.NUMBERS else _decide_trouble
        decision = decide(rule, held, value, at=snapshot.taken_at)
        if value is not None:
            most = max(most, value) if held is not None else value
        if decision.turn is Turn.RAISED:
            assert decision.held is not None
            began = decision.held.since
            found.append(Would(snapshot.host_id, name, began, snapshot.taken_at, None, most))
        elif found and held is not None and held.raised:
            last = found[-1]
            ended = snapshot.taken_at if decision.turn is Turn.CLEARED else None
            found[-1] = Would(last.host_id, name, last.since, last.at, ended, max(last.value, most))
        held = decision.held
    return found


def _decide_trouble(
    rule: Limits, held: Held | None, value: float | None, *, at: dt.datetime
) -> rules.Decision:
    return rules.decide_trouble(rule, held, None if value is None else value > 0, at=at)


def _value(rule: Limits, snapshot: Snapshot, past: deque[tuple[dt.datetime, int]]) -> float | None:
    """The number that the probe would have given; ``past`` keeps the counts of a rise."""
    if rule.metric in rules.LAYERS:
        if snapshot.tool == TOOL_PASTED:
            return None
        wrong = rules.troubles(snapshot.outcome, snapshot.code)[rule.metric]
        return None if wrong is None else float(wrong)
    if snapshot.outcome != Outcome.OK:
        return None
    if rule.metric != "rise":
        return measures.of_snapshot(rule, snapshot)
    by_state: Mapping[str, int] = snapshot.by_state
    now = by_state.get(rule.state, 0) if rule.state else snapshot.sockets
    window = dt.timedelta(minutes=rule.within_minutes)
    while past and past[0][0] < snapshot.taken_at - 2 * window:
        past.popleft()
    before = [number for when, number in past if when <= snapshot.taken_at - window]
    past.append((snapshot.taken_at, now))
    return rules.rise(now, max(before, default=None), at_least=max(rule.at_least, 1))
