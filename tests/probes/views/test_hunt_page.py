"""The retro-hunt's page: questions in the address, pasted lists, CSV, and what one may see."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


@pytest.fixture
def removed(host: Host) -> Host:
    """A host that saw the same peer and is no longer watched."""
    gone = Host.objects.create(name="gone", address="192.0.2.9")
    fleet.seen(gone, 300, LISTENER, fleet.WEB, fleet.NEW_PEER)
    Host.objects.filter(pk=gone.pk).update(removed_at=timezone.now(), enabled=False)
    return gone


def hosts_of(html: str) -> set[str]:
    table = html.partition('id="nh-hosts"')[2].partition("</table>")[0]
    return {name for name in ("web1", "gone", "web2") if re.search(rf">\s*{name}\b", table)}


def test_without_a_question_it_says_how_far_history_reaches(viewer: Client, page: Page) -> None:
    assert "History is kept for 90 days" in page(viewer, "/hunt/")


@pytest.mark.parametrize(
    "query",
    ["ip=203.0.113.9", "ip=203.0.113.0/24", "cidr=203.0.113.0/24", "ip=203.0.113.9&port=80",
     "ip=203.0.113.9&program=nginx&state=ESTABLISHED&direction=in&proto=tcp",
     "indicators=203[.]0[.]113[.]9%20port%209", "ip=203.0.113.9&since=2020-01-01T00:00"],
)  # fmt: skip
def test_every_host_that_ever_saw_it_is_shown_removed_ones_marked(
    viewer: Client, page: Page, host: Host, removed: Host, query: str
) -> None:
    html = page(viewer, f"/hunt/?{query}")
    assert hosts_of(html) == {"web1", "gone"}
    assert f'href="/hosts/{host.pk}/?at=' in html
    assert f'href="/hosts/{removed.pk}/"' in html, "what is kept of it can be read"
    assert "removed</span>" in html


def test_its_rows_lead_on(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, "/hunt/?ip=203.0.113.9")
    for link in ("/hunt/?ip=203.0.113.9", "/ports/?port=80", "/hunt/?program=nginx"):
        assert f'href="{link}"' in html


def test_nothing_found_says_so_and_what_next(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, "/hunt/?ip=203.0.113.77")
    assert "No host ever saw it" in html
    assert "History is kept for 90 days" in html


@pytest.mark.parametrize(
    ("query", "field"),
    [("ip=evil.example", "ip"), ("port=0", "port"), ("local_port=80", "ip"),
     ("ip=10.0.0.1&since=yesterday", "since"), ("ip=10.0.0.1&cidr=10.0.0.0/8", "cidr"),
     ("ip=10.0.0.1&since=2026-02-01&until=2026-01-01", "since"), ("indicators=evil.example",
     "indicators"), ("indicators=port%2022&ip=10.0.0.1", "indicators"), ("zzz=1", "zzz"),
     ("ip=10.0.0.1&state=LISTEN&proto=udp", "state"), ("ip=10.0.0.1&cursor=x", "cursor")],
)  # fmt: skip
def test_a_question_that_is_wrong_is_named(
    viewer: Client, page: Page, host: Host, query: str, field: str
) -> None:
    if field == "ip" and "local_port" in query:
        # A port of one end alone bounds nothing: it narrows what else is looked for.
        assert "History is kept" in page(viewer, f"/hunt/?{query}")
        return
    html = page(viewer, f"/hunt/?{query}", status=400)
    assert f"<code>{field}</code>" in html


def test_words_that_are_no_indicators_are_listed_with_the_reason(
    viewer: Client, page: Page, host: Host
) -> None:
    html = page(viewer, "/hunt/?indicators=203.0.113.9%0Aevil.example")
    assert "Not looked for:" in html
    assert "line 2" in html
    assert "Names are not searched" in html
    assert hosts_of(html) == {"web1"}


def test_a_short_list_is_posted_and_then_stands_in_the_address(viewer: Client, host: Host) -> None:
    response = viewer.post("/hunt/", {"indicators": "203.0.113.9\nport 22", "proto": "tcp"})
    assert response.status_code == 302
    assert response["Location"] == "/hunt/?proto=tcp&indicators=203.0.113.9%0Aport+22"


@pytest.fixture
def long_list() -> str:
    return "203.0.113.9\n" + "\n".join(f"10.9.{n // 250}.{n % 250}" for n in range(800))


def test_a_long_list_is_answered_at_once_with_buttons_for_more(
    viewer: Client, host: Host, removed: Host, long_list: str
) -> None:
    html = viewer.post("/hunt/", {"indicators": long_list}).content.decode()
    assert hosts_of(html) == {"web1", "gone"}
    assert 'name="csv" value="summary"' in html
    for kind, columns in (("summary", "intervals"), ("rows", "foreign_ip")):
        response = viewer.post("/hunt/", {"indicators": long_list, "csv": kind})
        rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
        assert columns in rows[0]
        assert {row["host"] for row in rows} == {"web1", "gone"}
        assert {row["indicator"] for row in rows} == {"203.0.113.9"}


def test_pages_of_rows_go_on(viewer: Client, page: Page, host: Host, long_list: str) -> None:
    peers = [line("192.0.2.1:80", f"203.0.113.9:{n}") for n in range(30_000, 30_150)]
    fleet.seen(host, 1, LISTENER, *peers)
    html = page(viewer, "/hunt/?ip=203.0.113.9")
    (following,) = re.findall(r'href="([^"]+cursor=[^"]+)"', html)
    second = page(viewer, "/hunt/" + following.replace("&amp;", "&"))
    ports = re.compile(r"203\.0\.113\.9:(\d+)")
    assert len({*ports.findall(html), *ports.findall(second)}) == 152
    assert not set(ports.findall(html)) & set(ports.findall(second))
    posted = viewer.post("/hunt/", {"indicators": long_list}).content.decode()
    (cursor,) = re.findall(r'name="cursor" value="([^"]+)"', posted)
    again = viewer.post("/hunt/", {"indicators": long_list, "cursor": cursor}).content.decode()
    assert len({*ports.findall(posted), *ports.findall(again)}) == 152


def test_the_csv_links_are_of_exactly_this_question(
    viewer: Client, page: Page, host: Host, removed: Host
) -> None:
    html = page(viewer, "/hunt/?ip=203.0.113.0/24&state=ESTABLISHED&direction=in")
    found = re.findall(r'href="(/api/[^"]+=csv[^"]*)"', html)
    links = [link.replace("&amp;", "&") for link in found]
    summary, rows = [viewer.get(link).getvalue().decode() for link in links]
    assert {row["host"] for row in csv.DictReader(io.StringIO(summary))} == {"web1", "gone"}
    listed = list(csv.DictReader(io.StringIO(rows)))
    assert {(row["state"], row["foreign_ip"]) for row in listed} == {("ESTABLISHED", "203.0.113.9")}


def test_what_is_outside_ones_groups_is_absent_and_uncounted(
    page: Page, host: Host, removed: Host
) -> None:
    group = HostGroup.objects.create(name="inside")
    host.groups.add(group)
    HostGroup.objects.create(name="others").hosts.add(removed)
    limited = browser_of(person("limited", Role.VIEWER, groups=[group]))
    html = page(limited, "/hunt/?ip=203.0.113.9")
    assert hosts_of(html) == {"web1"}
    assert "gone" not in html
    assert "others" not in html
    refusals = {"group=nope": "group", "group=others": "group", "host=987654321": "host",
                f"host={removed.pk}": "host"}  # fmt: skip
    for query, field in refusals.items():
        html = page(limited, f"/hunt/?ip=203.0.113.9&{query}", status=400)
        assert f"<code>{field}</code>" in html
        assert "There is no such host" in html
        assert "No host ever saw it" not in html, "that would be a false all-clear"


def test_a_network_in_another_one_is_said_to_be_covered(
    viewer: Client, page: Page, host: Host
) -> None:
    html = page(viewer, "/hunt/?indicators=203.0.113.0/24%20203.0.0.0/16")
    assert hosts_of(html) == {"web1"}
    assert "1 network is looked for as part of a wider one" in html
    assert "<code>203.0.113.0/24</code> in 203.0.0.0/16" in html


def test_saving_is_offered_to_operators_with_what_was_asked(
    viewer: Client, operator: Client, page: Page, host: Host
) -> None:
    assert "/hunts/add/" not in page(viewer, "/hunt/?ip=203.0.113.9")
    html = page(operator, "/hunt/?ip=203.0.113.9")
    assert 'href="/hunts/add/?indicators=203.0.113.9"' in html
    assert "203.0.113.9</textarea>" in page(operator, "/hunts/add/?indicators=203.0.113.9")
    combined = page(operator, "/hunt/?ip=203.0.113.9&port=80")
    assert "/hunts/add/?" not in combined, "no list can say both"


def test_a_list_is_handed_over_to_the_form(operator: Client, long_list: str) -> None:
    data: dict[str, Any] = {"indicators": long_list, "hand_over": "1"}
    html = operator.post("/hunts/add/", data).content.decode()
    assert "10.9.3.49" in html
    assert 'name="name"' in html
