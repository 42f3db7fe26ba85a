"""Using the pages: log in, look, filter, travel in time, probe, and see what is new."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from hosts.models import Host

SignIn = Callable[..., None]
Fleet = dict[str, "Host"]


@pytest.fixture
def at(page: Page, live_server: Any, sign_in: SignIn, fleet: Fleet) -> Callable[[str], Page]:
    """``at(address)``: the page there, signed in as an operator."""
    sign_in(page)

    def open_page(address: str) -> Page:
        page.goto(f"{live_server.url}{address}")
        return page

    return open_page


At = Callable[[str], "Page"]


def test_logging_in_shows_the_worst_first_and_logging_out_ends_it(
    page: Page, live_server: Any, fleet: Fleet, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    from netadmin.access.models import Role
    from tests.people import PASSWORD, person

    person("ann", Role.VIEWER, password=PASSWORD)
    page.goto(live_server.url)
    page.fill("[name=username]", "ann")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    expect(page.locator("h1")).to_have_text("Overview")
    names = page.locator("tbody th > a")
    expect(names).to_have_text(["down", "fresh", "web1"])
    expect(page.locator(".na-problems")).to_contain_text("Host unreachable")
    page.click("summary[title=ann]")
    page.click("text=Log out")
    expect(page.locator("[name=username]")).to_be_visible()
    page.goto(live_server.url)
    expect(page).to_have_url(re.compile("/login/"))
    assert not complaints


def test_filters_go_to_the_address_without_what_is_empty(at: At, fleet: Fleet) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{fleet['web1'].pk}/")
    page.fill("[name=remote_ip]", "203.0.113.0/24")
    page.press("[name=remote_ip]", "Enter")
    expect(page).to_have_url(re.compile(r"/\?remote_ip=203\.0\.113\.0%2F24$"))
    expect(page.locator(".table tbody tr")).to_have_count(2)
    page.wait_for_load_state()  # before it, no script hears of a choice
    page.select_option("[name=state]", "TIME_WAIT")
    expect(page.locator(".table tbody tr")).to_have_count(1)
    page.click("text=Clear")
    expect(page.locator(".table tbody tr")).to_have_count(5)
    page.go_back()
    expect(page.get_by_label("Remote IP")).to_have_value("203.0.113.0/24")
    expect(page.get_by_label("Remote IP")).to_be_enabled()


def test_an_address_is_pivoted_on_and_copied_at_a_click(at: At, fleet: Fleet) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{fleet['web1'].pk}/")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = page.locator(".table tbody tr", has_text="41001")
    row.hover()
    row.locator("[data-copy]").click()
    expect(page.locator("[data-toast]")).to_have_text("Copied: 203.0.113.9")
    assert page.evaluate("navigator.clipboard.readText()") == "203.0.113.9"
    row.locator("text=203.0.113.9").click()
    expect(page.locator(".table tbody tr")).to_have_count(2)
    page.locator(".table tbody tr").first.locator("a", has_text=re.compile("^80$")).click()
    expect(page.locator("h1")).to_have_text("Port 80")


def test_time_is_travelled_by_links_slider_and_field(at: At, fleet: Fleet) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{fleet['web1'].pk}/")
    rows = page.locator(".table tbody tr")
    expect(rows).to_have_count(5)
    page.click("[rel=prev]")
    expect(page.locator(".na-banner-time")).to_contain_text("You look at")
    expect(rows).to_have_count(3)
    slider = page.get_by_label("Snapshot to look at")
    # Hidden until the script that hears of it has run.
    expect(slider).to_be_visible()
    expect(slider).to_have_value("0")
    slider.focus()
    slider.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"/hosts/\d+/\?$|/hosts/\d+/$"))
    expect(rows).to_have_count(5)
    page.fill("#at", "2001-02-03T04:05:06")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.locator(".na-banner-time")).to_contain_text("Nothing is known of that time.")
    page.click("text=Back to now")
    expect(rows).to_have_count(5)


def test_the_theme_follows_the_system_until_it_is_chosen(at: At) -> None:
    from playwright.sync_api import expect

    page = at("/")
    root = page.locator("html")
    page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    toggle = page.locator("[data-theme-toggle]")
    expect(toggle).to_have_attribute("aria-label", "Theme: as the system")
    toggle.click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "light")
    toggle.click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    toggle.click()
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_the_theme_is_set_before_anything_is_painted(at: At) -> None:
    page = at("/")
    script = page.locator("head script").first
    assert "theme" in (script.get_attribute("src") or "")
    assert script.get_attribute("defer") is None
    assert page.evaluate(
        "document.querySelector('head script').compareDocumentPosition("
        "document.querySelector('link[rel=stylesheet]')) & Node.DOCUMENT_POSITION_FOLLOWING"
    )


def test_a_slash_searches_from_anywhere(at: At, fleet: Fleet) -> None:
    from playwright.sync_api import expect

    page = at("/")
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).to_be_focused()
    page.keyboard.type("web1")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("web1")
    page.fill("[name=program]", "")
    page.locator("[name=program]").press("/")
    expect(page.locator("[name=program]")).to_have_value("/")
    page.keyboard.press("Tab")


def test_menus_close_by_escape_and_by_a_click_elsewhere(at: At) -> None:
    from playwright.sync_api import expect

    page = at("/")
    menu = page.locator("details[data-menu]").last
    menu.locator("summary").click()
    expect(menu.locator("text=Log out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu.locator("text=Log out")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.locator("h1").click()
    expect(menu.locator("text=Log out")).to_be_hidden()


def test_the_language_is_chosen_from_the_menu(at: At) -> None:
    from playwright.sync_api import expect

    page = at("/ports/")
    page.click("summary[title=Language]")
    page.click("button[value=zh-hans]")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page).to_have_url(re.compile("/ports/$"))
    expect(page.locator("h1")).not_to_have_text("Ports")


def test_a_new_probe_shows_without_a_reload(at: At, fleet: Fleet, complaints: list[str]) -> None:
    from playwright.sync_api import expect

    from tests.probes.history.played import LISTENER
    from tests.probes.views import fleet as probes

    page = at(f"/hosts/{fleet['web1'].pk}/")
    page.evaluate("window.sameDocument = true")
    expect(page.locator(".table tbody tr")).to_have_count(5)
    probes.seen(fleet["web1"], 1, LISTENER)
    page.evaluate("document.querySelector('[data-live]').dataset.live = '0'")
    expect(page.locator(".table tbody tr")).to_have_count(1)
    assert page.evaluate("window.sameDocument")
    at("/")
    page.evaluate("window.sameDocument = true")
    row = page.locator(".table tbody tr", has_text="web1")
    probes.seen(fleet["web1"], 0.5, LISTENER, probes.WEB)
    page.evaluate("document.querySelector('[data-live]').dataset.live = '0'")
    expect(row.locator("td.na-num").nth(1)).to_have_text("2")
    assert page.evaluate("window.sameDocument")
    assert not complaints


def test_a_hidden_page_asks_nothing_and_asks_at_once_when_seen(at: At, fleet: Fleet) -> None:
    page = at("/")
    asked: list[str] = []
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.isHidden ?? true});"
        "document.querySelector('[data-live]').dataset.live = '0'"
    )
    # What the page shows, not what the browser fetches beside it (the tab's icon comes late).
    page.on(
        "request",
        lambda request: asked.append(request.url) if request.resource_type == "xhr" else None,
    )
    # Two turns of the page's own clock, by the same clock.
    page.evaluate("new Promise(done => setTimeout(done, 2500))")
    assert not asked
    with page.expect_request(lambda request: request.headers.get("hx-request") == "true"):
        page.evaluate(
            "window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_probe_now_shows_progress_and_then_the_new_table(at: At, fleet: Fleet) -> None:
    from playwright.sync_api import expect

    from probes import schedule
    from tests.probes.history.played import LISTENER
    from tests.probes.views import fleet as probes

    host = fleet["web1"]
    page = at(f"/hosts/{host.pk}/")
    page.click("text=Probe now")
    expect(page.locator(".na-heading .na-actions")).to_contain_text("Waiting for a worker")
    token = schedule.claim_one(host)
    assert token is not None
    expect(page.locator(".na-heading .na-actions")).to_contain_text("Probing")
    schedule.finish(host, token, probes.seen(host, -1, LISTENER))
    expect(page.locator(".table tbody tr")).to_have_count(1)
    expect(page.locator(".na-heading .na-actions")).to_contain_text("Probe now")


def test_a_session_that_ended_leads_to_the_login(at: At) -> None:
    from playwright.sync_api import expect

    page = at("/")
    page.context.clear_cookies()
    page.evaluate("document.querySelector('[data-live]').dataset.live = '0'")
    expect(page.locator("[name=username]")).to_be_visible()


def test_the_chart_is_drawn_and_follows_the_theme(
    at: At, fleet: Fleet, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    page = at(f"/hosts/{fleet['web1'].pk}/states/")
    legend = page.locator("[data-chart] .u-legend")
    expect(legend).to_contain_text("LISTEN")
    expect(legend).to_contain_text("ESTABLISHED")
    before = page.locator("[data-chart] canvas").evaluate("canvas => canvas.toDataURL()")
    page.click("[data-theme-toggle]")
    page.click("[data-theme-toggle]")
    after = page.locator("[data-chart] canvas").evaluate("canvas => canvas.toDataURL()")
    assert before != after
    page = at(f"/hosts/{fleet['fresh'].pk}/states/")
    expect(page.locator("[data-chart]")).to_contain_text("the chart needs two whole probes")
    assert not complaints


def test_everything_works_without_a_script(
    scriptless: Page, live_server: Any, sign_in: SignIn, fleet: Fleet
) -> None:
    from playwright.sync_api import expect

    from probes.models import Schedule

    page, host = scriptless, fleet["web1"]
    sign_in(page)
    page.goto(f"{live_server.url}/hosts/{host.pk}/")
    page.get_by_label("Remote IP").fill("203.0.113.9")
    page.click("button:has-text('Filter')")
    expect(page.locator(".table tbody tr")).to_have_count(2)
    page.click("[rel=prev]")
    expect(page.locator(".na-banner-time")).to_contain_text("You look at")
    expect(page.get_by_label("Remote IP")).to_have_value("203.0.113.9")
    page.click("text=Back to now")
    page.click("summary:has-text('More')")
    page.get_by_label("Hide").select_option("listen")
    page.click("button:has-text('Filter')")
    expect(page.locator(".table tbody tr")).to_have_count(2)
    page.click("text=Probe now")
    expect(page.locator(".na-banner-success")).to_contain_text("web1 is probed next.")
    assert Schedule.objects.get(host=host).requested_by == "operator"
    page.click("summary[title=operator]")
    page.click("text=Log out")
    expect(page.locator("[name=username]")).to_be_visible()
