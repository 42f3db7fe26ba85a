"""Hosts that are not probed, and what is left of those no longer watched."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from hosts.models import Host
from probes import health
from probes.history import store
from probes.models import (
    Alert,
    Change,
    Heartbeat,
    PortWatch,
    Rule,
    RuleState,
    Schedule,
    Snapshot,
    WatchedPort,
)
from probes.watch import judging, rounds, thresholds
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, line, observed, table


def waits(name: str, minutes: float, *, using: str = "default", **fields: object) -> Host:
    """A host that was probed so long ago and was due a minute later."""
    host = Host.objects.using(using).create(name=name, address=name, interval_s=60)
    taken_at = timezone.now() - dt.timedelta(minutes=minutes)
    latest = Snapshot.objects.using(using).create(host=host, taken_at=taken_at, outcome="ok")
    values = {"next_probe_at": taken_at + dt.timedelta(minutes=1), "latest": latest} | fields
    Schedule.objects.using(using).create(host=host, **values)
    return host


def beats(seconds_ago: float = 1) -> None:
    health.beat("worker")
    at = timezone.now() - dt.timedelta(seconds=seconds_ago)
    Heartbeat.objects.update(at=at)


def later(minutes: float = 2, using: str = "default") -> None:
    """As if the rounds had seen what they hold so much longer ago."""
    for state in RuleState.objects.using(using).all():
        state.since -= dt.timedelta(minutes=minutes)
        state.save(using=using)


def active(using: str = "default") -> list[Alert]:
    return list(Alert.objects.using(using).filter(resolved_at=None).order_by("pk"))


def test_a_host_without_probes_for_long_is_told_once_and_the_next_probe_ends_it(db: None) -> None:
    beats()
    host = waits("lost", 20)
    waits("fine", 1)
    assert rounds.run().raised == 0  # only just seen: netadmin may have been off
    later()
    assert rounds.run().raised == 1
    (alert,) = active()
    assert (alert.host, alert.fingerprint, alert.kind) == (host, "probe:stale", "probe")
    assert alert.facts["netadmin_late"] is False
    assert alert.facts["value"] >= 19
    later()
    assert rounds.run().raised == 0
    store.save(host, observed(10**6, table(LISTENER)), judge=thresholds.judge)
    assert active() == []
    kinds = Change.objects.filter(host=host).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["trouble", "trouble_over"]


def test_a_host_that_is_tried_less_often_or_paused_or_off_is_not_stale(db: None) -> None:
    beats()
    waits("backs off", 14, next_probe_at=timezone.now() + dt.timedelta(minutes=1))
    waits("paused", 60, paused_code="login_failed")
    Host.objects.filter(pk=waits("off", 60).pk).update(enabled=False)
    waits("quick", 4)
    assert rounds.run().stale == 0


def test_netadmin_itself_being_late_is_one_alert_and_says_so(db: None) -> None:
    beats(600)
    oldest = waits("h0", 300)
    for number in range(1, 4):
        waits(f"h{number}", 20)
    rounds.run()
    later()
    assert rounds.run().raised == 1
    later()
    assert rounds.run().raised == 0
    (alert,) = active()
    assert alert.host == oldest
    assert (alert.facts["netadmin_late"], alert.facts["hosts"]) == (True, 4)
    beats()  # the scheduler is back, and three hosts are still not probed
    Schedule.objects.filter(host=oldest).update(next_probe_at=timezone.now())
    done = rounds.run()
    assert (done.over, done.raised) == (1, 3)


def test_most_hosts_at_once_is_netadmins_own_trouble_too(db: None) -> None:
    beats()
    for number in range(rounds.TOGETHER):
        waits(f"h{number}", 20)
    rounds.run()
    later()
    assert rounds.run().raised == 1


@both_databases
def test_nothing_is_left_of_hosts_that_are_no_longer_watched(using: str) -> None:
    rule = Rule.objects.using(using).get(name="ESTABLISHED")
    hosts = {name: waits(name, 1, using=using) for name in ("kept", "off", "gone")}
    for host in hosts.values():
        WatchedPort.objects.using(using).create(
            host=host, protocol="tcp", port=22,
            since=timezone.now(), first_seen=timezone.now(), last_seen=timezone.now(),
        )  # fmt: skip
        RuleState.objects.using(using).create(host=host, rule=rule, since=timezone.now())
        for mark, by_word in ((f"rule:{rule.pk}", False), ("hunt:1", True)):
            Alert.objects.using(using).create(
                host=host, fingerprint=mark, ends_by_word=by_word, kind="rule", rule=rule,
                opened_at=timezone.now(), newest_at=timezone.now(),
            )  # fmt: skip
    Host.objects.using(using).filter(name="off").update(enabled=False)
    Host.objects.using(using).filter(name="gone").update(removed_at=timezone.now())
    assert rounds.tidy(using) == 2 + 2 + 3
    for model in (WatchedPort, RuleState):
        rows = model.objects.using(using)  # type: ignore[attr-defined]
        assert list(rows.values_list("host__name", flat=True)) == ["kept"]
    assert [(each.host.name, each.fingerprint) for each in active(using)] == [
        ("kept", f"rule:{rule.pk}"),
        ("kept", "hunt:1"),
        ("off", "hunt:1"),
    ]
    assert not Change.objects.using(using).filter(announced_at=None).exists()
    assert rounds.tidy(using) == 0


@both_databases
def test_a_host_that_is_watched_again_while_it_is_cleared_in_parts_is_no_storm(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "MOST_CLEARED", 1)
    host = Host.objects.using(using).create(name="h", address="192.0.2.1")
    ports = [line(f"0.0.0.0:{port}", "0.0.0.0:*", "LISTEN", "7/x") for port in (80, 81, 82)]

    def sees(minute: int, *lines: str) -> None:
        store.save(host, observed(minute, table(*lines)), using=using, judge=judging.judge)

    sees(1, LISTENER, *ports)
    Host.objects.using(using).filter(pk=host.pk).update(enabled=False)
    assert rounds.tidy(using) == 2  # that it is watched, and one port
    Host.objects.using(using).filter(pk=host.pk).update(enabled=True)
    sees(2, LISTENER)
    assert not Change.objects.using(using).exists()
    assert PortWatch.objects.using(using).filter(pk=host.pk).exists()
    assert [row.port for row in WatchedPort.objects.using(using).all()] == [22]
    assert rounds.tidy(using) == 0


@both_databases
def test_a_rule_that_is_switched_off_and_on_between_probes_is_told_again(using: str) -> None:
    rule = Rule.objects.using(using).get(name="ESTABLISHED")
    rule.threshold, rule.probes = 1, 1
    rule.save(using=using)
    host = Host.objects.using(using).create(name="h", address="192.0.2.1")
    peers = [line("192.0.2.1:22", f"198.51.100.{n}:2000", "ESTABLISHED") for n in range(5)]

    def sees(minute: int) -> None:
        seen = observed(minute, table(LISTENER, *peers))
        store.save(host, seen, using=using, judge=thresholds.judge)

    def switched(enabled: bool) -> None:
        rule.enabled = enabled
        rule.save(using=using)

    sees(1)
    assert [alert.rule for alert in active(using)] == [rule]
    switched(False)
    assert rounds.tidy(using) == 2
    assert active(using) == []
    switched(True)
    sees(2)
    assert [alert.rule for alert in active(using)] == [rule]
    changes = Change.objects.using(using).filter(kind="raised")
    assert list(changes.values_list("turn", flat=True)) == ["opened", "opened"]


def test_what_a_removed_rule_raised_is_over(db: None) -> None:
    host = waits("h", 1)
    off = Rule.objects.create(name="off", metric="sockets", enabled=False)
    for number, rule in enumerate((None, off, Rule.objects.get(name="ESTABLISHED"))):
        Alert.objects.create(
            host=host, fingerprint=f"rule:{number}", kind="rule", rule=rule,
            opened_at=timezone.now(), newest_at=timezone.now(),
        )  # fmt: skip
    assert rounds.tidy() == 2
    assert [each.fingerprint for each in active()] == ["rule:2"]
