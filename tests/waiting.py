"""Waiting for a condition with a deadline, the only way tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

POLL_S = 0.02
PATIENCE_S = 60.0
"""How long a condition may take on a loaded machine before the test that waits for it fails."""


def wait_until(
    condition: Callable[[], Result], timeout_s: float = PATIENCE_S, what: str = ""
) -> Result:
    """Call ``condition`` until it is truthy and return that value.

    Raises AssertionError naming ``what`` (or the condition) after ``timeout_s`` seconds; the
    deadline only bounds a failing test and says nothing about how fast the product must be.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"not within {timeout_s:g} s: {name} (last value {result!r})")
        time.sleep(POLL_S)
