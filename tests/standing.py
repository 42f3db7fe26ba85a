"""Rows that many tests share: made once, there for each of them, and never changed for the next.

Around the tests of a module is one transaction, in which the rows are made; each test's own
transaction is a savepoint in it and is undone as ever. Not for modules with tests that commit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from django.db import transaction

Made = TypeVar("Made")


class Standing(Generic[Made]):
    """What was made; each test takes its own copy, since tests change what they hold."""

    def __init__(self, made: Made) -> None:
        self._made = made

    def taken(self) -> Made:
        """A copy whose rows are the same."""
        return copy.deepcopy(self._made)


def standing(
    build: Callable[[], Made], *, blocker: Any, using: str = "default"
) -> Iterator[Standing[Made]]:
    """For a fixture of a module's scope that asks for ``django_db_setup`` and hands its
    ``django_db_blocker`` over: ``yield from standing(build, blocker=django_db_blocker)``."""
    with blocker.unblock():
        around = transaction.atomic(using=using)
        around.__enter__()
        try:
            made = Standing(build())
        except BaseException:
            _undo(around, using)
            raise
    yield made
    with blocker.unblock():
        _undo(around, using)


def _undo(around: Any, using: str) -> None:
    transaction.set_rollback(True, using=using)
    around.__exit__(None, None, None)
