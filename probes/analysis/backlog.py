"""Accept queues: connections that are made already and wait for the program to accept them.

Place in the data's way: ``probes.history.backlogs`` wrote the queues down, ``queries.trouble``
hands them over, this judges. Pure.

On Linux Recv-Q of a socket in LISTEN is the length of its accept queue. Its limit is the smaller of
what the program gave to listen(2) and net.core.somaxconn; ss shows it as Send-Q, netstat does not.
The queue is full where more wait than the limit (sk_acceptq_is_full(), include/net/sock.h): at the
limit one more fits, so a limit of 0 still lets one wait. Whatever comes while it is full is
dropped, and the client tries again a second later, or is refused where tcp_abort_on_overflow says
so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from probes.analysis.findings import Code, Finding, Kind, Limit, Point, Severity


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which numbers on something is said."""

    warn: float = 0.5
    """Share of the limit."""
    probes: int = 3
    """Probes in a row that found connections waiting, whatever their number."""
    many: int = 50
    """Waiting connections that are worth a warning where the limit is not known."""
    window_s: int = 3600
    """Seconds before the probe looked at that count as well."""


DEFAULT = Thresholds()


@dataclass(frozen=True, slots=True)
class Reading:
    """One listener's queue at one probe."""

    at: dt.datetime
    waiting: int
    most: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One listener with the probes that found connections waiting at it."""

    protocol: str
    program: str | None
    pids: tuple[int, ...] = ()
    local_ip: str
    local_port: int
    readings: Sequence[Reading]
    """Oldest first, at least one; probes that found none are not among them."""
    probes: Sequence[dt.datetime]
    """Whole probes of the host in that time, oldest first; the last is the one looked at."""


def judge(queue: Queue, most_waiting: Limit, thresholds: Thresholds = DEFAULT) -> Finding | None:
    """The finding about a queue; ``most_waiting`` is the kernel's bound of every queue."""
    newest = queue.readings[-1]
    now = bool(queue.probes) and newest.at == queue.probes[-1]
    worst = max(queue.readings, key=lambda reading: (_fullness(reading), reading.waiting))
    shown = newest if now else worst
    limit = most_waiting if shown.most is None else Limit(shown.most, "listen()")
    in_a_row = _in_a_row(queue) if now else 0
    stuck = now and shown.most is None and _stuck(queue, in_a_row, thresholds)
    if _full(shown, most_waiting):
        code, severity = Code.QUEUE_FULL, Severity.BAD if now else Severity.WARN
    else:
        code = Code.QUEUE_WAITING
        warns = now and (
            in_a_row >= thresholds.probes
            or (shown.most is None and shown.waiting >= thresholds.many)
            or shown.waiting >= thresholds.warn * limit.value
        )
        severity = Severity.WARN if warns else Severity.INFO
    return Finding(
        kind=Kind.BACKLOG,
        code=code,
        severity=severity,
        count=shown.waiting,
        protocol=queue.protocol,
        program=queue.program,
        pids=queue.pids,
        local_ip=queue.local_ip,
        local_port=queue.local_port,
        limit=limit,
        since=queue.readings[-in_a_row if in_a_row else 0].at,
        trend=_trend(queue),
        facts={
            "now": int(now),
            "told": int(shown.most is not None),
            "stuck": int(stuck),
            "at_limit": int(shown.waiting == limit.value),
            "seen": len(queue.readings),
            "probes": len(queue.probes),
            "worst": worst.waiting,
        },
    )


def _full(reading: Reading, most_waiting: Limit) -> bool:
    """Whether the next one is dropped: more wait than the limit."""
    return reading.waiting > (most_waiting.value if reading.most is None else reading.most)


def _fullness(reading: Reading) -> float:
    return reading.waiting / reading.most if reading.most else 0.0


def _in_a_row(queue: Queue) -> int:
    """How many of the newest probes, one after another, found connections waiting."""
    found = {reading.at for reading in queue.readings}
    count = 0
    for at in reversed(queue.probes):
        if at not in found:
            break
        count += 1
    return count


def _stuck(queue: Queue, in_a_row: int, thresholds: Thresholds) -> bool:
    """Whether the same number waits from probe to probe: most likely as many as there may."""
    newest = [reading.waiting for reading in queue.readings[-in_a_row:]]
    return in_a_row >= thresholds.probes and min(newest) == max(newest)


def _trend(queue: Queue) -> tuple[Point, ...]:
    """Waiting connections at each probe, 0 where none was written down."""
    waiting = {reading.at: reading.waiting for reading in queue.readings}
    times = sorted({*queue.probes, *waiting})
    return tuple((at, waiting.get(at, 0)) for at in times)
