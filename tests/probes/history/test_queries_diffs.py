"""What differs between two snapshots, against the same texts compared line by line."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
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
from probes.history import packing, store
from probes.history.queries import diffs
from probes.history.queries.diffs import Change
from probes.models import Snapshot
from probes.parsers.records import Socket
from tests.databases import POSTGRESQL, SQLITE, both_databases
from tests.probes.history.played import at, line, observed, rows_of, table
from tests.probes.history.test_store_exact import TABLES

WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "900/nginx")
NEW_WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "950/nginx")
PEER = line("10.0.0.5:80", "198.51.100.7:50000", "ESTABLISHED", "901/nginx")
WAITING = line("10.0.0.5:80", "198.51.100.7:50000", "TIME_WAIT", "-")
SIX = line("2001:db8::5:80", "2001:db8::9:50001", "ESTABLISHED", "901/nginx", protocol="tcp6")
SSH = line()


def asked(text: str) -> SocketFilter:
    return filters.parse(SocketFilter, QueryDict(text))


def played(host: Host, using: str, *tables: tuple[str, ...]) -> list[Snapshot]:
    """A whole snapshot a minute of these lines."""
    return [
        store.save(host, observed(minute, table(*lines)), using=using)
        for minute, lines in enumerate(tables)
    ]


def told(changes: list[Change]) -> list[tuple[Any, ...]]:
    """Differences in short: kind, remote end, before, after."""
    return [
        (
            change.kind,
            f"{change.foreign_ip}:{change.foreign_port}",
            change.before and (change.before.state, change.before.pid, change.before.copies),
            change.after and (change.after.state, change.after.pid, change.after.copies),
        )
        for change in changes
    ]


@both_databases
def test_what_opened_closed_and_changed_is_told_apart(host: Host, using: str) -> None:
    first, second = played(host, using, (WEB, PEER, SSH), (NEW_WEB, WAITING, SIX))

    diff = diffs.times(host, first, second, sort="foreign_ip")

    assert told(diff.rows) == [
        ("changed", "0.0.0.0:None", ("LISTEN", 900, 1), ("LISTEN", 950, 1)),
        ("closed", "10.0.0.9:51000", ("ESTABLISHED", 811, 1), None),
        ("changed", "198.51.100.7:50000", ("ESTABLISHED", 901, 1), ("TIME_WAIT", None, 1)),
        ("opened", "2001:db8::9:50001", None, ("ESTABLISHED", 901, 1)),
    ]
    assert diff.counts == {
        "listeners": {"opened": 0, "closed": 0, "changed": 1},
        "connections": {"opened": 1, "closed": 1, "changed": 1},
    }
    closed = diff.rows[1].before
    assert closed is not None
    assert (closed.first_seen, closed.last_seen) == (at(0), at(0))


@both_databases
def test_turned_round_what_opened_is_what_closed(host: Host, using: str) -> None:
    first, second = played(host, using, (WEB, PEER, SSH), (NEW_WEB, WAITING, SIX))

    diff = diffs.times(host, second, first, sort="foreign_ip")

    assert told(diff.rows) == [
        ("changed", "0.0.0.0:None", ("LISTEN", 950, 1), ("LISTEN", 900, 1)),
        ("opened", "10.0.0.9:51000", None, ("ESTABLISHED", 811, 1)),
        ("changed", "198.51.100.7:50000", ("TIME_WAIT", None, 1), ("ESTABLISHED", 901, 1)),
        ("closed", "2001:db8::9:50001", ("ESTABLISHED", 901, 1), None),
    ]


@both_databases
def test_what_went_and_came_back_is_no_difference(host: Host, using: str) -> None:
    first, _gone, third = played(host, using, (WEB, PEER), (WEB,), (WEB, PEER))

    assert diffs.times(host, first, third).rows == []
    assert diffs.times(host, first, first).total() == 0


@both_databases
def test_more_copies_of_a_socket_are_a_change_of_it(host: Host, using: str) -> None:
    first, second = played(host, using, (WEB, WEB, SSH), (WEB, WEB, WEB, SSH))

    assert told(diffs.times(host, first, second).rows) == [
        ("changed", "0.0.0.0:None", ("LISTEN", 900, 2), ("LISTEN", 900, 3))
    ]


@both_databases
def test_a_filter_looks_at_both_times(host: Host, using: str) -> None:
    first, second = played(host, using, (WEB, PEER, SSH), (NEW_WEB, WAITING, SIX))

    def found(query: str) -> list[str]:
        diff = diffs.times(host, first, second, filters=asked(query), sort="foreign_ip")
        assert diff.total() == len(diff.rows)
        return [change.kind for change in diff.rows]

    assert found("state=TIME_WAIT") == ["changed"]
    assert found("state=ESTABLISHED") == ["closed", "changed", "opened"]
    assert found("pid=900") == ["changed"]
    assert found("remote_ip=2001:db8::/32") == ["opened"]
    assert found("program=sshd") == ["closed"]
    assert found("remote_ip=192.0.2.0/24") == []


@both_databases
def test_kinds_and_listeners_are_chosen_while_the_counts_stay_whole(host: Host, using: str) -> None:
    first, second = played(host, using, (WEB, PEER, SSH), (NEW_WEB, WAITING, SIX))

    diff = diffs.times(host, first, second, what="listeners")
    assert [change.direction for change in diff.rows] == ["listen"]
    assert diff.total(what="connections") == 3
    diff = diffs.times(host, first, second, kind="opened")
    assert [change.kind for change in diff.rows] == ["opened"]
    assert diff.total(kind="changed") == 2


@both_databases
def test_pages_of_any_order_are_the_whole_once(host: Host, using: str) -> None:
    before = [line(f"10.0.0.5:{port}", holder=f"{port}/a") for port in range(4000, 4030)]
    after = [line(f"10.0.0.5:{port}", holder=f"{port % 7}/b") for port in range(4010, 4045)]
    first, second = played(host, using, (WEB, *before), (NEW_WEB, *after))
    everything = {repr(change) for change in diffs.iter_times(host, first, second)}
    assert len(everything) == 46

    for sort in [*diffs.ORDERS, *(f"-{name}" for name in diffs.ORDERS)]:
        rows: list[Change] = []
        cursor = None
        while True:
            diff = diffs.times(host, first, second, sort=sort, cursor=cursor, limit=7)
            rows += diff.rows
            cursor = diff.next
            if cursor is None:
                break
        assert len(rows) == 46
        assert {repr(change) for change in rows} == everything
        assert rows == list(diffs.iter_times(host, first, second, sort=sort))


@both_databases
def test_a_cursor_of_other_times_or_of_another_order_is_refused(host: Host, using: str) -> None:
    lines = [line(f"10.0.0.5:{port}") for port in range(4000, 4005)]
    first, second = played(host, using, (WEB,), (WEB, *lines))
    cursor = diffs.times(host, first, second, limit=2).next
    calls: list[Callable[[], object]] = [
        lambda: diffs.times(host, second, first, cursor=cursor),
        lambda: diffs.times(host, first, second, cursor=cursor, sort="kind"),
        lambda: diffs.times(host, first, second, cursor=cursor, kind="opened"),
        lambda: diffs.times(host, first, second, cursor="x"),
    ]
    for call in calls:
        with pytest.raises(FilterError) as refused:
            call()
        assert refused.value.field == "cursor"
    for sort in ("moon", "--kind", "-"):
        with pytest.raises(FilterError) as refused:
            diffs.times(host, first, second, sort=sort)
        assert refused.value.field == "sort"


@both_databases
def test_a_diff_takes_two_queries_however_much_differs(host: Host, using: str) -> None:
    lines = [line(f"10.0.0.5:{port}") for port in range(4000, 4300)]
    first, second = played(host, using, (WEB,), (WEB, *lines))

    with CaptureQueriesContext(connections[using]) as seen:
        assert diffs.times(host, first, second).total() == 300
    assert len(seen) == 2


_names = (f"d{number}" for number in itertools.count())


def _ends(socket: Socket) -> tuple[Any, ...]:
    return socket.protocol, socket.local_ip, socket.local_port, *socket[5:7]


def _expected(before: str, after: str) -> tuple[int, int, int]:
    """(opened, closed, changed) by reading both texts whole."""
    then, now = ({packing.key(s): (s, n) for s, n in rows_of(t).items()} for t in (before, after))
    differing = {key for key in then.keys() | now.keys() if then.get(key) != now.get(key)}
    changed = len(differing & then.keys() & now.keys())
    gone = Counter(_ends(then[key][0]) for key in differing - now.keys())
    came = Counter(_ends(now[key][0]) for key in differing - then.keys())
    paired = (gone & came).total()
    return came.total() - paired, gone.total() - paired, changed + paired


def _play(texts: list[str], using: str) -> None:
    host = Host.objects.using(using).create(name=next(_names), address="192.0.2.1")
    kept = []
    for minute, text in enumerate(texts):
        snapshot = store.save(host, observed(minute, text), using=using)
        if snapshot.outcome == "ok":
            kept.append((snapshot, text))
    for (before, old), (after, new) in itertools.permutations(kept, 2):
        diff = diffs.times(host, before, after, limit=1000)
        assert tuple(diff.total(kind=kind) for kind in diffs.KINDS) == _expected(old, new)
        for change in diff.rows:
            assert (change.before is None, change.after is None) == (
                change.kind == "opened",
                change.kind == "closed",
            )


@pytest.mark.django_db(databases=[SQLITE])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TABLES, min_size=2, max_size=4))
def test_any_two_snapshots_differ_as_their_texts_do_on_sqlite(texts: list[str]) -> None:
    _play(texts, SQLITE)


@pytest.mark.django_db(databases=[POSTGRESQL])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TABLES, min_size=2, max_size=4))
def test_any_two_snapshots_differ_as_their_texts_do_on_postgresql(texts: list[str]) -> None:
    _play(texts, POSTGRESQL)
