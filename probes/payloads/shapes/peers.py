"""Whom the programs of a group talk to, and the groups that are watched for that.

Place in the data's way: filled by ``probes.payloads.peers``, declared by ``probes.api.peers``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.words import PeerState


class Peer(TypedDict):
    """A network that a program of a group opens connections to."""

    id: Identity
    state: PeerState
    group: Named
    program: str | None
    """Null where the host does not tell."""
    network: str
    """Such as ``203.0.113.0/24``."""
    first_seen: Time
    last_seen: Time
    """When the newest connection to it began, give or take ten minutes."""
    host: Named | None
    """Which host showed it first; null where the caller does not see that one."""
    until: Time | None
    """End of a snooze, or of an approval that has one."""
    decided_by: str | None
    decided_at: Time | None
    alert: Identity | None


class Peers(Listed):
    """The peers of the groups that the caller may see."""

    peers: list[Peer]


class OnePeer(TypedDict):
    """A peer."""

    peer: Peer


class DriftWatch(TypedDict):
    """That a group's outgoing connections are learned, and new ones told."""

    id: Identity
    """That of the group."""
    group: Named
    enabled: bool
    learn_until: Time
    """What is seen until then is known; afterwards it is new."""
    ipv4_prefix: Annotated[int, Field(ge=0, le=32)]
    """How many bits of an address make the network that is learned."""
    ipv6_prefix: Annotated[int, Field(ge=0, le=128)]
    forget_days: Count
    """A peer that was not seen for so long is new again."""
    ignored: list[str]
    """Addresses and networks that are left out."""
    checked_at: Time | None
    """All that was stored by then was looked at."""
    peers: Count
    new: Count
    """Those of them that nobody has decided on."""


class DriftWatches(Listed):
    """The groups that are watched for new peers, by name."""

    drift_watches: list[DriftWatch]


class OneDriftWatch(TypedDict):
    """How a group is watched for new peers."""

    drift_watch: DriftWatch
