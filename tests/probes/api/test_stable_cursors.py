"""Every list, read a page at a time while rows come and go: what stays is read once.

All lists are walked side by side. Between two pages rows are added before and behind the place that
was reached, and others removed, also some that were read and some that would come next.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hosts.models import Host, HostGroup, Source, SyncRun
from netadmin.access.models import APIToken
from probes.history import store
from probes.models import (
    Alert,
    Change,
    Channel,
    Delivery,
    DriftWatch,
    Hunt,
    Peer,
    PortPolicy,
    ReportSchedule,
    Restart,
    RestartCommand,
    Rule,
    RuleOverride,
    Service,
    Silence,
    WatchedPort,
)
from tests.probes.api.site import CHANNEL, ENDPOINTS, FIRST, RULE, SERVICE, Site
from tests.probes.history.played import at, line, observed

LEAST, PAGES = 2, 5
BEFORE, MOVES = 12, 6
NEEDED: dict[str, dict[str, Any]] = {
    "api-ports": {"port": 22},
    "api-connections-search": {"port": 22},
    "api-diff": {},
}
OF_STORED_TABLES = {
    "api-host-routes",
    "api-host-interfaces",
    "api-host-protocols",
    "api-host-multicast",
    "api-host-diff",
    "api-diff",
    "api-findings",
    "api-leaks",
}
"""Lists of what two probes or one stored table said: rows come and go only as a whole."""
VOLATILE = {"recv_queue", "send_queue", "last_seen", "duration_s", "steps"}
"""What a row says otherwise while it stays."""
WALKED = [
    each.name
    for each in ENDPOINTS
    if "GET" in each.operations
    and "cursor" in each.operations["GET"].query.model_fields
    and each.name not in OF_STORED_TABLES
]


class Moving:
    """Rows of every list, by number."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.admin = site.people["admin"]
        self.made: dict[int, list[Any]] = {}
        self.lines: dict[int, str] = {}
        self.probes = 10

    def add(self, number: int) -> None:
        """One more row in each list. Names and times come in no order."""
        place = number * 7 % 40
        site, name = self.site, f"{place:02}"
        host = Host.objects.create(name=f"h{name}", address="192.0.2.7")
        store.save(host, observed(0, FIRST))
        opened = line(f"0.0.0.0:{6000 + place}", "0.0.0.0:*", "LISTEN", f"{900 + place}/app{name}")
        self.lines[number] = opened + "\n"
        self._probe()
        group = HostGroup.objects.create(name=f"g{name}")
        when = at(place)
        times = {"first_seen": when, "last_seen": at(60)}
        rule = Rule.objects.create(name=f"r{name}", metric="sockets", threshold=7)
        command = RestartCommand.objects.create(name=f"c{name}", argv=["true"])
        fields = {"protocol": "tcp", "port": 5000 + place}
        Service.objects.create(name=f"s{name}", host=host, command=command, **fields)
        source = Source.objects.create(
            name=f"s{name}", kind="json", location="http://h/", group=group
        )
        cut_off = {"connections": 0, "ips": [], "programs": [], "up": False}
        failed = {"state": "failed", "ended_at": when, "affected": cut_off}
        watched = {"is_up": True, "since": when, **times}
        self.made[number] = [
            Alert.objects.create(
                kind="hunt",
                hunt=site.hunt,
                host=host,
                subject=f"x{name}",
                fingerprint=f"x{name}",
                opened_at=when,
                newest_at=when,
            ),
            Change.objects.create(host=host, kind="port_new", at=when, announced_at=when, **fields),
            Hunt.objects.create(name=f"x{name}", owner=self.admin, indicators="port 22"),
            Peer.objects.create(group=group, network="192.0.2.0/24", state="new", **times),
            DriftWatch.objects.create(group=group, learn_until=when),
            Silence.objects.create(host=host, starts_at=when, ends_at=at(100 + place)),
            RuleOverride.objects.create(rule_id=RULE, host=host, threshold=8),
            Restart.objects.create(service_id=SERVICE, host=site.host, planned_at=when, **failed),
            WatchedPort.objects.create(host=site.host, **fields, **watched),
            PortPolicy.objects.create(host=host),
            Channel.objects.create(name=f"c{name}", kind="email", recipients="a@example.org"),
            Delivery.objects.create(channel_id=CHANNEL, kind="alerts", state="sent"),
            ReportSchedule.objects.create(
                name=f"m{name}",
                owner=self.admin,
                host=host,
                every="day",
                recipients="a@example.org",
                next_at=when,
            ),
            SyncRun.objects.create(source=source, state="done", started_at=when),
            APIToken.objects.create(
                user=self.admin, name=f"t{name}", prefix=f"1{number:07}", digest=f"1{number:063}"
            ),
            rule,
            source,
            group,
            host,
            command,
        ]

    def remove(self, number: int) -> None:
        """Take its rows away again."""
        del self.lines[number]
        self._probe()
        for row in self.made.pop(number):
            if row.pk is not None:
                type(row)._default_manager.filter(pk=row.pk).delete()

    def _probe(self) -> None:
        self.probes += 1
        store.save(self.site.host, observed(self.probes, FIRST + "".join(self.lines.values())))


def test_what_stays_is_read_once_while_rows_come_and_go(site: Site) -> None:
    caller, moving = site.session("admin"), Moving(site)
    paths = {name: site.path(name) for name in WALKED}
    for number in range(BEFORE):
        moving.add(number)
    pages: dict[str, list[list[str]]] = {name: [] for name in WALKED}
    cursors: dict[str, str | None] = dict.fromkeys(WALKED, "")

    def page(name: str, **query: Any) -> tuple[list[str], str | None]:
        data = caller.get(paths[name], **NEEDED.get(name, {}), **query)
        return [_same(row) for row in data[_rows(data)]], data["next"]

    before = {name: page(name, limit=1000)[0] for name in WALKED}
    for move in range(100):
        for name, cursor in cursors.items():
            if cursor is not None:
                query = {"cursor": cursor} if cursor else {}
                limit = max(LEAST, len(before[name]) // PAGES)
                rows, cursors[name] = page(name, limit=limit, **query)
                pages[name].append(rows)
        if not any(cursors.values()):
            break
        if move < MOVES:
            moving.add(BEFORE + move)
            moving.remove(move)
    after = {name: page(name, limit=1000)[0] for name in WALKED}

    for name in WALKED:
        read = Counter(row for rows in pages[name] for row in rows)
        stayed = set(before[name]) & set(after[name])
        assert len(pages[name]) > 2, name
        assert len(stayed) > 2, name
        assert [row for row in stayed if read[row] != 1] == [], name
        assert max(read.values()) == 1, name


def _same(row: dict[str, Any]) -> str:
    """What a row is known by from one page to the next."""
    return json.dumps({key: row[key] for key in row if key not in VOLATILE}, sort_keys=True)


def _rows(data: dict[str, Any]) -> str:
    """The name of the list among the data, which may have short ones besides."""
    if "sightings" in data:
        return "sightings"
    (name,) = (
        name
        for name, value in data.items()
        if isinstance(value, list) and all(isinstance(row, dict) for row in value)
    )
    return name
