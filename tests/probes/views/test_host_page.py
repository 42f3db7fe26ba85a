"""The connections of one host: every filter, sorting, paging, links, and hostile names."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.models import Snapshot
from probes.observation import Code, Privilege
from probes.views import moment
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


def rows(html: str) -> list[str]:
    """Text of the table's rows, blanks squeezed."""
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    if body is None:
        return []
    cells = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells]


def ports(html: str) -> list[str]:
    """Local ports of the rows."""
    return [row.split()[3] for row in rows(html)]


def test_the_newest_sockets_are_shown_by_port(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, f"/hosts/{host.pk}/")
    assert ports(html) == ["22", "80", "80", "80", "5432"]
    assert "5 of 5 rows" in html
    assert "203.0.113.9" in html
    assert "198.51.100.3" not in html


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("proto=tcp", 5),
        ("proto=udp", 0),
        ("state=listen", 3),
        ("state=LISTENING", 3),
        ("remote_ip=203.0.113.0/24", 2),
        ("remote_ip=203.0.113.9&state=TIME_WAIT", 1),
        ("local_ip=127.0.0.1", 1),
        ("local_port=80", 3),
        ("local_port=22,5000-6000", 2),
        ("remote_port=41000", 1),
        ("program=NGIN", 2),
        ("pid=700", 1),
        ("pid=none", 1),
        ("direction=listen", 3),
        ("direction=in", 2),
        ("family=6", 0),
        ("hide=listen", 2),
        ("hide=loopback,listen", 2),
        ("proto=&state=&remote_ip=&pid=", 5),
    ],
)
def test_every_filter_narrows_the_table(
    viewer: Client, page: Page, host: Host, query: str, shown: int
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?{query}")
    assert len(rows(html)) == shown
    if not shown:
        assert "No connection matches" in html


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=LISTEN&proto=udp", "state"),
        ("state=UP", "state"),
        ("local_port=65536", "local_port"),
        ("local_port=%EF%BC%92%EF%BC%92", "local_port"),
        ("local_port=0x16", "local_port"),
        ("remote_port=9-1", "remote_port"),
        ("remote_ip=999.1.1.1", "remote_ip"),
        ("local_ip=web", "local_ip"),
        ("pid=-1", "pid"),
        ("family=5", "family"),
        ("direction=up", "direction"),
        ("hide=me", "hide"),
        ("sort=secret", "sort"),
        ("cursor=x", "cursor"),
        ("at=yesterday", "at"),
        ("at=9999-12-31T23:59:59-14:00", "at"),
        ("pid=1&pid=2", "pid"),
        ("program=%00", "program"),
        ("colour=red", "colour"),
    ],
)
def test_a_bad_filter_is_named_and_nothing_else_breaks(
    viewer: Client, page: Page, host: Host, query: str, field: str
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?{query}", 400)
    assert f"<code>{field}</code>" in html
    assert rows(html) == []
    assert "<h1>" in html


def test_filters_stay_in_the_form_and_can_be_cleared(
    viewer: Client, page: Page, host: Host
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?remote_ip=203.0.113.9&state=TIME_WAIT&sort=pid")
    assert re.search(r'name="remote_ip" value="203.0.113.9"', html)
    assert '<option value="TIME_WAIT" selected>' in html
    assert '<a class="btn" href="?sort=pid">Clear</a>' in html


def test_addresses_ports_and_programs_lead_further(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?state=ESTABLISHED")
    assert 'href="?state=ESTABLISHED&amp;remote_ip=203.0.113.9"' in html
    assert 'href="?state=ESTABLISHED&amp;remote_port=41000"' in html
    assert 'href="?state=ESTABLISHED&amp;program=nginx"' in html
    assert 'href="/ports/?port=80"' in html
    assert 'data-copy="203.0.113.9"' in html


def test_the_csv_link_has_the_same_filters(viewer: Client, page: Page, host: Host) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?state=LISTEN&sort=-local_port")
    found = re.search(r'href="(/api/v1/hosts/[^"]+format=csv)"', html)
    assert found is not None
    response = viewer.get(unescape(found[1]))
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    listed = [row.split(",") for row in text.strip().splitlines()[1:]]
    assert len(listed) == 3
    assert "5432" in listed[0]


def test_the_states_are_counted_and_filter_at_a_click(
    viewer: Client, page: Page, host: Host
) -> None:
    html = page(viewer, f"/hosts/{host.pk}/?local_port=80")
    assert re.search(r'href="\?local_port=80&amp;state=LISTEN">LISTEN <b>3</b>', html)


def test_pages_follow_each_other_without_gap_or_repeat(
    viewer: Client, page: Page, host: Host
) -> None:
    peers = [line("192.0.2.1:80", f"198.51.100.{n % 250}:{20_000 + n}") for n in range(230)]
    fleet.seen(host, 1, LISTENER, *peers)
    address = f"/hosts/{host.pk}/?sort=foreign_port"
    seen: list[str] = []
    turns = 0
    while address:
        html = page(viewer, address)
        assert len(rows(html)) <= 100
        seen += rows(html)
        found = re.search(r'href="([^"]+)" rel="next">Next', html)
        address = f"/hosts/{host.pk}/{unescape(found[1])}" if found else ""
        turns += 1
    assert turns == 3
    assert len(seen) == len(set(seen)) == 231


def test_paging_goes_on_in_the_snapshot_it_began_with(
    viewer: Client, page: Page, host: Host
) -> None:
    peers = [line("192.0.2.1:80", f"198.51.100.7:{20_000 + n}") for n in range(150)]
    fleet.seen(host, 2, LISTENER, *peers)
    html = page(viewer, f"/hosts/{host.pk}/?sort=foreign_port")
    found = re.search(r'href="([^"]+)" rel="next">Next', html)
    assert found is not None
    fleet.seen(host, 1, LISTENER)
    html = page(viewer, f"/hosts/{host.pk}/{unescape(found[1])}")
    assert len(rows(html)) == 51
    assert "data-live" not in html


def test_a_host_of_a_hundred_thousand_sockets_has_a_short_page(
    viewer: Client, page: Page, host: Host
) -> None:
    peers = [
        line("192.0.2.1:443", f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}:{n % 60_000 + 1024}")
        for n in range(100_000)
    ]
    fleet.seen(host, 1, LISTENER, *peers)
    html = page(viewer, f"/hosts/{host.pk}/")
    assert len(rows(html)) == 100
    assert "100\N{NARROW NO-BREAK SPACE}001" in html
    assert len(html) < 400_000
    for tab in ("ports", "peers", "states", "probes"):
        assert len(page(viewer, f"/hosts/{host.pk}/{tab}/")) < 200_000


def test_hostile_names_are_text(viewer: Client, page: Page, host: Host) -> None:
    fleet.seen(
        host,
        1,
        line("0.0.0.0:81", "0.0.0.0:*", "LISTEN", "5/<script>alert(1)</script>"),
        line("192.0.2.1:81", "203.0.113.9:5", "ESTABLISHED", '6/"><img src=x onerror=a>'),
        line("192.0.2.1:81", "203.0.113.9:6", "ESTABLISHED", "7/{{ 7*7 }}{% x %}'&"),
    )
    for tab in ("", "ports/", "peers/", "states/"):
        html = page(viewer, f"/hosts/{host.pk}/{tab}")
        assert "<script>alert" not in html
        assert "<img" not in html
    html = page(viewer, f"/hosts/{host.pk}/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7*7 }}{% x %}" in html
    link = re.search(r'href="(\?program=%22[^"]+)"', html)
    assert link is not None
    assert len(rows(page(viewer, f"/hosts/{host.pk}/{unescape(link[1])}"))) == 1


def test_a_cut_address_is_shown_as_printed_with_a_mark_and_is_no_link(
    viewer: Client, page: Page
) -> None:
    host = Host.objects.create(name="cutting", address="cutting")
    whole = line("10.0.0.5:22", "10.0.0.9:50000")
    cut = line("2001:db8:10:20:30:4:443", "2001:db8:aaaa:bbb:65535", protocol="tcp6")
    fleet.seen(host, 100, whole, cut)

    html = page(viewer, f"/hosts/{host.pk}/")

    of_cut, of_whole = sorted(rows(html), key=lambda text: "cut" not in text)
    assert "2001:db8:10:20:30:4 cut : 443" in of_cut
    assert "2001:db8:aaaa:bbb cut : 65535" in of_cut
    assert "cut" not in of_whole
    assert "remote_ip=10.0.0.9" in html
    assert "remote_ip=2001" not in html


def test_the_header_says_what_is_missing_and_leads_there(
    viewer: Client, page: Page, host: Host
) -> None:
    odd = fleet.seen(
        host, 1, LISTENER, fleet.NEW_PEER.replace("901/nginx", "-"), "tcp what is this",
        privilege=Privilege.USER,
    )  # fmt: skip
    html = page(viewer, f"/hosts/{host.pk}/")
    assert "as an ordinary user" in html
    assert f'href="/snapshots/{odd.pk}/#rejected">1 line not understood' in html


def test_rows_without_a_process_are_one_click_away(viewer: Client, page: Page, host: Host) -> None:
    whole = Snapshot.objects.filter(host=host).order_by("-taken_at")[0]
    assert whole.without_pid == 0
    bare = Host.objects.create(name="bare", address="bare")
    fleet.seen(bare, 1, line("0.0.0.0:99", "0.0.0.0:*", "LISTEN", "-"), privilege=Privilege.USER)
    html = page(viewer, f"/hosts/{bare.pk}/")
    assert "?pid=none" in html
    assert "1 row lacks a PID" in html
    assert len(rows(page(viewer, f"/hosts/{bare.pk}/?pid=none"))) == 1


def test_a_failed_probe_keeps_the_table_and_says_how_old_it_is(
    viewer: Client, page: Page, host: Host
) -> None:
    fleet.failed(host, 1, Code.TIMED_OUT, "no answer <b>within</b> 30 s")
    html = page(viewer, f"/hosts/{host.pk}/")
    assert len(rows(html)) == 5
    assert "The host did not answer in time." in html
    assert "nothing is concluded from a failed probe" in html
    assert "no answer &lt;b&gt;within&lt;/b&gt; 30 s" in html


def test_a_host_without_a_probe_says_so(viewer: Client, page: Page, host: Host) -> None:
    fresh = Host.objects.create(name="fresh", address="fresh")
    for tab in ("", "ports/", "peers/", "states/", "probes/"):
        html = page(viewer, f"/hosts/{fresh.pk}/{tab}")
        assert "Nothing known yet" in html or "No probe to show" in html


def test_what_is_outside_the_groups_is_absent(host: Host) -> None:
    limited = browser_of(person("limited", Role.ADMIN, groups=[HostGroup.objects.create(name="g")]))
    snapshot = Snapshot.objects.filter(host=host)[0]
    absent = limited.get("/hosts/99999/")
    addresses = [
        f"/hosts/{host.pk}/{tab}"
        for tab in ("", "ports/", "peers/", "states/", "probes/", "progress/")
    ]
    for address in [*addresses, f"/snapshots/{snapshot.pk}/", f"/snapshots/{snapshot.pk}/raw/"]:
        response = limited.get(address)
        assert response.status_code == 404, address
        assert host.name not in response.content.decode()
    assert absent.status_code == 404
    assert limited.post(f"/hosts/{host.pk}/probe/").status_code == 404


TABS = ("", "ports/", "peers/", "states/", "network/", "history/", "diff/", "probes/")


@pytest.mark.parametrize("tab", TABS)
def test_a_removed_host_is_still_read_and_no_longer_acted_on(
    admin: Client, page: Page, host: Host, tab: str
) -> None:
    Host.objects.filter(pk=host.pk).update(removed_at=timezone.now(), enabled=False)
    html = page(admin, f"/hosts/{host.pk}/{tab}")
    assert "Removed on" in html
    assert "its history is kept until" in html
    for act in ("probe", "live", "reach", "edit"):
        assert f"/hosts/{host.pk}/{act}/" not in html, act
    assert "data-live=" not in html
    for other in ("/report/?host=", "/compare/?a=", "/paste/?host=", "/findings/?host="):
        assert other not in html, other


def test_a_removed_host_is_seen_as_it_was(viewer: Client, page: Page, host: Host) -> None:
    snapshot = Snapshot.objects.filter(host=host).order_by("-taken_at")[0]
    Host.objects.filter(pk=host.pk).update(removed_at=timezone.now(), enabled=False)
    then = moment.stamp(snapshot.taken_at)
    assert "203.0.113.9" in page(viewer, f"/hosts/{host.pk}/?at={then}")
    history = page(viewer, f"/hosts/{host.pk}/history/")
    assert "203.0.113.9" in history
    assert "still there" not in history
    assert "Removed on" in page(viewer, f"/snapshots/{snapshot.pk}/")


@pytest.mark.parametrize("act", ["probe/", "reach/", "live/beat/", "edit/", "remove/"])
def test_a_removed_host_is_absent_to_every_act(admin: Client, host: Host, act: str) -> None:
    Host.objects.filter(pk=host.pk).update(removed_at=timezone.now(), enabled=False)
    assert admin.post(f"/hosts/{host.pk}/{act}").status_code == 404


def test_a_removed_host_is_absent_to_other_groups_and_once_its_history_is_gone(
    viewer: Client, host: Host, settings: Any
) -> None:
    own = HostGroup.objects.create(name="own")
    limited = browser_of(person("lars", Role.VIEWER, groups=[own]))
    gone = timezone.now() - dt.timedelta(days=settings.RETENTION_DAYS, minutes=-1)
    Host.objects.filter(pk=host.pk).update(removed_at=gone, enabled=False)
    for tab in TABS:
        assert limited.get(f"/hosts/{host.pk}/{tab}").status_code == 404
    assert viewer.get(f"/hosts/{host.pk}/").status_code == 200
    Host.objects.filter(pk=host.pk).update(removed_at=gone - dt.timedelta(minutes=2))
    assert viewer.get(f"/hosts/{host.pk}/").status_code == 404


def test_the_live_table_is_sent_only_when_it_changed(viewer: Client, host: Host) -> None:
    newest = Snapshot.objects.filter(host=host).order_by("-taken_at")[0]
    live = {"HX-Request": "true"}
    assert viewer.get(f"/hosts/{host.pk}/?known={newest.pk}", headers=live).status_code == 204
    later = fleet.seen(host, 1, LISTENER)
    response = viewer.get(f"/hosts/{host.pk}/?known={newest.pk}", headers=live)
    html = response.content.decode()
    assert response.status_code == 200
    assert len(rows(html)) == 1
    assert f'name="known" value="{later.pk}"' in html
    assert "<html" not in html
