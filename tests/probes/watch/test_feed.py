"""The feed of changes: followed without loss, whatever order transactions end in."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as some

from hosts.models import Host
from probes import tasks
from probes.history import retention
from probes.models import Change, FeedEnd
from probes.watch import feed
from tests.databases import POSTGRESQL, both_databases, both_databases_committed
from tests.probes.history.played import at
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
SESSIONS = 3
WRITERS, TURNS = 3, 25
HELD = """
import os, time, django
django.setup()
from probes.models import FeedEnd
from probes.watch import feed
def hold(self, **arguments):
    print("held", flush=True)
    time.sleep(600)
FeedEnd.save = hold
while True:
    feed.number()
    time.sleep(0.01)
"""
"""A process that gives places and stops short of committing them."""

INSERT = """
INSERT INTO probes_change
  (host_id, kind, at, protocol, program, detail, turn, hushed, announced_at)
VALUES (%s, 'port_new', now(), '', '', '{}', '', false, now()) RETURNING id
"""


def changed(host: Host, using: str, *, minute: float = 0) -> int:
    """A change of that host, committed or not as the caller's transaction is; its id."""
    when = at(minute)
    row = Change.objects.using(using).create(
        host=host, kind="port_new", at=when, announced_at=when, protocol="tcp", port=80
    )
    return row.pk


class Poller:
    """Follows the feed and remembers what it was told, as a script would."""

    def __init__(self, using: str, *, limit: int = 7) -> None:
        self.rows = Change.objects.using(using)
        self.limit = limit
        self.after = 0
        self.seen: list[int] = []

    def look(self) -> list[int]:
        """One request; what it brought."""
        answer = feed.following(self.rows, after=self.after, limit=self.limit)
        assert not answer.missed
        assert answer.next_after >= self.after
        self.after = answer.next_after
        new = [row.pk for row in answer.rows]
        self.seen += new
        return new

    def read_out(self) -> list[int]:
        """Requests until one brings nothing; all that was ever seen."""
        while self.look():
            pass
        return self.seen


@pytest.fixture
def host(using: str) -> Host:
    return Host.objects.using(using).create(name="web1", address="192.0.2.7")


@both_databases
def test_each_change_comes_once_in_the_order_it_was_written(host: Host, using: str) -> None:
    poller = Poller(using, limit=4)
    first = [changed(host, using) for _ in range(10)]

    assert poller.read_out() == first
    assert poller.look() == []

    second = [changed(host, using) for _ in range(3)]
    assert poller.look() == second


@both_databases
def test_whoever_begins_now_sees_only_what_comes(host: Host, using: str) -> None:
    changed(host, using)
    poller = Poller(using)
    poller.after = feed.end(using)

    assert poller.look() == []
    later = changed(host, using)
    assert poller.look() == [later]


@both_databases
def test_what_is_filtered_out_is_leapt_over(host: Host, using: str) -> None:
    for _ in range(5):
        changed(host, using)
    answer = feed.following(Change.objects.using(using).filter(port=1), after=0, limit=2)

    assert (list(answer.rows), answer.next_after, answer.more) == ([], 5, False)


@both_databases
def test_a_poller_is_told_what_retention_took(host: Host, using: str) -> None:
    for minute in range(4):
        changed(host, using, minute=minute)
    fresh = Change.objects.using(using).create(
        host=host, kind="port_new", at=timezone.now(), announced_at=timezone.now()
    )
    rows = Change.objects.using(using)
    assert not feed.following(rows, after=1, limit=10).missed

    retention.prune(timezone.now(), using=using)

    behind = feed.following(rows, after=1, limit=10)
    assert [row.pk for row in behind.rows] == [fresh.pk]
    assert behind.missed
    assert not feed.following(rows, after=4, limit=10).missed
    assert not feed.following(rows, after=0, limit=10).missed  # whoever begins has missed nothing


@pytest.mark.django_db
def test_whoever_began_before_the_first_change_is_told_what_retention_took() -> None:
    host = Host.objects.create(name="web1", address="192.0.2.7")
    rows = Change.objects.all()
    for began in (feed.end(), feed.following(rows, after=0, limit=10).next_after):
        assert began > 0
        assert not feed.following(rows, after=began, limit=10).missed
    changed(host, "default")
    assert not feed.following(rows, after=began, limit=10).missed
    retention.prune(timezone.now())

    assert feed.following(rows, after=began, limit=10).missed


@both_databases
def test_a_place_is_not_given_again_when_the_newest_changes_went(host: Host, using: str) -> None:
    for minute in range(3):
        changed(host, using, minute=minute)
    poller = Poller(using)
    poller.read_out()
    retention.prune(timezone.now(), using=using)
    assert not Change.objects.using(using).exists()

    later = changed(host, using)

    assert poller.look() == [later]


@both_databases
def test_a_place_of_another_history_is_told(host: Host, using: str) -> None:
    changed(host, using)
    answer = feed.following(Change.objects.using(using), after=500, limit=10)

    assert (answer.missed, answer.next_after) == (True, 1)


@both_databases
def test_the_end_of_the_feed_is_found_again_where_its_row_was_lost(host: Host, using: str) -> None:
    poller = Poller(using)
    changed(host, using)
    poller.read_out()
    FeedEnd.objects.using(using).all().delete()

    later = changed(host, using)

    assert poller.look() == [later]


@both_databases
def test_a_poller_of_a_quiet_site_costs_two_queries(
    host: Host, using: str, django_assert_num_queries: Any
) -> None:
    changed(host, using)
    poller = Poller(using)
    poller.read_out()

    with django_assert_num_queries(2, connection=connections[using]):
        assert poller.look() == []


@pytest.mark.django_db
def test_the_task_gives_places_though_announcing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(Host.objects.create(name="web1", address="192.0.2.7"), "default")

    def fail() -> None:
        raise RuntimeError("no channel can be read")

    monkeypatch.setattr("probes.notify.outbox.announce", fail)
    with pytest.raises(RuntimeError):
        tasks.announce()

    assert list(Change.objects.values_list("feed", flat=True)) == [1]


# --- real transactions that end out of order ------------------------------------------------------


@contextlib.contextmanager
def sessions(number: int) -> Iterator[list[psycopg.Connection[Any]]]:
    """Connections of their own to the test's PostgreSQL."""
    known = connections[POSTGRESQL].settings_dict
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                psycopg.connect(
                    dbname=known["NAME"],
                    user=known["USER"],
                    host=known["HOST"],
                    port=known["PORT"],
                )
            )
            for _ in range(number)
        ]


def insert(session: psycopg.Connection[Any], host: Host) -> int:
    """A change within the session's transaction; its id."""
    found = session.execute(INSERT, [host.pk]).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_the_lower_ids_that_are_committed_last_are_not_lost() -> None:
    host = Host.objects.using(POSTGRESQL).create(name="web1", address="192.0.2.7")
    poller = Poller(POSTGRESQL)
    with sessions(2) as (slow, fast):
        early = insert(slow, host)
        late = insert(fast, host)
        assert early < late
        fast.commit()
        assert poller.look() == [late]

        slow.commit()
        assert poller.look() == [early]
    assert poller.read_out() == [late, early]


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_what_somebody_holds_is_waited_for_by_nobody_and_overtaken_by_none() -> None:
    host = Host.objects.using(POSTGRESQL).create(name="web1", address="192.0.2.7")
    poller = Poller(POSTGRESQL)
    before, held, after = (changed(host, POSTGRESQL) for _ in range(3))
    with sessions(1) as (outbox,):
        outbox.execute("SELECT id FROM probes_change WHERE id = %s FOR UPDATE", [held])
        assert poller.look() == [before]
        assert poller.look() == []
    assert poller.look() == [held, after]


STEPS = some.lists(
    some.tuples(
        some.sampled_from(["write", "write", "commit", "undo", "hold", "look", "die"]),
        some.integers(0, SESSIONS - 1),
    ),
    min_size=4,
    max_size=30,
)


@pytest.mark.django_db(databases=[POSTGRESQL], transaction=True)
def test_no_order_of_real_transactions_loses_or_repeats_a_change() -> None:
    host = Host.objects.using(POSTGRESQL).create(name="web1", address="192.0.2.7")

    with sessions(SESSIONS) as open_sessions:

        @settings(max_examples=60)
        @given(STEPS)
        def follow(steps: list[tuple[str, int]]) -> None:
            poller = Poller(POSTGRESQL, limit=2)
            poller.after = feed.end(POSTGRESQL)
            pending: list[list[int]] = [[] for _ in open_sessions]
            committed: list[int] = []
            for step, number in steps:
                session = open_sessions[number]
                if step == "write":
                    pending[number].append(insert(session, host))
                elif step == "commit":
                    session.commit()
                    committed += pending[number]
                    pending[number] = []
                elif step == "undo":
                    session.rollback()
                    pending[number] = []
                elif step == "hold":
                    session.execute(
                        "SELECT id FROM probes_change WHERE feed IS NULL ORDER BY id LIMIT 1 "
                        "FOR UPDATE SKIP LOCKED"
                    )
                elif step == "look":
                    poller.look()
                else:
                    with contextlib.suppress(_Died), transaction.atomic(using=POSTGRESQL):
                        feed.number(POSTGRESQL)
                        raise _Died
            for number, session in enumerate(open_sessions):
                session.commit()
                committed += pending[number]
            assert sorted(poller.read_out()) == sorted(committed)
            assert len(set(poller.seen)) == len(poller.seen)

        follow()


class _Died(Exception):
    """Whoever gave places ended before they were committed."""


# --- a poller beside writers ----------------------------------------------------------------------


def address_of(using: str) -> str:
    """DATABASE_URL of the test's own database."""
    known = connections[using].settings_dict
    if connections[using].vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    return f"postgres://{known['USER']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"


@contextlib.contextmanager
def threads(*targets: Callable[[], None], using: str) -> Iterator[list[BaseException]]:
    """Run them until each has ended; what they raised, which fails the test at the end."""
    failures: list[BaseException] = []

    def run(target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:
            failures.append(error)
        finally:
            connections[using].close()

    running = [threading.Thread(target=run, args=(target,), daemon=True) for target in targets]
    for each in running:
        each.start()
    yield failures
    for each in running:
        each.join(PATIENCE_S)
        assert not each.is_alive()
    assert not failures, failures


@both_databases_committed
def test_a_poller_beside_writers_gets_all_of_it_though_a_process_is_killed_in_between(
    using: str,
) -> None:
    host = Host.objects.using(using).create(name="web1", address="192.0.2.7")
    written: list[int] = []
    beside = threading.Barrier(WRITERS)
    over: list[int] = []

    def write(seed: int) -> Callable[[], None]:
        chance = random.Random(seed)

        def run() -> None:
            beside.wait(PATIENCE_S)
            for turn in range(TURNS):
                undone = chance.random() < 0.2
                mine: list[int] = []
                with contextlib.suppress(_Died), transaction.atomic(using=using):
                    for _ in range(chance.randint(1, 4)):
                        mine.append(changed(host, using, minute=turn))
                    if undone:
                        raise _Died
                if not undone:
                    written.extend(mine)
            over.append(seed)

        return run

    # Both give places as they read.
    pollers = [Poller(using, limit=5), Poller(using, limit=50)]

    def follow(poller: Poller) -> Callable[[], None]:
        def run() -> None:
            while len(over) < WRITERS:
                saved = poller.after
                before = poller.look()
                if before and saved % 3 == 0:
                    # It ends before it saved its place, and begins again where it was.
                    poller.after = saved
                    del poller.seen[-len(before) :]
                    assert poller.look()[: len(before)] == before
            poller.read_out()

        return run

    changed(host, using)
    environment = os.environ | {"DATABASE_URL": address_of(using)}
    killed = subprocess.Popen(
        [sys.executable, "-c", HELD], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    try:
        assert killed.stdout.readline() == "held\n"
        writers = [write(seed) for seed in range(WRITERS)]
        with threads(*writers, *map(follow, pollers), using=using):
            killed.send_signal(signal.SIGKILL)
            killed.wait(PATIENCE_S)
    finally:
        killed.kill()
        killed.stdout.close()
        killed.wait()

    everything = set(Change.objects.using(using).values_list("pk", flat=True))
    assert everything >= set(written)
    for poller in pollers:
        assert set(poller.seen) == everything
        assert len(poller.seen) == len(everything)
    assert pollers[0].seen == pollers[1].seen
    places = list(Change.objects.using(using).order_by("feed").values_list("feed", flat=True))
    assert places == sorted(set(places))
    assert None not in places
