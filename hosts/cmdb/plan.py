"""What a source says now against what came from it before: what is to be added, changed, removed.

Place in the data's way: between ``hosts.cmdb.rows`` and ``hosts.cmdb.sync``, which does it. Pure.

A source speaks of a field when what it gives differs from what it gave last; then it wins, also
over what a person wrote meanwhile, because the fact is kept there (the change is in the audit
log). Of whatever it repeats, or never gave, a person's edit stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hosts.cmdb.rows import Listed, Problem, Row

MAX_REMOVED_PERCENT = 10
"""Of the hosts that came from a source; more wait for a person. There is no exception for short
lists: below ten hosts every removal waits."""


@dataclass(frozen=True, slots=True)
class Came:
    """A host that came from the source before."""

    host_id: int
    key: str
    given: dict[str, Any]
    """What the source gave last."""
    stored: dict[str, Any]
    """name, address, port, platform, notes as they are now."""
    removed: bool = False
    """A person removed it here."""
    foreign_credential: str = ""
    """Name of the host's credential, where it is another than the source's own."""


@dataclass(frozen=True, slots=True)
class Other:
    """A host that did not come from the source."""

    host_id: int
    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Change:
    """Fields of a host as [before, after]; none where only what was given is remembered.
    ``credential`` is among them where it is taken off the host."""

    came: Came
    row: Row
    fields: dict[str, list[Any]]


@dataclass(slots=True)
class Plan:
    """What is to be done, in whole."""

    add: list[Row] = field(default_factory=list)
    change: list[Change] = field(default_factory=list)
    remember: list[Change] = field(default_factory=list)
    """Hosts that stay as they are although the source says something new."""
    remove: list[Came] = field(default_factory=list)
    keep: int = 0
    ignored: list[Came] = field(default_factory=list)
    """Listed, but removed here by a person: they stay removed."""
    problems: list[tuple[Problem, int | None]] = field(default_factory=list)
    """With the host that is in the way, which a person may let the source have."""
    known: int = 0
    """Hosts that came from the source before and are not removed."""
    unclear: int = 0
    """Rows of which nobody can say which host they are."""
    lately: int = 0
    """Hosts that the source removed in the last 24 hours and nobody was asked about: a list that
    crumbles away asks too."""

    @property
    def waits(self) -> str:
        """Why a person must look first: ``many_removed``, ``many_lately``, ``unclear``, or ""
        where it need not."""
        if not self.remove:
            return ""
        if _too_many(len(self.remove), self.known):
            return "many_removed"
        if _too_many(len(self.remove) + self.lately, self.known + self.lately):
            return "many_lately"
        return "unclear" if self.unclear else ""


def _too_many(removed: int, known: int) -> bool:
    return removed * 100 > known * MAX_REMOVED_PERCENT


def make(listed: Listed, came: Iterable[Came], others: Iterable[Other], *, lately: int = 0) -> Plan:
    """The plan. A host whose row has a problem is kept as it is, never removed."""
    plan = Plan(problems=[(problem, None) for problem in listed.problems], lately=lately)
    plan.unclear = sum(not problem.key and not problem.name for problem in listed.problems)
    left = {known.key: known for known in came}
    plan.known = sum(not known.removed for known in left.values())
    unmatched: list[Row] = []
    for row in listed.rows:
        known = left.pop(row.key, None)
        if known is None:
            unmatched.append(row)
        else:
            _compare(plan, known, row)
    troubled = {problem.key for problem in listed.problems if problem.key}
    named = {problem.name for problem in listed.problems if problem.name}
    for key in [key for key, one in left.items() if key in troubled or one.stored["name"] in named]:
        if not left.pop(key).removed:
            plan.keep += 1
    _place(plan, unmatched, left, others)
    plan.remove = [known for known in left.values() if not known.removed]
    return plan


def in_turn(changes: list[Change]) -> list[list[Change]]:
    """Changes so that a name is free before another host takes it; those in a circle together."""
    frees = {one.came.stored["name"]: one for one in changes if "name" in one.fields}
    turns: list[list[Change]] = []
    seen: set[int] = set()
    for change in changes:
        trail: list[Change] = []
        one: Change | None = change
        while one is not None and one.came.host_id not in seen:
            seen.add(one.came.host_id)
            trail.append(one)
            one = frees.get(one.fields["name"][1]) if "name" in one.fields else None
        if trail and one is trail[0]:
            turns.append(trail)
        else:
            turns += [[each] for each in reversed(trail)]
    return turns


def _place(
    plan: Plan, unmatched: list[Row], left: dict[str, Came], others: Iterable[Other]
) -> None:
    """Rows with a key never seen: a host under a new id, a host of somebody else's, or a new one.

    Takes hosts that are found again out of ``left``.
    """
    by_name = {known.stored["name"]: known for known in left.values() if not known.removed}
    names: dict[str, int] = {}
    places: dict[tuple[str, int], int] = {}
    for other in others:
        names[other.name] = places[other.address, other.port] = other.host_id
    for row in unmatched:
        again = by_name.get(row.fields["name"])
        if again is not None:
            left.pop(again.key)
            _compare(plan, again, row)
            continue
        there = names.get(row.fields["name"]) or places.get(
            (row.fields["address"], row.fields.get("port", 22))
        )
        if there is not None:
            problem = Problem("exists", row.where, row.fields["name"], row.key)
            plan.problems.append((problem, there))
        else:
            plan.add.append(row)


def _compare(plan: Plan, known: Came, row: Row) -> None:
    if known.removed:
        plan.ignored.append(known)
        return
    said = {name: value for name, value in row.fields.items() if known.given.get(name) != value}
    fields = {
        name: [known.stored[name], value]
        for name, value in said.items()
        if known.stored[name] != value
    }
    if known.foreign_credential and fields.keys() & {"address", "port"}:
        # No list sends a stored secret elsewhere but that which its administrator confirmed.
        fields["credential"] = [known.foreign_credential, None]
    change = Change(known, row, fields)
    if fields:
        plan.change.append(change)
        return
    plan.keep += 1
    if said or known.key != row.key or known.given.keys() - row.fields.keys():
        plan.remember.append(change)
