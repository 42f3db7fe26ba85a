"""Adding, changing and ending maintenance windows: checked and recorded.

Place in the data's way: between pages and JSON routes and the rows of ``Silence``. Each function
is one transaction with its audit entry. A refusal is a ValidationError with messages by field.
What a window names is looked for among what the caller may see: somebody whom host groups limit
silences these alone, and a window over the whole site is for whoever sees all hosts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host, visible_groups
from netadmin.access import audit, permissions
from probes.filters import unstorable
from probes.models import AlertKind, Rule, Silence

LONGEST: Final = dt.timedelta(days=366)
LONGEST_REASON: Final = 200
SCOPE: Final = ("host", "group", "rule", "kind")
FIELDS: Final = ("starts_at", "ends_at", *SCOPE, "reason")


def create(data: Mapping[str, Any], *, request: HttpRequest) -> Silence:
    """Add a window; ``host``, ``group`` and ``rule`` are ids or None, times are aware.

    Without ``starts_at`` it begins now.
    """
    with transaction.atomic():
        silence = Silence(starts_at=timezone.now())
        silence.created_by = request.user.get_username()[:150]
        _fill(silence, data, request=request)
        silence.save()
        audit.record("silence.add", request=request, target=silence, detail=audited(silence))
    return silence


def change(silence: Silence, data: Mapping[str, Any], *, request: HttpRequest) -> Silence:
    """Change what ``data`` names of a window that is not over, and return it fresh.

    Of a snooze only its times and reason change.
    """
    with transaction.atomic():
        stored = Silence.objects.select_for_update().filter(pk=silence.pk).first()
        if stored is None or stored.ends_at <= timezone.now():
            raise ValidationError({"ends_at": [_("This window is over. Add another one.")]})
        before = audited(stored)
        given = dict(data)
        if stored.fingerprint:
            given = {name: value for name, value in given.items() if name not in SCOPE}
        _fill(stored, given, request=request)
        stored.told_at = None
        stored.save()
        audit.record(
            "silence.change",
            request=request,
            target=stored,
            detail=audit.changes(before, audited(stored)),
        )
    return stored


def end(silence: Silence, *, request: HttpRequest) -> Silence:
    """End a window now; one that is over stays as it is. Returns it fresh."""
    with transaction.atomic():
        now = timezone.now()
        stored = Silence.objects.select_for_update().filter(pk=silence.pk).first()
        if stored is not None and stored.ends_at > now:
            stored.starts_at = min(stored.starts_at, now)
            stored.ends_at = now
            stored.save(update_fields=["starts_at", "ends_at"])
            audit.record("silence.end", request=request, target=stored, detail=audited(stored))
    return stored or silence


def audited(silence: Silence) -> dict[str, Any]:
    """The fields as the audit log keeps them."""
    return {
        "starts_at": silence.starts_at.isoformat(timespec="seconds"),
        "ends_at": silence.ends_at.isoformat(timespec="seconds"),
        "host": silence.host_id,
        "group": silence.group_id,
        "rule": silence.rule_id,
        "kind": silence.kind,
        "fingerprint": silence.fingerprint,
        "reason": silence.reason,
    }


def _fill(silence: Silence, data: Mapping[str, Any], *, request: HttpRequest) -> None:
    """Put checked values on ``silence``; raises ValidationError by field."""
    wrong: dict[str, list[str]] = {}
    if "host" in data:
        silence.host = _found(Host.objects.kept().visible_to(request.user), data["host"])
        if data["host"] and silence.host is None:
            wrong["host"] = [_("There is no such host.")]
    if "group" in data:
        silence.group = _found(visible_groups(request.user), data["group"])
        if data["group"] and silence.group is None:
            wrong["group"] = [_("There is no such host group.")]
    if "rule" in data:
        silence.rule = _found(Rule.objects.all(), data["rule"])
        if data["rule"] and silence.rule is None:
            wrong["rule"] = [_("There is no such rule.")]
    if "kind" in data:
        silence.kind = str(data["kind"] or "")
        if silence.kind and silence.kind not in AlertKind.values:
            wrong["kind"] = [_("Give one of: %(words)s.") % {"words": ", ".join(AlertKind.values)}]
    if "reason" in data:
        silence.reason = str(data["reason"] or "").strip()
        if unstorable(silence.reason) or len(silence.reason) > LONGEST_REASON:
            wrong["reason"] = [_("Give at most %(most)s characters.") % {"most": LONGEST_REASON}]
    wrong |= _put_times(silence, data)
    whole_site = silence.host is None and silence.group is None
    if not wrong and whole_site and not permissions.sees_all(request.user):
        wrong["host"] = [_("Choose a host or a group: the whole site is not yours to silence.")]
    if wrong:
        raise ValidationError({field: list(said) for field, said in wrong.items()})


def _put_times(silence: Silence, data: Mapping[str, Any]) -> dict[str, list[str]]:
    if data.get("starts_at") is not None:
        silence.starts_at = data["starts_at"]
    if "ends_at" in data:
        if data["ends_at"] is None:
            return {"ends_at": [_("Give an end: a window without one hides what is wrong.")]}
        silence.ends_at = data["ends_at"]
    elif silence._state.adding:
        return {"ends_at": [_("Give an end: a window without one hides what is wrong.")]}
    if silence.ends_at <= silence.starts_at:
        return {"ends_at": [_("Give a time after the beginning.")]}
    if "ends_at" in data and silence.ends_at <= timezone.now():
        return {"ends_at": [_("Give a time in the future.")]}
    if silence.ends_at - silence.starts_at > LONGEST:
        return {"ends_at": [_("Give a time at most 366 days after the beginning.")]}
    return {}


def _found(rows: Any, pk: Any) -> Any:
    """The row of that id among ``rows``; None for none."""
    if not pk:
        return None
    return rows.filter(pk=pk).first() if 0 < int(pk) < 2**63 else None
