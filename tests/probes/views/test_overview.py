"""The overview: worst first, with the fix, filtered, sorted, as CSV, and only what one may see."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest
from django.test import Client

from hosts.models import Host, HostGroup
from netadmin.access.models import Role
from probes.observation import Code
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet

Page = Callable[..., str]

pytestmark = pytest.mark.django_db


def names(html: str) -> list[str]:
    """Hosts of the table, in its order."""
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', html)


@pytest.fixture
def hosts() -> dict[str, Host]:
    made = {
        name: Host.objects.create(name=name, address=name) for name in ("alpha", "beta", "gone")
    }
    fleet.seen(made["alpha"], 20, LISTENER)
    fleet.seen(made["beta"], 20, LISTENER, fleet.WEB)
    fleet.seen(made["gone"], 400, LISTENER)
    fleet.failed(made["gone"], 20, Code.UNREACHABLE, "no route to gone")
    return made


def test_the_worst_comes_first_and_names_its_fix(
    viewer: Client, page: Page, hosts: dict[str, Host]
) -> None:
    html = page(viewer, "/")
    assert names(html) == ["gone", "alpha", "beta"]
    problems = html[html.index("Open problems") : html.index("<table")]
    assert "Host unreachable" in problems
    assert "Check that the host is up and the network path." in problems
    assert f'href="/hosts/{hosts["gone"].pk}/"' in problems


@pytest.mark.parametrize(
    ("code", "address"),
    [
        (Code.HOST_KEY_CHANGED, "/hosts/keys/"),
        (Code.CREDENTIAL_MISSING, "/hosts/{host}/edit/"),
        (Code.COMMAND_FAILED, "/snapshots/{snapshot}/#raw-card"),
    ],
)
def test_a_problem_leads_to_where_it_is_mended(
    admin: Client, viewer: Client, page: Page, code: Code, address: str
) -> None:
    host = Host.objects.create(name="odd", address="odd")
    snapshot = fleet.failed(host, 5, code)
    link = f'href="{address.format(host=host.pk, snapshot=snapshot.pk)}"'
    for place in ("/", f"/hosts/{host.pk}/"):
        assert link in page(admin, place)
        assert (link in page(viewer, place)) == ("snapshots" in address)


def test_lines_not_understood_are_one_click_away(viewer: Client, page: Page, host: Host) -> None:
    odd = fleet.seen(host, 1, LISTENER, "an odd line")
    assert f'href="/snapshots/{odd.pk}/#rejected">' in page(viewer, "/")


def test_the_tiles_count_hosts_by_status_and_lead_to_them(
    viewer: Client, page: Page, hosts: dict[str, Host]
) -> None:
    html = page(viewer, "/")
    tile = re.search(r'href="(\?status=bad)">.*?na-tile-value[^>]*>(\d+)<', html, re.DOTALL)
    assert tile is not None
    assert tile[2] == "1"
    assert names(page(viewer, f"/{tile[1]}")) == ["gone"]


def test_text_group_and_status_narrow_the_list(
    viewer: Client, page: Page, hosts: dict[str, Host]
) -> None:
    group = HostGroup.objects.create(name="web")
    hosts["beta"].groups.add(group)
    assert names(page(viewer, "/?q=ALPH")) == ["alpha"]
    assert names(page(viewer, f"/?group={group.pk}")) == ["beta"]
    assert names(page(viewer, "/?status=ok")) == ["alpha", "beta"]
    nothing = page(viewer, "/?q=nowhere")
    assert names(nothing) == []
    assert "No host matches" in nothing


def test_columns_sort_and_turn_round(viewer: Client, page: Page, hosts: dict[str, Host]) -> None:
    html = page(viewer, "/?sort=-listeners")
    assert names(html)[0] == "beta"
    assert 'aria-sort="descending"' in html
    assert "?sort=listeners" in html
    assert names(page(viewer, "/?sort=name")) == ["alpha", "beta", "gone"]
    assert names(page(viewer, "/?sort=-name")) == ["gone", "beta", "alpha"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=passwords", "sort"),
        ("status=broken", "status"),
        ("group=web", "group"),
        ("group=99999999999999999999", "group"),
        ("group=%EF%BC%92", "group"),
        ("q=" + "x" * 201, "q"),
        ("q=%00", "q"),
    ],
)
def test_a_bad_filter_is_named(
    viewer: Client, page: Page, hosts: dict[str, Host], query: str, field: str
) -> None:
    assert f"<code>{field}</code>" in page(viewer, f"/?{query}", 400)


@pytest.mark.parametrize("number", ["0", "-1", "999", "x", ""])
def test_a_page_that_is_not_there_shows_one_that_is(
    viewer: Client, page: Page, hosts: dict[str, Host], number: str
) -> None:
    assert names(page(viewer, f"/?page={number}"))


def test_an_empty_site_says_what_to_do_next(viewer: Client, admin: Client, page: Page) -> None:
    assert 'href="/hosts/add/"' in page(admin, "/")
    html = page(viewer, "/")
    assert "Ask an administrator" in html
    assert "/hosts/add/" not in html


def test_hosts_outside_the_group_are_neither_listed_nor_counted(
    page: Page, hosts: dict[str, Host]
) -> None:
    group = HostGroup.objects.create(name="mine")
    hosts["alpha"].groups.add(group)
    limited = browser_of(person("limited", Role.VIEWER, groups=[group]))
    html = page(limited, "/")
    assert names(html) == ["alpha"]
    assert "gone" not in html
    assert names(page(limited, "/?q=gone")) == []
    other = HostGroup.objects.create(name="others")
    hosts["beta"].groups.add(other)
    html = page(limited, f"/?group={other.pk}")
    assert names(html) == []
    assert "others" not in html


def test_the_csv_has_exactly_the_filtered_rows(viewer: Client, hosts: dict[str, Host]) -> None:
    response = viewer.get("/?status=ok&sort=-name&format=csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert response["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["host"] for row in rows] == ["beta", "alpha"]
    assert rows[0]["listeners"] == "2"


def test_htmx_gets_the_live_part_alone(viewer: Client, hosts: dict[str, Host]) -> None:
    html = viewer.get("/", headers={"HX-Request": "true"}).content.decode()
    assert names(html) == ["gone", "alpha", "beta"]
    assert "<html" not in html
    assert "<nav class" not in html


def test_only_who_may_probe_sees_the_button(
    viewer: Client, operator: Client, page: Page, hosts: dict[str, Host]
) -> None:
    address = f"/hosts/{hosts['alpha'].pk}/probe/"
    assert address not in page(viewer, "/")
    assert address in page(operator, "/")


def test_a_late_scheduler_shows_on_every_page(viewer: Client, page: Page, host: Host) -> None:
    for address in ("/", "/ports/", f"/hosts/{host.pk}/"):
        assert "The scheduler is late." in page(viewer, address)


def test_the_bar_says_in_words_what_it_draws(
    viewer: Client, page: Page, hosts: dict[str, Host]
) -> None:
    html = page(viewer, "/?q=gone")
    assert 'aria-label="Last 2 probes: 1 whole, 1 failed"' in html
    assert "Host unreachable</title>" in html


def test_a_hostile_address_is_text(viewer: Client, page: Page) -> None:
    Host.objects.create(name="odd", address="<script>alert(1)</script>")
    html = page(viewer, "/")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_established_connections_are_counted_and_linked(
    viewer: Client, page: Page, host: Host
) -> None:
    fleet.seen(host, 5, LISTENER, line("192.0.2.1:22", "203.0.113.1:1024"))
    html = page(viewer, "/")
    assert f'<a href="/hosts/{host.pk}/?state=ESTABLISHED">1</a>' in html
