"""Asks for a probe by hand, and waits for it.

Place in the data's way: called by the JSON route and by the tool of assistants; the probe itself is
the workers'.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts.models import Host
from netadmin.access import audit
from netadmin.envelope import Refused
from probes import bell, schedule
from probes.models import Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code
from probes.tools import turns

_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of it."""

    schedule: Schedule
    """As it was asked for."""
    progress: str
    snapshot: Snapshot | None
    """Where it was waited for, and stored in time."""


def probe_now(request: HttpRequest, host: Host, *, wait_s: int | None) -> Asked:
    """Have ``host`` probed next, and wait ``wait_s`` seconds at most for its snapshot; None waits
    for nothing. Raises Refused for a host that is not probed now, and where as many wait already as
    may. Not inside a transaction."""
    if not host.enabled:
        raise Refused(
            409, "disabled", _("This host is disabled."), hint=_("Enable it, then probe it.")
        )
    if schedule.is_paused(schedule.ensure_one(host), host):
        title, hint = EXPLANATIONS[Code.LOGIN_PAUSED]
        raise Refused(409, Code.LOGIN_PAUSED.value, _(title), hint=_(hint))
    if wait_s is None:
        return _answer(_ask(request, host))
    with turns.turn(request.user.pk):
        # What asking itself takes, where no broker hears, is of the time that was given.
        give_up_at = time.monotonic() + wait_s
        asked = _ask(request, host)
        return _answer(asked, _wait(asked, give_up_at))


def _ask(request: HttpRequest, host: Host) -> Schedule:
    with transaction.atomic():
        audit.record("probe.now", request=request, target=host)
        asked = schedule.request_probe(host, by=request.user.get_username())
    bell.ring()
    return asked


def _answer(asked: Schedule, snapshot: Snapshot | None = None) -> Asked:
    now = Schedule.objects.get(pk=asked.pk)
    return Asked(asked, schedule.progress(now), snapshot)


def _wait(asked: Schedule, give_up_at: float) -> Snapshot | None:
    """The snapshot of a probe that began after it was asked for, whoever asked again meanwhile;
    None where none was stored in time, or the request ended without a probe."""
    since = asked.requested_at or asked.next_probe_at
    while time.monotonic() < give_up_at:
        now = Schedule.objects.select_related("latest").get(pk=asked.pk)
        if now.latest is not None and now.latest.taken_at >= since:
            return now.latest
        if now.requested_at is None:
            return None
        time.sleep(_POLL_S)
    return None
