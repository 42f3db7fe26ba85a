"""Adding a host in a real browser: what the choices show, testing, approving the key, saving."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.sshd import Sshd, toolbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

TABLE = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      812/sshd
"""


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server whose sessions find a netstat that prints TABLE."""
    path = toolbox(tmp_path / "bin", netstat=f"cat <<'END'\n{TABLE}END")
    with Sshd(tmp_path / "server", environment={"PATH": str(path)}) as server:
        yield server


@pytest.fixture
def form(page: Page, live_server: Any) -> Page:
    """The page "Add a host", opened by an administrator; a console error fails the test."""
    from netadmin.access.models import Role
    from tests.people import browser_of, person

    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    session = browser_of(person("anna", Role.ADMIN)).cookies["netadmin_session"].value
    cookie = {"name": "netadmin_session", "value": session, "url": live_server.url}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.goto(f"{live_server.url}/hosts/add/")
    page.errors = errors  # type: ignore[attr-defined]
    return page


def test_only_what_the_chosen_login_needs_is_shown(form: Page) -> None:
    from playwright.sync_api import expect

    expect(form.locator("#id_new_password")).to_be_visible()
    expect(form.locator("#id_credential")).to_be_hidden()
    form.select_option("#id_new_method", "key")
    expect(form.locator("#id_new_private_key")).to_be_visible()
    expect(form.locator("#id_new_password")).to_be_hidden()
    form.select_option("#id_new_method", "key_file")
    expect(form.locator("#id_new_key_file")).to_be_visible()
    expect(form.locator("#id_new_private_key")).to_be_hidden()
    expect(form.locator("#id_new_sudo_password")).to_be_hidden()
    form.select_option("#id_new_sudo", "password")
    expect(form.locator("#id_new_sudo_password")).to_be_visible()
    form.check("#id_is_local")
    expect(form.locator("#id_address")).to_be_hidden()
    expect(form.locator("#id_new_method")).to_be_hidden()
    assert not form.errors  # type: ignore[attr-defined]


def test_a_host_is_tested_its_key_approved_and_saved_with_what_was_typed_once(
    form: Page, sshd: Sshd
) -> None:
    from playwright.sync_api import expect

    from hosts.models import Host, HostKey

    form.fill("#id_name", "new-1")
    form.fill("#id_address", "127.0.0.1")
    form.fill("#id_port", str(sshd.port))
    form.fill("#id_new_user", sshd.user)
    form.select_option("#id_new_method", "key")
    form.fill("#id_new_private_key", sshd.client_key)
    form.get_by_role("button", name="Test connection").click()
    result = form.locator("#connection-test")
    expect(result).to_contain_text("Host key awaits approval", timeout=30_000)
    fingerprint = HostKey.objects.get().fingerprint
    expect(result).to_contain_text(fingerprint)
    result.get_by_role("button", name="approve and test again").click()
    expect(result).to_contain_text("This host can be watched", timeout=30_000)
    form.get_by_role("button", name="Save", exact=True).click()
    expect(form).to_have_url(re.compile(r"/hosts/\d+/$"))
    host = Host.objects.get()
    assert host.credential is not None
    assert host.credential.secret("private_key") == sshd.client_key
    assert HostKey.objects.get().trust == "trusted"


@pytest.mark.parametrize("width", [400, 2000])
def test_the_form_fits_any_width(form: Page, width: int) -> None:
    form.set_viewport_size({"width": width, "height": 900})
    assert form.evaluate("document.documentElement.scrollWidth") <= width
    assert not form.errors  # type: ignore[attr-defined]
