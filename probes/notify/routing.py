"""Whom an alert concerns: a channel's filters over groups, kinds and severities.

Place in the data's way: asked by ``probes.notify.deciding``. Pure: values in, a verdict out; knows
no database, no silences and nothing of what was told before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RANKS: Final = {"info": 0, "warning": 1, "critical": 2}
"""``Severity`` from harmless to bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a channel's filters look at: an alert and where its host belongs."""

    kind: str
    severity: str
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a channel wants to be told of."""

    groups: frozenset[int] = frozenset()
    """Ids of groups; empty: every host."""
    kinds: frozenset[str] = frozenset()
    """Kinds of alerts; empty: all."""
    min_severity: str = "warning"


def wants(wanted: Wanted, subject: Subject) -> bool:
    """Whether all of the filters let it through; a severity nobody knows counts as the worst."""
    worst = max(RANKS.values())
    return (
        (not wanted.groups or bool(wanted.groups & subject.groups))
        and (not wanted.kinds or subject.kind in wanted.kinds)
        and RANKS.get(subject.severity, worst) >= RANKS.get(wanted.min_severity, 0)
    )
