"""Charts in a real browser: spans, peaks, marks, a click that leads to a time, no script at all."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from hosts.models import Host


@pytest.fixture
def watched(live_server: Any) -> Host:
    """A host with a snapshot each ten minutes of two days, rolled up; one flood, one failure."""
    from django.utils import timezone

    from hosts.models import Host
    from probes.history import rollups
    from probes.models import Outcome, Schedule, Snapshot

    host = Host.objects.create(name="web1", address="192.0.2.1", interval_s=60)
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)  # the flood is not the last of its hour
    for number in range(288, 0, -1):
        flood, failed = number == 101, number == 50
        Snapshot.objects.create(
            host=host,
            taken_at=hour - dt.timedelta(minutes=10 * number),
            outcome=Outcome.FAILED if failed else Outcome.OK,
            code="timed_out" if failed else "",
            sockets=9_000 if flood else 40,
            by_state={} if failed else {"ESTABLISHED": 8_999 if flood else 39, "LISTEN": 1},
        )
    newest = Snapshot.objects.latest("taken_at")
    Schedule.objects.create(host=host, next_probe_at=now, latest=newest, latest_whole=newest)
    while rollups.roll_up(now):
        pass
    return host


@pytest.fixture
def states(
    page: Page, live_server: Any, sign_in: Callable[..., None], watched: Host
) -> Callable[[str], Page]:
    """``states(query)``: the States tab with its chart drawn."""

    def open_page(query: str = "") -> Page:
        sign_in(page, "viewer")
        page.goto(f"{live_server.url}/hosts/{watched.pk}/states/{query}")
        page.wait_for_selector("[data-chart][data-drawn] canvas")
        return page

    return open_page


def test_a_click_shows_that_time_and_a_drag_zooms(
    states: Callable[[str], Page], complaints: list[str]
) -> None:
    page = states("?span=86400")
    over = page.locator("[data-chart] .u-over").bounding_box()
    assert over is not None
    middle = over["y"] + over["height"] / 2
    page.mouse.move(over["x"] + 20, middle)
    page.mouse.down()
    page.mouse.move(over["x"] + over["width"] - 20, middle, steps=4)
    page.mouse.up()
    page.mouse.dblclick(over["x"] + 100, middle)
    assert "at=" not in page.url

    page.mouse.click(over["x"] + over["width"] / 2, middle)

    page.wait_for_url(re.compile(r"\?span=86400&at=\d{4}-"))
    page.wait_for_selector("text=You look at")
    assert not complaints


def test_a_short_flood_is_seen_in_a_month(states: Callable[[str], Page]) -> None:
    from playwright.sync_api import expect

    page = states("?span=2592000")
    data = page.evaluate(
        "fetch(document.querySelector('a[rel=alternate]:nth-of-type(2)').href)"
        ".then(answer => answer.json())"
    )["data"]
    assert max(filter(None, data["most"]["ESTABLISHED"])) == 8_999
    place = data["most"]["ESTABLISHED"].index(8_999)
    times = data["times"]
    over = page.locator("[data-chart] .u-over").bounding_box()
    assert over is not None
    share = (data["times"][place] - times[0]) / (times[-1] - times[0])
    page.mouse.move(over["x"] + over["width"] * share, over["y"] + 20)
    expect(page.locator("[data-chart] .u-legend")).to_contain_text("at most 8999")


def test_stacked_lines_tell_their_own_values_and_close_up_where_one_is_hidden(
    states: Callable[[str], Page], complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    page = states("?span=86400")
    page.evaluate(
        """() => {
          document.querySelector("[data-chart]").dataset.kind = "stacked";
          document.dispatchEvent(new Event("netadmin:theme"));
        }"""
    )
    over = page.locator("[data-chart] .u-over").bounding_box()
    assert over is not None
    page.mouse.move(over["x"] + over["width"] * 0.9, over["y"] + 20)
    legend = page.locator("[data-chart] .u-legend")
    expect(legend).to_contain_text("ESTABLISHED39")
    picture = "canvas => canvas.toDataURL()"
    before = page.locator("[data-chart] canvas").evaluate(picture)
    legend.get_by_text("ESTABLISHED").click()
    expect(legend.locator(".u-off")).to_have_count(1)
    after = page.locator("[data-chart] canvas").evaluate(picture)
    assert before != after
    assert not complaints


def test_its_numbers_are_links_without_a_script(
    scriptless: Page, live_server: Any, sign_in: Callable[..., None], watched: Host
) -> None:
    sign_in(scriptless, "viewer")
    scriptless.goto(f"{live_server.url}/hosts/{watched.pk}/states/?by=total&span=86400")
    assert "needs JavaScript" in scriptless.locator("main").inner_text()
    scriptless.get_by_role("link", name="JSON").click()
    assert '"total"' in scriptless.locator("body").inner_text()
