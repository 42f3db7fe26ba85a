"""Pages in their rarer conditions: the past, nothing known, failing, odd lines, no script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from hosts.models import Host

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""What the second scheme can change: the pages are the same but for their colours."""

SignIn = Callable[..., None]


@pytest.fixture
def addresses(fleet: dict[str, Host]) -> list[str]:
    """One address for each condition."""
    from probes.models import Snapshot

    web, down, fresh = (f"/hosts/{fleet[name].pk}/" for name in ("web1", "down", "fresh"))
    past = Snapshot.objects.filter(host=fleet["web1"]).earliest("taken_at")
    failed = Snapshot.objects.filter(host=fleet["down"]).latest("taken_at")
    odd = Snapshot.objects.filter(host=fleet["down"]).earliest("taken_at")
    return [
        "/",
        "/?q=nothing-like-it",
        f"{web}?remote_ip=203.0.113.0/24&direction=in",
        f"{web}?at={past.taken_at:%Y-%m-%dT%H:%M:%S}",
        f"{web}?at=2001-01-01T00:00:00",
        f"{web}?program=nothing-like-it",
        f"{web}states/",
        down,
        f"{down}probes/",
        fresh,
        f"{fresh}peers/",
        f"{fresh}probes/",
        f"/snapshots/{failed.pk}/",
        f"/snapshots/{odd.pk}/",
        "/ports/?port=1",
        "/search/?q=203.0.113.77",
    ]


def settle(page: Page) -> None:
    """Wait until the page and its chart, if it has one, stand still."""
    page.wait_for_load_state("networkidle")
    if page.locator("[data-chart]").count():
        page.wait_for_selector("[data-chart] canvas, [data-chart] .na-chart-note")


def test_every_condition_is_clean_open_to_all_and_no_wider_than_its_window(
    page: Page, live_server: Any, sign_in: SignIn, addresses: list[str], complaints: list[str]
) -> None:
    sign_in(page)
    page.emulate_media(reduced_motion="reduce")  # colours change at once and not by and by
    foreign: list[str] = []
    own = (live_server.url, "data:")
    page.on("request", lambda ask: None if ask.url.startswith(own) else foreign.append(ask.url))
    for address in addresses:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 400, "height": 800})
        page.goto(f"{live_server.url}{address}")
        settle(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, f"{address} is {wide} px wide"
        page.set_viewport_size({"width": 768, "height": 800})
        # A chart takes its new width a moment after the window has it.
        wait_until(
            lambda: page.evaluate("document.documentElement.scrollWidth") <= 768,
            what=f"{address} fits into 768 px",
        )
        assert not barriers(page), address
        assert not complaints, address
    assert not foreign


def barriers(page: Page) -> list[str]:
    """What axe finds on the page that is open, in both schemes."""
    # Evaluated through the debugger, which the page's policy does not bind.
    page.evaluate(AXE)
    found = []
    for scheme, rules in (("light", RULES), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_function(
            "scheme => document.documentElement.dataset.bsTheme === scheme", arg=scheme
        )
        result = page.evaluate("options => axe.run(document, options)", rules)
        found += [
            f"{scheme}: {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in result["violations"]
            if each["impact"] != "minor"
        ]
    return found


def test_everything_is_read_without_a_script(
    scriptless: Page, live_server: Any, sign_in: SignIn, addresses: list[str]
) -> None:
    sign_in(scriptless)
    for address in addresses:
        response = scriptless.goto(f"{live_server.url}{address}")
        assert response is not None
        assert response.status == 200, address
        assert scriptless.locator("h1").inner_text().strip()
