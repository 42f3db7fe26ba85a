"""The sockets of a host: filters against a plain reading of the same rows, pages, time travel."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes import filters, parsers
from probes.filters import FilterError, SocketFilter
from probes.history import queries, store
from probes.history.queries import SORTS, SocketRow
from probes.models import ClosedSocket, Schedule, Snapshot
from probes.observation import Observation
from probes.parsers.records import Flag, Socket
from tests.databases import both_databases, both_databases_committed
from tests.probes.history.played import at, failed, line, observed, ss_table, table

MIXED = table(
    line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd"),
    line(":::22", ":::*", "LISTEN", "800/sshd", protocol="tcp6"),
    line("127.0.0.1:5432", "0.0.0.0:*", "LISTEN", "700/postgres"),
    line("10.0.0.5:22", "10.0.0.9:51000", "ESTABLISHED", "811/sshd", queues=(0, 36)),
    line("10.0.0.5:22", "10.1.0.9:51001", "ESTABLISHED", "812/sshd"),
    line("10.0.0.5:22", "192.0.2.7:51002", "TIME_WAIT", "-"),
    line("10.0.0.5:8000", "203.0.113.9:61000", "CLOSE_WAIT", "901/100%_App", queues=(77, 0)),
    line("10.0.0.5:8100", "203.0.113.9:61001", "SYN_RECV", "-"),
    line("10.0.0.5:40000", "198.51.100.4:443", "ESTABLISHED", "900/app"),
    line("::ffff:10.0.0.5:80", "::ffff:198.51.100.8:62", "FIN_WAIT1", "9/Nginx", protocol="tcp6"),
    line("2001:db8::5:443", "2001:db8::9:61003", "ESTABLISHED", "905/Nginx", protocol="tcp6"),
    line("fe80::1%eth0:546", ":::*", "", "600/dhclient", protocol="udp6"),
    line("0.0.0.0:68", "0.0.0.0:*", "", "600/dhclient", protocol="udp"),
    line("127.0.0.1:5432", "127.0.0.1:40100", "ESTABLISHED", "701/postgres: web"),
    line("127.0.0.1:40100", "127.0.0.1:5432", "ESTABLISHED", "900/app"),
    line("0.0.0.0:1", "0.0.0.0:*", "7", "500/pinger", protocol="raw"),
)  # fmt: skip


def asked(text: str) -> SocketFilter:
    return filters.parse(SocketFilter, QueryDict(text), blank_is_absent=False)


def as_socket(row: SocketRow) -> Socket:
    return Socket(
        row.protocol, row.recv_queue, row.send_queue, row.local_ip, row.local_port,
        row.foreign_ip, row.foreign_port, row.state, row.pid, row.program, row.flags,
    )  # fmt: skip


def listed(host: Host, query: str = "", **arguments: object) -> list[SocketRow]:
    """All rows that a query finds."""
    arguments.setdefault("snapshot", None)
    page = queries.connections(host, filters=asked(query), limit=1000, **arguments)  # type: ignore[arg-type]
    assert page.next is None
    assert page.total == len(page.rows)
    return list(page.rows)


def inside(text: str, *networks: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    return any(address in ipaddress.ip_network(network) for network in networks)


LOOPBACK = ("127.0.0.0/8", "::1/128")
EXPECTED: dict[str, Callable[[Socket], bool]] = {
    "": lambda s: True,
    "proto=all": lambda s: True,
    "proto=tcp": lambda s: s.protocol in ("tcp", "tcp6"),
    "proto=TCP6": lambda s: s.protocol == "tcp6",
    "proto=udp": lambda s: s.protocol in ("udp", "udp6"),
    "proto=raw": lambda s: s.protocol == "raw",
    "state=LISTENING": lambda s: s.state == "LISTEN",
    "state=syn_rcvd,time-wait": lambda s: s.state in ("SYN_RECV", "TIME_WAIT"),
    "state=fin_wait_1": lambda s: s.state == "FIN_WAIT1",
    "local_port=22": lambda s: s.local_port == 22,
    "local_port=80,8000-8100": lambda s: s.local_port in (80, *range(8000, 8101)),
    "remote_port=443": lambda s: s.foreign_port == 443,
    "remote_ip=10.0.0.9": lambda s: s.foreign_ip == "10.0.0.9",
    "remote_ip=10.0.0.0/8": lambda s: inside(s.foreign_ip, "10.0.0.0/8"),
    "remote_ip=203.0.113.9/24": lambda s: inside(s.foreign_ip, "203.0.113.0/24"),
    "remote_ip=0.0.0.0/0": lambda s: inside(s.foreign_ip, "0.0.0.0/0"),
    "remote_ip=::/0": lambda s: inside(s.foreign_ip, "::/0"),
    "remote_ip=::ffff:198.51.100.0/120": lambda s: inside(s.foreign_ip, "198.51.100.0/24"),
    "remote_ip=2001:db8::/32": lambda s: inside(s.foreign_ip, "2001:db8::/32"),
    "local_ip=fe80::1%25eth0": lambda s: s.local_ip == "fe80::1%eth0",
    "local_ip=fe80::1%25eth1": lambda s: False,
    "local_ip=fe80::/10": lambda s: inside(s.local_ip, "fe80::/10"),
    "program=NGINX": lambda s: s.program == "Nginx",
    "program=ostgres": lambda s: "postgres" in (s.program or ""),
    "program=%25_": lambda s: "%_" in (s.program or ""),
    "program=_": lambda s: "_" in (s.program or ""),
    "program=%5C": lambda s: False,
    "program=' OR 1=1": lambda s: False,
    "pid=900": lambda s: s.pid == 900,
    "pid=none": lambda s: s.pid is None,
    "family=4": lambda s: inside(s.local_ip, "0.0.0.0/0"),
    "family=6": lambda s: inside(s.local_ip, "::/0"),
    "hide=loopback": lambda s: (
        not inside(s.local_ip, *LOOPBACK) and not inside(s.foreign_ip, *LOOPBACK)
    ),
    "hide=listen": lambda s: s.state != "LISTEN" and s.foreign_port is not None,
    "hide=listen,loopback&proto=tcp&state=established&local_port=22": lambda s: (
        s.local_port == 22 and s.state == "ESTABLISHED" and not inside(s.foreign_ip, *LOOPBACK)
    ),
}


@pytest.mark.parametrize("query", EXPECTED)
@both_databases
def test_a_filter_finds_what_a_plain_reading_of_the_rows_finds(
    host: Host, using: str, query: str
) -> None:
    store.save(host, observed(0, MIXED), using=using)
    every = parsers.parse(MIXED).sockets
    assert len(every) == MIXED.count("\n") - 2

    found = [as_socket(row) for row in listed(host, query)]

    assert Counter(found) == Counter(filter(EXPECTED[query], every))


@both_databases
def test_a_direction_is_one_of_four_and_they_share_the_rows_out(host: Host, using: str) -> None:
    store.save(host, observed(0, MIXED), using=using)

    by_direction = {
        name: {row.key for row in listed(host, f"direction={name}")} for name in filters.DIRECTIONS
    }

    assert sum(map(len, by_direction.values())) == len(listed(host))
    assert {row.local_port for row in listed(host, "direction=out")} == {40000, 8000, 8100, 80, 443}
    assert {row.local_port for row in listed(host, "direction=in")} == {22}
    assert len(by_direction["local"]) == 2


@pytest.mark.parametrize("sort", ["", *SORTS])
@both_databases
def test_pages_in_any_order_give_every_row_once(host: Host, using: str, sort: str) -> None:
    store.save(host, observed(0, table(LISTEN_22)), using=using)
    store.save(host, observed(1, MIXED), using=using)
    whole = queries.connections(host, snapshot=None, sort=sort, limit=1000)
    streamed = list(queries.iter_connections(host, snapshot=None, sort=sort))

    rows: list[SocketRow] = []
    cursor = None
    while True:
        page = queries.connections(host, snapshot=None, sort=sort, cursor=cursor, limit=3)
        assert len(page.rows) <= 3
        assert page.total == whole.total
        rows += page.rows
        cursor = page.next
        if cursor is None:
            break

    assert rows == list(whole.rows) == streamed
    assert len({row.key for row in rows}) == whole.total == 16


LISTEN_22 = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd")


@pytest.mark.parametrize("name", ["local_port", "recv_queue", "program", "pid", "foreign_port"])
@both_databases
def test_unknown_values_come_last_in_either_direction(host: Host, using: str, name: str) -> None:
    store.save(host, observed(0, MIXED), using=using)

    up = [getattr(row, name) for row in listed(host, sort=name)]
    down = [getattr(row, name) for row in listed(host, sort=f"-{name}")]

    known = [value for value in up if value is not None]
    assert known == sorted(known)
    assert up == known + [None] * (len(up) - len(known))
    assert down == known[::-1] + [None] * (len(up) - len(known))


@both_databases
def test_copies_are_one_row_and_counted(host: Host, using: str) -> None:
    store.save(host, observed(0, table(LISTEN_22, line(), line())), using=using)

    page = queries.connections(host, snapshot=None)

    assert (page.total, page.sockets) == (2, 3)
    assert [row.copies for row in page.rows if row.state == "ESTABLISHED"] == [2]


@both_databases
def test_an_address_keeps_its_zone(host: Host, using: str) -> None:
    row = ("tcp", "ESTAB", "0", "0", "[fe80::1]%eth0:22", "[fe80::2]%eth0:50000", "")
    store.save(host, observed(0, ss_table(row), tool="ss"), using=using)

    (found,) = listed(host)

    assert (found.local_ip, found.foreign_ip) == ("fe80::1%eth0", "fe80::2%eth0")
    assert listed(host, "remote_ip=fe80::2%25eth0") == listed(host, "remote_ip=fe80::2") == [found]
    assert listed(host, "remote_ip=fe80::2%25eth1") == []


@both_databases
def test_an_address_cut_short_is_given_as_printed_and_counts_as_no_network(
    host: Host, using: str
) -> None:
    cut = line("2001:db8:1234:5678:9:22", "2001:db8:1234:5678:9a:5", protocol="tcp6")
    store.save(host, observed(0, table(cut)), using=using)

    (found,) = listed(host)

    assert found.flags & (Flag.LOCAL_TRUNCATED | Flag.FOREIGN_TRUNCATED)
    assert listed(host, "local_ip=2001:db8::/32") == []
    assert listed(host, "family=6") == [found]


def moving_history(host: Host, using: str) -> dict[int, Counter[Socket]]:
    """Thirty probes that open, close and reopen sockets; what each of them saw."""
    chance = random.Random(11)
    pool = [line(f"10.0.0.5:{22 + n % 3}", f"10.0.{n}.9:{50000 + n}") for n in range(40)]
    seen: dict[int, Counter[Socket]] = {}
    for minute in range(30):
        if minute in (7, 8):
            store.save(host, failed(minute), using=using)
            continue
        lines = [one for one in pool for _copy in range(chance.choice([0, 1, 1, 2]))]
        text = table(*lines)
        snapshot = store.save(host, observed(minute, text), using=using)
        seen[snapshot.pk] = Counter(
            socket._replace(recv_queue=None, send_queue=None)
            for socket in parsers.parse(text).sockets
        )
    return seen


@both_databases
def test_every_snapshot_is_given_back_exactly(host: Host, using: str) -> None:
    seen = moving_history(host, using)
    assert len(seen) == 28

    for pk, expected in seen.items():
        snapshot = Snapshot.objects.using(using).get(pk=pk)
        found: Counter[Socket] = Counter()
        for row in queries.iter_connections(host, snapshot=snapshot):
            found[as_socket(row)._replace(recv_queue=None, send_queue=None)] += row.copies
        assert found == expected
        page = queries.connections(host, snapshot=snapshot, limit=1000)
        assert page.sockets == snapshot.sockets


@both_databases
def test_queues_are_known_for_the_newest_snapshot_only(host: Host, using: str) -> None:
    first = store.save(host, observed(0, table(line(queues=(1, 2)))), using=using)
    second = store.save(host, observed(1, table(line(queues=(5, 6)))), using=using)

    (then,) = queries.connections(host, snapshot=first).rows
    (now,) = queries.connections(host, snapshot=second).rows

    assert (then.recv_queue, then.send_queue) == (None, None)
    assert (now.recv_queue, now.send_queue) == (5, 6)


@both_databases
def test_a_failed_probe_hides_nothing(host: Host, using: str) -> None:
    whole = store.save(host, observed(0, MIXED), using=using)
    store.save(host, failed(1), using=using)

    page = queries.connections(host, snapshot=None, limit=1000)

    assert page.snapshot == whole
    assert page.total == 16


@both_databases
def test_pages_stay_with_the_snapshot_of_the_first_while_probes_go_on(
    host: Host, using: str
) -> None:
    store.save(host, observed(0, MIXED), using=using)
    expected = [row.key for row in listed(host)]
    page = queries.connections(host, snapshot=None, limit=5)
    keys = [row.key for row in page.rows]
    store.save(host, observed(1, table(LISTEN_22, line("10.0.0.5:1", "10.0.0.8:9"))), using=using)

    while page.next is not None:
        page = queries.connections(host, snapshot=None, cursor=page.next, limit=5)
        keys += [row.key for row in page.rows]

    assert keys == expected
    assert [row.local_port for row in listed(host)] == [1, 22]


@both_databases
def test_pages_by_queue_go_on_in_the_newest_snapshot(host: Host, using: str) -> None:
    lines = [line(f"10.0.0.5:{n}", "10.0.0.9:5", queues=(n, 0)) for n in range(1, 9)]
    store.save(host, observed(0, table(*lines)), using=using)
    page = queries.connections(host, snapshot=None, sort="-recv_queue", limit=4)
    assert [row.recv_queue for row in page.rows] == [8, 7, 6, 5]
    store.save(host, observed(1, table(*lines[:3])), using=using)

    page = queries.connections(host, snapshot=None, sort="-recv_queue", cursor=page.next, limit=4)

    assert [row.recv_queue for row in page.rows] == [3, 2, 1]


@both_databases
def test_a_cursor_of_another_list_or_a_mangled_one_is_refused(host: Host, using: str) -> None:
    first = store.save(host, observed(0, MIXED), using=using)
    second = store.save(host, observed(1, MIXED), using=using)
    other = Host.objects.using(using).create(name="other", address="192.0.2.2")
    store.save(other, observed(0, MIXED), using=using)
    cursor = queries.connections(host, snapshot=first, limit=5).next
    assert cursor is not None

    def refused(where: Host, cursor: str, **arguments: object) -> str:
        arguments = {"snapshot": None, "limit": 5, **arguments}
        with pytest.raises(FilterError) as caught:
            queries.connections(where, cursor=cursor, **arguments)  # type: ignore[arg-type]
        return caught.value.field

    for bad in ("", "x", "é", cursor[:-1], cursor + "A", cursor.swapcase(), "a:b:c", "=" * 900):
        assert refused(host, bad) == "cursor"
    assert refused(other, cursor) == "cursor"
    assert refused(host, cursor, sort="program") == "cursor"
    assert refused(host, cursor, snapshot=second) == "cursor"
    assert refused(host, queries.snapshots(host, limit=1).next or "") == "cursor"
    first.delete(using=using)
    assert refused(host, cursor) == "cursor"


@both_databases_committed
def test_a_stream_is_one_moment_though_probes_are_stored_while_it_is_read(
    host: Host, using: str
) -> None:
    many = table(*(line(f"10.0.0.5:{n}", f"10.0.0.9:{n}") for n in range(1, 5001)))
    store.save(host, observed(0, many), using=using)
    rows = queries.iter_connections(host, snapshot=None)
    seen = [next(rows)]

    store_elsewhere(host, observed(1, table(LISTEN_22)), using)
    seen += rows

    assert [row.local_port for row in seen] == list(range(1, 5001))
    assert queries.connections(host, snapshot=None).total == 1


def store_elsewhere(host: Host, observation: Observation, using: str) -> None:
    """Store by a connection of its own, as a worker does."""

    def save() -> None:
        try:
            store.save(host, observation, using=using)
        finally:
            connections[using].close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(save).result()


@both_databases
def test_an_unknown_order_is_refused(host: Host, using: str) -> None:
    for sort in ("x", "--pid", "local_port; DROP TABLE x", "key"):
        with pytest.raises(FilterError) as caught:
            queries.connections(host, snapshot=None, sort=sort)
        assert caught.value.field == "sort"


@both_databases
def test_a_host_never_probed_whole_has_no_rows_and_no_snapshot(host: Host, using: str) -> None:
    store.save(host, failed(0), using=using)

    page = queries.connections(host, snapshot=None)

    assert (list(page.rows), page.snapshot, page.total) == ([], None, 0)
    assert list(queries.iter_connections(host, snapshot=None)) == []


@both_databases
def test_the_snapshot_at_a_time_is_the_newest_whole_one_until_then(host: Host, using: str) -> None:
    first = store.save(host, observed(1, MIXED), using=using)
    store.save(host, failed(2), using=using)
    third = store.save(host, observed(3, MIXED), using=using)

    found = {minute: queries.snapshot_at(host, at(minute)) for minute in (0, 1, 1.5, 2, 2.9, 3, 9)}

    assert found == {0: None, 1: first, 1.5: first, 2: first, 2.9: first, 3: third, 9: third}
    assert queries.snapshot_at(host, None) == third


@both_databases
def test_a_page_costs_three_queries_and_two_at_a_snapshot(host: Host, using: str) -> None:
    store.save(host, observed(0, MIXED), using=using)
    snapshot = store.save(host, observed(1, MIXED), using=using)

    with CaptureQueriesContext(connections[using]) as newest:
        queries.connections(host, snapshot=None, filters=asked("program=ssh"), sort="-state")
    with CaptureQueriesContext(connections[using]) as then:
        queries.connections(host, snapshot=snapshot)

    assert (len(newest), len(then)) == (3, 2)


@both_databases
def test_the_newest_snapshot_never_reads_closed_sockets(host: Host, using: str) -> None:
    for minute in range(3):
        store.save(host, observed(minute, table(line(f"10.0.0.5:{minute + 1}"))), using=using)
    snapshot = queries.snapshot_at(host, None)
    with CaptureQueriesContext(connections[using]) as captured:
        queries.connections(host, snapshot=snapshot)
    sql = captured[0]["sql"]
    closed = ClosedSocket.objects.using(using).filter(host_id=host.pk)
    assert closed.count() == 2

    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {sql}")
            plan = [row[0] for row in cursor.fetchall()]
        # Left out of the plan, since no day holds any that late, or in it and not run.
        scans = [row for row in plan if "probes_closedsocket" in row]
        assert all("never executed" in row for row in scans), "\n".join(plan)
        return
    few = steps(sql)
    with connections[using].cursor() as cursor:
        columns = "host_id, first_seen, protocol, direction, local_ip, remote_ip, flags, copies"
        cursor.execute(
            f"INSERT INTO probes_closedsocket (key, last_seen, {columns}) WITH RECURSIVE n(i) AS"
            " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, last_seen,"
            f" {columns} FROM n CROSS JOIN (SELECT * FROM probes_closedsocket LIMIT 1)"
        )
    assert closed.count() == 2002
    assert steps(sql) <= few + 100


def steps(sql: str) -> int:
    """Instructions of SQLite's machine that a query takes."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    raw = connections["default"].connection
    raw.set_progress_handler(count, 1)
    try:
        raw.execute(sql).fetchall()
    finally:
        raw.set_progress_handler(None, 1)
    return taken


@both_databases
def test_the_newest_snapshot_stays_exact_when_the_schedule_has_moved_on(
    host: Host, using: str
) -> None:
    """A page that took its snapshot before another probe was stored still shows that one."""
    first = store.save(host, observed(0, MIXED), using=using)
    schedule = Schedule.objects.using(using).select_related("latest_whole").get(pk=host.pk)
    assert schedule.latest_whole == first
    store.save(host, observed(1, table(LISTEN_22)), using=using)

    page = queries.connections(host, snapshot=schedule.latest_whole, limit=1000)

    assert page.total == 16
