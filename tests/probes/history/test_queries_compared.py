"""Two hosts side by side: what one has and the other has not, whatever their own addresses are."""

from __future__ import annotations

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import store
from probes.history.queries import compared
from probes.history.queries.compared import ITSELF, Comparison
from tests.databases import both_databases
from tests.probes.history.played import at, line, observed, table


def app(own: str, *more: str, pid: int = 900) -> str:
    """What a host of an application at ``own`` shows."""
    return table(
        line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", f"{pid}/nginx"),
        line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "700/postgres"),
        line(f"{own}:80", "198.51.100.7:50000", "ESTABLISHED", f"{pid}/nginx"),
        line(f"{own}:40000", "192.0.2.50:3306", "ESTABLISHED", "801/java"),
        line(f"{own}:40001", "192.0.2.50:3306", "TIME_WAIT", "-"),
        line("127.0.0.1:40002", "127.0.0.1:5432", "ESTABLISHED", "801/java"),
        line("127.0.0.1:5432", "127.0.0.1:40002", "ESTABLISHED", "701/postgres"),
        line(f"{own}:40003", f"{own}:80", "ESTABLISHED", "44/curl"),
        *more,
    )


def pair(using: str, first: str, second: str) -> tuple[Host, Host]:
    made = []
    for number, text in ((5, first), (6, second)):
        host = Host.objects.using(using).create(name=f"app{number}", address=f"10.0.0.{number}")
        store.save(host, observed(0, text), using=using)
        made.append(host)
    return made[0], made[1]


def told(comparison: Comparison, show: str = "all") -> list[tuple[object, ...]]:
    return [
        (row.what, row.side, row.protocol, row.ip, row.port)
        for row in comparison.rows
        if row.shown(show)
    ]


@both_databases
def test_two_hosts_of_one_task_differ_in_nothing(using: str) -> None:
    a, b = pair(using, app("10.0.0.5"), app("10.0.0.6", pid=950))

    comparison = compared.hosts(a, b)

    assert told(comparison) == [
        ("listeners", "both", "tcp", None, 80),
        ("listeners", "both", "tcp", None, 5432),
        ("talks", "both", "tcp", ITSELF, 80),
        ("talks", "both", "tcp", "192.0.2.50", 3306),
        ("talks", "both", "tcp", ITSELF, 5432),
        ("clients", "both", "tcp", "198.51.100.7", 80),
        ("clients", "both", "tcp", ITSELF, 5432),
    ]
    assert told(comparison, "differences") == []
    assert not comparison.capped


@both_databases
def test_what_one_has_and_the_other_has_not_is_told(using: str) -> None:
    six = line("2001:db8::5:22", "2001:db8::9:51000", "ESTABLISHED", "1/sshd", protocol="tcp6")
    a, b = pair(
        using,
        app(
            "10.0.0.5",
            line(":::22", ":::*", "LISTEN", "800/sshd", protocol="tcp6"),
            six,
            line("0.0.0.0:53", "0.0.0.0:*", "", "53/named", protocol="udp"),
        ),
        app(
            "10.0.0.6",
            line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "901/java"),
            line("10.0.0.6:40009", "203.0.113.9:443", "ESTABLISHED", "66/wget"),
        ),
    )

    comparison = compared.hosts(a, b)

    assert told(comparison, "a") == [
        ("listeners", "a", "tcp", None, 22),
        ("listeners", "a", "udp", None, 53),
        ("clients", "a", "tcp", "2001:db8::9", 22),
    ]
    assert told(comparison, "b") == [
        ("listeners", "b", "tcp", None, 8080),
        ("talks", "b", "tcp", "203.0.113.9", 443),
    ]
    assert len(told(comparison, "differences")) == 5


@both_databases
def test_both_have_it_but_another_program_address_or_number(using: str) -> None:
    a, b = pair(
        using,
        table(
            line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "1/nginx"),
            line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "2/java"),
            line("0.0.0.0:9000", "0.0.0.0:*", "LISTEN", "3/a"),
            line("10.0.0.5:40000", "192.0.2.50:443", "ESTABLISHED", "4/curl"),
        ),
        table(
            line("127.0.0.1:80", "0.0.0.0:*", "LISTEN", "1/nginx"),
            line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "2/jetty"),
            line("0.0.0.0:9000", "0.0.0.0:*", "LISTEN", "3/a"),
            line("0.0.0.0:9000", "0.0.0.0:*", "LISTEN", "4/a"),
            line("10.0.0.6:40000", "192.0.2.50:443", "ESTABLISHED", "4/wget"),
            line("10.0.0.6:40001", "192.0.2.50:443", "ESTABLISHED", "4/wget"),
        ),
    )

    rows = compared.hosts(a, b).rows

    assert all(row.side == "both" and row.differs for row in rows)
    parties = {row.port: (row.a, row.b) for row in rows}
    assert [party and party.bound for party in parties[80]] == [("all",), ("loopback",)]
    assert [party and party.programs for party in parties[8080]] == [("java",), ("jetty",)]
    assert [party and party.count for party in parties[9000]] == [1, 2]
    assert [party and party.programs for party in parties[443]] == [("curl",), ("wget",)]
    assert [party and party.count for party in parties[443]] == [1, 2]


@both_databases
def test_each_host_stands_as_it_was_at_the_time(using: str) -> None:
    a, b = pair(using, app("10.0.0.5"), app("10.0.0.6"))
    store.save(a, observed(5, table(line())), using=using)

    assert told(compared.hosts(a, b, at=at(4)), "differences") == []
    now = compared.hosts(a, b)
    assert now.a is not None
    assert now.a.taken_at == at(5)
    assert {side for _what, side, *_rest in told(now)} == {"a", "b"}
    before = compared.hosts(a, b, at=at(-1))
    assert (before.a, before.b, before.rows) == (None, None, [])


@both_databases
def test_only_the_peers_with_most_connections_are_compared_and_that_is_said(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = [line(f"10.0.0.5:{port}", "192.0.2.9:443") for port in range(4000, 4009)]
    a, b = pair(using, table(*peers, line()), table(*peers))
    monkeypatch.setattr(compared, "MOST_GROUPS", 1)

    comparison = compared.hosts(a, b)

    assert comparison.capped
    assert told(comparison) == [("talks", "both", "tcp", "192.0.2.9", 443)]


@both_databases
def test_it_takes_twelve_queries_however_much_there_is(using: str) -> None:
    lines = [line(f"10.0.0.5:{n}", "0.0.0.0:*", "LISTEN", f"{n}/a") for n in range(4000, 4300)]
    a, b = pair(using, app("10.0.0.5", *lines), app("10.0.0.6"))

    with CaptureQueriesContext(connections[using]) as seen:
        compared.hosts(a, b)
    assert len(seen) == 12
