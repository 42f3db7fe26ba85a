"""The runner without a network: local targets, platforms, what becomes of an answer."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hosts.target import Login, Platform, Sudo, Target
from probes import commands, posix, replies, runner
from probes.observation import Code, Observation, Privilege, Table
from probes.transports.base import Command, CommandResult, Deadline, Talk
from probes.transports.pool import Answer, Pool

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

    server = "SSH-2.0-OpenSSH_9.2"

    def talk(
        self,
        target: Target,
        conversation: Callable[[Talk], Answer],
        *,
        deadline: Deadline | None = None,
    ) -> Answer:
        return conversation(Talk(self, deadline=Deadline.after(20), max_bytes=1_000_000))

    def run(  # type: ignore[override]  # here it stands for a transport
        self, command: Command, *, deadline: Deadline, max_bytes: int
    ) -> CommandResult:
        token = replies.token(command).decode()
        stdout = f"{token} begin\n{self._table}{token} end {self._end}\n".encode()
        started = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        return CommandResult(stdout, self._stderr, self._status, started, 0.25, True)

    def close(self) -> None: ...


def remote(sudo: Sudo = Sudo.NONE) -> Target:
    return Target("web1", login=Login("ops", "password", sudo=sudo))


def observed(end: str, *, table: str = HEADER + SEEN, sudo: Sudo = Sudo.NONE) -> Observation:
    return runner.observe(remote(sudo), pool=Answers(table, end))


def test_this_very_machine_gives_its_table() -> None:
    observation = runner.observe(Target("controller"))
    assert observation.failure is None
    assert observation.tool in ("netstat", "ss")
    assert observation.command.split()[1:] in (["-antuwpW"], ["-antuwp"])
    assert observation.tables == ()


def test_this_very_machine_gives_every_table() -> None:
    observation = runner.observe(Target("controller"), tables=True)
    assert observation.failure is None
    assert [(each.table, each.failure) for each in observation.tables] == [
        (table, None) for table in Table
    ]


def test_the_runner_needs_no_django() -> None:
    code = (
        "import sys; from hosts.target import Target; from probes import runner;"
        "assert runner.observe(Target('controller')).failure is None;"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('django', 'celery')]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("platform", [Platform.AUTO, Platform.LINUX, Platform.BSD, Platform.MACOS])
def test_every_platform_with_a_shell_gets_the_posix_line(platform: Platform) -> None:
    target = Target("web1", platform=platform, login=Login("a", "b"))
    end = "0 0 none netstat -antuwpW /bin/netstat"
    observation = runner.observe(target, pool=Answers(HEADER, end))
    assert (observation.failure, observation.command) == (None, "/bin/netstat -antuwpW")


@pytest.mark.parametrize(
    ("sudo", "command"),
    [
        (Sudo.NONE, "/bin/netstat -antuwpW"),
        (Sudo.NOPASSWD, "sudo -n /bin/netstat -antuwpW"),
        (Sudo.PASSWORD, "sudo /bin/netstat -antuwpW"),
    ],
)
def test_an_observation_says_what_ran(sudo: Sudo, command: str) -> None:
    assert observed("0 0 x netstat -antuwpW /bin/netstat", sudo=sudo).command == command


def test_what_ran_is_printable_whatever_the_host_calls_it() -> None:
    observation = observed("0 0 x netstat \x1b[31m \x07/bin/<b>")
    assert observation.command.isprintable()


def test_where_nothing_said_what_ran_it_is_the_line_that_was_sent() -> None:
    assert observed("").command == commands.LINES["sockets"]


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
    assert len(notes) == posix.NOTES_MAX_CHARS
    assert "\x1b" not in notes
    assert "\0" not in notes
