"""Compares a host's listeners with its watched ports and records what changed.

Place in the data's way: called by ``probes.watch.judging`` for each stored probe; ``watch.ports``
decides, purely, ``watch.lifecycle`` writes. Only a whole snapshot that takes part in history is
looked at: one that failed, is partial, late or limited opens no port and closes none.

Where no socket opened or closed and the policy is the same, that is two small queries; where some
did, but no port changed, four. More is asked only where something is written.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from hosts.models import Host
from probes.analysis import kernels
from probes.history import packing
from probes.history.store import Stored
from probes.models import (
    Alert,
    AlertKind,
    Change,
    ClosedSocket,
    Direction,
    KernelLimits,
    LastText,
    OpenSocket,
    Outcome,
    PortWatch,
    Severity,
    WatchedPort,
)
from probes.observation import Privilege
from probes.watch import lifecycle, policies, port_evidence, ports
from probes.watch.lifecycle import Raise, Transition
from probes.watch.port_list import PROTOCOLS
from probes.watch.ports import Alarm, Event, Holding, Key, Verdict, Watched

SEES_ALL: Final = frozenset({Privilege.ROOT.value, Privilege.SUDO.value})
LONGEST_SUBJECT: Final = 200

SEVERITIES: Final = {
    Alarm.NEW: Severity.WARNING,
    Alarm.DOWN: Severity.WARNING,
    Alarm.HOLDER: Severity.WARNING,
    Alarm.EXPECTED: Severity.CRITICAL,
}
ENDS_BY_WORD: Final = frozenset({Alarm.NEW, Alarm.HOLDER})


def judge(stored: Stored) -> None:
    """Record the transitions of the host's ports that a whole snapshot shows."""
    snapshot, using, host_id = stored.snapshot, stored.using, stored.host_id
    if snapshot.outcome != Outcome.OK:
        return
    watch = PortWatch.objects.using(using).filter(pk=host_id).first()
    effective = policies.of_host(host_id, using=using)
    sees_all = snapshot.privilege in SEES_ALL
    same = watch is not None and (watch.policy, watch.sees_all, watch.tool) == (
        effective.digest,
        sees_all,
        snapshot.tool,
    )
    made_up_for = watch is not None and watch.missed
    if same and not (made_up_for or snapshot.opened or snapshot.closed):
        return
    if not effective.policy.enabled:
        if watch is not None:
            forget([host_id], at=snapshot.taken_at, using=using)
        return
    if watch is None:
        # Left of when the host was watched before: what is seen now is the baseline.
        WatchedPort.objects.using(using).filter(host_id=host_id).delete()
    listeners, opened = _listeners(host_id, snapshot.taken_at, using)
    rows = {_key(row): row for row in WatchedPort.objects.using(using).filter(host_id=host_id)}
    watched = {key: _watched(row) for key, row in rows.items()}
    decided = partial(
        ports.decide,
        listeners,
        watched,
        effective.policy,
        first=watch is None,
        other_view=watch is not None and watch.sees_all != sees_all,
        other_names=watch is not None and watch.tool != snapshot.tool,
    )
    if same and watch is not None and decided(ephemeral=_numbers(watch.ephemeral)).is_empty:
        if made_up_for:
            PortWatch.objects.using(using).filter(pk=host_id).update(missed=False)
        return
    ephemeral = ephemeral_range(host_id, using=using)
    named = f"{ephemeral[0]}-{ephemeral[1]}"
    remembered: set[Key] = set()
    if watch is not None and (watch.policy != effective.digest or watch.ephemeral != named):
        strange = listeners.keys() - watched.keys()
        remembered = (strange - opened) | _were_there(
            host_id, strange & opened, stored.before_at, using
        )
    verdict = decided(ephemeral=ephemeral, remembered=remembered)
    _write(stored, verdict, rows)
    judged_by = {
        "policy": effective.digest,
        "ephemeral": named,
        "sees_all": sees_all,
        "tool": snapshot.tool,
        "missed": False,
    }
    PortWatch.objects.using(using).update_or_create(
        host_id=host_id,
        defaults=judged_by,
        create_defaults={"since": snapshot.taken_at, **judged_by},
    )


def missed(stored: Stored) -> None:
    """Remember that a snapshot was not judged, so that the next whole one makes up for it even
    where nothing changed from this one to that. One query."""
    if stored.snapshot.outcome == Outcome.OK:
        PortWatch.objects.using(stored.using).filter(pk=stored.host_id).update(missed=True)


def forget(host_ids: Iterable[int], *, at: dt.datetime, using: str = "default") -> None:
    """Remove what is known of the ports of hosts that are no longer watched; their alerts end
    without a word, and what is seen next is a baseline."""
    ids = list(host_ids)
    for host_id, fingerprint in Alert.objects.using(using).filter(
        host_id__in=ids, kind=AlertKind.PORT, resolved_at=None
    ).values_list("host_id", "fingerprint"):  # fmt: skip
        lifecycle.resolve(host_id, fingerprint, at=at, using=using)
    WatchedPort.objects.using(using).filter(host_id__in=ids).delete()
    PortWatch.objects.using(using).filter(pk__in=ids).delete()


def listeners_of(
    host_ids: Iterable[int], *, using: str = "default"
) -> dict[int, dict[Key, Holding]]:
    """The listeners of hosts as their newest whole snapshots show them. One query."""
    found: dict[int, dict[Key, Holding]] = defaultdict(dict)
    gathered: dict[tuple[int, Key], list[tuple[Any, ...]]] = defaultdict(list)
    for host_id, key, *rest in _listening_rows(host_ids, using):
        gathered[host_id, key].append(tuple(rest))
    for (host_id, key), sockets in gathered.items():
        found[host_id][key] = _holding(sockets)
    return found


def ephemeral_range(host_id: int, *, using: str = "default") -> tuple[int, int]:
    """The lowest and highest port that the host's kernel gives out by itself: its own word, else
    what its system usually has. Three queries by primary key."""
    told = KernelLimits.objects.using(using).filter(pk=host_id).values_list("limits", flat=True)
    dialect = LastText.objects.using(using).filter(pk=host_id).values_list("dialect", flat=True)
    platform = Host.objects.using(using).filter(pk=host_id).values_list("platform", flat=True)
    return _range(told.first(), platform.first(), dialect.first())


def ephemeral_ranges(
    host_ids: Iterable[int], *, using: str = "default"
) -> dict[int, tuple[int, int]]:
    """The same of many hosts. Three queries."""
    ids = list(host_ids)
    told = dict(KernelLimits.objects.using(using).filter(pk__in=ids).values_list("pk", "limits"))
    dialects = dict(LastText.objects.using(using).filter(pk__in=ids).values_list("pk", "dialect"))
    platforms = dict(Host.objects.using(using).filter(pk__in=ids).values_list("pk", "platform"))
    return {pk: _range(told.get(pk), platforms.get(pk), dialects.get(pk)) for pk in ids}


def _range(
    told: Mapping[str, str] | None, platform: str | None, dialect: str | None
) -> tuple[int, int]:
    kernel = kernels.kernel(told or {}, platform=platform or "", dialect=dialect or "")
    return kernel.ports.low, kernel.ports.high


def _numbers(named: str) -> tuple[int, int]:
    low, _dash, high = named.partition("-")
    return int(low), int(high)


# --- reading --------------------------------------------------------------------------------------


_NUMBERS: Final = {
    number: "tcp" if packing.base(name) == "mptcp" else packing.base(name)
    for number, name in enumerate(packing.PROTOCOLS)
    if packing.base(name) in {*PROTOCOLS, "mptcp"}
}
"""Base protocol by the stored number, of those that have ports; MPTCP listens as TCP does. UDP-Lite
and raw sockets are not watched."""


def _listening_rows(host_ids: Iterable[int], using: str) -> Iterable[tuple[Any, ...]]:
    """(host, key, packed address, zone, program, pid, first seen): the rows of a partial index."""
    rows = OpenSocket.objects.using(using).filter(
        host_id__in=list(host_ids), direction=Direction.LISTEN, local_port__gt=0
    )
    for host_id, protocol, port, *rest in rows.values_list(
        "host_id",
        "protocol",
        "local_port",
        "local_ip",
        "local_zone",
        "program",
        "pid",
        "first_seen",
    ).iterator(2_000):  # fmt: skip
        if protocol in _NUMBERS and port is not None:
            yield host_id, Key(_NUMBERS[protocol], port), *rest


def _listeners(
    host_id: int, taken_at: dt.datetime, using: str
) -> tuple[dict[Key, Holding], set[Key]]:
    """The listeners of a host, and the ports of which every socket opened in this snapshot."""
    gathered: dict[Key, list[tuple[Any, ...]]] = defaultdict(list)
    for _host, key, *rest in _listening_rows([host_id], using):
        gathered[key].append(tuple(rest))
    opened = {
        key
        for key, sockets in gathered.items()
        if all(first_seen >= taken_at for *_rest, first_seen in sockets)
    }
    return {key: _holding(sockets) for key, sockets in gathered.items()}, opened


def _holding(sockets: Iterable[tuple[Any, ...]]) -> Holding:
    addresses, programs, pids, named = set(), set(), set(), True
    for local_ip, zone, program, pid, _first_seen in sockets:
        addresses.add(packing.address(local_ip, zone))
        if program:
            programs.add(program)
        else:
            named = False
        if pid is not None:
            pids.add(pid)
    return Holding(tuple(sorted(addresses)), tuple(sorted(programs)), tuple(sorted(pids)), named)


def _were_there(
    host_id: int, keys: set[Key], before_at: dt.datetime | None, using: str
) -> set[Key]:
    """Those of the ports that were listened on in the whole snapshot before, by what is gone."""
    if not keys or before_at is None:
        return set()
    closed = ClosedSocket.objects.using(using).filter(
        host_id=host_id,
        last_seen=before_at,
        direction=Direction.LISTEN,
        local_port__in={key.port for key in keys},
    )
    pairs = closed.values_list("protocol", "local_port")
    return keys & {
        Key(_NUMBERS[number], port)
        for number, port in pairs
        if number in _NUMBERS and port is not None
    }


def _key(row: WatchedPort) -> Key:
    return Key(row.protocol, row.port)


def _watched(row: WatchedPort) -> Watched:
    holding = Holding(
        tuple(row.addresses), tuple(row.programs), tuple(row.pids), named=bool(row.programs)
    )
    return Watched(row.is_up, holding, row.expected, seen=bool(row.addresses))


# --- writing --------------------------------------------------------------------------------------


def _write(stored: Stored, verdict: Verdict, rows: Mapping[Key, WatchedPort]) -> None:
    host_id, using, at = stored.host_id, stored.using, stored.snapshot.taken_at
    for fingerprint in verdict.quiet:
        lifecycle.resolve(host_id, fingerprint, at=at, using=using)
    table = WatchedPort.objects.using(using)
    if verdict.gone:
        table.filter(pk__in=[rows[key].pk for key in verdict.gone]).delete()
    fresh, changed = [], []
    for key, watched in verdict.changed.items():
        row = rows.get(key)
        if row is None:
            row = WatchedPort(
                host_id=host_id,
                protocol=key.protocol,
                port=key.port,
                is_up=watched.is_up,
                since=at,
                first_seen=at,
                last_seen=at,
            )
            fresh.append(row)
        else:
            changed.append(row)
        _fill(row, watched, stored)
    table.bulk_create(fresh, batch_size=500)
    table.bulk_update(changed, _COLUMNS, batch_size=100)
    evidence = port_evidence.Evidence(stored, verdict.events)
    lifecycle.record(
        (_transition(stored, event, evidence) for event in verdict.events), using=using
    )


_COLUMNS: Final = (
    "is_up", "since", "first_seen", "last_seen", "addresses", "programs", "pids", "expected",
)  # fmt: skip


def _fill(row: WatchedPort, watched: Watched, stored: Stored) -> None:
    at = stored.snapshot.taken_at
    if row.is_up != watched.is_up:
        row.since = at
    if watched.is_up:
        if not row.addresses:
            row.first_seen = at  # an expected port that was never there until now
        row.last_seen = at
    elif row.is_up and stored.before_at is not None:
        row.last_seen = stored.before_at
    row.is_up = watched.is_up
    row.addresses = list(watched.holding.addresses)
    row.programs = list(watched.holding.programs)
    row.pids = list(watched.holding.pids)
    row.expected = watched.told


def _transition(stored: Stored, event: Event, evidence: port_evidence.Evidence) -> Transition:
    detail = port_evidence.detail(stored, event)
    programs = (event.after or event.before or Holding()).programs
    raises = None
    if event.raises is not None:
        subject = " ".join((str(event.key), ", ".join(programs[:3])))
        raises = Raise(
            kind=AlertKind.PORT,
            fingerprint=event.raises.of(event.key),
            subject=subject.strip()[:LONGEST_SUBJECT],
            severity=SEVERITIES[event.raises],
            facts=detail,
            evidence=partial(evidence.of, event),
            ends_by_word=event.raises in ENDS_BY_WORD,
        )
    return Transition(
        kind=Change.Kind(event.kind.value),
        host_id=stored.host_id,
        at=stored.snapshot.taken_at,
        before_at=stored.before_at,
        snapshot_id=stored.snapshot.pk,
        protocol=event.key.protocol,
        port=event.key.port,
        program=", ".join(programs),
        detail=detail,
        raises=raises,
        resolves=tuple(alarm.of(event.key) for alarm in event.resolves),
    )
