"""Ends that no change tells of: what one transition ended besides what it tells of itself.

Place in the data's way: called by ``outbox`` for the hosts it just decided about, so that what a
transition ended stands in the same message as what it began, and by ``follow_up`` for the rest.
Decides by their :class:`~probes.notify.deciding.Round`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from functools import partial
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from probes.models import Alert, AlertKind, Change, Told
from probes.notify import damping
from probes.notify.deciding import Round

logger = logging.getLogger(__name__)

MOST_ROWS: Final = 2_000
"""Things that one call looks at; the next goes on with the rest."""


def loose(using: str) -> QuerySet[Told]:
    """Told to be wrong, and over without a change that is still to say so. What is held back since
    it changes often is told when its hour is over."""
    return _loose(using).filter(held_since=None)


def _loose(using: str) -> QuerySet[Told]:
    alerts = Alert.objects.filter(host=OuterRef("host_id"), fingerprint=OuterRef("fingerprint"))
    said = Change.objects.filter(
        turn=Change.Turn.RESOLVED,
        alert__host=OuterRef("host_id"),
        alert__fingerprint=OuterRef("fingerprint"),
    )
    return Told.objects.using(using).filter(
        ~Exists(alerts.filter(resolved_at=None)),
        ~Exists(said.filter(announced_at=None)),
        is_active=True,
        channel__enabled=True,
    )


def tell(deciding: Round, *, hosts: Collection[int] | None = None) -> int:
    """Tell what of these hosts, or of all, is over; how many items. What a person ended, what ended
    quietly, and what is over since nobody watches it any more, is only remembered."""
    deciding.remember()
    # Of these hosts also what is held back: where it stands in a message that was not sent yet, it
    # stands there as over.
    rows = loose(deciding.using) if hosts is None else _loose(deciding.using).filter(host__in=hosts)
    found = list(rows.order_by("pk")[:MOST_ROWS])
    if not found:
        return 0
    alerts = {thing(alert): alert for alert in newest(deciding.using, found)}
    deciding.know(alerts.values())
    said = Change.objects.using(deciding.using).filter(alert__in=[a.pk for a in alerts.values()])
    hushed = set(said.filter(hushed=True).values_list("alert", flat=True))
    quietly = set(said.filter(turn=Change.Turn.RESOLVED).values_list("alert", flat=True))
    channels = {channel.pk: channel for channel in deciding.channels}
    told = 0
    for row in found:
        alert = alerts.get((row.host_id, row.fingerprint))
        channel = channels.get(row.channel_id)
        if alert is not None and (
            alert.resolved_at is None or alert.pk in hushed or deciding.silenced(alert)
        ):
            continue  # opened again meanwhile, or left to the end of a window
        gathers = alert is not None and channel is not None and deciding.gathers(channel, alert)
        if row.held_since is not None and not gathers:
            continue  # left to the end of its quiet hour
        if alert is None or channel is None or alert.pk in quietly or _is_let_be(alert):
            deciding.forget(row)
            continue
        decide = partial(
            damping.turned,
            active=False,
            now=deciding.now,
            says_over=channel.send_resolved,
            gathers=gathers,
        )
        try:
            told += deciding.consider(channel, alert, active=False, decide=decide)
        except Exception:
            # Stays for the next call: what else is to be told does not wait for it.
            logger.exception("the end of alert %s could not be told", alert.pk)
    return told


def newest(using: str, rows: Iterable[Told]) -> list[Alert]:
    """The newest alert of each thing that was told."""
    wanted = {(row.host_id, row.fingerprint) for row in rows}
    found: dict[tuple[int, str], Alert] = {}
    alerts = Alert.objects.using(using).filter(
        host__in={host_id for host_id, _print in wanted},
        fingerprint__in={name for _host, name in wanted},
    )
    for alert in alerts.select_related("host", "rule", "hunt").order_by("opened_at", "pk"):
        if thing(alert) in wanted:
            found[thing(alert)] = alert
    return list(found.values())


def thing(alert: Alert) -> tuple[int, str]:
    """What an alert is about: a host and a fingerprint."""
    return alert.host_id, alert.fingerprint


def _is_let_be(alert: Alert) -> bool:
    """Whether a person ended it: by word, or with the watch of its host or its rule."""
    if alert.resolved_by or not alert.host.enabled or alert.host.removed_at is not None:
        return True
    judged = alert.kind in (AlertKind.RULE, AlertKind.PROBE)
    return judged and (alert.rule is None or not alert.rule.enabled)
