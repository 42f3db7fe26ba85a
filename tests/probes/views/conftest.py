"""A small fleet with history up to now, and the people who look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from hosts.models import Host


@pytest.fixture
def host(db: None) -> Host:
    """web1, probed twice: four minutes and half a minute ago."""
    from tests.probes.views import fleet

    return fleet.web1()


@pytest.fixture
def viewer(db: None) -> Client:
    """Somebody who reads and sees every host."""
    return _person("viewer")


@pytest.fixture
def operator(db: None) -> Client:
    """Somebody who may probe."""
    return _person("operator")


@pytest.fixture
def admin(db: None) -> Client:
    """Somebody who may change hosts."""
    return _person("admin")


@pytest.fixture
def page() -> Callable[..., str]:
    """``page(client, address, status=200)``: the HTML of a page, its status checked."""

    def fetch(client: Client, address: str, status: int = 200) -> str:
        response = client.get(address)
        assert response.status_code == status, response.content[:2000]
        return response.content.decode()

    return fetch


def _person(name: str) -> Client:
    from netadmin.access.models import Role
    from tests.people import browser_of, person

    return browser_of(person(name, Role[name.upper()]))
