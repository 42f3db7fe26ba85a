"""The points of the slider and the marks of the timeline."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import store
from probes.history.queries import events, walks
from probes.models import Alert
from probes.observation import Code
from tests.databases import both_databases
from tests.probes.history.played import at, failed, line, observed, table

SSH = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd")
SSH_AGAIN = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "900/sshd")
WEB = line("0.0.0.0:80", "0.0.0.0:*", "LISTEN", "9/nginx")
WEB6 = line(":::80", ":::*", "LISTEN", "9/nginx", protocol="tcp6")
EPHEMERAL = line("0.0.0.0:40000", "0.0.0.0:*", "", "53/named", protocol="udp")


def play(host: Host, using: str, *tables: tuple[str, ...] | None) -> None:
    for minute, lines in enumerate(tables):
        seen = failed(minute) if lines is None else observed(minute, table(*lines))
        store.save(host, seen, using=using)


@both_databases
def test_points_are_the_last_whole_snapshot_of_each_part(host: Host, using: str) -> None:
    play(host, using, *[(SSH,), None, (SSH,), (SSH,), None, None, None, None, (SSH,), (SSH,)])

    def minutes(since: float, until: float, number: int) -> list[float]:
        found = walks.points(host, at(since), at(until), number=number)
        return [(when - at(0)).total_seconds() / 60 for when in found]

    assert minutes(-0.5, 9.5, 10) == [0, 2, 3, 8, 9]
    assert minutes(-1, 9, 5) == [0, 3, 9]
    assert minutes(-1, 9, 1) == [9]
    assert minutes(20, 30, 5) == []
    assert minutes(3.5, 7.5, 4) == []


@both_databases
def test_the_neighbours_of_a_time_are_exact(host: Host, using: str) -> None:
    play(host, using, (SSH,), None, (SSH,), (SSH,))

    assert walks.neighbours(host, at(2)) == (at(0), at(3))
    assert walks.neighbours(host, at(0)) == (None, at(2))
    assert walks.neighbours(host, at(9)) == (at(3), None)
    assert walks.first(host) == at(0)


@both_databases
def test_points_cost_one_query_whatever_the_time(host: Host, using: str) -> None:
    play(host, using, (SSH,), (SSH,))

    with CaptureQueriesContext(connections[using]) as seen:
        walks.points(host, at(0) - dt.timedelta(days=366), at(9), number=240)
    assert len(seen) == 1


def told(host: Host, since: float = -1, until: float = 60) -> list[tuple[object, ...]]:
    return [
        (event.kind, (event.at - at(0)).total_seconds() / 60, event.port or event.code)
        for event in events.events(host, at(since), at(until))
    ]


@both_databases
def test_a_listener_comes_and_goes_once_however_often_it_restarts(host: Host, using: str) -> None:
    play(host, using, (SSH,), (SSH, WEB, WEB6), (SSH_AGAIN, WEB6), (SSH_AGAIN,), (SSH_AGAIN, WEB))

    assert told(host) == [
        ("listener_new", 1, 80),
        ("listener_gone", 3, 80),
        ("listener_new", 4, 80),
    ]
    assert told(host, since=1, until=3) == [("listener_gone", 3, 80)]
    assert told(host, since=3, until=3.5) == []


@both_databases
def test_a_port_of_chance_is_no_event(host: Host, using: str) -> None:
    play(host, using, (SSH,), (SSH, EPHEMERAL), (SSH,))

    assert told(host) == []


@both_databases
def test_failed_probes_are_told_in_runs_with_their_code(host: Host, using: str) -> None:
    play(host, using, (SSH,), None, None, (SSH,))
    store.save(host, failed(4, Code.TIMED_OUT), using=using)
    store.save(host, failed(30, Code.TIMED_OUT), using=using)

    assert told(host) == [
        ("failed", 1, "unreachable"),
        ("failed", 4, "timed_out"),
        ("failed", 30, "timed_out"),
    ]
    assert [event.times for event in events.events(host, at(-1), at(60))] == [2, 1, 1]


@both_databases
def test_alerts_are_events(host: Host, using: str) -> None:
    play(host, using, (SSH,))
    Alert.objects.using(using).create(
        kind=Alert.Kind.HUNT, host=host, subject="bad guys", opened_at=at(5), newest_at=at(6)
    )

    (event,) = events.events(host, at(-1), at(60))

    assert (event.kind, event.at, event.subject) == ("alert", at(5), "bad guys")
    assert events.events(host, at(5), at(60)) == []


@both_databases
def test_events_take_three_queries_and_are_bounded(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST", 3)
    play(host, using, *([(SSH,), (SSH, WEB)] * 5))

    with CaptureQueriesContext(connections[using]) as seen:
        assert len(events.events(host, at(-1), at(60))) == 3
    assert len(seen) == 3
