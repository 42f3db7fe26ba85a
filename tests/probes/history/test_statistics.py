"""Each statistic is what counting the parsed rows one by one gives, on both databases."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes import filters
from probes.filters import FilterError, SocketFilter, packed
from probes.history import store
from probes.history.queries import moments, statistics
from probes.history.queries.sockets import SocketRow
from probes.history.queries.sql import Scope
from probes.history.queries.statistics_counted import Sum
from tests.databases import both_databases
from tests.probes.history import counted
from tests.probes.history.counted import Row, text_of
from tests.probes.history.played import LISTENER, at, line, observed, table

STATES, SS, CUT = (
    text_of(name)
    for name in ("netstat--captured_states", "ss--all_families", "netstat--ipv6_cut_without_w")
)
ODD = table(
    LISTENER,
    line(":::22", ":::*", "LISTEN", "800/sshd", protocol="tcp6"),
    line("::ffff:10.0.0.5:22", "::ffff:203.0.113.9:51", "ESTABLISHED", protocol="tcp6"),
    line("10.0.0.5:22", "203.0.113.9:5002", "TIME_WAIT", "-"),
    line("10.0.0.5:22", "203.0.113.9:5002", "TIME_WAIT", "-"),
    line("10.0.0.5:22", "100.64.3.4:5003"),
    line("10.0.0.5:50022", "198.51.100.1:22", "ESTABLISHED", "9/ssh"),
    line("10.0.0.5:4444", "0.0.0.0:*", "CLOSE", "9/bound"),
    line("fe80::5:22", "fe80::9:5004", "SYN_RECV", "-", protocol="tcp6"),
)
"""A mapped address, a row printed twice, a bound socket, and port 22 at the other end."""


def asked(text: str) -> SocketFilter:
    return filters.parse(SocketFilter, QueryDict(text))


class World:
    """Two hosts, what they showed, and when."""

    def __init__(self, host: Host, using: str) -> None:
        other = Host.objects.using(using).create(name="db1", address="192.0.2.2")
        store.save(host, observed(0, STATES), using=using)
        store.save(other, observed(0.5, SS, tool="ss"), using=using)
        self.first = store.save(other, observed(1, CUT), using=using)
        store.save(host, observed(2, ODD), using=using)
        self.texts: dict[str, dict[int, str]] = {
            "now": {host.pk: ODD, other.pk: CUT},
            "at the first time": {host.pk: STATES},
            "in between": {host.pk: STATES, other.pk: SS},
            "later": {host.pk: STATES, other.pk: CUT},
            "of one snapshot": {other.pk: CUT},
        }
        hosts = Host.objects.using(using).all()
        self.scopes = {
            "now": moments.scope(hosts),
            "at the first time": moments.scope(hosts, at=at(0.2)),
            "in between": moments.scope(hosts, at=at(0.7)),
            "later": moments.scope(hosts, at=at(1.5)),
            "of one snapshot": moments.scope(hosts, snapshot=self.first),
        }

    def of(self, when: str) -> tuple[Scope, list[Row]]:
        """The scope of a time, and the rows it must show."""
        scope = self.scopes[when]
        assert scope is not None
        return scope, counted.rows(self.texts[when])


SUMS: tuple[Sum, ...] = ("ips", "ends", "ports", "programs")
TIMES = ("now", "at the first time", "in between", "later", "of one snapshot")
NARROWED: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("", lambda row: True),
    ("state=ESTABLISHED", lambda row: row.it.state == "ESTABLISHED"),
    ("state=syn_recv,time-wait", lambda row: row.it.state in ("SYN_RECV", "TIME_WAIT")),
    ("proto=tcp", lambda row: row.base == "tcp"),
    ("local_port=22,80,8443", lambda row: row.it.local_port in (22, 80, 8443)),
    ("program=APP", lambda row: "app" in (row.it.program or "").casefold()),
    ("hide=listen", lambda row: not row.listens),
)


@pytest.fixture
def world(host: Host, using: str) -> World:
    return World(host, using)


@both_databases
@pytest.mark.parametrize("when", TIMES)
def test_every_statistic_is_what_counting_one_by_one_gives(world: World, when: str) -> None:
    scope, everything = world.of(when)
    for text, matches in NARROWED:
        wanted = asked(text)
        rows = [row for row in everything if matches(row)]
        check(scope, wanted, rows)


def check(scope: Scope, wanted: SocketFilter, rows: list[Row]) -> None:
    """All statistics of these filters against the reference."""
    all_of_it: Any = {"filters": wanted, "limit": 1000}
    assert {
        row.ip: (row.total, row.by_state, row.hosts, row.scope)
        for row in statistics.remote_ips(scope, **all_of_it)
    } == counted.remote_ips(rows)
    assert {
        (row.ip, row.port): (row.total, row.local_ips, row.hosts)
        for row in statistics.remote_ends(scope, **all_of_it)
    } == counted.remote_ends(rows)
    assert {
        (row.port, row.protocol): (
            row.connections,
            row.arrived,
            row.listeners,
            row.ips,
            row.hosts,
            row.by_state,
        )
        for row in statistics.local_ports(scope, **all_of_it)
    } == counted.local_ports(rows)
    assert {
        row.program: (row.sockets, row.listeners, row.ips, row.hosts, row.by_state)
        for row in statistics.programs(scope, **all_of_it)
    } == counted.programs(rows)
    assert {
        row.state: (row.sockets, row.tcp, row.hosts)
        for row in statistics.states(scope, filters=wanted)
        if row.sockets
    } == counted.states(rows)
    assert {
        row.protocol: row.kinds for row in statistics.protocols(scope, filters=wanted)
    } == counted.protocols(rows)
    assert {
        row.scope: (row.connections, row.ips, row.hosts, row.by_state)
        for row in statistics.scopes(scope, filters=wanted)
        if row.connections
    } == counted.scopes(rows)
    once = {(row.host, row.it._replace(recv_queue=None, send_queue=None)) for row in rows}
    assert len(statistics.listed(scope, **all_of_it)) == len(once)
    assert {kind: statistics.number_of(kind, scope, filters=wanted) for kind in SUMS} == {
        "ips": len(counted.remote_ips(rows)),
        "ends": len(counted.remote_ends(rows)),
        "ports": len(counted.local_ports(rows)),
        "programs": len(counted.programs(rows)),
    }


@both_databases
@pytest.mark.parametrize("where", ["external", "private", "loopback"])
def test_a_scope_of_addresses_is_a_part_of_all(world: World, where: str) -> None:
    scope, everything = world.of("later")
    rows = [row for row in everything if row.connected and row.scope == where]
    assert rows or where == "external"
    assert {row.ip: row.total for row in statistics.remote_ips(scope, where=where, limit=1000)} == {
        ip: total for ip, (total, *_rest) in counted.remote_ips(rows).items()
    }
    assert sum(
        row.connections for row in statistics.local_ports(scope, where=where, limit=1000)
    ) == (len(rows))
    assert sum(row.sockets for row in statistics.programs(scope, where=where, limit=1000)) == len(
        rows
    )


@both_databases
def test_a_port_has_its_two_ends_told_apart(world: World) -> None:
    scope, everything = world.of("now")
    ports = (443, 22, 80, 9090)
    for row in statistics.common_ports(scope, ports):
        here = [one for one in everything if one.it.local_port == row.port]
        there = [one for one in everything if one.it.foreign_port == row.port]
        assert (row.listeners, row.inbound, row.outbound, row.ips, row.hosts) == (
            sum(one.listens for one in here),
            sum(one.connected for one in here),
            len(there),
            len({one.ip for one in here if one.connected}),
            len({one.host for one in here}),
        )
        assert row.inbound_states == counted.by_state(one for one in here if one.connected)
        assert row.outbound_states == counted.by_state(there)
    assert [row.port for row in statistics.common_ports(scope, ports)] == list(ports)
    (ssh,) = statistics.common_ports(scope, [22])
    assert (ssh.inbound, ssh.outbound) == (5, 1)


@both_databases
def test_a_mapped_address_counts_as_its_ipv4(world: World) -> None:
    scope, _rows = world.of("now")
    (row,) = [
        row for row in statistics.remote_ips(scope, limit=1000) if row.ip.endswith("203.0.113.9")
    ]
    assert (row.ip, row.total, row.by_state) == (
        "203.0.113.9",
        3,
        {"TIME_WAIT": 2, "ESTABLISHED": 1},
    )


@both_databases
def test_the_addresses_on_one_port_are_those_at_its_local_end(world: World) -> None:
    scope, _rows = world.of("now")
    found = {row.ip: row.total for row in statistics.ip_on_port(scope, 22)}
    assert found == {"203.0.113.9": 3, "100.64.3.4": 1, "fe80::9": 1}
    assert [row.ip for row in statistics.ip_on_port(scope, 22, limit=1)] == ["203.0.113.9"]


@both_databases
def test_all_eleven_states_are_listed_even_where_there_is_no_socket(host: Host, using: str) -> None:
    scope = moments.scope(Host.objects.using(using).all())
    assert scope is not None
    rows = statistics.states(scope)
    assert [row.sockets for row in rows] == [0] * 11
    assert {row.state for row in rows} == {
        "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
        "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
    }  # fmt: skip
    assert [(row.protocol, row.sockets) for row in statistics.protocols(scope)] == [
        ("tcp", 0),
        ("udp", 0),
    ]


@both_databases
def test_before_any_probe_everything_is_nothing(world: World, using: str) -> None:
    scope = moments.scope(Host.objects.using(using).all(), at=at(-5))
    assert scope is not None
    check(scope, SocketFilter(), [])
    assert all(row.hosts == 0 for row in statistics.common_ports(scope))
    assert moments.coverage(scope) == moments.Coverage(2, 2, None, None)


@both_databases
def test_of_when_each_host_is_shown_is_told(world: World, using: str) -> None:
    Host.objects.using(using).create(name="new", address="192.0.2.3")
    hosts = Host.objects.using(using).all()
    told = {minute: moments.coverage(moments.scope(hosts, at=at(minute))) for minute in (0.2, 1.5)}
    assert told[0.2] == moments.Coverage(3, 2, at(0), at(0))
    assert told[1.5] == moments.Coverage(3, 1, at(0), at(1))
    assert moments.coverage(moments.scope(hosts)) == moments.Coverage(3, 1, at(1), at(2))
    assert moments.coverage(moments.scope(hosts, snapshot=world.first)) == moments.Coverage(
        1, 0, at(1), at(1)
    )
    assert moments.coverage(None) == moments.Coverage(0, 0, None, None)


SORTED: tuple[tuple[Callable[..., list[Any]], dict[str, str]], ...] = (
    (statistics.remote_ips, statistics.IP_SORTS),
    (statistics.remote_ends, statistics.END_SORTS),
    (statistics.local_ports, statistics.PORT_SORTS),
    (statistics.programs, statistics.PROGRAM_SORTS),
)


@both_databases
def test_a_list_is_sorted_and_cut_off(world: World) -> None:
    scope, _rows = world.of("in between")
    for function, sorts in SORTED:
        for name in set(sorts) - {"ip", "program"}:
            for sort in (name, f"-{name}"):
                found = [getattr(row, name) for row in function(scope, sort=sort, limit=1000)]
                known = [value for value in found if value is not None]
                assert known == sorted(known, reverse=sort.startswith("-")), (function, sort)
                few = [getattr(row, name) for row in function(scope, sort=sort, limit=3)]
                assert few == found[:3]
        for sort in ("", "--total", "moon", "-"):
            with pytest.raises(FilterError) as refused:
                function(scope, sort=sort)
            assert refused.value.field == "sort"
    named = [row.program for row in statistics.programs(scope, sort="program", limit=1000)]
    assert named[-1] is None
    assert statistics.programs(scope, sort="-program", limit=1000)[-1].program is None
    ips = [row.ip for row in statistics.remote_ips(scope, sort="ip", limit=1000)]
    assert ips == sorted(ips, key=lambda ip: packed(ipaddress.ip_address(ip)))


@both_databases
def test_a_statistic_costs_the_same_queries_whatever_it_is_of(world: World, using: str) -> None:
    budgets: tuple[tuple[Callable[..., Any], int], ...] = (
        (statistics.remote_ips, 2),
        (statistics.remote_ends, 1),
        (statistics.local_ports, 2),
        (statistics.programs, 2),
        (statistics.states, 1),
        (statistics.protocols, 1),
        (statistics.common_ports, 2),
        (statistics.scopes, 1),
        (statistics.listed, 1),
    )
    for when in ("now", "later"):
        scope, _rows = world.of(when)
        for function, budget in budgets:
            with CaptureQueriesContext(connections[using]) as captured:
                function(scope)
            once = function is statistics.remote_ips and when == "later"
            assert len(captured) == (1 if once else budget), function


@both_databases
def test_protocols_of_everything_read_no_socket(world: World, using: str) -> None:
    scope, _rows = world.of("now")
    with CaptureQueriesContext(connections[using]) as captured:
        statistics.protocols(scope)
    assert all("socket" not in query["sql"] for query in captured)


@both_databases
@pytest.mark.parametrize("when", TIMES)
def test_the_pages_of_a_list_are_all_of_it_and_what_is_streamed(world: World, when: str) -> None:
    scope, _everything = world.of(when)
    wanted = asked("hide=listen")
    found: list[SocketRow] = []
    cursor: str | None = None
    while True:
        page = statistics.listed_page(scope, filters=wanted, cursor=cursor, limit=3)
        assert len(page.rows) <= 3
        found += page.rows
        if page.next is None:
            break
        cursor = page.next
    assert len(found) == page.total == len({(row.host_id, row.key) for row in found})
    assert found == list(statistics.every_listed(scope, filters=wanted))
    assert set(found) == set(statistics.listed(scope, filters=wanted, limit=1000))
    times = [row.first_seen for row in found]
    assert times == sorted(times, reverse=True)
    with pytest.raises(FilterError) as refused:
        statistics.listed_page(scope, filters=asked("proto=tcp"), cursor=cursor or "x", limit=3)
    assert refused.value.field == "cursor"


@both_databases
@pytest.mark.parametrize("where", ["all", "external", "private", "loopback"])
def test_the_number_of_rows_is_that_of_the_whole_list(world: World, where: str) -> None:
    scope, _everything = world.of("later")
    every: Any = {"where": where, "limit": statistics.EVERY_ROW}
    lists: dict[Sum, list[Any]] = {
        "ips": statistics.remote_ips(scope, **every),
        "ends": statistics.remote_ends(scope, **every),
        "ports": statistics.local_ports(scope, **every),
        "programs": statistics.programs(scope, **every),
    }
    for kind in SUMS:
        assert statistics.number_of(kind, scope, where=where) == len(lists[kind]), kind
    on_port = statistics.ip_on_port(scope, 22, **every)
    assert statistics.number_of("ips", scope, where=where, port=22) == len(on_port)
