"""What a test of a connection says of processes, and that it works without a network."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from hosts.target import Login, Sudo, Target
from probes import connection_test
from probes.connection_test import StepName, StepStatus
from probes.observation import Code, Observation, Privilege
from tests.hostile_ssh import ScriptedServer

HEADER = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
"""
SEEN = "tcp        0      0 0.0.0.0:22      0.0.0.0:*       LISTEN      812/sshd\n"
HIDDEN = "tcp        0      0 0.0.0.0:80      0.0.0.0:*       LISTEN      -\n"
WAITING = "tcp        0      0 10.0.0.1:80     10.0.0.2:999    TIME_WAIT   -\n"


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
    step = connection_test._pids(Observation(when, 0.1, privilege=privilege, text=table))
    assert (step.status.value, step.detail) == (status, detail)
    assert step.code is (Code.PERMISSION_LIMITED if status == "failed" else None)


def test_a_test_of_this_very_machine_reaches_the_tool() -> None:
    test = connection_test.test_connection(Target("controller"))
    assert [step.name for step in test.steps] == list(StepName)
    assert test.usable
    assert test.observation is not None


def test_a_table_that_names_no_process_is_told_even_to_root() -> None:
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    told = Observation(when, 0.1, tool="proc", privilege=Privilege.ROOT, text=HEADER + HIDDEN)
    assert connection_test._pids(told).code is Code.PERMISSION_LIMITED
    for command, code in (
        ("/bin/netstat -antuw", Code.PERMISSION_LIMITED),
        ("/bin/netstat -antuwp", None),
    ):
        netstat = replace(told, tool="netstat", command=command)
        assert connection_test._pids(netstat).code is code


def test_a_sudo_password_that_cannot_be_typed_stops_at_the_tool() -> None:
    login = Login("ops", "right", sudo=Sudo.PASSWORD, sudo_password="two\nlines")
    with ScriptedServer() as server:
        test = connection_test.test_connection(server.target(login=login))
        assert server.commands == []
    failed = next(step for step in test.steps if step.status is StepStatus.FAILED)
    assert (failed.name, failed.code) == (StepName.TOOL, Code.SUDO_REFUSED)
