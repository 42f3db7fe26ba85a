"""Differences of two times, two hosts side by side, connections over a time.

Place in the data's way: filled by ``probes.payloads.history``, declared by ``probes.api.history``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Listed, Named, SnapshotBrief, Time
from probes.payloads.shapes.sockets import Port
from probes.payloads.shapes.words import Direction, Reachable, SocketState


class Difference(TypedDict):
    """A socket that opened, closed or changed; null before of what opened, after of what closed."""

    kind: Literal["opened", "closed", "changed"]
    protocol: str
    local_ip: str
    local_port: Port | None
    foreign_ip: str
    foreign_port: Port | None
    direction: Direction
    state_before: SocketState | None
    state_after: SocketState | None
    pid_before: int | None
    pid_after: int | None
    program_before: str | None
    program_after: str | None
    copies_before: int | None
    copies_after: int | None
    first_seen_before: Time | None
    first_seen_after: Time | None
    last_seen_before: Time | None
    """When it was last seen as it was before; null while it is still there."""
    last_seen_after: Time | None


class DifferenceCounts(TypedDict):
    """How many there are of each kind."""

    opened: Count
    closed: Count
    changed: Count


class DifferenceSums(TypedDict):
    """All that fits the filters, whatever ``kind``, ``what`` and page were asked for."""

    listeners: DifferenceCounts
    connections: DifferenceCounts


Diff = TypedDict(
    "Diff",
    {
        "host": Named,
        "from": Annotated[
            SnapshotBrief | None,
            Field(
                description="The snapshot before; null where the host was probed once, or never."
            ),
        ],
        "to": Annotated[
            SnapshotBrief | None,
            Field(description="The snapshot after; null where the host was never probed whole."),
        ],
        "counts": DifferenceSums,
        "differences": list[Difference],
        "total": Annotated[Count, Field(description="Differences on all pages.")],
        "next": Annotated[
            str | None, Field(description="Cursor of the next page; null on the last one.")
        ],
    },
)
Diff.__doc__ = "What opened, closed and changed on a host between two times."


class Step(TypedDict):
    """A while in which nothing about a connection changed."""

    state: SocketState | None
    pid: int | None
    program: str | None
    copies: Count
    """How many rows of the tool's table were this one."""
    first_seen: Time
    last_seen: Time
    lasted_s: float
    """Until the next step was first seen; of the last one, until it was last seen."""


class OverTime(TypedDict):
    """A connection or listener from first to last sight, while it was there without a break."""

    protocol: str
    local_ip: str
    local_port: Port | None
    foreign_ip: str
    foreign_port: Port | None
    direction: Direction
    first_seen: Time
    last_seen: Time
    """Of what is still there: the time of the host's newest whole snapshot."""
    open: bool
    """Whether it is still there."""
    duration_s: float
    """How long it was seen; 0 where one snapshot alone showed it."""
    times: Annotated[int, Field(ge=1)]
    """The how-manieth connection of these very ends in the time it is."""
    states: list[SocketState | None]
    """Those it went through, in the order of time."""
    pids: list[int]
    programs: list[str]
    steps: list[Step]
    """In the order of time; at once where several processes hold one listener."""


class HistoryOfHost(Listed):
    """The connections of a host over a time."""

    host: Named
    since: Time
    until: Time
    complete: bool
    """False where only the time from ``since`` on was looked at, later than was asked for."""
    connections: list[OverTime]


class Compared(TypedDict):
    """One port listened on, service talked to or client served, by one of two hosts or both."""

    what: Literal["listeners", "talks", "clients"]
    side: Literal["a", "b", "both"]
    """Who has it: the first host, the second one, or both."""
    differs: bool
    """False where both have it alike."""
    protocol: str
    """Without its family: tcp6 and tcp are one."""
    ip: str | None
    """The peer's, or ``itself`` for every address of the host; null of a listener."""
    port: Port | None
    """The one that is listened on."""
    count_a: Count
    """Sockets of the first host."""
    count_b: Count
    programs_a: list[str]
    programs_b: list[str]
    bound_a: list[Reachable]
    """Of a listener: from where it can be reached."""
    bound_b: list[Reachable]


class Comparison(Listed):
    """Two hosts side by side."""

    hosts: Annotated[list[Named], Field(min_length=2, max_length=2)]
    snapshots: Annotated[list[SnapshotBrief | None], Field(min_length=2, max_length=2)]
    """Of the first and the second host; null where nothing is known of one at that time."""
    rows: list[Compared]
    capped: bool
    """Whether a host has more than 20,000 peers, so that rarer ones were left out."""
