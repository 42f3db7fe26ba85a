"""Sources of hosts and their synchronisations. A token is never in here.

Place in the data's way: filled by ``probes.api.cmdb`` out of what ``hosts.cmdb.shown`` kept.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.words import RowProblem, SourceKind, SyncState


class SyncRunBrief(TypedDict):
    """A synchronisation where it is only mentioned."""

    id: Identity
    state: SyncState
    started_at: Time


class Source(TypedDict):
    """A list of hosts that netadmin follows."""

    id: Identity
    name: str
    kind: SourceKind
    location: str
    """A URL, or the path of a file."""
    fields: dict[str, str]
    """Which column or key of the source each field of a host is."""
    group: Named
    """Its hosts are put into it."""
    credential: Named | None
    """New hosts are given it."""
    has_token: bool
    every_minutes: Count
    enabled: bool
    hosts: Count
    """Hosts that came from it and are watched."""
    next_sync_at: Time | None
    newest_run: SyncRunBrief | None
    created_at: Time
    updated_at: Time


class Sources(Listed):
    """The sources of hosts, by name."""

    sources: list[Source]


class OneSource(TypedDict):
    """A source of hosts."""

    source: Source


class SyncRun(TypedDict):
    """A synchronisation; where it waits or was a dry run its numbers are what it would do."""

    id: Identity
    source: Named
    state: SyncState
    by: str
    """A user name; empty where it was its time."""
    started_at: Time
    ended_at: Time | None
    rows: Count
    """Hosts that the source listed."""
    added: Count
    changed: Count
    removed: Count
    problems: Count
    code: str | None
    """Why it failed, was refused, waits or is not done in whole."""
    why: str | None
    """The same in the reader's language."""
    decided_by: str | None
    decided_at: Time | None


class SyncRuns(Listed):
    """Synchronisations, newest first."""

    runs: list[SyncRun]


class HostToAdd(TypedDict):
    """A host that is added; what the source does not say is absent."""

    key: str
    """What the source calls it for good."""
    port: int
    name: str
    address: str
    platform: NotRequired[str]
    notes: NotRequired[str]
    """At most 200 characters are shown."""


class HostToChange(TypedDict):
    """A host that is changed."""

    host: Identity
    name: str
    fields: dict[str, Annotated[list[str | int | None], Field(min_length=2, max_length=2)]]
    """Each field before and after; ``credential`` where it is taken off the host."""


class HostToRemove(TypedDict):
    """A host that is removed."""

    host: Identity
    name: str
    address: str
    port: int


class HostIgnored(TypedDict):
    """A host that is listed, but was removed here by a person."""

    host: Identity
    name: str
    key: str


class RowOfProblem(TypedDict):
    """A row of the source that becomes no host, and why."""

    code: RowProblem
    where: str
    """Line, number or path of the row."""
    name: str
    key: str
    values: dict[str, str | int]
    """What the message names."""
    host: Identity | None
    """A host that is in the way; the source may be let have it (``adopt``)."""
    message: str
    """In the reader's language."""


class SyncPlan(TypedDict):
    """What a synchronisation did, or would do."""

    add: list[HostToAdd]
    change: list[HostToChange]
    remove: list[HostToRemove]
    keep: Count
    """Hosts that stay as they are."""
    later: Count
    """Hosts that are added by the next one."""
    ignored: list[HostIgnored]
    problems: list[RowOfProblem]


class SyncRunInFull(SyncRun):
    """A synchronisation with its plan."""

    plan: SyncPlan


class OneSyncRun(TypedDict):
    """A synchronisation with what it did, or would do."""

    run: SyncRunInFull
