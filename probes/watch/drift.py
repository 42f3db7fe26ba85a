"""Whom the programs of a group talk to: learned for a time, and told where it is new.

Place in the data's way: rung by a task each minute, after ``history.store``; asks
``queries.dialled``, writes :class:`Peer`, and through ``watch.peer_alerts`` changes and alerts.
Knows no pages; what people decide is in ``watch.peer_decisions``.

Nothing is skipped and nothing told twice: a look reads what was first seen since the last look and
a margin before, since a probe is stored some time after it was taken, and writes what it found, the
alerts and how far it has come in one transaction that holds the watch's row. A peer that is known
is not new, so that reading the margin again changes nothing, and a worker that is killed leaves all
of a look or nothing.

A connection without a program's name (a TIME_WAIT, or a login that may not see them) tells of a
network only: it is a peer where no program of the group is known to talk to that network.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from hosts.models import Host
from probes import schedule
from probes.history.queries import dialled
from probes.history.queries.sql import Scope
from probes.models import DriftWatch, Outcome, Peer, Snapshot
from probes.watch import peer_alerts
from probes.watch.peer_alerts import New
from probes.watch.seen_peers import Seen, collect, ends_of

logger = logging.getLogger(__name__)

RUN_S: Final = 40.0
"""How long one run begins further looks: the next one, a minute later, begins with the rest."""
LEASE: Final = dt.timedelta(minutes=4)
"""How long a worker that looks has a watch for itself: longer than a task may run."""
LEARN_BACK: Final = dt.timedelta(days=7)
"""How much of the past a new watch learns from at once, where that is kept."""
STEP: Final = dt.timedelta(hours=1)
"""How much of it one transaction looks at."""
MOST_ADDED: Final = 10_000
"""Peers that one look adds, and that are kept of a group: hosts choose the names of programs."""
MOST_KEPT: Final = 50_000
REFRESH: Final = dt.timedelta(minutes=10)
"""A known peer's time is written again where it is so much newer: most looks write nothing."""
FORGET_BATCH: Final = 200
"""Peers looked at in one run because they were not seen for long."""
_CHUNK: Final = 500


@dataclass(slots=True)
class Ran:
    """What a run did."""

    watches: int = 0
    left: int = 0
    """Watches that another worker looks at, or that no time was left for."""
    failed: int = 0
    learned: int = 0
    new: int = 0
    """Peers that are new."""
    forgotten: int = 0


# --- a run ----------------------------------------------------------------------------------------


def run(using: str = "default") -> Ran:
    """Let every enabled watch look at what is new, the one that waits longest first.

    One that fails is logged and tried again next time; the others go on. One that another worker
    looks at is left to that.
    """
    ran = Ran()
    until = time.monotonic() + RUN_S
    watches = DriftWatch.objects.using(using).filter(enabled=True)
    for watch in watches.order_by(F("checked_at").asc(nulls_first=True), "pk"):
        lease = None if time.monotonic() >= until else _claim(watch, using)
        if lease is None:
            ran.left += 1
            continue
        try:
            ran.forgotten += forget(watch)
            while not look(watch, ran) and time.monotonic() < until:
                watch.refresh_from_db(using=using)
        except Exception:
            logger.exception("the new-peer watch of group %s failed", watch.pk)
            ran.failed += 1
        else:
            ran.watches += 1
        finally:
            mine = DriftWatch.objects.using(using).filter(pk=watch.pk, busy_until=lease)
            mine.update(busy_until=None)
    return ran


def _claim(watch: DriftWatch, using: str) -> dt.datetime | None:
    """Until when the watch is this worker's; None where another has it or has just looked."""
    now = timezone.now()
    free = Q(busy_until=None) | Q(busy_until__lte=now)
    same = DriftWatch.objects.using(using).filter(
        free, pk=watch.pk, enabled=True, checked_at=watch.checked_at
    )
    return now + LEASE if same.update(busy_until=now + LEASE) else None


def look(watch: DriftWatch, ran: Ran | None = None) -> bool:
    """Let one watch look at the next piece of what is new; True where nothing is left."""
    ran = ran if ran is not None else Ran()
    using = watch._state.db or "default"
    began = timezone.now()
    scope = Scope(using, _host_ids(watch, using))
    mark = watch.checked_at
    found: dict[tuple[str, str], Seen] = {}
    if mark is None:
        # First of all what is open, however old: it is what the hosts talk to while it learns.
        mark, until = began - LEARN_BACK, began - LEARN_BACK
        collect(found, dialled.began(scope, after=None), watch)
    else:
        until = min(mark + STEP, began)
        last = until == began
        after = mark - schedule.stored_within()
        collect(found, dialled.began(scope, after=after, until=None if last else until), watch)
    with transaction.atomic(using=using):
        held = (
            DriftWatch.objects.using(using)
            .select_for_update()
            .filter(pk=watch.pk, enabled=True)
            .first()
        )
        if held is None or _rules(held) != _rules(watch) or held.checked_at != watch.checked_at:
            return True  # removed, changed, or done by another meanwhile: as if it had not looked
        _book(held, found, ran, using)
        held.checked_at = until
        held.save(using=using, update_fields=["checked_at"])
    return until == began


def _rules(watch: DriftWatch) -> tuple[Any, ...]:
    """What a look depends on."""
    return watch.ipv4_prefix, watch.ipv6_prefix, watch.ignored, watch.learn_until


def _host_ids(watch: DriftWatch, using: str) -> tuple[int, ...]:
    hosts = Host.objects.using(using).kept().filter(groups=watch.pk)
    return tuple(hosts.order_by("pk").values_list("pk", flat=True))


# --- what is new ----------------------------------------------------------------------------------


def _book(watch: DriftWatch, found: dict[tuple[str, str], Seen], ran: Ran, using: str) -> None:
    """Write what a look found, under the watch's lock."""
    known, networks = _known(watch, {network for _program, network in found}, using)
    networks |= {network for program, network in found if program}
    learned: list[Peer] = []
    moved: list[Peer] = []
    news: list[New] = []
    whole_since: dict[int, dt.datetime | None] = {}
    for seen in sorted(found.values(), key=lambda seen: (seen.first, seen.key)):
        peer = known.get(seen.key)
        if peer is None:
            if not seen.program and seen.network in networks:
                continue
            when, host_id = seen.first
            peer = Peer(
                group_id=watch.pk,
                program=seen.program,
                network=seen.network,
                state=Peer.State.LEARNED,
                first_seen=when,
                last_seen=seen.newest[0],
                host_id=host_id,
            )
            if host_id not in whole_since:
                whole_since[host_id] = _whole_since(using, host_id)
            # What its first whole snapshot shows was there before, for all that is known.
            baseline = whole_since[host_id]
            if when <= watch.learn_until or baseline is None or when <= baseline:
                learned.append(peer)
            else:
                news.append(New(peer, seen, seen.first))
        else:
            again = new_again(peer, seen, learn_until=watch.learn_until)
            if again is not None:
                news.append(New(peer, seen, again))
            elif seen.newest[0] > peer.last_seen + REFRESH or _relearned(peer, seen):
                moved.append(peer)
                if _relearned(peer, seen):
                    peer.state = Peer.State.LEARNED
            peer.last_seen = max(peer.last_seen, seen.newest[0])
    for peer, _seen, (when, host_id) in news:
        peer.state, peer.until, peer.host_id, peer.first_seen = Peer.State.NEW, None, host_id, when
        peer.decided_by, peer.decided_at = "", None
    peer_alerts.tell(watch, news, using)
    told = [one.peer for one in news]
    _write_again(
        [peer for peer in told if not peer._state.adding],
        "state", "until", "host", "first_seen", "last_seen", "decided_by", "decided_at", "alert",
        using=using,
    )  # fmt: skip
    _write_again(moved, "last_seen", "state", using=using)
    made = [*learned, *(one for one in told if one._state.adding)]
    Peer.objects.using(using).bulk_create(_with_room(watch, made, using), batch_size=_CHUNK)
    ran.learned += len(learned)
    ran.new += len(news)


def _write_again(peers: list[Peer], *fields: str, using: str) -> None:
    """Write fields of stored peers, which are locked.

    As rows that are there already: thousands cost a tenth of what ``bulk_update`` asks for them.
    """
    Peer.objects.using(using).bulk_create(
        peers,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=fields,
        batch_size=_CHUNK,
    )


def _with_room(watch: DriftWatch, made: list[Peer], using: str) -> list[Peer]:
    """Those that are kept: of the hosts with few first, so that none crowds out the others.

    What is not was told all the same, and is new again where it is seen again.
    """
    if not made:
        return []
    room = MOST_KEPT - Peer.objects.using(using).filter(group=watch.pk).count()
    room = max(0, min(MOST_ADDED, room))
    if len(made) <= room:
        return made
    logger.warning(
        "the new-peer watch of group %s keeps %s of %s more peers", watch.pk, room, len(made)
    )
    of_host = Counter(peer.host_id for peer in made)
    return sorted(made, key=lambda peer: of_host[peer.host_id])[:room]


def new_again(
    peer: Peer, seen: Seen, *, learn_until: dt.datetime
) -> tuple[dt.datetime, int] | None:
    """When and where a known peer is new once more; None where it is not. Pure.

    An approval or snooze that is over, and what was expired, is new at the next connection that
    begins after that, unless the group is learning then.
    """
    if peer.state == Peer.State.EXPIRED:
        since = peer.decided_at or peer.last_seen
    elif peer.state in (Peer.State.APPROVED, Peer.State.SNOOZED) and peer.until is not None:
        since = peer.until
    else:
        return None
    return seen.after(max(since, learn_until))


def _whole_since(using: str, host_id: int) -> dt.datetime | None:
    """When the host's first whole snapshot was taken, of those that are kept."""
    whole = Snapshot.objects.using(using).filter(host=host_id, outcome=Outcome.OK)
    return whole.order_by("taken_at").values_list("taken_at", flat=True).first()


def _relearned(peer: Peer, seen: Seen) -> bool:
    """Whether a peer that was expired was seen again while the group learns. What is new stays new
    until somebody decides, learning or not."""
    return (
        peer.state == Peer.State.EXPIRED
        and seen.after(peer.decided_at or peer.last_seen) is not None
    )


def _known(
    watch: DriftWatch, networks: set[str], using: str
) -> tuple[dict[tuple[str, str], Peer], set[str]]:
    """The group's peers in these networks, locked, and those of the networks that have one."""
    known: dict[tuple[str, str], Peer] = {}
    listed = sorted(networks)
    for begin in range(0, len(listed), _CHUNK):
        rows = (
            Peer.objects.using(using)
            .select_for_update()
            .filter(group=watch.pk, network__in=listed[begin : begin + _CHUNK])
        )
        known |= {(peer.program, peer.network): peer for peer in rows.order_by("pk")}
    return known, {network for _program, network in known}


# --- forgetting -----------------------------------------------------------------------------------


def forget(watch: DriftWatch) -> int:
    """Delete peers that were not seen for ``forget_days``, some at a time; returns how many.

    One with a connection that began earlier and lasts, or lasted, was seen. What a person snoozed
    or approved until a time is kept until then. Alerts of what is forgotten are over.
    """
    using = watch._state.db or "default"
    now = timezone.now()
    cutoff = now - dt.timedelta(days=watch.forget_days)
    old = Peer.objects.using(using).filter(group=watch.pk, last_seen__lt=cutoff)
    old = old.filter(Q(until=None) | Q(until__lt=now)).order_by("last_seen")
    if not (listed := list(old[:FORGET_BATCH])):
        return 0
    scope = Scope(using, _host_ids(watch, using))
    forgotten = 0
    for peer in listed:
        low, high = ends_of(peer.network)
        seen = dialled.seen_since(scope, low=low, high=high, program=peer.program, since=cutoff)
        with transaction.atomic(using=using):
            same = Peer.objects.using(using).filter(pk=peer.pk, last_seen=peer.last_seen)
            if seen is not None:
                # Of one that is still open the time itself: it is asked again when that is old.
                same.update(last_seen=now if seen == cutoff else seen)
            elif same.filter(state=peer.state, until=peer.until).delete()[0]:
                forgotten += 1
                peer_alerts.settle([peer.alert_id], at=now, using=using)
    return forgotten
