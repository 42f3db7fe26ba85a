"""Shapes of the inventory: hosts and how they do."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, SnapshotBrief, Time


class HostStatus(TypedDict):
    """How a host does; the words are in the reader's language."""

    level: Literal["bad", "warn", "new", "ok", "off"]
    code: str | None
    """Why; it never changes with the language. Null where nothing is wrong."""
    label: str
    title: str
    hint: str
    """How to mend it."""
    since: Time | None


class Host(TypedDict):
    """A host with its status. Of its credential there is the name; no secret is ever in here."""

    id: Identity
    name: str
    address: str
    port: Count
    """Of its SSH server."""
    is_local: bool
    """The machine that netadmin runs on: no SSH."""
    platform: Literal["auto", "linux", "windows", "macos", "bsd"]
    credential: Named | None
    groups: list[Named]
    """Those that the reader may know of."""
    jump_host: Named | None
    """Null too where the reader does not see it."""
    interval_s: Count | None
    """Seconds between probes; null: as the site has it."""
    effective_interval_s: Count
    enabled: bool
    keep_connection: bool
    notes: str
    created_at: Time
    updated_at: Time
    status: HostStatus
    latest: SnapshotBrief | None
    latest_whole: SnapshotBrief | None


class Hosts(Listed):
    """Hosts by name."""

    hosts: list[Host]


class OneHost(TypedDict):
    """One host."""

    host: Host
