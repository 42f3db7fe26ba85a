"""Tries from the controller which listeners of a host answer.

Place in the data's way: between whoever asks (:func:`ask`, in the transaction of the audit entry),
the task that runs it (:func:`run`) and ``probes.transports.reach``, which connects. Only addresses
known to be the host's are tried, and only ports it listens on according to its newest whole
snapshot; loopback is left alone, and nothing is ever sent.

Known to be the host's are the address it is configured with, or what its configured name resolves
to now. Nothing that a host prints makes an address its own, neither its sockets nor its network
interfaces: a host in somebody else's hands would have the controller knock wherever it likes.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from hosts.models import Host
from netadmin.celery import app
from probes.analysis.exposure import Bound, Skip, Stack
from probes.history.queries import exposure
from probes.history.queries.exposure import ExposureFilter, Listener
from probes.models import Reach, ReachRun
from probes.transports import reach
from probes.transports.reach import Attempt, Endpoint

logger = logging.getLogger(__name__)

MOST: Final = 200
"""Addresses and ports of one run."""
AT_ONCE: Final = 20
TIMEOUT_S: Final = 3.0
STALE_S: Final = 120.0
"""A run that is not finished so long after it was asked for is lost with its worker."""
_STORED_AT_ONCE: Final = 20

UNDER_WAY: Final = "under_way"
LONGEST_TEXT: Final = 60
"""Of an address that is stored."""


class Refused(Exception):
    """The host is not tried; ``code`` never changes, ``message`` and ``hint`` are for people."""

    def __init__(self, code: str, message: str | Promise, hint: str | Promise = "") -> None:
        super().__init__(code)
        self.code, self.message, self.hint = code, message, hint


class Problem(enum.StrEnum):
    """Why a run tried nothing."""

    NO_ADDRESS = "no_address"
    """The host's name has no address here."""
    GONE = "gone"
    """The host was removed or disabled meanwhile."""
    BROKE = "broke"
    """This machine failed half-way; the log has more."""
    NO_WORKER = "no_worker"
    """No broker heard of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried, each endpoint once, and what is not."""

    endpoints: tuple[Endpoint, ...]
    skipped: dict[str, int]
    """Listeners by Skip."""


def refusal(host: Host) -> Refused | None:
    """Why this host is never tried as it stands; None where it may be. No query."""
    if not settings.CONNECT_BACK:
        return Refused(
            "connect_back_off",
            _("Trying listeners from here is switched off."),
            _("Set CONNECT_BACK=on to allow it."),
        )
    if host.removed_at is not None:
        return Refused("removed", _("This host was removed."))
    if not host.enabled:
        return Refused("disabled", _("This host is disabled."), _("Enable it first."))
    if host.is_local:
        return Refused(
            "is_local",
            _("This host is the controller itself."),
            _("It would always reach itself, whatever others can."),
        )
    if host.jump_host_id is not None:
        return Refused(
            "behind_jump_host",
            _("This host is reached through a jump host."),
            _("Seen from here its address may be another machine's."),
        )
    return None


def ask(host: Host, *, by: str) -> ReachRun:
    """Note that ``by`` wants ``host`` tried; raises :class:`Refused`.

    Call it in the transaction of the audit entry, then :func:`ring`.
    """
    refused = refusal(host)
    if refused is not None:
        raise refused
    stored = ReachRun.objects.select_for_update().filter(pk=host.pk).first()
    if stored is not None and under_way(stored):
        raise Refused(UNDER_WAY, _("This host is being tried already."))
    run, _made = ReachRun.objects.update_or_create(
        host=host,
        defaults={
            "asked_at": timezone.now(),
            "asked_by": by,
            "started_at": None,
            "finished_at": None,
            "planned": 0,
            "tried": 0,
            "skipped": {},
            "problem": "",
        },
    )
    return run


def ring(host: Host) -> bool:
    """Tell the workers, after the transaction; False where no broker hears."""
    try:
        app.send_task("probes.tasks.connect_back", args=(host.pk,), expires=STALE_S, retry=False)
    except OperationalError:
        logger.warning("the broker does not answer: host %s is not tried", host.pk)
        ReachRun.objects.filter(pk=host.pk, started_at=None).update(
            finished_at=timezone.now(), problem=Problem.NO_WORKER
        )
        return False
    return True


def under_way(run: ReachRun) -> bool:
    """Whether a run is asked for and neither finished nor lost."""
    age_s = (timezone.now() - run.asked_at).total_seconds()
    return run.finished_at is None and age_s < STALE_S


def run(host_id: int) -> int:
    """Do what was asked for a host, once; returns how many endpoints were tried.

    Another worker that has it already, or a request that was lost long ago, is left alone.
    """
    mine = ReachRun.objects.filter(
        pk=host_id,
        started_at=None,
        finished_at=None,
        asked_at__gt=timezone.now() - dt.timedelta(seconds=STALE_S),
    )
    if not mine.update(started_at=timezone.now()):
        return 0
    asked = ReachRun.objects.select_related("host").get(pk=host_id)
    problem: Problem | None = Problem.GONE
    try:
        if refusal(asked.host) is None:
            problem = _try(asked)
    except Exception:
        problem = Problem.BROKE
        logger.exception("trying the listeners of host %s failed", host_id)
    asked.finished_at = timezone.now()
    asked.problem = problem or ""
    asked.save(update_fields=["planned", "tried", "skipped", "finished_at", "problem"])
    return asked.tried


def _try(asked: ReachRun) -> Problem | None:
    host = asked.host
    resolved = reach.resolve(host.address)
    if not resolved:
        return Problem.NO_ADDRESS
    found = exposure.find(Host.objects.filter(pk=host.pk), ExposureFilter())
    listeners = sorted(found.rows, key=exposure.order(ExposureFilter()))
    planned = plan(listeners, own=resolved)
    asked.planned, asked.skipped = len(planned.endpoints), planned.skipped
    asked.save(update_fields=["planned", "skipped"])
    _forget_others(host, planned)
    ended: list[Attempt] = []
    for attempt in reach.connect(planned.endpoints, timeout_s=TIMEOUT_S, at_once=AT_ONCE):
        ended.append(attempt)
        asked.tried += 1
        if len(ended) >= _STORED_AT_ONCE:
            _store(asked, ended)
            ended = []
    _store(asked, ended)
    return None


def plan(listeners: Sequence[Listener], *, own: Sequence[str]) -> Plan:
    """Which endpoints to try for these listeners, the most exposed first.

    ``own`` are the addresses that the host's configured address is or resolves to; no other is
    ever tried. A listener on every address is tried on the first of them whose family it takes;
    one on a single address where that is among them, and is skipped as NOT_ITS_OWN elsewhere.
    """
    endpoints: dict[Endpoint, None] = {}
    skipped: Counter[str] = Counter()
    for row in listeners:
        target = _target(row, own)
        if isinstance(target, Endpoint) and target not in endpoints and len(endpoints) >= MOST:
            target = Skip.TOO_MANY
        if isinstance(target, Endpoint):
            endpoints[target] = None
        else:
            skipped[target.value] += 1
    return Plan(tuple(endpoints), dict(skipped))


def _target(row: Listener, own: Sequence[str]) -> Endpoint | Skip:
    if not row.protocol.startswith("tcp") or not row.local_port:
        return Skip.UDP
    if row.bound is Bound.LOOPBACK:
        return Skip.LOOPBACK
    if row.bound in (Bound.LINK_LOCAL, Bound.MULTICAST):
        return Skip.LOCAL_ONLY
    if row.bound is Bound.UNKNOWN:
        return Skip.UNKNOWN
    if row.bound is Bound.ANY:
        stack = row.families.stack if row.families is not None else Stack.PROBABLY_BOTH
        fitting = [one for one in own if _fits(one, stack)]
        if not fitting:
            return Skip.NO_ADDRESS
        address = fitting[0]
    else:
        address = row.local_ip.partition("%")[0]
        if address not in own:
            return Skip.NOT_ITS_OWN
    return Skip.CONTROLLER if reach.own(address) else Endpoint(address, row.local_port)


def _fits(address: str, stack: Stack) -> bool:
    if stack is Stack.IPV4:
        return ":" not in address
    return stack is not Stack.IPV6 or ":" in address


def _store(asked: ReachRun, ended: Sequence[Attempt]) -> None:
    """Results and progress, so that a page that looks on sees both."""
    if not ended:
        return
    now = timezone.now()
    with transaction.atomic():
        Reach.objects.bulk_create(
            [
                Reach(
                    host_id=asked.pk,
                    address=attempt.endpoint.address[:LONGEST_TEXT],
                    port=attempt.endpoint.port,
                    result=attempt.result.value,
                    checked_at=now,
                    duration_ms=attempt.duration_ms,
                    asked_by=asked.asked_by,
                )
                for attempt in ended
            ],
            update_conflicts=True,
            unique_fields=["host", "address", "port"],
            update_fields=["result", "checked_at", "duration_ms", "asked_by"],
        )
        asked.save(update_fields=["tried"])


def _forget_others(host: Host, planned: Plan) -> None:
    """Results of what is no longer listened on: they would come back with the next listener."""
    kept = set(planned.endpoints)
    if Skip.TOO_MANY.value in planned.skipped:
        return
    gone = [
        pk
        for pk, address, port in Reach.objects.filter(host=host).values_list(
            "pk", "address", "port"
        )
        if (address, port) not in kept
    ]
    Reach.objects.filter(pk__in=gone).delete()
