"""Alerts, changes and maintenance windows as JSON and CSV.

Place in the data's way: as ``probes.payloads``, whose rows these extend; used by the JSON routes,
their CSV and webhooks. ``title`` and ``advice`` are in the language that is active. The name of a
group is in none of them but in windows, whose reader sees the group.
"""

from __future__ import annotations

from typing import Any, Final

from probes import payloads
from probes.models import Alert, Change, Delivery, Silence
from probes.payloads.shapes import alerts as alerts_shapes
from probes.payloads.shapes import names
from probes.payloads.shapes import watching as watching_shapes
from probes.wording import alerts as wording

ALERT: Final = names(alerts_shapes.Alert)
CHANGE: Final = names(watching_shapes.Change)
SILENCE: Final = names(alerts_shapes.Silence)
UNSAID: Final = frozenset({"group", "group_id"})
"""Facts that are not told: whoever sees a host need not see every group it is in."""


def alert(row: Alert, *, silenced: bool | None = None) -> dict[str, Any]:
    """An alert with its facts and evidence; its host, rule and hunt are loaded.

    ``silenced`` is null where nobody asked whether a window holds it.
    """
    return {
        "id": row.pk,
        "kind": row.kind,
        "fingerprint": row.fingerprint,
        "state": state(row),
        "severity": row.severity,
        "title": wording.title(row),
        "subject": row.subject,
        "host": payloads.host_name(row.host),
        "rule": None if row.rule is None else {"id": row.rule.pk, "name": row.rule.name},
        "hunt": None if row.hunt is None else {"id": row.hunt.pk, "name": row.hunt.name},
        "opened_at": payloads.time(row.opened_at),
        "newest_at": payloads.time(row.newest_at),
        "hits": row.hits,
        "ends_by_word": row.ends_by_word,
        "silenced": silenced,
        "acknowledged_at": payloads.time(row.acknowledged_at),
        "acknowledged_by": row.acknowledged_by or None,
        "resolved_at": payloads.time(row.resolved_at),
        "resolved_by": row.resolved_by or None,
        "mailed_at": payloads.time(row.mailed_at),
        "advice": wording.advice(row) or None,
        "facts": told(row.facts),
        "evidence": row.evidence,
    }


def state(row: Alert) -> str:
    """``resolved``, ``acknowledged`` or ``active``."""
    if row.resolved_at is not None:
        return "resolved"
    return "active" if row.acknowledged_at is None else "acknowledged"


def change(row: Change) -> dict[str, Any]:
    """A transition; its host and alert are loaded."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "title": wording.change_title(row),
        "host": payloads.host_name(row.host),
        "at": payloads.time(row.at),
        "before_at": payloads.time(row.before_at),
        "snapshot": row.snapshot_id,
        "protocol": row.protocol or None,
        "port": row.port,
        "program": row.program or None,
        "turn": row.turn or None,
        "alert": row.alert_id,
        "detail": told(row.detail),
    }


def silence(row: Silence, *, state: str) -> dict[str, Any]:
    """A maintenance window; its host, group and rule are loaded, and the reader may see them.

    ``state`` is ``planned``, ``running`` or ``over`` (``probes.watch.silences``).
    """
    return {
        "id": row.pk,
        "state": state,
        "starts_at": payloads.time(row.starts_at),
        "ends_at": payloads.time(row.ends_at),
        "host": None if row.host is None else payloads.host_name(row.host),
        "group": None if row.group is None else {"id": row.group.pk, "name": row.group.name},
        "rule": None if row.rule is None else {"id": row.rule.pk, "name": row.rule.name},
        "kind": row.kind or None,
        "fingerprint": row.fingerprint or None,
        "reason": row.reason or None,
        "created_by": row.created_by or None,
        "created_at": payloads.time(row.created_at),
    }


def told(facts: Any) -> dict[str, Any]:
    """Facts without what is not told."""
    if not isinstance(facts, dict):
        return {}
    return {name: value for name, value in facts.items() if name not in UNSAID}


def told_by(row: Delivery) -> dict[str, Any]:
    """A message that told of an alert, without where it went; its channel is loaded."""
    return {
        "channel": row.channel.name,
        "channel_kind": row.channel.kind,
        "kind": row.kind,
        "state": row.state,
        "tries": row.tries,
        "created_at": payloads.time(row.created_at),
        "sent_at": payloads.time(row.sent_at),
    }
