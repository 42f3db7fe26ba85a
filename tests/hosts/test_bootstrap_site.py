"""What ``up`` makes in an empty database, and leaves alone in any other."""

from __future__ import annotations

import socket

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from hosts.management.commands import bootstrap_site
from hosts.models import Host
from netadmin.access.models import AuditEntry

pytestmark = pytest.mark.django_db


def test_an_empty_database_gets_an_administrator_and_this_machine() -> None:
    password = bootstrap_site.create_first_admin()
    assert password is not None
    assert len(password) >= 16
    admin = get_user_model().objects.get(username="admin")
    assert admin.is_superuser
    assert admin.check_password(password)
    host = Host.objects.get()
    assert host.is_local
    assert host.enabled
    assert sorted(AuditEntry.objects.values_list("action", "actor")) == [
        ("host.add", "system"),
        ("user.add", "system"),
    ]


def test_a_second_start_makes_nothing_even_where_the_host_was_deleted() -> None:
    assert bootstrap_site.create_first_admin() is not None
    Host.objects.all().delete()
    assert bootstrap_site.create_first_admin() is None
    assert not Host.objects.exists()
    assert get_user_model().objects.count() == 1


def test_a_database_with_users_keeps_to_them() -> None:
    get_user_model().objects.create_user("ann", password="not-the-first")
    assert bootstrap_site.create_first_admin() is None
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["ann"]


def test_no_password_without_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OSError("no name")

    monkeypatch.setattr(bootstrap_site, "local_name", fail)
    with pytest.raises(OSError, match="no name"):
        bootstrap_site.create_first_admin()
    assert not get_user_model().objects.exists()


def test_a_machine_whose_name_is_no_host_name_is_called_localhost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1.example")
    assert bootstrap_site.local_name() == "web-1.example"
    monkeypatch.setattr(socket, "gethostname", lambda: "-bad; name\n")
    assert bootstrap_site.local_name() == "localhost"


def test_the_command_shows_the_password_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("bootstrap_site")
    assert "Password:" in capsys.readouterr().out
    call_command("bootstrap_site")
    assert capsys.readouterr().out == ""
