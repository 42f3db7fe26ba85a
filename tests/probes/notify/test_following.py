"""What time brings: windows that let go, channels that are switched on again, ends without a word,
and rounds in which nothing is due."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import RequestFactory

from hosts.models import Host, HostGroup
from probes.history.queries import alerts as queries
from probes.models import Alert, AlertKind, Change, Channel, Delivery, Silence, Told
from probes.notify import channels, follow_up, messages, outbox, sending
from probes.notify.deciding import Round
from probes.watch import lifecycle, rounds
from probes.watch.lifecycle import Raise, Transition
from tests.databases import both_databases
from tests.probes.notify.told import (
    NOON,
    PORT,
    back,
    channel,
    deliveries,
    down,
    later,
    new_host,
    sent,
    told,
)

pytestmark = pytest.mark.django_db

NEW = "port_new:tcp/8080"


def opened(host: Host, at: Any) -> None:
    """A port that was never seen opens on the host."""
    using = host._state.db or "default"
    facts = {"protocol": "tcp", "port": 8080, "event": "port_new"}
    raised = Raise(kind=AlertKind.PORT, fingerprint=NEW, subject="tcp/8080", facts=facts)
    _record(using, Transition(kind=Change.Kind.PORT_NEW, host_id=host.pk, at=at, raises=raised))


def closed(host: Host, at: Any) -> None:
    """It goes: one change that opens an alert and ends that of the new port."""
    using = host._state.db or "default"
    facts = {"protocol": "tcp", "port": 8080, "event": "port_down"}
    raised = Raise(kind=AlertKind.PORT, fingerprint=PORT, subject="tcp/8080", facts=facts)
    _record(
        using,
        Transition(
            kind=Change.Kind.PORT_DOWN, host_id=host.pk, at=at, raises=raised, resolves=[NEW]
        ),
    )


def _record(using: str, transition: Transition) -> None:
    with transaction.atomic(using=using):
        lifecycle.record([transition], using=using)


def switch(row: Channel, *, on: bool) -> None:
    request = RequestFactory().post("/")
    request.user = User.objects.get_or_create(username="ada", is_superuser=True)[0]
    channels.change(row, {"enabled": on}, request=request)


def moved(window: Silence, other: Host) -> None:
    Silence.objects.using(window._state.db).filter(pk=window.pk).update(host=other, group=None)


def narrowed(window: Silence, _other: Host) -> None:
    Silence.objects.using(window._state.db).filter(pk=window.pk).update(kind="probe")


def removed(window: Silence, _other: Host) -> None:
    window.delete()


def left(window: Silence, _other: Host) -> None:
    assert window.group is not None
    window.group.hosts.clear()


def group_removed(window: Silence, _other: Host) -> None:
    assert window.group is not None
    window.group.delete()


@pytest.mark.parametrize("act", [moved, narrowed, removed, left, group_removed])
@both_databases
def test_what_a_window_holds_no_more_is_told_once_however_it_let_go(using: str, act: Any) -> None:
    channel(using)
    host, ended, other = (new_host(using, name, "web") for name in ("a", "b", "other"))
    down(ended, later(-10))
    outbox.announce(using, now=later(-10))
    sent(using, at=later(-9))
    group = HostGroup.objects.using(using).get(name="web")
    window = Silence.objects.using(using).create(
        starts_at=later(-5), ends_at=later(600), group=group
    )
    down(host, NOON)
    back(ended, NOON)
    outbox.announce(using, now=NOON)
    follow_up.run(using, now=later(1))
    assert len(told(using)) == 1, "the window holds both"

    act(window, other)
    down(new_host(using, "c"), later(2))
    outbox.announce(using, now=later(2))
    follow_up.run(using, now=later(3))
    follow_up.run(using, now=later(4))
    said = sorted(told(using)[1:])
    assert said == [("alerts", "c", True), ("window_over", "a", True), ("window_over", "b", False)]
    assert not Change.objects.using(using).filter(hushed=True).exists()


def test_what_is_over_before_its_window_lets_go_is_told_to_nobody() -> None:
    channel()
    host = new_host()
    window = Silence.objects.create(starts_at=NOON, ends_at=later(60))
    down(host, later(1))
    back(host, later(2))
    outbox.announce(now=later(2))
    window.delete()
    follow_up.run(now=later(3))
    assert told() == []
    assert not Change.objects.filter(hushed=True).exists()


@pytest.mark.parametrize("away", ["removed", "disabled"])
def test_what_ends_because_its_host_is_watched_no_more_is_not_said_to_be_over(away: str) -> None:
    channel()
    host = new_host()
    down(host, NOON)
    outbox.announce(now=NOON)
    sent(at=later(1))
    changed = {"enabled": False} if away == "disabled" else {"removed_at": later(2)}
    Host.objects.filter(pk=host.pk).update(**changed)
    rounds.tidy()
    assert not Alert.objects.filter(resolved_at=None).exists()
    follow_up.run(now=later(3))
    assert told() == [("alerts", "web1", True)]
    assert not Told.objects.filter(is_active=True).exists()


def test_a_channel_that_is_switched_on_again_is_told_once_what_is_wrong_then() -> None:
    row = channel()
    before, ended, during = (new_host(name=name) for name in ("before", "ended", "during"))
    for host in (before, ended):
        down(host, NOON)
    outbox.announce(now=NOON)
    switch(row, on=False)
    back(ended, later(1))
    down(during, later(1))
    outbox.announce(now=later(1))
    switch(row, on=True)
    follow_up.run(now=later(2))
    follow_up.run(now=later(3))
    _dropped, caught_up = deliveries()
    assert [(item["host"]["name"], item["active"]) for item in caught_up.items] == [
        ("before", True), ("during", True)
    ]  # fmt: skip
    sent(at=later(4))
    for host in (before, during):
        back(host, later(5))
    outbox.announce(now=later(5))
    follow_up.run(now=later(6))
    assert sorted(told()[4:]) == [("alerts", "before", False), ("alerts", "during", False)]


def test_the_end_of_what_was_never_sent_to_a_channel_is_not_told() -> None:
    row = channel()
    host = new_host()
    down(host, NOON)
    outbox.announce(now=NOON)
    switch(row, on=False)
    switch(row, on=True)
    back(host, later(1))
    outbox.announce(now=later(1))
    follow_up.run(now=later(2))
    assert [delivery.state for delivery in deliveries()] == ["failed"]


def test_the_end_of_what_was_given_up_after_its_last_try_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "TRIES", 1)
    channel(address="")
    host = new_host()
    down(host, NOON)
    outbox.announce(now=NOON)
    Delivery.objects.update(try_after=NOON)
    assert sending.send_due().failed == 1
    back(host, later(1))
    outbox.announce(now=later(1))
    follow_up.run(now=later(2))
    assert [delivery.state for delivery in deliveries()] == ["failed"]


def test_what_is_announced_only_after_its_window_is_told_once() -> None:
    channel()
    Silence.objects.create(starts_at=NOON, ends_at=later(10))
    down(new_host(), later(9))
    follow_up.run(now=later(11))
    outbox.announce(now=later(11))
    assert told() == [("alerts", "web1", True)]


def test_an_alert_knows_of_every_message_that_told_of_it() -> None:
    channel(name="ops", repeat_minutes=60)
    channel(name="boss", escalate_minutes=30)
    host = new_host()
    down(host, NOON)
    alert = Alert.objects.get()
    outbox.announce(now=NOON)
    sent(at=later(1))
    follow_up.run(now=later(31))
    follow_up.run(now=later(61))
    sent(at=later(62))
    Silence.objects.create(starts_at=later(63), ends_at=later(64))
    follow_up.run(now=later(65))
    found = queries.deliveries(alert, most=50)
    assert sorted((each.channel.name, each.kind) for each in found) == [
        ("boss", "escalation"), ("ops", "alerts"), ("ops", "reminder"), ("ops", "window_over")
    ]  # fmt: skip


@both_databases
def test_a_transition_tells_what_it_ends_together_with_what_it_begins(using: str) -> None:
    channel(using)
    host, short = new_host(using), new_host(using, "short")
    opened(host, NOON)
    outbox.announce(using, now=NOON)
    sent(using, at=later(1))
    opened(short, later(2))
    for each in (host, short):
        closed(each, later(2))
    outbox.announce(using, now=later(2))
    _first, second = deliveries(using)
    assert sorted((i["host"]["name"], i["fingerprint"], i["active"]) for i in second.items) == [
        ("short", PORT, True), ("short", NEW, False), ("web1", PORT, True), ("web1", NEW, False)
    ]  # fmt: skip
    assert not Told.objects.using(using).filter(fingerprint=NEW, is_active=True).exists()
    assert messages.compose(second).subject == "[netadmin] 2 wrong and 2 over on 2 hosts"
    follow_up.run(using, now=later(3))
    assert len(deliveries(using)) == 2


def test_what_is_over_never_stands_as_wrong_even_in_the_last_message_of_the_hour() -> None:
    channel()
    host = new_host()
    opened(host, NOON)
    outbox.announce(now=NOON)
    sent(at=later(1))
    closed(host, later(2))
    outbox.announce(now=later(2))
    sent(at=later(3))
    opened(host, later(4))
    closed(host, later(4))
    outbox.announce(now=later(4))
    *_before, last = deliveries()
    said = {item["fingerprint"]: (item["active"], item["quiet_until"]) for item in last.items}
    assert said[NEW] == (False, "2026-05-01T13:04:00Z")


def test_a_subject_says_alone_how_many_are_over() -> None:
    row = channel()
    items = [
        messages.freeze(Alert(host=Host(pk=n, name=f"web{n}"), subject=str(n)), active=False,
                        language="en")
        for n in (1, 2)
    ]  # fmt: skip
    for item, title in zip(items, "ab", strict=True):
        item["title"] = title
    delivery = Delivery(channel=row, kind="alerts", items=items, created_at=NOON)
    said = messages.compose(delivery).subject
    assert said == "[netadmin] 2 alerts are over on 2 hosts"


@both_databases
def test_a_round_in_which_nothing_is_due_reads_no_alert(
    using: str, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """However many are active: told already, acknowledged, not heard of, held by a window."""
    dmz = HostGroup.objects.using(using).create(name="dmz")
    channel(using, "ops", repeat_minutes=120)
    channel(using, "boss", escalate_minutes=30)
    channel(using, "dmz", escalate_minutes=30, groups=[dmz])
    channel(using, "severe", escalate_minutes=30, min_severity="critical")
    channel(using, "rules", escalate_minutes=30, kinds=["rule"])
    for number in range(30):
        down(new_host(using, f"web{number}"), NOON)
    known, held = new_host(using, "known", "dmz"), new_host(using, "held", "dmz")
    for host in (known, held):
        down(host, NOON)
    Alert.objects.using(using).filter(host=known).update(acknowledged_at=NOON)
    Silence.objects.using(using).create(starts_at=NOON, ends_at=later(600), host=held)
    outbox.announce(using, now=later(1))
    assert follow_up.run(using, now=later(32)).escalated == 30
    sent(using, at=later(33))

    def opened(*_args: object) -> None:
        raise AssertionError("nothing is due")

    monkeypatch.setattr(Round, "__init__", opened)
    with django_assert_num_queries(10, using=using):
        follow_up.run(using, now=later(34))
    monkeypatch.undo()
    assert follow_up.run(using, now=later(122)).reminded == 30
