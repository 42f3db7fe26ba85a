"""Time travel in Chromium: slider, date field, timeline, diff, history, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from hosts.models import Host

At = Callable[[str], "Page"]

HOUR_S = 3600


@pytest.fixture
def at(page: Page, live_server: Any, sign_in: Callable[..., None]) -> At:
    """``at(path)``: the page of that path, signed in."""
    sign_in(page)

    def go(path: str) -> Page:
        page.goto(f"{live_server.url}{path}")
        return page

    return go


@pytest.fixture
def host(live_server: Any) -> Host:
    """A host probed each hour for a day; each probe saw one socket more, each third another."""
    from hosts.models import Host
    from tests.probes.history.played import LISTENER, line
    from tests.probes.views import fleet

    host = Host.objects.create(name="web1", address="192.0.2.1")
    for number in range(24):
        peers = [line(f"10.0.0.5:{4000 + n}", f"203.0.113.{n}:443") for n in range(number)]
        fleet.seen(host, (24 - number) * HOUR_S - 60, LISTENER, *peers)
    return host


def rows(page: Page) -> Locator:
    return page.locator("section[aria-label=Connections] tbody tr")


def slider(page: Page) -> Locator:
    return page.get_by_label("Snapshot to look at")


def test_the_slider_is_walked_by_keys_and_by_hand(
    at: At, host: Host, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{host.pk}/?span=86400")
    expect(rows(page)).to_have_count(24)
    expect(slider(page)).to_be_visible()
    expect(slider(page)).to_have_value("23")
    slider(page).focus()
    slider(page).press("ArrowLeft")
    expect(rows(page)).to_have_count(23)
    expect(page.locator(".na-banner-time")).to_contain_text("You look at")
    expect(slider(page)).to_have_value("22")
    box = slider(page).bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 22.5 / 23, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
    before = page.url
    # While it is dragged it tells the time, and stays.
    told = page.locator("[data-time-shown]")
    value = int(slider(page).input_value())
    assert 8 < value < 15
    expect(told).to_have_text(slider(page).get_attribute("aria-valuetext") or "-")
    assert page.url == before
    page.mouse.up()
    page.wait_for_url(lambda url: url != before)
    expect(rows(page)).to_have_count(value + 1)
    page.go_back()
    expect(rows(page)).to_have_count(23)
    page.go_back()
    expect(rows(page)).to_have_count(24)
    expect(slider(page)).to_have_value("23")
    assert not complaints


def test_the_span_of_the_slider_is_chosen_and_stays(at: At, host: Host) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{host.pk}/?span=86400")
    page.get_by_role("link", name="6 hours", exact=True).click()
    expect(slider(page)).to_have_attribute("max", "5")
    page.get_by_role("link", name="all", exact=True).click()
    expect(slider(page)).to_have_attribute("max", "23")
    page.get_by_role("link", name="Peers").click()
    expect(page).to_have_url(re.compile("span=all"))
    expect(slider(page)).to_have_attribute("max", "23")


def test_the_date_field_leads_to_the_probe_before_it(at: At, host: Host) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{host.pk}/?span=86400&remote_ip=203.0.113.0/24")
    page.click("[rel=prev]")
    expect(rows(page)).to_have_count(22)
    shown = page.locator("#at").input_value()
    page.click("[rel=prev]")
    expect(rows(page)).to_have_count(21)
    page.fill("#at", shown)
    page.get_by_role("button", name="Go", exact=True).click()
    expect(rows(page)).to_have_count(22)
    expect(page.get_by_label("Remote IP")).to_have_value("203.0.113.0/24")
    expect(page).to_have_url(re.compile("span=86400"))


def test_a_click_on_the_timeline_goes_to_that_time(at: At, host: Host) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{host.pk}/?span=86400&by=total")
    over = page.locator("[data-chart] .u-over")
    expect(over).to_be_visible()
    box = over.bounding_box()
    assert box is not None
    over.click(position={"x": box["width"] * 0.5, "y": box["height"] / 2})
    expect(page.locator(".na-banner-time")).to_contain_text("You look at")
    expect(page).to_have_url(re.compile("at="))
    expect(page).to_have_url(re.compile("span=86400"))
    number = rows(page).count()
    assert 8 < number < 17
    wait_until(lambda: over.count() == 1, what="the timeline is drawn again")
    page.go_back()
    expect(rows(page)).to_have_count(24)


def test_a_diff_is_walked_filtered_and_turned_round(
    at: At, host: Host, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{host.pk}/")
    page.get_by_role("link", name="Diff").click()
    table = page.locator("tbody tr")
    expect(table).to_have_count(1)
    expect(table).to_contain_text("Opened")
    page.get_by_role("link", name="1 hour before").click()
    expect(table).to_have_count(1)
    page.get_by_role("link", name="the day before").click()
    expect(page.locator(".na-empty")).to_contain_text("Nothing is known of the first time")
    page.go_back()
    expect(table).to_have_count(1)
    page.get_by_role("link", name="Swap").click()
    expect(table).to_contain_text("Closed")
    expect(page.locator(".nt-said")).to_contain_text("Backwards")
    page.go_back()
    expect(table).to_contain_text("Opened")
    page.get_by_label("Remote IP").fill("192.0.2.0/24")
    page.get_by_label("Remote IP").press("Enter")
    expect(page.locator(".na-empty")).to_contain_text("No difference matches")
    page.go_back()
    expect(table).to_have_count(1)
    assert not complaints


def test_history_is_filtered_and_leads_to_its_first_sight(at: At, host: Host) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{host.pk}/history/?span=all")
    table = page.locator("tbody tr")
    expect(table).to_have_count(24)
    page.get_by_label("Remote IP").fill("203.0.113.5")
    page.get_by_label("Remote IP").press("Enter")
    expect(table).to_have_count(1)
    expect(page).to_have_url(re.compile("span=all"))
    expect(table).to_contain_text("still there")
    table.locator("td a[href*='?at=']").first.click()
    expect(page.locator(".na-banner-time")).to_contain_text("You look at")
    expect(rows(page)).to_have_count(7)
    page.go_back()
    expect(page.get_by_label("Remote IP")).to_have_value("203.0.113.5")
    expect(table).to_have_count(1)


def test_time_is_travelled_without_a_script(
    scriptless: Page, live_server: Any, sign_in: Callable[..., None], host: Host
) -> None:
    from playwright.sync_api import expect

    page = scriptless
    sign_in(page)
    page.goto(f"{live_server.url}/hosts/{host.pk}/?span=86400")
    page.click("[rel=prev]")
    expect(rows(page)).to_have_count(23)
    page.get_by_role("link", name="Diff").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="History").click()
    expect(page.locator("tbody tr")).to_have_count(23)
