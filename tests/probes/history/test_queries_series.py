"""Charts of many days and of many hosts: what roll-ups and the newest snapshots give together."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from hosts.models import Host
from probes.history import queries, rollups, store
from probes.history.queries import samples, tops, trends
from probes.models import Outcome, RollUp, Schedule, Snapshot
from tests.databases import both_databases
from tests.probes.history.played import LISTENER, at, line, observed, table
from tests.probes.history.test_queries_statistics import stored

DAY = 24 * 60


def seconds(minute: float) -> int:
    return int(at(minute).timestamp())


def probed(host: Host, using: str, minutes: range, *, seed: int = 1) -> list[Snapshot]:
    """A snapshot a minute given, some of them failed, with some number of connections."""
    drawn = random.Random(seed)
    made = Snapshot.objects.using(using).bulk_create(
        Snapshot(
            host=host,
            taken_at=at(minute),
            outcome=outcome,
            code="" if outcome == Outcome.OK else "timed_out",
            sockets=2 + count if outcome == Outcome.OK else 0,
            listeners=2 if outcome == Outcome.OK else 0,
            by_state={"LISTEN": 2, "ESTABLISHED": count} if outcome == Outcome.OK else {},
            opened=count % 5 if outcome == Outcome.OK else 0,
            closed=count % 3 if outcome == Outcome.OK else 0,
        )
        for minute in minutes
        for outcome in [Outcome.FAILED if drawn.random() < 0.05 else Outcome.OK]
        for count in [drawn.randrange(1000)]
    )
    Schedule.objects.using(using).update_or_create(
        host=host,
        defaults={
            "next_probe_at": at(0),
            "latest": Snapshot.objects.using(using).filter(host=host).latest("taken_at"),
        },
    )
    return list(made)


def brute(made: list[Snapshot], step_s: int) -> dict[int, tuple[Snapshot, dict[str, int], int]]:
    """By step: its last whole snapshot, the most of each state in it, and all that opened."""
    found: dict[int, tuple[Snapshot, dict[str, int], int]] = {}
    for snapshot in made:
        if snapshot.outcome != Outcome.OK:
            continue
        step = int(snapshot.taken_at.timestamp()) // step_s
        _last, most, opened = found.get(step, (None, {}, 0))
        most = {k: max(v, most.get(k, 0)) for k, v in snapshot.by_state.items()}
        found[step] = (snapshot, most, opened + snapshot.opened)
    return found


@both_databases
@pytest.mark.parametrize("rolled", [True, False], ids=["rolled up", "not yet rolled up"])
def test_a_month_reads_few_rows_and_says_what_the_snapshots_say(
    host: Host, using: str, rolled: bool
) -> None:
    made = probed(host, using, range(0, 6 * DAY, 14))
    until = at(6 * DAY)
    if rolled:
        while rollups.roll_up(until, using=using):
            pass
    asked: dict[str, Any] = {"since": at(0), "until": until}

    with CaptureQueriesContext(connections[using]) as captured:
        found = queries.timeline(host, by="state", **asked)

    assert len(captured) <= 5
    assert not any("probes_opensocket" in each["sql"] for each in captured)
    assert not any("probes_closedsocket" in each["sql"] for each in captured)
    expected = brute(made, found.step_s)
    points = dict(zip(found.times, found.series["ESTABLISHED"], strict=True))
    assert {at for at, value in points.items() if value is not None} == {
        int(last.taken_at.timestamp()) for last, _most, _opened in expected.values()
    }
    for last, most, _opened in expected.values():
        place = found.times.index(int(last.taken_at.timestamp()))
        assert found.series["ESTABLISHED"][place] == last.by_state["ESTABLISHED"]
        if rolled:
            assert found.most["ESTABLISHED"][place] == most["ESTABLISHED"]
    assert found.failed
    assert len(found.times) <= queries.MOST_POINTS + 10

    changes = queries.timeline(host, by="changes", **asked)
    assert sum(value or 0 for value in changes.series["opened"]) == sum(
        opened for _last, _most, opened in expected.values()
    )
    total = queries.timeline(host, by="total", **asked)
    assert [value for value in total.series["total"] if value is not None] == [
        last.sockets for last, _most, _opened in expected.values()
    ]


@both_databases
def test_the_newest_minutes_are_drawn_before_they_are_rolled_up(host: Host, using: str) -> None:
    probed(host, using, range(0, 7 * DAY + 120, 170))
    until = at(8 * DAY)
    while rollups.roll_up(until - dt.timedelta(minutes=50), using=using):
        pass

    found = queries.timeline(host, by="total", since=at(0), until=until)

    newest = Snapshot.objects.using(using).filter(outcome=Outcome.OK).latest("taken_at")
    assert (found.times[-1], found.series["total"][-1]) == (
        int(newest.taken_at.timestamp()), newest.sockets
    )  # fmt: skip


@both_databases
def test_a_chart_of_the_past_tells_nothing_of_later(host: Host, using: str) -> None:
    probed(host, using, range(0, 7 * DAY + 120, 170))
    while rollups.roll_up(at(9 * DAY), using=using):
        pass
    until = at(6 * DAY + 37)

    found = queries.timeline(host, by="total", since=at(0), until=until)

    newest = Snapshot.objects.using(using).filter(outcome=Outcome.OK, taken_at__lt=until)
    last = newest.latest("taken_at")
    assert (found.times[-1], found.series["total"][-1]) == (
        int(last.taken_at.timestamp()), last.sockets
    )  # fmt: skip


@both_databases
def test_a_flood_of_two_minutes_is_seen_in_a_month(host: Host, using: str) -> None:
    made = probed(host, using, range(0, 14 * DAY, 40))
    Snapshot.objects.using(using).filter(pk=made[301].pk).update(outcome=Outcome.OK)
    Snapshot.objects.using(using).create(
        host=host,
        taken_at=made[301].taken_at - dt.timedelta(minutes=2),
        outcome=Outcome.OK,
        sockets=50_000,
        by_state={"SYN_RECV": 49_000, "LISTEN": 2},
    )
    while rollups.roll_up(at(15 * DAY), using=using):
        pass

    found = queries.timeline(host, by="state", since=at(0), until=at(14 * DAY))

    assert max(value or 0 for value in found.most["SYN_RECV"]) == 49_000
    total = queries.timeline(host, by="total", since=at(0), until=at(14 * DAY))
    assert max(value or 0 for value in total.most["total"]) == 50_000


@both_databases
def test_a_stretch_in_which_every_probe_failed_is_a_gap(host: Host, using: str) -> None:
    for minute in range(0, 6 * DAY, 20):
        fails = 3 * DAY <= minute < 4 * DAY
        stored(host, using, minute, 5, Outcome.FAILED if fails else Outcome.OK)
    latest = Snapshot.objects.using(using).latest("taken_at")
    Schedule.objects.using(using).create(host=host, next_probe_at=at(0), latest=latest)
    Host.objects.using(using).update(interval_s=60)
    while rollups.roll_up(at(11 * DAY), using=using):
        pass
    host.refresh_from_db()

    found = queries.timeline(host, by="state", since=at(0), until=at(6 * DAY))

    gaps = [when for when, value in zip(found.times, found.series["LISTEN"], strict=True)
            if value is None]  # fmt: skip
    assert len(gaps) == 1
    assert seconds(3 * DAY) - 900 <= gaps[0] < seconds(4 * DAY)
    assert {code for _at, code in found.failed} == {"timed_out"}


# --- several hosts --------------------------------------------------------------------------------


def fleet_of(using: str, count: int) -> list[Host]:
    return Host.objects.using(using).bulk_create(
        Host(name=f"h{n}", address=f"192.0.2.{n + 10}", interval_s=60) for n in range(count)
    )


@both_databases
def test_hosts_are_added_up_each_with_its_last_value(using: str) -> None:
    one, two, three = fleet_of(using, 3)
    for minute, host, count in (
        *((-1, one, 3), (-1, two, 7)),
        *((0, one, 5), (0.5, two, 10), (1, one, 6), (1.5, two, 20), (2, one, 7)),
        *((9, two, 4), (9.5, three, 100)),
    ):
        stored(host, using, minute, count)

    with CaptureQueriesContext(connections[using]) as captured:
        found = queries.timeline(
            Host.objects.using(using).all(), by="state", since=at(0), until=at(60)
        )

    assert len(captured) == 2
    values = dict(zip(found.times, found.series["ESTABLISHED"], strict=True))
    assert [values[seconds(minute)] for minute in (0, 0.5, 1, 1.5, 2)] == [12, 15, 16, 26, 27]
    # Of the hosts that told nothing for more than three intervals nothing is counted.
    assert values[seconds(9)] == 4
    assert values[seconds(9.5)] == 104
    assert None in values.values()
    assert found.failed == []


@both_databases
def test_many_hosts_over_many_days_read_a_bounded_number_of_roll_ups(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = fleet_of(using, 4)
    for number, host in enumerate(hosts):
        probed(host, using, range(0, 3 * DAY, 130), seed=number)
    while rollups.roll_up(at(3 * DAY), using=using):
        pass
    everything = Host.objects.using(using).all()
    asked: dict[str, Any] = {"since": at(DAY), "until": at(3 * DAY)}

    fine = queries.timeline(everything, by="total", **asked)
    monkeypatch.setattr(samples, "ROLLED_ROWS", 300)
    coarse = queries.timeline(everything, by="total", **asked)

    assert (fine.step_s, coarse.step_s) == (900, 3600)
    assert coarse.times[-1] == fine.times[-1]
    assert coarse.series["total"][-1] == fine.series["total"][-1]
    opened = queries.timeline(everything, by="changes", **asked).series["opened"]
    exact = Snapshot.objects.using(using).filter(taken_at__gte=at(DAY))
    sums = Counter(exact.values_list("opened", flat=True))
    assert sum(value or 0 for value in opened) == pytest.approx(
        sum(value * number for value, number in sums.items()), rel=0.02
    )


@both_databases
def test_only_every_so_many_days_are_read_where_even_days_are_too_many(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = fleet_of(using, 3)
    begin = at(0).replace(hour=0, minute=0, second=0)
    RollUp.objects.using(using).bulk_create(
        RollUp(
            host=host,
            minutes=1440,
            begins_at=begin + dt.timedelta(days=day),
            taken_at=begin + dt.timedelta(days=day, hours=23),
            sockets=day,
            most_sockets=day,
        )
        for host in hosts
        for day in range(300)
    )
    monkeypatch.setattr(samples, "ROLLED_ROWS", 100)
    until = begin + dt.timedelta(days=300)

    found = queries.timeline(Host.objects.using(using).all(), by="total", since=begin, until=until)

    assert found.step_s == 10 * 86_400
    assert len(found.times) == 30
    assert all(value % 3 == 0 for value in found.series["total"] if value is not None)


def test_no_host_at_all_is_an_empty_series(db: None) -> None:
    nobody = Host.objects.none()
    asked: dict[str, Any] = {"since": at(0), "until": at(60)}
    assert queries.timeline(nobody, by="state", **asked).times == []
    assert trends.trend(nobody, by="ip", **asked).series == {}


# --- trends ---------------------------------------------------------------------------------------


def hours(host: Host, using: str, kept: list[tops.Tops]) -> None:
    """What each hour from START's on remembers."""
    begin = at(0).replace(minute=0, second=0)
    RollUp.objects.using(using).bulk_create(
        RollUp(
            host=host,
            minutes=60,
            begins_at=begin + dt.timedelta(hours=number),
            taken_at=begin + dt.timedelta(hours=number, minutes=59),
            tops_zstd=each.pack(),
        )
        for number, each in enumerate(kept)
    )


def trend(hosts: Any, **arguments: Any) -> queries.Series:
    arguments = {"by": "ip", "since": at(-60), "until": at(60 * 48)} | arguments
    return trends.trend(hosts, **arguments)


@both_databases
def test_a_trend_has_the_largest_of_the_whole_span(host: Host, using: str) -> None:
    hours(
        host,
        using,
        [
            tops.Tops(ip={"10.0.0.1": {"ESTABLISHED": 5}, "10.0.0.2": {"TIME_WAIT": 50}}),
            tops.Tops(ip={"10.0.0.1": {"ESTABLISHED": 6, "": 1}}),
            tops.Tops(ip={"10.0.0.1": {"ESTABLISHED": 9}, "10.0.0.3": {"ESTABLISHED": 1}}),
        ],
    )

    with CaptureQueriesContext(connections[using]) as captured:
        found = trend(host, limit=2)

    assert len(captured) == 1
    assert found.series == {"10.0.0.2": [50, 0, 0], "10.0.0.1": [5, 7, 9]}
    assert found.step_s == 3600
    assert trend(host, state="ESTABLISHED").series == {
        "10.0.0.1": [5, 6, 9], "10.0.0.3": [0, 0, 1]
    }  # fmt: skip
    assert trend(host, key="10.0.0.3").series == {"10.0.0.3": [0, 0, 1]}
    assert trend(host, key="10.0.0.9").series == {}


@both_databases
def test_what_fell_out_of_a_full_list_is_not_known_to_be_nothing(host: Host, using: str) -> None:
    full = {f"10.1.0.{n}": {"ESTABLISHED": 100} for n in range(tops.TOP)}
    other = fleet_of(using, 1)[0]
    hours(host, using, [tops.Tops(ip={"10.0.0.1": {"ESTABLISHED": 5}}), tops.Tops(ip=full)] * 2)
    assert trend(host, key="10.0.0.1").series == {"10.0.0.1": [5, None, 5, None]}
    hours(other, using, [tops.Tops(ip={"10.0.0.1": {"ESTABLISHED": 2}})] * 4)
    both = Host.objects.using(using).all()
    assert trend(both, key="10.0.0.1").series == {"10.0.0.1": [7, 2, 7, 2]}


@both_databases
def test_ports_programs_pairs_scopes_and_states_have_trends_from_real_probes(
    host: Host, using: str
) -> None:
    for minute, count in ((3, 2), (63, 4)):
        lines = [line(foreign=f"198.51.100.7:{port}") for port in range(5000, 5000 + count)]
        others = [line("10.0.0.5:80", "10.0.0.9:70", "TIME_WAIT", "-")]
        text = table(LISTENER, *lines, *others)
        store.save(host, observed(minute, text), using=using)
    rollups.roll_up(at(60 * 6), using=using)

    assert trend(host, by="port").series == {"22": [2, 4], "80": [1, 1]}
    assert trend(host, by="port", port=80).series == {"80": [1, 1]}
    assert trend(host, by="ip", port=22).series == {"198.51.100.7": [2, 4]}
    assert trend(host, by="port_ip", state="TIME_WAIT").series == {"80 10.0.0.9": [1, 1]}
    assert trend(host, by="program").series == {"sshd": [3, 5]}
    assert trend(host, by="scope").series == {"external": [2, 4], "private": [1, 1]}
    assert list(trend(host, by="state", limit=2).series) == ["ESTABLISHED", "LISTEN"]
    assert trend(host, by="state", state="TIME_WAIT").series == {"TIME_WAIT": [1, 1]}


@both_databases
def test_a_trend_of_many_hosts_unpacks_a_bounded_number(
    host: Host, using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours(host, using, [tops.Tops(ip={"10.0.0.1": {"": n}}) for n in range(48)])
    monkeypatch.setattr(trends, "MOST_ROWS", 10)

    found = trend(host, since=at(-60), until=at(60 * 47))

    assert found.step_s == 5 * 3600
    assert len(found.times) == 9
