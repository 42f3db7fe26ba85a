"""Probes a batch of leased hosts: many on the network at once, stored one after another.

Place in the data's way: between the Celery task and the runner. Threads of the fan-out run
``runner.observe`` only and know no database; the caller's thread leases, builds targets and
stores, so a worker needs one database connection per batch, not per host. The pool of open SSH
connections lives as long as the process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.conf import settings
from django.utils import timezone

from hosts import keys, secrets
from hosts.models import Host, JumpLoop, MissingCredential
from hosts.target import Target
from probes import runner, schedule
from probes.history import limits, store, tables
from probes.models import Snapshot
from probes.observation import Code, Failure, Observation
from probes.transports.pool import Pool
from probes.watch import judging

logger = logging.getLogger(__name__)

START_GRACE_S = 10.0
"""A host still waiting for a thread after this long is given back: its lease must outlive it."""

_lock = threading.Lock()
_pool: Pool | None = None
_lanes: dict[schedule.Lane, ThreadPoolExecutor] = {}


def pool() -> Pool:
    """The process's open SSH connections."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = Pool()
        return _pool


def probe_batch(host_ids: list[int], token: str, *, lane: schedule.Lane) -> int:
    """Probe the hosts whose lease is ``token`` and store what came; returns how many."""
    hosts = Host.objects.select_related("credential", "jump_host__credential", "schedule").in_bulk(
        schedule.host_ids_in_order(host_ids)
    )
    waiting = iter(hosts.values())
    running: dict[Future[Observation | None], tuple[Host, bool]] = {}
    stored = 0
    while True:
        for host in _take(waiting, settings.PROBE_THREADS - len(running)):
            due = schedule.tables_due(host, host.schedule)
            future = _begin(host, token, lane=lane, tables=due)
            if future is not None:
                running[future] = host, due
        if not running:
            return stored
        done, _pending = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            host, due = running.pop(future)
            observation = future.result()
            if observation is None:
                schedule.release(host.pk, token)
            else:
                stored += _store(host, token, observation, asked_for_tables=due)


def probe_one(host: Host, token: str) -> Snapshot:
    """Probe and store one leased host in this thread, for people who wait for it."""
    target = _target(host)
    if isinstance(target, Observation):
        return save(host, token, target)
    # Somebody waits for all there is to know.
    due = settings.PROBE_TABLES_MINUTES > 0
    return save(host, token, runner.observe(target, pool=pool(), tables=due), asked_for_tables=due)


def save(
    host: Host, token: str, observation: Observation, *, asked_for_tables: bool = False
) -> Snapshot:
    """Store an observation, remember a host key it met, and book the probe.

    The other tables are stored apart from the sockets: trouble with them never costs the probe.
    Where a command was run that should have brought them, they are booked as taken however it
    ended, so that a host which hangs over them is not asked each time.
    """
    failure = observation.failure
    if failure is not None and failure.offered_key is not None:
        keys.offered(failure.offered_key)
    snapshot = store.save(host, observation, login_version=host.login_version, judge=judging.judge)
    try:
        tables.save(host, observation)
    except Exception:
        logger.exception("storing the network tables of host %s failed", host.pk)
    try:
        limits.save(host, observation)
    except Exception:
        logger.exception("storing the limits of host %s failed", host.pk)
    tried = asked_for_tables and bool(observation.command or observation.tables)
    schedule.finish(
        host,
        token,
        snapshot,
        cause=failure.cause if failure else None,
        tables_at=observation.taken_at if tried else None,
    )
    return snapshot


def _begin(
    host: Host, token: str, *, lane: schedule.Lane, tables: bool
) -> Future[Observation | None] | None:
    """Put one host on the network; None where there is nothing to wait for."""
    if schedule.is_paused(host.schedule, host):
        schedule.postpone(host, token)
        return None
    if not schedule.start(host.pk, token):
        return None
    target = _target(host)
    if isinstance(target, Observation):
        _store(host, token, target)
        return None
    return _executor(lane).submit(_observe, target, time.monotonic(), tables=tables)


def _observe(target: Target, queued_at: float, *, tables: bool) -> Observation | None:
    """Runs in the fan-out's threads; no database here."""
    if time.monotonic() - queued_at > START_GRACE_S:
        return None
    return runner.observe(target, pool=pool(), tables=tables)


def _target(host: Host) -> Target | Observation:
    """The host's target, or the failed observation where none can be built."""
    try:
        return host.target()
    except MissingCredential:
        failure = Failure(Code.CREDENTIAL_MISSING)
    except JumpLoop as loop:
        failure = Failure(Code.JUMP_FAILED, detail=f"{loop} is its own jump host")
    except secrets.DecryptionError as error:
        failure = Failure(Code.KEY_UNREADABLE, detail=str(error))
    return Observation(taken_at=timezone.now(), duration_s=0.0, failure=failure)


def _store(
    host: Host, token: str, observation: Observation, *, asked_for_tables: bool = False
) -> int:
    """Save without letting one host's trouble end the batch; its lease then expires."""
    try:
        save(host, token, observation, asked_for_tables=asked_for_tables)
    except Exception:
        logger.exception("storing a probe of host %s failed", host.pk)
        return 0
    return 1


def _executor(lane: schedule.Lane) -> ThreadPoolExecutor:
    with _lock:
        if lane not in _lanes:
            _lanes[lane] = ThreadPoolExecutor(
                max_workers=settings.PROBE_THREADS, thread_name_prefix=f"probe-{lane}"
            )
        return _lanes[lane]


def _take(hosts: Iterator[Host], count: int) -> list[Host]:
    return [host for _slot, host in zip(range(count), hosts, strict=False)]
