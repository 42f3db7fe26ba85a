"""Shapes of changes, watched ports and policies of ports."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.sockets import Port

PolicyScope = Literal["site", "group", "host"]
RangeName = Literal["system", "registered", "ephemeral"]


class Change(TypedDict):
    """What happened on a host."""

    id: Identity
    kind: str
    title: str
    """In the reader's language."""
    host: Named
    at: Time
    """Of the snapshot that shows it."""
    before_at: Time | None
    """Of the whole snapshot before."""
    snapshot: Identity | None
    protocol: str | None
    port: Port | None
    program: str | None
    turn: Literal["opened", "again", "resolved"] | None
    """What it did to its alert."""
    alert: Identity | None
    detail: dict[str, Any]
    """before and after of a port; of others the facts of the alert."""


class Changes(Listed):
    """What changed, newest first."""

    changes: list[Change]


class FollowedChanges(TypedDict):
    """What changed behind a place in the feed, in its order."""

    changes: list[Change]
    next_after: Count
    """The place to go on from, whether rows came or not."""
    more: bool
    """Whether there is more to read at once."""
    missed: bool
    """Whether some changes behind the place are no longer kept."""


class WatchedPort(TypedDict):
    """A watched port with the entries of the lists that name it."""

    protocol: str
    port: Port
    state: Literal["up", "down", "missing", "wrong_holder"]
    since: Time
    first_seen: Time | None
    """Null where it was never seen."""
    last_seen: Time | None
    addresses: list[str]
    programs: list[str]
    pids: list[int]
    range: RangeName
    expected: str | None
    allowed: str | None


class PolicySource(TypedDict):
    """Which policy says it."""

    scope: PolicyScope
    group: str | None
    """Null too where the reader does not see the group."""


PolicyEntry = TypedDict("PolicyEntry", {"entry": str, "from": list[PolicySource]})
"""A line of a list, and which policies have it."""


class PolicyLists(TypedDict):
    """The lists that apply."""

    allowed: list[PolicyEntry]
    excluded: list[PolicyEntry]
    expected: list[PolicyEntry]


class EffectivePolicy(TypedDict):
    """What applies to a host, each line with where it comes from."""

    enabled: bool
    enabled_by: list[PolicySource]
    lists: PolicyLists
    raises: dict[RangeName, list[str]]
    raises_by: dict[RangeName, list[PolicySource]]


class Watch(Listed):
    """The watched ports of a host."""

    host: Named
    watched_since: Time | None
    ephemeral: tuple[Port, Port]
    """The first and the last port that the host's kernel gives out by itself."""
    policy: EffectivePolicy
    ports: list[WatchedPort]


class Policy(TypedDict):
    """A policy of ports: of the site, of a group or of a host."""

    id: Identity
    scope: PolicyScope
    group: Named | None
    host: Named | None
    enabled: bool | None
    """Null: as the wider policy has it."""
    allowed: str
    excluded: str
    expected: str
    raises: dict[RangeName, list[str]]
    """Which kinds of change raise an alert, by range of ports."""
    updated_at: Time


class Policies(Listed):
    """The policies that the caller sees."""

    policies: list[Policy]


class OnePolicy(TypedDict):
    """One policy."""

    policy: Policy


class PolicyEffects(TypedDict):
    """What a policy would do, all counted."""

    leaves: Count
    joins: Count
    missing: Count
    settled: Count


class HostEffects(TypedDict):
    """What it would do to one host: its ports."""

    host: Named
    leaves: list[str]
    joins: list[str]
    missing: list[str]
    settled: list[str]


class PolicyPreview(TypedDict):
    """What a change would do to the hosts as they are now."""

    hosts: Count
    totals: PolicyEffects
    effects: list[HostEffects]


class PolicyTrial(TypedDict):
    """Nothing was changed: this is what would happen."""

    preview: PolicyPreview
