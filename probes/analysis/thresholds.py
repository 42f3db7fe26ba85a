"""Counts of one host that deserve a look, and the numbers from which they do.

Place in the data's way: asked by ``probes.reports.composition`` with counts it read; pure. The
numbers are those that the usual monitoring scripts over netstat warn at. They say "look here", not
"this is wrong": what explains itself better is among the findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

BY_STATE: Final[dict[str, int]] = {
    "ESTABLISHED": 200,
    "SYN_RECV": 50,
    "TIME_WAIT": 1000,
    "CLOSE_WAIT": 100,
}
"""More sockets than this in a state on one host."""
ONE_IP: Final = 50
"""More ESTABLISHED connections than this with one remote address."""
ONE_PORT: Final = 100
"""More ESTABLISHED connections than this to one of the common ports."""


@dataclass(frozen=True, slots=True)
class Check:
    """One threshold, and the largest count that was held against it."""

    what: str
    """A state of BY_STATE, ``ip`` or ``port``."""
    threshold: int
    most: int
    where: str | None
    """What had ``most``; None where nothing was counted."""
    exceeded: int
    """How many were above the threshold."""


def check(what: str, threshold: int, counts: Iterable[tuple[str, int]]) -> Check:
    """Hold counts against a threshold: a count above it exceeds it."""
    most, where, exceeded = 0, None, 0
    for name, count in counts:
        exceeded += count > threshold
        if count > most:
            most, where = count, name
    return Check(what, threshold, most, where, exceeded)


def by_state(hosts: Mapping[str, Mapping[str, int]]) -> list[Check]:
    """One check a state of BY_STATE, over the counts of each host."""
    return [
        check(state, threshold, ((name, counts.get(state, 0)) for name, counts in hosts.items()))
        for state, threshold in BY_STATE.items()
    ]
