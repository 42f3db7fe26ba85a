"""The search box: a port, a host, an IP or part of a name lead to the page that answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


def leads_to(client: Client, text: str) -> str:
    response = client.get("/go/", {"q": text})
    assert response.status_code == 302, response.content[:500]
    return response["Location"]


def test_a_number_leads_to_the_port(viewer: Client, host: Host) -> None:
    assert leads_to(viewer, "8080") == "/ports/?port=8080"
    assert leads_to(viewer, " :22 ") == "/ports/?port=22"


@pytest.mark.parametrize("text", ["web1", "WEB1", "192.0.2.1", "eb1"])
def test_a_name_or_address_leads_to_the_host(viewer: Client, host: Host, text: str) -> None:
    assert leads_to(viewer, text) == f"/hosts/{host.pk}/"


def test_a_peer_of_one_host_leads_to_its_connections(viewer: Client, host: Host) -> None:
    assert leads_to(viewer, "203.0.113.9") == f"/hosts/{host.pk}/?remote_ip=203.0.113.9"


def test_a_peer_of_several_hosts_lists_them(viewer: Client, page: Page, host: Host) -> None:
    other = Host.objects.create(name="web2", address="192.0.2.2")
    fleet.seen(other, 5, LISTENER, fleet.NEW_PEER)
    html = page(viewer, "/go/?q=203.0.113.0/24")
    assert html.index("web1") < html.index("web2"), "most connections first"
    assert f'href="/hosts/{other.pk}/?remote_ip=203.0.113.0%2F24"' in html


def test_an_address_nobody_is_connected_with_is_said(
    viewer: Client, page: Page, host: Host
) -> None:
    assert "No host is connected with it now" in page(viewer, "/go/?q=203.0.113.77")


@pytest.mark.parametrize("text", ["", "  "])
def test_nothing_leads_to_the_overview(viewer: Client, host: Host, text: str) -> None:
    assert leads_to(viewer, text) == "/"


@pytest.mark.parametrize(
    "text",
    ["web", "２２", "<script>", "a\0b", "x" * 999, "10.0.0.0/255.0.0.0", "::1/64%a"],
)
def test_anything_else_is_looked_for_in_the_overview(viewer: Client, host: Host, text: str) -> None:
    Host.objects.create(name="web2", address="192.0.2.2")
    assert leads_to(viewer, text).startswith("/?q=")
    assert viewer.get("/go/", {"q": text}, follow=True).status_code == 200


@pytest.mark.parametrize("text", [":0", "65536", ":99999", "9" * 150])
def test_a_number_that_is_no_port_is_told_which_are(viewer: Client, host: Host, text: str) -> None:
    assert leads_to(viewer, text).startswith("/ports/?port=")
    response = viewer.get("/go/", {"q": text}, follow=True)
    assert response.status_code == 400
    assert "Give a port from 1 to 65535." in response.content.decode()


def test_a_number_that_is_no_port_may_be_part_of_names(viewer: Client, host: Host) -> None:
    Host.objects.create(name="node-70000", address="192.0.2.2")
    assert leads_to(viewer, "70000").startswith("/hosts/")
    Host.objects.create(name="node-70000b", address="192.0.2.3")
    assert leads_to(viewer, "70000") == "/?q=70000"


def test_what_one_may_not_see_is_not_found(page: Page, host: Host) -> None:
    group = HostGroup.objects.create(name="none")
    limited = browser_of(person("limited", Role.VIEWER, groups=[group]))
    assert leads_to(limited, "web1") == "/?q=web1"
    assert "No host is connected with it now" in page(limited, "/go/?q=203.0.113.9")
