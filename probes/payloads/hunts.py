"""Sightings and hunts as JSON and CSV.

Place in the data's way: as ``probes.payloads``, whose rows these extend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from probes import payloads
from probes.history.queries.sightings import SeenRow, Sighting
from probes.indicators import Indicator, Reading
from probes.models import Hunt
from probes.payloads.shapes import hunts as hunts_shapes
from probes.payloads.shapes import names
from probes.payloads.shapes import sightings as sightings_shapes

SIGHTING: Final = names(sightings_shapes.Sighting)
SEEN_ROW: Final = names(sightings_shapes.SeenConnection)
HUNT: Final = names(hunts_shapes.Hunt)


def sighting(row: Sighting) -> dict[str, Any]:
    """An indicator on a host."""
    return {
        "indicator": row.indicator.text,
        "kind": row.indicator.kind,
        "host": payloads.host_name(row.host),
        "removed_at": payloads.time(row.host.removed_at),
        "first_seen": payloads.time(row.first_seen),
        "last_seen": payloads.time(row.last_seen),
        "intervals": row.intervals,
        "still_there": row.still_there,
        "states": list(row.states),
        "directions": list(row.directions),
        "local_ports": list(row.local_ports),
        "remote_ports": list(row.remote_ports),
        "programs": list(row.programs),
    }


def seen_row(row: SeenRow) -> dict[str, Any]:
    """An interval with the indicators it fits."""
    return {
        "indicator": row.indicator_texts,
        "host": payloads.host_name(row.host),
        "removed_at": payloads.time(row.host.removed_at),
        **payloads.connection(row.socket),
    }


def evidence(row: SeenRow) -> dict[str, Any]:
    """The same as an alert keeps it, which knows its host."""
    return {"indicator": row.indicator_texts, **payloads.connection(row.socket)}


def reading(of: Reading) -> dict[str, Any]:
    """What a list was understood as."""
    return {
        "indicators": [indicator(each) for each in of.indicators],
        "rejected": [
            {"line": row.line, "text": row.text, "reason": str(row.reason)} for row in of.rejected
        ],
        "repeated": of.repeated,
        "lines": of.lines,
    }


def covered(of: Mapping[Indicator, Indicator]) -> list[dict[str, Any]]:
    """Networks that were looked for as a part of a wider one."""
    return [{"indicator": each.text, "by": wider.text} for each, wider in of.items()]


def indicator(of: Indicator) -> dict[str, Any]:
    """One thing that was looked for."""
    return {"indicator": of.text, "kind": of.kind}


def hunt(row: Hunt, *, open_alerts: int, resting: bool, may_change: bool) -> dict[str, Any]:
    """A saved hunt. Whom it mails is told to whoever may change it."""
    return {
        "id": row.pk,
        "name": row.name,
        "owner": row.owner.get_username(),
        "indicators": row.indicators,
        "enabled": row.enabled,
        "resting": resting,
        "mail_to": row.mail_to.splitlines() if may_change else None,
        "created_at": payloads.time(row.created_at),
        "checked_at": payloads.time(row.checked_at),
        "open_alerts": open_alerts,
    }
