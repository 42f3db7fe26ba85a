"""The network tables in a real browser: the chart of an interface, and pages without a script."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from hosts.models import Host
from probes.history import tables
from tests.probes.history.tabled import interface, interfaces, routes, seen, usual

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def host(fleet: dict[str, Host]) -> Host:
    """web1 with a day of samples, a restart among them."""
    now = timezone.now()
    for sample in range(30, 0, -1):
        received = 3_000_000 * (30 - sample if sample > 12 else 12 - sample)
        cards = interfaces(interface("eth0", received, received // 10), interface("wg0", 9, 9))
        observation = seen(0, *usual()[:1], cards, *usual()[2:])
        taken_at = now - dt.timedelta(minutes=10 * sample)
        tables.save(fleet["web1"], dataclasses.replace(observation, taken_at=taken_at))
    return fleet["web1"]


def test_the_traffic_of_the_busiest_interface_is_drawn(
    page: Page, live_server: Any, sign_in: Callable[..., None], host: Host, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    sign_in(page, "viewer")
    page.goto(f"{live_server.url}/hosts/{host.pk}/network/?table=interfaces")

    page.wait_for_selector("[data-chart][data-drawn] canvas")
    expect(page.locator(".u-legend")).to_contain_text("received")
    page.get_by_role("link", name="Packets", exact=True).click()
    page.wait_for_selector("[data-chart*='by=packets'][data-drawn]")
    page.get_by_role("link", name="wg0").click()
    page.wait_for_selector("[data-chart*='interface=wg0'][data-drawn]")
    assert not complaints


def test_the_slider_walks_the_times_of_the_table(
    page: Page, live_server: Any, sign_in: Callable[..., None], host: Host
) -> None:
    from playwright.sync_api import expect

    changed = seen(0, routes(("0.0.0.0", "192.0.2.9", "0.0.0.0", "UG", "eth0")))
    tables.save(host, dataclasses.replace(changed, taken_at=timezone.now()))
    sign_in(page, "viewer")
    page.goto(f"{live_server.url}/hosts/{host.pk}/network/")
    expect(page.locator("tbody tr")).to_have_count(1)

    page.locator("[data-time-range] input").focus()
    page.keyboard.press("ArrowLeft")

    page.wait_for_url("**at=*")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("main")).to_contain_text("You look at")


def test_all_of_it_but_the_chart_works_without_javascript(
    scriptless: Page, live_server: Any, sign_in: Callable[..., None], host: Host
) -> None:
    from playwright.sync_api import expect

    opened = scriptless
    sign_in(opened, "viewer")
    opened.goto(f"{live_server.url}/hosts/{host.pk}/network/?table=interfaces")
    assert "The chart needs JavaScript" in opened.locator("main").inner_text()

    opened.fill("#f-name", "wg")
    opened.get_by_role("button", name="Filter").click()

    expect(opened.locator("tbody tr")).to_have_count(1)
    expect(opened.locator("tbody tr")).to_contain_text("wg0")
    opened.get_by_role("link", name="Routes").click()
    expect(opened.locator("tbody tr")).to_have_count(2)
