"""Judges each stored probe: did a restart help, is a service down, is another restart due?

Place in the data's way: one of ``watch.judging``'s judges, after the port watch, in the transaction
that stores the snapshot and under the host's lock; so a decision is there with what it was made on,
or not at all. Only a whole snapshot decides anything. What a person asks for is planned here too,
by the same guard.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from netadmin.access import audit
from probes.history.store import Stored
from probes.models import (
    Alert,
    AlertKind,
    Change,
    Direction,
    OpenSocket,
    Outcome,
    Refusal,
    Restart,
    Service,
    Severity,
    Snapshot,
)
from probes.recovery import affected, guard
from probes.status import TOOL_PASTED
from probes.watch import lifecycle
from probes.watch.lifecycle import Raise, Transition

SYSTEM: Final = "netadmin"
"""Who restarts by itself, as the audit log names it."""

_WENT: Final = frozenset({Change.Kind.PORT_DOWN, Change.Kind.EXPECTED_MISSING})
"""Of a port that is in a list of expected ones the second stands in the place of the first."""
_TURNS: Final = (
    *_WENT,
    Change.Kind.PORT_NEW,
    Change.Kind.PORT_RECOVERED,
    Change.Kind.EXPECTED_BACK,
)
_LOOKING: Final = (Restart.State.CHECKING.value, Restart.State.UNKNOWN.value)


def judge(stored: Stored) -> None:
    """Settle restarts that a whole snapshot tells of, and plan what it calls for.

    One query where the host has no service.
    """
    using, snapshot = stored.using, stored.snapshot
    services = list(
        Service.objects.using(using)
        .select_related("command", "host__credential", "host__jump_host__credential")
        .filter(host_id=stored.host_id)
    )
    if not services or snapshot.outcome != Outcome.OK or snapshot.tool == TOOL_PASTED:
        return
    up = _listened_on(stored, services)
    open_ones = {
        row.service_id: row
        for row in Restart.objects.using(using).filter(
            host_id=stored.host_id, service__in=services, ended_at=None
        )
    }
    told = _told(stored)
    for service in services:
        is_up = service.pk in up
        restart = open_ones.get(service.pk)
        if restart is not None:
            restart = _settle(restart, service, snapshot, is_up=is_up, using=using)
        mark = guard.fingerprint(service)
        if is_up and mark in told:
            _tell(service, snapshot, Change.Kind.SERVICE_BACK, {}, resolves=(mark,), using=using)
        elif not is_up and restart is None and (mark not in told or guard.waits(told[mark])):
            _decide(service, snapshot, waits=mark in told, using=using)


def plan(service: Service, *, request: HttpRequest, confirmed: bool = False) -> Restart | str:
    """Plan the restart that a person asks for, with its audit entry; or why it is refused.

    ``confirmed``: they know that the port is open.
    """
    with transaction.atomic():
        mine = guard.locked(service.pk)
        if mine is None:
            return Refusal.OFF.value
        now = timezone.now()
        at = guard.standing(mine, now=now, by_person=True, confirmed=confirmed)
        if at.refusal:
            return at.refusal
        who = request.user.get_username()
        restart = _planned(at, now=now, by=who)
        _record(restart, mine, request=request, actor="")
    return restart


def _listened_on(stored: Stored, services: list[Service]) -> set[int]:
    """Which of the services have a listener now; one query."""
    rows = OpenSocket.objects.using(stored.using).filter(
        host_id=stored.host_id,
        direction=Direction.LISTEN,
        local_port__in={service.port for service in services},
    )
    held = set(rows.values_list("local_port", "protocol"))
    return {
        service.pk
        for service in services
        if any((service.port, number) in held for number in affected.numbers(service.protocol))
    }


def _told(stored: Stored) -> dict[str, dict[str, Any]]:
    """Facts of the active alerts about the host's services, by fingerprint."""
    active = Alert.objects.using(stored.using).filter(
        host_id=stored.host_id, kind=AlertKind.SERVICE, resolved_at=None
    )
    return dict(active.values_list("fingerprint", "facts"))


def _settle(
    restart: Restart, service: Service, snapshot: Snapshot, *, is_up: bool, using: str
) -> Restart | None:
    """What is still under way of ``restart`` after this snapshot."""
    looking = restart.state in _LOOKING and restart.check_after is not None
    if looking and restart.check_after is not None and snapshot.taken_at > restart.check_after:
        if not is_up:
            restart.state = Restart.State.STILL_DOWN
        elif restart.affected.get("up"):
            _settle_up(restart, affected.holders(service, using=using))
        else:
            restart.state = Restart.State.RECOVERED
    elif restart.state == Restart.State.PLANNED and not restart.by and is_up:
        restart.state, restart.reason = Restart.State.REFUSED, Refusal.UP.value
    else:
        return restart
    restart.ended_at = snapshot.taken_at
    # Not what a worker may have begun, or ended, this very moment.
    before = Restart.objects.using(using).filter(pk=restart.pk, ended_at=None)
    states = _LOOKING if looking else (Restart.State.PLANNED.value,)
    ended = before.filter(state__in=states).update(
        state=restart.state,
        reason=restart.reason,
        ended_at=restart.ended_at,
        lease_until=None,
    )
    return None if ended else restart


def _settle_up(restart: Restart, holders: list[int]) -> None:
    """What became of a service that was up before: that its port is open says nothing."""
    before = restart.affected.get("pids") or []
    stayed = bool(set(before) & set(holders))
    anew = bool(before and holders) and not stayed
    failed = restart.exit_status not in (0, None) or (restart.exit_status is None and stayed)
    restart.state = Restart.State.FAILED if failed and not anew else Restart.State.RECOVERED
    if stayed:
        restart.reason = restart.reason or Refusal.SAME_PROCESS.value


def _decide(service: Service, snapshot: Snapshot, *, waits: bool, using: str) -> None:
    """Plan a restart of a service that is down, note why not, or give up.

    ``waits``: it was told that its budget is used up.
    """
    if not (service.automatic and service.enabled):
        return
    newest = (
        Change.objects.using(using)
        .filter(
            host_id=service.host_id,
            protocol=service.protocol,
            port=service.port,
            kind__in=_TURNS,
        )
        .order_by("-at", "-pk")
        .first()
    )
    if newest is None or newest.kind not in _WENT:
        return  # the port is not watched, or was never seen
    locked = guard.locked(service.pk, using=using)
    if locked is None:
        return
    now = timezone.now()
    tries = list(
        Restart.objects.using(using).filter(service=locked, change=newest).order_by("attempt", "pk")
    )
    last = tries[-1] if tries else None
    at = guard.standing(locked, now=now, by_person=False, using=using)
    reason = last.reason if last is not None and last.reason in guard.FINAL else at.refusal
    begun = sum(restart.ran_at is not None for restart in tries)
    spent = reason == Refusal.BUDGET
    if reason in guard.FINAL or (begun and spent) or begun >= locked.budget:
        final = reason if reason in guard.FINAL else ""
        _alert(at, snapshot, begun, final, waits=waits, using=using)
        return
    if spent and not waits:
        # Used up by restarts for something else. Once there is some again, it is tried.
        _alert(at, snapshot, begun, reason, waits=waits, using=using)
    if reason and last is not None and last.reason == reason:
        return  # it was noted before, and nothing has changed
    restart = _planned(
        at, now=now, change=newest, attempt=len(tries) + 1, refused=reason, using=using
    )
    if not reason:
        _record(restart, locked, request=None, actor=SYSTEM, using=using)


def _planned(
    at: guard.Standing,
    *,
    now: dt.datetime,
    by: str = "",
    change: Change | None = None,
    attempt: int = 1,
    refused: str = "",
    using: str = "default",
) -> Restart:
    return Restart.objects.using(using).create(
        service=at.service,
        host_id=at.service.host_id,
        change=change,
        attempt=attempt,
        state=Restart.State.REFUSED if refused else Restart.State.PLANNED,
        reason=refused,
        by=by[:150],
        planned_at=now,
        ended_at=now if refused else None,
        snapshot=at.whole,
        affected=affected.kept(at.service, is_up=bool(at.is_up), using=using),
        command_line=at.line,
    )


def _alert(
    at: guard.Standing, snapshot: Snapshot, begun: int, reason: str, *, waits: bool, using: str
) -> None:
    """Tell that a service stays down: it was given up, or there is none of its budget now.

    Giving up ends the alert that its budget was used up, of which nobody is told.
    """
    service, mark = at.service, guard.fingerprint(at.service)
    facts = {
        "restarts": begun,
        "within_s": service.budget_s,
        "budget": service.budget,
        "reason": reason,
    }
    severity = Severity.WARNING if guard.waits(facts) else Severity.CRITICAL
    resolves = (mark,) if waits else ()
    _tell(
        service,
        snapshot,
        Change.Kind.GAVE_UP,
        facts,
        severity=severity,
        resolves=resolves,
        using=using,
    )


def _tell(
    service: Service,
    snapshot: Snapshot,
    kind: Change.Kind,
    more: dict[str, Any],
    *,
    resolves: tuple[str, ...],
    severity: Severity | None = None,
    using: str,
) -> None:
    """Write the transition; with a ``severity`` it opens an alert."""
    facts = {
        "service": service.name,
        "service_id": service.pk,
        "protocol": service.protocol,
        "port": service.port,
        **more,
    }
    raised = None
    if severity is not None:
        raised = Raise(
            kind=AlertKind.SERVICE,
            fingerprint=guard.fingerprint(service),
            subject=f"{service.name} {service.protocol}/{service.port}",
            severity=severity,
            facts=facts,
        )
    transition = Transition(
        kind=kind,
        host_id=service.host_id,
        at=snapshot.taken_at,
        snapshot_id=snapshot.pk,
        protocol=service.protocol,
        port=service.port,
        detail=facts,
        raises=raised,
        resolves=resolves,
    )
    lifecycle.record([transition], using=using)


def _record(
    restart: Restart,
    service: Service,
    *,
    request: HttpRequest | None,
    actor: str,
    using: str = "default",
) -> None:
    """The audit entry of a decision; where it cannot be written there is none."""
    command = service.command
    detail = {
        "host": service.host.name,
        "port": f"{service.protocol}/{service.port}",
        "command": "" if command is None else command.name,
        "line": restart.command_line[:1000],
        "connections": restart.affected.get("connections", 0),
        "attempt": restart.attempt,
    }
    audit.record(
        "service.restart", request=request, actor=actor, target=service, detail=detail, using=using
    )
