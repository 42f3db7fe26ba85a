"""A site with two groups of hosts, their history, and callers of the JSON routes."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosts.models import Credential, Host, HostGroup, Source, SyncRun
from netadmin.access import tokens
from netadmin.access.models import APIToken, Role, Scope
from probes.api import routing, urls
from probes.history import store
from probes.models import (
    Alert,
    Channel,
    Delivery,
    DriftWatch,
    Hunt,
    Peer,
    PortPolicy,
    ReachRun,
    ReportRun,
    ReportSchedule,
    Restart,
    RestartCommand,
    Rule,
    RuleOverride,
    Service,
    Silence,
    Snapshot,
    WatchedPort,
)
from tests.people import browser_of, person
from tests.probes.history.played import at, failed, line, observed, table

ENDPOINTS = [each for each in routing.ENDPOINTS if each.name in {p.name for p in urls.urlpatterns}]
"""Every address of the API; they are registered when its URLs are loaded."""

PASSWORD = "the-stored-pass%word"
GONE_PORT = 4445
NO_HUNT = 987654320
MAILING, HIDDEN_MAILING = 987654310, 987654311
TOKEN, HIDDEN_TOKEN = 987654328, 987654329
SERVICE, HIDDEN_SERVICE, COMMAND = 987654312, 987654313, 987654314
POLICY, HIDDEN_POLICY = 987654322, 987654323
RULE, NO_RULE, OVERRIDE, HIDDEN_OVERRIDE = 987654324, 987654325, 987654326, 987654327
PEER, HIDDEN_PEER = 987654317, 987654318
SILENCE, HIDDEN_SILENCE = 987654312, 987654313
CHANNEL, DELIVERY = 987654321001, "5f0c1a52-7a54-4a0e-9a2e-0d4c3c1a7b11"
SOURCE, RUN, NO_SOURCE = 987654314, 987654315, 987654316

FIRST = table(
    line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd"),
    line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "700/postgres"),
    line("10.0.0.5:22", "10.0.0.9:51000", "ESTABLISHED", "811/sshd", queues=(3, 36)),
    line("10.0.0.5:40000", "198.51.100.7:443", "ESTABLISHED", "900/=cmd|' /C calc'!A0"),
    line("10.0.0.5:40001", "198.51.100.7:443", "CLOSE_WAIT", "900/+app"),
    line("10.0.0.5:40002", "198.51.100.7:443", "TIME_WAIT", "-"),
    line("0.0.0.0:68", "0.0.0.0:*", "", "600/-dhclient", protocol="udp"),
    line("2001:db8::5:22", "2001:db8::9:61003", "ESTABLISHED", "812/@sshd", protocol="tcp6"),
)
SECOND = FIRST + line("10.0.0.5:22", "203.0.113.8:51001", "ESTABLISHED", "813/sshd") + "\n"


class Caller:
    """Calls the API as one person, by session or by token."""

    def __init__(self, client: Client, token: str = "") -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """One request; ``body`` is sent as JSON, or as it is where it is bytes."""
        raw = body if isinstance(body, bytes) else b"" if body is None else _dumped(body)
        return self.client.generic(
            method,
            path,
            raw,
            content_type=headers.pop("content_type", "application/json" if raw else ""),
            headers=self.headers
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def get(self, path: str, **query: Any) -> Any:
        """The data of a GET that succeeds."""
        response = self.client.get(path, query, headers=self.headers)
        assert response.status_code == 200, response.content
        answer = response.json()
        assert answer["success"] is True
        return answer["data"]

    def csv(self, path: str, **query: Any) -> str:
        """The text of a CSV download."""
        response = self.client.get(path, query | {"format": "csv"}, headers=self.headers)
        assert response.status_code == 200
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        return response.getvalue().decode()  # type: ignore[no-any-return]

    def refused(self, status: int, path: str, method: str = "GET", **query: Any) -> Any:
        """The error of a request that fails with ``status``."""
        response = self.client.generic(
            method, path, QUERY_STRING=_query(query), headers=self.headers
        )
        return error_of(response, status)


def error_of(response: HttpResponse, status: int) -> dict[str, Any]:
    """The error of an answer of that status, its envelope checked."""
    assert response.status_code == status, (response.status_code, response.content[:500])
    answer = json.loads(response.content)
    assert answer.keys() == {"success", "message", "data", "error"}
    assert answer["success"] is False
    assert answer["data"] == {}
    assert answer["error"].keys() == {"code", "field", "hint"}
    assert answer["message"]
    error: dict[str, Any] = answer["error"]
    return error


def _dumped(body: Any) -> bytes:
    return json.dumps(body).encode()


def _query(query: dict[str, Any]) -> str:
    from urllib.parse import urlencode

    return urlencode(query, doseq=True)


@dataclass
class Site:
    """What there is."""

    host: Host
    """In group "inside", probed whole twice and then failed."""
    hidden: Host
    """In group "others", with the same history."""
    credential: Credential
    first: Snapshot
    second: Snapshot
    failed: Snapshot
    hidden_snapshot: Snapshot
    group: HostGroup
    others: HostGroup
    people: dict[str, User]
    hunt: Hunt
    """Of whoever called last; the whole team sees it."""
    alert: Alert
    hidden_alert: Alert
    last: str = "operator"
    """Who called last."""

    def session(self, who: str) -> Caller:
        """``who`` in a browser."""
        self._hand_over(who)
        return Caller(browser_of(self.people[who]))

    def token(self, who: str, scope: Scope) -> Caller:
        """A script with a new token of ``who``."""
        self._hand_over(who)
        _row, text = tokens.create(user=self.people[who], name=f"{who} {scope}", scope=scope)
        return Caller(Client(raise_request_exception=False), text)

    def nobody(self) -> Caller:
        """Without session or token."""
        return Caller(browser_of(None))

    def _hand_over(self, who: str) -> None:
        """The hunt is of whoever calls: nobody else but an administrator may change it. And
        nothing is under way that an earlier caller asked for."""
        fields = {"name": self.hunt.name, "indicators": "10.0.0.9", "owner": self.people[who]}
        Hunt.objects.update_or_create(pk=self.hunt.pk, defaults=fields)
        ReportRun.objects.all().delete()
        ReachRun.objects.all().delete()
        self.last = who

    def path(self, name: str, *, hidden: bool = False) -> str:
        """The address of a route about the host, or a snapshot or alert of it, or the hunt."""
        if name == "api-hunt":
            return reverse(name, args=[NO_HUNT if hidden else self.hunt.pk])
        if name.startswith("api-silence") and name != "api-silences":
            return reverse(name, args=[self._silence(hidden=hidden).pk])
        if name.startswith("api-channel") and name != "api-channels":
            return reverse(name, args=[self._channel().pk])
        if name in ("api-cmdb-source", "api-cmdb-source-sync"):
            return reverse(name, args=[NO_SOURCE if hidden else self._sync_run().source_id])
        if name in ("api-cmdb-run", "api-cmdb-run-decide"):
            return reverse(name, args=[NO_SOURCE if hidden else self._sync_run().pk])
        if name.startswith("api-alert") and name != "api-alerts":
            return reverse(name, args=[(self.hidden_alert if hidden else self.alert).pk])
        if name == "api-token":
            return reverse(name, args=[self._token(hidden=hidden).pk])
        if name.startswith("api-report-mailing") and name != "api-report-mailings":
            return reverse(name, args=[self._mailing(hidden=hidden).pk])
        if name in ("api-peers", "api-drift-watches"):
            self._peer(hidden=True)
            self._peer(hidden=False)
        if name == "api-host-watch-forget":
            self._gone_port()
        if name == "api-peer-decide":
            return reverse(name, args=[self._peer(hidden=hidden).pk])
        if name == "api-drift-watch":
            watched = self._peer(hidden=hidden).group
            return reverse(name, args=[watched.pk])
        if name in ("api-rule", "api-rule-overrides"):
            return reverse(name, args=[NO_RULE if hidden else self._override(hidden=False).rule_id])
        if name == "api-rule-override":
            return reverse(name, args=[self._override(hidden=hidden).pk])
        if name == "api-port-policy":
            pk, host = (HIDDEN_POLICY, self.hidden) if hidden else (POLICY, self.host)
            PortPolicy.objects.filter(host=host).exclude(pk=pk).delete()
            return reverse(
                name,
                args=[PortPolicy.objects.update_or_create(pk=pk, defaults={"host": host})[0].pk],
            )
        if name.startswith("api-service") and name != "api-services":
            return reverse(name, args=[self._service(hidden=hidden).pk])
        if name == "api-restart-command":
            command = RestartCommand.objects.update_or_create(
                pk=COMMAND, defaults={"name": "unused", "argv": ["true"], "use_sudo": False}
            )[0]
            return reverse(name, args=[command.pk])
        if name.startswith("api-snapshot"):
            return reverse(name, args=[(self.hidden_snapshot if hidden else self.second).pk])
        if name.startswith("api-host") and name != "api-hosts":
            return reverse(name, args=[(self.hidden if hidden else self.host).pk])
        return reverse(name)

    def _service(self, *, hidden: bool) -> Service:
        """One that was never restarted, on a host whose newest probe shows its port down."""
        Restart.objects.all().delete()
        host = self.hidden if hidden else self.host
        command, _made = RestartCommand.objects.get_or_create(
            name="start it", defaults={"argv": ["true"], "use_sudo": False}
        )
        pk = HIDDEN_SERVICE if hidden else SERVICE
        fields = {"name": "shop", "host": host, "protocol": "tcp", "port": 9, "command": command}
        return Service.objects.update_or_create(pk=pk, defaults=fields)[0]

    def _mailing(self, *, hidden: bool) -> ReportSchedule:
        """One of whoever called last, for whom alone it exists; or of somebody else."""
        fields = {
            "name": "nightly",
            "owner": self.people["without a role" if hidden else self.last],
            "host": self.hidden if hidden else self.host,
            "every": "day",
            "recipients": "ops@example.org",
            "next_at": at(60),
        }
        pk = HIDDEN_MAILING if hidden else MAILING
        return ReportSchedule.objects.update_or_create(pk=pk, defaults=fields)[0]

    def _token(self, *, hidden: bool) -> APIToken:
        """A live token of whoever called last, for whom alone it exists; or of somebody else."""
        fields = {
            "name": "script",
            "user": self.people["without a role" if hidden else self.last],
            "prefix": f"0000000{int(hidden)}",
            "digest": f"{int(hidden):064}",
            "revoked_at": None,
        }
        pk = HIDDEN_TOKEN if hidden else TOKEN
        return APIToken.objects.update_or_create(pk=pk, defaults=fields)[0]

    def _gone_port(self) -> None:
        """A port of the host that went down."""
        now = timezone.now()
        WatchedPort.objects.get_or_create(
            host=self.host,
            protocol="tcp",
            port=GONE_PORT,
            defaults={"is_up": False, "since": now, "first_seen": now, "last_seen": now},
        )

    def _peer(self, *, hidden: bool) -> Peer:
        """A new peer of the host's group, which is watched."""
        group = self.others if hidden else self.group
        DriftWatch.objects.get_or_create(group=group, defaults={"learn_until": at(0)})
        fields = {
            "group": group,
            "program": "curl",
            "network": "203.0.113.0/24",
            "state": "new",
            "first_seen": at(1),
            "last_seen": at(1),
        }
        pk = HIDDEN_PEER if hidden else PEER
        return Peer.objects.update_or_create(pk=pk, defaults=fields)[0]

    def _channel(self) -> Channel:
        """One whose message was given up, whatever an earlier caller did of it."""
        fields = {"name": "ops", "kind": "email", "recipients": "ops@example.org", "enabled": True}
        made, _new = Channel.objects.update_or_create(pk=CHANNEL, defaults=fields)
        given_up = {"channel": made, "kind": "alerts", "state": "failed", "tries": 8}
        Delivery.objects.update_or_create(uid=DELIVERY, defaults=given_up)
        return made

    def _sync_run(self) -> SyncRun:
        """One that waits, whatever an earlier caller decided."""
        fields = {"name": "assets", "kind": "json", "location": "http://127.0.0.1:9/hosts.json"}
        Source.objects.update_or_create(pk=SOURCE, defaults=fields | {"group": self.group})
        plan = {"add": [], "change": [], "remove": []}
        waiting = {"source_id": SOURCE, "state": "waiting", "started_at": at(0), "plan": plan}
        return SyncRun.objects.update_or_create(pk=RUN, defaults=waiting)[0]

    def _override(self, *, hidden: bool) -> RuleOverride:
        """What is other about a rule for the host, whatever an earlier caller did."""
        fields = {"name": "many sockets", "metric": "sockets", "threshold": 5_000}
        Rule.objects.update_or_create(pk=RULE, defaults=fields)
        pk, host = (HIDDEN_OVERRIDE, self.hidden) if hidden else (OVERRIDE, self.host)
        RuleOverride.objects.filter(rule_id=RULE, host=host).exclude(pk=pk).delete()
        said = {"rule_id": RULE, "host": host, "threshold": 9_000}
        return RuleOverride.objects.update_or_create(pk=pk, defaults=said)[0]

    def _silence(self, *, hidden: bool) -> Silence:
        """A window over the host that is not over, whatever an earlier caller did."""
        fields = {
            "host": self.hidden if hidden else self.host,
            "starts_at": at(0),
            "ends_at": timezone.now() + dt.timedelta(hours=2),
            "reason": "new disks",
        }
        pk = HIDDEN_SILENCE if hidden else SILENCE
        return Silence.objects.update_or_create(pk=pk, defaults=fields)[0]


def build() -> Site:
    """Make it."""
    group, others = (HostGroup.objects.create(name=name) for name in ("inside", "others"))
    credential = Credential(name="watcher", user="watcher")
    credential.set_secret("password", PASSWORD)
    credential.save()
    host = Host.objects.create(name="web1", address="192.0.2.1", credential=credential)
    hidden = Host.objects.create(name="db1", address="192.0.2.2", credential=credential)
    host.groups.add(group)
    hidden.groups.add(others)
    stored = [
        store.save(each, seen)
        for each in (host, hidden)
        for seen in (observed(0, FIRST), observed(1, SECOND), failed(2))
    ]
    people = {
        "viewer": person("vera", Role.VIEWER),
        "operator": person("otto", Role.OPERATOR),
        "admin": person("anna", Role.ADMIN),
        "limited viewer": person("lina", Role.VIEWER, groups=[group]),
        "limited admin": person("lisa", Role.ADMIN, groups=[group]),
        "without a role": person("idle"),
    }
    hunt = Hunt.objects.create(name="botnet", owner=people["operator"], indicators="10.0.0.9")
    Hunt.objects.create(name="miners", owner=people["admin"], indicators="program:xmrig")
    alerts = [
        Alert.objects.create(
            kind="hunt",
            fingerprint=f"hunt:{hunt.pk}",
            ends_by_word=True,
            hunt=hunt,
            host=each,
            subject="botnet",
            opened_at=at(0),
            newest_at=at(1),
        )
        for each in (host, hidden)
    ]
    return Site(
        host,
        hidden,
        credential,
        stored[0],
        stored[1],
        stored[2],
        stored[4],
        group,
        others,
        people,
        hunt,
        *alerts,
    )
