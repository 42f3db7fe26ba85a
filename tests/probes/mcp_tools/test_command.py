"""Who asks through ``manage.py mcp``: chosen at its start, looked up anew for each question."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from netadmin.access import permissions
from netadmin.access.models import Role, Scope
from netadmin.envelope import Refused
from probes.management.commands.mcp import request_of
from tests.people import person

pytestmark = pytest.mark.django_db


def test_the_scope_bounds_the_user_and_the_user_bounds_the_scope() -> None:
    for role, scope, held in (
        (Role.ADMIN, Scope.READ, Role.VIEWER),
        (Role.ADMIN, Scope.OPERATE, Role.OPERATOR),
        (Role.VIEWER, Scope.OPERATE, Role.VIEWER),
    ):
        user = person(f"{role.name} {scope}", role)
        assert permissions.request_role(request_of(user.pk, scope)) == held


def test_a_user_who_loses_the_right_is_refused_from_the_next_question_on() -> None:
    user = person("vera", Role.VIEWER)
    assert request_of(user.pk, Scope.READ).user == user
    user.is_active = False
    user.save()
    with pytest.raises(Refused) as refused:
        request_of(user.pk, Scope.READ)
    assert refused.value.code == "not_authenticated"


def test_without_somebody_to_ask_as_it_does_not_start() -> None:
    with pytest.raises(CommandError, match="no active superuser"):
        call_command("mcp")
    with pytest.raises(CommandError, match="no active user called nina"):
        call_command("mcp", user="nina")
    person("idle")
    with pytest.raises(CommandError, match="idle has no role"):
        call_command("mcp", user="idle")
    User.objects.create_superuser("ann", is_active=False)
    with pytest.raises(CommandError, match="no active superuser"):
        call_command("mcp")


def test_without_the_tables_of_the_site_it_says_how_to_get_them() -> None:
    def no_tables(*_query: Any) -> Any:
        raise OperationalError("no such table: auth_user")

    with (
        connection.execute_wrapper(no_tables),
        pytest.raises(CommandError, match=r"no such table: auth_user\. .*`manage.py migrate`"),
    ):
        call_command("mcp")
