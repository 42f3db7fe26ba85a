"""Ports summed over the fleet, on both databases."""

from __future__ import annotations

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import store
from probes.history.queries import across, port_holders
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, line, observed, table

SIX = line(":::22", ":::*", "LISTEN", "800/sshd", protocol="tcp6")
NAME = line("0.0.0.0:53", "0.0.0.0:*", "", "50/dnsmasq", protocol="udp")
PEER = line("10.0.0.5:22", "198.51.100.7:51000")


@pytest.fixture
def fleet(host: Host, using: str) -> list[Host]:
    """Two hosts that listen on port 22, one of them twice, and one that was never probed."""
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    Host.objects.using(using).create(name="web3", address="192.0.2.3")
    store.save(host, observed(0, table(LISTENER, SIX, PEER)), using=using)
    hidden = LISTENER.replace("800/sshd", "-")
    store.save(other, observed(0, table(hidden, NAME, PEER, PEER)), using=using)
    return [host, other]


@both_databases
def test_a_port_is_one_whatever_its_family(fleet: list[Host], using: str) -> None:
    hosts = Host.objects.using(using).all()
    assert across.listened_ports(hosts) == [
        across.PortTotal("tcp", 22, hosts=2, listeners=3, programs=["sshd"], more_programs=0),
        across.PortTotal("udp", 53, hosts=1, listeners=1, programs=["dnsmasq"], more_programs=0),
    ]


@both_databases
def test_only_some_programs_are_named(host: Host, using: str) -> None:
    names = [line(f"10.0.0.{n}:80", "0.0.0.0:*", "LISTEN", f"{n}/p{n}") for n in range(1, 6)]
    store.save(host, observed(0, table(*names)), using=using)
    (total,) = across.listened_ports(Host.objects.using(using).all())
    assert total.programs == ["p1", "p2", "p3"]
    assert total.more_programs == 2


@both_databases
def test_two_queries_for_any_number_of_hosts(fleet: list[Host], using: str) -> None:
    hosts = Host.objects.using(using).all()
    with CaptureQueriesContext(connections[using]) as made:
        across.listened_ports(hosts)
    assert len(made) == 2


@both_databases
def test_the_past_is_what_each_host_listened_on_then(fleet: list[Host], using: str) -> None:
    hosts = Host.objects.using(using).all()
    other = fleet[1]
    late = line("0.0.0.0:81", "0.0.0.0:*", "LISTEN", "5/late")
    store.save(other, observed(5, table(late)), using=using)
    ports = [row.port for row in across.listened_ports(hosts)]
    assert ports == [22, 81]
    then = across.listened_ports(hosts, at=at(4))
    assert [(row.port, row.hosts) for row in then] == [(22, 2), (53, 1)]
    assert across.listened_ports(hosts, at=at(-1)) == []
    assert [row.local_port for row in port_holders(hosts, 53, at=at(4))] == [53]
    assert port_holders(hosts, 53) == []
    assert port_holders(hosts, 81, at=at(4)) == []


@both_databases
def test_a_text_finds_any_program_of_a_port(host: Host, using: str) -> None:
    names = [line(f"10.0.0.{n}:80", "0.0.0.0:*", "LISTEN", f"{n}/p{n}") for n in range(1, 6)]
    store.save(host, observed(0, table(LISTENER, *names)), using=using)
    hosts = Host.objects.using(using).all()
    assert [row.port for row in across.listened_ports(hosts, text=" P5")] == [80]
    assert [row.port for row in across.listened_ports(hosts, text="2")] == [22, 80]
    assert across.listened_ports(hosts, text="p6") == []
