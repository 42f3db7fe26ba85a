"""How many queries each page may make, whatever it shows.

The budgets are what the pages need today, session and rights included; a page that asks per row
breaks them at once, since the site below has many rows of everything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from probes.history import tables
from probes.models import RestartCommand, Service, Snapshot
from probes.observation import Code
from tests.probes.history import tabled
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

Budget = Callable[[int], AbstractContextManager[object]]

SIGNED_IN = 5
"""Session, user, access, the scheduler's heartbeat, and how many alerts are open."""


@pytest.fixture
def big(host: Host) -> Host:
    """web1 with many sockets, among many hosts of several groups and conditions."""
    groups = [HostGroup.objects.create(name=f"group {n}") for n in range(5)]
    for n in range(40):
        other = Host.objects.create(name=f"h{n}", address=f"h{n}")
        other.groups.add(groups[n % 5], groups[(n + 1) % 5])
        fleet.seen(other, 90, LISTENER)
        if n % 3:
            fleet.failed(other, 30, Code.TIMED_OUT)
    peers = [line("192.0.2.1:80", f"198.51.100.{n % 250}:{20_000 + n}") for n in range(300)]
    ports = [line(f"0.0.0.0:{n}", "0.0.0.0:*", "LISTEN", "9/x") for n in range(10_000, 10_100)]
    fleet.seen(host, 1, LISTENER, "an odd line", *peers, *ports)
    veths = [tabled.interface(f"veth{n}", n * 1_000, n) for n in range(150)]
    groups_joined = [("eth0", f"224.0.1.{n}") for n in range(150)]
    routes = [(f"10.{n}.0.0", "192.0.2.254", "255.255.0.0", "UG", "eth0") for n in range(150)]
    for minute in (0, 10):
        tables.save(
            host,
            tabled.seen(
                minute,
                tabled.routes(*routes),
                tabled.interfaces(*veths),
                tabled.protocols(**{f"TcpCounter{n}": n for n in range(150)}),
                tabled.multicast(*groups_joined),
            ),
        )
    return host


@pytest.mark.parametrize(
    ("address", "queries"),
    [
        # hosts and their groups, those of the page with bars and alerts, groups to choose, changes;
        # for both, newest whole probes where the newest is none
        ("/", 10),
        ("/?sort=-sockets&status=bad", 10),
        # host, its alerts, slider, neighbours, rows, how many, names; listeners, failures, alerts
        ("/hosts/{host}/", 10),
        ("/hosts/{host}/?state=ESTABLISHED&sort=-first_seen", 10),
        ("/hosts/{host}/?span=all&by=changes", 11),  # and the first probe there is
        ("/hosts/{host}/ports/", 8),  # and what was tried from here
        ("/hosts/{host}/peers/", 8),
        ("/hosts/{host}/states/", 5),
        ("/hosts/{host}/network/", 5),  # host, how it went, the table, slider
        ("/hosts/{host}/network/?table=interfaces", 6),
        ("/hosts/{host}/network/?table=protocols", 5),
        ("/hosts/{host}/network/?table=multicast", 5),
        ("/hosts/{host}/history/", 6),  # host, newest, how much there is, rows, steps
        ("/hosts/{host}/history/?remote_ip=198.51.100.0/24&sort=-duration", 6),
        ("/hosts/{host}/diff/", 5),  # host, the probe before, rows, how many
        ("/hosts/{host}/diff/?what=connections&kind=opened&state=ESTABLISHED", 5),
        ("/compare/", 1),
        ("/compare/?a={host}&b={other}&show=all", 15),
        ("/hosts/{host}/probes/", 4),
        ("/hosts/{host}/live/", 5),  # host, rows, how many, names of addresses
        ("/snapshots/{snapshot}/", 5),
        ("/report/", 66),  # as many for any number of hosts: see tests/probes/test_report.py
        ("/report/?host={host}", 66),
        ("/report/mailings/", 3),
        ("/ports/", 7),  # hosts, sums, programs, and what the bar chooses from
        ("/findings/", 7),  # scope, counts, queues, hosts, and what the bar chooses from
        ("/ports/?port=22", 8),
        ("/statistics/", 11),  # hosts, four sums, names, how fresh, hosts and groups to choose
        ("/statistics/?by=ports", 9),
        ("/statistics/?by=states", 6),
        ("/statistics/?by=common", 9),
        ("/statistics/?by=list&at=2100-01-01", 9),
        ("/statistics/?by=traffic&host={host}", 8),
        ("/exposure/", 14),  # hosts, listeners, clients; of the page: ages, peers, names, results
        ("/exposure/?host={host}&since=24h", 14),
        ("/exposure/?show=gone", 14),
        # hosts, their groups, interfaces and connections; the bar's hosts and groups, how new
        ("/map/", 10),  # with names of addresses
        ("/map/?nodes=groups&peers=all&q=web", 10),
        # hosts twice (now, all) and those found, sockets now and in history, hosts by name, hunts,
        # alerts
        ("/search/?q=198.51.100.0/24", 9),
        ("/search/?q=80", 11),  # and hosts and sockets by PID
        ("/search/?q=nginx", 14),  # and a host of that name, and the names of programs, twice
        ("/hunt/", 2),  # groups, any host
        ("/hunt/?ip=198.51.100.7", 9),  # hosts twice, sums; hosts, open and closed rows, names
        ("/hunt/?program=nginx", 13),
        ("/hunts/", 2),
        ("/alerts/", 6),  # how many, rows, hosts, groups, rules and hunts to choose
        ("/alerts/?state=all&q=nginx&sort=severity", 8),  # and windows
        ("/peers/", 4),  # watches, how many, rows, their hosts
        # how many, rows, hosts and groups to choose
        ("/changes/", 4),
        ("/changes/?program=nginx&port=80,443&range=system&sort=host", 4),
        ("/rules/", 3),  # rules, hosts above them, what is other for whom
        ("/rules/ports/", 3),  # policies, the site's; groups and hosts are for administrators
        # host, its alerts; policies, their groups, limits thrice, ports, groups, since, changes
        ("/hosts/{host}/watch/", 17),
        # services, schedules, listeners, watched ports, restarts twice, alerts; groups to choose
        ("/services/", 9),
        # the same of one; who would be cut off, what stands against it, what is under way, history
        ("/services/{service}/", 19),
        ("/silences/", 3),  # how many, rows, groups to choose
        ("/activity/", 7),  # changes, acknowledgements, snoozes, windows, restarts; choices
    ],
)
def test_a_page_keeps_to_its_budget(
    operator: Client,
    big: Host,
    django_assert_max_num_queries: Budget,
    address: str,
    queries: int,
) -> None:
    snapshot = Snapshot.objects.filter(host=big).latest("taken_at")
    other = Host.objects.get(name="h1")
    command = RestartCommand.objects.create(name="nginx", argv=["true"])
    services = [
        Service.objects.create(name=f"s{n}", host=big, port=10_000 + n, command=command)
        for n in range(20)
    ]
    service = services[0].pk
    address = address.format(host=big.pk, snapshot=snapshot.pk, other=other.pk, service=service)
    operator.get(address)  # the first page that shows an address notes it, to be asked for its name
    with django_assert_max_num_queries(SIGNED_IN + queries):
        response = operator.get(address, follow=False)
    assert response.status_code in (200, 302)


def test_the_past_costs_the_same_however_long_ago(
    operator: Client, big: Host, django_assert_max_num_queries: Budget
) -> None:
    first = Snapshot.objects.filter(host=big).earliest("taken_at")
    operator.get(f"/hosts/{big.pk}/", {"at": first.taken_at.isoformat()})
    with django_assert_max_num_queries(SIGNED_IN + 11):
        response = operator.get(f"/hosts/{big.pk}/", {"at": first.taken_at.isoformat()})
    assert response.status_code == 200


def test_polling_an_unchanged_host_is_nearly_free(
    operator: Client, big: Host, django_assert_max_num_queries: Budget
) -> None:
    known = Snapshot.objects.filter(host=big).latest("taken_at").pk
    with django_assert_max_num_queries(SIGNED_IN):
        response = operator.get(
            f"/hosts/{big.pk}/", {"known": known}, headers={"HX-Request": "true"}
        )
    assert response.status_code == 204
