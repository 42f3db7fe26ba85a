"""Connections that a program never closes: CLOSE_WAIT that rises from probe to probe.

Place in the data's way: ``queries.trouble`` counts, this judges. Pure.

A connection is in CLOSE_WAIT from when the peer has closed until the program here does (RFC 9293,
section 3.3.2). The kernel has no timeout for it. A few that come and go are a busy program; what
stays and grows is a leak, and ends when the program runs out of file descriptors. So three things
are asked for: that there are some, that nearly every step goes up, and that the same sockets were
there some probes ago, which tells a leak from traffic that merely grows.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass

from probes.analysis.findings import Code, Finding, Kind, Point, Severity, Share


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which numbers on something is said."""

    fewest: int = 10
    """Sockets in CLOSE_WAIT; fewer are not looked at."""
    probes: int = 3
    """How many probes a rise goes on for at least, and a socket that counts as left."""
    left: int = 3
    """Sockets that were there so many probes ago already."""
    rise: int = 5
    """Sockets more than at the beginning of the rise."""
    falls: float = 0.25
    """Of all that the steps of a rise go up, how much others of them may go down."""
    bad: int = 100
    """Sockets of a rise from which on it is bad."""
    held_s: int = 3600
    """Seconds after which sockets that are left, and no more than before, are worth a word."""


DEFAULT = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The sockets of one program with one peer in CLOSE_WAIT."""

    protocol: str
    program: str | None
    pids: tuple[int, ...]
    local_port: int | None
    """The port that is listened on, where the peer came in; None of what the program opened."""
    remote_ip: str | None
    """None of several peers, which ``peers`` then names."""
    remote_port: int | None
    """Of what the program opened itself."""
    series: tuple[Point, ...]
    """At each of the probes looked at, the newest last."""
    ages_s: tuple[tuple[float, int], ...]
    """Of those that are there at the end: seconds since first seen, and how many."""
    peers: tuple[Share, ...] = ()


def judge(group: Group, thresholds: Thresholds = DEFAULT) -> Finding | None:
    """The finding about a group; None where it is neither rising nor left for long."""
    if len(group.series) < 1:
        return None
    _when, count = group.series[-1]
    if count < thresholds.fewest:
        return None
    rise = rising(group.series, thresholds)
    if rise is not None and _left(group, rise.lasting_s) >= thresholds.left:
        bad = count >= thresholds.bad
        return _finding(
            group,
            Code.CLOSE_WAIT_RISING,
            Severity.BAD if bad else Severity.WARN,
            since=rise.began,
            facts={
                "before": rise.before,
                "rise": count - rise.before,
                "per_hour": rise.per_hour(count),
                "oldest_s": int(max((age for age, _many in group.ages_s), default=0)),
            },
        )
    held = _left(group, thresholds.held_s)
    if held >= thresholds.fewest:
        oldest_s = max(age for age, _many in group.ages_s)
        return _finding(
            group,
            Code.CLOSE_WAIT_HELD,
            Severity.INFO,
            since=group.series[-1][0] - dt.timedelta(seconds=oldest_s),
            facts={"held": held, "oldest_s": int(oldest_s), "hours": thresholds.held_s // 3600},
        )
    return None


@dataclass(frozen=True, slots=True)
class Rise:
    """The rise that a series ends with."""

    began: dt.datetime
    ended: dt.datetime
    before: int
    lasting_s: float
    """Seconds between the newest probe and that from which on a socket counts as left."""

    def per_hour(self, count: int) -> int:
        """Sockets an hour, at the pace of this rise."""
        hours = (self.ended - self.began).total_seconds() / 3600
        return round((count - self.before) / hours) if hours > 0 else 0


def rising(series: tuple[Point, ...], thresholds: Thresholds = DEFAULT) -> Rise | None:
    """The rise that ``series`` ends with, from the last time it was at its lowest; None where it
    does not rise, or too little, too briefly or with too many falls."""
    if len(series) <= thresholds.probes:
        return None
    values = [count for _when, count in series]
    last, lowest = values[-1], min(values)
    start = len(values) - 1 - values[::-1].index(lowest)
    tail = values[start:]
    steps = [after - before for before, after in itertools.pairwise(tail)]
    ups = sum(step for step in steps if step > 0)
    downs = -sum(step for step in steps if step < 0)
    if (
        len(steps) < thresholds.probes
        or last - lowest < thresholds.rise
        or sum(step > 0 for step in steps) < min(2, thresholds.probes)
        or downs > thresholds.falls * ups
        or last < 0.9 * max(values)
    ):
        return None
    before = series[-1 - thresholds.probes][0]
    return Rise(series[start][0], series[-1][0], lowest, (series[-1][0] - before).total_seconds())


def _left(group: Group, lasting_s: float) -> int:
    return sum(many for age, many in group.ages_s if age >= lasting_s)


def _finding(
    group: Group, code: Code, severity: Severity, *, since: dt.datetime, facts: dict[str, int]
) -> Finding:
    return Finding(
        kind=Kind.LEAK,
        code=code,
        severity=severity,
        count=group.series[-1][1],
        protocol=group.protocol,
        program=group.program,
        pids=group.pids,
        local_port=group.local_port,
        remote_ip=group.remote_ip,
        remote_port=group.remote_port,
        since=since,
        trend=group.series,
        facts=facts,
        parts=group.peers,
    )
