"""Draw the screenshots of the documentation: ``python -m bench.screenshots [folder]``.

Starts the site over an invented fleet (and this machine, really probed) in a temporary folder,
drives Chromium through it and writes PNG files, by default to docs/screenshots. Nothing of an
installation is read or touched.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
PASTED = "tests/fixtures/linux/netstat--tutorial_everything.out"
HUGE, WIDE, SMALL, HEIGHT = 2000, 1360, 400, 860


def main(folder: Path) -> None:
    """Draw every screenshot into ``folder``."""
    with tempfile.TemporaryDirectory(prefix="netadmin-shots-") as data:
        _settings(data)
        import django

        django.setup()
        from django.conf import settings
        from django.contrib.auth.models import User
        from django.contrib.staticfiles.handlers import StaticFilesHandler
        from django.core.management import call_command
        from django.db import connection, connections
        from django.test.testcases import LiveServerThread
        from django.utils import timezone

        from bench import demo_fleet, demo_mailings, demo_services, demo_watching
        from probes.watch import judging

        settings.STORAGES["staticfiles"] = {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
        call_command("migrate", verbosity=0)
        hosts = demo_fleet.build(timezone.now(), judge=judging.judge)
        password = secrets.token_urlsafe(12)
        ann = User.objects.create_superuser("ann", "", password)
        demo_mailings.build(ann, hosts, timezone.now())
        demo_fleet.hunts(ann, timezone.now())
        alert = demo_watching.build(ann, timezone.now())
        service = demo_services.build(ann, hosts, timezone.now()).pk
        connection.close()
        server = LiveServerThread("127.0.0.1", StaticFilesHandler, connections_override={})
        server.daemon = True
        server.start()
        server.is_ready.wait()
        if server.error:
            raise server.error
        try:
            _draw(
                f"http://{server.host}:{server.port}",
                folder,
                password=password,
                ids={host.name: host.pk for host in hosts},
                alert=alert,
                service=service,
            )
        finally:
            server.terminate()
            connections.close_all()


def _settings(data: str) -> None:
    for name in [name for name in os.environ if name.endswith("_FILE")]:
        del os.environ[name]
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "netadmin.settings",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": "s1:" + b64encode(secrets.token_bytes(32)).decode(),
            "SITE_URL": "http://localhost:8000",
            "DATA_DIR": data,
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "CELERY_BROKER_URL": "memory://",
            "DEBUG": "off",
            "TIME_ZONE": "UTC",
            "LANGUAGE_CODE": "en",
            "LOG_LEVEL": "ERROR",
        }
    )


def _draw(
    origin: str, folder: Path, *, password: str, ids: dict[str, int], alert: int, service: int
) -> None:
    from playwright.sync_api import sync_playwright

    from tests.servers import find_program

    folder.mkdir(parents=True, exist_ok=True)
    web, mail = f"/hosts/{ids['web-1']}/", f"/hosts/{ids['mail']}/"
    shots = [
        ("overview", "/"),
        ("host", web),
        ("host-filtered", f"{web}?remote_ip=203.0.113.0/24&state=ESTABLISHED&direction=in"),
        ("ports", f"{web}ports/"),
        ("peers", f"{web}peers/"),
        ("states", f"{web}states/"),
        ("history", f"{web}history/?sort=-duration&hide=listen"),
        ("diff", f"{web}diff/"),
        ("compare", f"/compare/?a={ids['web-1']}&b={ids['web-2']}"),
        ("routes", f"{web}network/?table=routes"),
        ("interfaces", f"{web}network/?table=interfaces&chart=eth0"),
        ("protocols", f"{web}network/?table=protocols"),
        ("map", "/map/"),
        ("map-chosen", f"/map/#h{ids['web-1']}"),
        ("report", f"/report/?host={ids['web-1']}"),
        ("mailings", "/report/mailings/"),
        ("live", f"/hosts/{ids['this machine']}/live/"),
        ("paste", "/paste/"),
        ("probes", f"/hosts/{ids['web-2']}/probes/"),
        ("failing", f"/hosts/{ids['db-2']}/"),
        ("all-ports", "/ports/"),
        ("port", "/ports/?port=22"),
        ("exposure", "/exposure/"),
        ("findings", "/findings/"),
        ("statistics", "/statistics/"),
        ("statistics-common", "/statistics/?by=common"),
        ("hunt", "/hunt/?ip=140.82.112.3"),
        ("hunt-list", "/hunt/?indicators=140.82.112.3%0Aport+22%0Aevil.example%0Aprogram:redis"),
        ("hunts", "/hunts/"),
        ("alerts", "/alerts/"),
        ("alert", f"/alerts/{alert}/"),
        ("services", "/services/"),
        ("service", f"/services/{service}/"),
        ("silences", "/silences/?state=all"),
        ("silence", "/silences/add/"),
        ("activity", "/activity/"),
        ("search", "/search/?q=22"),
        ("api", "/api/v1/docs/"),
        ("api-operation", "/api/v1/docs/?operation=get_host_connections"),
        ("token", "/tokens/add/"),
        ("bad-filter", f"{web}?state=LISTEN&proto=udp"),
    ]
    chromium = find_program("chromium", "/usr/bin/google-chrome*", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        )
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": WIDE, "height": HEIGHT}, color_scheme=scheme, locale="en"
            )
            page = context.new_page()
            _log_in(page, origin, password, folder if scheme == "light" else None)
            for name, path in shots:
                _shoot(page, f"{origin}{path}", folder / f"{name}-{scheme}.png")
            _shoot_links(page, origin, folder, scheme, web=web, mail=mail)
            page.set_viewport_size({"width": SMALL, "height": HEIGHT})
            if scheme == "light":
                for name, path in shots:
                    _shoot(page, f"{origin}{path}", folder / f"{name}-small.png")
                page.set_viewport_size({"width": HUGE, "height": HEIGHT})
                for name, path in shots[:2]:
                    _shoot(page, f"{origin}{path}", folder / f"{name}-wide.png")
                page.set_viewport_size({"width": WIDE, "height": HEIGHT})
                page.goto(origin)
                page.click("summary[title=Language]")
                page.click("button[value=zh-hans]")
                for name, path in shots[:2]:
                    _shoot(page, f"{origin}{path}", folder / f"{name}-zh.png")
            context.close()
        browser.close()


def _shoot_links(
    page: Page, origin: str, folder: Path, scheme: str, *, web: str, mail: str
) -> None:
    """Pages whose address only another page knows."""
    page.goto(f"{origin}{web}probes/")
    moments = page.locator("a[href*='?at=']")
    _shoot(page, f"{origin}{moments.nth(30).get_attribute('href')}", folder / f"past-{scheme}.png")
    page.goto(f"{origin}/paste/")
    page.fill("textarea", (ROOT / PASTED).read_text(encoding="utf-8"))
    page.click("text=Show its tables")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=folder / f"pasted-{scheme}.png")
    page.goto(f"{origin}{mail}probes/")
    probe = page.locator("table tbody th a").first.get_attribute("href")
    _shoot(page, f"{origin}{probe}", folder / f"probe-{scheme}.png")


def _log_in(page: Page, origin: str, password: str, folder: Path | None) -> None:
    page.goto(f"{origin}/login/")
    if folder is not None:
        page.screenshot(path=folder / "login-light.png")
    page.fill("[name=username]", "ann")
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_selector(".na-nav")


def _shoot(page: Page, address: str, file: Path) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if page.locator("[data-chart]").count():
        page.wait_for_selector("[data-chart] canvas, [data-chart] .na-chart-note")
    if page.locator("[data-map]").count():
        page.wait_for_selector("[data-map][data-drawn]")
    page.screenshot(path=file)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")
