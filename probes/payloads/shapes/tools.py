"""Shapes of what tools for assistants answer, where no JSON route answers the same.

Place in the data's way: declared by ``probes.mcp_tools.catalogue``; the rows are those of the
routes.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, SnapshotBrief, Time
from probes.payloads.shapes.alerts import Alert
from probes.payloads.shapes.sockets import Listener, Port
from probes.payloads.shapes.statistics import IpCount
from probes.payloads.shapes.watching import Change


class WatchOfPort(TypedDict):
    """What the watch of ports knows of one."""

    protocol: str
    state: Literal["up", "down", "missing", "wrong_holder"]
    since: Time
    """When it came into that state."""
    first_seen: Time | None
    """Null where it was never seen."""
    last_seen: Time | None


class PortExplained(TypedDict):
    """A port of a host: who holds it, who uses it, since when, and what became of it."""

    host: Named
    snapshot: SnapshotBrief | None
    """Of when the listeners and clients are; null where none is kept."""
    port: Port
    listeners: list[Listener]
    """Empty where nothing listens on it."""
    listeners_total: Count
    clients: list[IpCount]
    """Remote addresses with connections to it, those with most first."""
    clients_total: Count
    watch: list[WatchOfPort]
    """Empty where the port is not watched."""
    changes: list[Change]
    """The newest changes of it, whenever they were."""
    changes_total: Count
    alerts: list[Alert]
    """Those about it that are active now."""
    alerts_total: Count


class AlertInShort(Alert):
    """An alert with the first rows of its evidence."""

    evidence_total: Count


class AlertsInShort(Listed):
    """Alerts that are not over."""

    alerts: list[AlertInShort]
