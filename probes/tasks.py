"""Celery's entries: thin, idempotent, carrying ids only.

Losing any of these messages loses no work: the database owns the schedule.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging

from celery import shared_task
from django.conf import settings
from django.core.management import call_command

from probes import connect_back as connecting
from probes import health, names, schedule, work
from probes.history import retention, rollups
from probes.hunts import alert_mail
from probes.hunts import running as hunting
from probes.notify import follow_up as following
from probes.notify import outbox
from probes.notify import sending as notifying
from probes.recovery import running as restarting
from probes.reports import sending as mailed_reports
from probes.watch import drift as drifting
from probes.watch import feed
from probes.watch import rounds as watching

logger = logging.getLogger(__name__)

BATCH = 50
"""Hosts per message: one task costs Celery as much as several probes."""

QUEUED_BATCHES = 4
"""How many batches of living hosts may be leased at once per worker."""


@shared_task(bind=True)
def dispatch(self, by_beat: bool = False) -> int:  # type: ignore[no-untyped-def]
    """Lease due hosts and hand them to the workers in batches; returns how many.

    ``by_beat`` makes it the heartbeat as well: it came from beat through the broker to here.
    """
    if by_beat:
        health.beat(self.request.hostname or "worker", connections=len(work.pool()))
    schedule.ensure()
    nodes = health.live_nodes()
    sent = _send("live", limit=BATCH * QUEUED_BATCHES * nodes - schedule.leased("live"))
    return sent + _send(
        "failing", limit=settings.PROBE_THREADS * nodes - schedule.leased("failing")
    )


@shared_task
def probe_batch(host_ids: list[int], token: str, lane: schedule.Lane) -> int:
    """Probe hosts leased under ``token``; returns how many were stored."""
    return work.probe_batch(host_ids, token, lane=lane)


@shared_task
def roll_up() -> int:
    """Sum up the quarters of an hour that are finished, for charts; returns how many hosts."""
    return rollups.roll_up(dt.datetime.now(tz=dt.UTC))


@shared_task
def send_reports() -> int:
    """Mail the reports that are due, and try again what failed; returns how many were begun."""
    return mailed_reports.send_due()


@shared_task
def retain() -> None:
    """Delete what is older than its retention, in small steps, and what has expired."""
    logger.info("retention: %s", retention.prune(dt.datetime.now(tz=dt.UTC)))
    health.forget_gone_nodes()
    call_command("clearsessions")


@shared_task
def connect_back(host_id: int) -> int:
    """Try the listeners of a host that somebody asked for; returns how many were tried."""
    return connecting.run(host_id)


@shared_task
def name_addresses() -> int:
    """Ask DNS for names that pages want; returns how many were asked for."""
    return names.ask_wanted()


@shared_task
def hunt() -> None:
    """Let saved hunts look at what is new, and mail what they found."""
    try:
        ran = hunting.run()
        if ran.hits or ran.failed:
            logger.info("hunts: %s", ran)
    finally:
        alert_mail.send()


@shared_task
def watch() -> None:
    """Look for hosts that are not probed, and clear what is left of those no longer watched."""
    done = watching.run()
    if done:
        logger.info("watching: %s", done)


@shared_task
def recover() -> int:
    """See to restarts of services, and hand out those to run; returns how many."""
    planned = restarting.due()
    for restart_id in planned:
        restart.apply_async(args=(restart_id,), expires=restarting.QUEUE_S)
    return len(planned)


@shared_task
def restart(restart_id: int) -> bool:
    """Run one planned restart of a service, if it still is to be."""
    return restarting.run(restart_id, pool=work.pool())


@shared_task
def drift() -> None:
    """Look for networks that programs of watched groups never talked to."""
    ran = drifting.run()
    if ran.new or ran.failed:
        logger.info("new peers: %s", ran)


@shared_task
def announce() -> None:
    """Decide who is told of what happened, add it to the feed, and send what is due."""
    with contextlib.ExitStack() as whatever_fails:
        whatever_fails.callback(notifying.send_due)
        whatever_fails.callback(feed.number)
        outbox.announce()


@shared_task
def follow_up() -> None:
    """Tell what time brings: windows that ended, quiet hours, reminders and escalations."""
    following.run()


def _send(lane: schedule.Lane, *, limit: int) -> int:
    ids, token = schedule.claim(lane, limit=limit)
    for begin in range(0, len(ids), BATCH):
        probe_batch.apply_async(
            args=(ids[begin : begin + BATCH], token, lane), expires=schedule.QUEUE_LEASE_S
        )
    return len(ids)
