"""Peers and new-peer watches as JSON and CSV.

Place in the data's way: as ``probes.payloads``, whose rows these extend.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from probes import payloads
from probes.models import DriftWatch, Peer
from probes.payloads.shapes import names
from probes.payloads.shapes import peers as shapes

PEER: Final = names(shapes.Peer)
WATCH: Final = names(shapes.DriftWatch)


def peer(row: Peer, *, visible: Collection[int]) -> dict[str, Any]:
    """A peer; its group and host are loaded. Of hosts that are not ``visible`` nothing is said."""
    shown = row.host is not None and row.host.pk in visible
    return {
        "id": row.pk,
        "state": row.state,
        "group": {"id": row.group.pk, "name": row.group.name},
        "program": row.program or None,
        "network": row.network,
        "first_seen": payloads.time(row.first_seen),
        "last_seen": payloads.time(row.last_seen),
        "host": payloads.host_name(row.host) if shown and row.host is not None else None,
        "until": payloads.time(row.until),
        "decided_by": row.decided_by or None,
        "decided_at": payloads.time(row.decided_at),
        "alert": row.alert_id if shown else None,
    }


def watch(row: DriftWatch, *, peers: int, new: int) -> dict[str, Any]:
    """A new-peer watch; its group is loaded."""
    return {
        "id": row.pk,
        "group": {"id": row.group.pk, "name": row.group.name},
        "enabled": row.enabled,
        "learn_until": payloads.time(row.learn_until),
        "ipv4_prefix": row.ipv4_prefix,
        "ipv6_prefix": row.ipv6_prefix,
        "forget_days": row.forget_days,
        "ignored": row.ignored.splitlines(),
        "checked_at": payloads.time(row.checked_at),
        "peers": peers,
        "new": new,
    }
