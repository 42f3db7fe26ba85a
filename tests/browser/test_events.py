"""Pages that hear of a change at once, over the stream of events, and poll where it is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from hosts.models import Host

NEVER, OFTEN = "3600", "1"
LIVE = ["/", "/alerts/", "/changes/", "/activity/"]


@pytest.fixture
def streams(page: Page, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server keeps streams open; the test's own server shows no socket, so that a reader who
    left is noticed by the signs of life alone."""
    from probes.api import events

    settings.EVENT_STREAMS = 4
    monkeypatch.setattr(events, "SIGN_OF_LIFE_S", 0.1)
    monkeypatch.setattr(events, "LOOK_ROUND_S", 0.1)
    yield
    page.goto("about:blank")
    wait_until(lambda: not events.SEATS.taken and not events.LOOKOUT.looks, what="streams ended")


def opened(page: Page, address: str, *, state: str, every: str) -> None:
    """Open a page, wait until its stream is so, and have it poll that often."""
    page.goto(address)
    page.wait_for_selector(f"html[data-stream={state}]", state="attached")
    page.evaluate("every => document.querySelector('[data-live]').dataset.live = every", every)


def port_is_down(host: Host, port: int) -> None:
    """What the watching of ports writes when a port is gone."""
    from django.utils import timezone

    from probes.models import AlertKind, Change
    from probes.watch import lifecycle

    now = timezone.now()
    lifecycle.record(
        [
            lifecycle.Transition(
                kind=Change.Kind.PORT_DOWN,
                host_id=host.pk,
                at=now,
                before_at=now - dt.timedelta(minutes=1),
                protocol="tcp",
                port=port,
                program="nginx",
                detail={"event": "port_down", "protocol": "tcp", "port": port},
                raises=lifecycle.Raise(
                    kind=AlertKind.PORT,
                    fingerprint=f"port:tcp:{port}",
                    subject=f"tcp/{port}",
                    facts={"event": "port_down", "protocol": "tcp", "port": port},
                ),
            )
        ]
    )


@pytest.mark.usefixtures("streams")
def test_a_change_appears_by_the_stream_alone(
    page: Page,
    live_server: Any,
    sign_in: Callable[..., None],
    fleet: dict[str, Host],
    complaints: list[str],
) -> None:
    from playwright.sync_api import expect

    sign_in(page)
    for port, path in enumerate(LIVE, start=4711):
        opened(page, f"{live_server.url}{path}", state="open", every=NEVER)
        expect(page.locator("main")).not_to_contain_text(str(port))

        port_is_down(fleet["web1"], port)

        expect(page.locator("main")).to_contain_text(str(port))
    assert complaints == []


def test_a_change_appears_by_polling_where_the_stream_is_refused(
    page: Page,
    live_server: Any,
    sign_in: Callable[..., None],
    fleet: dict[str, Host],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from playwright.sync_api import expect

    from probes.api import events

    settings.EVENT_STREAMS = 4
    monkeypatch.setattr(events.SEATS, "take", lambda person: False)
    sign_in(page)
    for port, path in enumerate(["/alerts/", "/changes/"], start=4711):
        opened(page, f"{live_server.url}{path}", state="refused", every=OFTEN)

        port_is_down(fleet["web1"], port)

        expect(page.locator("main")).to_contain_text(str(port))


@pytest.mark.usefixtures("streams")
def test_what_somebody_ticked_stays_ticked_while_changes_come(
    page: Page, live_server: Any, sign_in: Callable[..., None], fleet: dict[str, Host]
) -> None:
    from playwright.sync_api import expect

    port_is_down(fleet["web1"], 4711)
    sign_in(page)
    opened(page, f"{live_server.url}/alerts/", state="open", every=NEVER)
    row = page.locator("tr", has_text="4711")
    box = row.get_by_role("checkbox")
    box.check()
    page.evaluate(
        "document.addEventListener('netadmin:news', () => { document.body.dataset.told = 'yes' })"
    )

    port_is_down(fleet["web1"], 4712)

    page.wait_for_selector("body[data-told=yes]")
    expect(box).to_be_checked()
    expect(page.locator("main")).not_to_contain_text("4712")

    box.uncheck()
    box.blur()
    expect(page.locator("main")).to_contain_text("4712")


@pytest.mark.usefixtures("streams")
def test_a_hidden_page_holds_no_stream(
    page: Page, live_server: Any, sign_in: Callable[..., None], fleet: dict[str, Host]
) -> None:
    from probes.api import events
    from tests.browser.test_live_view import hide

    sign_in(page)
    opened(page, f"{live_server.url}/changes/", state="open", every=NEVER)

    hide(page, True)
    page.wait_for_selector("html[data-stream=closed]", state="attached")
    wait_until(lambda: events.SEATS.taken == 0, what="the stream ended")

    hide(page, False)
    page.wait_for_selector("html[data-stream=open]", state="attached")
