"""Alerts, maintenance windows and what happened.

Place in the data's way: filled by ``probes.payloads.alerts`` and ``probes.payloads.activity``,
declared by ``probes.api.alerts`` and ``probes.api.silences``.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.sockets import ConnectionOfHistory
from probes.payloads.shapes.watching import Change
from probes.payloads.shapes.words import (
    AlertKind,
    ChangeKind,
    ChannelKind,
    DeliveryKind,
    DeliveryState,
    RestartState,
    Severity,
    SyncState,
)


class Evidence(ConnectionOfHistory):
    """A connection that shows why an alert was opened, as it was then."""

    indicator: NotRequired[str]
    """Of a hunt: what it fits."""


class Alert(TypedDict):
    """Something wrong on a host, from when it is seen until it is over."""

    id: Identity
    kind: AlertKind
    """What watches."""
    fingerprint: str
    """What it is about, such as ``port_down:tcp/8080``: of one host one at most is active."""
    state: Literal["active", "acknowledged", "resolved"]
    severity: Severity
    title: str
    """What is wrong as a sentence, in the reader's language."""
    subject: str
    """A short name that is the same in all languages."""
    host: Named
    rule: Named | None
    hunt: Named | None
    opened_at: Time
    newest_at: Time
    """Of the newest snapshot that added to it."""
    hits: Count
    """How often it was seen; of a hunt, connections and listeners that fit."""
    ends_by_word: bool
    """Whether it is over once somebody acknowledges it, having no end of its own."""
    silenced: bool | None
    """Whether a maintenance window keeps it from being told; null where that was not asked."""
    acknowledged_at: Time | None
    acknowledged_by: str | None
    resolved_at: Time | None
    resolved_by: str | None
    """Null where it ended by itself."""
    mailed_at: Time | None
    """Of a hunt's alert: when the hunt's own recipients were told."""
    advice: str | None
    """What to do, in the reader's language."""
    facts: dict[str, Any]
    """Numbers, names and codes that the title is made of; ``event`` says which there are."""
    evidence: list[Evidence]
    """The first rows that show it and then the newest."""


class Alerts(Listed):
    """The alerts on hosts that the caller may see."""

    alerts: list[Alert]


class AlertMessage(TypedDict):
    """A message that told of an alert, without where it went."""

    channel: str
    channel_kind: ChannelKind
    kind: DeliveryKind
    state: DeliveryState
    tries: Count
    created_at: Time
    sent_at: Time | None


class AlertInFull(TypedDict):
    """An alert with what happened to it, and who was told."""

    alert: Alert
    changes: list[Change]
    """The newest 100."""
    deliveries: list[AlertMessage]


class OneAlert(TypedDict):
    """An alert."""

    alert: Alert


class Silence(TypedDict):
    """A maintenance window; what is null fits everything."""

    id: Identity
    state: Literal["planned", "running", "over"]
    starts_at: Time
    ends_at: Time
    host: Named | None
    group: Named | None
    rule: Named | None
    kind: AlertKind | None
    fingerprint: str | None
    """Of a snooze: the alert that it is about."""
    reason: str | None
    created_by: str | None
    created_at: Time


class Silences(Listed):
    """The maintenance windows that the caller may see."""

    silences: list[Silence]


class OneSilence(TypedDict):
    """A maintenance window."""

    silence: Silence


class ActivityEntry(TypedDict):
    """One thing that happened or was done."""

    kind: Literal["change", "acknowledged", "snooze", "window", "restart", "sync"]
    id: Identity
    """Of the change, alert, window, restart or synchronisation that ``kind`` names."""
    at: Time
    title: str
    """In the reader's language."""
    more: str | None
    host: Named | None
    """Null of what is about several."""
    person: str | None
    """A user name; null of what happened by itself."""
    alert: Identity | None
    state: ChangeKind | RestartState | SyncState | None
    """The kind of a change, or how a restart or synchronisation ended."""


class Activity(TypedDict):
    """What happened and what was done, newest first."""

    activity: list[ActivityEntry]
    next: str | None
    """Cursor of the next page; null on the last one."""
