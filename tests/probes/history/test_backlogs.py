"""Accept queues and limits of kernels in the database: written where there are any, forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes import parsers
from probes.history import backlogs, limits, retention, store
from probes.models import Backlog, KernelLimits
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, line, observed, ss_table, table


def waiting(number: int, *, holder: str = "9/web") -> str:
    return line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", holder, queues=(number, 0))


def stored(using: str) -> list[tuple[Any, ...]]:
    rows = Backlog.objects.using(using).order_by("taken_at", "local_port")
    return list(rows.values_list("taken_at", "local_port", "program", "waiting", "most"))


@both_databases
def test_only_listeners_that_somebody_waits_at_are_written(host: Host, using: str) -> None:
    busy = line(queues=(999, 0))
    datagrams = line("0.0.0.0:53", "0.0.0.0:*", "", "8/dns", protocol="udp", queues=(512, 0))
    store.save(host, observed(0, table(LISTENER, waiting(0), busy, datagrams)), using=using)
    assert stored(using) == []
    store.save(host, observed(1, table(LISTENER, waiting(3), busy, datagrams)), using=using)
    assert stored(using) == [(at(1), 80, "web", 3, None)]


@both_databases
def test_a_queue_is_written_at_each_probe_while_it_lasts(host: Host, using: str) -> None:
    # The same text again, a queue that changes, one that was there in the first text of all.
    for minute, number in enumerate((4, 4, 5, 0, 0, 6)):
        store.save(host, observed(minute, table(LISTENER, waiting(number))), using=using)
    assert [(row[0], row[3]) for row in stored(using)] == [
        (at(0), 4),
        (at(1), 4),
        (at(2), 5),
        (at(5), 6),
    ]


@both_databases
def test_the_limit_is_known_where_ss_shows_it(host: Host, using: str) -> None:
    row = ("tcp", "LISTEN", "3", "128", "0.0.0.0:80", "0.0.0.0:*", 'users:(("web",pid=9,fd=6))')
    store.save(host, observed(0, ss_table(row), tool="ss"), using=using)
    assert stored(using) == [(at(0), 80, "web", 3, 128)]


@both_databases
def test_a_probe_stored_twice_or_late_writes_nothing_more(host: Host, using: str) -> None:
    for minute in (0, 5, 5, 2):
        store.save(host, observed(minute, table(LISTENER, waiting(3))), using=using)
    assert [row[0] for row in stored(using)] == [at(0), at(5)]


@both_databases
def test_a_probe_without_a_queue_asks_nothing_more(host: Host, using: str) -> None:
    store.save(host, observed(0, table(LISTENER, waiting(0))), using=using)
    with CaptureQueriesContext(connections[using]) as quiet:
        store.save(host, observed(1, table(LISTENER, waiting(0), line())), using=using)
    with CaptureQueriesContext(connections[using]) as waited:
        store.save(host, observed(2, table(LISTENER, waiting(1), line())), using=using)
    assert not any("probes_backlog" in each["sql"] for each in quiet)
    assert sum("probes_backlog" in each["sql"] for each in waited) == 1


@both_databases
def test_a_host_that_makes_listeners_up_fills_no_disk(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        line(f"0.0.0.0:{1000 + n}", "0.0.0.0:*", "LISTEN", "9/x", queues=(n + 1, 0))
        for n in range(backlogs.MOST_A_PROBE + 40)
    ]
    store.save(host, observed(0, table(LISTENER, *rows)), using=using)
    kept = [row[3] for row in stored(using)]
    assert len(kept) == backlogs.MOST_A_PROBE
    assert min(kept) == 41


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (table(LISTENER, line(queues=(5, 5))), False),
        (table(waiting(0), waiting(3)), True),
        (table(waiting(0, holder="7/LISTEN 5")), False),
        (ss_table(("tcp", "LISTEN", "0", "128", "0.0.0.0:80", "0.0.0.0:*")), False),
        (ss_table(("tcp", "LISTEN", "1", "128", "0.0.0.0:80", "0.0.0.0:*")), True),
        ("State  Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 0 9 *:80 *:*\n", False),
        ("State  Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 2 9 *:80 *:*\n", True),
    ],
)
def test_the_text_tells_whether_anybody_may_wait(text: str, expected: bool) -> None:
    dialect = parsers.identify(text)
    assert dialect in ("net-tools", "ss")
    assert backlogs.may_wait(text, dialect) is expected


@pytest.mark.parametrize("dialect", ["net-tools", "ss", "proc", "bsd", "windows", ""])
def test_hostile_texts_are_looked_through_in_no_time(dialect: str) -> None:
    for text in ("LISTEN " * 60_000, "LISTEN\n" * 60_000, " " * 60_000 + "LISTEN", "LISTEN\0" * 9):
        assert backlogs.may_wait(text, dialect) is (dialect == "proc")


@both_databases
def test_limits_are_those_of_the_newest_probe_that_told(host: Host, using: str) -> None:
    def told() -> list[Any]:
        return list(KernelLimits.objects.using(using).values_list("taken_at", "limits"))

    limits.save(host, observed(0, ""), using=using)
    assert told() == []
    limits.save(host, observed(3, "", limits={"net.core.somaxconn": "128"}), using=using)
    limits.save(host, observed(1, "", limits={"net.core.somaxconn": "1"}), using=using)
    limits.save(host, observed(4, ""), using=using)
    assert told() == [(at(3), {"net.core.somaxconn": "128"})]
    limits.save(host, observed(5, "", limits={"net.core.somaxconn": "4096"}), using=using)
    assert told() == [(at(5), {"net.core.somaxconn": "4096"})]


@both_databases
def test_old_queues_are_forgotten(host: Host, using: str, settings: Any) -> None:
    settings.RETENTION_DAYS = 10
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    for each in (host, other):
        for day in (0, 5, 20):
            store.save(each, observed(day * 1440, table(LISTENER, waiting(2))), using=using)
    pruned = retention.prune(at(20 * 1440), using)
    assert pruned.backlogs == 4
    assert [row[0] for row in stored(using)] == [at(20 * 1440)] * 2
