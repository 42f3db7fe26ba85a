"""How often one thing on one host is told to one channel: at most three messages an hour.

Place in the data's way: asked by ``probes.notify.deciding`` for every message it might write. Pure:
a :class:`Memory` and a time in, the next memory and a verdict out; the rows are ``Told``.

The third message within an hour says that the thing changes often, and nothing more is told for an
hour after it. Then, where it is other than what was told last, how it ended is told. What changes
while its message has not been sent yet is put into that message and counts as no other.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final

MOST: Final = 3
"""Messages an hour."""
HOUR: Final = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a channel was told of one thing on one host."""

    is_active: bool = False
    """Whether it was told to be wrong, or to be over (or nothing yet)."""
    at: dt.datetime | None = None
    times: tuple[dt.datetime, ...] = ()
    """Of the messages of the last hour."""
    held_since: dt.datetime | None = None
    """Nothing is told for an hour from then on."""

    def recent(self, now: dt.datetime) -> tuple[dt.datetime, ...]:
        """Those of ``times`` that are not an hour old yet."""
        return tuple(time for time in self.times if now - time < HOUR)

    def held(self, now: dt.datetime) -> bool:
        """Whether it is kept quiet at ``now``."""
        return self.held_since is not None and now - self.held_since < HOUR


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is told, and what is remembered then."""

    tell: bool
    memory: Memory
    quiet_until: dt.datetime | None = None
    """Of the last message of the hour: when the next may come."""


def turned(
    memory: Memory, *, active: bool, now: dt.datetime, says_over: bool, gathers: bool
) -> Verdict:
    """What to do about a thing that became wrong (``active``) or is over.

    An end is told only where its beginning was, and where the channel wants to hear of ends
    (``says_over``). ``gathers``: it stands in a message that was not sent yet.
    """
    if gathers:
        quiet = memory.held_since + HOUR if memory.held_since and memory.held(now) else None
        return Verdict(True, replace(memory, is_active=active), quiet)
    if not active and not memory.is_active:
        return Verdict(False, memory)
    if memory.held(now):
        return Verdict(False, memory)
    if not active and not says_over:
        return Verdict(False, replace(memory, is_active=False))
    return _told(memory, active=active, now=now)


def reminded(memory: Memory, *, now: dt.datetime) -> Verdict:
    """What to do about a thing that is still wrong and was told to be so some while ago."""
    if memory.held(now) or len(memory.recent(now)) >= MOST - 1:
        return Verdict(False, memory)
    return _told(memory, active=True, now=now)


def still(memory: Memory, *, now: dt.datetime) -> Verdict:
    """What to do about a thing that is wrong when a maintenance window ends, told before or not."""
    return Verdict(False, memory) if memory.held(now) else _told(memory, active=True, now=now)


def settled(memory: Memory, *, active: bool, now: dt.datetime, says_over: bool) -> Verdict:
    """What to do about a thing whose quiet hour is over: how it ended is told where that is other
    than what was told last."""
    rested = replace(memory, held_since=None, times=memory.recent(now))
    if active == memory.is_active:
        return Verdict(False, rested)
    if not active and not says_over:
        return Verdict(False, replace(rested, is_active=False))
    return _told(rested, active=active, now=now)


def _told(memory: Memory, *, active: bool, now: dt.datetime) -> Verdict:
    times = (*memory.recent(now), now)
    last = len(times) >= MOST
    told = Memory(is_active=active, at=now, times=times, held_since=now if last else None)
    return Verdict(True, told, now + HOUR if last else None)
