"""What no probe can tell: hosts that are not probed, and what is left of those no longer watched.

Place in the data's way: rung by a task each half minute. Everything else is judged when a probe is
stored; this judges that none is. Writes through ``probes.watch.lifecycle`` as the others do, each
host in a transaction of its own that holds the host's row of the schedule.

A host is stale where its newest probe is more than so many of its intervals ago and the next one
was due an interval ago: one that fails and is tried less often is not, nor one whose login is
paused, which has an alert for that. It has to be so for an interval (a minute at least) as the
rounds see it: after netadmin itself was off for a night nothing is raised, since by then the hosts
are probed again.

Where the heartbeat of the scheduler is late, or most hosts are stale at once, it is not the hosts:
then one alert is raised, on the host that waits longest, which says so (``netadmin_late`` and
``hosts`` among its facts), and none on the others until it is over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from hosts.models import Host
from probes import health, payloads
from probes.models import Alert, AlertKind, Change, PortWatch, RuleState, Schedule, WatchedPort
from probes.watch import lifecycle, rule_limits, rules, thresholds
from probes.watch.lifecycle import Raise, Transition
from probes.watch.rules import Held, Limits, Turn

LEAST_S: Final = 60
"""A host has to be seen to be stale for this long, however short its interval."""
TOGETHER: Final = 5
"""From so many hosts on, more than half of all being stale is netadmin's own trouble."""
BATCH: Final = 500
MOST_CLEARED: Final = 5_000
"""Rows of hosts no longer watched that one round deletes."""


@dataclass(slots=True)
class Round:
    """What a round did."""

    stale: int = 0
    """Hosts that are not probed as they should be."""
    raised: int = 0
    over: int = 0
    cleared: int = 0
    """Alerts and rows of hosts no longer watched, and of rules that are gone, that ended."""

    def __bool__(self) -> bool:
        return bool(self.raised or self.over or self.cleared)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A host that is stale."""

    host_id: int
    since: dt.datetime
    """Of its newest probe, or when it was added."""
    limits: Limits
    interval_s: int
    latest_id: int | None


def run(using: str = "default") -> Round:
    """Look for stale hosts, and clear what is left of those no longer watched."""
    done = Round()
    _look(done, using)
    done.cleared = tidy(using)
    return done


def _look(done: Round, using: str) -> None:
    now = timezone.now()
    waiting, watched = _stale(now, using)
    done.stale = len(waiting)
    held = {
        (state.host_id, state.rule_id): state
        for state in RuleState.objects.using(using).filter(rule__metric="stale")
    }
    late = health.scheduler_state().late if using == "default" else False
    one_for_all = bool(waiting) and (
        late or (len(waiting) >= TOGETHER and 2 * len(waiting) > watched)
    )
    waiting.sort(key=lambda each: (each.since, each.host_id))
    raised_already = any(state.raised for state in held.values())
    for place, each in enumerate(waiting):
        state = held.pop((each.host_id, each.limits.rule_id), None)
        if state is not None and state.raised:
            continue
        may_raise = not one_for_all or (place == 0 and not raised_already)
        facts: dict[str, Any] = {"netadmin_late": one_for_all, "hosts": len(waiting)}
        done.raised += _count(each, state, now, may_raise, facts, using)
    for (host_id, _rule_id), state in held.items():
        done.over += _end(host_id, state, now, using)


def _stale(now: dt.datetime, using: str) -> tuple[list[_Waiting], int]:
    """Hosts that are not probed as they should be, and how many are watched at all.

    Three queries, four where some group has rules of its own.
    """
    overdue = now - dt.timedelta(seconds=LEAST_S)
    schedules = Schedule.objects.using(using).filter(
        host__enabled=True, host__removed_at=None, paused_code="", next_probe_at__lt=overdue
    )
    rows: list[tuple[Any, ...]] = list(
        schedules.values_list(
            "host_id",
            "next_probe_at",
            "latest_id",
            "latest__taken_at",
            "host__interval_s",
            "host__created_at",
        )
    )
    watched = Host.objects.using(using).kept().filter(enabled=True).count()
    limits = rule_limits.of_hosts([row[0] for row in rows], using=using) if rows else {}
    found = []
    for host_id, due, latest_id, latest_at, interval, created_at in rows:
        interval_s = interval or settings.PROBE_INTERVAL_S
        since = created_at if latest_id is None else latest_at
        if due > now - dt.timedelta(seconds=interval_s):
            continue
        for rule in limits[host_id]:
            if rule.metric != "stale" or not rule.enabled:
                continue
            if (now - since).total_seconds() > max(rule.threshold, 1.0) * interval_s:
                found.append(_Waiting(host_id, since, rule, interval_s, latest_id))
    return found, watched


def _count(
    each: _Waiting,
    state: RuleState | None,
    now: dt.datetime,
    may_raise: bool,
    facts: dict[str, Any],
    using: str,
) -> bool:
    """Remember that a host is stale, and raise it once it was for long enough; whether it did."""
    age_s = (now - each.since).total_seconds()
    if state is not None:
        seen_s = (now - state.since).total_seconds()
        if not may_raise or seen_s < max(each.interval_s, LEAST_S):
            return False
    with transaction.atomic(using=using):
        rows = Schedule.objects.using(using).select_for_update().filter(pk=each.host_id)
        if rows.values_list("latest_id", flat=True).first() != each.latest_id:
            return False  # it was probed meanwhile
        RuleState.objects.using(using).update_or_create(
            host_id=each.host_id,
            rule_id=each.limits.rule_id,
            about="",
            defaults={"raised": state is not None, "value": age_s / each.interval_s, "streak": 1},
            create_defaults={
                "raised": False,
                "value": age_s / each.interval_s,
                "streak": 1,
                "since": now,
            },
        )
        if state is None:
            return False
        lifecycle.record([_raised(each, now, facts)], using=using)
    return True


def _raised(each: _Waiting, now: dt.datetime, facts: dict[str, Any]) -> Transition:
    told = {
        "event": Change.Kind.TROUBLE,
        "rule": each.limits.name,
        "metric": "stale",
        "code": "stale",
        "value": round((now - each.since).total_seconds() / each.interval_s, 1),
        "threshold": each.limits.threshold,
        "since": payloads.time(each.since),
        **facts,
    }
    return Transition(
        kind=Change.Kind.TROUBLE,
        host_id=each.host_id,
        at=now,
        snapshot_id=each.latest_id,
        detail=told,
        raises=Raise(
            kind=AlertKind.PROBE,
            fingerprint=thresholds.fingerprint(each.limits, ""),
            subject=each.limits.name,
            severity=each.limits.severity,
            facts=told,
            rule_id=each.limits.rule_id,
        ),
    )


def _end(host_id: int, state: RuleState, now: dt.datetime, using: str) -> bool:
    """A host is stale no longer, though no judged probe said so: its rule or interval changed, or
    the login is paused."""
    rule = rule_limits.stored(state.rule)
    decision = rules.decide_trouble(
        rule, Held(state.streak, state.raised, state.value, state.since), False, at=now
    )
    with transaction.atomic(using=using):
        Schedule.objects.using(using).select_for_update().filter(pk=host_id).first()
        if not RuleState.objects.using(using).filter(pk=state.pk).delete()[0]:
            return False
        if decision.turn is not Turn.CLEARED:
            return False
        before = Held(state.streak, True, state.value, state.since)
        lifecycle.record([thresholds.over(rule, "", before, host_id=host_id, at=now)], using=using)
    return True


# --- what is no longer watched ------------------------------------------------------------------


def tidy(using: str = "default") -> int:
    """Clear what is left of hosts that were removed or switched off, and of rules that are gone;
    returns how many rows and alerts that were. Nobody is told.

    Their watched ports and states of rules are deleted: a host that comes back is learned anew.
    Alerts that end by themselves are resolved; those that a person ends only where the host was
    removed, since a hit of a hunt is no less true of a host that is switched off.
    """
    hosts = Host.objects.using(using)
    away = list(
        hosts.filter(Q(enabled=False) | Q(removed_at__isnull=False)).values_list("pk", "removed_at")
    )
    now, cleared = timezone.now(), 0
    for begin in range(0, len(away), BATCH):
        batch = dict(away[begin : begin + BATCH])
        left = {
            host_id
            for rows in (
                PortWatch.objects.using(using).filter(pk__in=batch).values_list("pk"),
                RuleState.objects.using(using).filter(host_id__in=batch).values_list("host_id"),
                _over_with(batch, using).values_list("host_id"),
            )
            for (host_id,) in rows.order_by().distinct()
        }
        for host_id in sorted(left):
            cleared += _let_go(host_id, batch[host_id], now, using)
        # Without PortWatch they count for nothing, so that they may go a part at a time.
        watched = PortWatch.objects.using(using).filter(pk__in=batch).values("pk")
        ports = WatchedPort.objects.using(using).filter(host_id__in=batch)
        some = list(ports.exclude(host_id__in=watched).values_list("pk", flat=True)[:MOST_CLEARED])
        if some:
            cleared += ports.filter(pk__in=some).delete()[0]
    without = Alert.objects.using(using).filter(
        Q(rule=None) | Q(rule__enabled=False),
        kind__in=(AlertKind.RULE, AlertKind.PROBE),
        resolved_at=None,
    )
    for alert in _not_held(without, using):
        cleared += _end_of_rule(alert, now, using)
    return cleared


def _over_with(away: Mapping[int, dt.datetime | None], using: str) -> QuerySet[Alert]:
    """Active alerts that end with the watch of their hosts; ``away`` has when one was removed."""
    removed = [pk for pk, at in away.items() if at is not None]
    alerts = Alert.objects.using(using).filter(
        Q(ends_by_word=False) | Q(host_id__in=removed), host_id__in=away, resolved_at=None
    )
    return alerts.exclude(fingerprint="")


def _let_go(host_id: int, removed_at: dt.datetime | None, now: dt.datetime, using: str) -> int:
    """End what a host's rows say to be wrong together with these rows: should it be watched again,
    nothing is held to be told that is not. Nothing where it is watched again already."""
    with transaction.atomic(using=using):
        Schedule.objects.using(using).select_for_update().filter(pk=host_id).first()
        hosts = Host.objects.using(using).filter(pk=host_id)
        if not hosts.filter(Q(enabled=False) | Q(removed_at__isnull=False)).exists():
            return 0
        number = 0
        for alert in _over_with({host_id: removed_at}, using):
            ended = lifecycle.resolve(host_id, alert.fingerprint, at=now, using=using)
            number += ended is not None
        number += PortWatch.objects.using(using).filter(pk=host_id).delete()[0]
        return number + RuleState.objects.using(using).filter(host_id=host_id).delete()[0]


def _not_held(alerts: Iterable[Alert], using: str) -> list[Alert]:
    """Those whose rule is gone, or is switched off and not switched on for the host."""
    found = list(alerts)
    limits = rule_limits.of_hosts({each.host_id for each in found}, using=using)
    on = {
        host_id: {rule.rule_id for rule in of_host if rule.enabled}
        for host_id, of_host in limits.items()
    }
    return [each for each in found if each.rule_id not in on[each.host_id]]


def _end_of_rule(alert: Alert, now: dt.datetime, using: str) -> int:
    """End an alert together with how far its rule has come on the host: switched on again, the rule
    begins anew and is told again."""
    with transaction.atomic(using=using):
        Schedule.objects.using(using).select_for_update().filter(pk=alert.host_id).first()
        ended = lifecycle.resolve(alert.host_id, alert.fingerprint, at=now, using=using)
        number = int(ended is not None)
        if alert.rule_id is not None:
            states = RuleState.objects.using(using).filter(host_id=alert.host_id)
            number += states.filter(rule_id=alert.rule_id).delete()[0]
        return number
