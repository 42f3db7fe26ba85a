"""Each act is recorded with who did it, and where it cannot be recorded it is not done (trust 26).

Every route that changes something is called with a valid request, once as it is and once with an
audit log that refuses every insert.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.utils import timezone

from hosts.models import Credential, HostGroup
from netadmin.access.models import AuditEntry
from netadmin.access.routes import BY_NAME, ROUTES, walk
from probes.models import RestartCommand, WatchedPort
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


FAR = f"{timezone.now() + dt.timedelta(days=2):%Y-%m-%dT%H:%M}"
"""A time that has not come when these tests run."""


def silence_fields(world: World) -> dict[str, Any]:
    return {"host": world.objects["hosts.host"].pk, "ends_at": FAR, "reason": "new disks"}


def drift_fields(_world: World) -> dict[str, Any]:
    group = HostGroup.objects.create(name="not watched")
    fields = {"enabled": "on", "learn_days": "7", "ipv4_prefix": "24", "ipv6_prefix": "64"}
    return fields | {"forget_days": "90", "ignored": "", "in_group": group.pk}


def rule_fields(**changed: str) -> Callable[[World], dict[str, Any]]:
    fields = {"name": "many", "threshold": "5000", "probes": "2", "severity": "warning"}
    return lambda _world: fields | {"enabled": "on"} | changed


def new_rule(_world: World) -> dict[str, Any]:
    return {"version": 1, "rules": [{"name": "new", "metric": "sockets", "threshold": 9}]}


def rule_set_fields(world: World) -> dict[str, Any]:
    text = json.dumps(new_rule(world))
    path = world.path(BY_NAME["rules_import"], FOUND["rules_import"])
    shown = world.client("admin").post(path, {"text": text})
    return {"text": text, "confirm": shown.context["outcome"].digest}


def mailing_fields(name: str) -> Callable[[World], dict[str, Any]]:
    fields = {"name": name, "every": "week", "hour": "7", "language": "en", "enabled": "on"}
    return lambda world: (
        fields | {"host": world.inside.pk, "recipients": "ops@example.org\nnet@example.org"}
    )


def delivery_of(world: World) -> dict[str, Any]:
    """The message that the world's channel did not get."""
    return {"delivery": str(world.objects["probes.channel"].deliveries.get().uid)}


def hunt_fields(name: str) -> Callable[[World], dict[str, Any]]:
    fields = {"name": name, "indicators": "203.0.113.9\nport 4444", "enabled": "on"}
    return lambda _world: fields | {"mail_to": "ops@example.org"}


def source_fields(world: World, **changed: str) -> dict[str, Any]:
    fields = {"name": "inside", "kind": "json", "location": "http://127.0.0.1:9/hosts.json"}
    group = HostGroup.objects.get(name="cmdb of inside").pk
    return fields | {"group": group, "every_minutes": "60"} | changed


def new_source(world: World) -> dict[str, Any]:
    return source_fields(world, name="new", location="https://cmdb.example.com/hosts.json")


def service_fields(world: World, **changed: Any) -> dict[str, Any]:
    fields = {"name": "shop", "host": world.inside.pk, "protocol": "tcp", "port": 8443}
    return fields | {"budget": 3, "budget_s": 300, "enabled": "on"} | changed


def unused_command(world: World) -> None:
    """Nothing uses the world's command."""
    world.objects["probes.restartcommand"] = RestartCommand.objects.create(
        name="unused", argv=["true"]
    )


def new_mailing(_world: World) -> dict[str, Any]:
    return {"name": "new", "every": "month", "recipients": ["ops@example.org"]}


DELETE = {"post": "yes"}


def port_is_gone(world: World) -> None:
    now = timezone.now()
    WatchedPort.objects.create(
        host=world.inside, protocol="tcp", port=4444, is_up=False,
        since=now, first_seen=now, last_seen=now,
    )  # fmt: skip


def gone_port(_world: World) -> dict[str, Any]:
    return {"protocol": "tcp", "port": 4444}


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
    "token_edit": [
        Sample(
            "token.change",
            lambda _world: {"name": "x", "networks": "192.0.2.0/24", "days": "keep"},
        )
    ],
    "token_revoke": [Sample("token.revoke")],
    "api-token": [Sample("token.revoke", method="DELETE")],
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
    "alerts_acknowledge": [
        Sample("alert.acknowledge", lambda world: {"alert": world.objects["probes.alert"].pk})
    ],
    "alert_end": [Sample("alert.end")],
    "alert_snooze": [Sample("alert.snooze", lambda _world: {"hours": "1"})],
    "host_watch_forget": [Sample("port.forget", gone_port, before=port_is_gone)],
    "api-host-watch-forget": [Sample("port.forget", gone_port, before=port_is_gone, as_json=True)],
    "silence_add": [Sample("silence.add", silence_fields)],
    "silence_edit": [Sample("silence.change", silence_fields)],
    "silence_end": [Sample("silence.end")],
    "channel_add": [
        Sample(
            "channel.add",
            lambda _world: {
                "name": "new",
                "recipients": "ops@example.org",
                "min_severity": "warning",
                "per_hour": "60",
            },
        )
    ],
    "channel_edit": [
        Sample(
            "channel.change",
            lambda _world: {"name": "renamed", "min_severity": "info", "per_hour": "9"},
        )
    ],
    "channel_remove": [Sample("channel.remove")],
    "channel_test": [Sample("channel.test")],
    "channel_retry": [Sample("channel.retry", delivery_of)],
    "api-channels": [
        Sample(
            "channel.add",
            lambda _world: {"name": "new", "kind": "email", "recipients": ["ops@example.org"]},
            as_json=True,
        )
    ],
    "api-channel": [
        Sample("channel.change", lambda _world: {"enabled": False}, method="PATCH", as_json=True),
        Sample("channel.remove", method="DELETE"),
    ],
    "api-channel-test": [Sample("channel.test")],
    "api-channel-retry": [Sample("channel.retry", delivery_of, as_json=True)],
    "api-alert-snooze": [Sample("alert.snooze", lambda _world: {"minutes": 60}, as_json=True)],
    "api-silences": [
        Sample(
            "silence.add",
            lambda world: {"ends_at": FAR, "host": world.objects["hosts.host"].pk},
            as_json=True,
        )
    ],
    "api-silence": [
        Sample("silence.change", lambda _world: {"reason": "x"}, method="PATCH", as_json=True),
        Sample("silence.end", method="DELETE"),
    ],
    "port_policy_edit": [Sample("port_policy.change", lambda _world: {"expected": "22, 443"})],
    "port_policy_remove": [Sample("port_policy.remove")],
    "api-port-policies": [
        Sample(
            "port_policy.add",
            lambda world: {"host": world.inside.pk, "expected": "22"},
            as_json=True,
        )
    ],
    "api-port-policy": [
        Sample(
            "port_policy.change", lambda _world: {"expected": "80"}, method="PATCH", as_json=True
        ),
        Sample("port_policy.remove", method="DELETE"),
    ],
    "source_add": [Sample("source.add", new_source)],
    "source_edit": [
        Sample("source.change", lambda world: source_fields(world, every_minutes="30"))
    ],
    "source_remove": [Sample("source.remove")],
    "source_sync": [Sample("source.sync")],
    "sync_run_decide": [Sample("source.decline", lambda _world: {"decision": "decline"})],
    "api-cmdb-sources": [
        Sample(
            "source.add",
            lambda world: {
                "name": "new",
                "kind": "netbox",
                "location": "https://netbox.example.com",
                "group": "cmdb of inside",
                "token": "0123abcd",
            },
            as_json=True,
        )
    ],
    "api-cmdb-source": [
        Sample("source.change", lambda _world: {"enabled": False}, method="PATCH", as_json=True),
        Sample("source.remove", method="DELETE"),
    ],
    "api-cmdb-source-sync": [Sample("source.sync", as_json=True)],
    "api-cmdb-run-decide": [
        Sample("source.decline", lambda _world: {"decision": "decline"}, as_json=True)
    ],
    "peer_decide": [
        Sample("peer.approve", lambda world: {"one": f"approve:{world.objects['probes.peer'].pk}"})
    ],
    "drift_edit": [Sample("drift_watch.add", drift_fields)],
    "api-peer-decide": [
        Sample("peer.snooze", lambda _world: {"action": "snooze", "days": 3}, as_json=True)
    ],
    "api-drift-watch": [
        Sample("drift_watch.change", lambda _world: {"enabled": False}, method="PUT", as_json=True),
        Sample("drift_watch.remove", method="DELETE"),
    ],
    "rule_add": [Sample("rule.add", rule_fields())],
    "rule_edit": [Sample("rule.change", rule_fields(threshold="6000"))],
    "rule_remove": [Sample("rule.remove")],
    "rule_override_add": [
        Sample(
            "rule.override_change",
            lambda world: {"host": world.inside.pk, "threshold": "7000", "probes": "4"},
        )
    ],
    "rule_override_remove": [Sample("rule.override_remove")],
    "api-rules": [
        Sample(
            "rule.add",
            lambda _world: {"name": "new", "metric": "listeners", "threshold": 9},
            as_json=True,
        )
    ],
    "api-rule": [
        Sample("rule.change", lambda _world: {"threshold": 9}, method="PATCH", as_json=True),
        Sample("rule.remove", method="DELETE"),
    ],
    "api-rule-overrides": [
        Sample(
            "rule.override_change",
            lambda world: {"host": world.inside.pk, "threshold": 9},
            as_json=True,
        )
    ],
    "api-rule-override": [
        Sample(
            "rule.override_change", lambda _world: {"threshold": 9}, method="PATCH", as_json=True
        ),
        Sample("rule.override_remove", method="DELETE"),
    ],
    "rules_import": [Sample("rule_set.import", rule_set_fields)],
    "api-rule-set": [Sample("rule_set.import", new_rule, method="PUT", as_json=True)],
    "api-hunts": [
        Sample("hunt.add", lambda _world: {"name": "new", "indicators": "port 22"}, as_json=True)
    ],
    "api-hunt": [
        Sample("hunt.change", lambda _world: {"enabled": False}, method="PATCH", as_json=True),
        Sample("hunt.remove", method="DELETE"),
    ],
    "api-alert-acknowledge": [Sample("alert.acknowledge")],
    "service_add": [Sample("service.add", service_fields)],
    "service_edit": [Sample("service.change", lambda world: service_fields(world, port=9))],
    "service_remove": [Sample("service.remove")],
    "service_restart": [Sample("service.restart")],
    "restart_command_add": [
        Sample("restart_command.add", lambda _world: {"name": "new", "argv": "service\nx\nstart"})
    ],
    "restart_command_edit": [
        Sample("restart_command.change", lambda _world: {"name": "new", "argv": "/bin/true"})
    ],
    "restart_command_remove": [Sample("restart_command.remove", before=unused_command)],
    "api-services": [
        Sample(
            "service.add",
            lambda world: {"name": "shop", "host": world.inside.pk, "port": 8443},
            as_json=True,
        )
    ],
    "api-service": [
        Sample("service.change", lambda _world: {"notes": "x"}, method="PATCH", as_json=True),
        Sample("service.remove", method="DELETE"),
    ],
    "api-service-restart": [Sample("service.restart", as_json=True)],
    "api-restart-commands": [
        Sample("restart_command.add", lambda _world: {"name": "x", "argv": ["true"]}, as_json=True)
    ],
    "api-restart-command": [
        Sample(
            "restart_command.change", lambda _world: {"name": "y"}, method="PATCH", as_json=True
        ),
        Sample("restart_command.remove", method="DELETE", before=unused_command),
    ],
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
    "mcp",  # its tools record themselves: tests/probes/mcp_tools/test_trust.py
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
