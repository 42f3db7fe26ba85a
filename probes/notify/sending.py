"""Sends the deliveries that are due, each at least once, and writes down how that went.

Place in the data's way: after ``outbox`` and ``follow_up``, which write them; calls ``mailing``,
``webhook`` or ``team_chat`` and holds no transaction meanwhile. A delivery is claimed for LEASE_S
by whoever sends it. A sender that is killed leaves it claimed; once that is over it is sent again
under the same uid. What fails is tried again, TRIES times over about a day, and is then given up
and shown. Beyond a channel's messages an hour a delivery waits, and what happens meanwhile goes
into it (``deciding``), so that nothing is lost to the limit.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from hosts import secrets
from probes.models import Channel, Delivery
from probes.notify import deciding, mailing, messages, team_chat, webhook
from probes.notify.trouble import CannotSend

logger = logging.getLogger(__name__)

BACK_OFF: Final = tuple(
    dt.timedelta(minutes=minutes) for minutes in (0.5, 2, 10, 30, 120, 360, 900)
)
"""After each try but the last: some 24 hours in all."""
TRIES: Final = len(BACK_OFF) + 1
LEASE_S: float = 300.0
"""How long a sender may be silent before it counts as dead."""
DEADLINE_S: Final = 30.0
MAIL_DEADLINE_S: Final = 120.0
"""Many recipients of one message; well below LEASE_S."""
TEST_DEADLINE_S: Final = 10.0
"""Somebody waits for it."""
ROUND_S: Final = 40.0
"""How long one call begins further deliveries."""
LOOK_AHEAD: Final = 50
HOUR: Final = dt.timedelta(hours=1)


@dataclass(slots=True)
class Sent:
    """What a call did."""

    sent: int = 0
    failed: int = 0


def send_due(using: str = "default") -> Sent:
    """Send what is due; one query where there is nothing. May be called by several workers."""
    done = Sent()
    until = time.monotonic() + ROUND_S
    while time.monotonic() < until:
        pks = list(_due(timezone.now(), using).values_list("pk", flat=True)[:LOOK_AHEAD])
        began = 0
        for pk in pks:
            if time.monotonic() >= until:
                break
            claimed = claim(pk, timezone.now(), using)
            if claimed is None:
                continue
            began += 1
            if send(claimed, using):
                done.sent += 1
            else:
                done.failed += 1
        if not began:
            break
    return done


def _due(now: dt.datetime, using: str) -> QuerySet[Delivery]:
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = Delivery.objects.using(using).filter(free, try_after__lte=now)
    return rows.order_by("try_after", "pk")


def claim(pk: int, now: dt.datetime, using: str = "default") -> Delivery | None:
    """Take a delivery that is due for this sender; None where it is not to be sent now.

    Decided under the lock of its channel, as whoever adds to it does.
    """
    with transaction.atomic(using=using):
        found = _due(now, using).filter(pk=pk).values_list("channel", flat=True).first()
        channels = Channel.objects.using(using).select_for_update()
        channel = None if found is None else channels.filter(pk=found).first()
        if channel is None:
            return None
        delivery = _due(now, using).select_for_update().filter(pk=pk).first()
        if delivery is None:
            return None
        delivery.channel = channel
        if not _may_be_sent(delivery, now, using):
            return None
        delivery.lease_until = now + dt.timedelta(seconds=LEASE_S)
        delivery.tries += 1
        delivery.save(using=using, update_fields=["lease_until", "tries"])
    return delivery


def _may_be_sent(delivery: Delivery, now: dt.datetime, using: str) -> bool:
    """Give it up, or put it off, where its channel or its tries say so."""
    tested = delivery.kind == Delivery.Kind.TEST
    interrupted = delivery.lease_until is not None
    if not delivery.channel.enabled and not tested:
        _give_up(delivery, "switched_off", using)
        return False
    if interrupted and delivery.tries >= (1 if tested else TRIES):
        _give_up(delivery, "interrupted", using)
        return False
    free_at = None if tested else _free_at(delivery, now, using)
    if free_at is None:
        return True
    delivery.try_after, delivery.lease_until = free_at, None
    delivery.save(using=using, update_fields=["try_after", "lease_until"])
    return False


def _free_at(delivery: Delivery, now: dt.datetime, using: str) -> dt.datetime | None:
    """When the channel may have its next message; None: now."""
    channel = delivery.channel
    others = Delivery.objects.using(using).filter(channel=channel).exclude(pk=delivery.pk)
    others = others.exclude(kind=Delivery.Kind.TEST)
    under_way = others.filter(lease_until__gt=now).count()
    lately = others.filter(state=Delivery.State.SENT, sent_at__gt=now - HOUR)
    times = list(lately.order_by("-sent_at").values_list("sent_at", flat=True)[: channel.per_hour])
    if len(times) + under_way < channel.per_hour:
        return None
    oldest = min((time for time in times if time is not None), default=now)
    return max(oldest + HOUR, now + dt.timedelta(seconds=10))


def send(delivery: Delivery, using: str = "default", *, deadline_s: float | None = None) -> bool:
    """Try a claimed delivery once and write down the outcome; whether it was sent."""
    problem: CannotSend | None = None
    try:
        _hand_over(delivery, using, deadline_s)
    except CannotSend as error:
        problem = error
    except secrets.DecryptionError:
        problem = CannotSend("secret_unreadable")
    except Exception as error:
        # Its words may hold the address: only the kind is logged.
        logger.error("delivery %s failed: %s", delivery.pk, type(error).__name__)
        problem = CannotSend("internal_error", type(error).__name__)
    now = timezone.now()
    delivery.try_after = None
    if problem is None:
        delivery.state, delivery.sent_at, delivery.error = Delivery.State.SENT, now, ""
    else:
        delivery.error = problem.stored()[:500]
        logger.warning("delivery %s was not sent: %s", delivery.pk, problem.code)
        if delivery.kind == Delivery.Kind.TEST or delivery.tries >= TRIES:
            delivery.state = Delivery.State.FAILED
        else:
            delivery.try_after = now + BACK_OFF[delivery.tries - 1]
    mine = Delivery.objects.using(using).filter(pk=delivery.pk, lease_until=delivery.lease_until)
    mine.update(
        state=delivery.state,
        sent_at=delivery.sent_at,
        error=delivery.error,
        try_after=delivery.try_after,
        lease_until=None,
    )
    if delivery.state == Delivery.State.FAILED:
        deciding.never_arrived(delivery, using)
    delivery.lease_until = None
    return problem is None


def _hand_over(delivery: Delivery, using: str, deadline_s: float | None) -> None:
    message = messages.compose(delivery)
    kind = delivery.channel.kind
    if kind == Channel.Kind.EMAIL:

        def reached(who: str) -> None:
            delivery.reached = [*delivery.reached, who]
            rows = Delivery.objects.using(using).filter(pk=delivery.pk)
            rows.update(reached=delivery.reached)

        mailing.send(delivery, message, deadline_s=deadline_s or MAIL_DEADLINE_S, reached=reached)
    elif kind == Channel.Kind.WEBHOOK:
        webhook.send(delivery, message, deadline_s=deadline_s or DEADLINE_S)
    else:
        team_chat.send(delivery, message, deadline_s=deadline_s or DEADLINE_S)


def send_test(channel: Channel, using: str = "default") -> Delivery:
    """Send a test message now, once, whether the channel is on or off; how that went."""
    now = timezone.now()
    delivery = Delivery.objects.using(using).create(
        channel=channel,
        kind=Delivery.Kind.TEST,
        try_after=now,
        lease_until=now + dt.timedelta(seconds=LEASE_S),
        tries=1,
    )
    send(delivery, using, deadline_s=TEST_DEADLINE_S)
    return delivery


def retry(delivery: Delivery, using: str = "default") -> bool:
    """Have a delivery that waits or was given up sent now; False where it was sent, or is being
    sent. One that was given up gets one more try."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = Delivery.objects.using(using).filter(free, pk=delivery.pk)
    rows = rows.exclude(state=Delivery.State.SENT)
    return rows.update(state=Delivery.State.WAITING, try_after=now) == 1


def drop_waiting(channel: Channel, using: str = "default") -> int:
    """Give up what waits for a channel that is switched off; it stays to be seen. How many."""
    waiting = Delivery.objects.using(using).filter(channel=channel, state=Delivery.State.WAITING)
    return waiting.update(
        state=Delivery.State.FAILED, error="switched_off", try_after=None, lease_until=None
    )


def _give_up(delivery: Delivery, code: str, using: str) -> None:
    delivery.state, delivery.error = Delivery.State.FAILED, code
    delivery.try_after = delivery.lease_until = None
    delivery.save(using=using, update_fields=["state", "error", "try_after", "lease_until"])
    deciding.never_arrived(delivery, using)
