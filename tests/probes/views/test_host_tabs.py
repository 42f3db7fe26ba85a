"""Ports, peers, states and probes of one host."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client

from hosts.models import Host
from probes.models import Snapshot
from probes.observation import Code
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet
from tests.probes.views.test_host_page import rows

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


def csv_of(client: Client, address: str) -> list[dict[str, str]]:
    """Rows of a CSV answer."""
    response = client.get(address)
    assert response["Content-Type"].startswith("text/csv"), response.content
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def csv_link(html: str) -> str:
    """Address of the CSV of the page's table, not of its chart."""
    found = re.search(r'(?<!rel="alternate" )href="([^"]*format=csv[^"]*)"', html)
    assert found is not None
    return unescape(found[1])


# --- ports ---------------------------------------------------------------------------------------


def test_each_port_names_its_holder_and_who_can_reach_it(
    viewer: Client, page: Page, host: Host
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/ports/")
    listed = rows(html)
    assert [row.split()[0] for row in listed] == ["22", "80", "5432"]
    assert "nginx 900 0.0.0.0 every network 2" in listed[1]
    assert "postgres 700 127.0.0.1 this machine only 0" in listed[2]
    assert f"/hosts/{host.pk}/?local_port=80&amp;hide=listen" in html
    assert len(rows(page(viewer, f"/hosts/{host.pk}/?local_port=80&hide=listen"))) == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [("q=nginx", ["80"]), ("q=54", ["5432"]), ("scope=loopback", ["5432"]), ("q=none", [])],
)
def test_ports_are_narrowed_and_the_csv_with_them(
    viewer: Client, page: Page, host: Host, query: str, found: list[str]
) -> None:
    address = f"/hosts/{host.pk}/ports/"
    html = page(viewer, f"{address}?{query}")
    assert [row.split()[0] for row in rows(html)] == found
    if found:
        listed = csv_of(viewer, address + csv_link(html))
        assert [row["local_port"] for row in listed] == found


def test_many_ports_come_in_pages(viewer: Client, page: Page, host: Host) -> None:
    listeners = [line(f"0.0.0.0:{n}", "0.0.0.0:*", "LISTEN", "9/x") for n in range(10_000, 10_450)]
    fleet.seen(host, 1, *listeners)
    html = page(viewer, f"/hosts/{host.pk}/ports/")
    assert len(rows(html)) == 200
    assert "1 to 200 of 450" in html
    assert len(rows(page(viewer, f"/hosts/{host.pk}/ports/?page=3"))) == 50


# --- peers ---------------------------------------------------------------------------------------


def test_peers_are_counted_by_state_most_first(viewer: Client, page: Page, host: Host) -> None:
    fleet.seen(host, 1, LISTENER, fleet.WEB, fleet.OLD_PEER, fleet.NEW_PEER, fleet.WAITING)
    html = page(viewer, f"/hosts/{host.pk}/peers/")
    listed = rows(html)
    assert listed[0].startswith("203.0.113.9 2 ")
    assert listed[1].startswith("198.51.100.3 1 ")
    assert f'href="/hosts/{host.pk}/?remote_ip=203.0.113.9"' in html
    assert len(rows(page(viewer, f"/hosts/{host.pk}/?remote_ip=203.0.113.9"))) == 2


def test_peers_are_narrowed_and_the_csv_with_them(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, f"/hosts/{host.pk}/peers/?state=TIME_WAIT&scope=external")
    assert len(rows(html)) == 1
    listed = csv_of(viewer, csv_link(html))
    assert [row["total"] for row in listed] == ["1"]
    assert rows(page(viewer, f"/hosts/{host.pk}/peers/?scope=loopback")) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("scope=moon", "scope"),
        ("limit=7", "limit"),
        ("state=UP", "state"),
        ("local_port=70000", "local_port"),
        ("at=never", "at"),
        ("colour=red", "colour"),
    ],
)
def test_a_bad_choice_of_peers_is_named(
    viewer: Client, page: Page, host: Host, query: str, field: str
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/peers/?{query}", 400)
    assert f"<code>{field}</code>" in html


# --- states --------------------------------------------------------------------------------------


def test_states_are_counted_without_a_script(viewer: Client, page: Page, host: Host) -> None:
    fleet.seen(
        host, 1, LISTENER, fleet.WEB, fleet.NEW_PEER,
        line("0.0.0.0:68", "0.0.0.0:*", "", "3/dhclient", protocol="udp"),
    )  # fmt: skip
    html = page(viewer, f"/hosts/{host.pk}/states/")
    listed = rows(html)
    assert [row for row in listed if not row.endswith(" 0")] == [
        "LISTEN 2",
        "ESTABLISHED 1",
        "without a state (UDP, raw) 1",
    ]
    assert len(listed) == 12  # all eleven of TCP, and those without
    assert "CLOSE_WAIT 0" in listed
    assert f'href="/hosts/{host.pk}/?state=LISTEN"' in html


def test_the_chart_asks_for_the_span_that_was_chosen(
    viewer: Client, page: Page, host: Host
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/states/?span=86400")
    assert 'data-span="86400"' in html
    assert f'data-chart="/api/v1/statistics/timeline?host={host.pk}&amp;by=state"' in html
    assert "<code>span</code>" in page(viewer, f"/hosts/{host.pk}/states/?span=12", 400)


# --- probes --------------------------------------------------------------------------------------


def test_every_probe_is_listed_with_its_outcome_and_fix(
    viewer: Client, page: Page, host: Host
) -> None:
    failed = fleet.failed(host, 1, Code.NETSTAT_MISSING)
    html = page(viewer, f"/hosts/{host.pk}/probes/")
    listed = rows(html)
    assert len(listed) == 3
    assert "Failed Neither netstat nor ss found" in listed[0]
    assert f'href="/snapshots/{failed.pk}/"' in html
    assert "Whole" in listed[1]
    assert "+3 −1" in listed[1]


def test_probes_are_narrowed_by_outcome_and_the_csv_with_them(
    viewer: Client, page: Page, host: Host
) -> None:
    fleet.failed(host, 1, Code.TIMED_OUT)
    html = page(viewer, f"/hosts/{host.pk}/probes/?outcome=failed")
    assert len(rows(html)) == 1
    assert [row["code"] for row in csv_of(viewer, csv_link(html))] == ["timed_out"]
    assert "<code>outcome</code>" in page(viewer, f"/hosts/{host.pk}/probes/?outcome=x", 400)
    assert "<code>cursor</code>" in page(viewer, f"/hosts/{host.pk}/probes/?cursor=x", 400)


def test_probes_come_in_pages(viewer: Client, page: Page, host: Host) -> None:
    oldest = Snapshot.objects.filter(host=host).order_by("taken_at")[0]
    Snapshot.objects.bulk_create(
        Snapshot(
            host=host,
            taken_at=oldest.taken_at.replace(year=2020, microsecond=number),
            outcome="failed",
            code="timed_out",
        )
        for number in range(120)
    )
    seen: list[str] = []
    address = f"/hosts/{host.pk}/probes/"
    while address:
        html = page(viewer, address)
        seen += re.findall(r'href="/snapshots/(\d+)/"', html[html.index("<tbody>") :])
        found = re.search(r'href="([^"]+)" rel="next">Next', html)
        address = f"/hosts/{host.pk}/probes/{unescape(found[1])}" if found else ""
    assert len(seen) == len(set(seen)) == 122
