"""What time brings without anything happening: windows that end, quiet hours, reminders.

Place in the data's way: beside ``outbox``, rung by a beat entry of its own every half minute; it
decides by the same :class:`~probes.notify.deciding.Round`. In this order: what is still wrong when
a maintenance window is over, or holds it no more; how things that changed too often ended; ends
that no change tells of; what is wrong when a channel was switched on again; alerts that nobody
acknowledged in time; alerts that are still active and are repeated. Each step is asked for by
``standing`` first, and locks and reads nothing where none of it is due.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from probes.models import Alert, Change, Channel, Delivery, Silence, Told
from probes.notify import damping, ends, standing
from probes.notify.deciding import Decide, Round
from probes.watch import silences

MOST_ROWS: Final = 2_000
"""Rows that one step looks at; the next call goes on with the rest."""

Due = Callable[[Channel, dt.datetime, str], QuerySet[Alert]]


@dataclass(slots=True)
class Followed:
    """How many items each step wrote."""

    windows: int = 0
    settled: int = 0
    ended: int = 0
    caught_up: int = 0
    escalated: int = 0
    reminded: int = 0


def run(using: str = "default", *, now: dt.datetime | None = None) -> Followed:
    """Take every step; each is a transaction of its own and may be taken at any time."""
    at = now or timezone.now()
    done = Followed()
    windows = Silence.objects.using(using).filter(told_at=None, ends_at__lte=at)
    if windows.exists() or standing.let_go(at, using).exists():
        done.windows = _windows_over(using, at)
    if _held(using, at).exists():
        done.settled = _settle(using, at)
    channels = list(Channel.objects.using(using).filter(enabled=True))
    if channels and ends.loose(using).exists():
        done.ended = _end(using, at)
    if any(channel.is_behind for channel in channels):
        done.caught_up = _catch_up(using, at)
    if _is_any_due(channels, standing.to_escalate, at, using):
        done.escalated = _escalate(using, at)
    if _is_any_due(channels, standing.to_remind, at, using):
        done.reminded = _remind(using, at)
    return done


def _wants(channel: Channel, due: Due) -> bool:
    """Whether the channel wants to be told of that at all."""
    minutes = channel.escalate_minutes if due is standing.to_escalate else channel.repeat_minutes
    return minutes is not None


def _is_any_due(channels: Iterable[Channel], due: Due, now: dt.datetime, using: str) -> bool:
    return any(_wants(each, due) and due(each, now, using).exists() for each in channels)


def _windows_over(using: str, now: dt.datetime) -> int:
    """Say once, after windows ended or let go of alerts, what of theirs is still wrong, and what is
    over that was told to be wrong before. What another window holds now is left to that one."""
    with transaction.atomic(using=using):
        deciding = Round(using, now)
        rows = Silence.objects.using(using).select_for_update().filter(told_at=None)
        over = list(rows.filter(ends_at__lte=now).order_by("pk")[:MOST_ROWS])
        windows = [window for window in over if window.starts_at < window.ends_at]
        let_go = list(standing.let_go(now, using)[:MOST_ROWS])
        deciding.know(let_go)
        wrong = {alert.pk: alert for alert in let_go if alert.resolved_at is None}
        if windows:
            # What is not announced yet is told by its change, as no window holds it now.
            coming = Change.objects.filter(announced_at=None, alert__isnull=False).values("alert")
            known = standing.active(using).exclude(pk__in=coming)
            inside = _inside(deciding, windows, known)
            wrong |= {alert.pk: alert for alert in inside}
        ended = _newest_ends(let_go, using)
        told = 0
        for channel in deciding.channels:
            if channel.escalate_minutes is None:
                told += _tell_still_wrong(deciding, channel, list(wrong.values()))
            decide = partial(
                damping.turned,
                active=False,
                now=now,
                says_over=channel.send_resolved,
                gathers=False,
            )
            for alert in ended:
                told += deciding.consider(
                    channel, alert, active=False, decide=decide, kind=Delivery.Kind.WINDOW_OVER
                )
        deciding.close()
        rows = Silence.objects.using(using).filter(pk__in=[window.pk for window in over])
        rows.update(told_at=now)
        held_back = Change.objects.using(using).filter(hushed=True)
        held_back.filter(alert__in=[alert.pk for alert in let_go]).update(hushed=False)
    return told


def _newest_ends(alerts: Iterable[Alert], using: str) -> list[Alert]:
    """Those of the alerts that ended by themselves, and of whose things none is newer."""
    over = [alert for alert in alerts if alert.resolved_at is not None and not alert.resolved_by]
    if not over:
        return []
    newer = Alert.objects.filter(
        host=OuterRef("host_id"), fingerprint=OuterRef("fingerprint"), pk__gt=OuterRef("pk")
    )
    found = Alert.objects.using(using).filter(~Exists(newer), pk__in=[alert.pk for alert in over])
    last = set(found.values_list("pk", flat=True))
    return [alert for alert in over if alert.pk in last]


def _tell_still_wrong(deciding: Round, channel: Channel, wrong: Sequence[Alert]) -> int:
    told = 0
    for alert in wrong:
        if not deciding.hears(channel, alert):
            continue
        known = alert.acknowledged_at is not None and deciding.memory(channel, alert).is_active
        if not known:
            told += deciding.consider(
                channel,
                alert,
                active=True,
                decide=partial(damping.still, now=deciding.now),
                kind=Delivery.Kind.WINDOW_OVER,
            )
    return told


def _inside(deciding: Round, windows: Sequence[Silence], alerts: Iterable[Alert]) -> list[Alert]:
    """Those that one of the windows is about and no window holds now."""
    listed = list(alerts)
    deciding.know(listed)
    groups = silences.groups_of({alert.host_id for alert in listed}, using=deciding.using)
    held = silences.held(windows, listed, groups)
    return [alert for alert in listed if alert.pk in held and not deciding.silenced(alert)]


def _held(using: str, now: dt.datetime) -> QuerySet[Told]:
    rows = Told.objects.using(using).filter(held_since__lte=now - damping.HOUR)
    return rows.filter(channel__enabled=True)


def _settle(using: str, now: dt.datetime) -> int:
    """After the quiet hour: how it ended, where that is other than what was told."""
    with transaction.atomic(using=using):
        deciding = Round(using, now)
        held = list(_held(using, now).order_by("pk")[:MOST_ROWS])
        alerts = {ends.thing(alert): alert for alert in ends.newest(using, held)}
        deciding.know(alerts.values())
        channels = {channel.pk: channel for channel in deciding.channels}
        told, rested = 0, []
        for row in held:
            alert = alerts.get((row.host_id, row.fingerprint))
            channel = channels.get(row.channel_id)
            if alert is None or channel is None or deciding.silenced(alert):
                rested.append(row.pk)
                continue
            active = alert.resolved_at is None
            decide = partial(
                damping.settled, active=active, now=now, says_over=channel.send_resolved
            )
            told += deciding.consider(channel, alert, active=active, decide=decide)
        deciding.close()
        Told.objects.using(using).filter(pk__in=rested).update(held_since=None)
    return told


def _end(using: str, now: dt.datetime) -> int:
    """Tell ends that no change tells of and that happened without one."""
    with transaction.atomic(using=using):
        deciding = Round(using, now)
        told = ends.tell(deciding)
        deciding.close()
    return told


def _catch_up(using: str, now: dt.datetime) -> int:
    """Tell channels that were switched on again what is wrong; what nobody acknowledged in time is
    told of to those that escalate by their own step."""
    with transaction.atomic(using=using):
        deciding = Round(using, now)
        told = 0
        for channel in deciding.channels:
            if not channel.is_behind:
                continue
            alerts: list[Alert] = []
            if channel.escalate_minutes is None:
                alerts = list(standing.to_catch_up(channel, now, using)[:MOST_ROWS])
            told += _tell(deciding, channel, alerts, partial(damping.still, now=now))
            if len(alerts) < MOST_ROWS:
                Channel.objects.using(using).filter(pk=channel.pk).update(is_behind=False)
        deciding.close()
    return told


def _escalate(using: str, now: dt.datetime) -> int:
    """Tell channels of alerts that nobody acknowledged for so long as they wait."""
    decide = partial(damping.turned, active=True, now=now, says_over=True, gathers=False)
    return _tell_due(using, now, standing.to_escalate, decide, Delivery.Kind.ESCALATION)


def _remind(using: str, now: dt.datetime) -> int:
    """Repeat what is still wrong and not acknowledged, where a channel wants to be reminded."""
    decide = partial(damping.reminded, now=now)
    return _tell_due(using, now, standing.to_remind, decide, Delivery.Kind.REMINDER)


def _tell_due(using: str, now: dt.datetime, due: Due, decide: Decide, kind: Delivery.Kind) -> int:
    with transaction.atomic(using=using):
        deciding = Round(using, now)
        told = 0
        for channel in deciding.channels:
            if _wants(channel, due):
                alerts = list(due(channel, now, using)[:MOST_ROWS])
                told += _tell(deciding, channel, alerts, decide, kind)
        deciding.close()
    return told


def _tell(
    deciding: Round,
    channel: Channel,
    alerts: Sequence[Alert],
    decide: Decide,
    kind: Delivery.Kind = Delivery.Kind.ALERTS,
) -> int:
    """Let ``decide`` say of each active alert whether the channel is told."""
    deciding.know(alerts)
    return sum(
        deciding.consider(channel, alert, active=True, decide=decide, kind=kind) for alert in alerts
    )
