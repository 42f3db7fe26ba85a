"""What stands against a restart, asked before one is planned, shown or begun.

Place in the data's way: reads the service, its host's schedule and newest snapshots, its restarts
and the maintenance windows; writes nothing. Whoever goes on because of it holds the service's lock
(:func:`locked`), so that two never count the same budget.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hosts.models import Credential
from hosts.target import Platform, Sudo
from probes import commands
from probes import schedule as schedules
from probes.models import (
    Alert,
    AlertKind,
    Outcome,
    Refusal,
    Restart,
    Schedule,
    Service,
    Snapshot,
)
from probes.observation import Code, Privilege
from probes.recovery import affected
from probes.status import TOOL_PASTED, stale_after
from probes.watch import silences

FINAL = frozenset(
    {
        Refusal.NO_SUDO.value,
        Refusal.NOT_POSIX.value,
        Code.SUDO_REFUSED.value,
        Code.LOGIN_FAILED.value,
        Code.LOGIN_PAUSED.value,
        Code.CREDENTIAL_MISSING.value,
        Code.KEY_UNREADABLE.value,
        Code.HOST_KEY_UNKNOWN.value,
        Code.HOST_KEY_CHANGED.value,
        Code.HOST_KEY_REFUSED.value,
        Code.UNSUPPORTED.value,
    }
)
"""Reasons that another try does not mend, or that would lock an account."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a service."""

    service: Service
    schedule: Schedule | None
    whole: Snapshot | None
    """The newest whole snapshot, where it is the newest of all; None where nothing is known."""
    is_up: bool | None
    """Whether the port is listened on there; None where nothing is known."""
    used: int
    """Restarts that count in the budget now."""
    refusal: str
    """A :class:`Refusal`; empty: nothing stands against it."""

    @property
    def left(self) -> int:
        """Restarts that the budget still allows now."""
        return max(0, self.service.budget - self.used)

    @property
    def line(self) -> str:
        """The command as a person would type it; empty where there is none."""
        command = self.service.command
        if command is None:
            return ""
        how = sudo(self.service, self.whole)
        return commands.restart_shown(command.argv, Sudo.NOPASSWD if how is None else how)


def locked(service_id: int, *, using: str = "default") -> Service | None:
    """The service under its lock, with host and command; None where it was removed."""
    rows = Service.objects.using(using).select_for_update(of=("self",))
    related = rows.select_related("command", "host__credential", "host__jump_host__credential")
    return related.filter(pk=service_id).first()


def standing(
    service: Service,
    *,
    now: dt.datetime,
    by_person: bool,
    confirmed: bool = False,
    besides: int | None = None,
    using: str = "default",
) -> Standing:
    """How it stands with ``service`` and what refuses a restart of it at ``now``.

    ``confirmed``: a person knows that the port is open. ``besides`` is the restart that asks, which
    neither counts nor is under way.
    """
    schedule = (
        Schedule.objects.using(using)
        .select_related("latest", "latest_whole")
        .filter(pk=service.host_id)
        .first()
    )
    whole = _newest_whole(schedule)
    is_up = None if whole is None else affected.listening(service, using=using).exists()
    used = used_up(service, now=now, besides=besides, using=using)
    refusal = _unfit(service, schedule, whole, now)
    if not refusal and is_up and not (by_person and confirmed):
        refusal = Refusal.CONFIRM.value if by_person else Refusal.UP.value
    if not refusal and not by_person and _is_silenced(service, now, using):
        refusal = Refusal.SILENCED.value
    if not refusal and _open(service, besides, using):
        refusal = Refusal.UNDER_WAY.value
    if not refusal and used >= service.budget:
        refusal = Refusal.BUDGET.value
    return Standing(service, schedule, whole, is_up, used, refusal)


def used_up(
    service: Service, *, now: dt.datetime, besides: int | None = None, using: str = "default"
) -> int:
    """How many commands were begun, by whomever, within the service's budget's time."""
    since = now - dt.timedelta(seconds=service.budget_s)
    begun = Restart.objects.using(using).filter(service=service, ran_at__gt=since)
    return (begun if besides is None else begun.exclude(pk=besides)).count()


def sudo(service: Service, whole: Snapshot | None) -> Sudo | None:
    """How the command gains root: as the credential says; None where it has to and cannot.

    Whoever logs in as root, as the newest probe showed, needs none.
    """
    command, credential = service.command, service.host.credential
    if command is None or not command.use_sudo:
        return Sudo.NONE
    if not service.host.is_local and _allows(credential):
        assert credential is not None
        return Sudo(credential.sudo)
    return Sudo.NONE if whole is not None and whole.privilege == Privilege.ROOT else None


def _allows(credential: Credential | None) -> bool:
    return credential is not None and credential.sudo != Sudo.NONE


def _newest_whole(schedule: Schedule | None) -> Snapshot | None:
    if schedule is None or schedule.latest is None:
        return None
    newest = schedule.latest
    known = newest.outcome == Outcome.OK and newest.tool != TOOL_PASTED
    return newest if known and newest.pk == schedule.latest_whole_id else None


def _unfit(
    service: Service, schedule: Schedule | None, whole: Snapshot | None, now: dt.datetime
) -> str:
    """What of service, host or newest probe forbids any restart."""
    host = service.host
    if not service.enabled:
        return Refusal.OFF.value
    if service.command is None:
        return Refusal.NO_COMMAND.value
    if not host.enabled or host.removed_at is not None:
        return Refusal.HOST_OFF.value
    if host.platform == Platform.WINDOWS:
        return Refusal.NOT_POSIX.value
    if schedule is not None and schedules.is_paused(schedule, host):
        return Refusal.LOGIN_PAUSED.value
    if whole is None:
        return Refusal.NOT_WHOLE.value
    if whole.command == commands.LINES["windows sockets"]:
        return Refusal.NOT_POSIX.value
    if now - whole.taken_at > stale_after(host):
        return Refusal.STALE.value
    return Refusal.NO_SUDO.value if sudo(service, whole) is None else ""


def _is_silenced(service: Service, now: dt.datetime, using: str) -> bool:
    """Whether a window holds what this service would tell, or what its port did."""
    windows = list(silences.running(now, using=using))
    if not windows:
        return False
    groups = silences.groups_of([service.host_id], using=using).get(service.host_id, set())
    port = f"port_down:{service.protocol}/{service.port}"
    told = (
        Alert(kind=AlertKind.PORT, fingerprint=port, host_id=service.host_id),
        Alert(kind=AlertKind.SERVICE, fingerprint=fingerprint(service), host_id=service.host_id),
    )
    return any(silences.fits(window, alert, groups) for window in windows for alert in told)


def fingerprint(service: Service) -> str:
    """Of the alert that says that restarts did not help."""
    return f"service:{service.pk}"


def waits(facts: Mapping[str, Any]) -> bool:
    """Whether an alert of that fingerprint says no more than that the budget is used up: then the
    service is restarted once there is some of it again. Else it was given up."""
    return facts.get("reason") == Refusal.BUDGET


def _open(service: Service, besides: int | None, using: str) -> bool:
    rows = Restart.objects.using(using).filter(service=service, ended_at=None)
    return (rows if besides is None else rows.exclude(pk=besides)).exists()
