"""Saved hunts over new data: what they find becomes alerts, each once.

Place in the data's way: rung by a task each minute, after ``history.store`` and before whoever
reads alerts. Asks ``queries.new_sightings``; ``watch.lifecycle`` opens the alerts, so that channels
hear of each, and what comes later is added to them here. Knows no pages.

How each hit is counted exactly once: a host's snapshots are stored in the order of their times, and
the sockets of one in one transaction. So whatever of a host was first seen by ``Alert.newest_at``
of its newest alert is counted, and nothing later is. A hunt looks at what was first seen since it
last looked and a margin before, since a probe is stored some time after it was taken; the alerts
tell what of that it has had. They are read again and written in one transaction that holds the
hunt's row: two workers count nothing twice, and one that is killed leaves all of it or nothing.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from hosts.models import Host
from netadmin.access.permissions import user_role
from probes import indicators, schedule
from probes.history.queries import new_sightings
from probes.history.queries.new_sightings import Counts
from probes.history.queries.sightings import SeenRow
from probes.history.queries.sought import Sought
from probes.models import Alert, AlertKind, Change, Hunt
from probes.payloads import hunts as hunt_payloads
from probes.watch import lifecycle

logger = logging.getLogger(__name__)

RUN_S: Final = 40.0
"""How long one run begins further hunts: the next one, a minute later, begins with the rest."""
LEASE: Final = dt.timedelta(minutes=4)
"""How long a worker that looks has a hunt for itself: longer than a task may run."""

FIRST_ROWS: Final = 20
NEWEST_ROWS: Final = 20
"""Rows that an alert keeps as evidence."""


@dataclass(slots=True)
class Ran:
    """What a run did."""

    hunts: int = 0
    resting: int = 0
    left: int = 0
    """Hunts that another worker looks for, or that no time was left for."""
    failed: int = 0
    hits: int = 0
    """Intervals that were added to alerts."""
    opened: int = 0
    """New alerts."""


def margin() -> dt.timedelta:
    """How long after its time a probe may be stored."""
    return schedule.stored_within()


def run(using: str = "default") -> Ran:
    """Let every enabled hunt look at what is new, the one that waits longest first.

    A hunt that fails is logged and tried again next time; the others go on. One that another
    worker looks for at the time is left to that.
    """
    ran = Ran()
    until = time.monotonic() + RUN_S
    enabled = Hunt.objects.using(using).filter(enabled=True)
    for hunt in enabled.select_related("owner__access").order_by(
        F("checked_at").asc(nulls_first=True)
    ):
        if rests(hunt):
            ran.resting += 1
            continue
        lease = None if time.monotonic() >= until else _claim(hunt, using)
        if lease is None:
            ran.left += 1
            continue
        try:
            hits, opened = look(hunt)
        except Exception:
            logger.exception("hunt %s failed", hunt.pk)
            ran.failed += 1
        else:
            ran.hunts += 1
            ran.hits += hits
            ran.opened += opened
        finally:
            Hunt.objects.using(using).filter(pk=hunt.pk, busy_until=lease).update(busy_until=None)
    return ran


def _claim(hunt: Hunt, using: str) -> dt.datetime | None:
    """Until when the hunt is this worker's; None where another has it or has just looked."""
    now = timezone.now()
    free = Q(busy_until=None) | Q(busy_until__lte=now)
    same = Hunt.objects.using(using).filter(
        free, pk=hunt.pk, enabled=True, checked_at=hunt.checked_at
    )
    return now + LEASE if same.update(busy_until=now + LEASE) else None


def rests(hunt: Hunt) -> bool:
    """Whether its owner may see nothing any more, so that it looks at nothing."""
    return user_role(hunt.owner) is None


def look(hunt: Hunt) -> tuple[int, int]:
    """Let one hunt look at what is new; returns the hits it counted and the alerts it opened."""
    using = hunt._state.db or "default"
    began = timezone.now()
    hosts = Host.objects.using(using).kept().visible_to(hunt.owner)
    wanted = Sought(
        indicators.read(hunt.indicators).indicators,
        new_since=(hunt.checked_at or hunt.created_at) - margin(),
    )
    found = new_sightings.counts(hosts, wanted)
    marks = _marks(hunt, found, using)
    fresh = _fresh(found, marks)
    after = {pk: marks.get(pk, wanted.new_since or began) for pk in fresh}
    rows = (
        new_sightings.evidence(hosts, wanted, after=after, each=max(FIRST_ROWS, NEWEST_ROWS))
        if fresh
        else {}
    )
    with transaction.atomic(using=using):
        held = (
            Hunt.objects.using(using).select_for_update().filter(pk=hunt.pk, enabled=True).first()
        )
        if held is None or held.indicators != hunt.indicators:
            return 0, 0  # removed, switched off or changed meanwhile: as if it had not looked
        fresh = _fresh(found, _marks(held, found, using))
        opened = sum(_add(held, pk, fresh[pk], rows.get(pk, []), using) for pk in sorted(fresh))
        held.checked_at = max(began, held.checked_at or began)
        held.save(using=using, update_fields=["checked_at"])
    return sum(sum(times.values()) for times in fresh.values()), opened


def _marks(hunt: Hunt, host_ids: Iterable[int], using: str) -> dict[int, dt.datetime]:
    """By host: what was first seen by then is in an alert of the hunt, open or not."""
    alerts = Alert.objects.using(using).filter(hunt=hunt, host__in=list(host_ids))
    return dict(alerts.order_by().values_list("host").annotate(Max("newest_at")))


def _fresh(found: Counts, marks: Mapping[int, dt.datetime]) -> Counts:
    """What is in no alert yet."""
    fresh = {
        pk: {when: number for when, number in times.items() if pk not in marks or when > marks[pk]}
        for pk, times in found.items()
    }
    return {pk: times for pk, times in fresh.items() if times}


def _add(
    hunt: Hunt, host_id: int, times: Mapping[dt.datetime, int], rows: list[SeenRow], using: str
) -> bool:
    """Add hits to the hunt's open alert on the host, or open one; whether one was opened."""
    seen = [hunt_payloads.evidence(row) for row in rows if row.socket.first_seen in times]
    alerts = Alert.objects.using(using)
    # Locked: whoever acknowledges it meanwhile has seen less, and these hits open another.
    still_open = alerts.select_for_update().filter(resolved_at=None)
    alert = still_open.filter(hunt=hunt, host_id=host_id).first()
    if alert is not None:
        alert.hits += sum(times.values())
        alert.newest_at = max(times)
        alert.evidence = kept_evidence(alert.evidence, seen)
        alert.save(using=using, update_fields=["hits", "newest_at", "evidence"])
        return False
    shown = lifecycle.Evidence(rows=kept_evidence([], seen))
    hits = sum(times.values())
    (change,) = lifecycle.record(
        [
            lifecycle.Transition(
                kind=Change.Kind.HUNT_HIT,
                host_id=host_id,
                at=max(times),
                detail={"hunt": hunt.name, "hits": hits},
                raises=lifecycle.Raise(
                    kind=AlertKind.HUNT,
                    fingerprint=f"hunt:{hunt.pk}",
                    subject=hunt.name,
                    hunt_id=hunt.pk,
                    hits=hits,
                    since=min(times),
                    evidence=lambda: shown,
                    ends_by_word=True,
                ),
            )
        ],
        using=using,
    )
    if hunt.mail_to and change.alert_id is not None:
        alerts.filter(pk=change.alert_id).update(mail_after=timezone.now())
    return True


def kept_evidence(before: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first rows there ever were, and the newest."""
    every = [*before, *new]
    return [*every[:FIRST_ROWS], *every[FIRST_ROWS:][-NEWEST_ROWS:]]
