"""The site that the tests of the JSON routes call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.probes.api.site import Site
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
def streams(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of events may be open, which the suite allows none elsewhere: answers that nobody
    reads hold their seats until they are collected, so these are seats of the test's own."""
    from probes.api import events

    settings.EVENT_STREAMS = 100
    monkeypatch.setattr(events, "SEATS", events.Seats())
