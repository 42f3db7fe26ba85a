"""Hunting, alerts and the search in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from netadmin.access.models import Role
from probes import health
from probes.hunts import running as hunting
from probes.models import Alert, Hunt
from tests.people import browser_of, person
from tests.probes.views import fleet

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def site(page: Page, live_server: Any) -> Page:
    """A browser of an operator, over web1 and its peers."""
    otto = person("otto", Role.OPERATOR)
    fleet.web1()
    health.beat("worker@test")
    session = browser_of(otto).cookies["netadmin_session"].value
    page.context.add_cookies(
        [{"name": "netadmin_session", "value": session, "url": live_server.url}]
    )
    page.goto(live_server.url)
    return page


def test_a_slash_searches_and_an_address_leads_to_who_ever_talked_to_it(site: Page) -> None:
    site.keyboard.press("/")
    site.keyboard.type("203.0.113.9")
    site.keyboard.press("Enter")
    expect(site.get_by_role("heading", name="In all history")).to_be_visible()
    expect(site.get_by_role("heading", name="Connected now")).to_be_visible()
    site.get_by_role("link", name="Hunt for it in all history").click()
    expect(site.locator("#ip")).to_have_value("203.0.113.9")
    hosts = site.get_by_role("group", name="Table of hosts")
    expect(hosts.get_by_role("link", name="web1")).to_be_visible()
    site.select_option("#state", "TIME_WAIT")
    site.get_by_role("button", name="Hunt").click()
    assert re.search(r"/hunt/\?ip=203\.0\.113\.9&state=TIME_WAIT$", site.url), site.url
    rows = site.get_by_role("group", name="Table of connections")
    expect(rows.locator("tbody tr")).to_have_count(1)
    rows.locator("tbody a").first.click()
    expect(site.locator(".na-banner-time")).to_be_visible()
    assert "?at=" in site.url


def test_a_list_is_pasted_saved_as_a_hunt_and_its_alert_acknowledged(site: Page) -> None:
    site.get_by_role("link", name="Hunt", exact=True).click()
    site.get_by_role("link", name="A pasted list").click()
    site.fill("#indicators", "203[.]0[.]113[.]9\nevil.example\nprogram:xmrig")
    site.get_by_role("button", name="Hunt", exact=True).click()
    expect(site.get_by_text("Names are not searched")).to_be_visible()
    hosts = site.get_by_role("group", name="Table of hosts")
    expect(hosts.locator("tbody tr")).to_have_count(1)
    site.get_by_role("link", name="Save this hunt").click()
    expect(site.locator("#id_indicators")).to_have_value("203.0.113.9\nprogram:xmrig")
    site.fill("#id_name", "botnet")
    site.get_by_role("button", name="Save").click()
    expect(site.get_by_role("group", name="Table of hunts")).to_contain_text("botnet")

    assert Hunt.objects.get().name == "botnet"
    hunting.run()
    assert Alert.objects.count() == 1
    site.reload()
    expect(site.locator(".na-badge")).to_have_text("1")
    site.get_by_role("link", name="Alerts").click()
    site.get_by_role("row").get_by_role("button", name="Acknowledge").click()
    expect(site.get_by_text("Nothing is wrong")).to_be_visible()
    site.select_option("#state", "resolved")
    expect(site.get_by_text("acknowledged by otto")).to_be_visible()
    expect(site.locator(".na-badge")).to_have_count(0)
