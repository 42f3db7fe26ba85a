"""What whole snapshots decide: once a transition, within the budget, and never blindly."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.utils import timezone

from hosts.models import Credential, Host, HostGroup
from netadmin.access import audit
from netadmin.access.models import AuditEntry
from probes import schedule
from probes.history import store
from probes.models import Alert, Change, Refusal, Restart, RestartCommand, Service, Silence
from probes.observation import Code, Privilege
from probes.recovery import decisions, defined, guard, listing
from probes.watch import judging
from probes.wording import alerts as alert_words
from tests.databases import both_databases
from tests.probes.history.played import failed, line, observed, table

UP = line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "812/nginx")
SSH = line("0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800/sshd")
LEFT = line("10.0.0.5:8080", "203.0.113.9:51000", "ESTABLISHED", "812/nginx")


class World:
    """A host with a service, probed at seconds before and after now."""

    def __init__(self, using: str, **fields: Any) -> None:
        self.using = using
        login = Credential(name="ops", user="ops", sudo="nopasswd")
        login.save(using=using)
        self.host = Host.objects.using(using).create(
            name="web1", address="192.0.2.1", credential=login
        )
        self.command = RestartCommand.objects.using(using).create(
            name="nginx", argv=["systemctl", "restart", "nginx"]
        )
        fields = {"name": "shop", "port": 8080, "automatic": True} | fields
        fields.setdefault("command", self.command)
        self.service = Service.objects.using(using).create(host=self.host, **fields)
        self.now = timezone.now() - dt.timedelta(seconds=100)
        schedule.Schedule.objects.using(using).create(host=self.host, next_probe_at=self.now)

    def sees(self, *lines: str, **fields: Any) -> None:
        """One more whole probe."""
        seen = observed(0, table(SSH, *lines), **fields)
        self.save(replace(seen, taken_at=self.later()))

    def save(self, observation: Any) -> None:
        store.save(self.host, observation, using=self.using, judge=judging.judge)

    def later(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=1)
        return self.now

    def goes_down(self) -> None:
        self.sees(UP, LEFT)
        self.sees(LEFT)

    @property
    def restarts(self) -> list[Restart]:
        return list(Restart.objects.using(self.using).order_by("pk"))

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(row.state, row.reason) for row in self.restarts]

    def ran(self) -> None:
        """A worker ran the one that is planned, some time before the next probe."""
        planned = Restart.objects.using(self.using).filter(state="planned")
        assert planned.update(state="checking", ran_at=timezone.now(), check_after=self.later())

    def time_passes(self) -> None:
        """All that was begun was begun longer ago than the budget counts."""
        begun = Restart.objects.using(self.using).filter(ran_at__isnull=False)
        begun.update(ran_at=timezone.now() - dt.timedelta(seconds=301))

    def alerts(self) -> list[tuple[str, bool]]:
        rows = Alert.objects.using(self.using).filter(kind="service").order_by("pk")
        return [(row.fingerprint, row.resolved_at is None) for row in rows]


@both_databases
def test_a_port_that_went_down_plans_one_restart_with_what_it_cuts_off(using: str) -> None:
    world = World(using)
    world.goes_down()
    world.sees(LEFT)

    (restart,) = world.restarts
    change = Change.objects.using(using).get(kind="port_down")
    assert (restart.state, restart.attempt, restart.by) == ("planned", 1, "")
    assert (restart.change_id, restart.command_line) == (
        change.pk, "sudo -n systemctl restart nginx",
    )  # fmt: skip
    assert restart.snapshot_id == change.snapshot_id
    assert restart.affected == {
        "connections": 1, "ips": [["203.0.113.9", 1]], "programs": [["nginx", 1]], "up": False,
    }, "its listener is gone, a connection of its process is left"  # fmt: skip
    entry = AuditEntry.objects.using(using).get(action="service.restart")
    assert (entry.actor, entry.object_name, entry.detail["host"]) == ("netadmin", "shop", "web1")


@both_databases
def test_the_first_whole_snapshot_after_the_command_tells_whether_it_helped(using: str) -> None:
    world = World(using)
    world.goes_down()
    world.ran()
    world.save(replace(failed(0), taken_at=world.later()))
    assert world.states == [("checking", "")], "a failed probe tells nothing"
    world.sees(UP)
    assert world.states == [("recovered", "")]
    assert world.alerts() == []


@both_databases
def test_the_budget_ends_in_one_alert_that_ends_when_the_port_is_back(using: str) -> None:
    world = World(using)
    world.goes_down()
    for attempt in (1, 2, 3):
        assert [row.attempt for row in world.restarts][-1] == attempt
        world.ran()
        world.sees()
    for _more in range(3):
        world.sees()
    assert world.states == [("still_down", "")] * 3
    assert world.alerts() == [(guard.fingerprint(world.service), True)]
    alert = Alert.objects.using(using).get(kind="service")
    assert alert.facts.items() >= {
        "event": "gave_up", "service": "shop", "protocol": "tcp", "port": 8080, "restarts": 3,
        "within_s": 300,
    }.items()  # fmt: skip

    world.sees(UP)
    assert world.alerts() == [(guard.fingerprint(world.service), False)]
    told = Change.objects.using(using).filter(alert=alert).order_by("pk")
    assert [row.kind for row in told] == ["gave_up", "service_back"]

    # Down again while three were begun within 300 s: none more, which is noted and told at once.
    world.sees()
    assert world.states[3:] == [("refused", "budget")]
    assert [active for _mark, active in world.alerts()] == [False, True]

    world.time_passes()
    world.sees(UP)
    world.sees()
    assert world.states[4:] == [("planned", "")]


@both_databases
def test_a_manual_restart_counts_in_the_same_budget(using: str) -> None:
    world = World(using, budget=1)
    world.sees(UP)
    Restart.objects.using(using).create(
        service=world.service, host=world.host, state="recovered", by="otto",
        planned_at=timezone.now(), ran_at=timezone.now(), ended_at=timezone.now(),
    )  # fmt: skip
    world.sees()
    assert world.states[1:] == [("refused", "budget")]
    assert world.alerts() == [(guard.fingerprint(world.service), True)]


@both_databases
def test_a_budget_that_others_used_up_is_told_as_that_and_waited_for(using: str) -> None:
    world = World(using)
    world.sees(UP)
    for _each in range(3):
        now = timezone.now()
        Restart.objects.using(using).create(
            service=world.service, host=world.host, state="recovered", by="otto",
            planned_at=now, ran_at=now, ended_at=now,
        )  # fmt: skip
    for _more in range(3):
        world.sees()
    assert world.states[3:] == [("refused", "budget")], "noted once"
    waits = Alert.objects.using(using).get(kind="service")
    assert (waits.resolved_at, waits.severity, waits.hits) == (None, "warning", 1)
    assert alert_words.title(waits) == (
        "Service shop is down and was not restarted: its budget of 3 in 300 s is used up"
    )

    world.time_passes()
    for attempt in (2, 3, 4):
        world.sees()
        assert world.states[-1] == ("planned", "")
        assert world.restarts[-1].attempt == attempt
        waits.refresh_from_db()
        assert waits.resolved_at is None, "the service is still down"
        world.ran()
    for _more in range(2):
        world.sees()
    assert world.states[4:] == [("still_down", "")] * 3
    waits.refresh_from_db()
    gave_up = Alert.objects.using(using).get(kind="service", resolved_at=None)
    assert waits.resolved_at is not None
    assert (gave_up.severity, gave_up.facts["restarts"]) == ("critical", 3)
    assert alert_words.title(gave_up) == "Service shop is down and 3 restarts did not help"
    told = Change.objects.using(using).filter(alert__kind="service", announced_at=None)
    assert [row.alert_id for row in told.order_by("pk")] == [waits.pk, gave_up.pk]

    world.time_passes()
    world.sees()
    assert len(world.restarts) == 7, "given up until the port is back"
    world.sees(UP)
    assert [active for _mark, active in world.alerts()] == [False, False]


@pytest.mark.django_db
def test_a_service_that_is_back_while_its_budget_is_used_up_is_told_as_back() -> None:
    world = World("default", budget=1)
    world.goes_down()
    world.ran()
    world.sees(UP)
    world.sees()
    assert world.states == [("recovered", ""), ("refused", "budget")]
    (row,) = listing.rows([world.service])
    assert row.given_up is None, "it is tried again"
    world.sees(UP)
    kinds = Change.objects.filter(alert__kind="service").order_by("pk")
    assert [change.kind for change in kinds] == ["gave_up", "service_back"]


ANEW = line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "990/nginx")
NAMELESS = line("0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "-")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "after", "status", "outcome"),
    [
        (UP, ANEW, 0, ("recovered", "")),
        (UP, UP, 0, ("recovered", "same_process")),
        (UP, UP, 1, ("failed", "same_process")),
        (UP, UP, None, ("failed", "same_process")),
        (UP, ANEW, 1, ("recovered", "")),
        (UP, ANEW, None, ("recovered", "")),
        (NAMELESS, NAMELESS, 0, ("recovered", "")),
        (NAMELESS, NAMELESS, 1, ("failed", "")),
        (UP, NAMELESS, 1, ("failed", "")),
        (UP, "", 1, ("still_down", "")),
    ],
    ids=[
        "anew", "same", "same failed", "same interrupted", "anew failed", "anew interrupted",
        "nameless", "nameless failed", "nameless after", "gone",
    ],
)  # fmt: skip
def test_an_open_port_alone_does_not_say_that_a_service_was_started_anew(
    before: str, after: str, status: int | None, outcome: tuple[str, str]
) -> None:
    world = World("default", automatic=False)
    world.sees(before)
    request = RequestFactory().post("/")
    request.user = User.objects.create(username="otto")
    restart = decisions.plan(world.service, request=request, confirmed=True)
    assert isinstance(restart, Restart)
    assert restart.affected["up"]
    world.ran()
    Restart.objects.update(exit_status=status)
    world.sees(*filter(None, [after]))
    assert world.states == [outcome]


@pytest.mark.django_db
@pytest.mark.parametrize("off", ["enabled", "automatic"])
@pytest.mark.parametrize("budget", [1, 3])
def test_switched_off_a_service_is_no_longer_given_up(off: str, budget: int) -> None:
    world = World("default", budget=budget)
    world.goes_down()
    world.ran()
    Restart.objects.update(reason="" if budget == 1 else "sudo_refused")
    world.sees()
    assert world.alerts() == [(guard.fingerprint(world.service), True)]
    request = RequestFactory().post("/")
    request.user = User.objects.create(username="ann")
    usual = {"hosts": Host.objects.all(), "request": request}
    defined.change(world.service, {"notes": "known"}, **usual)
    assert world.alerts() == [(guard.fingerprint(world.service), True)], "about the same service"

    defined.change(world.service, {off: False}, **usual)
    alert = Alert.objects.get(kind="service")
    assert (alert.resolved_at is None, alert.resolved_by) == (False, "ann")
    world.sees()
    assert len(world.alerts()) == 1

    defined.change(world.service, {off: True}, **usual)
    world.sees()
    assert [active for _mark, active in world.alerts()] == [False, True], "down as before"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [{"automatic": False}, {"enabled": False}, {"protocol": "udp"}, {"port": 8081}],
    ids=str,
)
def test_no_other_service_is_restarted(fields: dict[str, Any]) -> None:
    world = World("default", **fields)
    world.goes_down()
    assert world.restarts == []


@pytest.mark.django_db
def test_an_unreachable_host_a_part_of_a_table_and_a_limited_one_decide_nothing() -> None:
    world = World("default")
    world.sees(UP)
    part = failed(0, Code.TRUNCATED, raw=table(SSH).encode())
    for observation in (
        replace(failed(0), taken_at=world.later()),
        replace(part, taken_at=world.later()),
        observed(0, table(SSH), privilege=Privilege.USER, taken_at=world.later()),
    ):
        world.save(observation)
    outcomes = list(world.host.snapshots.order_by("taken_at").values_list("outcome", flat=True))
    assert outcomes == ["ok", "failed", "partial", "limited"]
    assert world.restarts == []

    world.sees()
    assert world.states == [("planned", "")]


@pytest.mark.django_db
def test_a_maintenance_window_is_noted_once_and_the_restart_comes_after_it() -> None:
    world = World("default")
    group = HostGroup.objects.create(name="shop")
    world.host.groups.add(group)
    now = timezone.now()
    window = Silence.objects.create(
        starts_at=now - dt.timedelta(hours=1), ends_at=now + dt.timedelta(hours=1), group=group
    )
    world.goes_down()
    world.sees()
    assert world.states == [("refused", Refusal.SILENCED)]
    window.delete()
    world.sees()
    assert world.states == [("refused", "silenced"), ("planned", "")]


@pytest.mark.django_db
def test_what_cannot_work_gives_up_at_once_and_says_why() -> None:
    world = World("default")
    Credential.objects.update(sudo="none")
    world.sees(UP, privilege=Privilege.USER)
    world.sees(privilege=Privilege.USER)
    assert world.restarts == []
    alert = Alert.objects.get(kind="service")
    assert (alert.facts["reason"], alert.severity) == ("no_sudo", "critical")
    said = "Service shop is down and was not restarted: The credential allows no sudo"
    assert alert_words.title(alert) == said


@pytest.mark.django_db
def test_a_restart_that_sudo_refused_is_not_tried_again() -> None:
    world = World("default")
    world.goes_down()
    Restart.objects.update(
        state="failed", reason="sudo_refused", ran_at=timezone.now(), ended_at=timezone.now()
    )
    world.sees()
    world.sees()
    assert len(world.restarts) == 1
    assert Alert.objects.get(kind="service").facts["reason"] == "sudo_refused"


@pytest.mark.django_db
def test_without_a_record_there_is_no_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("default")

    def refuses(*_args: Any, **_fields: Any) -> None:
        raise RuntimeError("the audit log is full")

    monkeypatch.setattr(audit, "record", refuses)
    world.goes_down()
    assert world.restarts == []
    assert Change.objects.filter(kind="port_down").exists(), "the port watch goes on"
    monkeypatch.undo()
    world.sees()
    assert world.states == [("planned", "")], "the next probe makes up for it"
