"""The site that assistants ask: that of the JSON routes, with a person for each role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.probes.api.site import Site
    from tests.probes.mcp_tools.assistant import Assistant
    from tests.standing import Standing


@pytest.fixture(scope="module")
def standing_site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Standing[Site]]:
    """Everything, for the tests of a module."""
    from tests.probes.api.site import build
    from tests.standing import standing

    yield from standing(build, blocker=django_db_blocker)


@pytest.fixture
def site(standing_site: Standing[Site], db: None) -> Site:
    """Everything, in the test's transaction."""
    return standing_site.taken()


@pytest.fixture
def assistant_of(site: Site) -> Callable[..., Assistant]:
    """An assistant with a new token: ``assistant_of("viewer")``."""
    from netadmin.access.models import Scope
    from tests.probes.mcp_tools.assistant import Assistant

    def made(who: str = "viewer", scope: str = Scope.READ, language: str = "en") -> Assistant:
        return Assistant(site.token(who, Scope(scope)), language=language)

    return made


@pytest.fixture
def assistant(assistant_of: Callable[..., Assistant]) -> Assistant:
    """One that may read, and sees all hosts."""
    return assistant_of()
