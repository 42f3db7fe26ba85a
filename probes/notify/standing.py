"""What is wrong now and concerns a channel, as the database finds it.

Place in the data's way: asked by ``follow_up`` before it locks anything, so that a round in which
nothing is due reads no alert, however many are active. Says in SQL what ``Round.hears`` and
``Round.silenced`` of ``deciding`` say of one alert. Writes nothing.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Exists, OuterRef, Q, QuerySet

from hosts.models import Host
from probes.history.queries.alerts import silenced
from probes.models import Alert, Change, Channel, Told
from probes.notify.routing import RANKS


def active(using: str) -> QuerySet[Alert]:
    """The active alerts with what their words need, in one order."""
    alerts = Alert.objects.using(using).filter(resolved_at=None)
    return alerts.select_related("host", "rule", "hunt").order_by("pk")


def to_escalate(channel: Channel, now: dt.datetime, using: str) -> QuerySet[Alert]:
    """What nobody acknowledged for so long as the channel waits, and it was not told yet. It begins
    with what opens after it was added."""
    since = now - dt.timedelta(minutes=channel.escalate_minutes or 0)
    alerts = _unknown(channel, now, using).filter(
        opened_at__gte=channel.created_at, opened_at__lte=since
    )
    told = _told(channel).filter(Q(is_active=True) | Q(held_since__isnull=False))
    return alerts.filter(~Exists(told))


def to_remind(channel: Channel, now: dt.datetime, using: str) -> QuerySet[Alert]:
    """What the channel was told so long ago that it wants to be told again."""
    since = now - dt.timedelta(minutes=channel.repeat_minutes or 0)
    told = _told(channel).filter(is_active=True, at__lte=since, held_since=None)
    return _unknown(channel, now, using).filter(Exists(told))


def to_catch_up(channel: Channel, now: dt.datetime, using: str) -> QuerySet[Alert]:
    """What the channel was not told since it was switched on."""
    return _unknown(channel, now, using).filter(~Exists(_told(channel).filter(is_active=True)))


def let_go(now: dt.datetime, using: str) -> QuerySet[Alert]:
    """Alerts, active or over, of whose turns windows kept some from being told, and that none holds
    now: the windows are over, or were changed or removed, or the host left their group."""
    hushed = Change.objects.filter(hushed=True, alert__isnull=False)
    alerts = Alert.objects.using(using).filter(~silenced(now), pk__in=hushed.values("alert"))
    return alerts.select_related("host", "rule", "hunt").order_by("pk")


def _unknown(channel: Channel, now: dt.datetime, using: str) -> QuerySet[Alert]:
    """Active alerts that nobody acknowledged, no window holds and the channel's filters let
    through."""
    alerts = active(using).filter(~silenced(now), acknowledged_at=None)
    least = RANKS.get(channel.min_severity, 0)
    alerts = alerts.exclude(severity__in=[name for name, rank in RANKS.items() if rank < least])
    if channel.kinds:
        alerts = alerts.filter(kind__in=channel.kinds)
    scope = Channel.groups.through.objects.filter(channel=channel.pk)
    inside = Host.groups.through.objects.filter(
        host_id=OuterRef("host_id"), hostgroup_id__in=scope.values("hostgroup_id")
    )
    return alerts.filter(~Exists(scope) | Exists(inside))


def _told(channel: Channel) -> QuerySet[Told]:
    """What the channel remembers of an alert."""
    return Told.objects.filter(
        channel=channel.pk, host=OuterRef("host_id"), fingerprint=OuterRef("fingerprint")
    )
