"""The map's page: the table that stands for the picture, its filters, and what the script gets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes import connection_map
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]

HTTP = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/nginx")
QUERY = line("10.7.0.1:41000", "10.7.0.2:5432", "ESTABLISHED", "7/gunicorn")
STRANGERS = [line("10.7.0.1:80", f"203.0.113.{n}:4000", holder="9/nginx") for n in range(1, 6)]


@pytest.fixture
def pair(db: None) -> dict[str, Host]:
    """front (web) talks to back (data) and with five strangers."""
    hosts = {}
    for name, address, group in (("front", "10.7.0.1", "web"), ("back", "10.7.0.2", "data")):
        hosts[name] = Host.objects.create(name=name, address=address)
        hosts[name].groups.add(HostGroup.objects.create(name=group))
    fleet.seen(hosts["front"], 300, LISTENER, HTTP, QUERY)
    fleet.seen(hosts["front"], 60, LISTENER, HTTP, QUERY, *STRANGERS)
    fleet.seen(hosts["back"], 300, line("10.7.0.2:5432", "0.0.0.0:*", "LISTEN", "8/postgres"))
    return hosts


SEEN_BY_CLIENT = "the client"


def rows(html: str) -> list[list[str]]:
    """The words in each cell of the table of edges."""
    table = html.partition("data-map-table")[2].partition("</table>")[0]
    return [
        [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    ]


def picture(html: str) -> Any:
    found = re.search(r'<script id="map-data" type="application/json">(.*?)</script>', html)
    assert found is not None
    return json.loads(found[1])


def test_each_edge_is_a_row(viewer: Client, pair: dict[str, Host], page: Page) -> None:
    html = page(viewer, "/map/")
    assert rows(html) == [
        ["5 public clients, :80", "front web", "80 tcp", "nginx", "5", "the server"],
        ["front web", "back data", "5432 tcp", "gunicorn", "1", SEEN_BY_CLIENT],
    ]
    front = pair["front"].pk
    assert f'href="/hosts/{front}/?direction=out&amp;proto=tcp&amp;remote_port=5432' in html
    assert "remote_ip=10.7.0.2" in html
    assert "format=csv" in html


def test_the_picture_is_of_the_same_edges(
    viewer: Client, pair: dict[str, Host], page: Page
) -> None:
    html = page(viewer, "/map/")
    drawn = picture(html)
    names = [node["name"] for node in drawn["nodes"]]
    edges = [(names[edge[0]], names[edge[1]], edge[3], edge[4]) for edge in drawn["edges"]]
    assert edges == [("5 public clients, :80", "front", 80, 5), ("front", "back", 5432, 1)]
    assert drawn["edges"][1][9] == "10.7.0.2"


def test_a_past_time_shows_what_was_and_links_there(
    viewer: Client, pair: dict[str, Host], page: Page
) -> None:
    at = (fleet.timezone.now() - fleet.dt.timedelta(seconds=200)).isoformat()
    html = page(viewer, f"/map/?at={at.replace('+', '%2B')}")
    assert [row[:2] for row in rows(html)] == [["front web", "back data"]]
    assert re.search(rf'href="/hosts/{pair["front"].pk}/\?at=20[^"]+"', html)
    assert "No connections known at this time" in page(viewer, "/map/?at=2001-01-01")


def test_a_group_or_host_brings_its_neighbours(
    viewer: Client, pair: dict[str, Host], page: Page
) -> None:
    assert [row[1] for row in rows(page(viewer, "/map/?group=data"))] == ["back data"]
    assert len(rows(page(viewer, f"/map/?host={pair['front'].pk}"))) == 2


def test_filters_sort_and_pages_are_of_the_address(
    viewer: Client, pair: dict[str, Host], page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [row[2] for row in rows(page(viewer, "/map/?sort=-port"))] == ["5432 tcp", "80 tcp"]
    assert [row[4] for row in rows(page(viewer, "/map/?sort=connections"))] == ["1", "5"]
    for sort in connection_map.SORTS:
        there, back = (rows(page(viewer, f"/map/?sort={sign}{sort}")) for sign in ("", "-"))
        assert there == back[::-1]
    assert len(rows(page(viewer, "/map/?program=GUNICORN&port=5000-6000&min=1&q=back"))) == 1
    assert "Widen the filters" in page(viewer, "/map/?port=9")
    monkeypatch.setattr("probes.views.topology.EDGES_PER_PAGE", 1)
    first = page(viewer, "/map/?peers=folded")
    second = page(viewer, "/map/?peers=folded&page=2")
    assert "page=2" in first
    assert [rows(first)[0][2], rows(second)[0][2]] == ["80 tcp", "5432 tcp"]
    assert len(rows(first)) == len(rows(second)) == 1
    assert len(picture(first)["edges"]) == 2


def test_nodes_can_be_groups(viewer: Client, pair: dict[str, Host], page: Page) -> None:
    html = page(viewer, "/map/?nodes=groups&peers=none")
    assert [row[:2] for row in rows(html)] == [["web", "data"]]
    assert "/map/?group=web&amp;nodes=hosts" in html
    assert "5 other addresses with 5 connections are hidden." in html


def test_what_is_wrong_is_named(viewer: Client, pair: dict[str, Host], page: Page) -> None:
    for query in ("port=x", "min=0", "peers=some", "nodes=racks", "scope=loopback", "sort=moon",
                  "at=then", "group=nowhere", "host=0", "what=1"):  # fmt: skip
        html = page(viewer, f"/map/?{query}", 400)
        assert f"<code>{query.partition('=')[0]}</code>" in html


def test_a_fleet_without_hosts_or_probes_says_so(viewer: Client, page: Page, db: None) -> None:
    assert "There is no host yet" in page(viewer, "/map/")
    Host.objects.create(name="new", address="192.0.2.5")
    html = page(viewer, "/map/")
    assert "No connections known at this time" in html
    assert picture(html)["nodes"][0]["known"] is False


def test_hosts_of_other_groups_have_no_name(pair: dict[str, Host], page: Page) -> None:
    only_web = browser_of(person("wanda", Role.VIEWER, groups=[HostGroup.objects.get(name="web")]))
    html = page(only_web, "/map/")
    assert [node["name"] for node in picture(html)["nodes"] if node["kind"] == "host"] == ["front"]
    assert not re.search(r"\bback\b|\bdata\b(?!-)", re.sub(r"<[^>]+>", " ", html))
    assert ["front web", "10.7.0.2", "5432 tcp", "gunicorn", "1", "the client"] in rows(html)


def test_what_a_host_printed_stays_text(viewer: Client, page: Page, db: None) -> None:
    host = Host.objects.create(name="web1", address="10.7.0.1")
    hostile = line("10.7.0.1:41000", "203.0.113.5:443", holder="7/</script><b>x")
    fleet.seen(host, 30, LISTENER, hostile)
    html = page(viewer, "/map/")
    assert "<b>x" not in html
    assert rows(html)[0][3] == "&lt;/script&gt;&lt;b&gt;x"


def test_a_large_fleet_is_shown_by_groups(
    viewer: Client, pair: dict[str, Host], page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_map, "MOST_HOSTS", 1)
    assert {node["kind"] for node in picture(page(viewer, "/map/"))["nodes"]} == {"group", "peers"}
    assert len(rows(page(viewer, "/map/?group=web"))) == 2
    assert "host" in {n["kind"] for n in picture(page(viewer, "/map/?nodes=hosts"))["nodes"]}
