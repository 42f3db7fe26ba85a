"""Measure the map: ``python -m bench.map [hosts] [sockets of each]`` (300 and 500).

Stores an invented fleet in a temporary folder (SQLite; PostgreSQL where DATABASE_URL of the
environment names one that is empty), then says how long the question, the page and the drawing in
Chromium take, now and at a past time. The median of five.
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from bench.screenshots import _settings as settings_of

TURNS = 5


def main(hosts: int, sockets_each: int) -> None:
    """Print the table."""
    database = os.environ.get("DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="netadmin-map-") as data:
        settings_of(data)
        os.environ["DATABASE_URL"] = database
        import django

        django.setup()
        from django.conf import settings
        from django.contrib.auth.models import User
        from django.contrib.staticfiles.handlers import StaticFilesHandler
        from django.core.management import call_command
        from django.db import connection, connections
        from django.test import Client
        from django.test.testcases import LiveServerThread
        from django.utils import timezone

        from bench import map_fleet
        from hosts.models import Host
        from probes import connection_map
        from probes.connection_map import MapFilter
        from probes.models import Snapshot

        settings.STORAGES["staticfiles"] = {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
        call_command("migrate", verbosity=0)
        map_fleet.build(hosts, sockets_each=sockets_each, until=timezone.now(), probes=3)
        taken = Snapshot.objects.order_by("taken_at").values_list("taken_at", flat=True)
        then = taken[len(taken) // 2]
        user = User.objects.create_superuser("ann", "", secrets.token_urlsafe(12))
        client = Client(SERVER_NAME="localhost")
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        print(f"{hosts} hosts x {sockets_each} sockets, {connection.vendor}; ms, median of {TURNS}")
        print("| what | now | then |\n|---|---|---|")

        def row(name: str, ask: Callable[[Any], object]) -> None:
            print(f"| {name} | {_median(lambda: ask(None))} | {_median(lambda: ask(then))} |")

        for peers in ("folded", "all", "none"):
            wanted = MapFilter(peers=peers)
            row(
                f"nodes and edges, other addresses {peers}",
                lambda at, wanted=wanted: connection_map.make(Host.objects.all(), wanted, at=at),
            )
        row(
            "nodes and edges by group",
            lambda at: connection_map.make(Host.objects.all(), MapFilter(nodes="groups"), at=at),
        )
        row("the page", lambda at: client.get("/map/", _at(at)).content)
        row("JSON", lambda at: client.get("/api/v1/map", _at(at)).content)
        size = len(client.get("/map/").content)
        session = client.cookies["netadmin_session"].value
        connection.close()
        server = LiveServerThread("127.0.0.1", StaticFilesHandler, connections_override={})
        server.daemon = True
        server.start()
        server.is_ready.wait()
        try:
            drawn = _drawn(f"http://{server.host}:{server.port}", session)
        finally:
            server.terminate()
            connections.close_all()
        print(f"\nThe page has {size / 1024:.0f} KiB. Chromium: {drawn}")


def _at(then: Any) -> dict[str, str]:
    return {} if then is None else {"at": then.isoformat()}


def _median(ask: Callable[[], object]) -> str:
    taken = []
    for _turn in range(TURNS):
        began = time.perf_counter()
        ask()
        taken.append(1000 * (time.perf_counter() - began))
    return f"{statistics.median(taken):.0f}"


def _drawn(origin: str, session: str) -> str:
    """What the page's own clock says, and how long moving the map takes a frame."""
    from playwright.sync_api import sync_playwright

    from tests.servers import find_program

    chromium = find_program("chromium", "/usr/bin/google-chrome*", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
        )
        context = browser.new_context(viewport={"width": 1360, "height": 860}, locale="en")
        context.add_cookies([{"name": "netadmin_session", "value": session, "url": origin}])
        page = context.new_page()
        layouts, paints = [], []
        for _turn in range(TURNS):
            page.goto(f"{origin}/map/")
            page.wait_for_selector("[data-map][data-drawn]")
            shown = page.evaluate("({...document.querySelector('[data-map]').dataset})")
            layouts.append(int(shown["layoutMs"]))
            paints.append(int(shown["paintMs"]))
        frames = page.evaluate(MOVED)
        browser.close()
    return (
        f"layout {statistics.median(layouts):.0f} ms in slices of 14 ms, first picture"
        f" {statistics.median(paints):.0f} ms, {shown['drawn']} nodes; a step of the wheel"
        f" {statistics.median(frames):.0f} ms to the next frame"
    )


MOVED = """async () => {
  const svg = document.querySelector('[data-map-svg]');
  const taken = [];
  for (let turn = 0; turn < 30; turn += 1) {
    const began = performance.now();
    svg.dispatchEvent(new WheelEvent('wheel', { deltaY: turn % 2 ? 40 : -40, clientX: 400,
      clientY: 400, bubbles: true, cancelable: true }));
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    taken.push((performance.now() - began) / 2);
  }
  return taken;
}"""


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:3]]
    main(*(numbers + [300, 500][len(numbers) :]))
