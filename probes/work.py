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
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

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

LEASE_POLL_S = 0.2
"""How often people who wait look whether a host is still probed by somebody else."""

_lock = threading.Lock()
_pool: Pool | None = None
_lanes: dict[schedule.Lane, ThreadPoolExecutor] = {}


class LoginPaused(Exception):
    """The login failed before and is not tried again until it is edited."""


class Busy(Exception):
    """Somebody else probes the host and does not end."""


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
    # Somebody waits for all there is to know.
    due = settings.PROBE_TABLES_MINUTES > 0
    return save(host, token, observe_one(host, tables=due), asked_for_tables=due)


def observe_one(
    host: Host, *, tables: bool = False, keep: bool = True, port: int | None = None
) -> Observation:
    """What a probe of one leased host gives, in this thread; nothing is stored.

    Without ``keep`` its connection is closed afterwards, whatever the host says. ``port`` is
    another SSH port than the configured one: only the keys trusted for the host itself let it in.
    """
    target = _target(host)
    if isinstance(target, Observation):
        return target
    asked = replace(
        target,
        keep_connection=target.keep_connection and keep,
        port=target.port if port is None else port,
    )
    return runner.observe(asked, pool=pool(), tables=tables)


def probe_many(
    hosts: Sequence[Host], *, wait_s: float
) -> Iterator[tuple[Host, Snapshot | Exception]]:
    """Probe hosts whether due or not, PROBE_THREADS at once, for people who wait for them.

    Each host comes with its snapshot as soon as that is stored, or with why there is none:
    LoginPaused, Busy where another probed it for ``wait_s`` seconds, or what storing raised.
    Leases, builds targets and stores in the caller's thread. Whoever stops early gives back the
    leases of what is under way.
    """
    waiting = deque(hosts)
    running: dict[Future[Observation], tuple[Host, str]] = {}
    tables = settings.PROBE_TABLES_MINUTES > 0
    give_up_at = time.monotonic() + wait_s
    try:
        while waiting or running:
            for _turn in range(len(waiting)):
                if len(running) >= settings.PROBE_THREADS:
                    break
                host = waiting.popleft()
                if schedule.is_paused(schedule.ensure_one(host), host):
                    yield host, LoginPaused()
                    continue
                token = schedule.claim_one(host)
                if token is None:
                    if time.monotonic() < give_up_at:
                        waiting.append(host)
                    else:
                        yield host, Busy()
                    continue
                target = _target(host)
                if isinstance(target, Observation):
                    yield host, _saved(host, token, target, asked_for_tables=False)
                    continue
                future = _executor("live").submit(
                    runner.observe, target, pool=pool(), tables=tables
                )
                running[future] = host, token
            if not running:
                time.sleep(LEASE_POLL_S)  # all that are left are probed by others
                continue
            done, _pending = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                host, token = running.pop(future)
                yield host, _saved(host, token, future.result(), asked_for_tables=tables)
    finally:
        for future, (host, token) in running.items():
            future.cancel()
            schedule.release(host.pk, token)


def _saved(
    host: Host, token: str, observation: Observation, *, asked_for_tables: bool
) -> Snapshot | Exception:
    try:
        return save(host, token, observation, asked_for_tables=asked_for_tables)
    except Exception as error:
        logger.exception("storing a probe of host %s failed", host.pk)
        return error


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
