"""When each host is probed, and by whom: due times, leases, back-off, pauses.

Place in the data's way: before a probe (``ensure``, ``claim``, ``start``) and after it
(``finish``). The database owns the schedule: the broker may lose every message and probing goes
on, two beats never probe a host twice, and a killed worker's lease simply expires. Knows nothing
of SSH or parsing.
"""

from __future__ import annotations

import datetime as dt
import math
import secrets
from collections.abc import Sequence
from typing import Literal

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from hosts.models import Host, HostKey
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import Code

MAX_BACKOFF_S = 900
"""A dead host is tried at least every 15 minutes."""

QUEUE_LEASE_S = 60
"""How long a claimed host may wait in a queue before anybody may claim it again."""

STORE_MARGIN_S = 30
"""Added to the probe's deadline for a running lease: waiting for a thread, parsing, storing."""

CLOCKS_S = 300
"""How far the clocks of two workers may differ."""

LIVE_FAILING_S = 60.0
"""A host that a live page looks at and that fails is tried again after so long at most."""

PAUSING = frozenset({Code.LOGIN_FAILED, Code.SUDO_REFUSED})
"""Codes after which the login is not tried again until it is edited: retries lock accounts."""

OTHER_PORT_REST = dt.timedelta(hours=1)
"""For how long a login that was refused over another SSH port is tried over none but its own."""

Lane = Literal["live", "failing"]
"""Hosts that answered last time, and those that did not: the dead never delay the living."""


def stored_within() -> dt.timedelta:
    """How long after its time a probe may be stored: queued, probed, parsed, by another clock."""
    return dt.timedelta(
        seconds=settings.PROBE_DEADLINE_S + QUEUE_LEASE_S + STORE_MARGIN_S + CLOCKS_S
    )


def ensure() -> int:
    """Give every watched host without one a schedule that is due now; returns how many."""
    missing = Host.objects.kept().filter(enabled=True, schedule=None)
    now = timezone.now()
    rows = [Schedule(host_id=pk, next_probe_at=now) for pk in missing.values_list("pk", flat=True)]
    Schedule.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def claim(lane: Lane, *, limit: int) -> tuple[list[int], str]:
    """Lease up to ``limit`` due hosts of a lane with one conditional UPDATE.

    Returns their ids and the lease token. Of two callers at once each host goes to one: the
    UPDATE's condition is evaluated again on rows the other changed first.
    """
    now = timezone.now()
    token = secrets.token_hex(16)
    due = _due(now).filter(failures=0) if lane == "live" else _due(now).filter(failures__gt=0)
    candidates = list(due.order_by("next_probe_at").values_list("pk", flat=True)[: max(limit, 0)])
    if not candidates:
        return [], token
    _free(now).filter(pk__in=candidates).update(
        lease_until=now + dt.timedelta(seconds=QUEUE_LEASE_S), lease_token=token
    )
    won = Schedule.objects.filter(pk__in=candidates, lease_token=token)
    return list(won.values_list("pk", flat=True)), token


def claim_one(host: Host, *, for_s: float | None = None) -> str | None:
    """Lease one host at once whether due or not; None while somebody else probes it.

    For as long as a probe takes at most, or ``for_s`` seconds.
    """
    ensure_one(host)
    now, token = timezone.now(), secrets.token_hex(16)
    until = _running_until(now) if for_s is None else now + dt.timedelta(seconds=for_s)
    won = _free(now).filter(pk=host.pk).update(lease_until=until, lease_token=token)
    return token if won == 1 else None


def start(host_id: int, token: str) -> bool:
    """Turn a queue lease into a running one; False where it expired or went to another."""
    now = timezone.now()
    mine = Schedule.objects.filter(pk=host_id, lease_token=token, lease_until__gt=now)
    return mine.update(lease_until=_running_until(now)) == 1


def release(host_id: int, token: str) -> None:
    """Give a lease back unused: the host stays due."""
    Schedule.objects.filter(pk=host_id, lease_token=token).update(lease_until=None, lease_token="")


def postpone(host: Host, token: str) -> None:
    """End a lease without a probe (a paused login): look again after one interval."""
    now = timezone.now()
    Schedule.objects.filter(pk=host.pk, lease_token=token).update(
        lease_until=None,
        lease_token="",
        requested_at=None,
        requested_by="",
        next_probe_at=_next_slot(host, now),
    )


def finish(
    host: Host,
    token: str,
    snapshot: Snapshot,
    *,
    cause: Code | None = None,
    tables_at: dt.datetime | None = None,
) -> None:
    """Book a stored probe: next due time, failures in a row, pause, end of the lease.

    ``cause`` is the jump host's own code where that failed. ``tables_at`` is given where the
    probe's command took, or tried to take, the other tables. Does nothing where the lease went to
    another meanwhile. A request made after this probe began stays open.
    """
    now = timezone.now()
    with transaction.atomic():
        mine = Schedule.objects.select_for_update().filter(pk=host.pk, lease_token=token)
        schedule = mine.first()
        if schedule is None:
            return
        schedule.lease_until, schedule.lease_token = None, ""
        if tables_at is not None:
            schedule.tables_at = tables_at
        if schedule.requested_at is not None and schedule.requested_at <= snapshot.taken_at:
            schedule.requested_at, schedule.requested_by = None, ""
        if snapshot.outcome in (Outcome.OK, Outcome.LIMITED, Outcome.LATE):
            schedule.failures, schedule.failing_since = 0, None
            schedule.paused_code = schedule.paused_login_version = ""
            schedule.next_probe_at = _next_slot(host, now)
        else:
            schedule.failures += 1
            schedule.failing_since = schedule.failing_since or snapshot.taken_at
            if PAUSING.intersection({snapshot.code, cause}):
                schedule.paused_code = snapshot.code
                schedule.paused_login_version = host.login_version
            schedule.next_probe_at = now + dt.timedelta(
                seconds=backoff_s(host.effective_interval_s, failures=schedule.failures)
            )
        if schedule.requested_at is not None:
            schedule.next_probe_at = now
        schedule.save()


def tables_due(host: Host, schedule: Schedule) -> bool:
    """Whether the next probe of ``host`` should take the other tables as well.

    They are due each PROBE_TABLES_MINUTES, at the probe nearest to that time, and whenever somebody
    asks for a probe; never where the setting is 0.
    """
    period_s = settings.PROBE_TABLES_MINUTES * 60
    if period_s <= 0:
        return False
    if schedule.tables_at is None or schedule.requested_at is not None:
        return True
    slack_s = min(host.effective_interval_s, period_s) / 2
    return (timezone.now() - schedule.tables_at).total_seconds() >= period_s - slack_s


def request_probe(host: Host, by: str) -> Schedule:
    """Make a host due now at somebody's wish; ``progress`` then tells how far it is."""
    schedule = ensure_one(host)
    now = timezone.now()
    Schedule.objects.filter(pk=host.pk).update(
        requested_at=now, requested_by=by[:150], next_probe_at=now
    )
    schedule.refresh_from_db()
    return schedule


def ask_live(host: Host, *, by: str, every_s: int, until: dt.datetime) -> bool:
    """Make a host due now for a page that looks at it live, which it is known to be ``until`` then.

    Only where its newest probe is about ``every_s`` old and none is due or under way, so that
    several pages share their probes; True where it was made due. It is no request: nobody waits for
    the other tables, and the host's own times stay what they were. A host that fails is asked less
    and less often, once in LIVE_FAILING_S at most.
    """
    schedule, now = ensure_one(host), timezone.now()
    Schedule.objects.filter(pk=host.pk).update(live_until=until, live_by=by[:150])
    wait_s = float(every_s)
    if schedule.failures:
        wait_s = max(wait_s, min(2.0**schedule.failures, LIVE_FAILING_S))
    # A little early rather than a whole turn late: the page comes round about each ``every_s``.
    oldest = now - dt.timedelta(seconds=wait_s - min(wait_s / 2, 0.5))
    recent = Snapshot.objects.filter(host=host, taken_at__gt=oldest)
    due = _free(now).filter(~Exists(recent), pk=host.pk, next_probe_at__gt=now)
    return due.update(next_probe_at=now) == 1


def progress(schedule: Schedule) -> Literal["idle", "queued", "running"]:
    """What happens to a host right now: nothing asked, waiting for a worker, being probed."""
    now = timezone.now()
    leased = schedule.lease_until is not None and schedule.lease_until > now
    if leased:
        return "running"
    return "queued" if schedule.requested_at is not None else "idle"


def is_paused(schedule: Schedule, host: Host) -> bool:
    """Whether the login failed before and is still the very same."""
    return bool(schedule.paused_code) and schedule.paused_login_version == host.login_version


def rest_other_ports(host: Host, code: Code, *, cause: Code | None = None) -> bool:
    """After a failure over another SSH port than the configured one: where the login was refused,
    let it rest there, and return True. The host's own probes know better whether it is right, and
    go on.

    ``cause`` is the jump host's own code where that failed.
    """
    if not PAUSING.intersection({code, cause}):
        return False
    Schedule.objects.filter(pk=host.pk).update(
        other_port_refused_at=timezone.now(), other_port_login_version=host.login_version
    )
    return True


def other_ports_rest_s(schedule: Schedule, host: Host) -> int:
    """For how many seconds yet the very same login is tried over no other SSH port; 0: it may."""
    refused_at = schedule.other_port_refused_at
    if refused_at is None or schedule.other_port_login_version != host.login_version:
        return 0
    return max(math.ceil((refused_at + OTHER_PORT_REST - timezone.now()).total_seconds()), 0)


def resume(host: Host) -> None:
    """End a pause: a person saw the login work."""
    Schedule.objects.filter(pk=host.pk).update(
        paused_code="", paused_login_version="", next_probe_at=timezone.now()
    )


def leased(lane: Lane) -> int:
    """How many hosts of a lane are claimed or being probed now."""
    busy = Schedule.objects.filter(lease_until__gt=timezone.now())
    counts = busy.aggregate(
        live=Count("pk", filter=Q(failures=0)), failing=Count("pk", filter=Q(failures__gt=0))
    )
    return int(counts[lane])


def backoff_s(interval_s: int, *, failures: int) -> float:
    """Seconds to wait after ``failures`` failed probes in a row.

    The interval doubles each time up to MAX_BACKOFF_S (or the interval, where that is longer),
    and is spread by a tenth so that hosts that died together do not come back together.
    """
    longest = max(MAX_BACKOFF_S, interval_s)
    wait_s = min(interval_s * 2.0 ** min(failures - 1, 16), longest)
    return wait_s * (0.9 + 0.1 * secrets.randbelow(1001) / 1000)


def ensure_one(host: Host) -> Schedule:
    """The host's schedule, made and due now where it had none."""
    schedule, _created = Schedule.objects.get_or_create(
        host=host, defaults={"next_probe_at": timezone.now()}
    )
    return schedule


def host_ids_in_order(ids: Sequence[int]) -> list[int]:
    """``ids`` without repeats, in order: a task's argument is checked, not believed."""
    return list(dict.fromkeys(int(pk) for pk in ids))


def _free(now: dt.datetime) -> QuerySet[Schedule]:
    return Schedule.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now))


def _due(now: dt.datetime) -> QuerySet[Schedule]:
    """Free schedules of watched hosts that are due, or were edited since their last probe."""
    last_probe = F("latest__taken_at")
    decided = HostKey.objects.filter(
        address=OuterRef("host__address"),
        port=OuterRef("host__port"),
        decided_at__gt=OuterRef("latest__taken_at"),
    )
    edited = Q(failures__gt=0, paused_code="") & (
        Q(host__updated_at__gt=last_probe)
        | Q(host__credential__updated_at__gt=last_probe)
        | Exists(decided)
    )
    return _free(now).filter(
        Q(next_probe_at__lte=now) | edited, host__enabled=True, host__removed_at=None
    )


def _running_until(now: dt.datetime) -> dt.datetime:
    return now + dt.timedelta(seconds=settings.PROBE_DEADLINE_S + STORE_MARGIN_S)


def _next_slot(host: Host, now: dt.datetime) -> dt.datetime:
    """The host's next own place in the interval, at least half an interval away.

    The place comes from the host's id, so a fleet spreads evenly over the interval, stays so,
    and does not bunch up after a pause.
    """
    interval_s = host.effective_interval_s
    place_s = (host.pk * 0.618_033_988_749_895 % 1.0) * interval_s
    earliest_s = now.timestamp() + interval_s / 2
    slots = -((place_s - earliest_s) // interval_s)
    return dt.datetime.fromtimestamp(place_s + slots * interval_s, tz=dt.UTC)
