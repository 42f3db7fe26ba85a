"""What listens, to whom, and what of it answers.

Place in the data's way: filled by ``probes.payloads.exposure``, declared by the routes of
``probes.api.exposure``.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, Time
from probes.payloads.shapes.sockets import Port
from probes.payloads.shapes.words import (
    Exposure,
    Families,
    ReachProblem,
    ReachResult,
    ReachRunState,
    ReachSkip,
)


class Reach(TypedDict):
    """How the newest attempt to connect from the controller to an address and port ended."""

    address: str
    port: Port
    result: ReachResult
    checked_at: Time
    duration_ms: Count
    asked_by: str | None


class ExposurePeer(TypedDict):
    """A remote address that connects to a listener."""

    ip: str
    external: bool
    """Whether it is neither private nor loopback."""
    connections: Count


class ExposureHolder(TypedDict):
    """A process that has a listener; null where it cannot be seen."""

    pid: int | None
    program: str | None
    first_seen: Time
    """Since when this very process has it."""
    copies: Count
    """Sockets of the process on it."""


class Exposed(TypedDict):
    """A listener with who connects, and whether it was reached."""

    host: Named
    protocol: str
    local_ip: str
    local_port: Port | None
    service: str | None
    """What the port is registered for."""
    programs: list[str]
    pids: list[int]
    bound: Exposure
    """What kind of address it is bound to."""
    families: Families | None
    """Of a listener on every address: which families it takes."""
    since: Time
    """Start of the unbroken chain of processes on this protocol, address and port."""
    from_the_first: bool
    """Whether the first whole snapshot that is kept shows it already: it may be older."""
    first_seen: Time
    """Since when the oldest of its processes has it."""
    last_seen: Time | None
    """Of one that went: the last whole snapshot that showed it."""
    connections: Count | None
    """Into it, whichever process has them; null where its address is not known."""
    remote_ips: Count | None
    """Different addresses connected to it."""
    external_ips: Count
    external_connections: Count
    peers: list[ExposurePeer]
    """The five with most connections."""
    reach: Reach | None
    holders: list[ExposureHolder]
    explanation: str
    """All of it in words, in the reader's language."""


class ExposureLedger(Listed):
    """What listens on each host, the worst first."""

    exposure: list[Exposed]
    by_bound: dict[Exposure, Count]
    """Of all that fits every filter but ``bound``."""
    new_hosts: Count
    """With ``since``: hosts first probed after it, whose listeners are not called new."""
    counted: bool
    """False where more came or went than are looked at."""


class ReachRun(TypedDict):
    """The newest attempt at a host's listeners from the controller."""

    state: ReachRunState
    """``lost``: whoever did it ended meanwhile."""
    asked_at: Time
    asked_by: str | None
    finished_at: Time | None
    planned: Count
    """Addresses and ports that it tries."""
    tried: Count
    skipped: dict[ReachSkip, Count]
    """Listeners that it does not try, by reason."""
    problem: ReachProblem | None
    """Why it tried nothing."""


class ReachOfHost(TypedDict):
    """How the newest attempt at a host's listeners went."""

    host: Named
    run: ReachRun | None
    """Null where there was none."""
    reach: list[Reach]


class ReachAsked(TypedDict):
    """The attempt that was asked for, or that is under way."""

    run: ReachRun | None
