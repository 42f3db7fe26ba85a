"""Channels, hosts and transitions for tests of who is told what."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction

from hosts.models import Host, HostGroup
from probes.models import AlertKind, Change, Channel, Delivery
from probes.watch import lifecycle
from probes.watch.lifecycle import Raise, Transition

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
PORT = "port_down:tcp/8080"


def later(minutes: float) -> dt.datetime:
    """So many minutes after noon."""
    return NOON + dt.timedelta(minutes=minutes)


def new_host(using: str = "default", name: str = "web1", *groups: str) -> Host:
    host = Host.objects.using(using).create(name=name, address="192.0.2.1")
    for each in groups:
        host.groups.add(HostGroup.objects.using(using).get_or_create(name=each)[0])
    return host


def channel(using: str = "default", name: str = "ops", **fields: Any) -> Channel:
    """A channel to a webhook, unless ``fields`` say otherwise; ``address`` and ``signing_key`` are
    its secrets."""
    address = fields.pop("address", "https://hooks.example.com/T0/secret")
    key = fields.pop("signing_key", None)
    groups = fields.pop("groups", ())
    made = Channel(name=name, **{"kind": Channel.Kind.WEBHOOK} | fields)
    made.set_secret("address", address)
    made.set_secret("signing_key", key)
    made.save(using=using)
    Channel.objects.using(using).filter(pk=made.pk).update(created_at=later(-600))
    made.groups.set(groups)
    return made


def _recorded(transitions: list[Transition], *, using: str) -> list[Change]:
    with transaction.atomic(using=using):
        return lifecycle.record(transitions, using=using)


def down(host: Host, at: dt.datetime, fingerprint: str = PORT, **raised: Any) -> Change:
    """The port goes down."""
    using = host._state.db or "default"
    facts = {"protocol": "tcp", "port": 8080, "before": {"programs": ["nginx"]}}
    raised = {"kind": AlertKind.PORT, "severity": "warning", "facts": facts} | raised
    (change,) = _recorded(
        [
            Transition(
                kind=Change.Kind.PORT_DOWN,
                host_id=host.pk,
                at=at,
                protocol="tcp",
                port=8080,
                program="nginx",
                raises=Raise(fingerprint=fingerprint, subject="tcp/8080 nginx", **raised),
            )
        ],
        using=using,
    )
    return change


def back(host: Host, at: dt.datetime, fingerprint: str = PORT) -> Change:
    """The port is there again."""
    (change,) = _recorded(
        [
            Transition(
                kind=Change.Kind.PORT_RECOVERED,
                host_id=host.pk,
                at=at,
                protocol="tcp",
                port=8080,
                program="nginx",
                resolves=[fingerprint],
            )
        ],
        using=host._state.db or "default",
    )
    return change


def deliveries(using: str = "default", **chosen: Any) -> list[Delivery]:
    rows = Delivery.objects.using(using).filter(**chosen)
    return list(rows.select_related("channel").order_by("pk"))


def sent(using: str = "default", *, at: dt.datetime) -> int:
    """Take what is due at a time for sent, as if its receiver had taken it."""
    due = Delivery.objects.using(using).filter(try_after__lte=at)
    return due.update(state=Delivery.State.SENT, sent_at=at, try_after=None, tries=1)


def told(using: str = "default") -> list[tuple[str, str, bool]]:
    """(kind of message, host, whether it is wrong) of every item, in their order."""
    return [
        (delivery.kind, item["host"]["name"], item["active"])
        for delivery in deliveries(using)
        for item in delivery.items
    ]
