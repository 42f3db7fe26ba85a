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
from probes.models import Snapshot
from probes.observation import Code
from tests.probes.history import tabled
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

Budget = Callable[[int], AbstractContextManager[object]]

SIGNED_IN = 4
"""Session, user, access, and the scheduler's heartbeat."""


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
        ("/", 6),  # hosts and their groups, those of the page with bars, groups to choose
        ("/?sort=-sockets&status=bad", 6),
        ("/hosts/{host}/", 4),  # host, slider, rows, how many
        ("/hosts/{host}/?state=ESTABLISHED&sort=-first_seen", 4),
        ("/hosts/{host}/ports/", 4),
        ("/hosts/{host}/peers/", 6),
        ("/hosts/{host}/states/", 2),
        ("/hosts/{host}/network/", 4),  # host, how it went, the table, slider
        ("/hosts/{host}/network/?table=interfaces", 5),
        ("/hosts/{host}/network/?table=protocols", 4),
        ("/hosts/{host}/network/?table=multicast", 4),
        ("/hosts/{host}/probes/", 3),
        ("/snapshots/{snapshot}/", 5),
        ("/ports/", 3),
        ("/ports/?port=22", 3),
        ("/go/?q=198.51.100.0/24", 3),
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
    with django_assert_max_num_queries(SIGNED_IN + queries):
        response = operator.get(address.format(host=big.pk, snapshot=snapshot.pk), follow=False)
    assert response.status_code in (200, 302)


def test_the_past_costs_the_same_however_long_ago(
    operator: Client, big: Host, django_assert_max_num_queries: Budget
) -> None:
    first = Snapshot.objects.filter(host=big).earliest("taken_at")
    with django_assert_max_num_queries(SIGNED_IN + 6):
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
