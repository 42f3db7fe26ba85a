"""The rule set as one document, and what an import of it did.

Place in the data's way: declared by ``probes.api.rule_set``. The document itself is described by
``probes.rule_set.schema``, which also validates what comes in.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from probes.payloads.shapes import Count
from probes.rule_set.schema import RuleSet


class RuleSetExport(TypedDict):
    """The whole rule set, without secrets."""

    rule_set: RuleSet
    """As plain JSON; what is empty is left out of items."""


class RuleSetCounts(TypedDict):
    """How many items."""

    added: Count
    changed: Count
    removed: Count
    unchanged: Count
    left: Count
    """Not in the document, and left as they are."""


class RuleSetDifference(TypedDict):
    """What an import does to one item."""

    section: str
    """``rules``, ``port_policies``, ..."""
    kind: Literal["added", "changed", "removed"]
    label: str
    """What the item is called."""
    changes: dict[str, Annotated[list[Any], Field(min_length=2, max_length=2)]]
    """By field: before and after; of what is added null is before each value."""


class RuleSetNote(TypedDict):
    """What a person has to know or do."""

    about: str
    """The item."""
    note: str
    """In the reader's language."""


class RuleSetImport(TypedDict):
    """What an import did, or would do."""

    stored: bool
    """False of a dry run, and where there was nothing to do."""
    counts: RuleSetCounts
    differences: list[RuleSetDifference]
    notes: list[RuleSetNote]
