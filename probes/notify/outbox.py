"""Reads what is not announced yet and decides who is told of it.

Place in the data's way: between the changes that ``probes.watch.lifecycle`` writes and the
deliveries that ``probes.notify.sending`` sends. One transaction decides about a batch: the
deliveries with their items, what each channel remembers, and that the changes are announced are
there together or not at all. Killed anywhere, it leaves the changes to the next call.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone

from probes.models import Change
from probes.notify import damping, ends
from probes.notify.deciding import Round

logger = logging.getLogger(__name__)

BATCH: Final = 500
"""Changes that one transaction decides about."""
ROUND_S: Final = 20.0
"""How long one call begins further batches."""


@dataclass(slots=True)
class Announced:
    """What a call did."""

    changes: int = 0
    told: int = 0
    """Items written, one a channel and alert."""
    failed: int = 0


def announce(using: str = "default", *, now: dt.datetime | None = None) -> Announced:
    """Decide about everything that is not announced; one query where there is nothing.

    May be called at any time by several workers: they decide one after the other, each change
    once. A change that cannot be decided about is logged and stays for the next call.
    """
    done = Announced()
    waiting = Change.objects.using(using).filter(announced_at=None)
    if not waiting.exists():
        return done
    until = time.monotonic() + ROUND_S
    last = 0
    while time.monotonic() < until:
        seen = _batch(last, now or timezone.now(), using, done)
        if seen is None:
            break
        last = seen
    return done


def _batch(after: int, now: dt.datetime, using: str, done: Announced) -> int | None:
    """Decide about the next changes; the id of the last, None where there is none."""
    with transaction.atomic(using=using):
        deciding = Round(using, now)
        rows = Change.objects.using(using).filter(announced_at=None, pk__gt=after).order_by("pk")
        changes: Sequence[Change] = list(
            rows.select_for_update(of=("self",)).select_related(
                "alert__host", "alert__rule", "alert__hunt"
            )[:BATCH]
        )
        if not changes:
            return None
        deciding.know([change.alert for change in changes if change.alert is not None])
        decided, hushed = [], []
        for change in changes:
            try:
                if change.alert is not None and deciding.silenced(change.alert):
                    hushed.append(change.pk)
                else:
                    done.told += _route(deciding, change)
            except Exception:
                logger.exception("change %s could not be announced", change.pk)
                done.failed += 1
            else:
                decided.append(change.pk)
        Change.objects.using(using).filter(pk__in=decided).update(announced_at=now)
        Change.objects.using(using).filter(pk__in=hushed).update(hushed=True)
        done.told += ends.tell(deciding, hosts={change.host_id for change in changes})
        deciding.close()
        done.changes += len(decided)
    return changes[-1].pk


def _route(deciding: Round, change: Change) -> int:
    """Tell the channels that it concerns; how many are told."""
    alert = change.alert
    if alert is None or change.turn not in (Change.Turn.OPENED, Change.Turn.RESOLVED):
        return 0
    active = change.turn == Change.Turn.OPENED
    told = 0
    for channel in deciding.channels:
        # An end needs no filter: it is told to whoever was told the beginning.
        if active and (channel.escalate_minutes is not None or not deciding.hears(channel, alert)):
            continue
        decide = partial(
            damping.turned,
            active=active,
            now=deciding.now,
            says_over=channel.send_resolved,
            gathers=deciding.gathers(channel, alert),
        )
        told += deciding.consider(
            channel, alert, active=active, decide=decide, changes=(change.pk,)
        )
    return told
