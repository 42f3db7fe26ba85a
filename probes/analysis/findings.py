"""What a finding is: something wrong that the sockets of one host show, with its numbers.

Place in the data's way: made by the rules beside this module out of counts and series, put beside
its host by ``probes.history.queries.trouble``, worded by ``probes.wording.findings``. Pure: knows
no database, no host and no language.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Kind(enum.StrEnum):
    """What is looked for; the order is that of the page."""

    LEAK = "leak"
    HEADROOM = "headroom"
    BACKLOG = "backlog"
    FLOOD = "flood"
    WAITS = "waits"


class Severity(enum.IntEnum):
    """Sort order of findings: worst first."""

    BAD = 0
    WARN = 1
    INFO = 2


class Code(enum.StrEnum):
    """What exactly was found; texts go by it."""

    CLOSE_WAIT_RISING = "close_wait_rising"
    CLOSE_WAIT_HELD = "close_wait_held"
    PORTS_SHORT = "ports_short"
    QUEUE_FULL = "queue_full"
    QUEUE_WAITING = "queue_waiting"
    SYN_FLOOD = "syn_flood"
    TIME_WAIT_OUTGOING = "time_wait_outgoing"
    TIME_WAIT_INCOMING = "time_wait_incoming"
    TIME_WAIT_TABLE = "time_wait_table"


Point = tuple[dt.datetime, int]
"""A time (UTC) and how many there were."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a count is held against."""

    value: int
    name: str = ""
    """What it is called on the host: a sysctl, ``listen()``; empty where it has no name."""
    assumed: bool = False
    """True where the host did not tell and the usual value of its system is taken."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a count: connections of one address or network."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found on one host. Addresses are canonical text; unknown is None."""

    kind: Kind
    code: Code
    severity: Severity
    count: int
    """Sockets, ports or waiting connections, as the code says."""
    protocol: str = "tcp"
    program: str | None = None
    pids: tuple[int, ...] = ()
    """The first few."""
    local_ip: str | None = None
    local_port: int | None = None
    remote_ip: str | None = None
    remote_port: int | None = None
    limit: Limit | None = None
    since: dt.datetime | None = None
    """When it began, or the oldest time it is known of."""
    trend: tuple[Point, ...] = ()
    """Oldest first."""
    facts: Mapping[str, int] = field(default_factory=dict)
    """Further numbers that the texts of the code name."""
    parts: tuple[Share, ...] = ()
    """Who makes up the count, most first, where that is worth saying."""

    @property
    def share(self) -> float | None:
        """Of the limit, 1.0 being all of it; None where there is none."""
        return self.count / self.limit.value if self.limit and self.limit.value else None


def order(finding: Finding) -> tuple[int, int, float]:
    """Sort key: worst first, then by kind, then the fullest or the most."""
    kinds = list(Kind)
    fullness = -(finding.share or 0) * 1e9 - finding.count
    return finding.severity.value, kinds.index(finding.kind), fullness


def since(trend: tuple[Point, ...], least: int) -> dt.datetime | None:
    """From when on ``trend`` was never below ``least`` until its end; None where its end is."""
    began: dt.datetime | None = None
    for when, count in reversed(trend):
        if count < least:
            break
        began = when
    return began
