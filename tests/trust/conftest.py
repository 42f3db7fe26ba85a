"""The site that every route is called on. Models are imported inside: Django loads later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.standing import Standing
    from tests.trust.world import World


@pytest.fixture(scope="module")
def standing_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[Standing[World]]:
    """One object of every kind, inside and outside a group, and people of every role."""
    from tests.standing import standing
    from tests.trust import world

    yield from standing(world.build_with_sessions, blocker=django_db_blocker)


@pytest.fixture
def world(standing_world: Standing[World], db: None) -> World:
    """That world, to do with as one likes: the next test has it anew."""
    return standing_world.taken()


@pytest.fixture(scope="module")
def world_in_postgresql(django_db_setup: None, django_db_blocker: Any) -> Iterator[Standing[World]]:
    """The same, made in the second database."""
    from tests.standing import standing
    from tests.trust import world

    with_postgresql = world.on_postgresql(world.build_with_sessions)
    yield from standing(with_postgresql, blocker=django_db_blocker, using="postgres")
