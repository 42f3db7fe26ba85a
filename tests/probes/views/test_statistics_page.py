"""The page Statistics: one click each, narrowed, sorted, as CSV, and where its cells lead."""

from __future__ import annotations

import csv
import datetime as dt
import html as markup
import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.history import tables
from probes.views.statistics_list import STATISTICS
from tests.people import browser_of, person
from tests.probes.history import tabled
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

if TYPE_CHECKING:
    from django.test import Client

Page = Callable[..., str]
SYN = line("192.0.2.1:80", "203.0.113.77:50000", "SYN_RECV", "-")
IPV6 = line("2001:db8::5:80", "2001:db8::9:41003", "ESTABLISHED", "901/nginx", protocol="tcp6")
CLOSING = line("192.0.2.1:41000", "198.51.100.3:443", "CLOSE_WAIT", "77/curl")


@pytest.fixture
def busy(host: Host) -> Host:
    """web1 as it is now: some of everything; and db1 in a group of its own."""
    fleet.seen(
        host, 10, LISTENER, fleet.WEB, fleet.DATABASE, fleet.NEW_PEER, fleet.WAITING, SYN, IPV6,
        CLOSING,
    )  # fmt: skip
    other = Host.objects.create(name="db1", address="192.0.2.2")
    other.groups.add(HostGroup.objects.create(name="databases"))
    fleet.seen(other, 20, LISTENER, fleet.NEW_PEER)
    return host


def rows(html: str) -> list[str]:
    """The text of each row of the table."""
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    if body is None:
        return []
    listed = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    cut = (re.sub(r"<(?:/t[hd]|br)[^>]*>", " ", row) for row in listed)
    return [" ".join(markup.unescape(re.sub(r"<[^>]+>", "", row)).split()) for row in cut]


def csv_rows(viewer: Client, address: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV."""
    return csv.DictReader(io.StringIO(viewer.get(address).getvalue().decode()))


def links(html: str) -> set[str]:
    return {markup.unescape(each) for each in re.findall(r'href="([^"]*)"', html)}


EXPECTED = {
    "ips": ("203.0.113.9 3", "198.51.100.3 1", "203.0.113.77 1", "2001:db8::9 1"),
    "established": ("203.0.113.9 2", "2001:db8::9 1"),
    "on-port": ("203.0.113.9 3", "203.0.113.77 1", "2001:db8::9 1"),
    "external": ("203.0.113.9 3", "198.51.100.3 1"),
    "scopes": ("external the internet 6", "private", "loopback"),
    "syn": ("203.0.113.77 1",),
    "syn-list": ("web1 tcp 192.0.2.1:80 203.0.113.77:50000 SYN_RECV",),
    "time-wait": ("203.0.113.9 1",),
    "time-wait-to": ("203.0.113.9 41001 1",),
    "close-wait": ("curl 1",),
    "ports": ("80 http tcp 4 5",),
    "listening": ("22 ssh tcp 0", "80 http tcp 0", "5432"),
    "common": ("21 ftp 0 0", "22 ssh 2 0", "80 http 1 5"),
    "programs": ("nginx 4", "sshd 2", "not visible 2"),
    "states": ("LISTEN 4", "ESTABLISHED 3", "CLOSE 0"),
    "protocols": ("TCP 10", "UDP 0"),
    "list": ("web1",),
    "traffic": (),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_one_click_gives_each_statistic(viewer: Client, page: Page, busy: Host, name: str) -> None:
    html = page(viewer, f"/statistics/?by={name}")
    listed = rows(html)
    for beginning in EXPECTED[name]:
        assert any(row.startswith(beginning) for row in listed), (beginning, listed)
    it = STATISTICS[name]
    for text in (it.label, it.answers, it.shell):
        assert markup.escape(str(text)) in html
    assert f'href="?by={name}" aria-current="page"' in html
    assert {f"?by={other}" for other in STATISTICS} <= links(html)


def test_the_traffic_of_interfaces_is_a_statistic(viewer: Client, page: Page, host: Host) -> None:
    for minute, amount in ((0, 0), (10, 600_000)):
        tables.save(host, tabled.seen(minute, tabled.interfaces(
            tabled.interface("eth0", amount, amount), tabled.interface("lo", amount, amount),
        )))  # fmt: skip
    html = page(viewer, "/statistics/?by=traffic&sort=rx_bytes")
    (row,) = rows(html)
    assert row.startswith("web1 eth0")
    assert "over 600 s" in row
    assert f"/hosts/{host.pk}/network/?table=interfaces&chart=eth0" in links(html)


def test_a_statistic_keeps_hosts_filters_and_time_for_the_next_click(
    viewer: Client, page: Page, busy: Host
) -> None:
    when = (timezone.now() - dt.timedelta(seconds=1)).isoformat()
    html = page(viewer, f"/statistics/?host={busy.pk}&program=nginx&at={quote(when)}&sort=ip")
    (other,) = [link for link in links(html) if link.startswith("?by=programs&")]
    assert parse_qs(other[1:]) == {
        "by": ["programs"],
        "host": [str(busy.pk)],
        "program": ["nginx"],
        "at": [when],
    }
    assert rows(html) == [row for row in rows(html) if row.startswith(("203.0.113.9", "2001:db8"))]


def test_cells_lead_to_the_sockets_behind_them(viewer: Client, page: Page, busy: Host) -> None:
    html = page(viewer, f"/statistics/?by=established&host={busy.pk}")
    listed = [link for link in links(html) if link.startswith("?by=list&")]
    (one,) = [link for link in listed if link.endswith("remote_ip=203.0.113.9")]
    assert parse_qs(one[1:]) == {
        "by": ["list"],
        "host": [str(busy.pk)],
        "state": ["ESTABLISHED"],
        "remote_ip": ["203.0.113.9"],
    }
    (row,) = rows(page(viewer, f"/statistics/{one}"))
    assert "192.0.2.1:80 203.0.113.9:41000 ESTABLISHED nginx" in row


@pytest.mark.parametrize("name", ["ips", "ports", "programs", "states", "common", "scopes"])
def test_every_cell_leads_to_as_many_sockets_as_it_says(
    viewer: Client, page: Page, busy: Host, name: str
) -> None:
    html = page(viewer, f"/statistics/?by={name}")
    found = re.findall(r'<td class="na-num"><a href="(\?by=list&[^"]*)">([0-9]+)</a>', html)
    assert found
    for link, number in set(found):
        target = page(viewer, f"/statistics/{markup.unescape(link)}")
        assert len(rows(target)) == int(number), link


def test_a_page_that_a_cell_leads_to_is_there(viewer: Client, busy: Host) -> None:
    met = set()
    for name in STATISTICS:
        html = viewer.get(f"/statistics/?by={name}&host={busy.pk}").content.decode()
        table = html[html.index("<tbody>") :] if "<tbody>" in html else ""
        for link in links(table):
            target = urlsplit(link)
            path = target.path or "/statistics/"
            asked = parse_qs(target.query)
            kind = (path, tuple(asked.get("by", ())), tuple(sorted(asked)))
            if kind in met:
                continue  # one of each kind of link
            met.add(kind)
            answer = viewer.get(f"{path}?{target.query}" if target.query else path)
            assert answer.status_code in (200, 302), (name, link)
    assert len(met) > 10


def test_csv_and_json_hold_the_rows_of_the_page(viewer: Client, page: Page, busy: Host) -> None:
    for name in STATISTICS:
        address = f"/statistics/?by={name}&host={busy.pk}"
        html = page(viewer, address)
        if not rows(html):
            assert name == "traffic"
            continue
        (json_url,) = [
            link for link in links(html)
            if link.startswith("/api/v1/statistics/") and "since=" not in link
        ]  # fmt: skip
        answer = viewer.get(json_url)
        assert answer.status_code == 200, (json_url, answer.content)
        data = answer.json()["data"]
        (listed,) = [value for value in data.values() if isinstance(value, list)]
        text = viewer.get(f"{address}&format=csv").getvalue().decode()
        assert len(rows(html)) == len(listed) == len(list(csv.DictReader(io.StringIO(text)))), name


def test_a_past_time_shows_each_host_as_of_its_own_probe(
    viewer: Client, page: Page, busy: Host
) -> None:
    when = timezone.localtime(timezone.now() - dt.timedelta(seconds=100))
    html = page(viewer, f"/statistics/?at={when:%Y-%m-%dT%H:%M:%S}")
    assert rows(html)[0].startswith("198.51.100.3 1")
    assert "1 host has no whole probe by then" in html
    assert f'value="{when:%Y-%m-%dT%H:%M:%S}"' in html
    assert "Back to now" in html
    assert "Back to now" not in page(viewer, "/statistics/")


def test_before_all_history_it_says_so(viewer: Client, page: Page, busy: Host) -> None:
    html = page(viewer, "/statistics/?at=2001-01-01T00:00")
    assert rows(html) == []
    assert "Nothing known of that time" in html


def test_a_group_and_a_host_narrow_it(viewer: Client, page: Page, busy: Host) -> None:
    html = page(viewer, "/statistics/?group=databases")
    (row,) = rows(html)
    assert row.startswith("203.0.113.9 1")
    assert f'<option value="{busy.pk}">{busy.name}' not in html
    assert "<code>host</code>" in page(viewer, f"/statistics/?group=databases&host={busy.pk}", 400)


def test_a_limit_that_cuts_the_list_is_said(viewer: Client, page: Page, host: Host) -> None:
    peers = [line("192.0.2.1:80", f"198.51.100.{n}:5000") for n in range(1, 23)]
    fleet.seen(host, 1, LISTENER, fleet.WEB, *peers)
    html = page(viewer, "/statistics/")
    assert len(rows(html)) == 20
    assert "20 of 22" in html
    assert len(list(csv_rows(viewer, "/statistics/?format=csv"))) == 22
    html = page(viewer, "/statistics/?limit=50")
    assert len(rows(html)) == 22
    assert "22 rows" in html


@pytest.mark.parametrize("name", ["time-wait-to", "ports", "programs", "on-port"])
def test_every_list_of_sums_says_how_long_it_is(
    viewer: Client, page: Page, host: Host, name: str
) -> None:
    many = [
        each
        for n in range(1, 25)
        for each in (
            line("192.0.2.1:80", f"198.51.100.{n}:5000", "TIME_WAIT", "-"),
            line(f"0.0.0.0:{7000 + n}", "0.0.0.0:*", "LISTEN", f"{n}/p{n}"),
        )
    ]
    fleet.seen(host, 1, *many)
    html = page(viewer, f"/statistics/?by={name}")
    every = list(csv_rows(viewer, f"/statistics/?by={name}&format=csv"))
    assert len(every) >= 24
    assert f"20 of {len(every)}" in html
    assert len(rows(page(viewer, f"/statistics/?by={name}&limit=50"))) == len(every)


def test_a_list_of_sockets_goes_on_page_by_page(viewer: Client, page: Page, host: Host) -> None:
    peers = [line("192.0.2.1:80", f"198.51.100.{n}:5000") for n in range(1, 46)]
    fleet.seen(host, 1, LISTENER, *peers)
    found, address = [], "/statistics/?by=list"
    for _number in range(3):
        html = page(viewer, address)
        found += rows(html)
        following = [link for link in links(html) if "cursor=" in link]
        address = f"/statistics/{following[0]}" if following else ""
    assert not address
    assert len(set(found)) == len(found) == 46
    assert "6 of 46" in html
    assert "<code>cursor</code>" in page(viewer, "/statistics/?by=list&cursor=x", 400)
    assert len(list(csv_rows(viewer, "/statistics/?by=list&format=csv"))) == 46


def test_the_routes_say_how_many_there_are_and_go_on(viewer: Client, host: Host) -> None:
    peers = [line("192.0.2.1:80", f"198.51.100.{n}:5000") for n in range(1, 6)]
    fleet.seen(host, 1, LISTENER, *peers)
    data = viewer.get("/api/v1/statistics/ips?limit=1").json()["data"]
    assert (len(data["ips"]), data["total"], data["next"]) == (1, 5, None)
    assert len(list(csv_rows(viewer, "/api/v1/statistics/ips?limit=1&format=csv"))) == 5
    found, cursor = [], ""
    while True:
        address = f"/api/v1/statistics/connections?limit=4{cursor}"
        data = viewer.get(address).json()["data"]
        assert data["total"] == 6
        found += [row["foreign_ip"] for row in data["connections"]]
        if data["next"] is None:
            break
        cursor = f"&cursor={quote(data['next'])}"
    assert len(found) == len(set(found)) == 6
    other = viewer.get(f"/api/v1/statistics/connections?scope=external{cursor}")
    assert other.status_code == 400


@pytest.mark.parametrize(
    ("query", "asked", "note"),
    [
        ("by=ips&state=TIME_WAIT", {"state": ["TIME_WAIT"]}, "narrowed like the list: TIME_WAIT"),
        (
            "by=ips&local_port=80&state=time_wait",
            {"state": ["TIME_WAIT"], "port": ["80"]},
            "narrowed like the list: TIME_WAIT, local port 80",
        ),
        (
            "by=ips&local_port=80&program=nginx",
            {"port": ["80"]},
            "narrowed to local port 80, not by the other filters",
        ),
        ("by=ips&state=TIME_WAIT,ESTABLISHED", {}, "of all sockets of these hosts"),
        ("by=ips&local_port=80-90", {}, "of all sockets of these hosts"),
        ("by=programs&local_port=80", {}, "of all sockets of these hosts"),
    ],
)
def test_the_chart_is_of_what_the_list_is_of_or_says_what_it_is_of(
    viewer: Client, page: Page, busy: Host, query: str, asked: dict[str, list[str]], note: str
) -> None:
    html = page(viewer, f"/statistics/?{query}")
    found = re.findall(r'"(/api/v1/statistics/trend[^"]*)"', html)
    assert found
    given = parse_qs(urlsplit(markup.unescape(found[0])).query)
    assert {name: given[name] for name in ("state", "port") if name in given} == asked
    assert note in html


def test_common_ports_are_those_of_the_query_else_of_the_setting(
    viewer: Client, page: Page, busy: Host, settings: Any
) -> None:
    settings.COMMON_PORTS = (5432, 9)
    html = page(viewer, "/statistics/?by=common")
    assert [row.split()[0] for row in rows(html)] == ["5432", "9"]
    html = page(viewer, "/statistics/?by=common&ports=80,22,80")
    assert [row.split()[0] for row in rows(html)] == ["80", "22"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=moon", "by"),
        ("by=established&state=LISTEN", "state"),
        ("by=on-port&local_port=22", "local_port"),
        ("by=on-port&port=0", "port"),
        ("by=common&ports=22-25", "ports"),
        ("by=external&scope=private", "scope"),
        ("by=states&scope=external", "scope"),
        ("by=states&sort=total", "sort"),
        ("by=ips&sort=--total", "sort"),
        ("limit=7", "limit"),
        ("format=xml", "format"),
        ("span=7", "span"),
        ("host=0x1", "host"),
        ("group=nowhere", "group"),
        ("at=soon", "at"),
        ("remote_ip=nonsense", "remote_ip"),
        ("proto=udp&state=LISTEN", "state"),
        ("zzz=1", "zzz"),
    ],
)
def test_what_does_not_fit_is_named(
    viewer: Client, page: Page, busy: Host, query: str, field: str
) -> None:
    assert f"<code>{field}</code>" in page(viewer, f"/statistics/?{query}", 400)


def test_what_is_outside_ones_groups_is_not_counted(page: Page, busy: Host) -> None:
    group = HostGroup.objects.get(name="databases")
    limited = browser_of(person("lina", Role.VIEWER, groups=[group]))
    for name in STATISTICS:
        html = page(limited, f"/statistics/?by={name}")
        assert "web1" not in html
        assert "203.0.113.77" not in html
    (row,) = rows(page(limited, "/statistics/"))
    assert row.startswith("203.0.113.9 1")
    outside = page(limited, f"/statistics/?host={busy.pk}", 400)
    absent = page(limited, "/statistics/?host=987654321", 400)
    assert "There is no such host." in outside
    assert "There is no such host." in absent


def test_nobody_sees_it_without_logging_in(busy: Host) -> None:
    assert browser_of(None).get("/statistics/").status_code == 302


def test_an_empty_site_says_what_to_do(viewer: Client, page: Page) -> None:
    for name in STATISTICS:
        assert "No host to see" in page(viewer, f"/statistics/?by={name}")


def test_hostile_names_stay_text(viewer: Client, page: Page, host: Host) -> None:
    fleet.seen(host, 1, LISTENER, line(holder="9/<script>alert(1)</script>"))
    for name in ("programs", "list"):
        html = page(viewer, f"/statistics/?by={name}")
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html
