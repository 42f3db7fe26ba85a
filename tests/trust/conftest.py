"""The site that every route is called on. Models are imported inside: Django loads later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.trust.world import World


@pytest.fixture
def world(db: None) -> World:
    """One object of every kind, inside and outside a group, and people of every role."""
    from tests.trust import world

    return world.build()
