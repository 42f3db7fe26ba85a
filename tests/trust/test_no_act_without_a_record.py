"""Each act is recorded with who did it, and where it cannot be recorded it is not done (trust 26).

Every route that changes something is called with a valid request, once as it is and once with an
audit log that refuses every insert.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse

from hosts.models import Credential
from netadmin.access.models import AuditEntry
from netadmin.access.routes import BY_NAME, ROUTES, walk
from tests.people import PASSWORD
from tests.probes.history.played import LISTENER, table
from tests.trust.world import World

FOUND = {entry.name: entry for entry in walk()}
REFUSE_INSERTS = """
CREATE TRIGGER refuse BEFORE INSERT ON access_auditentry
BEGIN SELECT RAISE(ABORT, 'disk full'); END
"""
NEW_PASSWORD = "another-long-phrase"
UNRECORDED = {"access_auditentry", "django_admin_log"}
"""Tables that say what was done."""


@dataclass(frozen=True)
class Sample:
    """A request that is good: its fields, and what it is recorded as."""

    action: str
    data: Callable[[World], dict[str, Any]] = lambda _world: {}
    method: str = "POST"
    as_json: bool = False
    who: str = "admin"
    changes: bool = True
    """False for an act that leaves nothing in the database but its record."""
    before: Callable[[World], None] = field(default=lambda _world: None)


def host_fields(world: World, **changed: str) -> dict[str, Any]:
    credential = world.objects["hosts.credential"].pk
    fields = {"name": "new-host", "address": "127.0.0.1", "port": "2222", "platform": "auto"}
    fields |= {"credential_from": "stored", "credential": str(credential), "enabled": "on"}
    return fields | changed


def same_host(world: World, **changed: str) -> dict[str, Any]:
    host = world.inside
    groups = [group.pk for group in host.groups.all()]
    fields = host_fields(world, name=host.name, port=str(host.port), notes="changed")
    return fields | {"groups": groups} | changed


def give_password(world: World) -> None:
    """The administrator logs in by password; sessions follow its hash."""
    admin = world.people["admin"]
    assert admin is not None
    admin.set_password(PASSWORD)
    admin.save()
    world.log_in_again("admin")


def unused_credential(world: World) -> None:
    """Nothing uses the world's credential."""
    unused = Credential(name="unused", user="watcher")
    unused.set_secret("password", "a-stored-password")
    unused.save()
    world.objects["hosts.credential"] = unused


def credential_fields(**changed: str) -> Callable[[World], dict[str, Any]]:
    fields = {"name": "new-login", "user": "ops", "method": "password", "sudo": "none"}
    return lambda _world: fields | {"password": "a-new-password"} | changed


def import_fields(world: World) -> dict[str, Any]:
    text = "name,address\nfrom-csv,192.0.2.50\n"
    path = world.path(BY_NAME["host_import"], FOUND["host_import"])
    shown = world.client("admin").post(path, {"text": text})
    return {"text": text, "confirm": shown.context["outcome"].digest}


def user_fields(_world: World) -> dict[str, Any]:
    both = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    inline = {"access-TOTAL_FORMS": "1", "access-INITIAL_FORMS": "0"}
    return {"username": "nina"} | both | inline | {"access-0-role": "10"}


def changed_user(world: World) -> dict[str, Any]:
    vera = world.people["viewer"]
    assert vera is not None
    access = vera.access  # type: ignore[attr-defined]
    inline = {"access-TOTAL_FORMS": "1", "access-INITIAL_FORMS": "1", "access-0-id": access.pk}
    inline |= {"access-0-user": vera.pk, "access-0-role": "30", "access-0-all_hosts": "on"}
    return {"username": "vera", "is_active": "on"} | inline


def pasted_fields(world: World) -> dict[str, Any]:
    world.inside.enabled = False
    world.inside.save()
    text = table(LISTENER)
    return {"host": world.inside.pk, "text": text, "taken_at": "", "privilege": "root"}


def mailing_fields(name: str) -> Callable[[World], dict[str, Any]]:
    fields = {"name": name, "every": "week", "hour": "7", "language": "en", "enabled": "on"}
    return lambda world: (
        fields | {"host": world.inside.pk, "recipients": "ops@example.org\nnet@example.org"}
    )


def hunt_fields(name: str) -> Callable[[World], dict[str, Any]]:
    fields = {"name": name, "indicators": "203.0.113.9\nport 4444", "enabled": "on"}
    return lambda _world: fields | {"mail_to": "ops@example.org"}


def new_mailing(_world: World) -> dict[str, Any]:
    return {"name": "new", "every": "month", "recipients": ["ops@example.org"]}


DELETE = {"post": "yes"}
SAMPLES: dict[str, list[Sample]] = {
    "login": [
        Sample(
            "session.login",
            lambda _world: {"username": "anna", "password": PASSWORD},
            who="nobody",
            before=give_password,
        )
    ],
    "logout": [Sample("session.logout")],
    "password_change": [
        Sample(
            "user.password",
            lambda _world: {
                "old_password": PASSWORD,
                "new_password1": NEW_PASSWORD,
                "new_password2": NEW_PASSWORD,
            },
            before=give_password,
        )
    ],
    "token_add": [Sample("token.add", lambda _world: {"name": "x", "scope": "read", "days": "7"})],
    "token_revoke": [Sample("token.revoke")],
    "host_add": [Sample("host.add", host_fields)],
    "host_edit": [Sample("host.change", same_host)],
    "host_remove": [Sample("host.remove")],
    "host_import": [Sample("host.add", import_fields)],
    "host_key_decide": [Sample("hostkey.approve", lambda _world: {"trust": "trusted"})],
    "credential_add": [Sample("credential.add", credential_fields())],
    "credential_edit": [Sample("credential.change", credential_fields(name="inside"))],
    "credential_remove": [Sample("credential.delete", before=unused_credential)],
    "probe_now": [Sample("probe.now")],
    "host_live_beat": [Sample("live.start")],
    "host_reach": [Sample("host.reach")],
    "paste_save": [Sample("snapshot.paste", pasted_fields)],
    "connection_test": [Sample("connection.test", host_fields, changes=False)],
    "api-hosts": [
        Sample(
            "host.add",
            lambda world: {
                "name": "new-host",
                "address": "127.0.0.1",
                "credential": world.objects["hosts.credential"].pk,
            },
            as_json=True,
        )
    ],
    "api-host": [
        Sample("host.change", lambda _world: {"notes": "changed"}, method="PATCH", as_json=True),
        Sample("host.remove", method="DELETE"),
    ],
    "api-host-probe": [Sample("probe.now")],
    "api-host-reach": [Sample("host.reach")],
    "hunt_add": [Sample("hunt.add", hunt_fields("new"))],
    "hunt_edit": [Sample("hunt.change", hunt_fields("renamed"))],
    "hunt_remove": [Sample("hunt.remove")],
    "alert_acknowledge": [Sample("alert.acknowledge")],
    "api-hunts": [
        Sample("hunt.add", lambda _world: {"name": "new", "indicators": "port 22"}, as_json=True)
    ],
    "api-hunt": [
        Sample("hunt.change", lambda _world: {"enabled": False}, method="PATCH", as_json=True),
        Sample("hunt.remove", method="DELETE"),
    ],
    "api-alert-acknowledge": [Sample("alert.acknowledge")],
    "report_mailing_add": [Sample("mailing.add", mailing_fields("new"))],
    "report_mailing_edit": [Sample("mailing.change", mailing_fields("renamed"))],
    "report_mailing_remove": [Sample("mailing.remove")],
    "report_mailing_send": [Sample("mailing.send")],
    "api-report-mailings": [Sample("mailing.add", new_mailing, as_json=True)],
    "api-report-mailing": [
        Sample("mailing.change", lambda _world: {"hour": 3}, method="PATCH", as_json=True),
        Sample("mailing.remove", method="DELETE"),
    ],
    "api-report-mailing-send": [Sample("mailing.send")],
    "admin:logout": [Sample("session.logout")],
    "admin:auth_user_add": [Sample("user.add", user_fields)],
    "admin:auth_user_change": [Sample("user.change", changed_user)],
    "admin:auth_user_delete": [Sample("user.delete", lambda _world: DELETE)],
    "admin:auth_user_password_change": [
        Sample(
            "user.change",
            lambda _world: {
                "password1": NEW_PASSWORD,
                "password2": NEW_PASSWORD,
                "usable_password": "true",
                "set-password": "1",
            },
        )
    ],
    "admin:axes_accessattempt_delete": [Sample("accessattempt.delete", lambda _world: DELETE)],
    "admin:hosts_host_add": [Sample("host.add", host_fields)],
    "admin:hosts_host_change": [Sample("host.change", same_host)],
    "admin:hosts_host_delete": [Sample("host.remove", lambda _world: DELETE)],
    "admin:hosts_hostgroup_add": [Sample("hostgroup.add", lambda _world: {"name": "new-group"})],
    "admin:hosts_hostgroup_change": [
        Sample("hostgroup.change", lambda _world: {"name": "new-name"})
    ],
    "admin:hosts_hostgroup_delete": [Sample("hostgroup.delete", lambda _world: DELETE)],
    "admin:hosts_credential_add": [Sample("credential.add", credential_fields())],
    "admin:hosts_credential_change": [
        Sample("credential.change", credential_fields(name="inside"))
    ],
    "admin:hosts_credential_delete": [
        Sample("credential.delete", lambda _world: DELETE, before=unused_credential)
    ],
    "admin:hosts_hostkey_delete": [Sample("hostkey.delete", lambda _world: DELETE)],
}
CHANGE_NOTHING = {
    "language",  # sets a cookie
    "hunt",
    "api-connections-search",
    "paste",
    "paste_download",
    "api-parse",
    "admin:index",
    "admin:password_change",  # leads to the site's own page
    "admin:password_change_done",
    "admin:view_on_site",
    "admin:app_list",
    "admin:hosts_hostkey_change",  # every field is read-only
}
"""Routes that take a POST and change nothing; of the admin also its lists, histories and shows."""


def test_every_route_that_changes_something_has_its_sample() -> None:
    missing = {
        route.name
        for route in ROUTES
        if route.roles.keys() - {"GET"}
        and route.answers != 403
        and not route.name.endswith(("_history", "_changelist"))
        and not route.name.startswith("/")
    } - (SAMPLES.keys() | CHANGE_NOTHING)
    assert not missing, f"add to SAMPLES, or to CHANGE_NOTHING: {sorted(missing)}"


CASES = [
    pytest.param(name, sample, id=f"{name} {sample.method}")
    for name, samples in SAMPLES.items()
    for sample in samples
]


def send(world: World, name: str, sample: Sample, data: dict[str, Any]) -> HttpResponse:
    path = world.path(BY_NAME[name], FOUND[name], who=sample.who)
    client = world.client(sample.who)
    if sample.as_json:
        body = json.dumps(data).encode()
        response = client.generic(sample.method, path, body, content_type="application/json")
    elif data:
        response = client.post(path, data)
    else:
        response = client.generic(sample.method, path)
    assert isinstance(response, HttpResponse)
    return response


def contents() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that is not itself a record."""
    with connection.cursor() as cursor:
        tables = sorted(set(connection.introspection.table_names(cursor)) - UNRECORDED)
        found = {}
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}"')
            found[table] = sorted(cursor.fetchall(), key=repr)
    return found


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_an_act_is_recorded(world: World, name: str, sample: Sample) -> None:
    sample.before(world)
    data = sample.data(world)
    world.client(sample.who)  # logging in writes too
    newest = AuditEntry.objects.latest("pk").pk
    before = contents()

    response = send(world, name, sample, data)

    assert response.status_code < 400, response.content.decode()[:3000]
    assert (contents() != before) == sample.changes
    entries = {entry.action: entry for entry in AuditEntry.objects.filter(pk__gt=newest)}
    assert sample.action in entries, set(entries)
    entry = entries[sample.action]
    assert (entry.actor, entry.address) == ("anna", "127.0.0.1")
    assert "a-new-password" not in repr(entry.__dict__)
    assert NEW_PASSWORD not in repr(entry.__dict__)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_what_cannot_be_recorded_is_not_done(world: World, name: str, sample: Sample) -> None:
    sample.before(world)
    data = sample.data(world)
    world.client(sample.who)  # logging in writes too
    with connection.cursor() as cursor:
        cursor.execute(REFUSE_INSERTS)
    before = contents()

    with transaction.atomic():
        response = send(world, name, sample, data)

    assert response.status_code == 500
    assert contents() == before
