"""How a host does right now, judged from its schedule and newest snapshots: pure.

Place in the data's way: read by pages and JSON after ``queries.overview``; writes nothing and
asks no database beyond the rows it is handed.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from hosts.models import Host
from probes.models import Schedule, Snapshot
from probes.observation import EXPLANATIONS, Code, gettext_noop

STALE_AFTER_INTERVALS = 3
"""A whole snapshot older than this many intervals (and MIN_STALE_S) is stale."""

MIN_STALE_S = 120

TOOL_PASTED = "pasted"
"""``Snapshot.tool`` of what a person brought (``probes.pasted``): it says nothing of reaching the
host."""


class Level(enum.IntEnum):
    """Sort order of hosts: worst first."""

    BAD = 0
    WARN = 1
    NEW = 2
    OK = 3
    OFF = 4


LABELS = {
    Level.BAD: gettext_noop("Failing"),
    Level.WARN: gettext_noop("Warning"),
    Level.NEW: gettext_noop("Waiting"),
    Level.OK: gettext_noop("Up to date"),
    Level.OFF: gettext_noop("Disabled"),
}
"""English msgids of the words beside the icons."""

STALE = (
    gettext_noop("Stale"),
    gettext_noop("No probe for too long. Check that a worker and the scheduler run."),
)
REJECTED = (
    gettext_noop("Lines not understood"),
    gettext_noop("Some lines of the output were no socket. See them on the probe's page."),
)
PASTED = (
    gettext_noop("Not reached"),
    gettext_noop(
        "Its probes fail, and what is shown was pasted by hand. Why they fail is on the probes tab."
    ),
)
FIRST = (
    gettext_noop("Not probed yet"),
    gettext_noop("The first probe is on its way."),
)


@dataclass(frozen=True, slots=True)
class Status:
    """A level with its reason; ``title`` and ``hint`` are English msgids, empty where fine."""

    level: Level
    code: str = ""
    title: str = ""
    hint: str = ""
    detail: str = ""
    since: dt.datetime | None = None

    @property
    def label(self) -> str:
        """English msgid of the word for the level."""
        return LABELS[self.level]

    @property
    def icon(self) -> str:
        """Name of the icon's shape: each level has its own."""
        return self.level.name.lower()


def of(
    host: Host,
    *,
    schedule: Schedule | None,
    latest: Snapshot | None,
    latest_whole: Snapshot | None,
    now: dt.datetime,
) -> Status:
    """Status of ``host``; ``latest`` is its newest snapshot of any outcome."""
    if not host.enabled or host.removed_at is not None:
        return Status(Level.OFF)
    if schedule is not None and schedule.paused_code:
        return _explained(Level.BAD, schedule.paused_code, since=schedule.failing_since)
    if latest is None:
        return Status(Level.NEW, title=FIRST[0], hint=FIRST[1])
    if latest.tool == TOOL_PASTED and schedule is not None and schedule.failures:
        return Status(
            Level.BAD,
            code=TOOL_PASTED,
            title=PASTED[0],
            hint=PASTED[1],
            since=schedule.failing_since,
        )
    if latest.outcome != "ok":
        since = schedule.failing_since if schedule is not None else latest.taken_at
        return _explained(Level.BAD, latest.code, since=since, detail=latest.detail)
    assert latest_whole is not None  # an ok snapshot is a whole one
    if now - latest.taken_at > stale_after(host):
        return Status(
            Level.WARN, code="stale", title=STALE[0], hint=STALE[1], since=latest.taken_at
        )
    if latest.code:
        return _explained(Level.WARN, latest.code)
    if latest.rejected:
        return Status(Level.WARN, code="rejected", title=REJECTED[0], hint=REJECTED[1])
    return Status(Level.OK)


def stale_after(host: Host) -> dt.timedelta:
    """How old the newest whole snapshot may be and still say how the host is now."""
    return dt.timedelta(seconds=max(host.effective_interval_s * STALE_AFTER_INTERVALS, MIN_STALE_S))


def _explained(
    level: Level, code: str, *, since: dt.datetime | None = None, detail: str = ""
) -> Status:
    title, hint = EXPLANATIONS[Code(code)]
    return Status(level, code=code, title=title, hint=hint, detail=detail, since=since)
