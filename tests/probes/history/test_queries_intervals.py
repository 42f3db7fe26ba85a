"""The connections of a host over a time, against its snapshots walked through one by one."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connections
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.models import Host
from probes import filters
from probes.filters import FilterError, SocketFilter
from probes.history import store
from probes.history.queries import interval_sql, intervals
from probes.history.queries.intervals import Connection, History
from tests.databases import POSTGRESQL, SQLITE, both_databases
from tests.probes.history.played import at, failed, line, observed, rows_of, table
from tests.probes.history.test_store_exact import TABLES

WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/nginx")
NEW_WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "950/nginx")
SYN = line("10.0.0.5:80", "198.51.100.7:50000", "SYN_RECV", "-")
PEER = line("10.0.0.5:80", "198.51.100.7:50000", "ESTABLISHED", "901/nginx")
WAITING = line("10.0.0.5:80", "198.51.100.7:50000", "TIME_WAIT", "-")
SIX = line("2001:db8::5:80", "2001:db8::9:50001", "ESTABLISHED", "901/nginx", protocol="tcp6")


def asked(text: str) -> SocketFilter:
    return filters.parse(SocketFilter, QueryDict(text))


def play(host: Host, using: str, *tables: Sequence[str] | None) -> None:
    """A snapshot a minute: whole with these lines, or failed."""
    for minute, lines in enumerate(tables):
        seen = failed(minute) if lines is None else observed(minute, table(*lines))
        store.save(host, seen, using=using)


def seen(host: Host, query: str = "", **options: Any) -> History:
    wanted: dict[str, Any] = {"since": at(-1), "until": at(60), "sort": "first_seen"}
    return intervals.history(host, filters=asked(query), **(wanted | options))


def told(connection: Connection) -> tuple[Any, ...]:
    """A connection in short: its remote end, first and last minute, path."""
    start = at(0)
    return (
        f"{connection.foreign_ip}:{connection.foreign_port}",
        (connection.first_seen - start).total_seconds() / 60,
        (connection.last_seen - start).total_seconds() / 60,
        [(step.state, step.pid, step.lasted_s) for step in connection.steps],
    )


@both_databases
def test_a_connection_is_told_from_its_first_to_its_last_state(host: Host, using: str) -> None:
    play(host, using, (WEB,), (WEB, SYN), (WEB, PEER), (WEB, PEER), (WEB, WAITING), (WEB,))

    rows = seen(host, "hide=listen").rows

    assert [told(row) for row in rows] == [
        (
            "198.51.100.7:50000",
            1,
            4,
            [("SYN_RECV", None, 60), ("ESTABLISHED", 901, 120), ("TIME_WAIT", None, 0)],
        )
    ]
    assert rows[0].processes == [(901, "nginx"), (None, None)]
    assert (rows[0].is_open, rows[0].duration_s, rows[0].direction) == (False, 180, "in")


@both_databases
def test_a_port_that_is_used_again_is_another_connection(host: Host, using: str) -> None:
    play(host, using, (WEB, PEER), (WEB,), (WEB, PEER), (WEB, PEER))

    first, second = seen(host, "direction=in").rows

    assert told(first) == ("198.51.100.7:50000", 0, 0, [("ESTABLISHED", 901, 0)])
    assert told(second) == ("198.51.100.7:50000", 2, 3, [("ESTABLISHED", 901, 60)])
    assert (first.is_open, second.is_open) == (False, True)
    assert (first.times, second.times) == (1, 2)


@both_databases
def test_a_failed_probe_ends_no_connection(host: Host, using: str) -> None:
    play(host, using, (WEB, PEER), None, None, (WEB, WAITING))

    (row,) = seen(host, "direction=in").rows

    assert told(row)[3] == [("ESTABLISHED", 901, 180), ("TIME_WAIT", None, 0)]


@both_databases
def test_a_listener_tells_who_held_it_over_time(host: Host, using: str) -> None:
    play(host, using, (WEB, PEER), (NEW_WEB,), (NEW_WEB, SIX))

    (row,) = seen(host, listeners=True).rows

    assert row.processes == [(900, "nginx"), (950, "nginx")]
    assert (row.first_seen, row.last_seen, row.is_open) == (at(0), at(2), True)
    assert [row.foreign_ip for row in seen(host, listeners=False).rows] == [
        "198.51.100.7",
        "2001:db8::9",
    ]


@both_databases
def test_a_filter_finds_what_passed_at_some_time(host: Host, using: str) -> None:
    play(host, using, (WEB, SYN), (WEB, PEER), (WEB, WAITING, SIX))

    def found(query: str) -> list[str]:
        return [row.foreign_ip for row in seen(host, query).rows]

    for query in ("state=SYN_RECV", "state=time_wait", "pid=901&family=4", "remote_ip=198.0.0.0/8"):
        (row,) = seen(host, query).rows
        assert len(row.steps) == 3, query
    assert found("remote_ip=2001:db8::/32") == ["2001:db8::9"]
    assert found("program=nginx&hide=listen") == ["198.51.100.7", "2001:db8::9"]
    assert found("remote_ip=192.0.2.0/24") == []
    assert found("local_port=81") == []


@both_databases
def test_only_what_was_seen_in_the_time_is_in_it(host: Host, using: str) -> None:
    play(host, using, (WEB, PEER), (WEB, PEER), (WEB,), (WEB, SIX), (WEB,))

    def found(since: float, until: float) -> list[str]:
        page = seen(host, "hide=listen", since=at(since), until=at(until))
        assert page.total == len(page.rows)
        return [row.foreign_ip for row in page.rows]

    assert found(0, 1) == ["198.51.100.7"]
    assert found(1, 3) == ["198.51.100.7", "2001:db8::9"]
    assert found(1.5, 2.5) == []
    assert found(3, 9) == ["2001:db8::9"]


@both_databases
def test_pages_of_any_order_are_the_whole_once(host: Host, using: str) -> None:
    peers = [line(f"10.0.0.5:{port}", f"10.0.0.9:{port}") for port in range(4000, 4020)]
    play(host, using, peers[:10], peers[5:15], peers[:3], peers[8:], (*peers[:5], SIX))
    everything = list(intervals.iter_history(host, since=at(-1), until=at(9), sort="first_seen"))
    assert len(everything) > 20

    for sort in [*intervals.ORDERS, *(f"-{name}" for name in intervals.ORDERS)]:
        rows: list[Connection] = []
        cursor = None
        while True:
            page = seen(host, sort=sort, cursor=cursor, limit=7)
            assert page.total == len(everything)
            rows += page.rows
            cursor = page.next
            if cursor is None:
                break
        assert sorted(map(repr, rows)) == sorted(map(repr, everything)), sort
        assert rows == list(intervals.iter_history(host, since=at(-1), until=at(60), sort=sort))
    lasting = [row.duration_s for row in seen(host, sort="-duration").rows]
    assert lasting == sorted(lasting, reverse=True)


@both_databases
def test_work_is_bounded_and_that_is_said(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = [line(f"10.0.0.5:{port}") for port in range(4000, 4030)]
    play(host, using, peers[:10], peers[10:20], peers[20:])
    monkeypatch.setattr(interval_sql, "MOST_INTERVALS", 25)

    page = seen(host)

    assert (page.complete, page.since, page.total) == (False, at(1), 20)
    assert seen(host, since=at(1)).complete
    assert not seen(host, "local_port=4000-4100").complete
    monkeypatch.setattr(interval_sql, "MOST_INTERVALS", 30)
    assert seen(host).complete
    monkeypatch.setattr(interval_sql, "MOST_INTERVALS", 5)
    assert (seen(host).since, seen(host).total) == (at(2), 10)


@both_databases
def test_an_address_is_found_however_long_ago(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = [line(f"10.0.0.5:{port}") for port in range(4000, 4030)]
    play(host, using, (*peers[:10], PEER), peers[10:20], peers[20:])
    monkeypatch.setattr(interval_sql, "MOST_INTERVALS", 12)

    page = seen(host, "remote_ip=198.51.100.7")

    assert page.complete
    assert [told(row)[1:3] for row in page.rows] == [(0, 0)]
    assert seen(host, "local_port=80").rows == []


@both_databases
def test_nothing_of_a_removed_host_is_still_there(host: Host, using: str) -> None:
    play(host, using, [WEB, PEER], [WEB, PEER])
    assert all(row.is_open for row in seen(host).rows)
    host.removed_at = at(9)

    listed = list(intervals.iter_history(host, since=at(-1), until=at(60), sort="first_seen"))

    assert seen(host).rows == listed
    assert [(row.is_open, row.last_seen) for row in listed] == [(False, at(1))] * 2


@both_databases
def test_a_host_without_a_whole_snapshot_has_no_history(host: Host, using: str) -> None:
    play(host, using, None)

    page = seen(host)

    assert (page.rows, page.total, page.newest, page.complete) == ([], 0, None, True)
    assert list(intervals.iter_history(host, since=at(0), until=at(1))) == []


@both_databases
def test_a_cursor_of_another_order_or_filter_is_refused(host: Host, using: str) -> None:
    play(host, using, [line(f"10.0.0.5:{port}") for port in range(4000, 4005)])
    cursor = seen(host, limit=2).next

    for query, options in (("pid=811", {}), ("", {"sort": "duration"}), ("", {"listeners": True})):
        with pytest.raises(FilterError) as refused:
            seen(host, query, cursor=cursor, **options)
        assert refused.value.field == "cursor"
    with pytest.raises(FilterError) as refused:
        seen(host, sort="moon")
    assert refused.value.field == "sort"


@both_databases
def test_history_takes_four_queries_however_long_it_is(host: Host, using: str) -> None:
    play(host, using, *([line(f"10.0.0.5:{4000 + n}")] for n in range(12)))

    with CaptureQueriesContext(connections[using]) as counted:
        assert seen(host).total == 12
    assert len(counted) == 4
    with CaptureQueriesContext(connections[using]) as counted:
        assert seen(host, "remote_ip=10.0.0.0/8").total == 12
    assert len(counted) == 4


_names = (f"i{number}" for number in itertools.count())


def _walked(texts: list[tuple[int, str]]) -> set[tuple[Any, ...]]:
    """(ends, first minute, last minute) of every connection, snapshot by snapshot."""
    found: set[tuple[Any, ...]] = set()
    going: dict[tuple[Any, ...], int] = {}
    before = 0
    for minute, text in texts:
        now = {
            (s.protocol, s.local_ip, s.local_port, s.foreign_ip, s.foreign_port)
            for s in rows_of(text)
        }
        found |= {(*ends, begun, before) for ends, begun in going.items() if ends not in now}
        going = {ends: going.get(ends, minute) for ends in now}
        before = minute
    return found | {(*ends, begun, before) for ends, begun in going.items()}


def _minute(when: dt.datetime) -> int:
    return round((when - at(0)).total_seconds() / 60)


def _play(texts: list[str], using: str) -> None:
    host = Host.objects.using(using).create(name=next(_names), address="192.0.2.1")
    whole = []
    for minute, text in enumerate(texts):
        if store.save(host, observed(minute, text), using=using).outcome == "ok":
            whole.append((minute, text))
    rows = intervals.iter_history(host, since=at(-1), until=at(60))
    assert sorted(
        (
            *(row.protocol, row.local_ip, row.local_port or 0, row.foreign_ip),
            *(row.foreign_port or 0, _minute(row.first_seen), _minute(row.last_seen)),
        )
        for row in rows
    ) == sorted((a, b, c or 0, d, e or 0, f, g) for a, b, c, d, e, f, g in _walked(whole))


@pytest.mark.django_db(databases=[SQLITE])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TABLES, min_size=1, max_size=6))
def test_connections_are_those_of_the_snapshots_on_sqlite(texts: list[str]) -> None:
    _play(texts, SQLITE)


@pytest.mark.django_db(databases=[POSTGRESQL])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TABLES, min_size=1, max_size=6))
def test_connections_are_those_of_the_snapshots_on_postgresql(texts: list[str]) -> None:
    _play(texts, POSTGRESQL)
