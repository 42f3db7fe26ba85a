"""Counters at two times as changes per second, safe against counters that went back.

Place in the data's way: after ``history.queries`` read two samples, before pages, JSON and charts
show a rate. Pure.

A counter goes back when the host restarts, when an interface is made anew, or when a counter of
32 bits wraps. Its growth since then cannot be known, so there is no rate, and none of what was
counted beside it either: after a restart the others merely happen to be larger than before. What
cannot be seen is a counter that went back and passed its old value between the two times: its
rate is then too low, never too high and never below zero.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

Counters = Mapping[str, int | None]
"""Values by name at one time; None where it is not known."""

Rates = dict[str, float | None]
"""Changes per second by name; None where there is none to tell."""

GAUGES = frozenset(
    {
        # tcp and ip groups of RFC 1213: settings, and the number of connections right now.
        "CurrEstab",
        "DefaultTTL",
        "Forwarding",
        "MaxConn",
        "RtoAlgorithm",
        "RtoMax",
        "RtoMin",
        # MPTCP's of the same meaning, in /proc/net/netstat.
        "MPCurrEstab",
    }
)
"""Names among protocol counters that go up and down, or are settings: they have no rate."""


def is_gauge(name: str) -> bool:
    """Whether a value of a protocol is no counter."""
    return name in GAUGES or name.startswith("current_") or name.endswith("_state")


def per_second(
    before: Counters | None,
    after: Counters,
    *,
    seconds: float,
    gauges: Collection[str] = (),
) -> Rates:
    """Changes per second of each counter of ``after``, which was read ``seconds`` after ``before``.

    All are None where any counter of both went back, where ``before`` is None, or where no time
    went by. ``gauges`` are the names that are no counters: theirs is None, and they may go back.
    """
    nothing: Rates = dict.fromkeys(after)
    if before is None or not math.isfinite(seconds) or seconds <= 0:
        return nothing
    rates: Rates = {}
    for name, value in after.items():
        earlier = before.get(name)
        if name in gauges or value is None or earlier is None:
            rates[name] = None
        elif value < earlier:
            return nothing
        else:
            rates[name] = (value - earlier) / seconds
    return rates


def of_interfaces(
    before: Mapping[str, Counters], after: Mapping[str, Counters], *, seconds: float
) -> dict[str, Rates]:
    """Rates by the name of each interface of ``after``; each interface went back alone."""
    return {
        name: per_second(before.get(name), counters, seconds=seconds)
        for name, counters in after.items()
    }


def of_protocols(
    before: Mapping[str, Counters], after: Mapping[str, Counters], *, seconds: float
) -> dict[str, Rates]:
    """Rates by protocol and counter; a counter that went back silences its own protocol."""
    return {
        protocol: per_second(
            before.get(protocol),
            counters,
            seconds=seconds,
            gauges=[name for name in counters if is_gauge(name)],
        )
        for protocol, counters in after.items()
    }
