"""Connections summed by the database are those the hosts showed, folded or not, now and then."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from django.db import connections as databases
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.analysis import addresses
from probes.analysis.topology import OTHER_PORTS, Seen
from probes.history import store, tables
from probes.history.queries import edges, moments
from probes.history.queries.edges import Asked, Found
from probes.history.queries.sql import Scope
from tests.databases import both_databases
from tests.probes.history import tabled
from tests.probes.history.played import LISTENER, at, line, observed, table

HTTP = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/nginx")


def ip(text: str) -> bytes:
    packed = addresses.packed(text)
    assert packed is not None
    return packed


def inbound(far: str, port: int = 80, program: str = "9/nginx") -> str:
    return line(f"10.0.0.1:{port}", far, "ESTABLISHED", program)


def now(using: str) -> Scope:
    found = moments.scope(Host.objects.using(using).all())
    assert found is not None
    return found


def seen(found: Found) -> dict[tuple[bool, str, int | None, str | None], int]:
    return {
        (one.inbound, addresses.shown(one.ip), one.port, one.program): one.connections
        for one in found.seen
    }


@pytest.fixture
def other(using: str) -> Host:
    """A second host."""
    return Host.objects.using(using).create(name="db1", address="192.0.2.2")


@both_databases
def test_connections_are_summed_by_peer_service_port_and_program(host: Host, using: str) -> None:
    text = table(
        HTTP,
        inbound("198.51.100.7:40000"),
        inbound("198.51.100.7:40001"),
        line("::ffff:10.0.0.1:80", "::ffff:198.51.100.7:40002", protocol="tcp6", holder="9/nginx"),
        line("10.0.0.1:41000", "198.51.100.8:443", holder="7/curl"),
        line("10.0.0.1:41001", "198.51.100.8:443", "TIME_WAIT", "-"),
        line("127.0.0.1:50000", "127.0.0.1:80", holder="7/curl"),
        line("0.0.0.0:68", "0.0.0.0:*", "", "5/dhclient", protocol="udp"),
        line("10.0.0.1:5353", "10.0.0.9:53", "ESTABLISHED", "5/resolver", protocol="udp"),
    )
    store.save(host, observed(0, text), using=using)
    found = edges.connections(now(using))
    totals: Counter[tuple[bool, str, str, int | None, str | None]] = Counter()
    for one in found.seen:
        key = (one.inbound, one.protocol, addresses.shown(one.ip), one.port, one.program)
        totals[key] += one.connections
    assert totals == {
        (True, "tcp", "198.51.100.7", 80, "nginx"): 3,
        (False, "tcp", "198.51.100.8", 443, "curl"): 1,
        (False, "tcp", "198.51.100.8", 443, None): 1,
        (False, "udp", "10.0.0.9", 53, "resolver"): 1,
    }
    assert {one.scope for one in found.seen if one.port == 53} == {"private"}
    assert (found.bundles, found.crowds, found.unread) == ([], {}, 0)


@both_databases
def test_a_hosts_own_addresses_are_those_its_sockets_show(host: Host, using: str) -> None:
    text = table(
        LISTENER,
        line("10.0.0.2:5432", "0.0.0.0:*", "LISTEN", "8/postgres"),
        line("10.0.0.1:22", "10.0.0.9:50000"),
        line("2001:db8::1:22", "2001:db8::9:50000", protocol="tcp6"),
        line("fe80::1:22", "fe80::9:50000", protocol="tcp6"),
        line("127.0.0.1:25", "0.0.0.0:*", "LISTEN", "8/master"),
        line("127.0.0.1:50000", "127.0.0.1:25"),
    )
    store.save(host, observed(0, text), using=using)
    found = edges.connections(now(using))
    assert sorted(found.local) == sorted(
        (host.pk, ip(text)) for text in ("10.0.0.1", "10.0.0.2", "2001:db8::1")
    )


@both_databases
def test_interfaces_have_the_addresses_of_their_time(host: Host, using: str) -> None:
    old = tabled.interfaces(tabled.interface("eth0", address="192.0.2.1"))
    new = tabled.interfaces(tabled.interface("eth0", address="192.0.2.77"))
    tables.save(host, tabled.seen(0, old), using=using)
    tables.save(host, tabled.seen(10, new), using=using)

    def then(minute: float | None) -> list[tuple[int, bytes]]:
        when = None if minute is None else at(minute)
        return edges.interface_addresses(using, [host.pk], at=when)

    assert then(None) == [(host.pk, ip("192.0.2.77"))]
    assert then(5) == [(host.pk, ip("192.0.2.1"))]
    assert then(-1) == []
    assert edges.interface_addresses(using, [host.pk + 1]) == []


@both_databases
def test_many_strangers_on_a_port_are_folded_and_few_are_not(host: Host, using: str) -> None:
    many = [inbound(f"198.51.100.{n}:40000") for n in range(1, 11)]
    few = [inbound(f"203.0.113.{n}:40000", 22, "8/sshd") for n in (1, 2)]
    near = [inbound(f"10.9.9.{n}:40000") for n in range(1, 6)]
    store.save(host, observed(0, table(LISTENER, HTTP, *many, *few, *near)), using=using)
    found = edges.connections(now(using))
    assert seen(found) == {
        (True, "203.0.113.1", 22, "sshd"): 1,
        (True, "203.0.113.2", 22, "sshd"): 1,
    }
    assert {(b.scope, b.inbound, b.port, b.program): b.connections for b in found.bundles} == {
        ("external", True, 80, "nginx"): 10,
        ("private", True, 80, "nginx"): 5,
    }
    assert found.crowds == {("external", True, 80): 10, ("private", True, 80): 5}


@both_databases
def test_each_stranger_is_shown_where_all_are_asked_for_up_to_a_number(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "MOST_PEERS", 3)
    many = [inbound(f"198.51.100.{n}:{port}") for n in range(1, 11) for port in range(1, 1 + n)]
    store.save(host, observed(0, table(LISTENER, HTTP, *many)), using=using)
    found = edges.connections(now(using), wanted=Asked(peers="all"))
    assert seen(found) == {(True, f"198.51.100.{n}", 80, "nginx"): n for n in (8, 9, 10)}
    assert [bundle.connections for bundle in found.bundles] == [sum(range(1, 8))]
    assert found.crowds == {("external", True, 80): 7}


@both_databases
def test_strangers_that_are_not_asked_for_are_counted(host: Host, using: str) -> None:
    many = [inbound(f"198.51.100.{n}:40000") for n in range(1, 6)]
    near = [inbound("10.9.9.1:40000"), inbound("10.9.9.1:40001")]
    store.save(host, observed(0, table(LISTENER, HTTP, *many, *near)), using=using)
    none = edges.connections(now(using), wanted=Asked(peers="none"))
    assert (none.seen, none.bundles) == ([], [])
    assert (none.hidden_peers, none.hidden_connections) == (6, 7)
    private = edges.connections(now(using), wanted=Asked(scope="private"))
    assert seen(private) == {(True, "10.9.9.1", 80, "nginx"): 2}


@both_databases
def test_ports_beyond_the_usual_ones_are_one_bundle(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "APART_PORTS", 2)
    text = [
        line("10.0.0.1:41000", f"198.51.100.{n}:{port}", holder="7/curl")
        for port, count in ((443, 9), (80, 8), (8443, 5), (9000, 4))
        for n in range(count)
    ]
    store.save(host, observed(0, table(LISTENER, *text)), using=using)
    found = edges.connections(now(using))
    assert found.crowds == {
        ("external", False, 443): 9,
        ("external", False, 80): 8,
        ("external", False, OTHER_PORTS): 5,
    }
    assert sum(bundle.connections for bundle in found.bundles) == 26


@both_databases
def test_connections_with_other_hosts_are_never_folded(host: Host, other: Host, using: str) -> None:
    listens = line("10.0.0.2:80", "0.0.0.0:*", "LISTEN", "8/nginx")
    store.save(other, observed(0, table(listens)), using=using)
    many = [inbound(f"10.0.0.{n}:40000") for n in range(2, 20)]
    store.save(host, observed(0, table(LISTENER, HTTP, *many)), using=using)
    known = edges.connections(now(using), known={ip("10.0.0.7")})
    assert seen(known) == {
        (True, "10.0.0.2", 80, "nginx"): 1,
        (True, "10.0.0.7", 80, "nginx"): 1,
    }
    assert known.crowds == {("private", True, 80): 16}
    none = edges.connections(now(using), known={ip("10.0.0.7")}, wanted=Asked(peers="none"))
    assert seen(none) == seen(known)


@both_databases
def test_ports_programs_and_hosts_narrow_what_is_read(host: Host, other: Host, using: str) -> None:
    lines = (
        LISTENER,
        HTTP,
        inbound("198.51.100.7:40000"),
        inbound("198.51.100.7:40000", 22, "8/sshd"),
        line("10.0.0.1:80", "198.51.100.9:8080", holder="9/nginx"),
        line("10.0.0.1:41000", "198.51.100.8:8080", holder="7/NGINX_agent"),
    )
    for one in (host, other):
        store.save(one, observed(0, table(*lines)), using=using)

    def ports(found: Found) -> Counter[int | None]:
        counted: Counter[int | None] = Counter()
        for one in found.seen:
            counted[one.port] += one.connections
        return counted

    assert ports(edges.connections(now(using), ports="22,8000-9000")) == {22: 2, 8080: 2}
    assert ports(edges.connections(now(using), wanted=Asked(program="nginx"))) == {80: 4, 8080: 2}
    mine = edges.connections(now(using), wanted=Asked(focus={host.pk}))
    assert {one.host_id for one in mine.seen} == {host.pk}
    assert ports(mine) == {22: 1, 80: 2, 8080: 1}
    assert not edges.connections(now(using), wanted=Asked(focus=())).seen


@both_databases
def test_sums_beyond_the_most_are_counted(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "MOST_ROWS", 1)
    text = table(
        LISTENER,
        line("10.0.0.1:41000", "198.51.100.8:443", holder="7/curl"),
        line("10.0.0.1:41001", "198.51.100.8:443", holder="7/curl"),
        line("10.0.0.1:41002", "198.51.100.9:443", holder="7/curl"),
    )
    store.save(host, observed(0, text), using=using)
    found = edges.connections(now(using))
    assert (seen(found), found.unread) == ({(False, "198.51.100.8", 443, "curl"): 2}, 1)


@both_databases
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_by_folding_now_or_at_any_past_time(
    host: Host, other: Host, using: str, seed: int
) -> None:
    dice = random.Random(seed)
    played: dict[int, list[Counter[str]]] = {host.pk: [], other.pk: []}
    for minute in range(4):
        for one in (host, other):
            lines = Counter(
                inbound(f"{dice.choice(('198.51.100', '10.9.9'))}.{dice.randrange(12)}:"
                        f"{dice.randrange(40_000, 40_003)}", dice.choice((22, 80)))
                for _n in range(40)
            )  # fmt: skip
            store.save(one, observed(minute, table(LISTENER, HTTP, *lines.elements())), using=using)
            played[one.pk].append(lines)
    for minute in (0, 1.5, 3, None):
        scope = moments.scope(
            Host.objects.using(using).all(), at=None if minute is None else at(minute)
        )
        assert scope is not None
        turn = 3 if minute is None else int(minute)
        expected: Counter[int] = Counter({pk: texts[turn].total() for pk, texts in played.items()})
        for peers in ("folded", "all"):
            found = edges.connections(scope, wanted=Asked(peers=peers))  # type: ignore[arg-type]
            counted: Counter[int] = Counter()
            for row in (*found.seen, *found.bundles):
                counted[row.host_id] += row.connections
            assert counted == expected
        hidden = edges.connections(scope, wanted=Asked(peers="none")).hidden_connections
        assert hidden == expected.total()
        folded = edges.connections(scope)
        peers_of = {(one.scope, one.inbound, one.port): set[str]() for one in folded.bundles}
        for texts in played.values():
            for text in texts[turn]:
                near, far = text.split()[3:5]
                peer = far.partition(":")[0]
                where = "private" if peer.startswith("10.") else "external"
                key = (where, True, int(near.rpartition(":")[2]))
                if key in peers_of:
                    peers_of[key].add(peer)
        assert folded.crowds == {key: len(found) for key, found in peers_of.items()}


@both_databases
def test_one_statement_answers_and_reads_no_table_whole(host: Host, using: str) -> None:
    store.save(host, observed(0, table(LISTENER, HTTP, inbound("198.51.100.7:40000"))), using=using)
    scope = moments.scope(Host.objects.using(using).all(), at=at(1))
    assert scope is not None
    with CaptureQueriesContext(databases[using]) as captured:
        found = edges.connections(scope)
    assert len(captured) == 1
    assert found.seen == [
        Seen(host.pk, True, "tcp", ip("198.51.100.7"), "external", 80, "nginx", 1)
    ]
    if databases[using].vendor == "sqlite":
        with databases[using].cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {captured[0]['sql']}")
            plan = "\n".join(row[3] for row in cursor.fetchall())
        assert "SCAN probes_opensocket" not in plan
        assert "SCAN probes_closedsocket" not in plan
