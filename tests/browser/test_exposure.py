"""The exposure ledger in a real browser: unfolding, filtering, pivots, and trying listeners."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from hosts.models import Host
from probes import connect_back
from probes.models import ReachRun
from probes.transports import reach
from tests.listening import open_port
from tests.probes.history.played import line
from tests.probes.views import fleet as played
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def web1(fleet: dict[str, Host]) -> Host:
    """web1 with a listener on loopback beside that on every address."""
    played.seen(fleet["web1"], 1, played.WEB, played.DATABASE, played.NEW_PEER)
    return fleet["web1"]


def test_a_row_unfolds_and_filters_pivot_without_a_script(
    web1: Host, scriptless: Page, live_server: Any, sign_in: Callable[..., None]
) -> None:
    from playwright.sync_api import expect

    plain = scriptless
    sign_in(plain, "viewer")
    plain.goto(f"{live_server.url}/exposure/?host={web1.pk}")
    row = plain.locator("tbody", has_text="nginx")
    expect(row.locator(".nx-more")).to_be_hidden()

    row.locator("summary").click()

    expect(row.locator(".nx-more")).to_be_visible()
    expect(row.locator(".nx-more")).to_contain_text("0.0.0.0 takes IPv4 alone.")
    expect(row.locator(".nx-more")).to_contain_text("203.0.113.9")
    plain.get_by_role("link", name="this machine only").click()
    expect(plain.locator("tbody")).to_have_count(1)
    plain.locator("[name=program]").fill("nothing like it")
    plain.get_by_role("button", name="Filter").click()
    expect(plain.locator("main")).to_contain_text("No listener matches")
    plain.get_by_role("link", name="Clear").first.click()
    plain.get_by_role("link", name="80", exact=True).first.click()
    plain.wait_for_url("**/ports/?port=80")
    plain.get_by_role("link", name="Exposure", exact=True).click()
    expect(plain.locator("h1")).to_have_text("Exposure")


def test_an_operator_tries_listeners_and_sees_them_reached(
    web1: Host,
    page: Page,
    live_server: Any,
    sign_in: Callable[..., None],
    complaints: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from playwright.sync_api import expect

    # The host stands on loopback here, which is the controller's own otherwise.
    monkeypatch.setattr(reach, "own", lambda _address: False)
    Host.objects.filter(pk=web1.pk).update(address="127.0.0.1")
    with open_port() as port:
        played.seen(web1, 0, line(f"0.0.0.0:{port}", "0.0.0.0:*", "LISTEN", "9/x"))
        sign_in(page, "operator")
        page.goto(f"{live_server.url}/hosts/{web1.pk}/ports/")
        page.get_by_role("button", name="Try from here").click()
        expect(page.locator("main")).to_contain_text("Waiting for a worker")
        asked = wait_until(ReachRun.objects.first, what="the run is asked for")
        assert asked.asked_at <= timezone.now()

        assert connect_back.run(web1.pk) == 1

        # The page looks on by itself, and renews itself when the run is over.
        expect(page.locator("tbody")).to_contain_text("listening, reached", timeout=30_000)
        expect(page.locator("main")).to_contain_text("by operator: 1 TCP port")
        expect(page.get_by_role("button", name="Try from here")).to_be_visible()
    assert not complaints
