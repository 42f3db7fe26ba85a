"""Changes and alerts: one active alert of a thing, opened and resolved in turn, whoever writes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.models import Host
from probes.models import Alert, AlertKind, Change
from probes.watch import lifecycle
from probes.watch.lifecycle import Evidence, Raise, Transition
from tests.databases import both_databases, both_databases_committed
from tests.probes.history.played import at

Kind = Change.Kind


def a_host(using: str, name: str = "web1") -> Host:
    return Host.objects.using(using).create(name=name, address="192.0.2.1")


def opens(
    host: Host, minute: float, fingerprint: str = "port_down:tcp/80", **more: Any
) -> Transition:
    asked: dict[str, Any] = {
        "kind": AlertKind.PORT,
        "fingerprint": fingerprint,
        "subject": "tcp/80",
    }
    return Transition(
        kind=Kind.PORT_DOWN, host_id=host.pk, at=at(minute), raises=Raise(**asked | more)
    )


def ends(host: Host, minute: float, *fingerprints: str) -> Transition:
    return Transition(
        kind=Kind.PORT_RECOVERED,
        host_id=host.pk,
        at=at(minute),
        resolves=fingerprints or ("port_down:tcp/80",),
    )


@both_databases
def test_what_is_seen_again_adds_to_the_active_alert(using: str) -> None:
    host = a_host(using)
    first, again, over, anew = lifecycle.record(
        [
            opens(host, 1, facts={"value": 1}),
            opens(host, 2, facts={"value": 2}, severity="critical"),
            ends(host, 3),
            opens(host, 4),
        ],
        using=using,
    )
    assert [change.turn for change in (first, again, over, anew)] == [
        "opened", "again", "resolved", "opened"
    ]  # fmt: skip
    assert [change.announced_at is None for change in (first, again, over, anew)] == [
        True, False, True, True
    ], "nobody is told twice of one alert"  # fmt: skip
    alert = Alert.objects.using(using).get(pk=first.alert_id)
    assert (alert.hits, alert.severity, alert.resolved_at) == (2, "critical", at(3))
    assert (alert.opened_at, alert.newest_at) == (at(1), at(2))
    assert alert.facts == {"event": "port_down", "value": 2}
    assert anew.alert_id != alert.pk


@both_databases
def test_a_transition_that_touches_no_alert_is_history_only(using: str) -> None:
    host = a_host(using)
    (change,) = lifecycle.record([ends(host, 1)], using=using)
    assert (change.alert_id, change.turn, change.announced_at) == (None, "", at(1))
    assert not Alert.objects.using(using).exists()


@both_databases
def test_a_quiet_transition_opens_its_alert_and_nobody_is_told(using: str) -> None:
    host = a_host(using)
    quiet = Transition(
        kind=Kind.PORT_DOWN,
        host_id=host.pk,
        at=at(1),
        quiet=True,
        raises=Raise(kind=AlertKind.PORT, fingerprint="x", subject="x"),
    )
    (change,) = lifecycle.record([quiet], using=using)
    assert (change.turn, change.announced_at) == ("opened", at(1))


@both_databases
def test_evidence_is_asked_for_once_capped_and_storable(using: str) -> None:
    host = a_host(using)
    asked: list[int] = []

    def evidence() -> Evidence:
        asked.append(1)
        rows = [{"program": "a\0\ud800b" + "x" * 5_000, "local_port": 80}] * 300
        return Evidence(rows=rows, facts={"top_programs": [["\0", 3]]})

    odd = "nc\0\ud800"
    transition = Transition(
        kind=Kind.PORT_NEW,
        host_id=host.pk,
        at=at(1),
        program=odd,
        detail={"after": {"programs": [odd]}},
        raises=Raise(
            kind=AlertKind.PORT,
            fingerprint=odd * 200,
            subject=odd * 200,
            evidence=evidence,
        ),
    )
    for _turn in range(2):
        lifecycle.record([transition], using=using)
    alert = Alert.objects.using(using).get()
    assert asked == [1], "where an alert is added to, no sockets are read"
    assert alert.hits == 2
    assert len(alert.evidence) == lifecycle.MOST_ROWS
    assert all(len(row["program"]) <= lifecycle.LONGEST_TEXT for row in alert.evidence)
    assert alert.facts["top_programs"] == [["\\x00", 3]]
    assert len(alert.fingerprint) == lifecycle.LONGEST_FINGERPRINT
    assert lifecycle.resolve(host.pk, odd * 200, at=at(2), using=using) == alert


def test_long_fingerprints_stay_apart() -> None:
    one, two = (lifecycle.fitting("peer:1:" + "x" * 300 + end) for end in "ab")
    assert one != two
    assert len(one) == len(two) == lifecycle.LONGEST_FINGERPRINT
    assert lifecycle.fitting("port_new:tcp/80") == "port_new:tcp/80"


@both_databases
def test_an_alert_never_ends_before_it_began(using: str) -> None:
    host = a_host(using)
    lifecycle.record([opens(host, 10)], using=using)
    ended = lifecycle.resolve(host.pk, "port_down:tcp/80", at=at(5), by="x" * 400, using=using)
    assert ended is not None
    assert (ended.resolved_at, len(ended.resolved_by)) == (at(10), 150)


@both_databases
def test_what_the_database_refuses_for_another_reason_is_not_swallowed(using: str) -> None:
    host = a_host(using)
    with pytest.raises(Exception, match=r"(?i)null"), transaction.atomic(using=using):
        lifecycle.record([opens(host, 1, severity=None)], using=using)


def together(*works: Any) -> None:
    """Run them at the same time; what one raises fails the test."""
    ready, raised = threading.Barrier(len(works)), []

    def run(work: Any) -> None:
        try:
            ready.wait(60)
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not raised


@both_databases_committed
def test_two_writers_of_one_host_open_one_alert(using: str) -> None:
    host = a_host(using)

    def write(minute: int) -> None:
        with transaction.atomic(using=using):
            lifecycle.record([opens(host, minute), opens(host, minute, "other")], using=using)

    together(*(lambda minute=minute: write(minute) for minute in range(1, 5)))
    alerts = Alert.objects.using(using).order_by("fingerprint")
    assert [(alert.fingerprint, alert.hits) for alert in alerts] == [
        ("other", 4), ("port_down:tcp/80", 4)
    ]  # fmt: skip
    opened = Change.objects.using(using).filter(turn="opened", announced_at=None)
    assert opened.count() == 2


@both_databases_committed
def test_one_opens_while_another_resolves(using: str) -> None:
    host = a_host(using)
    with transaction.atomic(using=using):
        lifecycle.record([opens(host, 1)], using=using)

    def write(each: Transition) -> None:
        with transaction.atomic(using=using):
            lifecycle.record([each], using=using)

    together(lambda: write(ends(host, 2)), lambda: write(opens(host, 3)))
    turns = list(Change.objects.using(using).order_by("pk").values_list("turn", flat=True))
    active = Alert.objects.using(using).filter(resolved_at=None).count()
    assert (turns.count("opened") - turns.count("resolved"), active) in ((1, 1), (0, 0))


FINGERPRINTS = ("a", "b")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "end", "both", "word"]),
        st.sampled_from(FINGERPRINTS),
        st.integers(0, 50),
        st.booleans(),
    ),
    max_size=25,
)


@pytest.mark.django_db
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_alerts_of_a_thing_open_and_end_in_turn(steps: list[tuple[str, str, int, bool]]) -> None:
    with transaction.atomic():
        host = a_host("default")
        for number, (what, fingerprint, minute, quiet) in enumerate(steps):
            other = FINGERPRINTS[1 - FINGERPRINTS.index(fingerprint)]
            if what == "word":
                lifecycle.resolve(host.pk, fingerprint, at=at(minute), by="ann")
                continue
            raised = None
            if what in ("open", "both"):
                raised = Raise(kind=AlertKind.PORT, fingerprint=fingerprint, subject=str(number))
            resolves = {"open": (), "end": (fingerprint,), "both": (other, fingerprint)}[what]
            each = Transition(
                kind=Kind.HOLDER,
                host_id=host.pk,
                at=at(minute),
                raises=raised,
                resolves=resolves,
                quiet=quiet,
            )
            (change,) = lifecycle.record([each])
            assert (change.alert_id is None) == (change.turn == "")
            if change.announced_at is None:
                assert change.turn in ("opened", "resolved")
            for name in FINGERPRINTS:
                of_it = Alert.objects.filter(host=host, fingerprint=name)
                assert of_it.filter(resolved_at=None).count() <= 1
                assert all(row.resolved_at is None or row.resolved_at >= row.opened_at
                           for row in of_it)  # fmt: skip
        for alert in Alert.objects.filter(host=host):
            turns = list(alert.changes.order_by("pk").values_list("turn", flat=True))
            assert turns[0] == "opened"
            assert turns.count("opened") == 1
            assert "resolved" not in turns[:-1]
        transaction.set_rollback(True)
