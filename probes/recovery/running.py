"""Takes planned restarts up, runs each once, and sees to it that somebody looks again.

Place in the data's way: called by tasks. ``due`` is one query while nothing is to be done. The
states are committed one by one: RUNNING before the command is sent, so that whoever finds such a
row with an expired lease knows that it may have run, and does not run it again.

Locks are taken in one order, as the judge of a probe does: a host's schedule, then a service.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.utils import timezone

from hosts import secrets
from hosts.models import JumpLoop, MissingCredential
from hosts.target import Sudo, Target
from probes import schedule
from probes.models import Refusal, Restart, Service
from probes.observation import Code
from probes.recovery import affected, command, guard
from probes.transports.pool import Pool

logger = logging.getLogger(__name__)

RESTART_CHECK_S: Final = 10
"""How long a service has to open its port again before a probe looks."""
QUEUE_S: Final = 20
"""How long who was told of a planned restart has to begin it before somebody else is told."""
WAIT_MOST_S: Final = 300
"""A restart planned longer ago is not begun: the next whole snapshot decides anew."""
LEASE_S: Final = command.WHOLE_S + 30
LOOK_MOST_S: Final = 3600
"""Without a whole snapshot for so long nobody will know what became of it."""
ASKS: Final = "netadmin"


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is to be run, once it is committed that it runs."""

    restart_id: int
    target: Target
    words: list[str]
    sudo: Sudo


def due() -> list[int]:
    """See to what is under way, and return the ids of restarts to :func:`run` now.

    Each is given out once in QUEUE_S.
    """
    now = timezone.now()
    found = []
    rows = Restart.objects.filter(ended_at=None).select_related("host").order_by("pk")
    for restart in rows:
        if restart.state == Restart.State.PLANNED:
            if _takes_up(restart, now):
                found.append(restart.pk)
        elif restart.state == Restart.State.RUNNING:
            if restart.lease_until is None or restart.lease_until <= now:
                _interrupted(restart, now)
        else:
            _look_again(restart, now)
    return found


def run(restart_id: int, *, pool: Pool) -> bool:
    """Run one planned restart, if it still is to be; False where nothing was run.

    No probe of the host is under way meanwhile: it holds the host's own lease.
    """
    restart = Restart.objects.select_related("host").filter(pk=restart_id).first()
    if restart is None or restart.state != Restart.State.PLANNED:
        return False
    token = schedule.claim_one(restart.host, for_s=LEASE_S)
    if token is None:
        # It is being probed: the next turn of the beat tries again.
        Restart.objects.filter(pk=restart_id, state=Restart.State.PLANNED).update(lease_until=None)
        return False
    try:
        begun = _begin(restart_id, restart.service_id)
        if begun is None:
            return False
        _end(restart_id, command.run(begun.target, begun.words, sudo=begun.sudo, pool=pool))
        return True
    finally:
        schedule.release(restart.host_id, token)


def _takes_up(restart: Restart, now: dt.datetime) -> bool:
    planned = Restart.objects.filter(pk=restart.pk, state=Restart.State.PLANNED)
    if now - restart.planned_at > dt.timedelta(seconds=WAIT_MOST_S):
        planned.update(state=Restart.State.REFUSED, reason=Refusal.WAITED.value, ended_at=now)
        return False
    if restart.lease_until is not None and restart.lease_until > now:
        return False
    mine = planned.filter(lease_until=restart.lease_until)
    return mine.update(lease_until=now + dt.timedelta(seconds=QUEUE_S)) == 1


def _interrupted(restart: Restart, now: dt.datetime) -> None:
    """Whoever ran it is gone: nobody knows whether the command was sent, so it counts and is not
    sent again; a probe tells what became of the port."""
    running = Restart.objects.filter(pk=restart.pk, state=Restart.State.RUNNING)
    after = now + dt.timedelta(seconds=RESTART_CHECK_S)
    running.filter(lease_until=restart.lease_until).update(
        state=Restart.State.UNKNOWN,
        reason=Refusal.INTERRUPTED.value,
        check_after=after,
        lease_until=after,
    )


def _look_again(restart: Restart, now: dt.datetime) -> None:
    """Ask for the probe that tells whether it helped, once; or stop waiting for one."""
    mine = Restart.objects.filter(pk=restart.pk, state=restart.state, ended_at=None)
    begun = restart.check_after or restart.planned_at
    if now - begun > dt.timedelta(seconds=LOOK_MOST_S):
        mine.update(
            state=Restart.State.UNKNOWN,
            reason=restart.reason or Refusal.NOT_SEEN.value,
            ended_at=now,
            lease_until=None,
        )
    elif restart.lease_until is not None and restart.lease_until <= now:
        # Asked for before it is noted: rather twice than never.
        schedule.request_probe(restart.host, by=ASKS)
        mine.update(lease_until=None)


def _begin(restart_id: int, service_id: int) -> _Begun | None:
    """Commit that it runs, where nothing stands against it any more; else that it is refused."""
    with transaction.atomic():
        service = guard.locked(service_id)
        rows = Restart.objects.select_for_update().filter(pk=restart_id)
        restart = rows.first()
        if service is None or restart is None or restart.state != Restart.State.PLANNED:
            return None
        now, known_up = timezone.now(), bool(restart.affected.get("up"))
        at = guard.standing(
            service,
            now=now,
            by_person=bool(restart.by),
            confirmed=known_up,
            besides=restart.pk,
        )
        reason, target = at.refusal, None
        if reason == Refusal.CONFIRM:
            reason = Refusal.UP.value  # it came back: nobody said that it is to go down again
        if not reason:
            target, reason = _target(service)
        how = guard.sudo(service, at.whole)
        if reason or target is None or how is None or service.command is None:
            restart.state, restart.reason, restart.ended_at = Restart.State.REFUSED, reason, now
            restart.lease_until = None
            restart.save()
            return None
        restart.state, restart.ran_at = Restart.State.RUNNING, now
        restart.lease_until = now + dt.timedelta(seconds=LEASE_S)
        restart.snapshot, restart.command_line = at.whole, at.line
        restart.affected = affected.kept(service, is_up=bool(at.is_up))
        restart.save()
        return _Begun(restart.pk, target, list(service.command.argv), how)


def _target(service: Service) -> tuple[Target | None, str]:
    """The host's target, or the code of why none can be built."""
    try:
        return service.host.target(), ""
    except MissingCredential:
        return None, Code.CREDENTIAL_MISSING.value
    except JumpLoop:
        return None, Code.JUMP_FAILED.value
    except secrets.DecryptionError:
        return None, Code.KEY_UNREADABLE.value


def _end(restart_id: int, ran: command.Ran) -> None:
    """Note what came of the command; a worker that was given up meanwhile adds what it knows."""
    now = timezone.now()
    after = now + dt.timedelta(seconds=RESTART_CHECK_S)
    told = {
        "exit_status": ran.exit_status,
        "output": ran.output,
        "reason": "" if ran.code is None else ran.code.value,
    }
    states = (Restart.State.RUNNING, Restart.State.UNKNOWN)
    mine = Restart.objects.filter(pk=restart_id, state__in=states, ended_at=None)
    if ran.begun:
        mine.update(state=Restart.State.CHECKING, check_after=after, lease_until=after, **told)
    else:
        mine.update(state=Restart.State.FAILED, ended_at=now, lease_until=None, **told)
    logger.info("restart %s: %s", restart_id, told["reason"] or f"status {ran.exit_status}")
