"""Trust 38: no transition is lost to ``kill -9`` around the send, and repeats say that they are.

A real worker process decides and sends to a real web server. It is killed at random moments, and
by the server itself between the arrival of a message and its answer.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connections, transaction

from hosts.models import Host
from probes.models import AlertKind, Change, Delivery
from probes.watch import lifecycle
from probes.watch.lifecycle import Raise, Transition
from tests.databases import SQLITE, both_databases_committed
from tests.probes.notify.told import NOON, channel
from tests.servers import _die_with_parent
from tests.waiting import wait_until
from tests.web_answers import Answer, WebServer, web_server

ROOT = Path(__file__).resolve().parents[2]
HOSTS = 50
THINGS = 10
"""On each host; each becomes wrong and is over: 1,000 transitions."""


def database_url(using: str) -> str:
    known: dict[str, Any] = connections[using].settings_dict
    if using == SQLITE:
        return f"sqlite:///{known['NAME']}"
    login = f"{quote(known['USER'], safe='')}:{quote(known['PASSWORD'] or '', safe='')}"
    host = quote(str(known["HOST"]), safe="")
    return f"postgres://{login}@{host}:{known['PORT']}/{known['NAME']}"


class Worker:
    """The worker, whose child can be killed at any time."""

    def __init__(self, using: str, log: Path) -> None:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "netadmin.settings",
            "DATABASE_URL": database_url(using),
            "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8",
            "ALERT_QUIET_S": "0",
            "ALERT_MAX_WAIT_S": "0",
            "TEST_LEASE_S": "0.3",
        }
        self.pids: list[int] = []
        self.kills = 0
        self._lock = threading.Lock()
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.probes.notify.worker"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
            preexec_fn=_die_with_parent(signal.SIGKILL),
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.pids.append(int(line))

    def kill_child(self) -> None:
        """``kill -9`` of the child that works now."""
        with self._lock:
            if self.pids:
                pid = self.pids[-1]
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    return
                self.kills += 1

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        self._reader.join(30)
        self._log.close()


@contextmanager
def working(using: str, log: Path) -> Iterator[Worker]:
    worker = Worker(using, log)
    try:
        yield worker
    finally:
        worker.stop()


def taking(server: WebServer, worker: Worker, random_: random.Random) -> Answer:
    """Takes every message, and kills who sends every other one before it is answered."""

    def take(handler: BaseHTTPRequestHandler, _stop: threading.Event) -> None:
        if random_.random() < 0.5:
            worker.kill_child()
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return Answer(odd=take)


def turn(hosts: list[Host], thing: int, *, wrong: bool, using: str) -> None:
    """One thing of every host becomes wrong, or is over, in one transaction."""
    name = f"port_down:tcp/{thing}"
    kinds = {True: Change.Kind.PORT_DOWN, False: Change.Kind.PORT_RECOVERED}
    asked = Raise(kind=AlertKind.PORT, fingerprint=name, subject=name, severity="critical")
    with transaction.atomic(using=using):
        lifecycle.record(
            [
                Transition(
                    kind=kinds[wrong],
                    host_id=host.pk,
                    at=NOON,
                    protocol="tcp",
                    port=thing,
                    raises=asked if wrong else None,
                    resolves=() if wrong else (name,),
                )
                for host in hosts
            ],
            using=using,
        )


@both_databases_committed
def test_a_thousand_transitions_arrive_through_kill_9(using: str, tmp_path: Path) -> None:
    random_ = random.Random(38)
    hosts = [
        Host.objects.using(using).create(name=f"web{n}", address="192.0.2.1") for n in range(HOSTS)
    ]
    with web_server() as server, working(using, tmp_path / "worker.log") as worker:
        channel(using, address=server.url("/hook"), per_hour=100_000, signing_key="k" * 32)
        server.answers["/hook"] = taking(server, worker, random_)
        wait_until(lambda: worker.pids, what="the worker's first child")
        for thing in range(1, THINGS + 1):
            for wrong in (True, False):
                seen = len(server.asked)
                turn(hosts, thing, wrong=wrong, using=using)
                wait_until(lambda seen=seen: len(server.asked) > seen, what="a message")
                if random_.random() < 0.3:
                    worker.kill_child()
        # What is left is sent by a worker that lives.
        server.answers["/hook"] = Answer()
        changes, messages = Change.objects.using(using), Delivery.objects.using(using)
        wait_until(lambda: not changes.filter(announced_at=None).exists(), what="all announced")
        wait_until(lambda: not messages.exclude(state="sent").exists(), what="all sent")

        assert worker.kills >= 8, (tmp_path / "worker.log").read_text()[-2_000:]
    told: dict[str, list[bytes]] = {}
    arrived: set[int] = set()
    for asked in server.asked:
        said = json.loads(asked.body)
        assert asked.headers["x-netadmin-delivery"] == said["uid"]
        told.setdefault(said["uid"], []).append(asked.body)
        arrived |= {pk for item in said["items"] for pk in item["changes"]}
    everything = set(changes.values_list("pk", flat=True))
    assert len(everything) == HOSTS * THINGS * 2 == 1_000
    assert arrived == everything, "a transition was lost"
    assert set(told) == {str(uid) for uid in messages.values_list("uid", flat=True)}
    assert all(len(set(bodies)) == 1 for bodies in told.values()), "a repeat says the same"
    assert any(len(bodies) > 1 for bodies in told.values()), "nothing was killed around the send"
    through = Delivery.changes.through.objects.using(using)
    assert set(through.values_list("change_id", flat=True)) == everything
