"""People, requests and credentials for these tests. Models load inside: Django loads later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpRequest

    from hosts.models import Credential, HostGroup


@pytest.fixture
def admin(db: None) -> User:
    """Administers all hosts."""
    from netadmin.access.models import Role
    from tests.people import person

    return person("anna", Role.ADMIN)


@pytest.fixture
def group(db: None) -> HostGroup:
    """A host group."""
    from hosts.models import HostGroup

    return HostGroup.objects.create(name="web")


@pytest.fixture
def group_admin(group: HostGroup) -> User:
    """Administers the hosts of one group."""
    from netadmin.access.models import Role
    from tests.people import person

    return person("greta", Role.ADMIN, groups=[group])


@pytest.fixture
def request_of() -> Callable[[Any], HttpRequest]:
    """``request_of(user)``: a request by that user."""
    from django.test import RequestFactory

    def make(user: Any) -> HttpRequest:
        request = RequestFactory().post("/", REMOTE_ADDR="192.0.2.9")
        request.user = user
        request.token = None  # type: ignore[attr-defined]
        return request

    return make


@pytest.fixture
def by_admin(admin: User, request_of: Callable[[Any], HttpRequest]) -> HttpRequest:
    """A request by an administrator of all hosts."""
    return request_of(admin)


@pytest.fixture
def deploy(db: None) -> Credential:
    """A credential with the password ``s3cret-pass``."""
    from hosts import credentials

    data = {"name": "deploy", "user": "ops", "method": "password", "password": "s3cret-pass"}
    return credentials.create(data, request=None)
