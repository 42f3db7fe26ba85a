"""Shapes of probes and what they gave."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time


class Snapshot(TypedDict):
    """The record of one probe."""

    id: Identity
    host: Identity
    taken_at: Time
    duration_ms: Count
    outcome: Literal["ok", "limited", "partial", "late", "failed"]
    """Only ok takes part in history; nothing else closes a socket."""
    code: str | None
    """Why it is not whole, or permission_limited where rows lack their PID."""
    detail: str
    tool: str
    """Which program of the host gave the table."""
    command: str
    privilege: str
    """As whom the tool ran: root, sudo, user or unknown."""
    sockets: Count
    listeners: Count
    by_state: dict[str, Count]
    """Sockets by state; those without one are not in it."""
    by_protocol: dict[str, Count]
    without_pid: Count
    """Rows that should have a PID."""
    rejected: Count
    """Lines not understood."""
    lines: Count
    opened: Count
    """Rows that the whole snapshot before did not have."""
    closed: Count


class ExplainedSnapshot(Snapshot):
    """The same with what its code means and how to mend it, in the reader's language."""

    title: str
    hint: str


class Snapshots(Listed):
    """Probes of a host, newest first."""

    host: Named
    snapshots: list[Snapshot]


class RawOutput(TypedDict):
    """Whether what the host printed is still there."""

    kept: bool
    bytes: Count | None


class OneSnapshot(TypedDict):
    """One probe and what is kept of it."""

    snapshot: ExplainedSnapshot
    raw: RawOutput
    notes: str
    """What the tool wrote on standard error."""


class AskedProbe(TypedDict):
    """A probe that somebody asked for."""

    host: Identity
    state: Literal["idle", "queued", "running"]
    requested_at: Time | None
    requested_by: str | None


class ProbeAsked(TypedDict):
    """The probe is still to come."""

    probe: AskedProbe


class ProbeDone(TypedDict):
    """The probe that was waited for."""

    snapshot: ExplainedSnapshot
