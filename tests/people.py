"""The people of the tests: one user for each role, and those whom a rule leaves out."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.test import Client

from hosts.models import HostGroup
from netadmin.access.models import Access, Role

PASSWORD = "a-long-phrase-for-tests"


def person(
    name: str,
    role: Role | None = None,
    *,
    groups: Iterable[HostGroup] | None = None,
    password: str | None = None,
    superuser: bool = False,
) -> User:
    """A user with ``role``; ``groups`` limits what it sees. Without a role it may do nothing.

    Without a password it cannot log in by form, which saves the hashing: use ``force_login``.
    """
    user = User.objects.create_user(name, password=password, is_superuser=superuser)
    if role is not None:
        access = Access.objects.create(user=user, role=role, all_hosts=groups is None)
        access.groups.set(groups or ())
    return user


def browser_of(user: User | None, *, csrf: bool = False) -> Client:
    """A test client logged in as ``user``; errors of views become answers of 500."""
    client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
