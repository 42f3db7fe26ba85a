"""The busiest interfaces over many hosts: two samples and a subtraction, on both databases."""

from __future__ import annotations

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.filters import FilterError
from probes.history import tables
from probes.history.queries import busiest
from tests.databases import both_databases
from tests.probes.history.played import at
from tests.probes.history.tabled import interface, interfaces, seen


@pytest.fixture
def hosts(host: Host, using: str) -> list[Host]:
    """web1 with three samples, db1 with two, new1 with one."""
    others = [
        Host.objects.using(using).create(name=name, address="192.0.2.2") for name in ("db1", "new1")
    ]
    for minute, received in ((0, 0), (10, 600_000), (20, 6_600_000)):
        cards = interfaces(
            interface("eth0", received, received // 10), interface("lo", received, 9)
        )
        tables.save(host, seen(minute, cards), using=using)
    for minute, received in ((0, 0), (10, 1_200_000)):
        cards = interfaces(interface("eth0", received, 0), interface("lo0x", 0, received // 100))
        tables.save(others[0], seen(minute, cards), using=using)
    tables.save(others[1], seen(5, interfaces(interface("eth0", 5, 5))), using=using)
    return [host, *others]


def told(rows: list[busiest.BusyInterface]) -> list[tuple[str, str, float | None, float | None]]:
    return [
        (row.host.name, row.interface, row.rates["rx_bytes"], row.rates["tx_bytes"]) for row in rows
    ]


@both_databases
def test_the_busiest_come_first_each_from_its_newest_two_samples(
    hosts: list[Host], using: str
) -> None:
    everything = Host.objects.using(using).all()
    with CaptureQueriesContext(connections[using]) as captured:
        rows = busiest.interfaces(everything)
    assert told(rows) == [
        ("web1", "eth0", 10_000.0, 1_000.0),
        ("db1", "eth0", 2_000.0, 0.0),
        ("db1", "lo0x", 0.0, 20.0),
    ]
    assert {row.over_s for row in rows} == {600.0}
    assert [row.taken_at for row in rows] == [at(20), at(10), at(10)]
    assert len(captured) == 2
    assert len(busiest.interfaces(everything, limit=1)) == 1
    by_sent = busiest.interfaces(everything, sort="tx_bytes")
    assert [(row.host.name, row.interface) for row in by_sent][:2] == [
        ("web1", "eth0"),
        ("db1", "lo0x"),
    ]


@both_databases
def test_a_past_time_has_the_two_samples_before_it(hosts: list[Host], using: str) -> None:
    everything = Host.objects.using(using).all()
    rows = busiest.interfaces(everything, at=at(12))
    assert told(rows)[:2] == [("db1", "eth0", 2_000.0, 0.0), ("web1", "eth0", 1_000.0, 100.0)]
    assert busiest.interfaces(everything, at=at(5)) == []
    assert busiest.interfaces(everything.none()) == []


@both_databases
def test_an_order_that_is_none_is_named(hosts: list[Host], using: str) -> None:
    with pytest.raises(FilterError) as refused:
        busiest.interfaces(Host.objects.using(using).all(), sort="-bytes")
    assert refused.value.field == "sort"
