"""Imports a rule set: what would change, and all of it or nothing.

Place in the data's way: above ``sections``; called by the page, the JSON route and the command. One
transaction: a dry run does the same and undoes it, so that it says exactly what would happen.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from netadmin.access import audit
from probes.models import Rule
from probes.rule_set.exporting import plain
from probes.rule_set.schema import RuleSet, RuleSetError, read
from probes.rule_set.section import Context, Key, Section
from probes.rule_set.sections import SECTIONS, WINDOWS, Policies

MOST_RECORDED: Final = 200
"""Items that the audit log names of one import."""
MOST_WRITTEN: Final = 500
"""Items and overrides that one import writes or removes: it is one transaction, each of them is
checked and recorded by itself, and meanwhile SQLite has no other writer."""


class Kind(enum.StrEnum):
    """What an import does to an item."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    LEFT = "left"
    """In no file, and left as it is, since nothing is to be removed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What an import does to one item."""

    section: str
    kind: Kind
    label: str
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """By field: before and after, of what is changed; of what is added, None and the value."""


@dataclass(slots=True)
class Outcome:
    """What an import did, or would do."""

    differences: list[Difference]
    notes: list[tuple[str, str]]
    """What a person has to know: pairs of an item and words."""
    stored: bool = False

    def count(self, kind: Kind) -> int:
        """How many items."""
        return sum(one.kind == kind for one in self.differences)

    @property
    def changes_anything(self) -> bool:
        """Whether anything is added, changed or removed."""
        return any(one.kind not in (Kind.UNCHANGED, Kind.LEFT) for one in self.differences)

    @property
    def digest(self) -> str:
        """Of what it does: a confirmation is of this and nothing else."""
        listed = [
            [one.section, one.kind, one.label, one.changes]
            for one in self.differences
            if one.kind not in (Kind.UNCHANGED, Kind.LEFT)
        ]
        text = json.dumps(listed, sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def apply(
    value: Any,
    *,
    replace: bool = False,
    dry_run: bool = False,
    shown: str | None = None,
    request: HttpRequest | None = None,
) -> Outcome:
    """Import a document (plain values); RuleSetError, with every position, where it is wrong.

    Items that the file does not have are removed with ``replace`` only, and only of sections that
    the file has. ``shown`` is the digest of the dry run that is confirmed: where something else
    would happen by now, nothing does.
    """
    wanted = read(value)
    with transaction.atomic():
        # Two imports at once come one after the other; SQLite's transaction is that by itself.
        list(Rule.objects.select_for_update().order_by("pk").values_list("pk"))
        context = Context.now(request)
        outcome = Outcome(_written(wanted, context, replace=replace), context.notes)
        if context.problems:
            raise RuleSetError(context.problems)
        if dry_run or (shown is not None and shown != outcome.digest):
            transaction.set_rollback(True)
            return outcome
        if outcome.changes_anything:
            audit.record("rule_set.import", request=request, detail=_recorded(outcome, replace))
        outcome.stored = True
    return outcome


@dataclass(frozen=True, slots=True)
class _Step:
    """One row to write or to remove."""

    section: Section[Any, Any]
    row: Any
    """None: it is to be made."""
    item: Any
    where: str = ""

    @property
    def weight(self) -> int:
        """How many rows it is about."""
        return 1 + len(getattr(self.item, "overrides", ()))


def _written(wanted: RuleSet, context: Context, *, replace: bool) -> list[Difference]:
    differences: list[Difference] = []
    writes: list[_Step] = []
    removals: list[_Step] = []
    for section in SECTIONS:
        if getattr(wanted, section.name) is not None:
            _compare(section, wanted, context, replace, (differences, writes, removals))
    _windows_of_gone_rules(wanted, context, differences, removals)
    weight = sum(step.weight for step in (*writes, *removals))
    if weight > MOST_WRITTEN:
        said = _(
            "This would change %(n)s items, and at most %(most)s are changed at once. Import it in "
            "parts: what is left out of a part stays as it is, unless it says to remove that."
        )
        raise RuleSetError([("", said % {"n": weight, "most": MOST_WRITTEN})])
    for step in writes:
        step.section.write(step.item, step.row, step.where, context)
    for step in reversed(removals):
        step.section.remove(step.row, context)
    return differences


def _compare(
    section: Section[Any, Any],
    wanted: RuleSet,
    context: Context,
    replace: bool,
    into: tuple[list[Difference], list[_Step], list[_Step]],
) -> None:
    """What is to be done for one section of the file, and how it differs from what is stored."""
    differences, writes, removals = into
    now = timezone.now()
    stored: dict[Key, tuple[Any, Any]] = {}
    for row, item in section.rows():
        stored.setdefault(section.key(item), (row, item))
    seen: set[Key] = set()
    for place, item in enumerate(getattr(wanted, section.name)):
        where = f"{section.name}[{place}]"
        key = section.key(item)
        if key in seen:
            context.problems.append((where, _("Give this once.")))
            continue
        seen.add(key)
        if section.is_over(item, now):
            context.notes.append((section.label(item), _("It is over, and left out.")))
            continue
        row, before = stored.get(key, (None, None))
        old, new = ({} if before is None else _compared(before)), _compared(item)
        # What is new is told as the file has it, what is changed by name.
        changes = {
            name: (old.get(name), new.get(name))
            for name in (new if before is None else sorted(old.keys() | new.keys()))
            if old.get(name) != new.get(name)
        }
        kind = Kind.ADDED if before is None else Kind.CHANGED if changes else Kind.UNCHANGED
        differences.append(Difference(section.name, kind, section.label(item), changes))
        if kind != Kind.UNCHANGED:
            writes.append(_Step(section, row, item, where))
    for key, (row, item) in stored.items():
        if key in seen:
            continue
        stays = not replace or (isinstance(section, Policies) and key == (None, None))
        kind = Kind.LEFT if stays else Kind.REMOVED
        differences.append(Difference(section.name, kind, section.label(item)))
        if not stays:
            removals.append(_Step(section, row, item))


def _windows_of_gone_rules(
    wanted: RuleSet, context: Context, differences: list[Difference], removals: list[_Step]
) -> None:
    """Maintenance windows of a rule go with it: one that the file has is a problem, the others are
    told as removed."""
    gone = {step.row.name for step in removals if isinstance(step.row, Rule)}
    if not gone:
        return
    for place, item in enumerate(wanted.maintenance_windows or ()):
        if item.rule in gone and not WINDOWS.is_over(item, timezone.now()):
            said = _("This rule would be removed: leave the window out, or keep the rule.")
            context.problems.append((f"{WINDOWS.name}[{place}].rule", said))
    if wanted.maintenance_windows is None:
        for row, item in WINDOWS.rows():
            if item.rule in gone:
                differences.append(Difference(WINDOWS.name, Kind.REMOVED, WINDOWS.label(item)))
                removals.append(_Step(WINDOWS, row, item))


def _compared(item: Any) -> dict[str, Any]:
    """An item as it is compared: what has no order in it is in one."""
    fields: dict[str, Any] = plain(item)
    if "overrides" in fields:
        fields["overrides"] = sorted(
            fields["overrides"], key=lambda one: (one.get("group", ""), one.get("host", ""))
        )
    if "groups" in fields:
        fields["groups"] = sorted(fields["groups"])
    return fields


def _recorded(outcome: Outcome, replace: bool) -> dict[str, Any]:
    done = [one for one in outcome.differences if one.kind not in (Kind.UNCHANGED, Kind.LEFT)]
    return {
        "replace": replace,
        "counts": dict(Counter(one.kind.value for one in done)),
        "items": [
            [
                one.section,
                one.kind.value,
                audit.plain(one.label),
                sorted(one.changes) if one.kind == Kind.CHANGED else [],
            ]
            for one in done[:MOST_RECORDED]
        ],
    }
