"""Saved hunts, and what the search box finds.

Place in the data's way: filled by ``probes.payloads.hunts`` and ``probes.payloads.search``,
declared by ``probes.api.hunts``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.sightings import Indicator, Sighting
from probes.payloads.shapes.sockets import ConnectionOfHistory, Port


class Hunt(TypedDict):
    """Indicators that every probe is compared with."""

    id: Identity
    name: str
    owner: str
    """A user name."""
    indicators: str
    """The list as it was saved."""
    enabled: bool
    resting: bool
    """Whether it looks at nothing although it is enabled: its owner may not any more."""
    mail_to: list[str] | None
    """Told to whoever may change the hunt; else null."""
    created_at: Time
    checked_at: Time | None
    """All that was stored by then was looked at."""
    open_alerts: Count
    """Of those that the caller may see."""


class Hunts(Listed):
    """The saved hunts, by name."""

    hunts: list[Hunt]


class OneHunt(TypedDict):
    """A saved hunt."""

    hunt: Hunt


class _Some(TypedDict):
    """A few of the finds of one kind."""

    total: Count
    """Of all of them; where ``more`` is true, at least so many."""
    more: bool
    """Whether not everything was looked through."""


class FoundHost(Named):
    """A host whose name, group or address fits."""

    address: str


class FoundHosts(_Some):
    """Hosts that fit."""

    rows: list[FoundHost]


class Talker(TypedDict):
    """A host with open sockets that fit."""

    host: Named
    listeners: Count
    connections: Count
    ports: list[Port]
    """Some of the ports that were listened on."""
    programs: list[str]
    """Some of the programs."""


class Talkers(_Some):
    """Hosts with open sockets that fit, the most sockets first."""

    rows: list[Talker]


class FoundSightings(_Some):
    """Where it was ever seen."""

    rows: list[Sighting]


class ProcessSocket(ConnectionOfHistory):
    """A socket of a process with the number that was asked for."""

    host: Named


class ProcessSockets(_Some):
    """Sockets of processes with that number."""

    rows: list[ProcessSocket]


class FoundHunts(_Some):
    """Hunts that fit."""

    rows: list[Named]


class FoundAlert(TypedDict):
    """An alert that fits."""

    id: Identity
    subject: str
    host: Named
    newest_at: Time
    hits: Count
    acknowledged_at: Time | None


class FoundAlerts(_Some):
    """Alerts that fit."""

    rows: list[FoundAlert]


class Found(TypedDict):
    """What a search found. What the text cannot mean is null."""

    q: str
    """What was looked for."""
    indicator: Indicator | None
    """What the text means in history."""
    pid: Annotated[int, Field(ge=0)] | None
    hosts: FoundHosts
    listeners: Talkers | None
    """Who listens on the port, or is the program that listens."""
    now: Talkers | None
    """Whose open sockets fit."""
    history: FoundSightings | None
    pids: ProcessSockets | None
    hosts_looked_through: Count | None
    """Hosts whose open sockets were looked through for the PID."""
    hosts_left_out: Count | None
    hunts: FoundHunts
    alerts: FoundAlerts
