"""Ports, peers, states and time series against what the same rows say when read one by one."""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from typing import Any

import pytest
from django.db import connections
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes import filters
from probes.filters import FilterError, SocketFilter
from probes.history import queries, store
from probes.history.queries import moments, statistics
from probes.history.queries.sql import Scope
from probes.models import Outcome, Snapshot
from tests.databases import both_databases
from tests.probes.history.played import at, line, observed, ss_table, table


def asked(text: str) -> SocketFilter:
    return filters.parse(SocketFilter, QueryDict(text))


def all_hosts(using: str) -> Any:
    return Host.objects.using(using).all()


def scope_of(hosts: Any, **when: Any) -> Scope:
    scope = moments.scope(hosts, **when)
    assert scope is not None
    return scope


LISTENERS = (
    line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd"),
    line(":::22", ":::*", "LISTEN", "800/sshd", protocol="tcp6"),
    line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "700/postgres"),
    line("10.0.0.5:8080", "0.0.0.0:*", "LISTEN", "901/app"),
    line("203.0.113.5:8080", "0.0.0.0:*", "LISTEN", "902/app"),
    line("0.0.0.0:68", "0.0.0.0:*", "", "600/dhclient", protocol="udp"),
)
CONNECTED = (
    line("10.0.0.5:22", "10.0.0.9:51000", "ESTABLISHED", "811/sshd"),
    line("10.0.0.5:22", "198.51.100.7:51002", "ESTABLISHED", "812/sshd"),
    line("10.0.0.5:22", "198.51.100.7:51003", "TIME_WAIT", "-"),
    line("10.0.0.5:8080", "198.51.100.7:51004", "ESTABLISHED", "901/app"),
    line("10.0.0.5:8080", "198.51.100.7:51004", "ESTABLISHED", "901/app"),
    line("10.0.0.5:40000", "198.51.100.7:443", "ESTABLISHED", "900/app"),
    line("2001:db8::5:22", "2001:db8::9:51005", "ESTABLISHED", "813/sshd", protocol="tcp6"),
    line("127.0.0.1:5432", "127.0.0.1:40100", "ESTABLISHED", "701/postgres"),
    line("127.0.0.1:40100", "127.0.0.1:5432", "ESTABLISHED", "900/app"),
)
BUSY = table(*LISTENERS, *CONNECTED)


@both_databases
def test_each_port_has_its_process_its_reach_and_its_connections(host: Host, using: str) -> None:
    store.save(host, observed(0, BUSY), using=using)

    rows = queries.ports(host)

    assert [
        (row.protocol, row.local_ip, row.local_port, row.program, row.bound, row.connections)
        for row in rows
    ] == [
        ("tcp", "0.0.0.0", 22, "sshd", "all", 3),
        ("tcp6", "::", 22, "sshd", "all", 1 + 3),
        ("udp", "0.0.0.0", 68, "dhclient", "all", 0),
        ("tcp", "127.0.0.1", 5432, "postgres", "loopback", 1),
        ("tcp", "10.0.0.5", 8080, "app", "private", 2),
        ("tcp", "203.0.113.5", 8080, "app", "external", 0),
    ]
    assert {row.first_seen for row in rows} == {at(0)}


@both_databases
def test_a_dual_stack_listener_of_ss_counts_its_ipv4_connections(host: Host, using: str) -> None:
    text = ss_table(
        ("tcp", "LISTEN", "0", "128", "*:80", "*:*", 'users:(("nginx",pid=9,fd=3))'),
        ("tcp", "ESTAB", "0", "0", "[::ffff:10.0.0.5]:80", "[::ffff:10.0.0.9]:5000", ""),
        ("tcp", "ESTAB", "0", "0", "[2001:db8::5]:80", "[2001:db8::9]:5001", ""),
    )
    store.save(host, observed(0, text, tool="ss"), using=using)

    (row,) = queries.ports(host)

    assert (row.bound, row.connections) == ("all", 2)


@both_databases
def test_ports_of_the_past_are_those_of_then(host: Host, using: str) -> None:
    first = store.save(host, observed(0, BUSY), using=using)
    second = store.save(host, observed(1, table(LISTENERS[0])), using=using)

    assert len(queries.ports(host, snapshot=first)) == 6
    assert queries.ports(host, snapshot=first)[0].connections == 3
    assert [row.connections for row in queries.ports(host, snapshot=second)] == [0]
    assert [row.local_port for row in queries.ports(host)] == [22]


@both_databases
def test_filters_choose_listeners_and_not_their_connections(host: Host, using: str) -> None:
    store.save(host, observed(0, BUSY), using=using)

    rows = queries.ports(host, filters=asked("program=SSHD&family=4"))

    assert [(row.local_ip, row.connections) for row in rows] == [("0.0.0.0", 3)]


@both_databases
def test_a_port_is_looked_up_on_every_host_given(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="app1", address="192.0.2.2")
    hidden = Host.objects.using(using).create(name="hidden", address="192.0.2.3")
    for one in (host, other, hidden):
        store.save(one, observed(0, BUSY), using=using)
    given = all_hosts(using).exclude(pk=hidden.pk)

    with CaptureQueriesContext(connections[using]) as captured:
        rows = queries.port_holders(given, 8080)

    assert [(row.host.name if row.host else "", row.pid, row.connections) for row in rows] == [
        ("app1", 901, 2),
        ("app1", 902, 0),
        ("web1", 901, 2),
        ("web1", 902, 0),
    ]
    assert len(captured) == 3
    assert queries.port_holders(given, 8080, "udp") == []
    assert len(queries.port_holders(given, 68, "udp")) == 2
    assert queries.port_holders(given.none(), 8080) == []
    with CaptureQueriesContext(connections[using]) as captured:
        page = queries.holders_page(given, 8080, kind="x", cursor=None, limit=3)
    assert (list(page.rows), page.total) == (rows[:3], 4)
    assert len(captured) == 5


@both_databases
def test_the_holders_of_a_port_are_paged_and_only_the_hosts_of_the_page_read(using: str) -> None:
    given = all_hosts(using)
    for name in ("e", "d", "c", "b", "a"):
        store.save(
            Host.objects.using(using).create(name=name, address="192.0.2.2"),
            observed(0, BUSY),
            using=using,
        )
    # A removed host may have the name of one that is watched.
    store.save(
        Host.objects.using(using).create(name="c", address="192.0.2.3", removed_at=at(0)),
        observed(0, BUSY),
        using=using,
    )
    expected = queries.port_holders(given, 8080)

    for limit in (1, 2, 3, 5, 12, 100):
        found: list[queries.PortRow] = []
        cursor: str | None = None
        for _page in range(20):
            page = queries.holders_page(given, 8080, kind="x", cursor=cursor, limit=limit)
            assert len(page.rows) <= limit
            assert page.total == len(expected) == 12
            found += page.rows
            cursor = page.next
            if cursor is None:
                break
        assert found == expected
    then = queries.holders_page(given, 8080, at=at(1), kind="x", cursor=None, limit=5)
    assert list(then.rows) == queries.port_holders(given, 8080, at=at(1))[:5]
    assert queries.holders_page(given.none(), 8080, kind="x", cursor=None, limit=5).total == 0
    with pytest.raises(FilterError):
        queries.holders_page(given, 8080, kind="x", cursor="y", limit=5)


@both_databases
def test_a_page_goes_on_over_holders_that_went_since_they_were_counted(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [Host.objects.using(using).create(name=name, address="192.0.2.2") for name in "abcd"]
    for host in hosts:
        store.save(host, observed(0, BUSY), using=using)
    gone, whole = {hosts[0].pk, hosts[1].pk}, queries.port_holders

    def without(*given: Any, **asked: Any) -> list[queries.PortRow]:
        return [row for row in whole(*given, **asked) if row.host_id not in gone]

    monkeypatch.setattr(sys.modules[whole.__module__], "port_holders", without)
    page = queries.holders_page(all_hosts(using), 8080, kind="x", cursor=None, limit=2)

    assert [row.host_id for row in page.rows] == [hosts[2].pk] * 2
    assert page.next is not None


@both_databases
def test_the_addresses_with_most_connections_come_first(host: Host, using: str) -> None:
    store.save(host, observed(0, BUSY), using=using)

    with CaptureQueriesContext(connections[using]) as captured:
        rows = statistics.remote_ips(scope_of(all_hosts(using)))

    assert [(row.ip, row.scope, row.total) for row in rows] == [
        ("198.51.100.7", "external", 5),
        ("127.0.0.1", "loopback", 2),
        ("10.0.0.9", "private", 1),
        ("2001:db8::9", "external", 1),
    ]
    assert rows[0].by_state == {"ESTABLISHED": 4, "TIME_WAIT": 1}
    assert rows[0].local_ports == [(22, 2), (8080, 2)]
    assert len(captured) == 3


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("external", ["198.51.100.7", "2001:db8::9"]),
        ("private", ["10.0.0.9"]),
        ("loopback", ["127.0.0.1"]),
    ],
)
@both_databases
def test_addresses_can_be_those_of_one_scope(
    host: Host, using: str, scope: str, expected: list[str]
) -> None:
    store.save(host, observed(0, BUSY), using=using)

    rows = statistics.remote_ips(scope_of(all_hosts(using)), where=scope)

    assert [row.ip for row in rows] == expected


@both_databases
def test_addresses_are_filtered_limited_and_of_any_time(host: Host, using: str) -> None:
    first = store.save(host, observed(0, BUSY), using=using)
    store.save(host, observed(1, table(*LISTENERS)), using=using)
    hosts = all_hosts(using)

    def ips(snapshot: Snapshot | None = None, **arguments: Any) -> list[tuple[str, int]]:
        rows = statistics.remote_ips(scope_of(hosts, snapshot=snapshot), **arguments)
        return [(row.ip, row.total) for row in rows]

    assert ips() == []
    assert ips(snapshot=first, limit=1) == [("198.51.100.7", 5)]
    assert ips(snapshot=first, filters=asked("local_port=8080")) == [("198.51.100.7", 2)]
    assert ips(snapshot=first, filters=asked("state=time_wait")) == [("198.51.100.7", 1)]
    assert moments.scope(hosts.none(), snapshot=first) is None


@both_databases
def test_addresses_are_summed_over_hosts(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="app1", address="192.0.2.2")
    store.save(host, observed(0, BUSY), using=using)
    store.save(other, observed(0, BUSY), using=using)

    rows = statistics.remote_ips(scope_of(all_hosts(using)), limit=1)

    assert [(row.ip, row.total, row.hosts, row.local_ports) for row in rows] == [
        ("198.51.100.7", 10, 2, [(22, 4), (8080, 4)])
    ]


@both_databases
def test_states_are_counted_now_then_and_over_hosts(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="app1", address="192.0.2.2")
    first = store.save(host, observed(0, BUSY), using=using)
    store.save(host, observed(1, table(*LISTENERS)), using=using)
    store.save(other, observed(0, BUSY), using=using)

    def counted(scope: Scope, **arguments: Any) -> dict[str | None, int]:
        rows = statistics.states(scope, **arguments)
        assert {row.state for row in rows} >= set(statistics.ELEVEN)
        return {row.state: row.sockets for row in rows if row.sockets}

    now, then = scope_of(all_hosts(using)), scope_of(all_hosts(using), snapshot=first)
    assert counted(then) == {"ESTABLISHED": 8, "LISTEN": 5, "TIME_WAIT": 1, None: 1}
    assert list(counted(then)) == ["ESTABLISHED", "LISTEN", "TIME_WAIT", None]
    assert counted(scope_of(all_hosts(using).filter(pk=host.pk))) == {"LISTEN": 5, None: 1}
    assert counted(now) == {"LISTEN": 10, "ESTABLISHED": 8, "TIME_WAIT": 1, None: 2}
    assert counted(then, filters=asked("local_port=22")) == {
        "ESTABLISHED": 3,
        "LISTEN": 2,
        "TIME_WAIT": 1,
    }


# --- time series ----------------------------------------------------------------------------------


def stored(
    host: Host, using: str, minute: float, established: int, outcome: Outcome = Outcome.OK
) -> Snapshot:
    return Snapshot.objects.using(using).create(
        host=host,
        taken_at=at(minute),
        outcome=outcome,
        code="" if outcome == Outcome.OK else "timed_out",
        sockets=established + 2,
        listeners=2,
        by_state={"ESTABLISHED": established, "LISTEN": 2} if established else {"LISTEN": 2},
    )


def seconds(minute: float) -> int:
    return int(at(minute).timestamp())


def series(host: Host, minutes: float, **arguments: Any) -> queries.Series:
    arguments = {"by": "state", "since": at(0), "until": at(minutes), **arguments}
    return queries.timeline(host, **arguments)


@both_databases
def test_a_series_has_every_whole_snapshot_and_zero_where_a_state_was_absent(
    host: Host, using: str
) -> None:
    for minute, established in enumerate((5, 0, 7)):
        stored(host, using, minute, established)

    with CaptureQueriesContext(connections[using]) as captured:
        found = series(host, 60)

    assert found.times == [seconds(0), seconds(1), seconds(2)]
    assert found.series == {"ESTABLISHED": [5, 0, 7], "LISTEN": [2, 2, 2]}
    assert found.failed == []
    assert len(captured) == 1
    assert series(host, 60, by="total").series == {"total": [7, 2, 9]}
    assert series(host, 60, by="listeners").series == {"listeners": [2, 2, 2]}


@both_databases
def test_a_failed_probe_is_a_gap_and_named(host: Host, using: str) -> None:
    stored(host, using, 0, 5)
    stored(host, using, 1, 0, Outcome.FAILED)
    stored(host, using, 2, 6)

    found = series(host, 60)

    assert found.times == [seconds(0), seconds(1), seconds(2)]
    assert found.series["ESTABLISHED"] == [5, None, 6]
    assert found.failed == [(seconds(1), "timed_out")]


@both_databases
def test_a_time_without_probes_is_a_gap(host: Host, using: str) -> None:
    for minute in (0, 1, 2, 10, 11):
        stored(host, using, minute, 5)

    found = series(host, 60)

    assert found.times == [seconds(m) for m in (0, 1, 2, 3, 10, 11)]
    assert found.series["ESTABLISHED"] == [5, 5, 5, None, 5, 5]


@both_databases
def test_a_slower_interval_of_the_past_is_no_gap(host: Host, using: str) -> None:
    for minute in range(0, 60, 10):
        stored(host, using, minute, 5)

    assert None not in series(host, 60).series["ESTABLISHED"]


@both_databases
def test_a_long_time_is_thinned_to_the_last_snapshot_of_each_step(host: Host, using: str) -> None:
    Snapshot.objects.using(using).bulk_create(
        Snapshot(
            host=host,
            taken_at=at(minute),
            outcome=Outcome.FAILED if minute % 10 == 5 else Outcome.OK,
            sockets=minute,
        )
        for minute in range(3000)
    )

    found = series(host, 3000, by="total", step_s=600)
    widened = series(host, 3000, by="total", step_s=1)

    # A step is a whole multiple of ten minutes since 1970; START is two minutes before one.
    assert found.step_s == 600
    assert found.series["total"][:3] == [1, 11, 21]
    assert found.series["total"][-1] == 2999
    assert Counter(value % 10 for value in found.series["total"][:-1] if value) == {1: 300}
    assert None not in found.series["total"]
    assert len(found.failed) == 300
    assert widened.step_s == 250
    assert len(widened.times) <= queries.MOST_POINTS + 1


@both_databases
def test_a_series_begins_and_ends_where_asked_and_is_of_its_host(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="app1", address="192.0.2.2")
    for minute in range(5):
        stored(host, using, minute, minute + 1)
        stored(other, using, minute, 100)

    found = series(host, 3, since=at(1))

    assert found.times == [seconds(1), seconds(2)]
    assert found.series["ESTABLISHED"] == [2, 3]
    assert series(host, 0, until=at(0) - dt.timedelta(days=1), since=at(-9999)).times == []
