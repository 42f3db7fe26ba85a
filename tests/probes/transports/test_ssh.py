"""SSH against a real OpenSSH server."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.target import Login, Pin, Sudo, Target, Trust
from probes import connection_test
from probes.connection_test import ConnectionTest
from probes.observation import Code, Observation, Privilege
from probes.transports import keys, ssh
from probes.transports.base import Deadline, TransportError
from probes.transports.pool import Pool
from tests.probes.test_commands import FAKE_SUDO
from tests.probes.transports.conftest import DEADLINES_S, SMALL_TABLE, Probe
from tests.servers import free_port
from tests.sshd import Sshd, descendants, make_key
from tests.waiting import wait_until

CAT_TABLE = "cat <<'END'\n" + SMALL_TABLE + "END"

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def code_of(observation: Observation) -> Code | None:
    return observation.failure and observation.failure.code


# Logging in


def test_a_key_gives_the_table(sshd: Sshd, probe: Probe) -> None:
    observation = probe(sshd.target())
    assert observation.failure is None
    assert observation.text == SMALL_TABLE
    assert observation.raw == SMALL_TABLE.encode()
    assert (observation.tool, observation.wide) == ("netstat", True)
    assert observation.command.endswith("/bin/netstat -antuwpW")
    expected = Privilege.ROOT if os.getuid() == 0 else Privilege.USER
    assert observation.privilege is expected


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_each_kind_of_key_with_a_passphrase_logs_in(
    sshd: Sshd, probe: Probe, tmp_path: Path, kind: str
) -> None:
    key = make_key(tmp_path / "key", kind, passphrase="schl üssel")
    sshd.authorize(tmp_path / "key.pub")
    login = Login(sshd.user, private_key=key, passphrase="schl üssel")
    assert probe(sshd.target(login=login)).failure is None


def test_a_pasted_key_with_windows_line_ends_logs_in(sshd: Sshd, probe: Probe) -> None:
    pasted = sshd.client_key.strip().replace("\n", "\r\n")
    assert probe(sshd.target(login=Login(sshd.user, private_key=pasted))).failure is None


def test_the_key_file_of_the_controller_logs_in(sshd: Sshd, probe: Probe) -> None:
    login = Login(sshd.user, key_file=str(sshd.client_key_file))
    assert probe(sshd.target(login=login)).failure is None


@pytest.mark.parametrize(
    ("passphrase", "reason"),
    [(None, "needs a passphrase"), ("wrong", "wrong passphrase, or not a private key")],
)
def test_a_key_that_does_not_open_is_said_without_showing_it(
    sshd: Sshd, probe: Probe, tmp_path: Path, passphrase: str | None, reason: str
) -> None:
    key = make_key(tmp_path / "key", passphrase="right")
    login = Login(sshd.user, private_key=key, passphrase=passphrase)
    failure = probe(sshd.target(login=login)).failure
    assert failure is not None
    assert (failure.code, failure.detail) == (
        Code.KEY_UNREADABLE,
        f"the stored private key: {reason}",
    )


def test_a_missing_or_wrong_key_file_is_named(sshd: Sshd, probe: Probe, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"\xff\x00 no key")
    for path in (tmp_path / "missing", rubbish, tmp_path):
        failure = probe(sshd.target(login=Login(sshd.user, key_file=str(path)))).failure
        assert failure is not None
        assert failure.code is Code.KEY_UNREADABLE
        assert failure.detail.startswith(f"{path}: ")


def test_a_key_is_parsed_once(
    sshd: Sshd, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(tmp_path / "key", passphrase="p")
    sshd.authorize(tmp_path / "key.pub")
    parsed: list[str] = []
    really = keys._parse

    def counting(text: str, passphrase: str | None, *, named: str) -> object:
        parsed.append(named)
        return really(text, passphrase, named=named)

    monkeypatch.setattr(keys, "_parse", counting)
    login = Login(sshd.user, private_key=key, passphrase="p")
    for _probe in range(3):
        assert probe(sshd.target(login=login)).failure is None
    assert len(parsed) == 1
    assert all(key.encode() not in digest for digest in keys._loaded)


def test_a_stranger_is_refused(sshd: Sshd, probe: Probe, tmp_path: Path) -> None:
    login = Login(sshd.user, private_key=make_key(tmp_path / "stranger"))
    assert code_of(probe(sshd.target(login=login))) is Code.LOGIN_FAILED


def test_a_refusal_by_hanging_up_is_a_refusal_too(
    sshd_with: Callable[..., Sshd], probe: Probe, tmp_path: Path
) -> None:
    server = sshd_with(netstat=CAT_TABLE, options=("MaxAuthTries 1",))
    login = Login(server.user, private_key=make_key(tmp_path / "stranger"))
    assert code_of(probe(server.target(login=login))) is Code.LOGIN_FAILED


def test_a_method_the_server_does_not_offer_is_named(sshd: Sshd, probe: Probe) -> None:
    failure = probe(sshd.target(login=Login(sshd.user, password="secret"))).failure
    assert failure is not None
    assert (failure.code, failure.detail) == (
        Code.LOGIN_FAILED,
        "the host accepts only: publickey",
    )


def test_neither_password_nor_key_is_said(sshd: Sshd, probe: Probe) -> None:
    assert code_of(probe(sshd.target(login=Login(sshd.user)))) is Code.CREDENTIAL_MISSING


# Host keys


def test_an_unknown_key_awaits_approval_with_the_fingerprint(sshd: Sshd, probe: Probe) -> None:
    failure = probe(sshd.target(pins=())).failure
    assert failure is not None
    assert failure.code is Code.HOST_KEY_UNKNOWN
    offered = failure.offered_key
    assert offered is not None
    assert (offered.address, offered.port) == ("127.0.0.1", sshd.port)
    known = {(pin.key_type, pin.key_base64) for pin in sshd.pins}
    assert (offered.key_type, offered.key_base64) in known
    assert offered.fingerprint == keys.fingerprint(base64.b64decode(offered.key_base64))
    assert offered.fingerprint in failure.detail


def test_a_pending_key_is_no_approval(sshd: Sshd, probe: Probe) -> None:
    pins = tuple(replace(pin, trust=Trust.PENDING) for pin in sshd.pins)
    assert code_of(probe(sshd.target(pins=pins))) is Code.HOST_KEY_UNKNOWN


def test_a_refused_key_stays_out(sshd: Sshd, probe: Probe) -> None:
    pins = tuple(replace(pin, trust=Trust.REFUSED) for pin in sshd.pins)
    assert code_of(probe(sshd.target(pins=pins))) is Code.HOST_KEY_REFUSED


def test_a_changed_key_shows_both_fingerprints(
    sshd: Sshd, sshd_with: Callable[..., Sshd], probe: Probe
) -> None:
    before = sshd_with(netstat=CAT_TABLE).pins[0]
    failure = probe(sshd.target(pins=(before,))).failure
    assert failure is not None
    assert failure.code is Code.HOST_KEY_CHANGED
    assert failure.offered_key is not None
    assert failure.offered_key.fingerprint in failure.detail
    assert keys.fingerprint(base64.b64decode(before.key_base64)) in failure.detail


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_a_server_with_several_keys_is_asked_for_the_pinned_one(
    sshd: Sshd, probe: Probe, kind: str
) -> None:
    pins = tuple(pin for pin in sshd.pins if pin.key_type == kind)
    assert len(pins) == 1
    assert probe(sshd.target(pins=pins)).failure is None


def test_a_pin_that_is_no_key_trusts_nobody(sshd: Sshd, probe: Probe) -> None:
    pins = (Pin("ssh-ed25519", "not base64!"), Pin("no-such-type", ""))
    assert code_of(probe(sshd.target(pins=pins))) is Code.HOST_KEY_CHANGED


# The way there


def test_a_closed_port_is_refused(probe: Probe) -> None:
    target = Target("closed", address="127.0.0.1", port=free_port(), login=Login("a", "b"))
    assert code_of(probe(target)) is Code.CONNECTION_REFUSED


@pytest.mark.parametrize("address", ["no-such-host.invalid", "bad name", "x" * 300, ""])
def test_a_name_that_does_not_resolve_is_said(probe: Probe, address: str) -> None:
    target = Target("typo", address=address, login=Login("a", "b"))
    assert code_of(probe(target)) in (Code.NAME_NOT_FOUND, Code.CONNECTION_REFUSED)


# Jump hosts


@pytest.fixture
def jump(sshd_with: Callable[..., Sshd]) -> Sshd:
    return sshd_with(netstat=CAT_TABLE)


def test_a_host_behind_a_jump_host_gives_its_table(sshd: Sshd, jump: Sshd, probe: Probe) -> None:
    observation = probe(sshd.target(jump=jump.target(name="bastion")))
    assert observation.text == SMALL_TABLE


def test_a_host_behind_two_jump_hosts_gives_its_table(sshd: Sshd, jump: Sshd, probe: Probe) -> None:
    outer = jump.target(name="outer")
    inner = sshd.target(name="inner", jump=outer)
    assert probe(sshd.target(jump=inner)).text == SMALL_TABLE


def test_hosts_behind_a_jump_host_share_one_connection_to_it(
    sshd: Sshd, jump: Sshd, probe: Probe
) -> None:
    with Pool() as pool:
        for name in ("a", "b", "c"):
            target = sshd.target(login_version=name, jump=jump.target())
            assert probe(target, pool).failure is None
        assert jump.log.read_text().count("Accepted publickey") == 1
        assert len(pool) == 4


def test_an_unknown_jump_host_key_can_be_approved(sshd: Sshd, jump: Sshd, probe: Probe) -> None:
    failure = probe(sshd.target(jump=jump.target(name="bastion", pins=()))).failure
    assert failure is not None
    assert (failure.code, failure.cause) == (Code.JUMP_FAILED, Code.HOST_KEY_UNKNOWN)
    assert failure.detail.startswith("bastion: host_key_unknown: ")
    assert failure.offered_key is not None
    assert failure.offered_key.port == jump.port


def test_the_key_of_a_host_behind_a_jump_host_is_its_own(
    sshd: Sshd, jump: Sshd, probe: Probe
) -> None:
    failure = probe(sshd.target(pins=(), jump=jump.target())).failure
    assert failure is not None
    assert failure.code is Code.HOST_KEY_UNKNOWN
    assert failure.offered_key is not None
    assert failure.offered_key.port == sshd.port


def test_a_jump_host_that_refuses_the_login_is_asked_once(
    sshd: Sshd, jump: Sshd, probe: Probe, tmp_path: Path
) -> None:
    stranger = Login(jump.user, private_key=make_key(tmp_path / "stranger"))
    with Pool() as pool:
        for name in ("a", "b", "c"):
            target = sshd.target(login_version=name, jump=jump.target(login=stranger))
            failure = probe(target, pool).failure
            assert failure is not None
            assert (failure.code, failure.cause) == (Code.JUMP_FAILED, Code.LOGIN_FAILED)
    # VERBOSE logs "Connection from" once per login; the start of the server made one as well.
    assert jump.log.read_text().count("Connection from") == 2


def test_a_dead_host_behind_a_jump_host_is_unreachable(
    sshd: Sshd, jump: Sshd, probe: Probe
) -> None:
    target = sshd.target(port=free_port(), jump=jump.target())
    assert code_of(probe(target)) is Code.UNREACHABLE


def test_a_jump_host_that_forwards_nothing_is_named(
    sshd: Sshd, sshd_with: Callable[..., Sshd], probe: Probe
) -> None:
    closed = sshd_with(netstat=CAT_TABLE, options=("AllowTcpForwarding no",))
    assert code_of(probe(sshd.target(jump=closed.target()))) is Code.JUMP_FAILED


def test_a_dead_jump_host_is_named(sshd: Sshd, jump: Sshd, probe: Probe) -> None:
    target = sshd.target(jump=jump.target(name="bastion", port=free_port()))
    failure = probe(target).failure
    assert failure is not None
    assert (failure.code, failure.cause) == (Code.JUMP_FAILED, Code.CONNECTION_REFUSED)


def test_a_kept_jump_connection_that_broke_is_replaced(
    sshd: Sshd, jump: Sshd, probe: Probe
) -> None:
    with Pool() as pool:
        assert probe(sshd.target(jump=jump.target()), pool).failure is None
        for pid in descendants(jump.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert probe(sshd.target(jump=jump.target()), pool).failure is None


# What the host has


def test_ss_is_used_where_netstat_is_missing(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    table = (
        "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
        'tcp   LISTEN 0      128    0.0.0.0:22   0.0.0.0:*   users:(("sshd",pid=8,fd=3))\n'
    )
    server = sshd_with(ss=f"cat <<'END'\n{table}END")
    observation = probe(server.target())
    assert observation.failure is None
    assert (observation.tool, observation.text, observation.wide) == ("ss", table, False)


def test_the_kernel_is_asked_where_both_are_missing(
    sshd_with: Callable[..., Sshd], probe: Probe
) -> None:
    observation = probe(sshd_with().target())
    assert observation.tool == "proc"
    assert observation.raw.startswith(b"==> /proc/net/tcp <==\n")


def test_rubbish_is_not_understood_and_kept(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    server = sshd_with(netstat=r"printf 'rubbish\033[31m\377\000\n'")
    observation = probe(server.target())
    assert code_of(observation) is Code.NOT_UNDERSTOOD
    assert observation.raw == b"rubbish\x1b[31m\xff\x00\n"
    assert observation.failure is not None
    assert observation.failure.detail.isprintable()


def test_half_a_table_of_a_netstat_that_failed_is_not_whole(
    sshd_with: Callable[..., Sshd], probe: Probe
) -> None:
    server = sshd_with(netstat=f'[ "$1" = -nWw ] && exit 0; {CAT_TABLE}\necho no /proc >&2; exit 1')
    observation = probe(server.target())
    assert code_of(observation) is Code.COMMAND_FAILED
    assert observation.notes == "no /proc\n"
    assert observation.raw == SMALL_TABLE.encode()


def test_an_account_without_a_shell_is_said(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    refuses = 'ForceCommand echo "This account is currently not available."; exit 1'
    failure = probe(sshd_with(options=(refuses,)).target()).failure
    assert failure is not None
    assert failure.code is Code.COMMAND_FAILED
    assert "not available" in failure.detail


def test_noise_of_the_login_shell_is_left_out(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    noisy = 'ForceCommand echo Welcome; echo bye >&2; eval "$SSH_ORIGINAL_COMMAND"'
    observation = probe(sshd_with(netstat=CAT_TABLE, options=(noisy,)).target())
    assert observation.text == SMALL_TABLE
    assert observation.notes == "bye\n"


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_both_streams_full_do_not_block_each_other(
    sshd_with: Callable[..., Sshd], probe: Probe, stream: str
) -> None:
    floods = f"head -c 5000000 /dev/zero >&2; {CAT_TABLE}\nhead -c 5000000 /dev/zero {stream}"
    observation = probe(sshd_with(netstat=floods).target())
    assert observation.failure is None
    assert observation.text.startswith(SMALL_TABLE)


def test_too_much_output_ends_at_the_cap(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    server = sshd_with(netstat="head -c 1000000000 /dev/zero")
    observation = probe(server.target(max_bytes=1_000_000))
    assert code_of(observation) is Code.OUTPUT_TOO_LARGE
    assert 900_000 < len(observation.raw) <= 1_000_000


def test_a_hung_netstat_is_not_started_twice(
    sshd_with: Callable[..., Sshd], probe: Probe, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    for deadline_s in DEADLINES_S:
        server = sshd_with(netstat=f"echo x >>{started}; exec sleep 3600")
        assert code_of(probe(server.target(deadline_s=deadline_s))) is Code.TIMED_OUT
        if started.exists():
            break
        server.stop()
    assert code_of(probe(server.target())) is Code.STILL_RUNNING
    assert code_of(probe(server.target())) is Code.STILL_RUNNING
    assert started.read_text() == "x\n"


# sudo


def with_sudo(server: Sshd, password: str | None, how: Sudo = Sudo.PASSWORD) -> Target:
    return server.target(login=server.login(sudo=how, sudo_password=password))


def test_sudo_gets_its_password_and_no_process_list_shows_it(
    sshd_with: Callable[..., Sshd], probe: Probe
) -> None:
    server = sshd_with(netstat=CAT_TABLE, sudo=FAKE_SUDO)
    (server.home / "password").write_text("hunter2")
    observation = probe(with_sudo(server, "hunter2"))
    assert observation.failure is None
    assert observation.text == SMALL_TABLE
    assert observation.notes == ""
    seen = (server.home / "process-list").read_text()
    assert "sudo" in seen
    assert "hunter2" not in seen + observation.command


def test_a_wrong_sudo_password_is_tried_once(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    server = sshd_with(netstat=CAT_TABLE, sudo=FAKE_SUDO)
    (server.home / "password").write_text("right")
    observation = probe(with_sudo(server, "hunter2"))
    assert observation.failure is not None
    assert observation.failure.code is Code.SUDO_REFUSED
    assert observation.failure.detail == "Sorry, try again. sudo: no password was provided"
    assert (server.home / "typed").read_text() == "hunter2\n"
    assert "hunter2" not in repr(observation)


def test_a_missing_sudo_is_a_refusal(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    server = sshd_with(netstat=CAT_TABLE)
    assert code_of(probe(with_sudo(server, None, Sudo.NOPASSWD))) is Code.SUDO_REFUSED


def test_sudo_without_a_stored_password_connects_nowhere(probe: Probe) -> None:
    target = Target("x", port=free_port(), login=Login("a", sudo=Sudo.PASSWORD))
    assert code_of(probe(target)) is Code.SUDO_REFUSED


def test_the_real_sudo_asks_root_for_nothing(sshd_with: Callable[..., Sshd], probe: Probe) -> None:
    server = sshd_with(netstat=CAT_TABLE, sudo='exec /usr/bin/sudo "$@"')
    if os.getuid() != 0 or not Path("/usr/bin/sudo").exists():
        # Without root a real sudo would ask for a password nobody knows: then it must say no.
        assert code_of(probe(with_sudo(server, "wrong"))) in (Code.SUDO_REFUSED, None)
        return
    for how in (Sudo.NOPASSWD, Sudo.PASSWORD):
        observation = probe(with_sudo(server, "never asked for", how))
        assert observation.failure is None
        assert observation.text == SMALL_TABLE


# A frozen host


def test_a_host_that_freezes_during_the_command_times_out(
    sshd_with: Callable[..., Sshd], probe: Probe, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    server = sshd_with(netstat=f"touch {started}; exec sleep 3600")
    frozen: list[int] = []

    def freeze() -> None:
        wait_until(started.exists, what="netstat runs")
        frozen.extend(descendants(server.pid))
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        assert code_of(probe(server.target(deadline_s=5.0))) is Code.TIMED_OUT
    finally:
        thread.join()
    assert frozen


def test_a_kept_connection_that_froze_is_replaced(
    sshd_with: Callable[..., Sshd], probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "CHANNEL_S", 3.0)
    server = sshd_with(netstat=CAT_TABLE)
    with Pool() as pool:
        assert probe(server.target(), pool).failure is None
        for pid in descendants(server.pid):
            os.kill(pid, signal.SIGSTOP)
        assert probe(server.target(), pool).failure is None
        assert server.log.read_text().count("Accepted publickey") == 2


def test_a_connection_is_idle_without_polling(sshd: Sshd) -> None:
    connection = ssh.connect(sshd.target(), deadline=Deadline.after(60))
    try:
        assert connection._wire.sock.gettimeout() == 5.0
    finally:
        connection.close()


def test_preferred_ciphers_and_exchange_are_the_cheap_ones(sshd: Sshd) -> None:
    connection = ssh.connect(sshd.target(), deadline=Deadline.after(60))
    try:
        assert connection._wire.local_cipher == "aes128-gcm@openssh.com"
        assert connection._wire.preferred_kex[0] == "curve25519-sha256@libssh.org"
    finally:
        connection.close()


def test_many_connections_opened_and_closed_leave_nothing(sshd: Sshd) -> None:
    # leaves_nothing counts threads and descriptors at the end.
    for _connection in range(30):
        ssh.connect(sshd.target(), deadline=Deadline.after(60)).close()
    for _refused in range(10):
        with pytest.raises(TransportError):
            ssh.connect(sshd.target(pins=()), deadline=Deadline.after(60))


# test_connection


def steps_of(test: ConnectionTest) -> list[tuple[str, str, str]]:
    return [(step.name.value, step.status.value, step.code or "") for step in test.steps]


def test_the_steps_of_a_good_host(sshd: Sshd) -> None:
    test = connection_test.test_connection(sshd.target())
    assert steps_of(test) == [
        ("reachable", "ok", ""),
        ("host_key", "ok", ""),
        ("login", "ok", ""),
        ("tool", "ok", ""),
        ("pids", "ok", ""),
    ]
    assert test.usable
    assert test.steps[1].detail.startswith("SHA256:")
    assert test.steps[3].detail.endswith("/bin/netstat -antuwpW")


def test_the_steps_stop_where_the_host_does(
    sshd: Sshd, sshd_with: Callable[..., Sshd], tmp_path: Path
) -> None:
    closed = connection_test.test_connection(sshd.target(port=free_port()))
    assert steps_of(closed)[:2] == [
        ("reachable", "failed", "connection_refused"),
        ("host_key", "not_reached", ""),
    ]
    unknown = connection_test.test_connection(sshd.target(pins=()))
    assert steps_of(unknown)[:3] == [
        ("reachable", "ok", ""),
        ("host_key", "failed", "host_key_unknown"),
        ("login", "not_reached", ""),
    ]
    assert unknown.offered_key is not None
    stranger = Login(sshd.user, private_key=make_key(tmp_path / "stranger"))
    refused = connection_test.test_connection(sshd.target(login=stranger))
    assert steps_of(refused)[1:4] == [
        ("host_key", "ok", ""),
        ("login", "failed", "login_failed"),
        ("tool", "not_reached", ""),
    ]
    odd = connection_test.test_connection(sshd_with(netstat="echo no table").target())
    assert steps_of(odd)[2:] == [
        ("login", "ok", ""),
        ("tool", "failed", "not_understood"),
        ("pids", "not_reached", ""),
    ]
    assert not any(test.usable for test in (closed, unknown, refused, odd))
