"""What is watched in the invented fleet: ports that come and go, and what people did about it.

The rows are judged like any other, so changes and alerts are made by the real watchers; what a
network would be needed for (deliveries, synchronisations) is written as rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Q

from hosts.models import Credential, Host, HostGroup, Source, SyncRun
from probes.models import (
    Alert,
    Change,
    Channel,
    Delivery,
    DriftWatch,
    Peer,
    Rule,
    Silence,
)

END: Final = 10_000
MOVES: Final = {
    "web-1": ((86, END, "tcp", "0.0.0.0:4444", "3391/nc"),),
    "build-1": (
        (0, 81, "tcp", "0.0.0.0:9000", "2711/sonar"),
        (40, END, "tcp", "0.0.0.0:8081", "3120/java"),
    ),
    "cache-1": (
        (0, 69, "tcp", "10.20.1.31:6380", "935/redis-server"),
        (70, END, "tcp", "10.20.1.31:6380", "4120/python3"),
    ),
    "mail": (
        (0, 59, "tcp", "0.0.0.0:143", "1288/dovecot"),
        (65, END, "tcp", "0.0.0.0:143", "1290/dovecot"),
    ),
}
"""By host: listeners with the first and last probe that shows them."""


def rows(name: str, index: int) -> Iterator[str]:
    """The listeners of the probe ``index`` that come or go some time."""
    for first, last, protocol, local, holder in MOVES.get(name, ()):
        if first <= index <= last:
            ends = f"{local:<23} {'0.0.0.0:*':<23}"
            yield f"{protocol:<5} {0:>6} {0:>6} {ends} {'LISTEN':<11} {holder}"


def build(owner: User, until: dt.datetime) -> int:
    """What people and netadmin did about the fleet's alerts; returns the id of one worth a look."""
    hours = dt.timedelta(hours=1)
    chosen = Alert.objects.filter(host__name="web-1", fingerprint="port_new:tcp/4444").get()
    _windows(owner, until)
    _channel(chosen, until)
    _peers(until)
    _source(owner, until)
    known = Alert.objects.filter(kind="rule", host__name="web-2", resolved_at=None)
    known.update(acknowledged_at=until - hours / 2, acknowledged_by=owner.username)
    Change.objects.filter(announced_at=None).update(announced_at=until)
    return chosen.pk


def _windows(owner: User, until: dt.datetime) -> None:
    hour = dt.timedelta(hours=1)
    legacy = Host.objects.get(name="legacy")
    alert = (
        Alert.objects.filter(host__name="db-2", resolved_at=None).exclude(fingerprint="").first()
    )
    Silence.objects.create(
        starts_at=until - hour,
        ends_at=until + 3 * hour,
        host=legacy,
        reason="Moves to the new rack",
        created_by=owner.username,
    )
    Silence.objects.create(
        starts_at=until + 9 * hour,
        ends_at=until + 11 * hour,
        group=HostGroup.objects.get(name="data"),
        reason="PostgreSQL 17",
        created_by=owner.username,
    )
    Silence.objects.create(
        starts_at=until - 30 * hour,
        ends_at=until - 28 * hour,
        rule=Rule.objects.filter(metric="rise").first(),
        reason="Load test",
        created_by="ben",
    )
    if alert is not None:
        Silence.objects.create(
            starts_at=until,
            ends_at=until + 8 * hour,
            host=alert.host,
            kind=alert.kind,
            fingerprint=alert.fingerprint,
            created_by=owner.username,
        )


def _channel(alert: Alert, until: dt.datetime) -> None:
    minutes = dt.timedelta(minutes=1)
    team = Channel(
        name="Team chat", kind=Channel.Kind.WEBHOOK, address_shown="https://chat.example"
    )
    team.set_secret("address", "https://chat.example/hooks/of-the-team")
    team.save()
    mail = Channel.objects.create(
        name="On call", kind=Channel.Kind.EMAIL, recipients="oncall@example.org"
    )
    told = Change.objects.filter(Q(turn="opened") | Q(turn="resolved"), alert__isnull=False)
    for place, change in enumerate(told.order_by("-at")[:12]):
        for channel in (team, mail):
            failed = channel is mail and place == 4
            delivery = Delivery.objects.create(
                channel=channel,
                kind=Delivery.Kind.ALERTS,
                state=Delivery.State.FAILED if failed else Delivery.State.SENT,
                tries=5 if failed else 1,
                sent_at=None if failed else change.at,
                error="the mail server was out of reach" if failed else "",
            )
            delivery.changes.add(change)
    waiting = Delivery.objects.create(
        channel=mail, kind=Delivery.Kind.REMINDER, tries=2, try_after=until + 5 * minutes
    )
    waiting.changes.add(*Change.objects.filter(alert=alert, turn="opened"))


def _peers(until: dt.datetime) -> None:
    group = HostGroup.objects.get(name="office")
    DriftWatch.objects.get_or_create(
        group=group, defaults={"learn_until": until - dt.timedelta(days=2), "checked_at": until}
    )
    host = Host.objects.get(name="build-1")
    for program, network, state, hours in (
        ("java", "140.82.112.0/24", Peer.State.LEARNED, 5),
        ("dovecot", "10.20.1.0/24", Peer.State.APPROVED, 5),
        ("java", "185.199.108.0/24", Peer.State.NEW, 1),
        ("curl", "198.51.100.0/24", Peer.State.NEW, 2),
    ):
        seen = until - dt.timedelta(hours=hours)
        Peer.objects.get_or_create(
            group=group,
            program=program,
            network=network,
            defaults={"state": state, "first_seen": seen, "last_seen": until, "host": host},
        )


def _source(owner: User, until: dt.datetime) -> None:
    source = Source.objects.create(
        name="NetBox",
        kind=Source.Kind.NETBOX,
        location="https://netbox.example",
        group=HostGroup.objects.get(name="office"),
        credential=Credential.objects.get(name="deploy"),
        next_sync_at=until + dt.timedelta(days=1),
    )
    for hours, state, added, changed, removed in (
        (26, SyncRun.State.DONE, 4, 0, 0),
        (5, SyncRun.State.UNCHANGED, 0, 0, 0),
        (2, SyncRun.State.DONE, 1, 2, 0),
        (1, SyncRun.State.WAITING, 0, 0, 3),
    ):
        began = until - dt.timedelta(hours=hours)
        SyncRun.objects.create(
            source=source,
            state=state,
            started_at=began,
            ended_at=began + dt.timedelta(seconds=3),
            by=owner.username if hours == 26 else "",
            rows=10,
            added=added,
            changed=changed,
            removed=removed,
            plan={"add": [], "change": [], "remove": [], "keep": 10, "problems": []},
        )
