"""Which listeners are tried from the controller, which never, and what is kept of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from hosts.models import Host
from probes import connect_back
from probes.analysis.exposure import Bound, Skip
from probes.connect_back import Problem, Refused
from probes.history import tables
from probes.history.queries import exposure
from probes.history.queries.exposure import ExposureFilter, Listener
from probes.models import Reach, ReachRun
from probes.transports import reach
from probes.transports.reach import Attempt, Endpoint
from tests.listening import open_port, refused_port, silent_port
from tests.probes.history import tabled
from tests.probes.history.played import line
from tests.probes.views import fleet

pytestmark = pytest.mark.django_db

UDP = line("0.0.0.0:53", "0.0.0.0:*", "", "5/unbound", protocol="udp")


@pytest.fixture
def not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host stands on loopback here, which is the controller's own otherwise."""
    monkeypatch.setattr(reach, "own", lambda _address: False)


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="web1", address="127.0.0.1")


def listening(*endpoints: str, protocol: str = "tcp") -> list[str]:
    foreign = ":::*" if protocol.endswith("6") else "0.0.0.0:*"
    return [line(one, foreign, "LISTEN", "9/x", protocol=protocol) for one in endpoints]


def found(host: Host) -> list[Listener]:
    ledger = exposure.find(Host.objects.filter(pk=host.pk), ExposureFilter())
    return sorted(ledger.rows, key=exposure.order(ExposureFilter()))


def asked(host: Host) -> None:
    with transaction.atomic():
        connect_back.ask(host, by="otto")


def results(host: Host) -> dict[tuple[str, int], str]:
    rows = Reach.objects.filter(host=host)
    return {(row.address, row.port): row.result for row in rows}


def test_listeners_end_as_what_they_are(
    host: Host, not_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_back, "TIMEOUT_S", 0.5)
    with ExitStack() as stack:
        taking, refusing, silent = (
            stack.enter_context(port()) for port in (open_port, refused_port, silent_port)
        )
        every = [f"0.0.0.0:{port}" for port in (taking, refusing, silent)]
        fleet.seen(host, 60, *listening(*every, "127.0.0.1:5432"), UDP)
        asked(host)
        began = timezone.now()
        assert connect_back.run(host.pk) == 3
    assert results(host) == {
        ("127.0.0.1", taking): "open",
        ("127.0.0.1", refusing): "refused",
        ("127.0.0.1", silent): "filtered",
    }
    run = ReachRun.objects.get()
    assert (run.planned, run.tried, run.asked_by, run.problem) == (3, 3, "otto", "")
    assert run.skipped == {Skip.LOOPBACK.value: 1, Skip.UDP.value: 1}
    assert run.started_at is not None
    assert run.finished_at is not None
    assert began <= run.started_at <= run.finished_at
    assert all(row.asked_by == "otto" and row.checked_at >= began for row in Reach.objects.all())


def test_what_is_no_longer_listened_on_is_forgotten_and_the_rest_is_renewed(
    host: Host, not_here: None
) -> None:
    with open_port() as port:
        fleet.seen(host, 60, *listening(f"0.0.0.0:{port}"))
        old = timezone.now() - dt.timedelta(days=1)
        for number in (1, port):
            Reach.objects.create(
                host=host, address="127.0.0.1", port=number, result="refused", checked_at=old
            )
        asked(host)
        connect_back.run(host.pk)
        row = Reach.objects.get()
        assert (row.port, row.result) == (port, "open")
        assert row.checked_at > old


def test_the_controllers_own_addresses_are_never_tried(host: Host) -> None:
    with open_port() as port:
        fleet.seen(host, 60, *listening(f"0.0.0.0:{port}"))
        asked(host)
        assert connect_back.run(host.pk) == 0
    assert ReachRun.objects.get().skipped == {Skip.CONTROLLER.value: 1}
    assert results(host) == {}


def test_only_addresses_of_the_host_and_ports_it_listens_on_are_planned(host: Host) -> None:
    fleet.seen(
        host,
        60,
        *listening("0.0.0.0:80", "192.0.2.1:22", "192.0.2.9:25", "10.0.0.9:3306",
                   "169.254.169.254:80", "127.0.0.9:631"),
        *listening(":::443", "2001:db8::1:993", "fe80::1:995", protocol="tcp6"),
        line("192.0.2.1:40000", "198.51.100.7:443", "ESTABLISHED", "9/x"),
        UDP,
    )  # fmt: skip

    plan = connect_back.plan(
        found(host),
        own=["192.0.2.1", "2001:db8::1"],
    )

    assert set(plan.endpoints) == {
        Endpoint("192.0.2.1", 80),
        Endpoint("192.0.2.1", 22),
        Endpoint("192.0.2.1", 443),
        Endpoint("2001:db8::1", 993),
    }
    assert plan.skipped == {
        Skip.NOT_ITS_OWN.value: 2,
        Skip.LOCAL_ONLY.value: 2,
        Skip.LOOPBACK.value: 1,
        Skip.UDP.value: 1,
    }


def test_a_family_the_host_has_no_address_of_is_not_tried(host: Host) -> None:
    fleet.seen(
        host, 60, *listening("0.0.0.0:80", "0.0.0.0:22"), *listening(":::80", protocol="tcp6")
    )
    plan = connect_back.plan(found(host), own=["192.0.2.1"])
    assert set(plan.endpoints) == {Endpoint("192.0.2.1", 80), Endpoint("192.0.2.1", 22)}
    assert plan.skipped == {Skip.NO_ADDRESS.value: 1}
    plan = connect_back.plan(found(host), own=["2001:db8::1"])
    assert plan.endpoints == (Endpoint("2001:db8::1", 80),)


def test_a_run_has_an_end_and_begins_with_the_most_exposed(host: Host) -> None:
    private = listening(*[f"10.0.0.5:{port}" for port in range(100, 200)])
    fleet.seen(host, 60, *private, *listening(*[f"0.0.0.0:{n}" for n in range(1000, 1150)]))
    plan = connect_back.plan(found(host), own=["192.0.2.1", "10.0.0.5"])
    assert len(plan.endpoints) == connect_back.MOST
    assert [one.address for one in plan.endpoints].count("192.0.2.1") == 150
    assert plan.skipped == {Skip.TOO_MANY.value: 50}


@given(st.text(max_size=80))
def test_no_address_a_host_prints_is_tried_unless_it_is_its_own(text: str) -> None:
    host = Host(pk=1, name="h", address="192.0.2.1")
    (template,) = _listener(host)
    row = dataclasses.replace(template, local_ip=text, bound=Bound.PUBLIC)
    plan = connect_back.plan([row], own=["192.0.2.1"])
    assert all(one.address == "192.0.2.1" for one in plan.endpoints)


def _listener(host: Host) -> list[Listener]:
    holder = exposure.Holder(1, "x", timezone.now(), 1)
    key = (host.pk, 0, b"", None, 80)
    return [Listener(key, host, "tcp", "", 80, False, Bound.PUBLIC, None, (holder,), 0, 0)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"is_local": True}, "is_local"),
        ({"enabled": False}, "disabled"),
        ({"removed_at": timezone.now()}, "removed"),
        ({"jump_host_id": 1}, "behind_jump_host"),
    ],
)
def test_a_host_that_must_not_be_tried_is_refused_in_words(
    host: Host, changes: dict[str, Any], code: str
) -> None:
    for name, value in changes.items():
        setattr(host, name, value)
    with pytest.raises(Refused) as refused:
        asked(host)
    assert refused.value.code == code
    assert str(refused.value.message)
    assert not ReachRun.objects.exists()


def test_the_site_can_switch_it_off(host: Host, settings: Any) -> None:
    settings.CONNECT_BACK = False
    with pytest.raises(Refused) as refused:
        asked(host)
    assert refused.value.code == "connect_back_off"


def test_one_run_at_a_time_and_a_lost_one_blocks_nobody(host: Host, not_here: None) -> None:
    fleet.seen(host, 60, *listening("0.0.0.0:1"))
    asked(host)
    with pytest.raises(Refused) as refused:
        asked(host)
    assert refused.value.code == "under_way"
    lost = timezone.now() - dt.timedelta(seconds=connect_back.STALE_S + 1)
    ReachRun.objects.update(asked_at=lost)
    assert connect_back.run(host.pk) == 0
    assert ReachRun.objects.get().started_at is None
    asked(host)
    assert connect_back.run(host.pk) == 1
    assert connect_back.run(host.pk) == 0


def test_a_host_that_changed_meanwhile_is_left_alone(host: Host, not_here: None) -> None:
    with open_port() as port:
        fleet.seen(host, 60, *listening(f"0.0.0.0:{port}"))
        asked(host)
        Host.objects.update(enabled=False)
        assert connect_back.run(host.pk) == 0
    run = ReachRun.objects.get()
    assert (run.problem, run.finished_at is not None) == (Problem.GONE.value, True)


def test_a_name_without_an_address_and_a_defect_are_said(
    host: Host, not_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.seen(host, 60, *listening("0.0.0.0:1"))
    Host.objects.update(address="no..such..name")
    asked(host)
    connect_back.run(host.pk)
    assert ReachRun.objects.get().problem == Problem.NO_ADDRESS.value
    Host.objects.update(address="127.0.0.1")
    monkeypatch.setattr(reach, "connect", lambda *_args, **_names: 1 / 0)
    asked(host)
    connect_back.run(host.pk)
    run = ReachRun.objects.get()
    assert (run.problem, run.finished_at is not None) == (Problem.BROKE.value, True)


def test_a_past_table_is_not_what_is_tried(host: Host, not_here: None) -> None:
    with open_port() as gone, open_port() as there:
        fleet.seen(host, 60, *listening(f"0.0.0.0:{gone}"))
        fleet.seen(host, 30, *listening(f"0.0.0.0:{there}"))
        asked(host)
        connect_back.run(host.pk)
    assert results(host) == {("127.0.0.1", there): "open"}


def test_the_task_carries_the_id_alone(host: Host, not_here: None) -> None:
    from probes import tasks

    with open_port() as port:
        fleet.seen(host, 60, *listening(f"0.0.0.0:{port}"))
        asked(host)
        assert tasks.connect_back.run(host.pk) == 1


def test_an_interface_that_a_host_prints_opens_no_door_to_another_machine(
    host: Host, not_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Endpoint] = []

    def connect(endpoints: Sequence[Endpoint], **_names: Any) -> list[Attempt]:
        tried.extend(endpoints)
        return []

    monkeypatch.setattr(reach, "connect", connect)
    claimed = tabled.interfaces(tabled.interface("eth0", address="10.99.0.1"))
    tables.save(host, tabled.seen(0, claimed))
    fleet.seen(host, 60, *listening("10.99.0.1:22", "10.99.0.1:3306", "0.0.0.0:80"))
    asked(host)
    connect_back.run(host.pk)
    assert tried == [Endpoint("127.0.0.1", 80)]
    assert ReachRun.objects.get().skipped == {Skip.NOT_ITS_OWN.value: 2}
