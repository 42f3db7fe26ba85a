"""Refuses JSON that says one thing twice: which of them is meant, readers do not agree on.

Place: a hook for ``json.loads``, for every body that somebody else wrote. RFC 8259, section 4.
"""

from __future__ import annotations

from typing import Any


class Repeated(ValueError):
    """An object names ``name`` more than once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """``object_pairs_hook``: the object, or Repeated."""
    names: dict[str, Any] = {}
    for name, value in pairs:
        if name in names:
            raise Repeated(name)
        names[name] = value
    return names
