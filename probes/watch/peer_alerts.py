"""The alerts about new peers: what is told as one, how it is told, and when it is over.

Place in the data's way: between ``watch.drift``, which finds what is new, and ``watch.lifecycle``,
in the transaction of a look. How many alerts one look opens is limited, since the names of programs
are a host's to choose: what is beyond that is one alert of its host.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from probes import payloads
from probes.history.queries import dialled
from probes.history.queries.sql import Scope
from probes.models import Alert, AlertKind, Change, DriftWatch, Peer, Schedule, Severity
from probes.watch import lifecycle
from probes.watch.lifecycle import Evidence, Raise, Transition
from probes.watch.seen_peers import NAMED, Seen

GROUPED_FROM: Final = 10
"""So many new networks of one program in one look are one alert."""
MOST_ALERTS: Final = 50
"""Where one look has more to tell, all of a host is one alert, of the host with the most first."""


class New(NamedTuple):
    """A peer that is new."""

    peer: Peer
    seen: Seen
    first: tuple[dt.datetime, int]
    """When, and on which host."""


def fingerprint(group_id: int, program: str | None, network: str = "") -> str:
    """What an alert is about: a program and a network, or without a network all of a program's that
    were new at once, or without a program those of many. At most 200 characters."""
    if program is None:
        return f"peers:{group_id}"
    text = f"peer:{group_id}:{program}:{network or '*'}"
    if len(text) <= 200:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"peer:{group_id}:#{digest}"


def tell(watch: DriftWatch, news: Sequence[New], using: str) -> None:
    """Open the alerts about what is new, or add to them, and set the alert of each peer."""
    told = told_as_one(news)
    # Whoever stores a probe of one of these hosts, or judges it, waits until this is written.
    hosts = {min(one.first for one in part)[1] for part in told}
    locked = Schedule.objects.using(using).select_for_update().filter(host__in=hosts)
    list(locked.order_by("pk").values_list("pk"))
    for part in told:
        (change,) = lifecycle.record([_transition(watch, part, using)], using=using)
        for one in part:
            one.peer.alert = change.alert


def told_as_one(news: Sequence[New]) -> list[list[New]]:
    """What is told together: one peer, a program that has many, or all that a host shows. Pure."""
    by_program: dict[str, list[New]] = defaultdict(list)
    for one in news:
        by_program[one.peer.program].append(one)
    by_host: dict[int, list[list[New]]] = defaultdict(list)
    for group in by_program.values():
        for part in [group] if len(group) >= GROUPED_FROM else [[one] for one in group]:
            by_host[min(one.first for one in part)[1]].append(part)
    told = sum(len(parts) for parts in by_host.values())
    listed: list[list[New]] = []
    for parts in sorted(by_host.values(), key=len, reverse=True):
        if told > MOST_ALERTS:
            told -= len(parts) - 1
            listed.append([one for part in parts for one in part])
        else:
            listed += parts
    return listed


def _transition(watch: DriftWatch, part: Sequence[New], using: str) -> Transition:
    peer, seen, (when, host_id) = min(part, key=lambda one: (one.first, one.seen.key))
    addresses: Counter[str] = Counter()
    programs: Counter[str] = Counter()
    for one in part:
        addresses.update(one.seen.addresses)
        programs[one.peer.program] += one.seen.connections
    most = sorted(addresses.items(), key=lambda pair: (-pair[1], pair[0]))[:NAMED]
    facts: dict[str, Any] = {
        "event": Change.Kind.PEER_NEW.value,
        "group": watch.pk,
        "program": peer.program,
        "network": peer.network,
        "addresses": [ip for ip, _n in most],
        "top_ips": [[ip, n] for ip, n in most[:10]],
        "connections": programs.total(),
    }
    if len(part) > 1:
        facts["count"] = len(part)
        facts["networks"] = sorted({one.seen.network for one in part})[:NAMED]
    if len(programs) > 1:
        facts["of_programs"] = len(programs)
        facts["top_programs"] = [[name or "?", n] for name, n in programs.most_common(10)]

    def evidence() -> Evidence:
        same = [one.seen for one in part if one.peer.program == peer.program]
        rows = dialled.rows(
            Scope(using, (host_id,)),
            low=min(each.low for each in same),
            high=max(each.high for each in same),
            program=peer.program,
            since=when,
            until=seen.newest[0],
            limit=lifecycle.MOST_ROWS,
        )
        ports = sorted({row.foreign_port for row in rows if row.foreign_port is not None})
        return Evidence([payloads.connection(row) for row in rows], {"ports": ports})

    one_program = peer.program if len(programs) == 1 else None
    subject = f"{peer.program or '?'} {peer.network}" + (f" +{len(part) - 1}" if part[1:] else "")
    return Transition(
        kind=Change.Kind.PEER_NEW,
        host_id=host_id,
        at=when,
        program=one_program or "",
        detail=facts,
        raises=Raise(
            kind=AlertKind.PEER,
            fingerprint=fingerprint(watch.pk, one_program, "" if part[1:] else peer.network),
            subject=subject,
            severity=Severity.WARNING,
            facts=facts,
            evidence=evidence,
            ends_by_word=True,
        ),
    )


def settle(
    alert_ids: Iterable[int | None], *, at: dt.datetime, by: str = "", using: str = "default"
) -> int:
    """Resolve those of the alerts of which no peer is new any more, in the caller's transaction;
    returns how many."""
    ended = 0
    for pk in sorted({pk for pk in alert_ids if pk is not None}):
        if Peer.objects.using(using).filter(alert=pk, state=Peer.State.NEW).exists():
            continue
        alert = Alert.objects.using(using).filter(pk=pk, resolved_at=None).first()
        if alert is not None:
            resolved = lifecycle.resolve(
                alert.host_id, alert.fingerprint, at=at, by=by, using=using
            )
            ended += resolved is not None
    return ended
