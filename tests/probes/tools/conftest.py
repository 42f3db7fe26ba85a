"""Nothing of a live question outlives its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_connection_outlives_a_test() -> Iterator[None]:
    from probes import work

    yield
    work.pool().close_all()
