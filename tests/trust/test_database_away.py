"""PostgreSQL goes away while everything runs, and comes back (trust 29).

Away for seconds here, not for the ten minutes that the check names: longer than the driver's
connect timeout, several turns of the scheduler and several probes, so that every process meets an
end of its open connections, refused new ones and at least one whole failed round; after that a
minute is no other than the next.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import psycopg
import pytest

from tests.netadmin.test_up import Site, answers, browser_session, second_terminal
from tests.servers import PostgreSQL
from tests.waiting import wait_until

INTERVAL_S = 5
AWAY_S = 14.0
"""Longer than the connect timeout (5 s), and than any distance between probes that is no gap."""
HEALTHY_WITHIN_S = 60.0

NEWEST = "SELECT COALESCE(MAX(taken_at), '-infinity') FROM probes_snapshot WHERE outcome = 'ok'"
HALF = """
SELECT COUNT(*) FROM probes_schedule s JOIN probes_snapshot p ON p.id = s.latest_whole_id
WHERE p.sockets <> (SELECT COALESCE(SUM(o.copies), 0) FROM probes_opensocket o
                    WHERE o.host_id = s.host_id)
   OR (SELECT t.taken_at FROM probes_lasttext t WHERE t.host_id = s.host_id) <> p.taken_at
"""


@pytest.fixture
def database() -> Iterator[PostgreSQL]:
    """One of the test's own, that keeps what it said it kept. Its folder is below none of pytest's,
    which closes those to others at the start of each session; the server is another user."""
    with (
        tempfile.TemporaryDirectory(prefix="netadmin-away-") as folder,
        PostgreSQL(Path(folder) / "postgresql", durable=True) as server,
    ):
        yield server


@pytest.fixture
def site(database: PostgreSQL, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    """Web, worker and scheduler under ``up``; the first host is this machine."""
    made = Site(
        tmp_path / "site",
        tmp_path,
        DATABASE_URL=database.url,
        REDIS_URL=redis_url,
        PROBE_INTERVAL_S=str(INTERVAL_S),
        PROBE_TABLES_MINUTES="0",
    )
    try:
        yield made.wait_ready()
    finally:
        made.process.kill()
        wait_until(lambda: not made.processes(), what="all are gone")


def value(database: PostgreSQL, query: str) -> Any:
    with psycopg.connect(database.url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return row[0]


def probed(database: PostgreSQL, *, times: int, after: Any) -> bool:
    query = f"SELECT COUNT(*) FROM probes_snapshot WHERE outcome = 'ok' AND taken_at > '{after}'"
    return int(value(database, query)) >= times


def readiness(site: Site) -> dict[str, Any]:
    """What ``/readyz`` says, whatever its status; it answers while the database is away."""
    try:
        answer = browser_session().open(site.url("/readyz"), timeout=60)
    except HTTPError as refused:
        answer = refused
    return dict(json.load(answer))


def test_a_database_that_goes_away_costs_a_gap_and_nothing_else(
    site: Site, database: PostgreSQL
) -> None:
    began = value(database, "SELECT now()")
    token = second_terminal(site, "api_token", "admin", "--scope", "read")
    wait_until(lambda: probed(database, times=3, after=began), what="this machine is probed")
    running = site.processes()

    gone_at = value(database, NEWEST)
    database.kill()
    away_until = time.monotonic() + AWAY_S
    wait_until(
        lambda: readiness(site)["checks"]["database"] == "unreachable", what="/readyz says so"
    )
    assert answers(site, "/healthz")
    # Every process has noticed, and goes on noticing: the scheduler's messages fail one by one.
    failures = site.text.count("OperationalError")
    wait_until(
        lambda: site.text.count("OperationalError") > failures + 2, what="the worker tries on"
    )
    wait_until(lambda: time.monotonic() > away_until, what="the outage is long enough")
    assert set(site.processes()) == set(running), "none ended, none was started again"

    database.start()
    back_at = value(database, "SELECT now()")

    def healthy() -> bool:
        return answers(site, "/readyz") and probed(database, times=1, after=back_at)

    wait_until(healthy, timeout_s=HEALTHY_WITHIN_S, what="healthy again")
    assert set(site.processes()) == set(running)
    assert site.process.poll() is None
    assert value(database, HALF) == 0
    assert value(database, "SELECT COUNT(*) FROM probes_snapshot WHERE outcome <> 'ok'") == 0

    host = value(database, "SELECT id FROM hosts_host")
    since = began.isoformat().replace("+", "%2B")
    request = Request(
        site.url(f"/api/v1/statistics/timeline?host={host}&by=total&since={since}&step=1"),
        headers={"Authorization": f"Bearer {token}"},
    )
    chart = json.load(browser_session().open(request, timeout=60))["data"]
    holes = [
        at for at, total in zip(chart["times"], chart["series"]["total"], strict=True)
        if total is None
    ]  # fmt: skip
    assert any(gone_at.timestamp() <= at <= back_at.timestamp() for at in holes), chart
