"""New peers: what a group talks to is learned, and what is new is told once, whatever dies."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from hosts.models import Host, HostGroup
from probes.history import store
from probes.history.queries import dialled
from probes.history.queries.sql import Scope
from probes.models import Alert, Change, DriftWatch, Peer
from probes.watch import drift, lifecycle, peer_alerts, seen_peers
from probes.wording import alerts as wording
from tests.databases import SQLITE, both_databases, both_databases_committed
from tests.probes.history import plans
from tests.probes.history.played import LISTENER, at, line, observed, table
from tests.probes.history.test_queries_sightings import crowd as crowd

CURL = "66/curl"


def dialling(*ends: str, holder: str = CURL, state: str = "ESTABLISHED") -> list[str]:
    """Connections that the host opened, to these ends."""
    return [line(f"10.0.0.5:{40_000 + n}", end, state, holder) for n, end in enumerate(ends)]


class World:
    """A group with a watch and hosts that were probed before."""

    def __init__(self, using: str, *hosts: str, learning: bool = False, **fields: Any) -> None:
        self.using = using
        self.group = HostGroup.objects.using(using).create(name="web")
        self.now = timezone.now()
        self.hosts = [self.host(name) for name in hosts or ("web1",)]
        until = self.now + dt.timedelta(days=7 if learning else -7)
        fields = {"learn_until": until, "checked_at": self.now} | fields
        self.watch = DriftWatch.objects.using(using).create(group=self.group, **fields)

    def host(self, name: str, *, probed: bool = True) -> Host:
        host = Host.objects.using(self.using).create(name=name, address="192.0.2.1")
        host.groups.add(self.group)
        if probed:
            self.sees(host, -3_600)
        return host

    def sees(self, host: Host, seconds: float, *lines: str) -> dt.datetime:
        taken_at = self.now + dt.timedelta(seconds=seconds)
        store.save(host, observed(0, table(LISTENER, *lines), taken_at=taken_at), using=self.using)
        return taken_at

    def run(self) -> drift.Ran:
        ran = drift.run(self.using)
        assert ran.failed == 0
        return ran

    def set(self, **fields: Any) -> None:
        DriftWatch.objects.using(self.using).filter(pk=self.watch.pk).update(**fields)

    @property
    def peers(self) -> list[tuple[str, str, str]]:
        rows = Peer.objects.using(self.using).order_by("network", "program")
        return [(peer.program, peer.network, peer.state) for peer in rows]

    @property
    def alerts(self) -> list[tuple[str, str, bool]]:
        rows = Alert.objects.using(self.using).select_related("host").order_by("pk")
        return [(row.host.name, row.subject, row.resolved_at is None) for row in rows]


@both_databases
def test_what_is_seen_while_it_learns_is_known_and_what_comes_later_is_told_once(
    using: str,
) -> None:
    world = World(using, "web1", "web2", learning=True)
    one, two = world.hosts
    world.sees(one, 1, *dialling("198.51.100.7:443", "198.51.100.9:443"))
    assert (world.run().learned, world.peers) == (1, [("curl", "198.51.100.0/24", "learned")])

    world.set(learn_until=world.now + dt.timedelta(seconds=2))
    world.sees(two, 3, *dialling("198.51.100.200:443"))
    assert world.run().new == 0, "the group knows this network, whichever host it is"

    when = world.sees(one, 4, *dialling("203.0.113.9:4444"))
    world.sees(two, 5, *dialling("203.0.113.10:4444"))
    for new in (1, 0):
        assert world.run().new == new
    assert world.alerts == [("web1", "curl 203.0.113.0/24", True)]
    alert = Alert.objects.using(using).get()
    assert (alert.kind, alert.opened_at, alert.ends_by_word) == ("peer", when, True)
    assert alert.facts["addresses"] == ["203.0.113.10", "203.0.113.9"]
    assert alert.facts["ports"] == [4444]
    assert [row["foreign_ip"] for row in alert.evidence] == ["203.0.113.9"]
    change = Change.objects.using(using).get()
    assert (change.kind, change.turn, change.announced_at) == ("peer_new", "opened", None)
    assert Peer.objects.using(using).get(state="new").alert_id == alert.pk


@both_databases
def test_a_new_watch_learns_from_what_is_open_and_from_the_past_days(using: str) -> None:
    world = World(using, checked_at=None)
    host = world.hosts[0]
    world.sees(host, -3_000, *dialling("192.0.2.77:443"))
    world.sees(host, -2_900, *dialling("198.51.100.7:443"))
    world.set(learn_until=world.now)
    world.run()
    assert [state for _program, _network, state in world.peers] == ["learned", "learned"]
    world.watch.refresh_from_db(using=using)
    assert world.watch.checked_at is not None
    assert world.watch.checked_at >= world.now
    assert world.alerts == []


@both_databases
def test_the_first_whole_probe_of_a_host_is_a_baseline_and_no_storm(using: str) -> None:
    world = World(using)
    fresh = world.host("web2", probed=False)
    world.sees(fresh, 1, *dialling("203.0.113.9:443"))
    world.run()
    assert (world.peers, world.alerts) == ([("curl", "203.0.113.0/24", "learned")], [])
    world.sees(fresh, 2, *dialling("203.0.113.9:443", "198.51.100.1:443"))
    world.run()
    assert world.alerts == [("web2", "curl 198.51.100.0/24", True)]


@both_databases
def test_many_new_networks_of_one_program_are_one_alert_and_other_programs_their_own(
    using: str,
) -> None:
    world = World(using)
    many = dialling(*(f"203.0.{n}.1:443" for n in range(50)))
    few = dialling("198.51.100.1:25", "198.51.101.1:25", holder="70/postfix")
    world.sees(world.hosts[0], 1, *many, *few)
    assert world.run().new == 52
    assert sorted(subject for _host, subject, _active in world.alerts) == [
        "curl 203.0.0.0/24 +49", "postfix 198.51.100.0/24", "postfix 198.51.101.0/24",
    ]  # fmt: skip
    grouped = Alert.objects.using(using).get(subject__startswith="curl")
    assert grouped.facts["count"] == 50
    assert wording.title(grouped) == (
        "curl talks to 50 networks that are new, 203.0.0.0/24 among them"
    )
    assert len(grouped.facts["networks"]) == seen_peers.NAMED
    assert len(grouped.evidence) == lifecycle.MOST_ROWS
    assert grouped.peers.count() == 50


@both_databases
def test_a_host_that_makes_up_names_of_programs_makes_one_alert_and_hides_no_other(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_alerts, "MOST_ALERTS", 5)
    world = World(using, "web1", "web2")
    hostile, honest = world.hosts
    made_up = [
        one for n in range(40) for one in dialling("203.0.113.9:443", holder=f"{n + 100}/p{n:02}")
    ]
    world.sees(hostile, 1, *made_up)
    world.sees(honest, 1, *dialling("198.51.100.1:25", holder="70/postfix"))
    asked = []
    rows = dialled.rows
    monkeypatch.setattr(
        dialled, "rows", lambda *given, **more: asked.append(1) or rows(*given, **more)
    )
    assert [world.run().new, world.run().new] == [41, 0]
    assert sorted(world.alerts) == [
        ("web1", "p00 203.0.113.0/24 +39", True), ("web2", "postfix 198.51.100.0/24", True),
    ]  # fmt: skip
    assert len(asked) == 2, "evidence is read for alerts, not for programs"
    of_many = Alert.objects.using(using).get(host=hostile)
    said = "40 programs talk to networks that are new, p00 to 203.0.113.0/24 among them"
    assert wording.title(of_many) == said
    assert wording.change_title(Change.objects.using(using).get(host=hostile)) == said
    assert (of_many.facts["networks"], of_many.facts["ports"]) == (["203.0.113.0/24"], [443])
    assert of_many.peers.count() == 40

    more = dialling("203.0.113.9:443", holder="900/other") + dialling(
        *(f"192.0.{n}.1:443" for n in range(9)), holder="901/another"
    )
    world.sees(hostile, 2, *made_up, *more)
    world.run()
    of_many.refresh_from_db()
    assert (len(world.alerts), of_many.peers.count()) == (2, 50), "they are added to the same alert"


@both_databases
def test_what_a_look_keeps_is_limited_and_the_mark_moves_on_all_the_same(
    using: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drift, "MOST_ADDED", 6)
    monkeypatch.setattr(drift, "MOST_KEPT", 10)
    world = World(using, "web1", "web2")
    hostile, honest = world.hosts
    world.sees(hostile, 1, *dialling(*(f"203.0.{n}.1:443" for n in range(20))))
    world.sees(honest, 2, *dialling("198.51.100.1:25", holder="70/postfix"))
    kept, marks = [], []
    for _look in range(3):
        world.run()
        kept.append(len(world.peers))
        marks.append(DriftWatch.objects.using(using).get().checked_at)
    assert kept == [6, 10, 10]
    assert marks == sorted(set(marks)), "each look goes on from later"
    assert ("postfix", "198.51.100.0/24", "new") in world.peers
    assert [host for host, _subject, _active in world.alerts] == ["web1", "web2"]
    assert "keeps 6 of 21 more peers" in caplog.text


@pytest.mark.django_db(databases=[SQLITE])
def test_one_host_fills_no_look_with_its_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_peers, "MOST_OF_HOST", 3)
    world = World("default", "web1", "web2")
    hostile, honest = world.hosts
    world.sees(hostile, 1, *dialling(*(f"203.0.{n}.1:443" for n in range(9))))
    world.sees(honest, 1, *dialling("198.51.100.1:25", "198.51.101.1:25"))
    assert [world.run().new, len(world.peers)] == [5, 5]


@both_databases
def test_mapped_addresses_zones_and_prefixes_make_one_network(using: str) -> None:
    world = World(using, ipv4_prefix=16, ipv6_prefix=48)
    world.sees(
        world.hosts[0],
        1,
        line("10.0.0.5:40000", "203.0.113.9:443", holder=CURL),
        line("::ffff:10.0.0.5:40001", "::ffff:203.0.200.9:443", holder=CURL, protocol="tcp6"),
        line("2001:db8::5:40002", "2001:db8:1:2::9:443", holder=CURL, protocol="tcp6"),
        line("2001:db8::5:40003", "2001:db8:1:3::9:443", holder=CURL, protocol="tcp6"),
        line("fe80::5%eth0:40004", "fe80::9%eth0:443", holder=CURL, protocol="tcp6"),
    )
    world.run()
    assert [network for _program, network, _state in world.peers] == [
        "2001:db8:1::/48", "203.0.0.0/16", "fe80::/48",
    ]  # fmt: skip


@both_databases
def test_loopback_incoming_and_cut_addresses_and_what_is_left_out_are_no_peers(using: str) -> None:
    world = World(using, ignored="10.0.0.0/8 # ours\n\n2001:db8::/32")
    world.sees(
        world.hosts[0],
        1,
        line("127.0.0.1:40000", "127.0.0.1:5432", holder=CURL),
        line("10.0.0.5:22", "203.0.113.9:51000"),
        line("10.0.0.5:40000", "10.9.9.9:443", holder=CURL),
        line("2001:db8::5:40002", "2001:db8:85a3:8d3:1319:", holder=CURL, protocol="tcp6"),
    )
    world.run()
    assert world.peers == []


@both_databases
def test_a_connection_without_a_name_is_a_peer_only_where_no_program_is_known(using: str) -> None:
    world = World(using, learning=True)
    host = world.hosts[0]
    world.sees(host, 1, *dialling("203.0.113.9:443"))
    world.run()
    world.set(learn_until=world.now)
    orphans = dialling("203.0.113.10:443", "198.51.100.1:443", holder="-", state="TIME_WAIT")
    world.sees(host, 2, *orphans)
    world.run()
    assert world.peers == [("", "198.51.100.0/24", "new"), ("curl", "203.0.113.0/24", "learned")]
    assert world.alerts == [("web1", "? 198.51.100.0/24", True)]


@pytest.mark.parametrize("state", ["approved", "snoozed", "expired"])
@both_databases
def test_what_was_decided_is_new_again_only_when_that_is_over(using: str, state: str) -> None:
    world = World(using)
    host = world.hosts[0]
    decided = world.now + dt.timedelta(seconds=5)
    world.sees(host, 1, *dialling("203.0.113.9:443"))
    world.run()
    over = {"decided_at": decided} if state == "expired" else {"until": decided}
    Peer.objects.using(using).update(state=state, **over)
    Alert.objects.using(using).update(resolved_at=decided)
    world.sees(host, 4, *dialling("203.0.113.9:443", "203.0.113.10:443"))
    for _again in range(2):
        assert world.run().new == 0, "the margin is read again and changes nothing"
    world.sees(host, 6, *dialling("203.0.113.9:443", "203.0.113.10:443", "203.0.113.11:443"))
    assert [world.run().new, world.run().new] == [1, 0]
    assert [active for _host, _subject, active in world.alerts] == [False, True]
    assert Peer.objects.using(using).get().until is None


@both_databases
def test_learning_again_knows_what_comes_and_leaves_what_is_new_to_people(using: str) -> None:
    world = World(using)
    host = world.hosts[0]
    world.sees(host, 1, *dialling("203.0.113.9:443"))
    world.run()
    world.set(learn_until=world.now + dt.timedelta(days=1))
    world.sees(host, 2, *dialling("203.0.113.9:443", "203.0.113.10:443", "198.51.100.1:443"))
    world.run()
    assert [state for _program, _network, state in world.peers] == ["learned", "new"]
    assert [active for _host, _subject, active in world.alerts] == [True]


@both_databases
def test_a_probe_that_is_stored_late_is_not_missed(using: str) -> None:
    world = World(using, checked_at=timezone.now() - dt.timedelta(minutes=30))
    world.run()
    world.sees(world.hosts[0], -60, *dialling("203.0.113.9:443"))
    assert world.run().new == 1


@both_databases
def test_a_peer_that_was_not_seen_for_long_is_forgotten_unless_it_is_still_there(
    using: str,
) -> None:
    world = World(using, forget_days=30)
    host = world.hosts[0]
    long_ago = world.now - dt.timedelta(days=40)
    lasting = HostGroup.objects.using(using).get().hosts.create(name="db1", address="192.0.2.2")
    world.sees(lasting, -40 * 86_400, *dialling("198.51.100.1:443"))
    for network in ("198.51.100.0/24", "203.0.113.0/24"):
        Peer.objects.using(using).create(
            group=world.group, program="curl", network=network, state="learned",
            first_seen=long_ago, last_seen=long_ago,
        )  # fmt: skip
    assert world.run().forgotten == 1
    assert world.peers == [("curl", "198.51.100.0/24", "learned")]
    assert Peer.objects.using(using).get().last_seen >= world.now
    world.sees(host, 1, *dialling("198.51.100.1:443", "203.0.113.9:443"))
    assert world.run().new == 1


class Killed(BaseException):
    """As a process ends: nothing after it runs."""


@both_databases_committed
def test_a_worker_that_dies_half_way_leaves_all_of_a_look_or_nothing(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(using)
    world.sees(world.hosts[0], 1, *dialling("203.0.113.9:443", "198.51.100.1:443"))
    tell = peer_alerts.tell

    def dies(*given: Any) -> None:
        tell(*given)
        raise Killed

    monkeypatch.setattr(peer_alerts, "tell", dies)
    with pytest.raises(Killed):
        drift.run(using)
    assert (world.peers, world.alerts) == ([], [])
    monkeypatch.setattr(peer_alerts, "tell", tell)
    assert world.run().new == 2
    assert len(world.alerts) == 2


def at_the_same_time(work: Callable[[], Any], *, threads: int) -> None:
    """Run it in so many threads at once; what one raises fails the test."""
    ready, raised = threading.Barrier(threads), []

    def run() -> None:
        try:
            ready.wait(60)
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(120)
    assert not raised


@both_databases_committed
def test_two_workers_at_once_tell_each_new_peer_once(using: str) -> None:
    world = World(using, "web1", "web2")
    for turn in range(3):
        for n, host in enumerate(world.hosts):
            world.sees(host, turn, *dialling(*(f"203.0.{turn}.{n}:443" for _ in range(1))))
        at_the_same_time(lambda: drift.run(using), threads=3)
    assert [state for _program, _network, state in world.peers] == ["new"] * 3
    assert len(world.alerts) == 3


@both_databases
def test_looking_reads_no_table_of_sockets_whole(crowd: list[int], using: str) -> None:
    scope = Scope(using, tuple(crowd))
    low, high = seen_peers.ends_of("10.0.30.0/24")

    def began() -> Any:
        return dialled.began(scope, after=at(4_000))

    def rows() -> Any:
        one = Scope(using, tuple(crowd[:1]))
        return dialled.rows(
            one, low=low, high=high, program="p1", since=at(4_000), until=at(4_100), limit=20
        )

    def lasting() -> Any:
        return dialled.seen_since(scope, low=low, high=high, program="p1", since=at(4_000))

    wide = []
    for question in (began, rows, lasting):
        wide += plans.whole_reads(using, question)
    assert wide == []


@pytest.mark.django_db(databases=[SQLITE])
def test_a_fingerprint_fits_its_column_and_tells_programs_apart() -> None:
    short = peer_alerts.fingerprint(1, "curl", "203.0.113.0/24")
    assert short == "peer:1:curl:203.0.113.0/24"
    long_ones = {peer_alerts.fingerprint(1, "x" * 250 + last, "203.0.113.0/24") for last in "ab"}
    assert len(long_ones) == 2
    assert all(len(text) <= 200 for text in long_ones)
