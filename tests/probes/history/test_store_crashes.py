"""A crash between any two writes, and writers that meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from hosts.models import Host
from probes.history import engines, partitions, store
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import Code, Observation
from tests.databases import POSTGRESQL, both_databases_committed
from tests.probes.history.played import (
    LISTENER,
    at,
    everything,
    failed,
    line,
    observed,
    open_rows,
    rows_at,
    rows_of,
    table,
)
from tests.waiting import wait_until

FIRST = table(LISTENER, LISTENER, line(), line("10.0.0.5:23", queues=(1, 1)))
SECOND = table(LISTENER, line("10.0.0.5:23", queues=(9, 0)), line("10.0.0.5:24"), "odd")


class Crash(Exception):
    """Stands for a worker that is killed."""


class CrashAt:
    """Raises instead of the statement number ``at``, counting from 1."""

    def __init__(self, statement: int) -> None:
        self.statement = statement
        self.seen = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        self.step()
        return execute(sql, params, many, context)

    def step(self) -> None:
        self.seen += 1
        if self.seen == self.statement:
            raise Crash


@both_databases_committed
@pytest.mark.parametrize(
    "second",
    [
        pytest.param(observed(1, SECOND), id="whole"),
        pytest.param(failed(1, Code.TRUNCATED, raw=b"tcp"), id="failed"),
        pytest.param(observed(1, "rubbish\n"), id="rubbish"),
    ],
)
def test_a_crash_between_any_two_writes_leaves_all_or_nothing(
    host: Host, using: str, second: Observation, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(host, observed(0, FIRST), using=using)
    partitions.ensure(using, at(0))
    before = everything(host, using)
    raw_before = store.raw(Snapshot.objects.using(using).get(), using=using)
    copy_in = engines.copy_in
    statement, stored = 0, False
    while not stored:
        statement += 1
        crash = CrashAt(statement)

        def crashing_copy(
            *args: Any, _copy: Any = copy_in, _crash: CrashAt = crash, **kwargs: Any
        ) -> None:
            _crash.step()  # COPY passes no execute wrapper
            _copy(*args, **kwargs)

        monkeypatch.setattr(engines, "copy_in", crashing_copy)
        with connections[using].execute_wrapper(crash):
            try:
                store.save(host, second, using=using)
                stored = True
            except Crash:
                pass
        if not stored:
            assert everything(host, using) == before
            [snapshot] = Snapshot.objects.using(using).all()
            assert store.raw(snapshot, using=using) == raw_before
            assert Schedule.objects.using(using).get().latest_id == snapshot.pk
    monkeypatch.setattr(engines, "copy_in", copy_in)
    assert statement > 3
    assert Snapshot.objects.using(using).count() == 2

    third = store.save(host, observed(2, FIRST), using=using)
    assert third.outcome == Outcome.OK
    assert open_rows(host, using) == rows_of(FIRST)
    assert rows_at(host, at(0), using) == rows_of(FIRST)
    if second.text == SECOND:
        assert rows_at(host, at(1), using) == rows_of(SECOND)


@both_databases_committed
def test_a_crash_in_the_first_probe_leaves_nothing(host: Host, using: str) -> None:
    statement, stored = 0, False
    while not stored:
        statement += 1
        with connections[using].execute_wrapper(CrashAt(statement)):
            try:
                store.save(host, observed(0, FIRST), using=using)
                stored = True
            except Crash:
                assert everything(host, using) == [[], [], []]
                assert not Schedule.objects.using(using).exists()
    assert open_rows(host, using) == rows_of(FIRST)


def _save_in_threads(
    host: Host, using: str, observations: list[Observation]
) -> list[Snapshot | Exception]:
    """Each observation from a thread with a connection of its own, all let go at once."""
    results: list[Snapshot | Exception] = []
    barrier = threading.Barrier(len(observations))

    def run(observation: Observation) -> None:
        try:
            barrier.wait(timeout=30)
            results.append(store.save(host, observation, using=using))
        except Exception as error:
            results.append(error)
        finally:
            connections[using].close()

    threads = [threading.Thread(target=run, args=[one]) for one in observations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == len(observations)
    return results


@both_databases_committed
def test_writers_that_meet_end_as_if_one_came_after_the_other(host: Host, using: str) -> None:
    texts = [
        table(LISTENER, *[line(foreign=f"10.0.0.9:{port}") for port in range(start, start + 40)])
        for start in range(1000, 1060, 10)
    ]
    store.save(host, observed(0, texts[0]), using=using)
    minute = 0
    for _round in range(4):
        probes = [observed(minute + n + 1, text) for n, text in enumerate(texts)]
        minute += len(texts)
        results = _save_in_threads(host, using, probes)
        assert not [result for result in results if isinstance(result, Exception)], results

    whole = list(Snapshot.objects.using(using).filter(outcome=Outcome.OK).order_by("taken_at"))
    others = Snapshot.objects.using(using).exclude(outcome=Outcome.OK)
    assert {snapshot.outcome for snapshot in others} <= {Outcome.LATE}
    assert len(whole) + len(others) == minute + 1
    for snapshot in whole:
        number = round((snapshot.taken_at - at(0)).total_seconds() / 60)
        text = texts[(number - 1) % len(texts)] if number else texts[0]
        assert rows_at(host, snapshot.taken_at, using) == rows_of(text)
        assert snapshot.sockets == 41
    schedule = Schedule.objects.using(using).get()
    assert schedule.latest_whole_id == schedule.latest_id == whole[-1].pk
    assert whole[-1].taken_at == at(minute)
    assert store.raw(whole[-1], using=using) == texts[-1].encode()


@both_databases_committed
def test_the_same_probe_from_two_writers_is_stored_once(host: Host, using: str) -> None:
    for minute in range(5):
        text = table(LISTENER, line(foreign=f"10.0.0.9:{minute}"))
        results = _save_in_threads(host, using, [observed(minute, text)] * 3)
        assert len({result.pk for result in results if isinstance(result, Snapshot)}) == 1
        assert not [result for result in results if isinstance(result, Exception)], results
    assert Snapshot.objects.using(using).count() == 5


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_a_writer_that_waited_for_the_lock_sees_what_the_other_wrote() -> None:
    using = POSTGRESQL
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    store.save(host, observed(0, table(LISTENER)), using=using)
    other_text = table(LISTENER, line())
    inside, go_on = threading.Event(), threading.Event()
    results: list[Snapshot] = []

    def slow() -> None:
        def hold(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            result = execute(sql, params, many, context)
            if "FOR UPDATE" in sql:
                inside.set()
                go_on.wait(timeout=30)
            return result

        with connections[using].execute_wrapper(hold):
            results.append(store.save(host, observed(1, other_text), using=using))
        connections[using].close()

    def waiting() -> None:
        results.append(store.save(host, observed(2, table(LISTENER)), using=using))
        connections[using].close()

    def blocked() -> bool:
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(cursor.fetchone()[0])

    first, second = threading.Thread(target=slow), threading.Thread(target=waiting)
    first.start()
    assert inside.wait(timeout=30)
    second.start()
    wait_until(blocked, timeout_s=30, what="the second writer waits for the lock")
    go_on.set()
    first.join(timeout=60)
    second.join(timeout=60)

    assert [result.outcome for result in results] == [Outcome.OK, Outcome.OK]
    assert rows_at(host, at(1), using) == rows_of(other_text)
    assert rows_at(host, at(2), using) == rows_of(table(LISTENER))


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_a_day_whose_partition_was_dropped_is_made_again() -> None:
    using = POSTGRESQL
    host = Host.objects.using(using).create(name="web1", address="192.0.2.1")
    store.save(host, observed(0, FIRST), using=using)
    partitions.ensure(using, at(0))
    with connections[using].cursor() as cursor:  # as another process would
        cursor.execute("DROP TABLE probes_closedsocket_p20260328")
    store.save(host, observed(1, SECOND), using=using)

    assert at(0).date() in partitions.days(using)
    assert rows_at(host, at(0), using) == rows_of(FIRST)


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_writers_at_midnight_make_one_partition() -> None:
    using = POSTGRESQL
    hosts = [
        Host.objects.using(using).create(name=f"web{n}", address="192.0.2.1") for n in range(6)
    ]
    for host in hosts:
        store.save(host, observed(3, FIRST), using=using)  # after midnight
    partitions.forget(using)
    for day in partitions.days(using):
        partitions.drop(using, day)
    barrier = threading.Barrier(len(hosts))
    errors: list[Exception] = []

    def run(host: Host) -> None:
        try:
            barrier.wait(timeout=30)
            store.save(host, observed(4, SECOND), using=using)
        except Exception as error:
            errors.append(error)
        finally:
            connections[using].close()

    threads = [threading.Thread(target=run, args=[host]) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert partitions.days(using) == [at(3).date()]
    for host in hosts:
        assert rows_at(host, at(3), using) == rows_of(FIRST)
