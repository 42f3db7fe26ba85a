"""The two tools on hosts behind SSH: a real OpenSSH server, and servers that misbehave."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from hosts.models import Host, HostKey
from netadmin.access import tokens
from netadmin.access.models import AuditEntry, Role, Scope
from netadmin.envelope import Refused
from probes import schedule, work
from probes.models import OpenSocket, Schedule, Snapshot
from tests.hostile_ssh import RawServer, ScriptedServer, Session, hang_up, silence
from tests.people import person
from tests.probes.tools.asking import (
    PASSWORD,
    asking,
    check,
    connections,
    held_ports,
    listed_by_netstat,
    refused,
    scripted_host,
    ssh_host,
)
from tests.servers import find_program, free_port
from tests.sshd import Sshd, toolbox

pytestmark = pytest.mark.django_db

OTHER_HOLDER = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:80              0.0.0.0:*               LISTEN      81/nginx
"""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("sshd")
    with Sshd(folder, environment={"PATH": str(folder / "tools")}) as server:
        yield server


def install(server: Sshd, **scripts: str) -> None:
    """The programs of the server's sessions from now on: the basic ones and these scripts."""
    shutil.rmtree(server.folder / "tools", ignore_errors=True)
    toolbox(server.folder / "tools", **scripts)


def real(name: str, package: str) -> str:
    """A script that runs this machine's own program."""
    return f'exec {find_program(name, f"/usr/sbin/{name}", f"/sbin/{name}", package=package)} "$@"'


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer(password=PASSWORD) as server:
        yield server


def operator() -> HttpRequest:
    """A request of somebody who may choose the SSH port."""
    known = User.objects.filter(username="otto").first()
    return asking(known or person("otto", Role.OPERATOR))


def unsaid(*texts: str) -> None:
    """No secret is in what was recorded or answered."""
    recorded = repr([entry.__dict__ for entry in AuditEntry.objects.all()])
    assert PASSWORD not in "\n".join((recorded, *texts))


# --- a real server --------------------------------------------------------------------------------


def test_a_real_host_shows_what_netstat_shows_on_it(sshd: Sshd) -> None:
    install(sshd, netstat=real("netstat", "net-tools"))
    host = ssh_host(sshd)

    with held_ports() as ports:
        data, message = connections(asking(), host="127.0.0.1")
        mine = [tuple(row.values()) for row in data["connections"] if row["local_port"] in ports]
        assert sorted(mine, key=repr) == listed_by_netstat(*ports)
        taken, occupied = check(asking(), port=ports[0], host="real")

    count = data["connection_count"]
    assert message == f"Got the connections of the remote host 127.0.0.1: {count} in total"
    assert data["host"] == "127.0.0.1"
    name = taken["occupations"][0]["program"]
    assert occupied == f"Port {ports[0]}/TCP of the remote host real is occupied: {name}"
    assert taken["host"] == "real"
    assert Snapshot.objects.filter(host=host, outcome="ok", tool="netstat").count() == 2
    assert OpenSocket.objects.filter(host=host, local_port=sshd.port).exists()
    assert Schedule.objects.get(host=host).lease_until is None
    assert len(work.pool()) == 0, "a live question keeps no connection"


def test_without_netstat_ss_is_used_and_it_is_said(sshd: Sshd) -> None:
    install(sshd, ss=real("ss", "iproute2"))
    ssh_host(sshd)

    data, message = check(asking(), port=sshd.port, host="real")

    assert data["is_occupied"]
    assert {row["program"] for row in data["occupations"]} == {"sshd"}
    assert message == (
        f"Port {sshd.port}/TCP of the remote host real is occupied: sshd. "
        "There is no full netstat, so ss was used"
    )


def test_without_either_the_kernel_s_tables_are_read_and_it_is_said(sshd: Sshd) -> None:
    install(sshd)
    ssh_host(sshd)
    if shutil.which("netstat", path="/usr/sbin:/sbin") or shutil.which(
        "ss", path="/usr/sbin:/sbin"
    ):
        raise AssertionError("netstat or ss stands where every probe looks")

    data, message = check(asking(), port=sshd.port, host="real")

    assert data["occupations"][0]["program"] is None
    assert "is occupied: unknown process. There is neither netstat nor ss" in message


def test_hidden_processes_are_counted_and_the_missing_permission_is_named(sshd: Sshd) -> None:
    rows = "tcp 0 0 0.0.0.0:80 0.0.0.0:* LISTEN -\ntcp 0 0 0.0.0.0:81 0.0.0.0:* LISTEN 7/me"
    install(sshd, netstat=f"cat <<'E'\nProto Recv-Q Send-Q Local Foreign State PID\n{rows}\nE")
    (sshd.folder / "tools" / "id").unlink()
    toolbox(sshd.folder / "tools", id="echo 1000")
    ssh_host(sshd)
    hint = (
        ". Rows without a process: 1. Processes of other users are shown to root only: use root, "
        "or grant sudo for netstat in the credential"
    )

    assert connections(asking(), host="real", proto="tcp")[1].endswith(f"2 in total{hint}")
    assert check(asking(), host="real", port=80)[1].endswith(f"unknown process{hint}")
    assert check(asking(), host="real", port=81)[1].endswith("is occupied: me")


def test_a_netstat_that_tells_no_process_is_named_as_the_reason(sshd: Sshd) -> None:
    busybox = find_program("busybox", package="busybox")
    install(sshd, netstat=f'exec {busybox} netstat "$@"')
    ssh_host(sshd)

    data, message = check(asking(), port=sshd.port, host="real")

    assert data["is_occupied"]
    count = len(data["occupations"])
    assert message.endswith(
        f"unknown process. Rows without a process: {count}, since the netstat there tells none. "
        "Install net-tools or iproute2"
    )


def test_the_json_routes_give_the_same_answers(sshd: Sshd) -> None:
    install(sshd, netstat=real("netstat", "net-tools"))
    ssh_host(sshd)
    _row, token = tokens.create(user=person("tom", Role.VIEWER), name="script", scope=Scope.READ)
    caller = Client(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}

    with held_ports() as ports:
        query = {"host": "real", "port": ports[0]}
        answer = caller.get("/api/v1/ports/check", query, headers=headers).json()
        assert answer["success"] is True
        assert (answer["data"], answer["message"]) == check(asking(), **query)

    query = {"host": "real", "proto": "tcp", "state": "LISTENING"}
    answer = caller.get("/api/v1/connections/query", query, headers=headers).json()
    assert answer["data"].keys() == connections(asking(), **query)[0].keys()
    assert sshd.port in {row["local_port"] for row in answer["data"]["connections"]}
    assert AuditEntry.objects.filter(action="ports.check", actor="tom").exists()

    response = caller.get("/api/v1/connections/query", {"host": "192.0.2.77"}, headers=headers)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


# --- another SSH port -----------------------------------------------------------------------------


def test_another_port_is_used_towards_a_listener_with_a_key_trusted_for_the_host(
    scripted: ScriptedServer,
) -> None:
    host = scripted_host(scripted)
    with ScriptedServer(lambda session: say(session, OTHER_HOLDER), password=PASSWORD) as other:
        other.key = scripted.key

        data, message = check(operator(), port=80, host="web1", ssh_port=other.port)

        assert message == "Port 80/TCP of the remote host web1 is occupied: nginx"
        assert data["occupations"][0]["pid"] == 81
        assert connections(operator(), host="web1", port=other.port)[0]["connection_count"] == 1
        assert len(other.logins) == 2
        assert len(other.commands) == 2
    assert scripted.accepted == 0
    assert not Snapshot.objects.exists(), "what another port shows is no snapshot"
    assert Schedule.objects.get(host=host).lease_until is None
    assert len(work.pool()) == 0
    unsaid()


def test_the_configured_port_said_aloud_is_no_other_port(scripted: ScriptedServer) -> None:
    scripted_host(scripted)

    data, _message = connections(asking(), host="web1", port=scripted.port)

    assert data["connection_count"] == 2
    assert Snapshot.objects.count() == 1


def test_another_port_without_a_trusted_key_gets_no_password_and_leaves_no_key_behind(
    scripted: ScriptedServer,
) -> None:
    host = scripted_host(scripted)
    known = set(HostKey.objects.values_list("pk", flat=True))
    with ScriptedServer(password=PASSWORD) as impostor:
        for field, ask in (
            ("port", lambda: connections(operator(), host="web1", port=impostor.port)),
            ("ssh_port", lambda: check(operator(), host="web1", port=80, ssh_port=impostor.port)),
        ):
            with pytest.raises(Refused) as refusal:
                ask()
            assert (refusal.value.status, refusal.value.code) == (502, "host_key_untrusted")
            assert refusal.value.field == field
            assert refusal.value.hint
        assert impostor.logins == []
        assert impostor.commands == []
    assert set(HostKey.objects.values_list("pk", flat=True)) == known
    assert not Snapshot.objects.exists()
    assert Schedule.objects.get(host=host).lease_until is None
    assert not schedule.is_paused(Schedule.objects.get(host=host), host)


def test_a_key_that_is_trusted_on_the_other_port_only_is_not_the_host_s(
    scripted: ScriptedServer,
) -> None:
    scripted_host(scripted)
    with ScriptedServer(password=PASSWORD) as neighbour:
        scripted_host(neighbour, "neighbour")

        refusal = refused(operator(), host="web1", port=neighbour.port)

        assert refusal.code == "host_key_untrusted"
        assert neighbour.logins == []


def test_a_host_without_a_trusted_key_is_not_connected_to_over_another_port(
    scripted: ScriptedServer,
) -> None:
    scripted_host(scripted)
    HostKey.objects.update(trust=HostKey.TrustChoice.PENDING)
    with ScriptedServer(password=PASSWORD) as other:
        other.key = scripted.key

        assert refused(operator(), host="web1", port=other.port).code == "host_key_untrusted"
        assert other.accepted == 0


def test_another_port_is_for_operators_and_for_tokens_that_may_operate(
    scripted: ScriptedServer,
) -> None:
    scripted_host(scripted)
    read = operator()
    _row, text = tokens.create(user=read.user, name="script", scope=Scope.READ)
    read.token = tokens.authenticate(f"Bearer {text}", address=None)
    with ScriptedServer(password=PASSWORD) as other:
        other.key = scripted.key
        for caller in (asking(), read):
            refusal = refused(caller, host="web1", port=other.port)
            assert (refusal.status, refusal.code, refusal.field) == (403, "forbidden", "port")
            assert "Leave out the SSH port" in refusal.hint
            with pytest.raises(Refused) as checked:
                check(caller, port=80, host="web1", ssh_port=other.port)
            assert (checked.value.code, checked.value.field) == ("forbidden", "ssh_port")
            assert connections(caller, host="web1")[0]["connection_count"] == 2
        assert other.accepted == 0


def test_a_login_refused_on_another_port_rests_there_and_the_host_s_own_probes_go_on(
    scripted: ScriptedServer,
) -> None:
    host = scripted_host(scripted)
    with ScriptedServer(password="another") as other:
        other.key = scripted.key

        first = refused(operator(), host="web1", port=other.port)
        assert (first.status, first.code) == (502, "login_failed")
        for port in (other.port, free_port()):
            refusal = refused(operator(), host="web1", port=port)
            assert (refusal.status, refusal.code) == (409, "other_port_refused")
            assert refusal.hint == first.hint
            assert 0 < int(refusal.headers["Retry-After"]) <= 3600
        assert len(other.logins) == 1

        assert connections(asking(), host="web1")[0]["connection_count"] == 2
        row = Schedule.objects.get(host=host)
        assert not schedule.is_paused(row, host)
        assert schedule.other_ports_rest_s(row, host), "a good probe of its own says nothing of it"

        host.credential.version += 1
        host.credential.save()
        assert refused(operator(), host="web1", port=other.port).code == "login_failed"
        Schedule.objects.update(other_port_refused_at=timezone.now() - schedule.OTHER_PORT_REST)
        assert refused(operator(), host="web1", port=other.port).code == "login_failed"
        assert len(other.logins) == 3
    unsaid()


@pytest.mark.parametrize(("behave", "code"), [(hang_up, "truncated"), (silence, "timed_out")])
def test_another_port_that_is_no_ssh_server_fails_by_its_own_code(
    scripted: ScriptedServer, settings: Any, behave: Any, code: str
) -> None:
    settings.PROBE_DEADLINE_S = 1
    scripted_host(scripted)
    with RawServer(behave) as other:
        assert refused(operator(), host="web1", port=other.port).code == code


def test_a_closed_port_fails_by_its_own_code(scripted: ScriptedServer) -> None:
    scripted_host(scripted)

    assert refused(operator(), host="web1", port=free_port()).code == "connection_refused"


# --- trouble --------------------------------------------------------------------------------------


def say(session: Session, table: str) -> None:
    """Play a good host with this table."""
    session.channel.sendall(session.framed(table.encode()))
    session.finish()


def test_a_refused_login_is_tried_once_and_then_paused(scripted: ScriptedServer) -> None:
    host = scripted_host(scripted, password="wrong-" + PASSWORD)

    refusal = refused(asking(), host="web1")

    assert (refusal.status, refusal.code) == (502, "login_failed")
    assert refused(asking(), host="web1").code == "login_paused"
    assert len(scripted.logins) == 1
    assert Snapshot.objects.get(host=host).code == "login_failed"
    unsaid(refusal.message, str(refusal.hint))


def test_an_unknown_key_of_a_configured_port_awaits_approval(scripted: ScriptedServer) -> None:
    scripted_host(scripted)
    HostKey.objects.all().delete()

    assert refused(asking(), host="web1").code == "host_key_unknown"
    assert scripted.logins == []
    assert HostKey.objects.get().trust == HostKey.TrustChoice.PENDING


def test_a_host_that_hangs_is_given_up_in_time_and_its_lease_ended(settings: Any) -> None:
    settings.PROBE_DEADLINE_S = 1
    with ScriptedServer(stall="exec", password=PASSWORD) as mute:
        host = scripted_host(mute)

        refusal = refused(asking(), host="web1")

    assert (refusal.status, refusal.code) == (504, "timed_out")
    assert Snapshot.objects.get(host=host).code == "timed_out"
    assert Schedule.objects.get(host=host).lease_until is None


def test_output_that_breaks_off_shows_no_port_as_free(scripted: ScriptedServer) -> None:
    def cut(session: Session) -> None:
        session.channel.sendall(session.framed()[:-40])
        session.finish()

    scripted.script = cut
    scripted_host(scripted)

    with pytest.raises(Refused) as refusal:
        check(asking(), host="web1", port=22)
    assert refusal.value.code == "truncated"


def test_a_host_behind_a_jump_host_that_fails_says_so(scripted: ScriptedServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as full:
        port = full.getsockname()[1]
    jump = scripted_host(scripted, "jump", port=port)
    Host.objects.create(
        name="inner", address="192.0.2.8", credential=jump.credential, jump_host=jump
    )

    assert refused(asking(), host="inner").code == "jump_failed"
