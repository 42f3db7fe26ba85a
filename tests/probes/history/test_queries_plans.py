"""The questions that must be fast are answered along indexes, on either database.

Which whole tables are read all the same is said here, and why: "now" of a whole fleet is the open
table.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connections

from hosts.models import Host
from probes.filters import NOTHING_FILTERED
from probes.history import queries
from probes.history.queries import exposure, moments, sightings, sql, statistics, trends
from probes.history.queries.exposure import ExposureFilter
from probes.history.queries.sought import Sought
from probes.history.queries.sql import CLOSED, OPEN
from probes.indicators import read
from probes.models import Outcome, RollUp, Schedule, Snapshot
from tests.databases import POSTGRESQL, both_databases
from tests.probes.history import plans
from tests.probes.history.played import at

HOSTS = 12
MIDDLE = at(plans.MIDNIGHT + 1440 + 700)
END = at(plans.MIDNIGHT + 1440 * plans.DAYS)
TABLES = {model._meta.db_table for model in (Snapshot, RollUp)}


@pytest.fixture
def hosts(using: str) -> list[Host]:
    """Hosts with a snapshot each quarter of an hour of three days, and roll-ups of it."""
    made = [
        Host.objects.using(using).create(name=f"h{n}", address="192.0.2.1") for n in range(HOSTS)
    ]
    taken = [at(plans.MIDNIGHT + 15 * n) for n in range(96 * plans.DAYS)]
    Snapshot.objects.using(using).bulk_create(
        Snapshot(host=host, taken_at=when, outcome=Outcome.OK, by_state={"LISTEN": 3})
        for host in made
        for when in taken
    )
    newest = Snapshot.objects.using(using).filter(taken_at=taken[-1])
    Schedule.objects.using(using).bulk_create(
        Schedule(
            host_id=snapshot.host_id,
            next_probe_at=taken[-1],
            latest=snapshot,
            latest_whole=snapshot,
            rolled_until=taken[-1],
        )
        for snapshot in newest
    )
    RollUp.objects.using(using).bulk_create(
        RollUp(host=host, minutes=60, begins_at=when, taken_at=when, by_state={"LISTEN": 3})
        for host in made
        for when in taken[::4]
    )
    with connections[using].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ANALYZE {table}")
    return made


@both_databases
def test_questions_about_sockets_read_no_table_whole(hosts: list[Host], using: str) -> None:
    plans.fill(using, [host.pk for host in hosts])
    fleet = Host.objects.using(using).all()
    snapshot = queries.snapshot_at(hosts[3], MIDDLE)
    past = sql.of_host(hosts[3], snapshot)
    day = Sought(read("10.0.3.7").indicators, since=MIDDLE - dt.timedelta(days=1), until=MIDDLE)
    for query in (
        lambda: queries.connections(hosts[3], snapshot=snapshot, filters=NOTHING_FILTERED),
        lambda: statistics.remote_ips(past),
        lambda: statistics.local_ports(past),
        lambda: statistics.programs(past),
        lambda: sightings.summary(fleet, day),
        lambda: sightings.rows(fleet, day),
    ):
        assert plans.whole_reads(using, query) == []

    # Of many hosts, what is open now is looked at row by row; of what closed, only some hours.
    then = moments.scope(fleet, at=MIDDLE)
    assert then is not None
    assert of_closed(plans.whole_reads(using, lambda: statistics.remote_ips(then))) == []
    new = ExposureFilter.model_validate({"since": f"{END - dt.timedelta(hours=5):%Y-%m-%dT%H:%MZ}"})
    assert exposure.find(fleet, new).rows
    assert of_closed(plans.whole_reads(using, lambda: exposure.find(fleet, new))) == []
    now = moments.scope(fleet)
    assert now is not None
    with plans.explained(using) as asked:
        statistics.remote_ips(now)
    assert any(OPEN in statement for statement, _plan in asked)
    assert all(CLOSED not in statement for statement, _plan in asked)


def of_closed(wide: list[str]) -> list[str]:
    """Those of the closed table and its partitions."""
    return [part for part in wide if CLOSED in part.split(" in ")[0]]


@both_databases
def test_charts_read_no_socket_and_no_table_whole(hosts: list[Host], using: str) -> None:
    everyone = Host.objects.using(using).all()
    with plans.explained(using) as asked:
        for span in (dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(days=366)):
            for of in (hosts[5], everyone):
                queries.timeline(of, by="state", since=END - span, until=END)
                trends.trend(of, by="ip", since=END - span, until=END)
    assert any("probes_rollup" in statement for statement, _plan in asked)
    for statement, plan in asked:
        assert CLOSED not in statement
        assert OPEN not in statement
        assert whole(using, plan) == [], statement


def whole(using: str, plan: list[Any]) -> list[str]:
    """Snapshots or roll-ups read from front to end."""
    if using == POSTGRESQL:
        return [
            node["Relation Name"]
            for node in plans.nodes(plan[0]["Plan"])
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES
        ]
    return [line for line in plan if line.startswith("SCAN ") and line.split()[1] in TABLES]
