"""One transaction of deciding who is told what: channels, silences, memory and open messages.

Place in the data's way: used by ``outbox`` (what happened) and ``follow_up`` (what time brings).
Writes ``Delivery`` and ``Told``; sends nothing.

Whoever decides holds the rows of all channels, so that two workers decide one after the other. A
message gathers: what happens until nothing new came for ALERT_QUIET_S, or ALERT_MAX_WAIT_S passed
since its first, goes into it, unless somebody began to send it. It is stored from its first item
on, so that nothing is lost to a worker that is killed meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from probes.models import Alert, Change, Channel, Delivery, Silence, Told
from probes.notify import damping, messages
from probes.notify.routing import Subject, Wanted, wants
from probes.watch import silences

MOST_ITEMS: Final = 500
"""Of one message; what is more goes into the next."""

Thing = tuple[int, int, str]
"""Ids of a channel and a host, and a fingerprint."""
Decide = Callable[[damping.Memory], damping.Verdict]


class Round:
    """What is known and written while one transaction decides; :meth:`close` writes it.

    Opened and closed inside ``transaction.atomic(using=using)``.
    """

    def __init__(self, using: str, now: dt.datetime) -> None:
        self.using = using
        self.now = now
        every = Channel.objects.using(using).select_for_update().order_by("pk")
        self.channels = [channel for channel in every if channel.enabled]
        self._wanted = {
            channel.pk: Wanted(kinds=frozenset(channel.kinds), min_severity=channel.min_severity)
            for channel in self.channels
        }
        self._scopes: dict[int, set[int]] = {}
        links = Channel.groups.through.objects.using(using)
        for channel_id, group_id in links.values_list("channel_id", "hostgroup_id"):
            self._scopes.setdefault(channel_id, set()).add(group_id)
        self._windows: Sequence[Silence] = list(silences.running(now, using=using))
        self._groups: dict[int, set[int]] = {}
        self._told: dict[Thing, Told] = {}
        self._changed: set[Thing] = set()
        self._gathering: dict[int, Delivery] | None = None
        self._open: dict[tuple[int, str], Delivery] = {}
        self._links: list[tuple[Delivery, int]] = []
        self._by_alert: list[tuple[Delivery, int]] = []

    def know(self, alerts: Iterable[Alert]) -> None:
        """Read at once what :meth:`hears` and :meth:`consider` need of these alerts."""
        asked = list(alerts)
        hosts = {alert.host_id for alert in asked}
        new = hosts - self._groups.keys()
        if new:
            found = silences.groups_of(new, using=self.using)
            self._groups |= {host_id: found.get(host_id, set()) for host_id in new}
        prints = sorted({alert.fingerprint for alert in asked})
        rows = Told.objects.using(self.using).filter(
            channel__in=[channel.pk for channel in self.channels],
            host__in=sorted(hosts),
            fingerprint__in=prints,
        )
        for row in rows:
            self._told.setdefault((row.channel_id, row.host_id, row.fingerprint), row)

    def silenced(self, alert: Alert) -> bool:
        """Whether a window holds it now."""
        groups = self._groups.get(alert.host_id, set())
        return any(silences.fits(window, alert, groups) for window in self._windows)

    def hears(self, channel: Channel, alert: Alert) -> bool:
        """Whether the channel's filters let it through; an alert that :meth:`know` was told of."""
        scope = self._scopes.get(channel.pk, set())
        groups = self._groups.get(alert.host_id, set())
        if scope and not scope & groups:
            return False
        subject = Subject(kind=alert.kind, severity=alert.severity, groups=frozenset(groups))
        return wants(self._wanted[channel.pk], subject)

    def memory(self, channel: Channel, alert: Alert) -> damping.Memory:
        """What the channel was told of it."""
        row = self._told.get((channel.pk, alert.host_id, alert.fingerprint))
        return damping.Memory() if row is None else _read(row)

    def gathers(self, channel: Channel, alert: Alert) -> bool:
        """Whether a message that nobody began to send tells of it."""
        delivery = self._unsent(channel)
        wanted = messages.key(alert.host_id, alert.fingerprint)
        return delivery is not None and any(item["key"] == wanted for item in delivery.items)

    def consider(
        self,
        channel: Channel,
        alert: Alert,
        *,
        active: bool,
        decide: Decide,
        kind: Delivery.Kind = Delivery.Kind.ALERTS,
        changes: Sequence[int] = (),
    ) -> bool:
        """Let ``decide`` say whether it is told, remember that, and put it into a message."""
        thing = (channel.pk, alert.host_id, alert.fingerprint)
        before = self.memory(channel, alert)
        verdict = decide(before)
        if verdict.memory != before:
            self._remember(thing, verdict.memory)
        if not verdict.tell:
            return False
        item = messages.freeze(
            alert,
            active=active,
            language=channel.language,
            changes=changes,
            quiet_until=verdict.quiet_until,
        )
        delivery = self._put(channel, kind, item)
        self._links += [(delivery, change_id) for change_id in changes]
        if not changes:
            self._by_alert.append((delivery, alert.pk))
        return True

    def forget(self, row: Told) -> None:
        """Remember that a thing is over without telling the channel of it."""
        thing = (row.channel_id, row.host_id, row.fingerprint)
        known = self._told.setdefault(thing, row)
        self._remember(thing, replace(_read(known), is_active=False))

    def remember(self) -> None:
        """Write what channels remember by now, for queries of this transaction."""
        rows = [self._told[thing] for thing in self._changed]
        self._changed.clear()
        new = [row for row in rows if row._state.adding]
        known = [row for row in rows if not row._state.adding]
        remembered = Told.objects.using(self.using)
        remembered.bulk_create(new, batch_size=200)
        remembered.bulk_update(known, ["is_active", "at", "times", "held_since"], batch_size=200)

    def close(self) -> int:
        """Write messages and memory; how many messages were written or added to."""
        self.remember()
        for delivery in self._open.values():
            delivery.save(using=self.using)
        through = Delivery.changes.through
        through.objects.using(self.using).bulk_create(
            [
                through(delivery_id=delivery.pk, change_id=change_id)
                for delivery, change_id in self._links + self._beginnings()
            ],
            ignore_conflicts=True,
            batch_size=400,
        )
        return len(self._open)

    def _beginnings(self) -> list[tuple[Delivery, int]]:
        """What time brings is no change: such a message belongs to the first one that is kept of
        its alert, so that the alert knows who was told."""
        if not self._by_alert:
            return []
        pks = {alert_id for _delivery, alert_id in self._by_alert}
        first: dict[int | None, int] = {}
        changes = Change.objects.using(self.using).filter(alert__in=pks).order_by("pk")
        for alert_id, change_id in changes.values_list("alert_id", "pk"):
            first.setdefault(alert_id, change_id)
        return [
            (delivery, first[alert_id])
            for delivery, alert_id in self._by_alert
            if alert_id in first
        ]

    def _put(self, channel: Channel, kind: Delivery.Kind, item: messages.Item) -> Delivery:
        delivery = self._open.get((channel.pk, kind))
        if delivery is None and kind == Delivery.Kind.ALERTS:
            delivery = self._unsent(channel)
        place = None
        if delivery is not None:
            found = (i for i, old in enumerate(delivery.items) if old["key"] == item["key"])
            place = next(found, None)
            if place is None and len(delivery.items) >= MOST_ITEMS:
                delivery.save(using=self.using)
                delivery = None
        if delivery is None:
            delivery = Delivery(channel=channel, kind=kind, created_at=self.now)
            delivery.try_after = self.now
            delivery.save(using=self.using, force_insert=True)
            # ``created_at`` is the time of this round, whatever the clock says at the insert.
            Delivery.objects.using(self.using).filter(pk=delivery.pk).update(created_at=self.now)
            delivery.created_at = self.now
        if place is None:
            delivery.items.append(item)
        else:
            item["changes"] = sorted({*delivery.items[place]["changes"], *item["changes"]})
            delivery.items[place] = item
        if kind == Delivery.Kind.ALERTS:
            self._wait(delivery)
            if self._gathering is not None:
                self._gathering[channel.pk] = delivery
        self._open[channel.pk, kind] = delivery
        return delivery

    def _wait(self, delivery: Delivery) -> None:
        """When a message that was just added to is sent."""
        latest = delivery.created_at + dt.timedelta(seconds=settings.ALERT_MAX_WAIT_S)
        if delivery.try_after is not None and delivery.try_after > latest:
            return  # the channel has had its messages of this hour
        quiet = self.now + dt.timedelta(seconds=settings.ALERT_QUIET_S)
        delivery.try_after = min(quiet, latest)

    def _unsent(self, channel: Channel) -> Delivery | None:
        """The channel's message that nobody began to send; further ones only ever wait."""
        if self._gathering is None:
            self._gathering = {}
            rows = Delivery.objects.using(self.using).filter(
                Q(lease_until=None),
                channel__in=[each.pk for each in self.channels],
                kind=Delivery.Kind.ALERTS,
                state=Delivery.State.WAITING,
                tries=0,
                try_after__isnull=False,
            )
            for row in rows.select_for_update(of=("self",)).order_by("pk"):
                self._gathering[row.channel_id] = row
        return self._gathering.get(channel.pk)

    def _remember(self, thing: Thing, memory: damping.Memory) -> None:
        row = self._told.get(thing)
        if row is None:
            channel_id, host_id, fingerprint = thing
            row = Told(channel_id=channel_id, host_id=host_id, fingerprint=fingerprint)
            self._told[thing] = row
        row.is_active = memory.is_active
        row.at = self.now if memory.at is None else memory.at
        row.times = [time.isoformat() for time in memory.times]
        row.held_since = memory.held_since
        self._changed.add(thing)


def never_arrived(delivery: Delivery, using: str) -> None:
    """What a message that is given up called wrong was not told: so nobody hears that it is over.

    Of a reminder and of the end of a window nothing is known: most was told before.
    """
    if delivery.kind not in (Delivery.Kind.ALERTS, Delivery.Kind.ESCALATION):
        return
    things = {(i["host"]["id"], i["fingerprint"]) for i in delivery.items if i["active"]}
    until = delivery.created_at + dt.timedelta(seconds=settings.ALERT_MAX_WAIT_S)
    with transaction.atomic(using=using):
        Channel.objects.using(using).select_for_update().filter(pk=delivery.channel_id).first()
        rows = Told.objects.using(using).filter(
            channel=delivery.channel_id,
            host__in={host_id for host_id, _print in things},
            fingerprint__in={name for _host, name in things},
            is_active=True,
            at__lte=until,
        )
        lost = [row.pk for row in rows if (row.host_id, row.fingerprint) in things]
        Told.objects.using(using).filter(pk__in=lost).update(is_active=False, held_since=None)


def _read(row: Told) -> damping.Memory:
    return damping.Memory(
        is_active=row.is_active,
        at=row.at,
        times=tuple(dt.datetime.fromisoformat(time) for time in row.times),
        held_since=row.held_since,
    )
