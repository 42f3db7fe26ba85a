"""Routes, interfaces, protocols and multicast of one host: tables, chart, time, failures."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.history import tables
from probes.observation import Code, Table, TableOutput
from tests.people import browser_of, person
from tests.probes.history.tabled import (
    DEFAULT_ROUTE,
    LINK_ROUTE,
    OFFICE_ROUTE,
    interface,
    interfaces,
    missing,
    multicast,
    routes,
    seen,
    usual,
)
from tests.probes.views.test_host_page import rows
from tests.probes.views.test_host_tabs import csv_link, csv_of

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


def take(host: Host, minutes_ago: float, *outputs: TableOutput) -> dt.datetime:
    """Store tables as if they were taken so long ago; when that was."""
    taken_at = timezone.now() - dt.timedelta(minutes=minutes_ago)
    tables.save(host, dataclasses.replace(seen(0, *outputs), taken_at=taken_at))
    return taken_at


@pytest.fixture
def known(host: Host) -> Host:
    """web1 with its tables of twenty and of ten minutes ago."""
    take(host, 20, *usual(1_000_000))
    take(host, 10, routes(DEFAULT_ROUTE, LINK_ROUTE, OFFICE_ROUTE), *usual(1_600_000)[1:])
    return host


def address(host: Host, table: str = "", **query: str) -> str:
    asked = "&".join(f"{name}={value}" for name, value in ({"table": table} | query).items())
    return f"/hosts/{host.pk}/network/?{asked}"


# --- the tables -----------------------------------------------------------------------------------


def test_the_tab_leads_to_the_routes_and_on_to_the_others(
    viewer: Client, page: Page, known: Host
) -> None:
    assert f'href="/hosts/{known.pk}/network/"' in page(viewer, f"/hosts/{known.pk}/")
    html = page(viewer, f"/hosts/{known.pk}/network/")
    assert rows(html)[0].startswith("0.0.0.0/0 default 192.0.2.254 eth0 0 UG")
    assert "on the link" in rows(html)[1]
    for name in Table:
        assert f'href="?table={name}"' in html


def test_interfaces_show_totals_and_what_they_do_per_second(
    viewer: Client, page: Page, known: Host
) -> None:
    lo, eth0 = rows(page(viewer, address(known, "interfaces")))
    assert "127.0.0.1/24 0\xa0bytes/s" in lo.replace("0 bytes", "0\xa0bytes")
    assert "eth0 02:00:00:00:09:01 192.0.2.1/24" in eth0
    # 600 000 bytes and 600 packets in 600 seconds.
    assert "1000 bytes/s" in eth0.replace("\xa0", " ")
    assert "1.0/s" in eth0
    assert "1 600 packets" in eth0.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "UP BROADCAST RUNNING MULTICAST" in eth0


def test_protocols_show_counters_and_what_they_do_per_second(
    viewer: Client, page: Page, known: Host
) -> None:
    listed = rows(page(viewer, address(known, "protocols")))
    assert [row.split()[:2] for row in listed] == [
        ["tcp", "ActiveOpens"],
        ["tcp", "InSegs"],
        ["udp", "NoPorts"],
    ]
    assert listed[1].endswith("1.0/s")


def test_multicast_shows_who_joined_what(viewer: Client, page: Page, known: Host) -> None:
    listed = rows(page(viewer, address(known, "multicast")))
    assert [" ".join(row.split()[:2]) for row in listed] == [
        "lo 224.0.0.1",
        "eth0 224.0.0.1",
        "eth0 ff02::1",
    ]


def test_each_table_says_of_when_it_is_and_with_what_it_was_read(
    viewer: Client, page: Page, known: Host
) -> None:
    html = page(viewer, address(known, "routes"))
    assert "read with netstat" in html
    assert "unchanged from" in html
    assert "10 min ago" in html
    assert "rates over 600 s" in page(viewer, address(known, "protocols"))


# --- filters, orders, pages, CSV ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "query", "firsts"),
    [
        ("routes", {"ip": "10.1.2.3"}, ["10.1.0.0/16", "0.0.0.0/0"]),
        ("routes", {"gateway": "250"}, ["10.1.0.0/16"]),
        ("routes", {"family": "6"}, []),
        ("routes", {"sort": "-destination"}, ["192.0.2.0/24", "10.1.0.0/16", "0.0.0.0/0"]),
        ("interfaces", {"name": "ETH"}, ["eth0"]),
        ("interfaces", {"sort": "-rx_bytes_per_s"}, ["eth0", "lo"]),
        ("protocols", {"protocol": "udp"}, ["udp"]),
        ("protocols", {"hide": "zero", "counter": "o"}, ["tcp"]),
        ("multicast", {"interface": "eth0"}, ["eth0", "eth0"]),
        ("multicast", {"group": "ff02"}, ["eth0"]),
    ],
)
def test_a_table_is_narrowed_and_sorted_and_the_csv_with_it(
    viewer: Client, page: Page, known: Host, table: str, query: dict[str, str], firsts: list[str]
) -> None:
    html = page(viewer, address(known, table, **query))
    assert [row.split()[0] for row in rows(html)] == firsts
    if not firsts:
        assert "No row matches" in html
        return
    column = {"routes": "destination", "interfaces": "name"}.get(table, "")
    listed = csv_of(viewer, csv_link(html))
    assert len(listed) == len(firsts)
    if column:
        assert [row[column] for row in listed] == firsts


def test_the_way_that_an_address_takes_is_marked(viewer: Client, page: Page, known: Host) -> None:
    best, other = rows(page(viewer, address(known, "routes", ip="10.1.2.3")))
    assert "the way taken" in best
    assert "the way taken" not in other


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("table=moon", "table"),
        ("ip=10.0.0.0/8", "ip"),
        ("family=5", "family"),
        ("sort=colour", "sort"),
        ("at=never", "at"),
        ("colour=red", "colour"),
        ("table=interfaces&by=colour", "by"),
        ("table=interfaces&span=12", "span"),
        ("table=protocols&ip=10.0.0.1", "ip"),
    ],
)
def test_a_bad_question_is_named(
    viewer: Client, page: Page, known: Host, query: str, field: str
) -> None:
    html = page(viewer, f"/hosts/{known.pk}/network/?{query}", 400)
    assert f"<code>{field}</code>" in html


def test_many_rows_come_in_pages(viewer: Client, page: Page, host: Host) -> None:
    take(host, 1, multicast(*(("eth0", f"224.1.{n // 250}.{n % 250}") for n in range(450))))
    html = page(viewer, address(host, "multicast"))
    assert len(rows(html)) == 200
    assert "1 to 200 of 450" in html
    assert len(rows(page(viewer, address(host, "multicast", page="3")))) == 50
    assert len(csv_of(viewer, csv_link(html))) == 450


# --- the chart ------------------------------------------------------------------------------------


def chart(html: str) -> dict[str, str]:
    """What the chart asks for."""
    found = re.search(r'<div class="na-chart"([^>]*)>', html)
    assert found is not None
    return dict(re.findall(r'data-([a-z]+)="([^"]*)"', found[1]))


def test_the_busiest_interface_is_drawn_and_another_at_a_click(
    viewer: Client, page: Page, known: Host
) -> None:
    asked = chart(page(viewer, address(known, "interfaces")))
    route = f"/api/v1/statistics/interfaces?host={known.pk}"
    assert asked["chart"] == f"{route}&amp;interface=eth0&amp;by=bytes"
    assert asked["span"] == "86400"
    html = page(viewer, address(known, "interfaces", chart="lo", by="packets", span="3600"))
    asked = chart(html)
    assert asked["chart"] == f"{route}&amp;interface=lo&amp;by=packets"
    assert asked["span"] == "3600"
    assert "chart=eth0" in html


def test_there_is_no_chart_of_other_tables(viewer: Client, page: Page, known: Host) -> None:
    for table in ("routes", "protocols", "multicast"):
        assert "data-chart" not in page(viewer, address(known, table))


# --- time -----------------------------------------------------------------------------------------


def test_the_past_shows_the_table_of_that_time(viewer: Client, page: Page, known: Host) -> None:
    at = (timezone.now() - dt.timedelta(minutes=15)).isoformat().replace("+00:00", "Z")
    html = page(viewer, address(known, "routes", at=at))
    assert "You look at" in html
    assert [row.split()[0] for row in rows(html)] == ["0.0.0.0/0", "192.0.2.0/24"]
    # The next table, of ten minutes ago, is the newest: that is now.
    following = re.search(r'href="([^"]*)" rel="next"', html)
    assert following is not None
    assert "at=" not in following[1]
    (row,) = rows(page(viewer, address(known, "protocols", at=at, counter="InSegs")))
    assert "1 000" in row.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "at=" in csv_link(html)
    assert len(csv_of(viewer, csv_link(html))) == 2


def test_the_table_before_is_one_click_away(viewer: Client, page: Page, known: Host) -> None:
    html = page(viewer, address(known, "interfaces"))
    previous = re.search(r'href="([^"]*)" rel="prev"', html)
    assert previous is not None
    html = page(viewer, f"/hosts/{known.pk}/network/" + previous[1].replace("&amp;", "&"))
    assert "976.6 KB" in rows(html)[1].replace("\xa0", " ")


def test_a_time_before_all_of_them_leads_to_the_first(
    viewer: Client, page: Page, known: Host
) -> None:
    html = page(viewer, address(known, "routes", at="2020-01-01T00:00"))
    assert "Nothing is known of that time." in html
    first = re.search(r'<a href="([^"]*)">The first', html)
    assert first is not None
    again = page(viewer, f"/hosts/{known.pk}/network/" + first[1].replace("&amp;", "&"))
    assert len(rows(again)) == 2


def test_links_between_the_tables_keep_the_time_and_no_filter(
    viewer: Client, page: Page, known: Host
) -> None:
    at = (timezone.now() - dt.timedelta(minutes=15)).isoformat().replace("+00:00", "Z")
    html = page(viewer, address(known, "routes", at=at, gateway="254"))
    link = re.search(r'href="(\?table=protocols[^"]*)"', html)
    assert link is not None
    assert "at=" in link[1]
    assert "gateway" not in link[1]


# --- failures, nothing known ----------------------------------------------------------------------


def test_a_table_that_failed_says_what_and_how_to_mend_it(
    viewer: Client, page: Page, known: Host
) -> None:
    take(known, 0, missing(Table.ROUTES, Code.NETSTAT_MISSING, "<b>sh: ip: not found</b>"))
    html = page(viewer, address(known, "routes"))
    assert "Routes: " in html
    assert "Install net-tools" in html
    assert "&lt;b&gt;sh: ip: not found&lt;/b&gt;" in html
    assert "What you see below was true" in html
    assert len(rows(html)) == 3
    assert "Install net-tools" not in page(viewer, address(known, "interfaces"))


def test_lines_that_were_not_understood_are_shown(viewer: Client, page: Page, host: Host) -> None:
    read = routes(DEFAULT_ROUTE, LINK_ROUTE)
    odd = TableOutput(read.table, read.tool, read.text + "some <i>odd</i> line\n")
    take(host, 1, odd)
    html = page(viewer, address(host, "routes"))
    assert "1 line not understood" in html
    assert "some &lt;i&gt;odd&lt;/i&gt; line" in html


def test_what_was_printed_is_shown_where_it_was_not_understood(
    viewer: Client, page: Page, known: Host
) -> None:
    assert "What it printed" not in page(viewer, address(known, "routes"))

    noise = "<b>Seg</b>mentation\tfault \u202e\n" + "more noise\n" * 500
    take(known, 0, TableOutput(Table.ROUTES, "netstat", noise))
    html = page(viewer, address(known, "routes"))
    assert "the host printed something that is no such table" in html.lower()
    assert 'href="#printed"' in html
    shown = re.search(
        r'<details class="card" id="printed" open>.*?<pre[^>]*>(.*?)</pre>', html, re.S
    )
    assert shown is not None
    lines = shown[1].split("\n")
    assert lines[0] == "&lt;b&gt;Seg&lt;/b&gt;mentation\tfault \\u202e"
    assert len(lines) == 200
    assert "this is the first part" in html
    assert "What it printed" not in page(viewer, address(known, "interfaces"))


def test_what_was_printed_is_at_hand_where_a_line_was_rejected(
    viewer: Client, page: Page, host: Host
) -> None:
    read = routes(DEFAULT_ROUTE, LINK_ROUTE)
    take(host, 1, TableOutput(read.table, read.tool, read.text + "odd\n"))
    html = page(viewer, address(host, "routes"))
    assert '<details class="card" id="printed">' in html
    assert "this is the first part" not in html
    take(host, 0, read)
    assert "What it printed" not in page(viewer, address(host, "routes"))


def test_hostile_names_are_escaped(viewer: Client, page: Page, host: Host) -> None:
    take(host, 1, interfaces(interface("<script>x</script>", 1, 1)))
    html = page(viewer, address(host, "interfaces"))
    assert "<script>x" not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html


@pytest.mark.parametrize("table", [table.value for table in Table])
def test_before_the_first_the_page_says_when_it_comes(
    viewer: Client, page: Page, host: Host, settings: Any, table: str
) -> None:
    settings.PROBE_TABLES_MINUTES = 15
    html = page(viewer, address(host, table))
    assert "Nothing known yet" in html
    assert "every 15 minutes" in html


def test_where_the_tables_are_not_taken_the_page_says_so(
    viewer: Client, page: Page, known: Host, settings: Any
) -> None:
    settings.PROBE_TABLES_MINUTES = 0
    html = page(viewer, address(known, "routes"))
    assert "the setting PROBE_TABLES_MINUTES is 0" in html
    assert len(rows(html)) == 3


def test_an_empty_table_is_not_an_unknown_one(viewer: Client, page: Page, host: Host) -> None:
    take(host, 1, TableOutput(Table.ROUTES, "ip", ""))
    html = page(viewer, address(host, "routes"))
    assert "The table was read whole, and it is empty." in html


# --- who may --------------------------------------------------------------------------------------


def test_a_host_outside_ones_groups_is_absent(known: Host) -> None:
    group = HostGroup.objects.create(name="others")
    limited = browser_of(person("lina", Role.VIEWER, groups=[group]))
    for table in Table:
        assert limited.get(address(known, table.value)).status_code == 404
