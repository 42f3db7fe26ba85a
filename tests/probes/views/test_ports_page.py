"""Who holds a port, on all hosts one may see; and which ports are listened on at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.models import Snapshot
from probes.views.moment import stamp
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
        "22 tcp ssh 2 2 sshd",
        "53 udp domain 1 1 dnsmasq",
        "80 tcp http 2 2 haproxy, nginx",
        "5432 tcp postgresql 1 1 postgres",
    ]
    assert rows(page(viewer, "/ports/?proto=udp")) == ["53 udp domain 1 1 dnsmasq"]
    assert rows(page(viewer, "/ports/?q=postg")) == ["5432 tcp postgresql 1 1 postgres"]


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


def newest(host: Host) -> str:
    """The time of its newest probe, as in links."""
    return stamp(Snapshot.objects.filter(host=host).latest("taken_at").taken_at)


def test_a_past_time_shows_who_held_a_port_then_and_every_link_keeps_it(
    viewer: Client, page: Page, host: Host, other: Host
) -> None:
    when = newest(other)
    fleet.seen(other, 0, line("0.0.0.0:8081", "0.0.0.0:*", "LISTEN", "77/new"))
    assert [row.split()[0] for row in rows(page(viewer, "/ports/?port=80"))] == ["web1"]
    assert any(row.startswith("8081 tcp") for row in rows(page(viewer, "/ports/")))
    then = f"at={quote(when)}"
    html = page(viewer, f"/ports/?{then}")
    assert any(row.startswith("53 udp") for row in rows(html))
    assert not any(row.startswith("8081") for row in rows(html))
    assert "Back to now" in html
    found = re.findall(r'href="(\?port=80&[^"]*)"', html)
    assert found
    assert all(parse_qs(unescape(link)[1:])["at"] == [when] for link in found)
    (exposure,) = set(re.findall(r'href="(/exposure/[^"]*)" *>', html))
    assert parse_qs(urlsplit(unescape(exposure)).query)["at"] == [when]
    html = page(viewer, f"/ports/?port=80&{then}")
    assert [row.split()[0] for row in rows(html)] == ["web1", "web2"]
    assert f"/hosts/{other.pk}/ports/?at={quote(when)}" in html
    asked = {"port": "80", "at": when}
    listed = viewer.get("/api/v1/ports", asked).json()["data"]["ports"]
    assert [row["host"]["name"] for row in listed] == ["web1", "web2"]


def test_pages_of_a_past_time_lead_to_the_ports_of_that_time(
    viewer: Client, page: Page, host: Host, other: Host
) -> None:
    when = newest(other)
    fleet.seen(other, 0, LISTENER)
    for path in (
        f"/hosts/{other.pk}/?",
        f"/hosts/{other.pk}/ports/?",
        f"/hosts/{other.pk}/history/?span=86400&",
        f"/compare/?a={host.pk}&b={other.pk}&show=all&",
        "/exposure/?",
        "/report/?",
        "/statistics/?by=ports&",
        "/map/?peers=all&",
    ):
        html = page(viewer, f"{path}at={quote(when)}")
        found = [unescape(link) for link in re.findall(r'href="(/ports/\?[^"]*)"', html)]
        assert found, path
        assert all("at" in parse_qs(urlsplit(link).query) for link in found), (path, found)
    html = page(viewer, f"/statistics/?host={other.pk}&at={quote(when)}")
    assert f"/report/?host={other.pk}&amp;at={quote(when)}" in html


def test_what_a_diff_says_is_gone_leads_to_the_time_before(
    viewer: Client, page: Page, other: Host
) -> None:
    when = newest(other)
    fleet.seen(other, 0, LISTENER, line("0.0.0.0:8081", "0.0.0.0:*", "LISTEN", "77/new"))
    html = page(viewer, f"/hosts/{other.pk}/diff/")
    assert f"/ports/?port=80&amp;at={quote(when)}" in html
    assert 'href="/ports/?port=8081"' in html


def test_the_list_of_all_ports_is_csv_and_json_as_filtered(
    viewer: Client, page: Page, host: Host, other: Host
) -> None:
    html = page(viewer, "/ports/?q=nginx")
    (row,) = csv_of(viewer, csv_link(html))
    assert (row["port"], row["protocol"], row["hosts"]) == ("80", "tcp", "2")
    assert "nginx" in row["programs"]
    assert "<code>format</code>" in page(viewer, "/ports/?format=pdf", 400)
    data = viewer.get("/api/v1/ports", {"q": "nginx"}).json()["data"]
    assert [(row["port"], row["programs"]) for row in data["ports"]] == [(80, ["haproxy", "nginx"])]
    every = viewer.get("/api/v1/ports").json()["data"]
    assert (every["total"], [row["port"] for row in every["ports"]]) == (4, [22, 53, 80, 5432])
    assert len(csv_of(viewer, "/api/v1/ports?format=csv&limit=1")) == 4
    assert viewer.get("/api/v1/ports", {"q": "nginx", "port": "80"}).status_code == 400
