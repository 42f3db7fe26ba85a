"""What people do about alerts: acknowledge, snooze, end by word. Checked and recorded.

Place in the data's way: between pages and JSON routes, which find the alert among those the caller
may see, and the rows of ``Alert`` and ``Silence``. Each function is one transaction with its audit
entry. A refusal is a ValidationError with messages by field. Nobody is told by a channel of what
was ended by word: whoever did it knows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from netadmin.access import audit
from probes.filters import unstorable
from probes.models import Alert, Silence

LONGEST_NOTE: Final = 500
LONGEST_SNOOZE: Final = dt.timedelta(days=90)
MOST_AT_ONCE: Final = 200


def acknowledge(alert: Alert, *, request: HttpRequest, note: str = "") -> Alert:
    """Say that somebody knows of it; what has no end of its own is over by that.

    One that somebody was faster with, or that is over, stays as it is. Returns the alert fresh.
    """
    said = _checked_note(note)
    with transaction.atomic():
        _acknowledge(alert, said, request)
    alert.refresh_from_db()
    return alert


def acknowledge_all(alerts: Iterable[Alert], *, request: HttpRequest, note: str = "") -> int:
    """The same for several, all of them or none; returns how many it changed."""
    said = _checked_note(note)
    asked = list(alerts)
    if len(asked) > MOST_AT_ONCE:
        raise ValidationError({"alert": [_("Give at most %(most)s.") % {"most": MOST_AT_ONCE}]})
    with transaction.atomic():
        # In one order, so that two who do this at the same time never wait for each other.
        return sum(
            _acknowledge(alert, said, request) for alert in sorted(asked, key=lambda one: one.pk)
        )


def end(alert: Alert, *, request: HttpRequest, note: str = "") -> Alert:
    """End an alert of a kind that has no end of its own; returns it fresh."""
    said = _checked_note(note)
    if not alert.ends_by_word:
        raise ValidationError(
            {"alert": [_("This ends by itself once it is no longer so; acknowledge or snooze it.")]}
        )
    with transaction.atomic():
        now, who = timezone.now(), request.user.get_username()[:150]
        active = Alert.objects.filter(pk=alert.pk, resolved_at=None, ends_by_word=True)
        if active.update(resolved_at=now, resolved_by=who):
            Alert.objects.filter(pk=alert.pk, acknowledged_at=None).update(
                acknowledged_at=now, acknowledged_by=who
            )
            _record("alert.end", alert, said, request)
    alert.refresh_from_db()
    return alert


def snooze(alert: Alert, *, until: dt.datetime, request: HttpRequest, reason: str = "") -> Silence:
    """Have nobody told of it until then; a snooze that is running already is changed to that."""
    said = _checked_note(reason, field="reason", most=200)
    now = timezone.now()
    if until <= now:
        raise ValidationError({"until": [_("Give a time in the future.")]})
    if until > now + LONGEST_SNOOZE:
        days = LONGEST_SNOOZE.days
        raise ValidationError({"until": [_("Give a time within %(days)s days.") % {"days": days}]})
    with transaction.atomic():
        held = Alert.objects.select_for_update().filter(pk=alert.pk, resolved_at=None).first()
        if held is None or not held.fingerprint:
            raise ValidationError({"alert": [_("This alert is over.")]})
        running = Silence.objects.select_for_update().filter(
            host=held.host_id, fingerprint=held.fingerprint, starts_at__lte=now, ends_at__gt=now
        )
        silence = running.order_by("-ends_at").first() or Silence(
            host_id=held.host_id, kind=held.kind, fingerprint=held.fingerprint, starts_at=now
        )
        silence.ends_at, silence.told_at = until, None
        silence.reason = said or silence.reason
        silence.created_by = request.user.get_username()[:150]
        silence.save()
        detail = {"until": until.isoformat(timespec="seconds"), "silence": silence.pk}
        _record("alert.snooze", alert, said, request, detail)
    return silence


def _acknowledge(alert: Alert, note: str, request: HttpRequest) -> bool:
    now, who = timezone.now(), request.user.get_username()[:150]
    unknown = Alert.objects.filter(pk=alert.pk, acknowledged_at=None, resolved_at=None)
    changed: dict[str, Any] = {"acknowledged_at": now, "acknowledged_by": who}
    if alert.ends_by_word:
        changed |= {"resolved_at": now, "resolved_by": who}
    if not unknown.update(**changed):
        return False
    _record("alert.acknowledge", alert, note, request)
    return True


def _record(
    action: str,
    alert: Alert,
    note: str,
    request: HttpRequest,
    more: dict[str, Any] | None = None,
) -> None:
    detail: dict[str, Any] = {
        "host": alert.host_id,
        "subject": alert.subject,
        "fingerprint": alert.fingerprint,
        "hits": alert.hits,
    }
    if note:
        detail["note"] = note
    audit.record(action, request=request, target=alert, detail=detail | (more or {}))


def _checked_note(text: str, *, field: str = "note", most: int = LONGEST_NOTE) -> str:
    note = str(text or "").strip()
    if unstorable(note):
        raise ValidationError({field: [_("This holds a character that no database keeps.")]})
    if len(note) > most:
        raise ValidationError({field: [_("Give at most %(most)s characters.") % {"most": most}]})
    return note
