"""Hosts that mean harm or are badly broken: each probe ends in time, with its own code, and
leaves no thread and no descriptor."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from hosts.target import Login, Platform, Sudo, Target
from probes import posix, runner
from probes.observation import Code, Observation, Privilege
from probes.transports import ssh
from probes.transports.base import Command, CommandResult, ConnectionBroken, Deadline, Talk
from probes.transports.pool import Answer, Pool
from tests import hostile_ssh
from tests.hostile_ssh import GOOD_END, TABLE, RawServer, ScriptedServer, Session
from tests.probes.transports.conftest import Probe
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def code_of(observation: Observation) -> Code | None:
    return observation.failure and observation.failure.code


# Before the login


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (hostile_ssh.silence, Code.TIMED_OUT),
        (hostile_ssh.hang_up, Code.TRUNCATED),
        (hostile_ssh.rubbish, Code.NOT_SSH),
        (hostile_ssh.endless_line, Code.NOT_SSH),
        (hostile_ssh.endless_lines, Code.TIMED_OUT),
        (hostile_ssh.dripping_greeting, Code.TIMED_OUT),
        (hostile_ssh.greeting_only, Code.TIMED_OUT),
        (hostile_ssh.rubbish_after_greeting, Code.NOT_SSH),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_server_that_never_comes_to_the_point(
    probe: Probe, behave: Callable[[socket.socket, threading.Event], None], code: Code
) -> None:
    with RawServer(behave) as server:
        observation = probe(server.target(deadline_s=1.0))
    assert code_of(observation) is code
    assert observation.failure is not None
    assert observation.failure.detail.isprintable()
    assert not observation.raw


def test_a_key_exchange_that_hangs_is_bounded_by_its_own_limit(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "KEY_EXCHANGE_S", 0.3)
    with RawServer(hostile_ssh.silence) as server:
        # The watch of `probe` is 330 s here: only the step's own limit ends it before that.
        assert code_of(probe(server.target(deadline_s=300.0))) is Code.TIMED_OUT


# The login


def test_an_unknown_server_is_sent_no_password(probe: Probe) -> None:
    with ScriptedServer() as server:
        observation = probe(server.target(pins=()))
        assert code_of(observation) is Code.HOST_KEY_UNKNOWN
        assert server.logins == []


def test_a_changed_server_is_sent_no_password(probe: Probe) -> None:
    with ScriptedServer() as server, ScriptedServer() as other:
        pins = other.target().pins
        assert code_of(probe(server.target(pins=pins))) is Code.HOST_KEY_CHANGED
        assert server.logins == []


def test_a_wrong_password_is_tried_once(probe: Probe) -> None:
    with ScriptedServer() as server, Pool() as pool:
        target = server.target(login=Login("ops", password="wrong"))
        assert code_of(probe(target, pool)) is Code.LOGIN_FAILED
        assert server.logins == [("password", "ops", "wrong")]


def test_a_wrong_password_is_tried_once_where_the_server_asks_questions(probe: Probe) -> None:
    with ScriptedServer(methods="keyboard-interactive") as server:
        target = server.target(login=Login("ops", password="wrong"))
        assert code_of(probe(target)) is Code.LOGIN_FAILED
        assert server.logins == [("keyboard-interactive", "ops", "wrong")]


def test_a_second_question_is_not_answered(probe: Probe) -> None:
    with ScriptedServer(methods="keyboard-interactive", questions=2) as server:
        assert code_of(probe(server.target())) is Code.LOGIN_FAILED
        assert server.logins == [("keyboard-interactive", "ops", "right")]


PASSWORDS = ["🔑 schlüssel", "ends with a newline\n", "x" * 4096, "'$(id)", "gAAAAAB-like:v1:", " "]


@pytest.mark.parametrize("methods", ["password", "keyboard-interactive"])
@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_a_password_arrives_byte_for_byte(probe: Probe, password: str, methods: str) -> None:
    with ScriptedServer(password=password, methods=methods) as server:
        assert probe(server.target()).failure is None
        assert server.logins == [(methods, "ops", password)]


def test_a_stalled_login_times_out_and_is_no_refusal(probe: Probe) -> None:
    with ScriptedServer(stall="login") as server:
        assert code_of(probe(server.target(deadline_s=1.0))) is Code.TIMED_OUT


def test_a_connection_cut_during_the_login_is_no_refusal(probe: Probe) -> None:
    with ScriptedServer(stall="login") as server:

        def cut() -> None:
            wait_until(lambda: server.logins, what="the password arrives")
            server.drop_all()

        thread = threading.Thread(target=cut)
        thread.start()
        assert code_of(probe(server.target(deadline_s=60.0))) is Code.TRUNCATED
        thread.join()


def test_no_secret_is_logged_and_none_is_in_a_repr(
    probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("netadmin.ssh.wire", "paramiko", ""):
        caplog.set_level(logging.DEBUG, logger=name)
    with ScriptedServer(password="hunter2") as server:
        target = server.target(login=Login("ops", "hunter2", sudo_password="hunter3"))
        observation = probe(target)
        assert observation.failure is None
    seen = caplog.text + repr(target) + repr(observation)
    assert "hunter" not in seen
    assert "Connected (version 2.0" in caplog.text


# The command


def test_a_server_that_never_starts_the_command_times_out(probe: Probe) -> None:
    with ScriptedServer(stall="exec") as server:
        assert code_of(probe(server.target(deadline_s=1.0))) is Code.TIMED_OUT


def test_dripping_output_ends_at_the_deadline(probe_until: Callable[..., Observation]) -> None:
    def drip(session: Session) -> None:
        while not session.server.stopping.wait(0.05):
            session.channel.sendall(b".")

    with ScriptedServer(drip) as server:
        observation = probe_until(
            lambda seen: seen.raw, lambda deadline_s: server.target(deadline_s=deadline_s)
        )
    assert code_of(observation) is Code.TIMED_OUT
    assert set(observation.raw) == {ord(".")}


def test_a_whole_output_needs_no_exit_status(probe: Probe) -> None:
    def never_ends(session: Session) -> None:
        session.channel.sendall(session.framed())
        session.server.stopping.wait(hostile_ssh.FOREVER_S)

    with ScriptedServer(never_ends) as server:
        observation = probe(server.target())
    assert observation.failure is None
    assert observation.text == TABLE.decode()
    assert observation.privilege is Privilege.USER


def test_an_exit_status_without_the_marker_proves_nothing(probe: Probe) -> None:
    def no_marker(session: Session) -> None:
        session.channel.sendall(TABLE)
        session.finish(0)

    with ScriptedServer(no_marker) as server:
        observation = probe(server.target())
    assert code_of(observation) is Code.TRUNCATED
    assert observation.text == ""
    assert observation.raw == TABLE


def test_no_exit_status_and_no_marker_times_out(probe_until: Callable[..., Observation]) -> None:
    def stops_short(session: Session) -> None:
        session.channel.sendall(session.framed()[:-40])
        session.server.stopping.wait(hostile_ssh.FOREVER_S)

    with ScriptedServer(stops_short) as server:
        observation = probe_until(
            lambda seen: seen.raw, lambda deadline_s: server.target(deadline_s=deadline_s)
        )
    assert code_of(observation) is Code.TIMED_OUT
    assert observation.raw.startswith(TABLE)


def test_a_marker_of_another_probe_is_no_marker(probe: Probe) -> None:
    def replays(session: Session) -> None:
        session.channel.sendall(b"0" * 32 + b" begin\n" + TABLE + b"0" * 32 + b" end " + GOOD_END)
        session.finish()

    with ScriptedServer(replays) as server:
        assert code_of(probe(server.target())) is Code.TRUNCATED


class OneConnection(Pool):
    """Runs everything over one connection, whatever became of the command before."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._one = ssh.connect(target, deadline=Deadline.after(60))

    def talk(
        self,
        target: Target,
        conversation: Callable[[Talk], Answer],
        *,
        deadline: Deadline | None = None,
    ) -> Answer:
        limit = Deadline.after(60)
        return conversation(Talk(self._one, deadline=limit, max_bytes=target.max_bytes))

    def close_all(self) -> None:
        self._one.close()


def test_an_output_cut_at_any_byte_is_never_whole(probe: Probe) -> None:
    cut_at = 0

    def cut(session: Session) -> None:
        session.channel.sendall(session.framed()[:cut_at])
        session.finish()

    length = 2 * 32 + len(b" begin\n end \n") + len(TABLE) + len(GOOD_END)
    with ScriptedServer(cut) as server, OneConnection(server.target()) as pool:
        for cut_at in range(length):
            observation = runner.observe(server.target(), pool=pool)
            assert code_of(observation) is Code.TRUNCATED, cut_at
            assert observation.text == ""
        cut_at = length
        assert runner.observe(server.target(), pool=pool).text == TABLE.decode()


@pytest.mark.parametrize("cut_at", [0, 1, 39, 40, 200, 400])
def test_a_connection_cut_at_any_byte_is_never_whole(probe: Probe, cut_at: int) -> None:
    def cut(session: Session) -> None:
        session.channel.sendall(session.framed()[:cut_at])
        # What was sent is read in this process a moment later; only then is the line cut.
        session.server.drop_all()

    with ScriptedServer(cut) as server:
        observation = probe(server.target())
    assert code_of(observation) is Code.TRUNCATED
    assert observation.text == ""


def test_a_gigabyte_from_a_server_that_ignores_the_window_fits_in_memory(probe: Probe) -> None:
    sent = 0

    def flood(session: Session) -> None:
        nonlocal sent
        wire = session.channel.get_transport()
        while sent < 1_000_000_000 and wire.is_active():
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_CHANNEL_DATA)
            message.add_int(session.channel.remote_chanid)
            message.add_string(b"x" * hostile_ssh.CHUNK)
            wire._send_user_message(message)
            sent += hostile_ssh.CHUNK

    cap = 16 * 1024 * 1024
    with ScriptedServer(flood) as server:
        pin = server.target().pins[0]
        # Another process, so that its memory is the probe's alone.
        code = f"""
import resource
from hosts.target import Login, Pin, Target
from probes import runner
target = Target("flood", "127.0.0.1", {server.port}, login=Login("ops", "right"),
    pins=(Pin({pin.key_type!r}, {pin.key_base64!r}),), max_bytes=10_000, deadline_s=60)
runner.observe(target)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import dataclasses
observation = runner.observe(dataclasses.replace(target, max_bytes={cap}))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(observation.failure.code.value, len(observation.raw), (after - before) * 1024)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=120, check=True
        )
    why, kept, grown = done.stdout.split()
    assert why == b"output_too_large"
    assert int(kept) == cap
    assert int(grown) < 4 * cap
    assert sent < 1_000_000_000


def test_both_streams_at_once_are_read_at_once(probe: Probe) -> None:
    def both(session: Session) -> None:
        framed = session.framed(TABLE + b"x\n" * 2_000_000)
        for start in range(0, len(framed), 1_000_000):
            session.channel.sendall_stderr(b"e" * 1_000_000)
            session.channel.sendall(framed[start : start + 1_000_000])
        session.finish()

    with ScriptedServer(both) as server:
        observation = probe(server.target(deadline_s=60.0))
    assert observation.failure is None
    assert len(observation.notes) == posix.NOTES_MAX_CHARS


def test_a_server_that_takes_no_input_is_not_waited_for(probe: Probe) -> None:
    def asks(session: Session) -> None:
        prompt = session.read_line().split(b" ")[1].strip()
        session.channel.send_stderr(prompt)
        session.server.stopping.wait(hostile_ssh.FOREVER_S)

    with ScriptedServer(asks) as server:
        login = Login("ops", "right", sudo=Sudo.PASSWORD, sudo_password="s" * 1000)
        assert code_of(probe(server.target(login=login, deadline_s=1.0))) is Code.TIMED_OUT


def test_what_is_typed_arrives_byte_for_byte(probe: Probe) -> None:
    typed: list[bytes] = []
    secret = "🔑'$(id)`id` --help"

    def asks(session: Session) -> None:
        prompt = session.read_line().split(b" ")[1].strip()
        session.channel.send_stderr(prompt)
        typed.append(session.read_line())
        typed.append(session.read_line())
        session.channel.send_stderr(prompt)
        session.finish(1)

    with ScriptedServer(asks) as server:
        login = Login("ops", "right", sudo=Sudo.PASSWORD, sudo_password=secret)
        observation = probe(server.target(login=login, platform=Platform.LINUX))
    assert typed == [secret.encode() + b"\n", b""]
    assert secret not in repr(observation)


def test_four_kilobytes_of_input_arrive_byte_for_byte() -> None:
    typed: list[bytes] = []
    secret = ("🔑'$(id)\\" * 1000).encode()[:4096] + b"\n"

    def reads(session: Session) -> None:
        typed.append(session.read_line())
        session.channel.sendall(b"end\n")
        session.finish()

    with ScriptedServer(reads) as server:
        connection = ssh.connect(server.target(), deadline=Deadline.after(60))
        with contextlib.closing(connection):
            command = Command("anything", stdin=secret, end=b"end")
            assert connection.run(command, deadline=Deadline.after(60), max_bytes=100).complete
    assert typed == [secret]


def test_no_command_holds_anything_a_person_typed(probe: Probe) -> None:
    evil = "x;$(touch /tmp/pwned)`id`\n-oProxyCommand=id"
    with ScriptedServer() as server:
        login = Login(
            "ops", password="right", sudo=Sudo.PASSWORD, sudo_password=evil.split("\n")[0]
        )
        assert probe(server.target(name=evil, login=login)).command
        for asked in server.commands:
            assert b"pwned" not in asked


# Kept connections


def test_a_kept_connection_is_used_again(probe: Probe) -> None:
    with ScriptedServer() as server, Pool() as pool:
        for _probe in range(5):
            assert probe(server.target(), pool).failure is None
        assert (server.accepted, len(server.logins), len(pool)) == (1, 1, 1)


def test_a_kept_connection_that_broke_is_replaced_once(probe: Probe) -> None:
    with ScriptedServer() as server, Pool() as pool:
        assert probe(server.target(), pool).failure is None
        server.drop_all()
        assert probe(server.target(), pool).failure is None
        assert server.accepted == 2


def test_a_fresh_connection_that_broke_is_not_replaced(probe: Probe) -> None:
    def cut(session: Session) -> None:
        session.server.drop_all()

    with ScriptedServer(cut) as server, Pool() as pool:
        assert code_of(probe(server.target(), pool)) is Code.TRUNCATED
        assert server.accepted == 1
        assert len(pool) == 0


def test_a_kept_connection_whose_key_lost_its_trust_is_dropped(probe: Probe) -> None:
    with ScriptedServer() as server, Pool() as pool:
        assert probe(server.target(), pool).failure is None
        assert code_of(probe(server.target(pins=()), pool)) is Code.HOST_KEY_UNKNOWN
        assert len(pool) == 0
        assert len(server.commands) == 1


def test_another_login_gets_another_connection(probe: Probe) -> None:
    with ScriptedServer() as server, Pool() as pool:
        assert probe(server.target(login_version="1"), pool).failure is None
        wrong = server.target(login=Login("ops", "wrong"), login_version="2")
        assert code_of(probe(wrong, pool)) is Code.LOGIN_FAILED
        unversioned = server.target(login=Login("ops", "wrong too"))
        assert code_of(probe(unversioned, pool)) is Code.LOGIN_FAILED


def test_a_host_that_wants_no_idle_connection_has_none(probe: Probe) -> None:
    with ScriptedServer() as server, Pool() as pool:
        assert probe(server.target(keep_connection=False), pool).failure is None
        assert len(pool) == 0


def test_an_old_connection_is_replaced(probe: Probe) -> None:
    with ScriptedServer() as server, Pool(max_age_s=0.0) as pool:
        for _probe in range(2):
            assert probe(server.target(), pool).failure is None
        assert server.accepted == 2


def test_the_pool_stays_within_its_size(probe: Probe) -> None:
    with ScriptedServer() as server, Pool(max_connections=2) as pool:
        for version in "abcde":
            assert probe(server.target(login_version=version), pool).failure is None
        assert len(pool) == 2
        # The newest is among those kept.
        assert probe(server.target(login_version="e"), pool).failure is None
        assert server.accepted == 5


def test_one_host_runs_one_command_at_a_time(probe: Probe) -> None:
    running = threading.Semaphore(1)
    overlapped: list[bool] = []

    def slow(session: Session) -> None:
        alone = running.acquire(blocking=False)
        overlapped.append(not alone)
        session.server.stopping.wait(0.05)
        framed = session.framed()
        if alone:
            running.release()
        session.channel.sendall(framed)
        session.finish()

    with ScriptedServer(slow) as server, Pool() as pool:
        threads = [
            threading.Thread(target=probe, args=(server.target(deadline_s=60.0), pool))
            for _thread in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert overlapped == [False] * 5
        assert server.accepted == 1


def test_at_most_eight_handshakes_meet_one_server(probe: Probe) -> None:
    meeting = 0
    most = 0
    lock = threading.Lock()
    enough = threading.Event()

    def greet_late(sock: socket.socket, stopping: threading.Event) -> None:
        nonlocal meeting, most
        with lock:
            meeting += 1
            most = max(most, meeting)
            if meeting == 8:
                enough.set()
        enough.wait(60)
        stopping.wait(0.1)
        with lock:
            meeting -= 1

    with RawServer(greet_late) as server, Pool() as pool:
        threads = [
            threading.Thread(
                target=probe, args=(server.target(login_version=str(n), deadline_s=60.0), pool)
            )
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.accepted == 20
    assert most == 8


def test_a_dead_jump_host_does_not_hold_up_everything_behind_it(probe: Probe) -> None:
    with RawServer(hostile_ssh.silence) as server, Pool() as pool:
        jump = server.target(name="bastion", deadline_s=1.0)
        for name in ("a", "b", "c"):
            target = Target(name, "192.0.2.1", login=Login("ops", "x"), jump=jump, deadline_s=1.0)
            failure = probe(target, pool).failure
            assert failure is not None
            assert (failure.code, failure.cause) == (Code.JUMP_FAILED, Code.TIMED_OUT)
        assert server.accepted == 1


# The runner itself


def test_a_defect_is_reported_without_what_it_said(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2"

    def breaks(*_args: object, **_named: object) -> CommandResult:
        raise KeyError(secret)

    monkeypatch.setattr(Pool, "talk", breaks)
    observation = probe(Target("web1", login=Login("ops", secret)))
    assert observation.failure is not None
    assert (observation.failure.code, observation.failure.detail) == (
        Code.INTERNAL_ERROR,
        "KeyError",
    )
    assert "KeyError" in caplog.text
    assert secret not in caplog.text


def test_a_broken_connection_is_an_error_of_the_transport() -> None:
    with ScriptedServer() as server:
        connection = ssh.connect(server.target(), deadline=Deadline.after(60))
        server.drop_all()
        command = Command("anything", end=b"end")
        with pytest.raises(ConnectionBroken):
            connection.run(command, deadline=Deadline.after(60), max_bytes=100)
        connection.close()
