"""Workers, schedulers and the broker as processes: what remains when one of them is killed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import PostgreSQL
from tests.site import Site, running_site

INTERVAL_S = 5
WaitUntil = Callable[..., Any]

ADD_LOCAL_HOSTS = """
from hosts.models import Host
for n in range({count}):
    Host.objects.create(
        name=f"local{{n}}", address="localhost", is_local=True, interval_s={interval_s}
    )
"""
ADD_DEAD_HOSTS = """
from hosts.models import Credential, Host
credential = Credential(name="ops", user="ops")
credential.set_secret("password", "never sent")
credential.save()
for n in range({count}):
    Host.objects.create(
        name=f"dead{{n}}", address="127.0.0.1", port={port}, credential=credential,
        interval_s={interval_s},
    )
"""
FEWEST = """
SELECT min(seen) FROM (
    SELECT count(s.id) AS seen FROM hosts_host h
    LEFT JOIN probes_snapshot s ON s.host_id = h.id AND s.id > %s AND s.outcome = 'ok'
    WHERE h.name LIKE %s GROUP BY h.id
) counts
"""
NEWEST = "SELECT coalesce(max(id), 0) FROM probes_snapshot"
SHORTEST_GAP_S = """
SELECT extract(epoch FROM min(gap)) FROM (
    SELECT taken_at - lag(taken_at) OVER (PARTITION BY host_id ORDER BY taken_at) AS gap
    FROM probes_snapshot
) gaps
"""


@pytest.fixture(scope="module")
def template(postgres_server: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a migrated database, of which each test gets a copy: that is quicker."""
    name = "fleet_template"
    url = postgres_server.create_database(name)
    with running_site(url, tmp_path_factory.mktemp("template")):
        return name


@pytest.fixture
def site(postgres_server: PostgreSQL, template: str, tmp_path: Path) -> Iterator[Site]:
    url = postgres_server.create_database(f"fleet_{tmp_path.name}", like=template)
    limits = {"PROBE_THREADS": "4", "PROBE_DEADLINE_S": "5"}
    with running_site(url, tmp_path, migrated=True, **limits) as made:
        yield made


def probed_again(site: Site, wait_until: WaitUntil, *, times: int, names: str = "local%") -> None:
    """Wait until every host whose name matches was probed ``times`` times from now on."""
    newest = site.value(NEWEST)
    try:
        wait_until(
            lambda: site.value(FEWEST, newest, names) >= times,
            timeout_s=INTERVAL_S * (times + 2) + 120,
            what=f"every host {names} is probed {times} times more",
        )
    except AssertionError as late:
        raise AssertionError(f"{late}\n{site.logs()[-5000:]}") from None


def test_two_workers_and_two_schedulers_probe_each_host_once_per_interval_and_one_may_die(
    site: Site, wait_until: WaitUntil
) -> None:
    site.python(ADD_LOCAL_HOSTS.format(count=8, interval_s=INTERVAL_S))
    doomed = site.worker("first")
    site.worker("second")
    site.beat("beat1")
    site.beat("beat2")
    probed_again(site, wait_until, times=2)

    doomed.kill()
    probed_again(site, wait_until, times=2)

    # A host's next place is at least half an interval away and then one interval each time.
    assert float(site.value(SHORTEST_GAP_S)) > INTERVAL_S / 2 - 0.5
    assert site.value("SELECT count(*) FROM probes_snapshot WHERE outcome <> 'ok'") == 0


def test_a_wiped_broker_loses_no_work(site: Site, wait_until: WaitUntil) -> None:
    site.python(ADD_LOCAL_HOSTS.format(count=3, interval_s=INTERVAL_S))
    worker, beat = site.worker("only"), site.beat("beat")
    probed_again(site, wait_until, times=1)

    site.redis.kill()
    site.redis.start()
    probed_again(site, wait_until, times=2)

    assert worker.alive
    assert beat.alive


def test_a_killed_worker_tree_leaves_no_half_snapshot_and_its_successor_goes_on(
    site: Site, wait_until: WaitUntil
) -> None:
    site.python(ADD_LOCAL_HOSTS.format(count=4, interval_s=INTERVAL_S))
    worker = site.worker("first")
    site.beat("beat")
    probed_again(site, wait_until, times=1)

    worker.kill()
    # What the killed worker had leased is free again after its lease, which the test ends early.
    site.rows("UPDATE probes_schedule SET lease_until = now() RETURNING host_id")
    site.worker("second")
    probed_again(site, wait_until, times=2)

    broken = """
        SELECT count(*) FROM probes_schedule s JOIN probes_snapshot p ON p.id = s.latest_whole_id
        WHERE p.sockets <> (SELECT coalesce(sum(o.copies), 0) FROM probes_opensocket o
                            WHERE o.host_id = s.host_id)
    """
    wait_until(lambda: site.value(broken) == 0, what="counts of snapshots equal the open sockets")


def test_forty_percent_black_holes_do_not_delay_the_living(
    site: Site, wait_until: WaitUntil
) -> None:
    with black_hole() as port:
        site.python(ADD_LOCAL_HOSTS.format(count=6, interval_s=INTERVAL_S))
        site.python(ADD_DEAD_HOSTS.format(count=4, port=port, interval_s=INTERVAL_S))
        site.worker("only")
        site.beat("beat")
        wait_until(
            lambda: site.value("SELECT min(failures) FROM probes_schedule WHERE failures > 0") or 0,
            timeout_s=120,
            what="the dead hosts failed",
        )

        probed_again(site, wait_until, times=3)

    # Three turns of the living are three intervals; a delayed one would show a gap of two.
    longest = site.value(
        SHORTEST_GAP_S.replace("min(gap)", "max(gap)").replace(
            "FROM probes_snapshot",
            "FROM probes_snapshot WHERE host_id IN (SELECT id FROM hosts_host WHERE is_local)",
        )
    )
    assert float(longest) < INTERVAL_S * 2
    codes = site.rows("SELECT DISTINCT code FROM probes_snapshot WHERE outcome = 'failed'")
    assert codes == [("timed_out",)]


def test_while_the_scheduler_is_down_nothing_piles_up(site: Site, wait_until: WaitUntil) -> None:
    site.python(ADD_LOCAL_HOSTS.format(count=3, interval_s=INTERVAL_S))
    site.worker("only")
    beat = site.beat("beat")
    probed_again(site, wait_until, times=1)

    beat.kill()
    site.rows("UPDATE probes_schedule SET next_probe_at = now() - interval '1 hour' RETURNING 1")
    before = site.value("SELECT count(*) FROM probes_snapshot")
    site.beat("beat2")
    probed_again(site, wait_until, times=1)

    # An hour late is one probe each, not 720.
    assert site.value("SELECT count(*) FROM probes_snapshot") - before <= 3 * 2


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port of this machine that neither accepts nor refuses: its queue of new peers is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _filler in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(server.getsockname())
        yield int(server.getsockname()[1])
