"""Real listeners seen through a real OpenSSH server: what is a port down, and what is not."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hosts.models import Credential, Host, HostKey
from probes import schedule, work
from probes.models import Alert, Change, PortPolicy, Schedule, Snapshot, WatchedPort
from probes.observation import Code
from tests.servers import _die_with_parent, free_port
from tests.sshd import Sshd
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1])), reuse_port=False) as listening:
    sys.stdin.read()
"""


class Service:
    """A process that listens on a port, as often as it is started anew."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        self._process = subprocess.Popen(
            [sys.executable, "-c", LISTEN, str(self.port)],
            stdin=subprocess.PIPE,
            preexec_fn=_die_with_parent(signal.SIGKILL),
        )
        wait_until(self._listens, what=f"port {self.port} is listened on")
        return self._process.pid

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(free_port())
    yield made
    made.stop()


@pytest.fixture
def host(sshd: Sshd) -> Iterator[Host]:
    credential = Credential(name="key", user=sshd.user, method=Credential.Method.KEY)
    credential.set_secret("private_key", sshd.client_key)
    credential.save()
    for pin in sshd.pins:
        HostKey.objects.create(
            address="127.0.0.1",
            port=sshd.port,
            key_type=pin.key_type,
            key_base64=pin.key_base64,
            fingerprint=f"SHA256:{pin.key_base64[-43:]}",
            trust=HostKey.TrustChoice.TRUSTED,
        )
    # The port of the test may be an ephemeral one, which a site does not watch by itself.
    raised = ["new", "down", "holder"]
    every = dict.fromkeys(("system", "registered", "ephemeral"), raised)
    PortPolicy.objects.update_or_create(
        group=None, host=None, defaults={"enabled": True, "excluded": "", "raises": every}
    )
    yield Host.objects.create(
        name="real", address="127.0.0.1", port=sshd.port, credential=credential
    )
    work.pool().close_all()


def probe(host: Host) -> Snapshot:
    schedule.ensure()
    Schedule.objects.update(next_probe_at=schedule.timezone.now())
    for lane in ("live", "failing"):
        ids, token = schedule.claim(lane, limit=10)
        work.probe_batch(ids, token, lane=lane)
    return Snapshot.objects.filter(host=host).latest("taken_at")


def seen(service: Service) -> list[str]:
    """What became of the service's port; others of this machine come and go."""
    rows = Change.objects.filter(port=service.port, protocol="tcp").order_by("pk")
    return list(rows.values_list("kind", flat=True))


def test_only_a_whole_probe_says_that_a_port_is_down(
    host: Host, service: Service, sshd: Sshd
) -> None:
    service.start()
    assert probe(host).outcome == "ok"
    assert seen(service) == [], "first sight is a baseline"

    service.stop()
    Host.objects.filter(pk=host.pk).update(port=free_port())
    assert probe(host).code == Code.CONNECTION_REFUSED
    Host.objects.filter(pk=host.pk).update(port=sshd.port)

    credential = Credential.objects.get()
    Credential.objects.update(user="nobody-of-that-name", version=2)
    assert probe(host).code == Code.LOGIN_FAILED
    Credential.objects.update(user=credential.user, version=3)

    keys = dict(HostKey.objects.values_list("pk", "key_base64"))
    HostKey.objects.update(key_base64="AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    work.pool().close_all()
    assert probe(host).code == Code.HOST_KEY_CHANGED
    HostKey.objects.exclude(pk__in=keys).delete()
    for pk, key in keys.items():
        HostKey.objects.filter(pk=pk).update(key_base64=key, trust="trusted")

    assert seen(service) == []
    assert WatchedPort.objects.get(port=service.port, protocol="tcp").is_up

    assert probe(host).outcome == "ok"
    assert seen(service) == ["port_down"]
    alert = Alert.objects.get(fingerprint=f"port_down:tcp/{service.port}")
    assert alert.facts["before"]["addresses"] == ["127.0.0.1"]


def test_the_same_port_of_another_process_is_no_change(host: Host, service: Service) -> None:
    first = service.start()
    probe(host)
    assert WatchedPort.objects.get(port=service.port, protocol="tcp").pids == [first]

    service.stop()
    second = service.start()
    probe(host)

    assert first != second
    assert seen(service) == []
    assert WatchedPort.objects.get(port=service.port, protocol="tcp").pids == [second]
