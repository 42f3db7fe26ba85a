"""A batch of leased hosts, probed through a real OpenSSH server and stored."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from hosts.models import Credential, Host, HostKey
from netadmin.access.models import AuditEntry
from probes import runner, schedule, work
from probes.history.queries import network
from probes.models import OpenSocket, Outcome, Schedule, Snapshot
from probes.observation import Code, Table
from tests.servers import free_port
from tests.sshd import Sshd

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_connection_outlives_a_test() -> Iterator[None]:
    yield
    work.pool().close_all()


@pytest.fixture
def credential(sshd: Sshd) -> Credential:
    made = Credential(name="key", user=sshd.user, method=Credential.Method.KEY)
    made.set_secret("private_key", sshd.client_key)
    made.save()
    return made


@pytest.fixture
def trusted(sshd: Sshd) -> None:
    for pin in sshd.pins:
        HostKey.objects.create(
            address="127.0.0.1",
            port=sshd.port,
            key_type=pin.key_type,
            key_base64=pin.key_base64,
            fingerprint=f"SHA256:{pin.key_base64[-43:]}",
            trust=HostKey.TrustChoice.TRUSTED,
        )


def ssh_host(sshd: Sshd, credential: Credential, name: str = "remote", **fields: Any) -> Host:
    fields = {"address": "127.0.0.1", "port": sshd.port, "credential": credential, **fields}
    return Host.objects.create(name=name, **fields)


def probe_all() -> int:
    schedule.ensure()
    Schedule.objects.update(next_probe_at=schedule.timezone.now())
    stored = 0
    for lane in ("live", "failing"):
        ids, token = schedule.claim(lane, limit=100)
        stored += work.probe_batch(ids, token, lane=lane)
    return stored


def newest(host: Host) -> Snapshot:
    return Snapshot.objects.filter(host=host).latest("taken_at")


@pytest.mark.usefixtures("trusted")
def test_a_batch_stores_what_each_host_said_and_ends_every_lease(
    sshd: Sshd, credential: Credential
) -> None:
    remote = ssh_host(sshd, credential)
    local = Host.objects.create(name="here", address="localhost", is_local=True)

    assert probe_all() == 2

    for host in (remote, local):
        snapshot = newest(host)
        assert snapshot.outcome == Outcome.OK, snapshot.detail
        assert OpenSocket.objects.filter(host=host, local_port=sshd.port).exists()
    assert not Schedule.objects.exclude(lease_until=None).exists()


@pytest.mark.usefixtures("trusted")
def test_the_connection_is_reused_from_probe_to_probe(sshd: Sshd, credential: Credential) -> None:
    ssh_host(sshd, credential)
    logins = sshd.log.read_text().count("Accepted publickey")

    for _turn in range(3):
        assert probe_all() == 1

    assert sshd.log.read_text().count("Accepted publickey") == logins + 1


def test_an_unknown_host_key_awaits_approval_and_after_it_the_host_is_probed(
    sshd: Sshd, credential: Credential
) -> None:
    host = ssh_host(sshd, credential)

    probe_all()

    assert newest(host).code == Code.HOST_KEY_UNKNOWN
    key = HostKey.objects.get()
    assert key.trust == HostKey.TrustChoice.PENDING
    assert key.fingerprint.startswith("SHA256:")

    HostKey.objects.update(trust=HostKey.TrustChoice.TRUSTED)
    probe_all()

    assert newest(host).outcome == Outcome.OK


def test_a_dead_host_closes_no_socket(sshd: Sshd, credential: Credential) -> None:
    host = Host.objects.create(name="here", address="localhost", is_local=True)
    probe_all()
    before = set(OpenSocket.objects.filter(host=host).values_list("key", flat=True))

    Host.objects.filter(pk=host.pk).update(
        is_local=False, address="127.0.0.1", port=free_port(), credential=credential
    )
    probe_all()

    assert newest(host).code == Code.CONNECTION_REFUSED
    assert set(OpenSocket.objects.filter(host=host).values_list("key", flat=True)) == before


def test_a_wrong_login_is_tried_once_and_then_paused_until_it_is_edited(
    sshd: Sshd, credential: Credential, trusted: None
) -> None:
    credential.user = "nobody-of-that-name"
    credential.save()
    host = ssh_host(sshd, credential)
    probe_all()
    assert newest(host).code == Code.LOGIN_FAILED
    tries = sshd.log.read_text().count("Invalid user nobody-of-that-name")

    assert probe_all() == 0
    assert sshd.log.read_text().count("Invalid user nobody-of-that-name") == tries

    credential.user, credential.version = sshd.user, credential.version + 1
    credential.save()
    assert probe_all() == 1
    assert newest(host).outcome == Outcome.OK


def test_a_host_without_a_credential_says_so(sshd: Sshd) -> None:
    host = Host.objects.create(name="bare", address="127.0.0.1", port=sshd.port)

    probe_all()

    assert newest(host).code == Code.CREDENTIAL_MISSING


def test_a_ciphertext_of_another_row_sends_nothing(
    sshd: Sshd, credential: Credential, trusted: None
) -> None:
    other = Credential(name="other", user=sshd.user, method=Credential.Method.KEY)
    other.private_key_encrypted = credential.private_key_encrypted
    other.save()
    host = ssh_host(sshd, other)
    logins = sshd.log.read_text().count("Connection from")

    probe_all()

    assert newest(host).code == Code.KEY_UNREADABLE
    assert sshd.log.read_text().count("Connection from") == logins


def test_a_host_that_is_its_own_jump_host_says_so(sshd: Sshd, credential: Credential) -> None:
    host = ssh_host(sshd, credential)
    Host.objects.filter(pk=host.pk).update(jump_host=host.pk)

    probe_all()

    assert newest(host).code == Code.JUMP_FAILED


def test_one_host_that_cannot_be_stored_does_not_stop_its_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = Host.objects.create(name="good", address="localhost", is_local=True)
    bad = Host.objects.create(name="bad", address="localhost", is_local=True)
    save = work.store.save

    def failing(host: Host, *arguments: Any, **options: Any) -> Snapshot:
        if host.pk == bad.pk:
            raise RuntimeError("the disk is full")
        return save(host, *arguments, **options)

    monkeypatch.setattr(work.store, "save", failing)

    assert probe_all() == 1
    assert newest(good).outcome == Outcome.OK
    assert not Snapshot.objects.filter(host=bad).exists()


def test_a_batch_whose_lease_went_to_another_probes_nothing() -> None:
    Host.objects.create(name="here", address="localhost", is_local=True)
    schedule.ensure()
    ids, token = schedule.claim("live", limit=1)
    Schedule.objects.update(lease_token="another")

    assert work.probe_batch(ids, token, lane="live") == 0
    assert not Snapshot.objects.exists()


def test_a_host_that_waited_too_long_for_a_thread_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host.objects.create(name="here", address="localhost", is_local=True)
    schedule.ensure()
    ids, token = schedule.claim("live", limit=1)
    monkeypatch.setattr(work, "START_GRACE_S", -1.0)

    assert work.probe_batch(ids, token, lane="live") == 0

    row = Schedule.objects.get(pk=host.pk)
    assert row.lease_until is None
    assert row.next_probe_at <= schedule.timezone.now()


def test_many_hosts_are_on_the_network_at_once_but_no_more_than_allowed(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PROBE_THREADS = 3
    monkeypatch.setattr(work, "_lanes", {})
    for number in range(9):
        Host.objects.create(name=f"host{number}", address="localhost", is_local=True)
    together = threading.Barrier(3, timeout=60)
    observe = runner.observe

    def slow(target: Any, **options: Any) -> Any:
        together.wait()  # passes only while three are inside
        return observe(dataclasses.replace(target), **options)

    monkeypatch.setattr(work.runner, "observe", slow)

    assert probe_all() == 9


def test_probing_by_command_stores_prints_and_is_recorded(capsys: Any) -> None:
    host = Host.objects.create(name="here", address="localhost", is_local=True)

    call_command("probe", "here")

    assert newest(host).outcome == Outcome.OK
    assert " sockets, " in capsys.readouterr().out
    assert AuditEntry.objects.filter(action="probe.now", object_name="here").exists()


def test_probing_a_dead_host_by_command_fails_with_the_fix(credential: Credential) -> None:
    Host.objects.create(name="dead", address="127.0.0.1", port=free_port(), credential=credential)

    with pytest.raises(CommandError, match="Nothing listens on that SSH port"):
        call_command("probe", "dead")


def test_probing_an_unknown_host_by_command_says_so() -> None:
    with pytest.raises(CommandError, match="No host is called nowhere"):
        call_command("probe", "nowhere")


def test_the_sockets_of_a_host_reached_through_a_jump_host_are_stored(
    sshd: Sshd, credential: Credential, trusted: None, tmp_path: Path
) -> None:
    jump = ssh_host(sshd, credential, "jump")
    host = ssh_host(sshd, credential, "behind", jump_host=jump)

    probe_all()

    assert newest(host).outcome == Outcome.OK, newest(host).detail


# --- the other tables -----------------------------------------------------------------------------


def test_a_new_host_brings_its_other_tables_and_then_only_its_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host.objects.create(name="here", address="localhost", is_local=True)
    asked: list[bool] = []
    observe = runner.observe

    def noted(target: Any, *, tables: bool, **options: Any) -> Any:
        asked.append(tables)
        return observe(target, tables=tables, **options)

    monkeypatch.setattr(work.runner, "observe", noted)

    for _turn in range(3):
        assert probe_all() == 1

    assert asked == [True, False, False]
    assert newest(host).outcome == Outcome.OK
    found = network.status(host)
    assert found.keys() == set(Table)
    assert found[Table.INTERFACES].code == "", found[Table.INTERFACES].detail
    assert "lo" in [row.interface.name for row in network.interfaces(host).rows]
    assert network.protocols(host).rows


def test_a_probe_by_command_brings_the_other_tables_each_time() -> None:
    host = Host.objects.create(name="here", address="localhost", is_local=True)

    call_command("probe", "here")
    first = network.status(host)[Table.INTERFACES].attempted_at
    call_command("probe", "here")

    assert network.status(host)[Table.INTERFACES].attempted_at > first


def test_the_setting_0_takes_no_other_table(settings: Any) -> None:
    settings.PROBE_TABLES_MINUTES = 0
    host = Host.objects.create(name="here", address="localhost", is_local=True)

    probe_all()
    call_command("probe", "here")

    assert newest(host).outcome == Outcome.OK
    assert network.status(host) == {}
    assert Schedule.objects.get().tables_at is None


def test_trouble_with_the_other_tables_costs_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host.objects.create(name="here", address="localhost", is_local=True)

    def failing(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(work.tables, "save", failing)

    assert probe_all() == 1
    assert newest(host).outcome == Outcome.OK
    row = Schedule.objects.get()
    assert (row.lease_until, row.failures) == (None, 0)
    # They are not asked for again at each probe for that.
    assert row.tables_at == newest(host).taken_at


def test_a_host_that_cannot_be_reached_is_asked_for_its_tables_when_it_is_back(
    credential: Credential,
) -> None:
    Host.objects.create(name="dead", address="127.0.0.1", port=free_port(), credential=credential)

    probe_all()

    assert Schedule.objects.get().tables_at is None
