"""Who is told of what, when, and how often; decided in one transaction."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from hosts.models import Host, HostGroup
from probes.models import Alert, Change, Delivery, Silence, Told
from probes.notify import deciding, follow_up, outbox
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


@both_databases
def test_a_transition_becomes_one_delivery_a_channel_and_is_announced(using: str) -> None:
    first, second = channel(using), channel(using, "night")
    change = down(new_host(using), NOON)
    done = outbox.announce(using, now=later(1))

    assert (done.changes, done.told) == (1, 2)
    assert Change.objects.using(using).get().announced_at == later(1)
    found = deliveries(using)
    assert {delivery.channel_id for delivery in found} == {first.pk, second.pk}
    for delivery in found:
        assert list(delivery.changes.values_list("pk", flat=True)) == [change.pk]
        (item,) = delivery.items
        assert item["changes"] == [change.pk]
        assert item["title"] == "Port tcp/8080 (nginx) is down"
        assert (item["active"], item["severity"], item["kind"]) == (True, "warning", "port")
        assert delivery.try_after == later(1) + dt.timedelta(seconds=10)
    assert outbox.announce(using, now=later(2)).changes == 0
    assert len(deliveries(using)) == 2


@both_databases
def test_a_message_waits_for_quiet_and_no_longer_than_its_longest_wait(using: str) -> None:
    channel(using)
    for second in range(0, 200, 5):
        at = NOON + dt.timedelta(seconds=second)
        down(new_host(using, f"web{second}"), at)
        outbox.announce(using, now=at)
        sent(using, at=at)
    sizes = [len(delivery.items) for delivery in deliveries(using)]
    assert sizes == [25, 15]  # one of two minutes, one that still gathers
    assert deliveries(using)[1].try_after == NOON + dt.timedelta(seconds=205)


def test_what_ends_before_it_was_sent_is_one_item_of_both_changes() -> None:
    channel()
    host = new_host()
    changes = [down(host, NOON).pk]
    outbox.announce(now=NOON)
    changes.append(back(host, later(0.1)).pk)
    outbox.announce(now=later(0.1))

    (delivery,) = deliveries()
    (item,) = delivery.items
    assert item["active"] is False
    assert item["changes"] == changes
    assert set(delivery.changes.values_list("pk", flat=True)) == set(changes)


def test_filters_of_group_kind_and_severity_all_have_to_fit() -> None:
    dmz = HostGroup.objects.create(name="dmz")
    channel(name="group", groups=[dmz])
    channel(name="kind", kinds=["rule", "probe"])
    channel(name="severe", min_severity="critical")
    channel(name="off", enabled=False)
    down(new_host("default", "inside", "dmz"), NOON)
    down(new_host("default", "outside"), NOON, severity="critical")
    outbox.announce(now=NOON)
    said = {
        delivery.channel.name: [item["host"]["name"] for item in delivery.items]
        for delivery in deliveries()
    }
    assert said == {"group": ["inside"], "severe": ["outside"]}


def test_an_end_is_told_only_where_the_beginning_was() -> None:
    channel(name="all")
    channel(name="severe", min_severity="critical")
    channel(name="no ends", send_resolved=False)
    host = new_host()
    down(host, NOON)
    outbox.announce(now=NOON)
    sent(at=later(1))
    back(host, later(2))
    outbox.announce(now=later(2))
    said = [(each.channel.name, each.items[0]["active"]) for each in deliveries()]
    assert said == [("all", True), ("no ends", True), ("all", False)]
    assert not Told.objects.filter(is_active=True).exists()


@both_databases
def test_what_flaps_is_told_three_times_an_hour_and_then_how_it_ended(using: str) -> None:
    channel(using)
    host = new_host(using)
    now = NOON
    for turn in range(40):
        now = later(turn)
        (back if turn % 2 else down)(host, now)
        outbox.announce(using, now=now)
        follow_up.run(using, now=now)
        sent(using, at=now + dt.timedelta(seconds=59))
    assert [item for _kind, _host, item in told(using)] == [True, False, True]
    (last,) = deliveries(using)[2].items
    assert last["quiet_until"] == "2026-05-01T13:02:00Z"
    down(host, later(45))
    outbox.announce(using, now=later(45))
    back(host, later(50))
    outbox.announce(using, now=later(50))
    follow_up.run(using, now=later(61))
    assert len(told(using)) == 3, "the hour after the third is not over"
    follow_up.run(using, now=later(63))
    assert [item for _kind, _host, item in told(using)] == [True, False, True, False]
    follow_up.run(using, now=later(200))
    assert len(told(using)) == 4


def test_what_flapped_and_ended_as_it_was_told_is_not_told_again() -> None:
    channel()
    host = new_host()
    for turn in range(3):
        (back if turn % 2 else down)(host, later(turn))
        outbox.announce(now=later(turn))
        sent(at=later(turn + 0.9))
    follow_up.run(now=later(70))
    assert len(told()) == 3
    assert Told.objects.get().held_since is None
    back(host, later(80))
    outbox.announce(now=later(80))
    assert len(told()) == 4


@both_databases
def test_a_window_is_silent_and_its_end_says_once_what_is_still_wrong(using: str) -> None:
    channel(using)
    before, during, over, ended = (new_host(using, name) for name in ("a", "b", "c", "d"))
    for host in (before, ended):
        down(host, later(-30))
    outbox.announce(using, now=later(-30))
    sent(using, at=later(-29))
    window = Silence.objects.using(using).create(starts_at=NOON, ends_at=later(60))
    down(during, later(5))
    down(over, later(6))
    outbox.announce(using, now=later(6))
    back(over, later(20))
    back(ended, later(21))
    outbox.announce(using, now=later(21))
    follow_up.run(using, now=later(30))
    assert len(deliveries(using)) == 1, "nobody is told in the window"
    assert Alert.objects.using(using).count() == 4
    assert not Change.objects.using(using).filter(announced_at=None).exists()

    follow_up.run(using, now=later(61))
    follow_up.run(using, now=later(62))
    _first, last = deliveries(using)
    assert last.kind == Delivery.Kind.WINDOW_OVER
    assert {(item["host"]["name"], item["active"]) for item in last.items} == {
        ("a", True), ("b", True), ("d", False)
    }  # fmt: skip
    window.refresh_from_db()
    assert window.told_at == later(61)
    sent(using, at=later(62))
    back(during, later(70))
    outbox.announce(using, now=later(70))
    assert told(using)[-1] == ("alerts", "b", False), "who was told is told that it is over"


def test_a_window_that_ends_inside_another_says_nothing_of_what_that_one_holds() -> None:
    channel()
    host, other = new_host(), new_host(name="web2")
    Silence.objects.create(starts_at=NOON, ends_at=later(10))
    Silence.objects.create(starts_at=NOON, ends_at=later(60), host=host)
    down(host, later(1))
    down(other, later(1))
    outbox.announce(now=later(1))
    follow_up.run(now=later(11))
    assert told() == [("window_over", "web2", True)]
    sent(at=later(12))
    follow_up.run(now=later(61))
    assert told()[1:] == [("window_over", "web1", True)]


def test_a_window_that_was_ended_before_it_began_says_nothing() -> None:
    channel()
    down(new_host(), later(-10))
    outbox.announce(now=later(-10))
    Silence.objects.create(starts_at=later(5), ends_at=NOON)
    follow_up.run(now=later(1))
    assert len(deliveries()) == 1
    assert Silence.objects.get().told_at is not None


def test_who_escalates_is_told_of_what_nobody_acknowledged_in_time() -> None:
    channel(name="boss", escalate_minutes=30)
    known, unknown = new_host(name="known"), new_host(name="unknown")
    for host in (known, unknown):
        down(host, NOON)
    outbox.announce(now=NOON)
    follow_up.run(now=later(29))
    assert told() == []
    Alert.objects.filter(host=known).update(acknowledged_at=later(10))
    follow_up.run(now=later(31))
    follow_up.run(now=later(32))
    assert told() == [("escalation", "unknown", True)]
    sent(at=later(33))
    for host in (known, unknown):
        back(host, later(40))
    outbox.announce(now=later(40))
    assert told()[1:] == [("alerts", "unknown", False)]


def test_what_stays_is_repeated_until_somebody_acknowledges_it() -> None:
    channel(repeat_minutes=60)
    host = new_host()
    down(host, NOON)
    outbox.announce(now=NOON)
    sent(at=later(1))
    for minute in range(0, 190, 10):
        follow_up.run(now=later(minute))
        sent(at=later(minute + 1))
    assert told() == [("alerts", "web1", True), *[("reminder", "web1", True)] * 3]
    assert all(not delivery.items[0]["quiet_until"] for delivery in deliveries())
    Alert.objects.update(acknowledged_at=later(190))
    follow_up.run(now=later(400))
    assert len(told()) == 4


def test_an_end_that_no_change_tells_of_is_told_and_one_by_hand_is_not() -> None:
    channel()
    by_itself, by_hand = new_host(name="itself"), new_host(name="hand")
    for host in (by_itself, by_hand):
        down(host, NOON)
    outbox.announce(now=NOON)
    sent(at=later(1))
    Alert.objects.filter(host=by_itself).update(resolved_at=later(2))
    Alert.objects.filter(host=by_hand).update(resolved_at=later(2), resolved_by="otto")
    follow_up.run(now=later(3))
    assert told()[2:] == [("alerts", "itself", False)]
    assert not Told.objects.filter(is_active=True).exists()


def test_a_change_that_cannot_be_decided_about_stays_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel()
    odd, good = new_host(name="odd"), new_host(name="good")
    down(odd, NOON)
    down(good, NOON)
    hears = deciding.Round.hears

    def sometimes(self: deciding.Round, to: object, alert: Alert) -> bool:
        if alert.host_id == odd.pk:
            raise ValueError("odd")
        return hears(self, to, alert)  # type: ignore[arg-type]

    monkeypatch.setattr(deciding.Round, "hears", sometimes)
    assert outbox.announce(now=NOON).failed == 1
    assert [host for _kind, host, _active in told()] == ["good"]
    monkeypatch.setattr(deciding.Round, "hears", hears)
    outbox.announce(now=NOON)
    assert [host for _kind, host, _active in told()] == ["good", "odd"]


def test_without_channels_changes_are_announced_to_nobody() -> None:
    down(new_host(), NOON)
    assert outbox.announce(now=NOON).changes == 1
    assert not Change.objects.filter(announced_at=None).exists()


def test_when_nothing_happens_each_asks_as_little_as_it_can(
    django_assert_num_queries: object,
) -> None:
    from probes import tasks

    channel()
    with django_assert_num_queries(3):  # type: ignore[operator]
        tasks.announce()  # the feed, the outbox, what windows held back


def test_a_full_message_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "MOST_ITEMS", 3)
    channel()
    for number in range(7):
        down(new_host(name=f"web{number}"), NOON)
    outbox.announce(now=NOON)
    assert [len(delivery.items) for delivery in deliveries()] == [3, 3, 1]
    assert all(delivery.try_after is not None for delivery in deliveries())


def test_a_hostile_name_is_one_line_of_bounded_length_in_what_is_frozen() -> None:
    channel()
    host = new_host()
    evil = "ng\x1b[2J\r\nBcc: x@y\u2028" + "a" * 5_000
    down(host, timezone.now(), facts={"protocol": "tcp", "port": 1, "before": {"programs": [evil]}})
    outbox.announce()
    (item,) = deliveries()[0].items
    assert item["title"].isprintable()
    assert len(item["title"]) <= 300
    assert all(part.isprintable() and len(part) <= 300 for line in item["lines"] for part in line)
    assert PORT in item["key"]


def test_three_hundred_hosts_that_vanish_are_one_message_a_channel() -> None:
    """Trust 41: a switch dies, and each host is missed at its own probe, all within a minute."""
    using = "default"
    for name in ("ops", "night"):
        channel(using, name)
    hosts = Host.objects.using(using).bulk_create(
        Host(name=f"web{number:03}", address="192.0.2.1") for number in range(300)
    )
    for number, host in enumerate(hosts):
        at = NOON + dt.timedelta(seconds=number / 5)
        down(host, at, fingerprint="probe:unreachable", kind="probe", severity="critical")
        if number % 30 == 0:
            outbox.announce(using, now=at)
            assert not sent(using, at=at), "nothing is due before all of them are missed"
    outbox.announce(using, now=later(1))
    assert sent(using, at=later(1.2)) == 2
    found = deliveries(using)
    assert [len(delivery.items) for delivery in found] == [300, 300]
    assert [delivery.changes.count() for delivery in found] == [300, 300]
