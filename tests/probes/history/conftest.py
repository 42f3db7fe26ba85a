"""A host to observe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hosts.models import Host


@pytest.fixture
def host(using: str) -> Host:
    """A host in the database under test."""
    from hosts.models import Host

    return Host.objects.using(using).create(name="web1", address="192.0.2.1")
