"""Who holds a port, on all hosts one may see; and which ports are listened on at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet
from tests.probes.views.test_host_page import rows
from tests.probes.views.test_host_tabs import csv_link, csv_of

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(host: Host) -> Host:
    """A second host with the same SSH port and a proxy on 80."""
    made = Host.objects.create(name="web2", address="192.0.2.2")
    proxy = line("192.0.2.2:80", "0.0.0.0:*", "LISTEN", "44/haproxy")
    name = line("0.0.0.0:53", "0.0.0.0:*", "", "50/dnsmasq", protocol="udp")
    fleet.seen(made, 5, LISTENER, proxy, name)
    return made


def test_every_holder_of_a_port_is_named(
    viewer: Client, page: Page, host: Host, other: Host
) -> None:
    html = page(viewer, "/ports/?port=80")
    listed = rows(html)
    assert listed[0].startswith("web1 tcp nginx 900 0.0.0.0 every network 2 ")
    assert listed[1].startswith("web2 tcp haproxy 44 192.0.2.2 a public address 0 ")
    assert "held on 2 hosts" in html
    assert [row["program"] for row in csv_of(viewer, csv_link(html))] == ["nginx", "haproxy"]


def test_a_free_port_is_said_to_be_free(viewer: Client, page: Page, host: Host) -> None:
    assert "Nobody holds port 81" in page(viewer, "/ports/?port=81")


def test_the_protocol_narrows(viewer: Client, page: Page, host: Host, other: Host) -> None:
    assert len(rows(page(viewer, "/ports/?port=53&proto=udp"))) == 1
    assert rows(page(viewer, "/ports/?port=53&proto=tcp")) == []


def test_all_ports_are_counted_over_the_hosts(
    viewer: Client, page: Page, host: Host, other: Host
) -> None:
    assert rows(page(viewer, "/ports/")) == [
        "22 tcp 2 2 sshd",
        "53 udp 1 1 dnsmasq",
        "80 tcp 2 2 haproxy, nginx",
        "5432 tcp 1 1 postgres",
    ]
    assert rows(page(viewer, "/ports/?proto=udp")) == ["53 udp 1 1 dnsmasq"]
    assert rows(page(viewer, "/ports/?q=postg")) == ["5432 tcp 1 1 postgres"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("port=0", "port"),
        ("port=65536", "port"),
        ("port=-1", "port"),
        ("port=http", "port"),
        ("port=%EF%BC%92%EF%BC%92", "port"),
        ("port=0x16", "port"),
        ("port=1_0", "port"),
        ("port=" + "9" * 400, "port"),
        ("port=80&proto=icmp", "proto"),
    ],
)
def test_a_bad_port_is_named(
    viewer: Client, page: Page, host: Host, query: str, field: str
) -> None:
    html = page(viewer, f"/ports/?{query}", 400)
    assert f"<code>{field}</code>" in html


def test_hosts_outside_the_groups_hold_nothing(page: Page, host: Host, other: Host) -> None:
    group = HostGroup.objects.create(name="mine")
    host.groups.add(group)
    limited = browser_of(person("limited", Role.VIEWER, groups=[group]))
    assert len(rows(page(limited, "/ports/?port=80"))) == 1
    assert "dnsmasq" not in page(limited, "/ports/")
    nobody = browser_of(
        person("nobody", Role.VIEWER, groups=[HostGroup.objects.create(name="none")])
    )
    assert rows(page(nobody, "/ports/")) == []
    assert rows(page(nobody, "/ports/?port=80")) == []


def test_hostile_programs_are_text(viewer: Client, page: Page, host: Host) -> None:
    fleet.seen(host, 1, line("0.0.0.0:81", "0.0.0.0:*", "LISTEN", "5/<script>alert(1)</script>"))
    for address in ("/ports/", "/ports/?port=81"):
        html = page(viewer, address)
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html
