"""Who ever talked to, held or ran what: the search over all hosts and all history.

Place in the data's way: filled by ``probes.payloads.hunts``, declared by ``probes.api.sightings``.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, Time
from probes.payloads.shapes.sockets import ConnectionOfHistory, Port
from probes.payloads.shapes.words import Direction, IndicatorKind, SocketState


class Indicator(TypedDict):
    """One thing that is looked for."""

    indicator: str
    """Its plain form."""
    kind: IndicatorKind


class RejectedIndicator(TypedDict):
    """A word of a list that is no indicator."""

    line: Count
    """From 1."""
    text: str
    reason: str


class Covered(TypedDict):
    """A network that was looked for as a part of a wider one."""

    indicator: str
    by: str


class Sighting(TypedDict):
    """An indicator on a host: when, and what it was seen doing. Lists have the commonest first."""

    indicator: str
    kind: IndicatorKind
    host: Named
    removed_at: Time | None
    """When the host was removed; null while it is watched."""
    first_seen: Time
    last_seen: Time | None
    """Null while some of it is still there."""
    intervals: Count
    """Connections and listeners; a change of state or process begins a new one."""
    still_there: Count
    """Those of them that are open."""
    states: list[SocketState]
    directions: list[Direction]
    local_ports: list[Port]
    """Of what came in or was listened on."""
    remote_ports: list[Port]
    """Of what the host opened itself."""
    programs: list[str]


class _SeenWhere(TypedDict):
    """Where something that is looked for was seen."""

    indicator: str
    """One or more, separated by commas."""
    host: Named
    removed_at: Time | None
    """When the host was removed; null while it is watched."""


class SeenConnection(_SeenWhere, ConnectionOfHistory):
    """A socket of a host's history with the indicators it fits."""


class _Sought(TypedDict):
    """What was looked for."""

    indicators: list[Indicator]
    rejected: list[RejectedIndicator]
    """Words of the list that were not understood."""
    covered: list[Covered]
    kept_since: Time
    """Since when history is kept: what closed before is not found."""


class SightingSummary(_Sought, Listed):
    """Each indicator with each host that saw it (``view=summary``)."""

    sightings: list[Sighting]
    capped: list[str]
    """Indicators of which only the newest sockets were counted."""
    more_programs: bool
    """Whether a part of a name means more programs than were looked for."""


class SightingRows(_Sought):
    """Every socket that fits, the newest first (``view=rows``)."""

    rows: list[SeenConnection]
    next: str | None
    """Cursor of the next page; null on the last one."""
