"""``manage.py probe``: one host, several, a group or all, and what came of each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest

from hosts.models import Credential, Host, HostGroup
from netadmin.access.models import AuditEntry
from probes import runner, schedule, work
from probes.models import Outcome, Schedule, Snapshot
from probes.observation import Code
from tests.probes.commands.fleet import run
from tests.servers import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_connection_outlives_a_test() -> Iterator[None]:
    yield
    work.pool().close_all()


@pytest.fixture
def here() -> Host:
    """This machine."""
    return Host.objects.create(name="here", address="localhost", is_local=True)


@pytest.fixture
def dead() -> Host:
    """A host on whose SSH port nothing listens."""
    credential = Credential(name="pw", user="ops")
    credential.set_secret("password", "never-sent")
    credential.save()
    return Host.objects.create(
        name="dead", address="127.0.0.1", port=free_port(), credential=credential
    )


def test_several_hosts_are_probed_each_with_its_own_end(here: Host, dead: Host) -> None:
    done = run("probe", "here", "dead", "here")

    assert done.status == 1
    rows = [row.split()[:2] for row in done.out.splitlines()]
    assert rows == [["host", "outcome"], ["here", "ok"], ["dead", "failed"]]
    assert "probing 2 hosts ..." in done.told
    assert f"dead: Connection refused (port {dead.port}). Nothing listens on" in done.told
    assert Snapshot.objects.get(host=here).outcome == Outcome.OK
    assert Snapshot.objects.get(host=dead).outcome == Outcome.FAILED
    assert not Schedule.objects.exclude(lease_until=None).exists()
    recorded = AuditEntry.objects.filter(action="probe.now", actor="command line")
    assert sorted(recorded.values_list("object_name", flat=True)) == ["dead", "here"]


def test_the_snapshots_are_those_of_the_api(here: Host, dead: Host) -> None:
    done = run("probe", "here", "dead", "--json")

    data = json.loads(done.out)["data"]
    assert done.status == 1
    assert [shown["host"] for shown in data["snapshots"]] == [
        {"id": here.pk, "name": "here"},
        {"id": dead.pk, "name": "dead"},
    ]
    assert [shown["outcome"] for shown in data["snapshots"]] == ["ok", "failed"]
    assert data["snapshots"][1]["code"] == "connection_refused"
    assert (data["not_probed"], data["total"]) == ([], 2)


def test_csv_has_a_row_for_each_host(here: Host, dead: Host) -> None:
    done = run("probe", "here", "dead", "--csv", "-q")

    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["host"], row["outcome"]) for row in rows] == [("here", "ok"), ("dead", "failed")]
    assert done.told == ""


def test_a_group_and_all_leave_out_what_is_disabled(here: Host, dead: Host) -> None:
    group = HostGroup.objects.create(name="mine")
    for host in (here, dead):
        host.groups.add(group)
    Host.objects.filter(pk=dead.pk).update(enabled=False)

    assert run("probe", "--group", "mine").status == 0
    assert run("probe", "--all").status == 0
    assert [each.host_id for each in Snapshot.objects.all()] == [here.pk] * 2


def test_a_paused_login_is_not_tried_again(dead: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    paused = schedule.ensure_one(dead)
    paused.paused_code, paused.paused_login_version = Code.LOGIN_FAILED, dead.login_version
    paused.save()
    asked: list[str] = []
    monkeypatch.setattr(runner, "observe", lambda target, **_more: asked.append(target.name))

    one, several = run("probe", "dead"), run("probe", "--all", "--json")

    assert (one.status, several.status) == (1, 1)
    assert asked == []
    (left,) = json.loads(several.out)["data"]["not_probed"]
    assert left["host"]["name"] == "dead"
    assert left["title"] in one.told
    assert left["hint"] in one.told


def test_a_host_that_a_worker_probes_is_left_to_it(
    here: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = schedule.claim_one(here)

    came = list(work.probe_many([here], wait_s=0))

    assert [(host, type(why)) for host, why in came] == [(here, work.Busy)]
    assert Schedule.objects.get().lease_token == token


def test_what_cannot_be_stored_costs_the_others_nothing(
    here: Host, dead: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = work.store.save

    def failing(host: Host, *arguments: object, **options: object) -> Snapshot:
        if host == here:
            raise RuntimeError("the disk is full")
        return save(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(work.store, "save", failing)
    done = run("probe", "--all")

    assert done.status == 1
    assert "here: Storing the probe failed (RuntimeError). The log says why." in done.told
    assert Snapshot.objects.get().host == dead


def test_whoever_stops_early_gives_the_leases_back(here: Host, dead: Host) -> None:
    probing = work.probe_many([here, dead], wait_s=5)
    next(probing)
    probing.close()

    assert not Schedule.objects.exclude(lease_until=None).exists()
