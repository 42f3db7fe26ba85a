"""Findings in a real browser: read, filtered, followed to their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hosts.models import Host
from netadmin.access.models import Role
from probes.history import store
from tests.people import browser_of, person
from tests.probes.history.played import LISTENER, line, observed, table

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def opened(page: Page, live_server: Any) -> Page:
    """A viewer, over a host that leaks and leaves many connections in TIME_WAIT."""
    host = Host.objects.create(name="web-1", address="10.0.0.5")
    for minute in range(6):
        rows = [
            line(f"10.0.0.5:{40_000 + n}", "10.0.0.20:5432", "CLOSE_WAIT", "900/app")
            for n in range(30 * minute)
        ]
        rows += [
            line(f"10.0.0.5:{41_000 + n}", "10.0.0.21:443", "TIME_WAIT", "-") for n in range(600)
        ]
        store.save(host, observed(minute, table(LISTENER, *rows)))
    vera = person("vera", Role.VIEWER)
    session = browser_of(vera).cookies["netadmin_session"].value
    page.context.add_cookies(
        [{"name": "netadmin_session", "value": session, "url": live_server.url}]
    )
    page.goto(f"{live_server.url}/findings/")
    return page


def test_a_finding_leads_to_exactly_its_rows_and_back(opened: Page) -> None:
    cards = opened.locator(".nf-card")
    assert cards.count() == 2
    first = cards.nth(0)
    assert "app leaves connections with 10.0.0.20:5432 unclosed" in first.inner_text()
    assert "150" in first.locator(".nf-count").inner_text()
    assert first.locator("svg polyline").count() == 1
    assert first.locator("tbody tr").count() == 5
    first.get_by_text("All its rows among the connections").click()
    opened.wait_for_selector("text=100 of 150 rows")
    assert opened.locator("tbody tr").first.get_by_text("CLOSE_WAIT").count() == 1
    opened.go_back()
    opened.wait_for_selector(".nf-card")


def test_a_kind_is_chosen_by_its_tile_and_left_by_it(opened: Page) -> None:
    tile = opened.locator(".na-tile", has_text="Many in TIME_WAIT")
    tile.click()
    opened.wait_for_selector(".na-tile[aria-current]")
    assert opened.locator(".nf-card").count() == 1
    assert "kind=waits" in opened.url
    assert "60 seconds, a constant" in opened.locator(".nf-card").inner_text()
    opened.locator(".na-tile[aria-current]").click()
    opened.wait_for_selector(".na-tiles:not(:has([aria-current]))")
    assert opened.locator(".nf-card").count() == 2


def test_rows_can_be_folded_and_what_is_looked_for_unfolded(opened: Page) -> None:
    rows = opened.locator(".nf-rows").first
    rows.locator("summary").click()
    assert not rows.locator("table").is_visible()
    looked = opened.locator(".nf-looked")
    assert not looked.locator("dl").is_visible()
    looked.locator("summary").click()
    assert looked.locator("dd").count() == 5
    assert looked.locator("dl").is_visible()
