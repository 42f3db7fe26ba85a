"""The site that the tests of the JSON routes call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.probes.api.site import Site


@pytest.fixture
def site(db: None) -> Site:
    """Everything, in the test's transaction."""
    from tests.probes.api.site import build

    return build()
