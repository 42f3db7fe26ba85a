"""Pages in their rarer conditions: the past, nothing known, failing, odd lines, no script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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


def test_nothing_complains_and_nothing_comes_from_another_site(
    page: Page, live_server: Any, sign_in: SignIn, addresses: list[str], complaints: list[str]
) -> None:
    sign_in(page)
    foreign: list[str] = []
    own = (live_server.url, "data:")
    page.on("request", lambda ask: None if ask.url.startswith(own) else foreign.append(ask.url))
    for address in addresses:
        page.goto(f"{live_server.url}{address}")
        settle(page)
        assert not complaints, address
    assert not foreign


@pytest.mark.parametrize("width", [400, 768])
def test_nothing_scrolls_sideways(
    page: Page, live_server: Any, sign_in: SignIn, addresses: list[str], width: int
) -> None:
    sign_in(page)
    page.set_viewport_size({"width": width, "height": 800})
    for address in addresses:
        page.goto(f"{live_server.url}{address}")
        settle(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{address} is {wide} px wide"


@pytest.mark.parametrize(("scheme", "rules"), [("light", RULES), ("dark", COLOURS)])
def test_nobody_is_locked_out(
    page: Page,
    live_server: Any,
    sign_in: SignIn,
    addresses: list[str],
    scheme: Any,
    rules: dict[str, Any],
) -> None:
    sign_in(page)
    page.emulate_media(color_scheme=scheme)
    barriers = []
    for address in addresses:
        page.goto(f"{live_server.url}{address}")
        settle(page)
        # Evaluated through the debugger, which the page's policy does not bind.
        page.evaluate(AXE)
        result = page.evaluate("options => axe.run(document, options)", rules)
        barriers += [
            f"{address}: {found['id']}: {found['nodes'][0]['html'][:200]}"
            for found in result["violations"]
            if found["impact"] != "minor"
        ]
    assert not barriers, "\n".join(barriers)


def test_everything_is_read_without_a_script(
    scriptless: Page, live_server: Any, sign_in: SignIn, addresses: list[str]
) -> None:
    sign_in(scriptless)
    for address in addresses:
        response = scriptless.goto(f"{live_server.url}{address}")
        assert response is not None
        assert response.status == 200, address
        assert scriptless.locator("h1").inner_text().strip()
