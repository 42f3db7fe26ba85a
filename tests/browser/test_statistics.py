"""The page Statistics in a real browser: one click, a filter, a pivot, a chart, and no script."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from hosts.models import Host
from tests.probes.history.played import LISTENER, line
from tests.probes.views import fleet as shown

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPENED = line("192.0.2.1:80", "2001:db8::77:5000", "ESTABLISHED", "9/nginx", protocol="tcp6")
HALF_OPEN = line("192.0.2.1:80", "198.51.100.66:5001", "SYN_RECV", "-")


@pytest.fixture
def host(fleet: dict[str, Host]) -> Host:
    """web1 with a web server, an open connection and a half-open one."""
    web1 = fleet["web1"]
    shown.seen(web1, 60, LISTENER, shown.WEB, OPENED)
    shown.seen(web1, 1, LISTENER, shown.WEB, OPENED, HALF_OPEN)
    return web1


def test_one_click_a_filter_and_a_pivot(
    page: Page, live_server: Any, sign_in: Callable[..., None], host: Host, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    sign_in(page, "viewer")
    page.goto(f"{live_server.url}/statistics/")
    table = page.locator(".na-scroll tbody")
    expect(table).to_contain_text("2001:db8::77")

    page.get_by_role("link", name="SYN_RECV per IP").click()
    page.wait_for_url("**by=syn")
    expect(page.locator("h2#statistic-title")).to_have_text("SYN_RECV per IP")
    expect(table.locator("tr")).to_have_count(1)
    expect(table).to_contain_text("198.51.100.66")

    page.get_by_role("link", name="Connections per local port").click()
    page.select_option("#place-host", label="web1")
    page.wait_for_url(f"**host={host.pk}*")
    page.fill("[name=local_port]", "80")
    page.press("[name=local_port]", "Enter")
    page.wait_for_url("**local_port=80*")
    assert "by=ports" in page.url
    assert f"host={host.pk}" in page.url
    expect(table.locator("tr")).to_have_count(1)

    table.locator("tr").first.locator("td").nth(3).locator("a").click()
    page.wait_for_url("**by=list*")
    expect(page.locator("h2#statistic-title")).to_have_text("The connections themselves")
    expect(table.locator("tr")).to_have_count(2)
    table.get_by_role("link", name="2001:db8::77").click()
    page.wait_for_url("**remote_ip=2001*")
    expect(table.locator("tr")).to_have_count(1)
    assert not complaints


def test_the_states_are_drawn_over_time(
    page: Page, live_server: Any, sign_in: Callable[..., None], host: Host, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    sign_in(page, "viewer")
    page.goto(f"{live_server.url}/statistics/?by=states&host={host.pk}")
    page.wait_for_selector("[data-chart][data-drawn] canvas")
    expect(page.locator(".u-legend")).to_contain_text("ESTABLISHED")
    expect(page.locator(".na-scroll tbody")).to_contain_text("CLOSE_WAIT")
    assert not complaints


def test_all_of_it_but_the_chart_works_without_javascript(
    scriptless: Page, live_server: Any, sign_in: Callable[..., None], host: Host
) -> None:
    from playwright.sync_api import expect

    opened = scriptless
    sign_in(opened, "viewer")
    opened.goto(f"{live_server.url}/statistics/")
    opened.get_by_role("link", name="IPs on one port").click()
    opened.fill("[name=port]", "80")
    opened.get_by_role("button", name="Filter").click()
    expect(opened.locator(".na-scroll tbody")).to_contain_text("2001:db8::77")
    opened.select_option("#place-host", label="down")
    opened.get_by_role("button", name="Go").last.click()
    expect(opened.locator("main")).to_contain_text("There is no such socket at this time.")
