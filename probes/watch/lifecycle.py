"""Writes what happened: changes, and the alerts that they open, add to and resolve.

Place in the data's way: called by whoever watches (ports, thresholds, probes, hunts, peers,
recovery) in the transaction that stores what was seen, so that a change, its alert and the snapshot
are there together or not at all. Knows no channel: ``probes.notify.outbox`` reads the changes that
are not announced. What people do to alerts is in ``probes.watch.handling``.

Of one host and fingerprint at most one alert is active: the database refuses a second, and whoever
comes second adds to the first. So alerts of one fingerprint open and resolve in turn, and each
change tells of one such turn at most.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from probes.history import packing
from probes.models import Alert, AlertKind, Change, Severity

MOST_ROWS: Final = 40
"""Rows of evidence that an alert is opened with."""
LONGEST_FINGERPRINT: Final = 200
LONGEST_TEXT: Final = 1_000
"""Characters of one text in facts and evidence: hosts choose the names of programs."""
LONGEST_LIST: Final = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows it: rows as the API shows connections, and what goes into ``Alert.facts``."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """The alert that a transition opens, or adds to."""

    kind: AlertKind
    fingerprint: str
    subject: str
    severity: str = Severity.WARNING
    facts: dict[str, Any] = field(default_factory=dict)
    evidence: Callable[[], Evidence] | None = None
    """Asked only where an alert is opened: it may read sockets."""
    rule_id: int | None = None
    hunt_id: int | None = None
    ends_by_word: bool = False
    since: dt.datetime | None = None
    """When it began, where that is before the transition."""
    hits: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Something that happened on a host, as a watcher saw it."""

    kind: Change.Kind
    host_id: int
    at: dt.datetime
    before_at: dt.datetime | None = None
    snapshot_id: int | None = None
    protocol: str = ""
    port: int | None = None
    program: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    raises: Raise | None = None
    """The alert it opens, where it is to; the active one of that fingerprint is added to."""
    resolves: Sequence[str] = ()
    """Fingerprints of the host's alerts that it ends. The change tells of the first that was
    active; of the others, and where it opens one, ``probes.notify.ends`` tells."""
    quiet: bool = False
    """Nobody is told, whatever it does to an alert."""


def record(transitions: Iterable[Transition], *, using: str = "default") -> list[Change]:
    """Write one change for each transition, with what it does to alerts, in the caller's
    transaction. The host's row of ``Schedule`` or ``LastText`` should be locked by then, as it is
    while a snapshot is stored: two writers of one host then wait for one another.

    A transition that resolves nothing and raises nothing is history only and counts as announced.
    """
    written = []
    for each in transitions:
        alert, turn = None, Change.Turn.NONE
        for fingerprint in each.resolves:
            ended = resolve(each.host_id, fingerprint, at=each.at, using=using)
            if ended is not None and alert is None:
                alert, turn = ended, Change.Turn.RESOLVED
        if each.raises is not None:
            alert, opened = _raise(each, each.raises, using)
            turn = Change.Turn.OPENED if opened else Change.Turn.AGAIN
        told = turn in (Change.Turn.OPENED, Change.Turn.RESOLVED) and not each.quiet
        written.append(
            Change.objects.using(using).create(
                host_id=each.host_id,
                kind=each.kind,
                at=each.at,
                before_at=each.before_at,
                snapshot_id=each.snapshot_id,
                protocol=each.protocol,
                port=each.port,
                program=_text(each.program),
                detail=storable(each.detail),
                alert=alert,
                turn=turn,
                announced_at=None if told else each.at,
            )
        )
    return written


def resolve(
    host_id: int, fingerprint: str, *, at: dt.datetime, by: str = "", using: str = "default"
) -> Alert | None:
    """End the active alert of that fingerprint; None where there is none."""
    alert = _active(host_id, fitting(fingerprint), using)
    if alert is None:
        return None
    # A clock that went back makes no alert end before it began.
    alert.resolved_at, alert.resolved_by = max(at, alert.opened_at), by[:150]
    alert.save(using=using, update_fields=["resolved_at", "resolved_by"])
    return alert


def seen_again(
    host_id: int,
    fingerprints: Iterable[str],
    *,
    at: dt.datetime,
    severities: Iterable[str] = tuple(Severity.values),
    using: str = "default",
) -> int:
    """Add what a probe of ``at`` shows to go on to the active alerts of those fingerprints and
    severities, without a change: nothing changed. Returns how many there are. One query."""
    active = Alert.objects.using(using).filter(
        host_id=host_id,
        fingerprint__in=[fitting(each) for each in fingerprints],
        resolved_at=None,
        newest_at__lt=at,
        severity__in=list(severities),
    )
    return active.update(newest_at=at, hits=F("hits") + 1)


def fitting(fingerprint: str) -> str:
    """The fingerprint as it is stored: what is too long ends in a hash of the whole."""
    plain = packing.storable(fingerprint)
    if len(plain) <= LONGEST_FINGERPRINT:
        return plain
    digest = blake2b(plain.encode(), digest_size=12).hexdigest()
    return f"{plain[: LONGEST_FINGERPRINT - 25]}#{digest}"


def storable(value: Any) -> Any:
    """Facts and rows as every database takes them, however long and odd a host's names are."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(str(name)): storable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each) for each in value[:LONGEST_LIST]]
    return value


def _text(text: str) -> str:
    return packing.storable(text)[:LONGEST_TEXT]


def _active(host_id: int, fingerprint: str, using: str) -> Alert | None:
    """The active alert, locked: whoever acknowledges it waits, or has ended it already."""
    rows = Alert.objects.using(using).select_for_update()
    return rows.filter(host_id=host_id, fingerprint=fingerprint, resolved_at=None).first()


def _raise(each: Transition, asked: Raise, using: str) -> tuple[Alert, bool]:
    """The alert, and whether it was opened now."""
    fingerprint = fitting(asked.fingerprint)
    evidence: Evidence | None = None
    while True:
        alert = _active(each.host_id, fingerprint, using)
        if alert is not None:
            return _add(alert, each, asked, using), False
        if evidence is None:
            evidence = Evidence() if asked.evidence is None else asked.evidence()
        try:
            with transaction.atomic(using=using):
                return _open(each, asked, fingerprint, evidence, using), True
        except IntegrityError:
            # Another writer opened it meanwhile: then there is one to add to, or it has ended.
            # Anything else that the database refuses is not about that, and goes on up.
            if not _taken(each.host_id, fingerprint, using):
                raise


def _taken(host_id: int, fingerprint: str, using: str) -> bool:
    alerts = Alert.objects.using(using).filter(host_id=host_id, fingerprint=fingerprint)
    return alerts.filter(resolved_at=None).exists()


def _add(alert: Alert, each: Transition, asked: Raise, using: str) -> Alert:
    alert.hits += asked.hits
    alert.newest_at = max(alert.newest_at, each.at)
    alert.severity = asked.severity
    alert.facts = alert.facts | storable(asked.facts)
    alert.save(using=using, update_fields=["hits", "newest_at", "severity", "facts"])
    return alert


def _open(each: Transition, asked: Raise, fingerprint: str, shown: Evidence, using: str) -> Alert:
    return Alert.objects.using(using).create(
        kind=asked.kind,
        fingerprint=fingerprint,
        subject=_text(asked.subject)[:200],
        severity=asked.severity,
        facts=storable({"event": each.kind.value, **asked.facts, **shown.facts}),
        evidence=storable(shown.rows[:MOST_ROWS]),
        rule_id=asked.rule_id,
        hunt_id=asked.hunt_id,
        host_id=each.host_id,
        ends_by_word=asked.ends_by_word,
        opened_at=min(asked.since or each.at, each.at),
        newest_at=each.at,
        hits=asked.hits,
    )
