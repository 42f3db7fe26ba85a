"""The bell: from a web process to a real broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers import Redis
from tests.site import Site

RING_IN_A_THREAD = """
import threading, time
slept, heard = [], []
time.sleep = slept.append  # before anybody imports it by its name
from probes import bell
ringer = threading.Thread(target=lambda: heard.append(bell.ring()))
ringer.start()
ringer.join()
print(slept, heard)
"""


def rung(site: Site, broker_url: str) -> str:
    # The settings alone must do it: Celery itself would read CELERY_BROKER_URL.
    site.env.pop("CELERY_BROKER_URL", None)
    site.env["REDIS_URL"] = broker_url
    return site.python(RING_IN_A_THREAD).strip()


@pytest.fixture
def site(redis_server: Redis, tmp_path: Path) -> Site:
    return Site("", redis_server, tmp_path)


def test_a_thread_of_a_web_process_rings_at_the_broker_of_the_settings(
    site: Site, redis_server: Redis, redis_url: str
) -> None:
    assert rung(site, redis_url) == "[] [True]"

    (message,) = redis_server.client().lrange("celery", 0, -1)
    assert json.loads(message)["headers"]["task"] == "probes.tasks.dispatch"


def test_a_broker_that_is_away_is_asked_once_and_breaks_nothing(site: Site, free_port: int) -> None:
    said = rung(site, f"redis://127.0.0.1:{free_port}/0")
    assert said == "[] [False]"
