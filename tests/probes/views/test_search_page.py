"""The search behind the box of every page: hosts, listeners, peers, history, PIDs, alerts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes import search
from probes.history.queries import found_now
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db: None) -> object:
    return person("vera", Role.VIEWER)


@pytest.mark.parametrize("text", ["web1", "WEB1", " web1 "])
def test_the_exact_name_of_a_host_leads_to_it(viewer: Client, host: Host, text: str) -> None:
    response = viewer.get("/search/", {"q": text})
    assert (response.status_code, response["Location"]) == (302, f"/hosts/{host.pk}/")


def test_a_name_that_may_be_something_else_leads_nowhere(viewer: Client, host: Host) -> None:
    for name in ("8080", "192.0.2.1"):
        Host.objects.create(name=name, address="192.0.2.7")
        assert viewer.get("/search/", {"q": name}).status_code == 200


@pytest.mark.parametrize("text", ["", "   ", "\0"])
def test_nothing_asked_says_what_may_be(viewer: Client, page: Page, text: str) -> None:
    response = viewer.get("/search/", {"q": text})
    assert response.status_code == 200
    assert "What are you looking for?" in response.content.decode()


def test_an_address_finds_hosts_peers_now_and_history(user: object, host: Host) -> None:
    found = search.find(user, "198.51.100.3")  # type: ignore[arg-type]
    assert found.now is not None
    assert found.history is not None
    assert (found.now.total, found.history.total, found.listeners, found.pids) == (0, 1, None, None)
    assert found.history.rows[0].last_seen is not None
    found = search.find(user, "203.0.113.0/24")  # type: ignore[arg-type]
    assert found.now is not None
    assert [(row.host.name, row.connections) for row in found.now.rows] == [("web1", 2)]
    assert [row.name for row in search.find(user, "192.0.2.1").hosts.rows] == ["web1"]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["80", ":80", "port 80", "80/tcp"])
def test_a_port_finds_who_listens_who_uses_it_and_who_did(
    user: object, host: Host, text: str
) -> None:
    found = search.find(user, text)  # type: ignore[arg-type]
    assert found.listeners is not None
    assert found.now is not None
    assert found.history is not None
    assert [(row.host.name, row.listeners) for row in found.listeners.rows] == [("web1", 1)]
    assert [row.connections for row in found.now.rows] == [2]
    assert found.history.rows[0].intervals == 4


def test_a_program_finds_where_it_runs_and_ran(user: object, host: Host) -> None:
    found = search.find(user, "NGIN")  # type: ignore[arg-type]
    assert found.listeners is not None
    assert found.history is not None
    assert found.listeners.rows[0].programs == ["nginx"]
    assert found.history.rows[0].programs == ("nginx",)


@pytest.mark.parametrize("text", ["900", "pid 900", "pid:900", "PID=900"])
def test_a_number_finds_the_process(user: object, host: Host, text: str) -> None:
    found = search.find(user, text)  # type: ignore[arg-type]
    assert found.pids is not None
    assert [(row.host.name, row.socket.program) for row in found.pids.rows] == [("web1", "nginx")]
    assert found.looked_through == (1, 0)


def test_hosts_with_more_sockets_than_are_looked_through_are_said(
    viewer: Client, page: Page, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Host.objects.create(name="small", address="192.0.2.3")
    fleet.seen(small, 1, line("0.0.0.0:9", "0.0.0.0:*", "LISTEN", "900/other"))
    monkeypatch.setattr(found_now, "MOST_LOOKED_THROUGH", 2)
    html = page(viewer, "/search/?q=pid+900")
    assert "other" in html
    assert "1 host was looked through. 1 host with many sockets was not" in html


def test_a_group_and_part_of_a_name_find_hosts(user: object, host: Host) -> None:
    HostGroup.objects.create(name="frontends").hosts.add(host)
    for text in ("frontends", "eb", "192.0.2"):
        assert [row.name for row in search.find(user, text).hosts.rows] == ["web1"]  # type: ignore[arg-type]


def test_each_kind_shows_ten_and_counts_all(viewer: Client, page: Page, host: Host) -> None:
    for number in range(14):
        other = Host.objects.create(name=f"node{number}", address="192.0.2.7")
        fleet.seen(other, 1, LISTENER)
    found = search.find(person("x", Role.VIEWER), "node")
    assert (len(found.hosts.rows), found.hosts.total) == (10, 14)
    html = page(viewer, "/search/?q=22")
    assert "listening on 15 hosts" in html
    assert 'href="/ports/?port=22"' in html
    assert 'href="/hunt/?port=22"' in html


@pytest.mark.parametrize(
    "text",
    ["２２", "<script>alert(1)</script>", "a\0b", "x" * 999, "10.0.0.0/255.0.0.0", "%", "_", "\\",
     "9" * 150, "65536", ":0", "::1/64%a", "port", "pid", "'; DROP", "program:", "#", "é"],
)  # fmt: skip
def test_no_text_breaks_it(viewer: Client, host: Host, text: str) -> None:
    response = viewer.get("/search/", {"q": text})
    assert response.status_code == 200
    assert "<script>alert" not in response.content.decode()


def test_what_one_may_not_see_is_not_found(page: Page, host: Host) -> None:
    group = HostGroup.objects.create(name="none")
    limited = browser_of(person("limited", Role.VIEWER, groups=[group]))
    for text in ("web1", "203.0.113.9", "80", "nginx", "pid 900", "192.0.2.1"):
        html = page(limited, f"/search/?q={text.replace(' ', '+')}")
        assert "Nothing found" in html
        assert f"/hosts/{host.pk}/" not in html


def test_a_removed_host_is_found_in_history_alone(viewer: Client, page: Page, host: Host) -> None:
    Host.objects.update(removed_at=timezone.now())
    html = page(viewer, "/search/?q=203.0.113.9")
    assert "removed</span>" in html
    assert html.count(f'href="/hosts/{host.pk}/"') == 1, "what is kept of it can be read"
    assert "Connected now" not in html
