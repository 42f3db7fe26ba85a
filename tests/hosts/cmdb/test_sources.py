"""Sources: every refusal names its field, and no stored secret goes where nobody sent it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from hosts import inventory
from hosts.cmdb import sources
from hosts.models import Credential, Host, HostGroup, Source, SourcedHost
from netadmin import env
from netadmin.access.models import AuditEntry

pytestmark = pytest.mark.django_db
PLACE = "https://cmdb.example.com/hosts.json"


@pytest.fixture
def fields(group: HostGroup) -> dict[str, Any]:
    return {"name": "assets", "kind": "json", "location": PLACE, "group": group}


def errors(act: Callable[[], Any]) -> dict[str, list[str]]:
    before = AuditEntry.objects.count(), list(Source.objects.values())
    with pytest.raises(ValidationError) as told:
        act()
    assert (AuditEntry.objects.count(), list(Source.objects.values())) == before
    return told.value.message_dict


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("kind", "ldap"),
        ("location", ""),
        ("location", "file:///etc/passwd"),
        ("location", "ftp://cmdb.example.com/"),
        ("location", "https://user:hunter2@cmdb.example.com/"),
        ("location", "http://127.0.0.1/"),
        ("location", "http://169.254.169.254/latest/meta-data/"),
        ("location", "http://[::1]/"),
        ("location", "/etc/passwd"),
        ("location", "../secret.csv"),
        ("group", 987654),
        ("credential", "nobody's"),
        ("every_minutes", 0),
        ("every_minutes", 10_081),
        ("every_minutes", "x"),
        ("fields", {"password": "x"}),
        ("fields", {"name": 7}),
        ("fields", []),
        ("token", "two\nlines"),
        ("token", "密"),
        ("token", "x" * 5000),
        ("zzz", 1),
    ],
)
def test_a_refusal_names_its_field_and_shows_no_secret(
    fields: dict[str, Any], by_admin: HttpRequest, field: str, value: Any
) -> None:
    told = errors(lambda: sources.create(fields | {field: value}, request=by_admin))
    assert list(told) == [field]
    assert "hunter2" not in str(told)


def test_netbox_is_no_file_and_has_its_own_form(
    fields: dict[str, Any], by_admin: HttpRequest
) -> None:
    netbox = fields | {"kind": "netbox"}
    assert "location" in errors(
        lambda: sources.create(netbox | {"location": "hosts.csv"}, request=by_admin)
    )
    assert "fields" in errors(
        lambda: sources.create(netbox | {"fields": {"name": "x"}}, request=by_admin)
    )


def test_a_token_goes_in_and_stays_in(fields: dict[str, Any], by_admin: HttpRequest) -> None:
    made = sources.create(fields | {"token": "Bearer hunter2"}, request=by_admin)
    assert made.secret("token") == "Bearer hunter2"
    changed = sources.change(made, {"token": "", "every_minutes": 5}, request=by_admin)
    assert changed.secret("token") == "Bearer hunter2"
    assert changed.every_minutes == 5
    assert not sources.change(made, {"clear_token": True}, request=by_admin).has_secret("token")
    told = str(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert "hunter2" not in told
    assert "***" in told


def test_a_token_is_not_sent_to_another_server_unasked(
    fields: dict[str, Any], by_admin: HttpRequest
) -> None:
    made = sources.create(fields | {"token": "Bearer hunter2"}, request=by_admin)
    there = {"location": "https://other.example.com/hosts.json"}
    assert "token" in errors(lambda: sources.change(made, there, request=by_admin))
    assert "token" in errors(
        lambda: sources.change(made, {"location": PLACE.replace("https", "http")}, request=by_admin)
    )
    sources.change(made, {"location": PLACE + "?all=1"}, request=by_admin)
    sources.change(made, there | {"token": "Bearer other"}, request=by_admin)


def test_the_credential_is_typed_again_where_it_would_come_to_new_places(
    fields: dict[str, Any], deploy: Credential, by_admin: HttpRequest
) -> None:
    whole = fields | {"credential": deploy}
    assert "confirm_secret" in errors(lambda: sources.create(whole, request=by_admin))
    wrong = whole | {"confirm_secret": "guess"}
    assert "confirm_secret" in errors(lambda: sources.create(wrong, request=by_admin))
    confirmed = {"confirm_secret": "s3cret-pass"}
    made = sources.create(whole | confirmed, request=by_admin)
    sources.change(made, {"every_minutes": 5}, request=by_admin)
    moved = {"location": "https://other.example.com/"}
    assert "confirm_secret" in errors(lambda: sources.change(made, moved, request=by_admin))
    mapped = {"fields": {"address": "other"}}
    assert "confirm_secret" in errors(lambda: sources.change(made, mapped, request=by_admin))
    sources.change(made, moved | confirmed, request=by_admin)
    sources.change(made, {"credential": None}, request=by_admin)
    assert "confirm_secret" in errors(
        lambda: sources.change(made, {"credential": deploy.pk}, request=by_admin)
    )


def test_a_name_is_there_once_and_a_removed_source_leaves_its_hosts(
    fields: dict[str, Any], by_admin: HttpRequest, settings: Any
) -> None:
    made = sources.create(fields, request=by_admin)
    assert "name" in errors(lambda: sources.create(fields, request=by_admin))
    host = Host.objects.create(name="a", address="a.example")
    made.sourced.create(host=host, external_id="a")
    sources.remove(made, request=by_admin)
    assert Host.objects.kept().filter(name="a").exists()
    assert AuditEntry.objects.filter(action="source.remove", actor="anna").exists()


def test_with_another_group_the_hosts_move_that_are_in_the_old_one(
    fields: dict[str, Any], by_admin: HttpRequest, group: HostGroup
) -> None:
    made = sources.create(fields, request=by_admin)
    other, third = (HostGroup.objects.create(name=name) for name in ("other", "third"))
    for name, groups in {"a": [group], "b": [group, other], "c": [third], "d": [group]}.items():
        host = inventory.create_host(
            {"name": name, "address": f"{name}.example", "groups": groups}, request=None
        )
        if name != "d":
            SourcedHost.objects.create(host=host, source=made, external_id=name)
    sources.change(made, {"group": other}, request=by_admin)
    placed = {host.name: [each.name for each in host.groups.all()] for host in Host.objects.all()}
    assert placed == {"a": ["other"], "b": ["other"], "c": ["third"], "d": ["web"]}
    entry = AuditEntry.objects.get(action="source.change")
    assert entry.detail == {"group": ["web", "other"], "hosts_moved": 2}


def test_what_is_stored_stays_editable_where_its_network_was_closed(
    fields: dict[str, Any], by_admin: HttpRequest, settings: Any
) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = env.networks(["10.0.0.0/8"])
    made = sources.create(fields | {"location": "http://10.1.2.3/hosts"}, request=by_admin)
    settings.OUTBOUND_ALLOWED_NETWORKS = ()
    assert not sources.change(made, {"enabled": False}, request=by_admin).enabled
