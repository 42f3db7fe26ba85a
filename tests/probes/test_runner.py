"""The runner without a network: local targets, platforms, what a test says of processes."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.target import Login, Platform, Sudo, Target
from probes import commands, runner
from probes.observation import Code, Observation, Privilege
from probes.transports.base import Command, CommandResult, Deadline
from probes.transports.pool import Pool

ROOT = Path(__file__).resolve().parents[2]
HEADER = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
"""
SEEN = "tcp        0      0 0.0.0.0:22      0.0.0.0:*       LISTEN      812/sshd\n"
HIDDEN = "tcp        0      0 0.0.0.0:80      0.0.0.0:*       LISTEN      -\n"
WAITING = "tcp        0      0 10.0.0.1:80     10.0.0.2:999    TIME_WAIT   -\n"


class Answers(Pool):
    """Gives every command the same framed answer."""

    def __init__(self, table: str, end: str, stderr: bytes = b"", status: int = 0) -> None:
        super().__init__()
        self._table, self._end, self._stderr, self._status = table, end, stderr, status

    def run(
        self, target: Target, command: Command, *, deadline: Deadline | None = None
    ) -> CommandResult:
        token = command.end.split(b" ")[0].decode()
        stdout = f"{token} begin\n{self._table}{token} end {self._end}\n".encode()
        started = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        return CommandResult(stdout, self._stderr, self._status, started, 0.25, True)


def remote(sudo: Sudo = Sudo.NONE) -> Target:
    return Target("web1", login=Login("ops", "password", sudo=sudo))


def observed(end: str, *, table: str = HEADER + SEEN, sudo: Sudo = Sudo.NONE) -> Observation:
    return runner.observe(remote(sudo), pool=Answers(table, end))


def test_this_very_machine_gives_its_table() -> None:
    observation = runner.observe(Target("controller"))
    assert observation.failure is None
    assert observation.tool in ("netstat", "ss")
    assert observation.command == commands.LINES["sockets"]


def test_the_runner_needs_no_django() -> None:
    code = (
        "import sys; from hosts.target import Target; from probes import runner;"
        "assert runner.observe(Target('controller')).failure is None;"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('django', 'celery')]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_windows_is_said_to_be_unsupported_and_nothing_is_tried() -> None:
    target = Target("win1", "192.0.2.1", platform=Platform.WINDOWS, login=Login("a", "b"))
    observation = runner.observe(target)
    assert observation.failure is not None
    assert observation.failure.code is Code.UNSUPPORTED
    assert observation.command == ""


@pytest.mark.parametrize("platform", [Platform.AUTO, Platform.LINUX, Platform.BSD, Platform.MACOS])
def test_every_other_platform_gets_the_posix_line(platform: Platform) -> None:
    target = Target("web1", platform=platform, login=Login("a", "b"))
    observation = runner.observe(target, pool=Answers(HEADER, "0 0 none netstat -W /x"))
    assert observation.command == commands.LINES["sockets"]


@pytest.mark.parametrize(
    ("sudo", "uid", "privilege"),
    [
        (Sudo.NONE, "0", Privilege.ROOT),
        (Sudo.NONE, "1000", Privilege.USER),
        (Sudo.NONE, "", Privilege.UNKNOWN),
        (Sudo.NOPASSWD, "1000", Privilege.SUDO),
        (Sudo.PASSWORD, "1000", Privilege.SUDO),
        (Sudo.NOPASSWD, "0", Privilege.ROOT),
    ],
)
def test_the_privilege_is_that_of_the_command(sudo: Sudo, uid: str, privilege: Privilege) -> None:
    end = f"0 {uid} {sudo.value} netstat -antuwpW /bin/netstat"
    assert observed(end, sudo=sudo).privilege is privilege


def test_a_whole_table_carries_when_and_how_long() -> None:
    observation = observed("0 0 none netstat -antuwpW /bin/netstat")
    assert observation.taken_at == dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    assert observation.duration_s == 0.25
    assert observation.text == HEADER + SEEN


@pytest.mark.parametrize(
    ("end", "table", "code"),
    [
        ("0 0 none running - ", "", Code.STILL_RUNNING),
        ("127 0 none none - ", "", Code.NETSTAT_MISSING),
        ("0 0 none netstat -antuwpW /bin/netstat", "", Code.NOT_UNDERSTOOD),
        ("0 0 none netstat -antuwpW /bin/netstat", "bash: oops\n", Code.NOT_UNDERSTOOD),
        ("137 0 none netstat -antuwpW /bin/netstat", HEADER + SEEN, Code.COMMAND_FAILED),
    ],
)
def test_what_is_no_whole_table_says_why(end: str, table: str, code: Code) -> None:
    observation = observed(end, table=table)
    assert observation.failure is not None
    assert observation.failure.code is code
    assert observation.text == ""
    assert observation.raw == table.encode()


@pytest.mark.parametrize(
    "said",
    [
        b"sudo: a password is required\n",
        b"sh: 1: sudo: not found\n",
        b"Sorry, user ops is not allowed to execute '/bin/netstat' as root on web1.\n",
        b"ops is not in the sudoers file.\n",
    ],
)
def test_each_way_sudo_says_no_is_a_refusal(said: bytes) -> None:
    pool = Answers("", "1 1000 nopasswd netstat -antuwpW /bin/netstat", stderr=said)
    failure = runner.observe(remote(Sudo.NOPASSWD), pool=pool).failure
    assert failure is not None
    assert failure.code is Code.SUDO_REFUSED
    assert failure.detail == said.decode().strip()


def test_a_netstat_that_fails_under_sudo_is_no_refusal() -> None:
    end = "1 1000 nopasswd netstat -antuwpW /bin/netstat"
    pool = Answers("", end, stderr=b"netstat: cannot open /proc/net/tcp\n")
    failure = runner.observe(remote(Sudo.NOPASSWD), pool=pool).failure
    assert failure is not None
    assert failure.code is Code.COMMAND_FAILED


def test_notes_are_decoded_and_capped() -> None:
    pool = Answers(HEADER, "0 0 none ss - /bin/ss", stderr=b"\x1b[31m\xff\0" + b"x" * 99_999)
    notes = runner.observe(remote(), pool=pool).notes
    assert len(notes) == runner.NOTES_MAX_CHARS
    assert "\x1b" not in notes
    assert "\0" not in notes


@pytest.mark.parametrize(
    ("privilege", "table", "status", "detail"),
    [
        (Privilege.USER, HEADER + SEEN + WAITING, "ok", "user: 0 of 1 rows lack a PID"),
        (
            Privilege.USER,
            HEADER + SEEN + HIDDEN + WAITING,
            "failed",
            "user: 1 of 2 rows lack a PID",
        ),
        (Privilege.SUDO, HEADER + SEEN + HIDDEN, "ok", "sudo: 1 of 2 rows lack a PID"),
        (Privilege.ROOT, HEADER, "ok", "root: 0 of 0 rows lack a PID"),
    ],
)
def test_hidden_processes_are_counted_among_sockets_that_have_one(
    privilege: Privilege, table: str, status: str, detail: str
) -> None:
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    step = runner._pids(Observation(when, 0.1, privilege=privilege, text=table))
    assert (step.status.value, step.detail) == (status, detail)
    assert step.code is (Code.PERMISSION_LIMITED if status == "failed" else None)


def test_a_test_of_this_very_machine_reaches_the_tool() -> None:
    test = runner.test_connection(Target("controller"))
    assert [step.name for step in test.steps] == list(runner.StepName)
    assert test.usable
    assert test.observation is not None
