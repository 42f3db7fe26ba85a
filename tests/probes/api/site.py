"""A site with two groups of hosts, their history, and callers of the JSON routes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from hosts.models import Credential, Host, HostGroup
from netadmin.access import tokens
from netadmin.access.models import Role, Scope
from probes.api import routing, urls
from probes.history import store
from probes.models import Alert, Hunt, ReachRun, ReportRun, ReportSchedule, Snapshot
from tests.people import browser_of, person
from tests.probes.history.played import at, failed, line, observed, table

ENDPOINTS = [each for each in routing.ENDPOINTS if each.name in {p.name for p in urls.urlpatterns}]
"""Every address of the API; they are registered when its URLs are loaded."""

PASSWORD = "the-stored-pass%word"
NO_HUNT = 987654320
MAILING, HIDDEN_MAILING = 987654310, 987654311

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
        if name.startswith("api-alert-"):
            return reverse(name, args=[(self.hidden_alert if hidden else self.alert).pk])
        if name.startswith("api-report-mailing") and name != "api-report-mailings":
            return reverse(name, args=[self._mailing(hidden=hidden).pk])
        if name.startswith("api-snapshot"):
            return reverse(name, args=[(self.hidden_snapshot if hidden else self.second).pk])
        if name.startswith("api-host") and name != "api-hosts":
            return reverse(name, args=[(self.hidden if hidden else self.host).pk])
        return reverse(name)

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
            kind="hunt", hunt=hunt, host=each, subject="botnet", opened_at=at(0), newest_at=at(1)
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
