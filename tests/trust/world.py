"""A small site with one object of every kind that a route can name, inside and outside a group.

``World.of(kind)`` gives the arguments of a route about ``kind``, as ``netadmin.access.routes``
names kinds.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosts.models import Credential, Host, HostGroup, HostKey, Source, SyncRun
from netadmin.access import audit, tokens
from netadmin.access.models import APIToken, Role, Scope
from netadmin.access.routes import Found, Route
from probes.history import store
from probes.history.queries import sightings
from probes.hunt_filters import HuntQuery
from probes.models import (
    Alert,
    Channel,
    Delivery,
    DriftWatch,
    Hunt,
    Peer,
    PortPolicy,
    ReportSchedule,
    RestartCommand,
    Rule,
    RuleOverride,
    Schedule,
    Service,
    Silence,
)
from probes.observation import Observation, Privilege
from probes.payloads import hunts as hunt_payloads
from tests.people import browser_of, person
from tests.servers import free_port

TABLE = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
tcp        0      0 127.0.0.1:8080          0.0.0.0:*               LISTEN      99/<script>x()
tcp        0      0 192.0.2.1:22            198.51.100.7:50000      ESTABLISHED 8/"><i onload=x>
udp        0      0 0.0.0.0:68              0.0.0.0:*                           6/=cmd|'/C x'!A0
not a line of netstat <style>body{display:none}</style>
"""
"""What a hostile host may print: names that are markup and formulas, and a line that is neither."""

HOSTILE_PLAN = {
    "remove": [{"host": 1, "name": "<script>x()", "address": "=cmd|'/C x'!A0", "port": 22}],
    "change": [{"host": 1, "name": "a", "fields": {"notes": ['"><i onload=x>', "<b>"]}}],
    "add": [{"key": "<style>", "name": "b", "address": "192.0.2.9", "port": 22}],
    "problems": [
        {"code": "invalid", "where": "<p>", "name": "<u>", "key": "", "host": None,
         "values": {"field": "name", "value": "<img src=x>"}}
    ],
    "ignored": [{"host": 1, "name": "<script>y()", "key": "k"}],
    "values": {"removed": 3, "known": 4, "percent": 10, "unclear": 0},
}  # fmt: skip
"""What a hostile list of hosts may have left in a synchronisation."""

_CONVERTER = re.compile(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)")


@dataclass
class World:
    """The objects, and the people by the name of what they are."""

    inside: Host
    outside: Host
    people: dict[str, User | None]
    roles: dict[str, Role | None]
    objects: dict[str, Model]
    hidden: dict[str, Model]
    """The same kinds, outside the group of ``limited``."""
    tokens: dict[str, str]
    _sessions: dict[str, Any] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        """A fresh browser of ``who``; their session is made once."""
        if who not in self._sessions:
            self._sessions[who] = browser_of(self.people[who]).cookies
        client = browser_of(None)
        for name, morsel in self._sessions[who].items():
            client.cookies[name] = morsel.value
        return client

    def log_in_again(self, who: str) -> None:
        """The next browser of ``who`` begins a session of its own."""
        self._sessions.pop(who, None)

    def path(
        self,
        route: Route,
        found: Found,
        *,
        who: str = "admin",
        hidden: bool = False,
        token: str = "",
    ) -> str:
        """The address of ``route`` for this world's object of the kind it is about; by ``token``,
        which knows no other, the own token is that one."""
        arguments = self._arguments(route.about, who=who, hidden=hidden)
        if token and route.about == "own token":
            arguments = [APIToken.objects.get(prefix=token.split("_")[1]).pk]
        if not found.name.startswith("/"):
            path = reverse(found.name, args=arguments or None)
        else:
            path = _CONVERTER.sub(lambda _match: str(arguments.pop(0)), found.path)
        host = self.outside if hidden else self.inside
        return f"{path}?{route.query.format(host=host.pk)}" if route.query else path

    def _arguments(self, about: str, *, who: str, hidden: bool) -> list[Any]:
        if not about:
            return []
        if about == "app":
            return ["auth"]
        if about == "contenttype":
            return [ContentType.objects.get_for_model(User).pk, self.inside.pk]
        if about == "own token" and not hidden:
            owner = self.people[who] or self.people["viewer"]
            return [APIToken.objects.filter(user=owner).values_list("pk", flat=True)[0]]
        if about == "probes.hunt" and not hidden:
            who_owns = self.people[who] or self.people["viewer"]
            return [Hunt.objects.filter(owner=who_owns).values_list("pk", flat=True)[0]]
        if about == "own mailing" and not hidden:
            owner = self.people[who] or self.people["viewer"]
            return [ReportSchedule.objects.filter(owner=owner).values_list("pk", flat=True)[0]]
        return [(self.hidden if hidden else self.objects)[about].pk]


def build() -> World:
    """Make it in the test's transaction. Nothing answers at its hosts' addresses."""
    group = HostGroup.objects.create(name="inside")
    others = HostGroup.objects.create(name="others")
    made: list[dict[str, Model]] = []
    for where, of in (("inside", group), ("outside", others)):
        made.append(_objects(where, of))
    people: dict[str, User | None] = {
        "nobody": None,
        "without a role": person("idle"),
        "viewer": person("vera", Role.VIEWER),
        "operator": person("otto", Role.OPERATOR),
        "admin": person("anna", Role.ADMIN),
        "limited": person("lina", Role.VIEWER, groups=[group]),
        "limited operator": person("lars", Role.OPERATOR, groups=[group]),
        "limited admin": person("lisa", Role.ADMIN, groups=[group]),
    }
    roles = {
        "nobody": None,
        "without a role": None,
        "viewer": Role.VIEWER,
        "operator": Role.OPERATOR,
        "admin": Role.ADMIN,
        "limited": Role.VIEWER,
        "limited operator": Role.OPERATOR,
        "limited admin": Role.ADMIN,
    }
    admin = people["admin"]
    assert admin is not None
    texts = {}
    for scope, role in (("read", "viewer"), ("operate", "operator"), ("admin", "admin")):
        _row, texts[role] = tokens.create(user=admin, name=scope, scope=Scope(scope))
    for user in people.values():
        if user is not None:
            tokens.create(user=user, name="own", scope=Scope.READ)
            _mailing(user, made[0]["hosts.host"])
            Hunt.objects.create(name=f"of {user}", owner=user, indicators="192.0.2.77")
    for objects in made:
        objects["auth.user"] = people["viewer"]  # type: ignore[assignment]
    inside, outside = made[0]["hosts.host"], made[1]["hosts.host"]
    assert isinstance(inside, Host)
    assert isinstance(outside, Host)
    return World(inside, outside, people, roles, made[0], made[1], texts)


def build_with_sessions() -> World:
    """The same, everybody logged in."""
    world = build()
    for who in world.people:
        world.client(who)
    return world


@contextlib.contextmanager
def postgresql_as_default() -> Iterator[None]:
    """A site whose own database is PostgreSQL."""
    own = connections["default"]
    connections["default"] = connections["postgres"]
    try:
        yield
    finally:
        connections["default"] = own


def on_postgresql(made: Callable[[], World]) -> Callable[[], World]:
    """``made``, in the second database."""
    return postgresql_as_default()(made)


def _mailing(owner: User, host: Model) -> ReportSchedule:
    """Reports of ``host`` are mailed by ``owner``."""
    return ReportSchedule.objects.create(
        name="nightly",
        owner=owner,
        host_id=host.pk,
        every="day",
        recipients="ops@example.org",
        next_at=timezone.now() + dt.timedelta(hours=1),
    )


def _objects(where: str, group: HostGroup) -> dict[str, Model]:
    credential = Credential(name=where, user="watcher")
    credential.set_secret("password", "a-stored-password")
    credential.save()
    host = Host.objects.create(
        name=where, address="127.0.0.1", port=free_port(), credential=credential
    )
    host.groups.add(group)
    key = HostKey.objects.create(
        address=host.address,
        port=host.port,
        key_type="ssh-ed25519",
        key_base64="AAAA",
        fingerprint=f"SHA256:{where}",
    )
    now = timezone.now()
    snapshot = store.save(
        host,
        Observation(
            taken_at=now,
            duration_s=0.5,
            tool="netstat",
            command="netstat -antup",
            privilege=Privilege.ROOT,
            text=TABLE,
            raw=TABLE.encode(),
        ),
    )
    Schedule.objects.filter(host=host).update(next_probe_at=now + dt.timedelta(hours=1))
    owner = person(f"owner of {where}", Role.VIEWER)
    token, _text = tokens.create(user=owner, name=where, scope=Scope.READ)
    hunt = Hunt.objects.create(name=where, owner=owner, indicators="198.51.100.7", checked_at=now)
    alert = Alert.objects.create(
        kind="hunt",
        fingerprint=f"hunt:{hunt.pk}",
        ends_by_word=True,
        hunt=hunt,
        host=host,
        subject=where,
        opened_at=now,
        newest_at=now,
        hits=1,
        evidence=[
            hunt_payloads.evidence(row)
            for row in sightings.rows(
                Host.objects.filter(pk=host.pk), HuntQuery(ip="198.51.100.7").sought()
            ).rows
        ],
    )
    silence = Silence.objects.create(
        starts_at=now, ends_at=now + dt.timedelta(hours=1), host=host, reason=where
    )
    command = RestartCommand.objects.create(
        name=where, argv=["systemctl", "restart", where], use_sudo=False
    )
    service = Service.objects.create(name=where, host=host, port=9, command=command)
    rule = Rule.objects.create(name=f"sockets of {where}", metric="sockets", threshold=5_000)
    override = RuleOverride.objects.create(rule=rule, host=host, threshold=9_000)
    policy = PortPolicy.objects.create(group=group, expected="22")
    drift = DriftWatch.objects.create(group=group, learn_until=now, checked_at=now)
    peer = Peer.objects.create(
        group=group,
        program=f"curl of {where}",
        network="198.51.100.0/24",
        state="new",
        first_seen=now,
        last_seen=now,
        host=host,
    )
    attempt = AccessAttempt.objects.create(
        username=where, ip_address="192.0.2.1", failures_since_start=1, attempt_time=now
    )
    source = Source.objects.create(
        name=where,
        kind="json",
        location="http://127.0.0.1:9/hosts.json",
        group=HostGroup.objects.create(name=f"cmdb of {where}"),
        next_sync_at=now + dt.timedelta(hours=1),
    )
    run = SyncRun.objects.create(
        source=source, state="waiting", started_at=now, code="many_removed", plan=HOSTILE_PLAN
    )
    assert isinstance(token, APIToken)
    return {
        "hosts.host": host,
        "hosts.hostgroup": group,
        "hosts.credential": credential,
        "hosts.hostkey": key,
        "hosts.source": source,
        "hosts.syncrun": run,
        "probes.snapshot": snapshot,
        "access.apitoken": token,
        "own token": token,
        "own mailing": _mailing(owner, host),
        "probes.hunt": hunt,
        "probes.alert": alert,
        "probes.silence": silence,
        "probes.channel": _channel(where),
        "probes.service": service,
        "probes.restartcommand": command,
        "probes.driftwatch": drift,
        "probes.portpolicy": policy,
        "probes.rule": rule,
        "probes.ruleoverride": override,
        "probes.peer": peer,
        "access.auditentry": audit.record("host.add", actor="anna", target=host),
        "axes.accessattempt": attempt,
    }


def _channel(where: str) -> Channel:
    """A channel with secrets that leads nowhere, and a message that it did not get."""
    channel = Channel(name=where, kind="webhook", address_shown="http://192.0.2.9")
    channel.set_secret("address", f"http://192.0.2.9/hook-of-{where}")
    channel.set_secret("signing_key", f"signing-key-of-{where}")
    channel.save()
    Delivery.objects.create(channel=channel, kind="alerts", state="failed", tries=8, error="dns")
    return channel
