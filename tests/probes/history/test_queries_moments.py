"""Many hosts at one time of the past are each what their own newest whole snapshot showed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.filters import NOTHING_FILTERED
from probes.history import store
from probes.history.queries import moments, sql
from probes.history.queries.sql import Scope
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, failed, line, observed, table

PEERS = [line("10.0.0.5:80", f"198.51.100.{peer}:40000", holder="9/nginx") for peer in range(6)]


@pytest.fixture
def hosts(host: Host, using: str) -> list[Host]:
    """Three hosts."""
    names = ("web2", "web3")
    return [
        host,
        *(Host.objects.using(using).create(name=name, address="192.0.2.2") for name in names),
    ]


def read(scope: Scope) -> Counter[tuple[int, int | None, bytes]]:
    """How often each host had which port and peer."""
    statement = sql.sockets(scope, ("host_id", "local_port", "remote_ip", "copies"),
                            NOTHING_FILTERED)  # fmt: skip
    counted: Counter[tuple[int, int | None, bytes]] = Counter()
    for host_id, port, ip, copies in sql.fetch(scope, statement):
        counted[host_id, port, bytes(ip)] += copies
    return counted


@both_databases
@pytest.mark.parametrize("seed", range(5))
def test_each_host_is_read_back_as_it_was_then(hosts: list[Host], using: str, seed: int) -> None:
    dice = random.Random(seed)
    played: dict[int, list[tuple[float, list[str]]]] = {host.pk: [] for host in hosts}
    for minute in range(8):
        for place, host in enumerate(hosts):
            if dice.random() < 0.3:
                continue  # some hosts are probed less often than others
            when = minute + place / 10
            if dice.random() < 0.2:
                store.save(host, failed(when), using=using)
                continue
            lines = [LISTENER, *dice.choices(PEERS, k=dice.randrange(5))]
            store.save(host, observed(when, table(*lines)), using=using)
            played[host.pk].append((when, lines))
    for minute in (-1.0, 0.05, 2.15, 3.0, 5.5, 9.0):
        found = moments.scope(Host.objects.using(using).all(), at=at(minute))
        assert found is not None
        expected: Counter[tuple[int, int | None, bytes]] = Counter()
        for host in hosts:
            seen = [lines for when, lines in played[host.pk] if when <= minute]
            for one in seen[-1] if seen else []:
                peer = one.split()[4].rpartition(":")[0]
                packed = bytes(10) + b"\xff\xff" + bytes(map(int, peer.split(".")))
                expected[host.pk, 22 if one is LISTENER else 80, packed] += 1
        assert read(found) == expected


@both_databases
def test_a_host_is_not_there_before_its_first_whole_probe(hosts: list[Host], using: str) -> None:
    store.save(hosts[0], failed(0), using=using)
    store.save(hosts[0], observed(1, table(LISTENER)), using=using)
    ids = tuple(host.pk for host in hosts)
    assert moments.moments(using, ids, at(0.5)) == ()
    assert moments.moments(using, ids, at(5)) == ((hosts[0].pk, at(1)),)


@both_databases
def test_any_number_of_hosts_costs_two_queries(hosts: list[Host], using: str) -> None:
    for host in hosts:
        store.save(host, observed(0, table(LISTENER)), using=using)
    with CaptureQueriesContext(connections[using]) as queries:
        assert moments.scope(Host.objects.using(using).all(), at=at(1)) is not None
    assert len(queries) == 2
