"""The people of these tests. Models are imported inside: this file loads before Django does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from hosts.models import HostGroup


@pytest.fixture
def viewer(db: None) -> User:
    """Reads, of all hosts."""
    from netadmin.access.models import Role
    from tests.people import person

    return person("vera", Role.VIEWER)


@pytest.fixture
def operator(db: None) -> User:
    """Probes now, of all hosts."""
    from netadmin.access.models import Role
    from tests.people import person

    return person("otto", Role.OPERATOR)


@pytest.fixture
def admin(db: None) -> User:
    """Administers all hosts, without being Django's superuser."""
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
