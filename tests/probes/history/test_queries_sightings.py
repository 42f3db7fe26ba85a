"""Who ever talked to an address, held a port or ran a program, over all history of the fleet."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes import indicators
from probes.filters import FilterError, SocketFilter
from probes.history import store
from probes.history.queries import sightings, sought
from probes.history.queries.sightings import Sighting
from probes.history.queries.sought import Sought
from probes.history.queries.sql import Scope
from tests.databases import both_databases
from tests.probes.history import plans
from tests.probes.history.played import LISTENER, at, line, observed, table

BAD = "203.0.113.9"
DIALLED = line("10.0.0.5:40000", f"{BAD}:4444", holder="66/xmrig")
CAME_IN = line("10.0.0.5:22", f"{BAD}:51000", holder="811/sshd")
OTHER = line("10.0.0.5:40001", "198.51.100.7:443", holder="70/curl")
SIX = line("2001:db8::5:40002", "2001:db8::bad:443", holder="71/curl", protocol="tcp6")
WAITING = line("10.0.0.5:40000", f"{BAD}:4444", "TIME_WAIT", "-")


@pytest.fixture
def fleet(host: Host, using: str) -> list[Host]:
    """web1 dialled BAD at minutes 1 and 2; web2 has it coming in; web3 was removed with it open."""
    others = [
        Host.objects.using(using).create(name=name, address="192.0.2.2")
        for name in ("web2", "web3")
    ]
    for minute, lines in enumerate(
        [(LISTENER, OTHER), (LISTENER, DIALLED), (LISTENER, DIALLED, SIX), (LISTENER, WAITING),
         (LISTENER,)]
    ):  # fmt: skip
        store.save(host, observed(minute, table(*lines)), using=using)
    store.save(others[0], observed(3, table(LISTENER, CAME_IN)), using=using)
    store.save(others[1], observed(0, table(LISTENER, DIALLED)), using=using)
    Host.objects.using(using).filter(name="web3").update(removed_at=at(5), enabled=False)
    return [host, *others]


def ask(text: str, **more: Any) -> Sought:
    reading = indicators.read(text)
    assert not reading.rejected
    return Sought(reading.indicators, **more)


def summed(using: str, asked: Sought, hosts: Any = None, **more: Any) -> dict[str, list[Sighting]]:
    every = Host.objects.using(using).all() if hosts is None else hosts
    by_host = defaultdict(list)
    for row in sightings.summary(every, asked, **more).sightings:
        by_host[row.host.name].append(row)
    return by_host


def listed(using: str, asked: Sought, **more: Any) -> list[tuple[str, str | None, str, Any]]:
    rows = sightings.rows(Host.objects.using(using).all(), asked, **more).rows
    return [(r.host.name, r.socket.state, r.socket.foreign_ip, r.socket.last_seen) for r in rows]


@both_databases
def test_every_host_that_ever_saw_an_address_is_named_with_first_and_last_time(
    fleet: list[Host], using: str
) -> None:
    found = summed(using, ask(BAD))

    assert found.keys() == {"web1", "web2", "web3"}
    (one,), (two,), (three,) = found["web1"], found["web2"], found["web3"]
    assert (one.first_seen, one.last_seen) == (at(1), at(3))
    assert (one.intervals, one.still_there) == (2, 0)
    assert one.states == ("ESTABLISHED", "TIME_WAIT")
    assert one.programs == ("xmrig",)
    assert (one.local_ports, one.remote_ports) == ((), (4444,))
    assert (two.first_seen, two.last_seen, two.still_there) == (at(3), None, 1)
    assert (two.local_ports, two.remote_ports, two.directions) == ((22,), (), ("in",))
    # What was open when its host was removed was last seen then.
    assert (three.first_seen, three.last_seen, three.still_there) == (at(0), at(0), 0)


@both_databases
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("203.0.113.0/24", {"web1", "web2", "web3"}),
        ("2001:db8::/64", {"web1"}),
        ("::/0", {"web1"}),
        ("0.0.0.0/0", {"web1", "web2", "web3"}),
        (f"{BAD}:4444", {"web1", "web3"}),
        (f"{BAD}:51000", {"web2"}),
        ("[2001:db8::bad]:443/tcp", {"web1"}),
        ("[2001:db8::bad]:443/udp", set()),
        ("port 4444", {"web1", "web3"}),
        ("port 22", {"web1", "web2", "web3"}),
        ("port 51000", set()),
        ("22/udp", set()),
        ("program:XMR", {"web1", "web3"}),
        ("program:cur", {"web1"}),
        ("program:%", set()),
        ("program:ssh", {"web1", "web2", "web3"}),
        ("192.0.2.77", set()),
        ("fe80::1%eth0", set()),
    ],
)
def test_each_kind_of_indicator_finds_its_hosts(
    fleet: list[Host], using: str, text: str, names: set[str]
) -> None:
    asked = ask(text)
    found = summed(using, asked)
    assert found.keys() == names
    hosts = Host.objects.using(using).all()
    assert {row.host.name for row in sightings.iter_rows(hosts, asked)} == names
    intervals = sum(row.intervals for rows in found.values() for row in rows)
    assert intervals == len(list(sightings.iter_rows(hosts, asked)))


@both_databases
def test_filters_and_time_narrow_what_is_found(fleet: list[Host], using: str) -> None:
    def names(**more: Any) -> set[str]:
        asked = ask(BAD, **more)
        found = summed(using, asked).keys()
        assert found == {name for name, *_ in listed(using, asked)}
        return set(found)

    assert names(filters=SocketFilter(direction="in")) == {"web2"}
    assert names(filters=SocketFilter(state="TIME_WAIT")) == {"web1"}
    assert names(filters=SocketFilter(program="xmrig")) == {"web1", "web3"}
    assert names(filters=SocketFilter(proto="udp")) == set()
    assert names(filters=SocketFilter(family="6")) == set()
    assert names(filters=SocketFilter(remote_port="4000-4500")) == {"web1", "web3"}
    assert names(since=at(2.5)) == {"web1", "web2"}
    assert names(since=at(3.5)) == {"web2"}
    assert names(until=at(0.5)) == {"web3"}
    assert names(since=at(0.5), until=at(1.5)) == {"web1"}
    assert names(new_since=at(1)) == {"web1", "web2"}


@both_databases
def test_many_indicators_are_told_apart(fleet: list[Host], using: str) -> None:
    found = summed(using, ask(f"{BAD} 203.0.113.0/24 port 4444 program:xmrig 198.51.100.7"))
    assert [row.indicator.text for row in found["web2"]] == ["203.0.113.0/24", BAD]
    hosts = Host.objects.using(using).all()
    rows = sightings.rows(hosts, ask(f"{BAD} 203.0.113.0/24 port 4444 program:xm program:rig")).rows
    assert sorted((row.host.name, row.indicator_texts) for row in rows) == [
        ("web1", f"{BAD}, 203.0.113.0/24, port 4444"),
        ("web1", f"{BAD}, 203.0.113.0/24, port 4444, program:xm, program:rig"),
        ("web2", f"{BAD}, 203.0.113.0/24"),
        ("web3", f"{BAD}, 203.0.113.0/24, port 4444, program:xm, program:rig"),
    ]
    assert {row.indicator.text for row in found["web1"]} == {
        BAD, "203.0.113.0/24", "port 4444", "program:xmrig", "198.51.100.7"
    }  # fmt: skip


@both_databases
def test_a_thousand_indicators_cost_no_more_queries_than_one(fleet: list[Host], using: str) -> None:
    hosts = Host.objects.using(using).all()
    crowd = ask("\n".join(f"10.9.{n // 250}.{n % 250}" for n in range(990)) + f" {BAD} program:x")
    for asked, summary, rows in ((ask(BAD), 4, 3), (crowd, 6, 5)):
        with CaptureQueriesContext(connections[using]) as queries:
            assert {row.host.name for row in sightings.summary(hosts, asked).sightings} >= {"web1"}
        assert len(queries) == summary
        with CaptureQueriesContext(connections[using]) as queries:
            assert sightings.rows(hosts, asked).rows
        assert len(queries) == rows


@both_databases
def test_hosts_that_are_not_given_are_absent(fleet: list[Host], using: str) -> None:
    hosts = Host.objects.using(using).filter(name="web2")
    assert summed(using, ask("0.0.0.0/0 port 22 program:sshd"), hosts).keys() == {"web2"}
    assert {row.host.name for row in sightings.rows(hosts, ask(BAD)).rows} == {"web2"}
    nobody = Host.objects.using(using).none()
    assert sightings.summary(nobody, ask(BAD)).sightings == []
    assert not sightings.rows(nobody, ask(BAD)).rows
    assert not list(sightings.iter_rows(nobody, ask(BAD)))


@both_databases
def test_what_is_still_there_comes_first_then_the_newest(fleet: list[Host], using: str) -> None:
    order = [row.host.name for row in sightings.summary(
        Host.objects.using(using).all(), ask(BAD)).sightings]  # fmt: skip
    assert order == ["web2", "web1", "web3"]
    assert [(name, state) for name, state, *_ in listed(using, ask(BAD))] == [
        ("web2", "ESTABLISHED"), ("web3", "ESTABLISHED"),  # open when it was removed
        ("web1", "TIME_WAIT"), ("web1", "ESTABLISHED"),
    ]  # fmt: skip


@both_databases
def test_only_the_newest_are_counted_and_that_is_said(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    rows = [line("10.0.0.5:22", f"{BAD}:{port}") for port in range(50_000, 50_010)]
    store.save(other, observed(0, table(LISTENER, rows[0])), using=using)
    store.save(other, observed(0.5, table(LISTENER)), using=using)
    store.save(host, observed(1, table(LISTENER, *rows)), using=using)
    store.save(host, observed(2, table(LISTENER)), using=using)
    hosts = Host.objects.using(using).all()

    for text in (BAD, "203.0.113.0/24"):
        whole = sightings.summary(hosts, ask(text), most=12)
        assert [row.host.name for row in whole.sightings] == ["web1", "web2"]
        assert whole.capped == ()
        cut = sightings.summary(hosts, ask(text), most=10)
        assert [(row.host.name, row.intervals) for row in cut.sightings] == [("web1", 10)]
        assert [each.text for each in cut.capped] == [text]


@both_databases
def test_the_cap_is_of_the_whole_list_and_each_gets_its_share(host: Host, using: str) -> None:
    loud = [line("10.0.0.5:22", f"{BAD}:{port}") for port in range(50_000, 50_020)]
    store.save(host, observed(0, table(LISTENER, OTHER)), using=using)
    store.save(host, observed(1, table(LISTENER, *loud)), using=using)
    store.save(host, observed(2, table(LISTENER)), using=using)
    hosts = Host.objects.using(using).all()
    nothing = " ".join(f"10.9.0.{n}" for n in range(8))
    asked = ask(f"{BAD} {nothing} 198.51.100.7")

    def intervals(most: int) -> dict[str, int]:
        rows = sightings.summary(hosts, asked, most=most).sightings
        return {row.indicator.text: row.intervals for row in rows}

    assert intervals(21) == {BAD: 20, "198.51.100.7": 1}
    assert sightings.summary(hosts, asked, most=21).capped == ()
    assert intervals(20) == {BAD: 2, "198.51.100.7": 1}
    assert [each.text for each in sightings.summary(hosts, asked, most=20).capped] == [BAD]


@both_databases
def test_nested_networks_find_each_connection_once(fleet: list[Host], using: str) -> None:
    asked = ask(" ".join(f"203.0.113.9/{bits}" for bits in range(1, 32)) + " ::/0 2001:db8::/32")
    hosts = Host.objects.using(using).all()
    assert {row.indicator.text for row in sightings.summary(hosts, asked).sightings} == {
        "128.0.0.0/1", "::/0"
    }  # fmt: skip
    keys = [(row.host.pk, row.socket.key, row.socket.first_seen)
            for row in sightings.iter_rows(hosts, asked)]  # fmt: skip
    assert len(set(keys)) == len(keys) == 6


def test_a_network_is_covered_by_the_widest_that_holds_it() -> None:
    def covered(text: str) -> dict[str, str]:
        found = sought.covered(ask(text).indicators)
        return {each.text: wider.text for each, wider in found.items()}

    assert covered("10.1.0.0/16 10.0.0.0/8 10.1.2.0/24 11.0.0.0/8 10.1.2.3") == {
        "10.1.0.0/16": "10.0.0.0/8", "10.1.2.0/24": "10.0.0.0/8"
    }  # fmt: skip
    assert covered("::/0 ::/64 0.0.0.0/0 10.0.0.0/8 2001:db8::/32") == {
        "::/64": "::/0", "2001:db8::/32": "::/0", "10.0.0.0/8": "0.0.0.0/0"
    }  # fmt: skip
    assert covered("10.0.0.0/9 10.128.0.0/9 10.0.0.1 port 22 program:x") == {}
    assert covered("::/0 192.0.2.0/24") == {}, "no IPv6 network finds IPv4"


@both_databases
def test_the_unspecified_end_of_a_listener_is_no_address_that_it_talked_to(
    host: Host, using: str
) -> None:
    six = line(":::22", ":::*", "LISTEN", protocol="tcp6")
    bound = line("0.0.0.0:68", "0.0.0.0:*", "", protocol="udp")
    store.save(host, observed(0, table(LISTENER, six, bound)), using=using)
    hosts = Host.objects.using(using).all()
    for text in ("0.0.0.0", "0.0.0.0/8", "0.0.0.0/0", "::", "::/128", "::/0"):
        assert sightings.summary(hosts, ask(text)).sightings == [], text
        assert not sightings.rows(hosts, ask(text)).rows, text
    port = Sought((indicators.of_address("0.0.0.0/0", port=22),))
    assert sightings.summary(hosts, port).sightings == []
    assert sightings.rows(hosts, ask("port 22")).rows


@both_databases
@pytest.mark.parametrize("seed", range(4))
def test_pages_together_are_the_streamed_rows_and_those_are_history(
    host: Host, using: str, seed: int
) -> None:
    dice = random.Random(seed)
    fleet = [host, Host.objects.using(using).create(name="web2", address="192.0.2.2")]
    peers = [line("10.0.0.5:22", f"{BAD}:{port}") for port in range(50_000, 50_006)]
    peers += [DIALLED, OTHER, SIX]
    for minute in range(8):
        for each in fleet:
            lines = dice.sample(peers, dice.randrange(len(peers)))
            store.save(each, observed(minute, table(LISTENER, *lines)), using=using)
    hosts = Host.objects.using(using).all()
    asked = ask(f"{BAD} 203.0.113.0/24 port 22 program:curl 2001:db8::bad")

    def key(row: sightings.SeenRow) -> tuple[Any, ...]:
        return (row.indicator_texts, row.host.pk, row.socket.key, row.socket.first_seen)

    streamed = [key(row) for row in sightings.iter_rows(hosts, asked)]
    paged: list[Any] = []
    cursor = None
    while True:
        page = sightings.rows(hosts, asked, cursor=cursor, limit=7)
        paged += map(key, page.rows)
        cursor = page.next
        if cursor is None:
            break
    assert paged == streamed
    assert len({each[1:] for each in streamed}) == len(streamed), "each interval once"
    total = sightings.summary(hosts, asked)
    fitting = sum(len(row.indicators) for row in sightings.iter_rows(hosts, asked))
    assert sum(row.intervals for row in total.sightings) == fitting
    shown = [row.socket.last_seen or at(99) for row in sightings.iter_rows(hosts, asked)]
    assert shown == sorted(shown, reverse=True)


@both_databases
def test_a_cursor_belongs_to_its_question(fleet: list[Host], using: str) -> None:
    hosts = Host.objects.using(using).all()
    cursor = sightings.rows(hosts, ask(BAD), limit=1).next
    assert cursor is not None
    for asked in (ask("203.0.113.8"), ask(BAD, since=at(0)),
                  ask(BAD, filters=SocketFilter(direction="in"))):  # fmt: skip
        with pytest.raises(FilterError) as refused:
            sightings.rows(hosts, asked, cursor=cursor)
        assert refused.value.field == "cursor"


@both_databases
def test_the_names_of_programs_are_found_by_hopping(fleet: list[Host], using: str) -> None:
    scope = Scope(using, ())
    names, more = sought.programs(scope, ["S", "curl", "zzz"])
    assert names == {"S": ["S", "sshd"], "curl": ["curl"], "zzz": ["zzz"]}
    assert not more
    assert sought.programs(scope, []) == ({}, False)


@both_databases
def test_too_many_names_are_said(host: Host, using: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [line(f"10.0.0.5:{n}", holder=f"{n}/prog{n}") for n in range(1, 9)]
    store.save(host, observed(0, table(*rows)), using=using)
    hosts = Host.objects.using(using).all()
    assert not sightings.summary(hosts, ask("program:prog")).more_programs
    monkeypatch.setattr(sought, "MOST_NAMES", 5)
    found = sightings.summary(hosts, ask("program:prog"))
    assert found.more_programs
    assert found.sightings[0].intervals == 4
    monkeypatch.setattr(sought, "MOST_HOPS", 5)
    assert sightings.summary(hosts, ask("program:zzz")).more_programs


def questions() -> Iterable[Any]:
    for name, text in {
        "an address": "10.0.30.30",
        "a network": "10.0.30.0/28",
        "a port": "port 443",
        "a program": "program:p77",
        "an endpoint": "10.0.30.30:443",
        "everything": "10.0.30.30 10.0.31.0/28 port 443 program:p77 10.0.30.31:443",
        "a hundred addresses": " ".join(f"10.0.7.{n}" for n in range(100)),
    }.items():
        yield pytest.param(text, id=name)


@pytest.fixture
def crowd(using: str) -> list[int]:
    """Hosts with much history."""
    ids = [
        Host.objects.using(using).create(name=f"h{n}", address="192.0.2.2").pk for n in range(20)
    ]
    plans.fill(using, ids)
    return ids


@both_databases
def test_no_plan_reads_a_table_of_sockets_whole(crowd: list[int], using: str) -> None:
    hosts = Host.objects.using(using).filter(pk__in=crowd)
    wide = []
    for case in questions():
        (text,) = case.values
        for more in ({}, {"since": at(0) + dt.timedelta(days=1)}, {"new_since": at(600)}):
            asked = ask(text, **more)
            cursor = sightings.rows(hosts, asked, limit=2).next
            asks: list[Callable[[], Any]] = [
                partial(sightings.summary, hosts, asked),
                partial(sightings.rows, hosts, asked),
                partial(sightings.rows, hosts, asked, cursor=cursor),
                partial(sightings.iter_rows, hosts, asked),
            ]
            for one in asks:
                wide += plans.whole_reads(using, one)
    assert wide == []


@both_databases
def test_a_read_of_a_whole_table_would_be_seen(crowd: list[int], using: str) -> None:
    def reads_all() -> Any:
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT COUNT(copies) FROM probes_closedsocket WHERE pid = %s", [7])
            return cursor.fetchall()

    assert plans.whole_reads(using, reads_all)
