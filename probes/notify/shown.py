"""Channels and deliveries as JSON and CSV, without secrets.

Place in the data's way: as ``probes.payloads``, whose names and times it follows; here, because the
words of a delivery's error are this package's. Shared by the JSON routes, their CSV and the pages.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from probes import payloads
from probes.models import Channel, Delivery
from probes.notify import messages, trouble
from probes.payloads.shapes import channels as shapes
from probes.payloads.shapes import names

CHANNEL: Final = names(shapes.Channel)
DELIVERY: Final = names(shapes.Delivery)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a channel is doing: what waits, and how the newest try went."""

    waiting: int = 0
    state: str = ""
    at: dt.datetime | None = None
    error: str = ""


def outcomes(channels: Iterable[Channel]) -> dict[int, Outcome]:
    """By channel; two queries. The newest try is of the newest message that was tried."""
    pks = [channel.pk for channel in channels]
    rows = Delivery.objects.filter(channel__in=pks).order_by()
    counted = dict(rows.values_list("channel").annotate(n=Count("pk", filter=Q(state="waiting"))))
    newest = Delivery.objects.filter(channel=OuterRef("pk"), tries__gt=0)
    first = newest.order_by("-created_at", "-pk").values("pk")[:1]
    chosen = Channel.objects.filter(pk__in=pks).values(newest=Subquery(first))
    found = {row.channel_id: row for row in Delivery.objects.filter(pk__in=chosen)}
    return {pk: _outcome(counted.get(pk, 0), found.get(pk)) for pk in pks}


def _outcome(waiting: int, row: Delivery | None) -> Outcome:
    if row is None:
        return Outcome(waiting)
    return Outcome(waiting, row.state, row.sent_at or row.created_at, row.error)


def channel(row: Channel, outcome: Outcome) -> dict[str, Any]:
    """A channel, its groups prefetched."""
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "enabled": row.enabled,
        "address_shown": row.address_shown or None,
        "recipients": row.recipients.split(),
        "signed": row.has_secret("signing_key"),
        "template": row.template or None,
        "language": row.language or None,
        "groups": sorted(group.name for group in row.groups.all()),
        "kinds": row.kinds,
        "min_severity": row.min_severity,
        "send_resolved": row.send_resolved,
        "per_hour": row.per_hour,
        "repeat_minutes": row.repeat_minutes,
        "escalate_minutes": row.escalate_minutes,
        "waiting": outcome.waiting,
        "last_state": outcome.state or None,
        "last_at": payloads.time(outcome.at),
        "last_error": trouble.code_of(outcome.error),
        "last_error_text": trouble.said(outcome.error) or None,
    }


def delivery(row: Delivery) -> dict[str, Any]:
    """A delivery, its channel loaded and its changes counted as ``said_changes``."""
    message = messages.compose(row)
    return {
        "uid": str(row.uid),
        "kind": row.kind,
        "state": row.state,
        "created_at": payloads.time(row.created_at),
        "sent_at": payloads.time(row.sent_at),
        "try_after": payloads.time(row.try_after),
        "tries": row.tries,
        "error": trouble.code_of(row.error),
        "error_text": trouble.said(row.error) or None,
        "subject": message.subject,
        "alerts": message.active,
        "over": message.over,
        "changes": sorted({pk for item in row.items for pk in item["changes"]}),
        "reached": row.reached,
    }


def deliveries(of: Channel, *, state: str = "") -> QuerySet[Delivery]:
    """A channel's deliveries, newest first."""
    rows = Delivery.objects.filter(channel=of).select_related("channel")
    return rows.filter(state=state) if state else rows
