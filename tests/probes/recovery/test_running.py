"""A service that is really down is started again, once, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import RequestFactory
from django.utils import timezone

from hosts.models import Credential, Host, HostKey
from probes import schedule, tasks, work
from probes.models import Alert, Change, Restart, RestartCommand, Schedule, Service
from probes.recovery import decisions, guard, running
from tests.databases import POSTGRESQL, both_databases_committed
from tests.probes.recovery.test_decisions import World
from tests.servers import free_port
from tests.sshd import Sshd
from tests.waiting import wait_until

SERVER = """\
import os, socket, sys
if os.fork():
    sys.exit(0)
os.setsid()
with open(sys.argv[2], "w") as file:
    file.write(str(os.getpid()))
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(os.open(os.devnull, os.O_RDWR), 1)
os.dup2(1, 2)
os.dup2(1, 0)
while True:
    listening.accept()
"""


class Daemon:
    """A small TCP server on a port of its own, and the words that start it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.pid_file = folder / "pid"
        self.script = folder / "server.py"
        self.script.write_text(SERVER)
        self.words = [sys.executable, str(self.script), str(self.port), str(self.pid_file)]

    def start(self) -> None:
        subprocess.run(self.words, check=True)
        wait_until(self.listens)

    def kill(self) -> None:
        if self.pid_file.exists() and self.pid_file.read_text():
            try:
                os.kill(int(self.pid_file.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                return
            wait_until(lambda: not self.listens())

    def listens(self) -> bool:
        held = Path("/proc/net/tcp").read_text()
        return f"0100007F:{self.port:04X} 00000000:0000 0A" in held


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def _no_connection_outlives_a_test() -> Iterator[None]:
    yield
    work.pool().close_all()


def service_on(sshd: Sshd, words: list[str], port: int, **fields: object) -> Service:
    """A service on a real host that sshd is."""
    login = Credential(name="key", user=sshd.user, method=Credential.Method.KEY)
    login.set_secret("private_key", sshd.client_key)
    login.save()
    for pin in sshd.pins:
        HostKey.objects.create(
            address="127.0.0.1", port=sshd.port, key_type=pin.key_type, key_base64=pin.key_base64,
            fingerprint=f"SHA256:{pin.key_base64[-43:]}", trust=HostKey.TrustChoice.TRUSTED,
        )  # fmt: skip
    host = Host.objects.create(
        name="web1", address="127.0.0.1", port=sshd.port, credential=login, interval_s=300
    )
    command = RestartCommand.objects.create(name="start it", argv=words, use_sudo=False)
    return Service.objects.create(
        name="shop", host=host, port=port, command=command, automatic=True, **fields
    )


def probed(service: Service) -> None:
    token = schedule.claim_one(service.host)
    assert token is not None
    work.probe_one(service.host, token)


def time_passes(seconds: float = 11.0) -> None:
    """What waits waited so long already."""
    past = timedelta(seconds=seconds)
    for row in Restart.objects.filter(ended_at=None):
        for name in ("lease_until", "check_after"):
            if (when := getattr(row, name)) is not None:
                setattr(row, name, when - past)
        row.save()


def take_up() -> int:
    """What a beat and a worker do."""
    planned = running.due()
    return sum(running.run(restart_id, pool=work.pool()) for restart_id in planned)


@pytest.mark.django_db(transaction=True)
def test_a_service_that_died_is_started_again_and_seen_to_be_back(
    sshd: Sshd, daemon: Daemon
) -> None:
    service = service_on(sshd, daemon.words, daemon.port)
    daemon.start()
    probed(service)
    daemon.kill()
    probed(service)
    assert tasks.recover() == 1
    assert tasks.recover() == 0, "given out once"
    assert tasks.restart(Restart.objects.get().pk)
    wait_until(daemon.listens)

    restart = Restart.objects.get()
    assert (restart.state, restart.exit_status, restart.by) == ("checking", 0, "")
    assert restart.check_after is not None
    assert Schedule.objects.get().lease_until is None, "probes of the host go on"
    assert take_up() == 0
    assert Schedule.objects.get().requested_at is None
    time_passes()
    assert take_up() == 0
    assert Schedule.objects.get().requested_by == running.ASKS, "a probe is asked for"
    probed(service)
    restart.refresh_from_db()
    assert restart.state == "recovered"
    assert Change.objects.filter(kind="port_recovered").exists()


@pytest.mark.django_db(transaction=True)
def test_a_command_that_helps_nothing_runs_as_often_as_the_budget_says(
    sshd: Sshd, daemon: Daemon, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    words = ["sh", "-c", f"echo ran >>{log}; echo no such unit >&2; exit 5"]
    service = service_on(sshd, words, daemon.port, budget=2)
    daemon.start()
    probed(service)
    daemon.kill()
    for _turn in range(4):
        probed(service)
        take_up()
        time_passes()
    assert log.read_text() == "ran\nran\n"
    restarts = Restart.objects.order_by("attempt")
    assert [(row.state, row.exit_status, row.output) for row in restarts] == [
        ("still_down", 5, "no such unit"), ("still_down", 5, "no such unit"),
    ]  # fmt: skip
    alert = Alert.objects.get(kind="service")
    assert (alert.resolved_at, alert.facts["restarts"]) == (None, 2)


@pytest.mark.django_db(transaction=True)
def test_nothing_runs_once_the_host_is_out_of_reach_or_the_port_is_back(
    sshd: Sshd, daemon: Daemon, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    service = service_on(sshd, ["touch", str(made)], daemon.port)
    daemon.start()
    probed(service)
    daemon.kill()
    probed(service)
    Host.objects.update(port=free_port())
    probed(Service.objects.select_related("host").get())
    assert take_up() == 0
    restart = Restart.objects.get()
    assert (restart.state, restart.reason, made.exists()) == ("refused", "not_whole", False)

    Host.objects.update(port=sshd.port)
    probed(Service.objects.select_related("host").get())
    assert Restart.objects.filter(state="planned").count() == 1
    daemon.start()
    probed(Service.objects.select_related("host").get())
    assert take_up() == 0
    assert Restart.objects.filter(reason="up").count() == 1
    assert not made.exists()


@pytest.mark.django_db(transaction=True)
def test_a_restart_waits_while_its_host_is_probed(
    sshd: Sshd, daemon: Daemon, tmp_path: Path
) -> None:
    service = service_on(sshd, ["touch", str(tmp_path / "made")], daemon.port)
    daemon.start()
    probed(service)
    daemon.kill()
    probed(service)
    token = schedule.claim_one(service.host)
    assert token is not None
    assert take_up() == 0
    assert Restart.objects.get().state == "planned"
    schedule.release(service.host_id, token)
    assert take_up() == 1


WORKER = """\
import os, sys, django
django.setup()
from probes import work
from probes.recovery import running
pk = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(running.run(pk, pool=work.pool()), flush=True)
"""


class Worker:
    """Another process of the same site that runs one restart when it is told to."""

    def __init__(self, restart_id: int, using: str) -> None:
        place = connections[using].settings_dict
        url = f"sqlite:///{place['NAME']}"
        if using == POSTGRESQL:
            login = f"{place['USER']}:{place['PASSWORD']}"
            url = f"postgresql://{login}@{place['HOST']}:{place['PORT']}/{place['NAME']}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(restart_id)],
            env={**os.environ, "DATABASE_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def is_ready(self) -> Worker:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def said(self) -> str:
        return self.process.communicate(timeout=60)[0].strip()


def planned_here(using: str, script: str) -> World:
    """A service on this very machine that went down, and its planned restart."""
    world = World(using)
    Host.objects.using(using).update(is_local=True)
    RestartCommand.objects.using(using).update(argv=["sh", "-c", script], use_sudo=False)
    world.goes_down()
    assert world.states == [("planned", "")]
    return world


@both_databases_committed
def test_two_workers_at_once_run_it_once(using: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    world = planned_here(using, f"echo ran >>{log}")
    (restart,) = world.restarts
    workers = [Worker(restart.pk, using) for _each in range(2)]
    for worker in workers:
        worker.is_ready()
    for worker in workers:
        worker.go()
    assert sorted(worker.said() for worker in workers) == ["False", "True"]
    assert log.read_text() == "ran\n"
    assert world.states == [("checking", "")]
    assert guard.used_up(world.service, now=timezone.now(), using=using) == 1


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_leaves_a_restart_that_counts_and_is_never_run_again(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    world = planned_here("default", f"echo $$ >>{log}; exec sleep 600")
    (restart,) = world.restarts
    worker = Worker(restart.pk, "default").is_ready()
    worker.go()
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    worker.process.kill()
    worker.process.communicate()
    os.kill(int(log.read_text()), signal.SIGKILL)
    assert world.states == [("running", "")], "known before the command was sent"
    assert running.due() == [], "it may still be running"

    Schedule.objects.update(lease_until=None)
    Restart.objects.update(lease_until=timezone.now())
    assert running.due() == []
    assert world.states == [("unknown", "interrupted")]
    assert guard.used_up(world.service, now=timezone.now()) == 1
    time_passes()
    assert running.due() == []
    assert Schedule.objects.get().requested_by == running.ASKS, "somebody looks again"
    Restart.objects.update(check_after=world.later())
    world.sees()
    assert world.states[0] == ("still_down", "interrupted")
    assert world.states[1:] == [("planned", "")], "the next try, as the budget allows"
    assert len(log.read_text().split()) == 1


@pytest.mark.django_db
def test_what_nobody_took_up_in_time_is_decided_anew() -> None:
    world = World("default")
    world.goes_down()
    assert len(running.due()) == 1
    assert running.due() == [], "given out once"
    Restart.objects.update(planned_at=timezone.now() - timedelta(seconds=301))
    assert running.due() == []
    assert world.states == [("refused", "waited")]
    world.sees()
    assert world.states[1:] == [("planned", "")]


@pytest.mark.django_db
def test_without_a_whole_snapshot_for_an_hour_its_outcome_stays_unknown() -> None:
    world = World("default")
    world.goes_down()
    world.ran()
    Restart.objects.update(check_after=timezone.now() - timedelta(hours=2))
    running.due()
    assert world.states == [("unknown", "not_seen")]
    assert world.restarts[0].ended_at is not None


@pytest.mark.django_db(transaction=True)
def test_by_hand_a_service_that_came_back_meanwhile_is_left_alone(
    sshd: Sshd, daemon: Daemon, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    service = service_on(sshd, ["touch", str(made)], daemon.port)
    Service.objects.update(automatic=False)
    request = RequestFactory().post("/")
    request.user = User.objects.create(username="otto")
    probed(service)
    planned = decisions.plan(service, request=request)
    assert isinstance(planned, Restart)
    daemon.start()
    probed(service)
    assert take_up() == 0
    assert Restart.objects.get().reason == "up"
    assert not made.exists()

    assert decisions.plan(service, request=request) == "confirm"
    assert isinstance(decisions.plan(service, request=request, confirmed=True), Restart)
    assert take_up() == 1
    assert made.exists()

    RestartCommand.objects.update(argv=["false"])
    Restart.objects.update(ended_at=timezone.now(), state="recovered")
    service.refresh_from_db()
    assert isinstance(decisions.plan(service, request=request, confirmed=True), Restart)
    assert take_up() == 1
    Restart.objects.filter(ended_at=None).update(check_after=timezone.now())
    probed(service)
    newest = Restart.objects.order_by("-pk")[0]
    assert (newest.state, newest.exit_status) == ("failed", 1), "the old process holds the port"


@pytest.mark.django_db
def test_nothing_to_do_is_one_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert running.due() == []
