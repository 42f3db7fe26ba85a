"""The exposure ledger against what the same probes say when read one by one."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.analysis.exposure import Because, Bound, Stack
from probes.history import store
from probes.history.queries import exposure, exposure_clients
from probes.history.queries.exposure import Exposed, ExposureFilter, Found
from probes.models import Reach
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, failed, line, observed, ss_table, table

HTTP = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/nginx")
LOCAL = line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "700/postgres")


def seen(host: Host, minute: float, *lines: str) -> None:
    store.save(host, observed(minute, table(*lines)), using=str(host._state.db))


def wanted(**asked: Any) -> ExposureFilter:
    if "since" in asked:
        asked["since"] = asked["since"].isoformat()
    return ExposureFilter(**asked)


def find(using: str, when: dt.datetime | None = None, **asked: Any) -> Found:
    return exposure.find(Host.objects.using(using).all(), wanted(**asked), at=when)


def ledger(using: str, when: dt.datetime | None = None, **asked: Any) -> list[Exposed]:
    found = find(using, when, **asked)
    return list(exposure.every_detailed(found, wanted(**asked), at=when))


def on(rows: list[Exposed], port: int, ip: str | None = None) -> Exposed:
    (row,) = [
        row
        for row in rows
        if row.listener.local_port == port and ip in (None, row.listener.local_ip)
    ]
    return row


def names(rows: list[Exposed]) -> list[tuple[str, int | None]]:
    return [(row.listener.host.name, row.listener.local_port) for row in rows]


@both_databases
def test_a_listener_has_its_holders_its_clients_and_its_age(host: Host, using: str) -> None:
    worker = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "901/nginx")
    clients = [
        line("192.0.2.1:80", f"{ip}:{port}", "ESTABLISHED", "901/nginx")
        for ip, numbers in (("198.51.100.7", 3), ("203.0.113.1", 2), ("10.0.0.9", 1))
        for port in range(50_000, 50_000 + numbers)
    ]
    out = line("192.0.2.1:40000", "198.51.100.9:80", "ESTABLISHED", "900/nginx")
    seen(host, 0, LISTENER)
    seen(host, 1, LISTENER, HTTP, *clients)
    seen(host, 2, LISTENER, HTTP, worker, LOCAL, *clients, out)

    row = on(ledger(using), 80)

    assert (row.listener.bound, row.listener.programs) == (Bound.ANY, ["nginx"])
    assert [(one.pid, one.first_seen) for one in row.listener.holders] == [
        (900, at(1)),
        (901, at(2)),
    ]
    assert (row.since, row.listener.first_seen, row.from_the_first) == (at(1), at(1), False)
    assert (row.listener.connections, row.listener.external) == (6, 5)
    assert (row.remote_ips, row.external_ips, row.peers_counted) == (3, 2, True)
    assert [(peer.ip, peer.external, peer.connections) for peer in row.peers] == [
        ("198.51.100.7", True, 3),
        ("203.0.113.1", True, 2),
        ("10.0.0.9", False, 1),
    ]
    assert names(ledger(using)) == [("web1", 80), ("web1", 22), ("web1", 5432)]


@both_databases
def test_at_most_five_peers_are_named_and_all_are_counted(host: Host, using: str) -> None:
    clients = [
        line("192.0.2.1:80", f"198.51.100.{ip}:5{port:04}", "ESTABLISHED", "900/nginx")
        for ip in range(1, 9)
        for port in range(ip)
    ]
    seen(host, 0, HTTP, *clients)

    row = on(ledger(using), 80)

    assert (row.remote_ips, row.listener.connections) == (8, 36)
    assert [peer.connections for peer in row.peers] == [8, 7, 6, 5, 4]


@both_databases
def test_more_peers_than_are_read_are_said(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_clients, "MOST_PEERS", 2)
    clients = [
        line("192.0.2.1:80", f"198.51.100.{ip}:50000", "ESTABLISHED", "900/x") for ip in range(3)
    ]
    seen(host, 0, HTTP, *clients)

    row = on(ledger(using), 80)

    assert (row.peers_counted, row.remote_ips, row.listener.connections) == (False, 2, 3)


@both_databases
def test_a_restart_goes_on_and_a_probe_without_it_begins_anew(host: Host, using: str) -> None:
    def held(pid: int) -> str:
        return line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", f"{pid}/nginx")

    seen(host, 0, LISTENER)
    seen(host, 1, LISTENER, held(1))
    seen(host, 2, LISTENER)
    seen(host, 3, LISTENER, held(2))
    seen(host, 4, LISTENER, held(3))
    store.save(host, failed(5), using=using)
    seen(host, 6, LISTENER, held(4))

    row = on(ledger(using), 80)

    assert (row.since, row.listener.first_seen) == (at(3), at(6))
    earlier = on(ledger(using, at(4)), 80)
    assert (earlier.since, earlier.listener.first_seen) == (at(3), at(4))
    assert on(ledger(using, at(1)), 80).since == at(1)
    assert names(ledger(using, at(2))) == [("web1", 22)]
    assert on(ledger(using), 22).from_the_first


@both_databases
def test_any_history_gives_the_chain_that_reading_every_probe_gives(host: Host, using: str) -> None:
    chance = random.Random(20260131)
    ports = [80, 443, 8080]
    probes: list[set[tuple[int, int]]] = []
    for minute in range(40):
        now = set() if minute == 0 else set(probes[-1])
        for port in ports:
            for pid in (1, 2, 3):
                if chance.random() < 0.25:
                    now ^= {(port, pid)}
        probes.append(now)
        lines = [
            line(f"0.0.0.0:{port}", "0.0.0.0:*", "LISTEN", f"{pid}/x") for port, pid in sorted(now)
        ]
        seen(host, minute, LISTENER, *lines)

    for last in range(40):
        expected = {}
        for port in ports:
            first = last
            if not any(port == one for one, _pid in probes[last]):
                continue
            while first and any(port == one for one, _pid in probes[first - 1]):
                first -= 1
            expected[port] = at(first)
        rows = ledger(using, at(last))
        found = {row.listener.local_port: row.since for row in rows}
        assert {port: found[port] for port in ports if port in found} == expected

        since = at(last - 5.5)
        new = {row.listener.local_port for row in ledger(using, at(last), since=since)}
        old_enough = last > 5
        assert new == (
            {port for port, began in expected.items() if began > since} if old_enough else set()
        )
        gone = {
            row.listener.local_port for row in ledger(using, at(last), since=since, show="gone")
        }
        assert gone == {
            port
            for port in ports
            if port not in expected
            and any(port == one for probe in probes[max(0, last - 5) : last] for one, _ in probe)
        }


@both_databases
def test_more_restarts_than_are_read_make_it_at_least_so_old(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.history.queries import exposure_spans

    monkeypatch.setattr(exposure_spans, "INTERVALS", 3)
    seen(host, 0, LISTENER)
    for minute in range(1, 9):
        held = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", f"{minute}/x")
        seen(host, minute, LISTENER, held)

    row = on(ledger(using), 80)

    assert (row.since, row.from_the_first) == (at(5), True)


@both_databases
def test_new_since_leaves_out_hosts_that_are_new_themselves(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="web2", address="192.0.2.2")
    seen(host, 0, LISTENER)
    seen(host, 5, LISTENER, HTTP)
    seen(other, 5, LISTENER, HTTP)

    found = find(using, since=at(1))

    assert [(row.host.name, row.local_port, row.since) for row in found.rows] == [
        ("web1", 80, at(5))
    ]
    assert (found.new_hosts, found.counted) == (1, True)
    assert find(using, since=at(5)).rows == []


@both_databases
def test_what_went_has_its_last_holder_and_is_gone_only_while_it_is_away(
    host: Host, using: str
) -> None:
    seen(host, 0, LISTENER, HTTP, LOCAL)
    seen(host, 1, LISTENER, LOCAL, line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "905/caddy"))
    seen(host, 2, LISTENER)
    seen(host, 3, LISTENER, LOCAL)

    (row,) = ledger(using, show="gone", since=at(0))

    assert (row.listener.local_port, row.listener.last_seen, row.since) == (80, at(1), at(0))
    assert row.listener.programs == ["caddy"]
    assert names(ledger(using, at(2), show="gone", since=at(0))) == [("web1", 80), ("web1", 5432)]
    assert ledger(using, show="gone", since=at(1.5)) == []


@both_databases
def test_too_many_changes_are_said(host: Host, using: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "MOST_CHANGED", 1)
    seen(host, 0, LISTENER)
    seen(host, 1, LISTENER, HTTP)
    seen(host, 2, LISTENER, HTTP, LOCAL)
    found = find(using, since=at(0))
    assert ([row.local_port for row in found.rows], found.counted) == ([5432], False)
    seen(host, 3, LISTENER, HTTP)
    seen(host, 4, LISTENER)
    gone = find(using, show="gone", since=at(0))
    assert ([row.local_port for row in gone.rows], gone.counted) == ([80], False)


@both_databases
@pytest.mark.parametrize(
    ("lines", "stack", "because"),
    [
        (["tcp6 :::80 -"], Stack.PROBABLY_BOTH, Because.NOTHING),
        (["tcp6 :::80 -", "tcp 0.0.0.0:80 -"], Stack.IPV6, Because.BESIDE),
        (["tcp6 :::80 -", "tcp6 192.0.2.1:80 c"], Stack.BOTH, Because.CONNECTIONS),
        (["tcp6 :::80 -", "tcp 0.0.0.0:80 -", "tcp 192.0.2.1:80 c"], Stack.IPV6, Because.BESIDE),
        (["tcp6 :::80 -", "tcp 192.0.2.1:80 -", "tcp 192.0.2.1:80 c"], Stack.PROBABLY_BOTH,
         Because.NOTHING),
        (["tcp6 :::80 -", "tcp6 2001:db8::5:80 c6"], Stack.PROBABLY_BOTH, Because.NOTHING),
    ],
)  # fmt: skip
def test_which_families_a_listener_takes_follows_from_what_is_beside_and_inside_it(
    host: Host, using: str, lines: list[str], stack: Stack, because: Because
) -> None:
    rows = []
    for text in lines:
        protocol, local, kind = text.split()
        foreign = {"-": ":::*" if protocol == "tcp6" else "0.0.0.0:*", "c": "198.51.100.7:5000",
                   "c6": "2001:db8::9:5000"}[kind]  # fmt: skip
        state = "LISTEN" if kind == "-" else "ESTABLISHED"
        rows.append(line(local, foreign, state, "9/x", protocol=protocol))
    seen(host, 0, *rows)

    listener = on(ledger(using), 80, "::").listener

    assert listener.families == (stack, because)


@both_databases
def test_ss_says_itself_which_listener_is_dual_stack(host: Host, using: str) -> None:
    text = ss_table(
        ("tcp", "LISTEN", "0", "128", "*:80", "*:*", 'users:(("x",pid=9,fd=3))'),
        ("tcp", "LISTEN", "0", "128", "[::]:22", "[::]:*", 'users:(("y",pid=8,fd=3))'),
        ("tcp", "LISTEN", "0", "128", "0.0.0.0:22", "0.0.0.0:*", 'users:(("y",pid=8,fd=4))'),
    )
    store.save(host, observed(0, text, tool="ss"), using=using)

    rows = ledger(using)

    assert on(rows, 80).listener.families == (Stack.BOTH, Because.STAR)
    assert on(rows, 22, "::").listener.families == (Stack.IPV6, Because.BESIDE)
    assert on(rows, 22, "0.0.0.0").listener.families == (Stack.IPV4, Because.ADDRESS)


@both_databases
def test_a_connection_belongs_to_the_listener_on_that_very_address_first(
    host: Host, using: str
) -> None:
    seen(
        host,
        0,
        HTTP,
        line("192.0.2.1:80", "0.0.0.0:*", "LISTEN", "901/caddy"),
        line(":::80", ":::*", "LISTEN", "902/x", protocol="tcp6"),
        line("192.0.2.1:80", "198.51.100.7:1", "ESTABLISHED", "901/caddy"),
        line("192.0.2.2:80", "198.51.100.7:2", "ESTABLISHED", "900/nginx"),
        line("192.0.2.2:80", "198.51.100.7:3", "ESTABLISHED", "900/nginx"),
        line("2001:db8::5:80", "2001:db8::9:4", "ESTABLISHED", "902/x", protocol="tcp6"),
    )

    rows = ledger(using)

    assert {row.listener.local_ip: row.listener.connections for row in rows} == {
        "0.0.0.0": 2,
        "192.0.2.1": 1,
        "::": 1,
    }
    assert sum(row.remote_ips or 0 for row in rows) == 3


@both_databases
def test_a_cut_address_is_kept_as_printed_and_counted_nowhere(host: Host, using: str) -> None:
    cut = line("2001:db8:1234:5678:9:80", ":::*", "LISTEN", "9/x", protocol="tcp6")
    store.save(host, observed(0, table(cut), wide=False), using=using)

    (row,) = ledger(using)

    assert (row.listener.bound, row.listener.connections) == (Bound.UNKNOWN, None)
    assert (row.listener.cut, row.remote_ips) == (True, None)
    assert row.listener.local_ip.startswith("2001:db8:1234")


@both_databases
def test_filters_narrow_and_orders_order(host: Host, using: str) -> None:
    other = Host.objects.using(using).create(name="db1", address="192.0.2.2")
    dns = line("10.0.0.5:53", "0.0.0.0:*", "", "5/Unbound", protocol="udp")
    seen(host, 0, LISTENER, HTTP, LOCAL, dns)
    seen(other, 0, LISTENER, LOCAL)

    def ports(**asked: Any) -> list[tuple[str, int | None]]:
        return names(ledger(using, **asked))

    assert ports(proto="udp") == [("web1", 53)]
    assert ports(port="80,5000-6000") == [("web1", 80), ("db1", 5432), ("web1", 5432)]
    assert ports(bound="loopback,private") == [("web1", 53), ("db1", 5432), ("web1", 5432)]
    assert ports(program="UNB") == [("web1", 53)]
    assert ports(q="db1") == [("db1", 22), ("db1", 5432)]
    assert ports(q="127.0") == [("db1", 5432), ("web1", 5432)]
    assert ports(sort="port")[0] == ("db1", 22)
    assert ports(sort="host")[:2] == [("db1", 22), ("db1", 5432)]
    found = find(using, bound="loopback")
    assert found.by_bound == {Bound.ANY: 3, Bound.PRIVATE: 1, Bound.LOOPBACK: 2}
    nobody = exposure.find(Host.objects.using(using).none(), ExposureFilter())
    assert (nobody.rows, exposure.detailed(nobody, nobody.rows)) == ([], [])


@both_databases
def test_results_from_here_are_found_and_filtered(host: Host, using: str) -> None:
    v6 = line(":::443", ":::*", "LISTEN", "1/x", protocol="tcp6")
    v4 = line("0.0.0.0:443", "0.0.0.0:*", "LISTEN", "1/x")
    own = line("192.0.2.9:25", "0.0.0.0:*", "LISTEN", "2/y")
    seen(host, 0, LISTENER, v6, v4, own, LOCAL)
    for address, port, result in (
        ("192.0.2.1", 443, "filtered"),
        ("2001:db8::1", 443, "open"),
        ("192.0.2.9", 25, "refused"),
        ("192.0.2.1", 25, "open"),
    ):
        Reach.objects.using(using).create(
            host=host, address=address, port=port, result=result, checked_at=at(3)
        )

    rows = ledger(using)
    results = {
        (row.listener.local_ip, row.listener.local_port): row.reach and row.reach.result
        for row in rows
    }

    assert results == {
        ("0.0.0.0", 443): "filtered",
        ("::", 443): "open",
        ("192.0.2.9", 25): "refused",
        ("0.0.0.0", 22): None,
        ("127.0.0.1", 5432): None,
    }
    assert names(ledger(using, reach="open")) == [("web1", 443)]
    assert names(ledger(using, reach="untried")) == [("web1", 22), ("web1", 5432)]
    assert ledger(using, at(1), reach="open") == []


@both_databases
def test_the_number_of_queries_does_not_grow(host: Host, using: str) -> None:
    for n in range(6):
        other = Host.objects.using(using).create(name=f"h{n}", address="192.0.2.3")
        for minute in range(3):
            held = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", f"{minute + 5}/x")
            seen(other, minute, LISTENER, held, line("192.0.2.1:80", "198.51.100.7:5"))

    for asked, most in (
        ({}, 3 + 6),
        ({"since": at(0.5)}, 8 + 5),
        ({"show": "gone", "since": at(0)}, 5 + 5),
    ):
        with CaptureQueriesContext(connections[using]) as queries:
            ledger(using, **asked)
        assert len(queries) <= most, asked


@both_databases
def test_no_plan_reads_the_closed_table_whole(host: Host, using: str) -> None:
    for minute in range(3):
        held = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", f"{minute + 5}/x")
        seen(host, minute, LISTENER, held, line("192.0.2.1:80", f"198.51.100.{minute}:5"))
    connection = connections[using]
    sqlite = connection.vendor == "sqlite"
    for asked in ({}, {"since": at(0.5)}, {"show": "gone", "since": at(0)}):
        with CaptureQueriesContext(connection) as queries:
            ledger(using, **asked)
        read = [one["sql"] for one in queries.captured_queries if "closedsocket" in one["sql"]]
        assert read
        with connection.cursor() as cursor:
            if not sqlite:
                cursor.execute("SET LOCAL enable_seqscan = off")
            for statement in read:
                cursor.execute(f"EXPLAIN {'QUERY PLAN' if sqlite else ''} {statement}")
                plan = "\n".join(str(row) for row in cursor.fetchall())
                assert "SCAN probes_closedsocket" not in plan
                assert "Seq Scan on probes_closedsocket" not in plan
                assert "listening" in plan or "host_id_local_port_last_seen" in plan
