"""Watched ports and policies of ports as JSON and CSV.

Place in the data's way: as ``probes.payloads``, whose rows these extend. A policy of a group that
the reader does not see is told as being of a group, without its name or number.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from probes import payloads
from probes.models import PortPolicy, WatchedPort
from probes.payloads.shapes import names
from probes.payloads.shapes import watching as shapes
from probes.watch import policies, policy_book
from probes.watch.policies import Effective
from probes.watch.policy_book import Preview
from probes.watch.port_list import Range

WATCHED: Final = names(shapes.WatchedPort)
POLICY: Final = names(shapes.Policy)


def watched(row: WatchedPort, *, of: Range, expected: str, allowed: str) -> dict[str, Any]:
    """A port with the entries of the lists that name it, "" where none does."""
    return {
        "protocol": row.protocol,
        "port": row.port,
        "state": state(row),
        "since": payloads.time(row.since),
        "first_seen": payloads.time(row.first_seen) if row.addresses else None,
        "last_seen": payloads.time(row.last_seen) if row.addresses else None,
        "addresses": row.addresses,
        "programs": row.programs,
        "pids": row.pids,
        "range": of.value,
        "expected": expected or None,
        "allowed": allowed or None,
    }


def state(row: WatchedPort) -> str:
    """``up``, ``down``, ``missing`` (expected and absent) or ``wrong_holder`` (expected, and held
    by another program)."""
    if row.expected:
        return "wrong_holder" if row.is_up else "missing"
    return "up" if row.is_up else "down"


def policy(row: PortPolicy) -> dict[str, Any]:
    """A policy; its group and host are loaded, and the reader may see them."""
    return {
        "id": row.pk,
        "scope": policy_book.scope(row),
        "group": None if row.group is None else {"id": row.group.pk, "name": row.group.name},
        "host": None if row.host is None else payloads.host_name(row.host),
        "enabled": row.enabled,
        "allowed": row.allowed,
        "excluded": row.excluded,
        "expected": row.expected,
        "raises": policies.switches(row.raises),
        "updated_at": payloads.time(row.updated_at),
    }


def effective(of: Effective, *, groups: Container[int]) -> dict[str, Any]:
    """What applies to a host, each line with where it comes from; ``groups`` are those the reader
    may know of."""
    said = of.policy
    return {
        "enabled": said.enabled,
        "enabled_by": [_source(row, groups) for row in of.enabled_by],
        "lists": {
            name: [
                {"entry": str(entry), "from": [_source(row, groups) for row in rows]}
                for entry, rows in of.sources(name)
            ]
            for name in policies.LISTS
        },
        "raises": {range_.value: sorted(said.raises.get(range_, ())) for range_ in Range},
        "raises_by": {
            range_.value: [_source(row, groups) for row in of.raised_by(range_)] for range_ in Range
        },
    }


def preview(of: Preview) -> dict[str, Any]:
    """What a change would do."""
    return {
        "hosts": of.hosts,
        "totals": dict(of.totals),
        "effects": [
            {
                "host": payloads.host_name(effect.host),
                **{name: [str(key) for key in getattr(effect, name)] for name in of.totals},
            }
            for effect in of.effects
        ],
    }


def _source(row: PortPolicy, groups: Container[int]) -> dict[str, Any]:
    name = row.group.name if row.group is not None and row.group.pk in groups else None
    return {"scope": policy_book.scope(row), "group": name}
