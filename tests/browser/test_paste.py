"""Pasting output in a real browser: with a script and without, short and too long for a field."""

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


def a_table(*rows: str) -> str:
    from tests.probes.history.played import LISTENER, table

    return table(LISTENER, *rows)


def test_a_paste_is_shown_and_saved_without_a_script(
    scriptless: Page, live_server: Any, sign_in: SignIn, fleet: Fleet
) -> None:
    from playwright.sync_api import expect

    from tests.probes.history.played import line

    sign_in(scriptless)
    scriptless.goto(f"{live_server.url}/hosts/{fleet['down'].pk}/")
    scriptless.click("text=Paste its netstat output")
    hostile = line(holder="66/<script>alert(1)</script>")
    scriptless.fill("[name=text]", a_table(hostile, "an odd line"))
    scriptless.click("text=Show its tables")
    expect(scriptless.locator("#table-sockets tbody tr")).to_have_count(2)
    expect(scriptless.locator("#table-sockets")).to_contain_text("<script>alert(1)</script>")
    expect(scriptless.locator("#rejected")).to_contain_text("an odd line")
    with scriptless.expect_download() as download:
        scriptless.locator("#table-sockets").get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "sockets.csv"
    save = scriptless.locator("#save")
    expect(save.get_by_label("Host")).to_have_value(str(fleet["down"].pk))
    save.get_by_label("Taken by").select_option("root")
    save.get_by_role("button", name="Save").click()
    expect(scriptless).to_have_url(re.compile(r"/snapshots/\d+/$"))
    expect(scriptless.locator("main")).to_contain_text("Saved as a snapshot of the host.")
    scriptless.click("text=The connections of that time")
    expect(scriptless.locator("tbody tr")).to_have_count(2)


def test_a_text_too_long_for_the_field_goes_as_a_file(
    page: Page, live_server: Any, sign_in: SignIn, fleet: Fleet, complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    from tests.probes.history.played import line

    sign_in(page)
    page.goto(f"{live_server.url}/paste/")
    text = a_table(*(line(f"10.0.0.5:{port}") for port in range(10_000, 45_000)))
    assert len(text) > 3_000_000
    # As a paste does, which sets the field at once.
    page.locator("#text").evaluate("(field, text) => { field.value = text; }", text)
    page.click("text=Show its tables")
    expect(page.locator(".na-tabs")).to_contain_text("35\u202f001")
    expect(page.locator("#table-sockets tbody tr")).to_have_count(200)
    page.get_by_label("Host", exact=True).select_option(label="fresh")
    page.locator("#save").get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile(r"/snapshots/\d+/$"))
    expect(page.locator("main")).to_contain_text("35\u202f001")
    assert not complaints


def test_the_commands_to_run_are_copied_at_a_click(
    page: Page, live_server: Any, sign_in: SignIn, fleet: Fleet
) -> None:
    from playwright.sync_api import expect

    sign_in(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{live_server.url}/paste/")
    page.get_by_role("button", name="Copy the command for macOS").click()
    # It fades after a moment, but keeps its words.
    expect(page.locator("[data-toast]")).to_contain_text("netstat -anvlW")
    assert "netstat -anvlW" in page.evaluate("navigator.clipboard.readText()")


@pytest.fixture
def shown(page: Page, live_server: Any, sign_in: SignIn, fleet: Fleet) -> Page:
    """The page with a result, lines not understood and something to save."""
    from playwright.sync_api import expect

    from tests.probes.history.played import line

    sign_in(page)
    page.goto(f"{live_server.url}/paste/")
    rows = [line(f"10.0.0.5:{port}") for port in range(4000, 4030)]
    page.fill("[name=text]", a_table(*rows, "an odd line " + "x" * 300))
    page.click("text=Show its tables")
    expect(page.locator("#rejected")).to_contain_text("an odd line")
    page.wait_for_load_state()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_locked_out_of_a_result(shown: Page, scheme: Any) -> None:
    from tests.browser.test_page_conditions import AXE, RULES

    shown.emulate_media(color_scheme=scheme)
    shown.reload()
    assert shown.locator("#rejected").count()
    shown.evaluate(AXE)
    found = shown.evaluate("options => axe.run(document, options)", RULES)["violations"]
    assert [each["id"] for each in found if each["impact"] != "minor"] == []


def test_a_result_is_no_wider_than_its_window(shown: Page) -> None:
    for width in (400, 768, 2000):
        shown.set_viewport_size({"width": width, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
