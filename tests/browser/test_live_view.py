"""The live view over this machine, really probed: connections come and go before one's eyes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from hosts.models import Host

LOOK_S = PATIENCE_S * 1000


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each ring of the bell probes what is due, as a worker would; how many it probed."""
    from probes import schedule, work

    counts: list[int] = []

    def ring() -> bool:
        ids, token = schedule.claim("live", limit=10)
        counts.append(work.probe_batch(ids, token, lane="live"))
        return True

    monkeypatch.setattr("probes.bell.ring", ring)
    return counts


@pytest.fixture
def here(live_server: Any) -> Host:
    """This machine, which needs no login."""
    from django.utils import timezone

    from hosts.models import Host
    from probes.models import Heartbeat

    Heartbeat.objects.create(node="worker", at=timezone.now())
    return Host.objects.create(name="here", address="localhost", is_local=True, interval_s=3600)


@pytest.fixture
def live(
    page: Page, live_server: Any, sign_in: Callable[..., None], here: Host, probed: list[int]
) -> Callable[[str], Page]:
    """``live(query)``: the live view of this machine, its first beat answered."""

    def open_page(query: str = "") -> Page:
        sign_in(page)
        page.goto(f"{live_server.url}/hosts/{here.pk}/live/?every=1{query}")
        page.wait_for_selector("[data-live-view][data-beats]", state="attached")
        return page

    return open_page


def hide(page: Page, hidden: bool) -> None:
    """Tell the page that its tab is, or is no more, hidden."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_connection_that_opens_appears_marked_and_goes_struck_when_it_closes(
    live: Callable[[str], Page], complaints: list[str]
) -> None:
    from playwright.sync_api import expect

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        page = live(f"&local_port={port}&direction=listen")
        listener = page.locator("[data-live-rows] tr")
        expect(listener).to_have_count(1, timeout=LOOK_S)
        expect(listener).to_contain_text(f":{port}")
        expect(page.locator("[data-live-totals]")).to_contain_text("LISTEN")
        expect(page.locator("[data-live-state]")).to_have_text("Live")
    gone = page.locator("tr.na-gone")
    expect(gone).to_contain_text("gone", timeout=LOOK_S)
    expect(gone.locator("td").nth(2)).to_have_css("text-decoration-line", "line-through")
    expect(page.locator("[data-live-rows] tr")).to_have_count(0, timeout=LOOK_S)
    expect(page.locator("[data-live-empty]")).to_be_visible()

    with socket.create_server(("127.0.0.1", port)):
        new = page.locator("tr.na-came")
        expect(new).to_contain_text("new", timeout=LOOK_S)
        expect(new.locator("svg")).not_to_have_count(0)
        # The mark ends, the row stays.
        expect(new).to_have_count(0, timeout=LOOK_S)
        expect(page.locator("[data-live-rows] tr")).to_have_count(1)
    assert not complaints


def test_it_stops_while_hidden_or_paused_and_goes_on(
    live: Callable[[str], Page], here: Host, probed: list[int]
) -> None:
    from playwright.sync_api import expect

    from netadmin.access.models import AuditEntry

    page = live("")
    beats: list[str] = []
    page.on("request", lambda sent: beats.append(sent.url) if "/beat/" in sent.url else None)
    page.wait_for_event("response", lambda answer: "/beat/" in answer.url)
    hide(page, True)
    state = page.locator("[data-live-state]")
    expect(state).to_have_text("Waits until this tab is seen again.")
    page.wait_for_load_state("networkidle")
    page.evaluate("setTimeout(() => document.body.dataset.later = '1', 2500)")
    del beats[:]
    page.wait_for_selector("body[data-later]")
    assert not beats

    hide(page, False)
    page.wait_for_event("response", lambda answer: "/beat/" in answer.url)
    expect(state).to_have_text("Live")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("Paused.")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_event("response", lambda answer: "/beat/" in answer.url)
    expect(state).to_have_text("Live")
    assert AuditEntry.objects.filter(action="live.start").count() == 1
    assert sum(probed) >= 2


def test_it_ends_after_its_time_and_with_its_host_and_session(
    live: Callable[[str], Page], here: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    from hosts.models import Host
    from probes import live as sessions

    page = live("")
    state = page.locator("[data-live-state]")
    monkeypatch.setattr(sessions, "LIVE_S", -1)
    expect(state).to_contain_text("Stopped after", timeout=LOOK_S)
    monkeypatch.setattr(sessions, "LIVE_S", 600)
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_text("Live", timeout=LOOK_S)

    Host.objects.update(enabled=False)
    expect(state).to_have_text("here is disabled.", timeout=LOOK_S)
    Host.objects.update(enabled=True)
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_text("Live", timeout=LOOK_S)
    page.context.clear_cookies(name="netadmin_session")
    expect(state).to_contain_text("logged out", timeout=LOOK_S)
    expect(page.get_by_role("button", name="Go on")).to_be_hidden()


def test_the_hosts_own_times_stay_what_they_were(
    live: Callable[[str], Page], here: Host, probed: list[int]
) -> None:
    from django.utils import timezone

    from probes.models import Schedule

    page = live("")
    wait_until(lambda: sum(probed) >= 2, what="two live probes were stored")
    page.goto("about:blank")
    wait_until(
        lambda: Schedule.objects.get(host=here).lease_until is None, what="no probe is under way"
    )
    due_in = Schedule.objects.get(host=here).next_probe_at - timezone.now()
    assert due_in.total_seconds() > here.effective_interval_s / 4


def test_without_a_script_it_shows_the_newest_probe(
    scriptless: Page, live_server: Any, sign_in: Callable[..., None], fleet: dict[str, Host]
) -> None:
    sign_in(scriptless)
    scriptless.goto(f"{live_server.url}/hosts/{fleet['web1'].pk}/live/")
    assert "needs JavaScript" in scriptless.locator("main").inner_text()
    assert scriptless.locator("[data-live-rows] tr").count() == 5
