"""A live site over a small fleet, and browsers that are signed in and note every complaint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from hosts.models import Host


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser's console says is wrong: script errors, refusals by the policy, 404s.

    The status of an answer that the test asks for is not a complaint.
    """
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda line: found.append(line.text) if line.type == "error" else None)
    return found


@pytest.fixture
def sign_in(live_server: Any) -> Callable[..., None]:
    """``sign_in(page, role="operator")``: give the page the session of somebody new."""
    from netadmin.access.models import Role
    from tests.people import browser_of, person

    def give(page: Page, role: str = "operator") -> None:
        session = browser_of(person(role, Role[role.upper()])).cookies["netadmin_session"].value
        cookie = {"name": "netadmin_session", "value": session, "url": live_server.url}
        page.context.add_cookies([cookie])  # type: ignore[list-item]

    return give


@pytest.fixture
def fleet(live_server: Any) -> dict[str, Host]:
    """web1 well and twice probed, down unreachable, fresh never probed; a beating scheduler."""
    from django.utils import timezone

    from hosts.models import Host, HostGroup
    from probes.models import Heartbeat
    from probes.observation import Code
    from tests.probes.history.played import LISTENER
    from tests.probes.views import fleet

    Heartbeat.objects.create(node="worker", at=timezone.now())
    hosts = {"web1": fleet.web1()}
    hosts["down"] = Host.objects.create(name="down", address="192.0.2.9")
    hosts["down"].groups.add(HostGroup.objects.create(name="data"))
    fleet.seen(hosts["down"], 300, LISTENER, "an odd line")
    fleet.failed(hosts["down"], 20, Code.UNREACHABLE, "no route to 192.0.2.9")
    hosts["fresh"] = Host.objects.create(name="fresh", address="192.0.2.10")
    return hosts


@pytest.fixture
def scriptless(browser: Browser) -> Iterator[Page]:
    """A page whose browser runs no script."""
    context = browser.new_context(java_script_enabled=False, locale="en")
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context.new_page()
    context.close()
