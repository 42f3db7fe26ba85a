"""The other tables in the same session: which tool tells them, and how each fails alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hosts.target import Login, Sudo, Target
from probes import commands, parsers, posix, replies, runner
from probes.observation import Code, Observation, Table, TableOutput
from probes.transports.base import Deadline, Talk, TransportError
from tests.probes.test_commands import Host
from tests.probes.transports.test_local import is_gone
from tests.waiting import wait_until

REAL = {name: f'exec {shutil.which(name)} "$@"' for name in ("netstat", "ss", "ip", "nstat")}
MISSING = "exit 127"
"""For tools that may be found in /sbin whatever the PATH."""
NO_TOOLS = {"ip": MISSING, "ss": MISSING}
SOCKETS = "Proto Recv-Q Send-Q Local Address Foreign Address State\n"
FAKE = (
    'case $1 in -antuwpW) echo "Proto Recv-Q Send-Q Local Address   Foreign Address   State";; '
    '*) echo "netstat $*";; esac'
)


def observed(host: Host, target: Target | None = None, *, deadline_s: float = 60) -> Observation:
    """What a probe with all tables makes of a host."""
    target = target or Target("host")
    command = runner.prepare(target, tables=True)
    talk = Talk(host.transport, deadline=Deadline.after(deadline_s), max_bytes=1_000_000)
    return runner.converse(target, talk, command, tables=True)


def tools(observation: Observation) -> dict[Table, str]:
    return {output.table: output.tool for output in observation.tables}


def output(observation: Observation, table: Table) -> TableOutput:
    return next(output for output in observation.tables if output.table is table)


def failures(observation: Observation) -> dict[Table, Code]:
    return {each.table: each.failure.code for each in observation.tables if each.failure}


def test_nothing_but_sockets_is_run_where_nothing_else_is_wanted(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    host = Host(tmp_path, netstat=f'echo "$*" >>{calls}; {FAKE}')
    _result, reply = host.run(commands.sockets())
    assert reply is not None
    assert calls.read_text() == "-antuwpW\n"


def test_netstat_is_asked_for_each_table(tmp_path: Path) -> None:
    observation = observed(Host(tmp_path, netstat=FAKE))
    assert observation.failure is None
    assert {each.table: each.text for each in observation.tables} == {
        Table.ROUTES: "netstat -rne46\n",
        Table.INTERFACES: "netstat -aie\n",
        Table.PROTOCOLS: "netstat -s\n",
        Table.MULTICAST: "netstat -gn\n",
    }
    assert set(tools(observation).values()) == {"netstat"}


def test_no_table_but_the_sockets_is_asked_for_by_sudo(tmp_path: Path) -> None:
    host = Host(tmp_path, netstat=FAKE, sudo='echo "$*" >>"$HOME/sudo-calls"; shift; exec "$@"')
    target = Target("host", login=Login("ops", "x", sudo=Sudo.NOPASSWD))
    assert observed(host, target).failure is None
    assert (host.home / "sudo-calls").read_text() == f"-n {host.bin}/netstat -antuwpW\n"


def test_the_real_netstat_tells_every_table(tmp_path: Path) -> None:
    observation = observed(Host(tmp_path, netstat=REAL["netstat"]))
    assert observation.failure is None
    assert failures(observation) == {}
    assert set(tools(observation).values()) == {"netstat"}
    assert "Kernel IP routing table" in output(observation, Table.ROUTES).text
    assert "Kernel IPv6 routing table" in output(observation, Table.ROUTES).text
    routes = parsers.parse(output(observation, Table.ROUTES).text)
    assert routes.rejected == []
    assert all(route.metric is not None for route in routes.tables.routes)
    assert observation.asked_for_processes
    assert "RX packets" in output(observation, Table.INTERFACES).text
    assert "active connection openings" in output(observation, Table.PROTOCOLS).text
    assert "Group Memberships" in output(observation, Table.MULTICAST).text


def test_iproute2_tells_every_table_where_netstat_is_missing(tmp_path: Path) -> None:
    scripts = {name: REAL[name] for name in ("ss", "ip", "nstat")}
    observation = observed(Host(tmp_path, **scripts))
    assert (observation.tool, observation.failure) == ("ss", None)
    assert failures(observation) == {}
    assert tools(observation) == {
        Table.ROUTES: "ip",
        Table.INTERFACES: "ip",
        Table.PROTOCOLS: "nstat",
        Table.MULTICAST: "ip",
    }
    assert "TcpActiveOpens" in output(observation, Table.PROTOCOLS).text


def test_busybox_tells_what_it_can_and_the_kernel_the_rest(tmp_path: Path) -> None:
    program = shutil.which("busybox")
    assert program, "busybox is not installed: sudo apt-get install busybox"
    host = Host(
        tmp_path,
        netstat=f'exec {program} netstat "$@"',
        ip=f'exec {program} ip "$@"',
        nstat=MISSING,
    )
    observation = observed(host)
    assert (observation.tool, observation.failure) == ("netstat", None)
    assert observation.asked_for_processes == ("PID/Program" in observation.text)
    assert tools(observation) == {
        Table.ROUTES: "ip",
        Table.INTERFACES: "proc",
        Table.PROTOCOLS: "proc",
        Table.MULTICAST: "proc",
    }
    assert failures(observation) == {}


def test_the_kernel_tells_every_table_where_no_tool_is(tmp_path: Path) -> None:
    host = Host(tmp_path, ip=MISSING)
    command = commands.sockets(tables=True)
    result, reply = host.run(command)
    assert reply is not None
    assert reply.tool == "proc"
    observation = posix.read(Target("host"), command, result, tables=True)
    assert set(tools(observation).values()) == {"proc"}
    first = {each.table: each.text.split("\n")[0] for each in observation.tables}
    assert first == {
        Table.ROUTES: "==> /proc/net/route <==",
        Table.INTERFACES: "==> /proc/net/dev <==",
        Table.PROTOCOLS: "==> /proc/net/snmp <==",
        Table.MULTICAST: "==> /proc/net/igmp <==",
    }
    assert "\n==> /proc/net/netstat <==\n" in output(observation, Table.PROTOCOLS).text


def test_the_tables_of_the_kernel_are_understood_and_name_no_process(tmp_path: Path) -> None:
    observation = observed(Host(tmp_path, ip=MISSING))
    assert (observation.tool, observation.failure) == ("proc", None)
    assert observation.command.startswith("cat /proc/net/tcp /proc/net/tcp6 ")
    rows = parsers.parse_sockets(observation.text).sockets
    assert rows
    assert {row.pid for row in rows} == {None}
    for each in observation.tables:
        assert each.table.value in parsers.parse(each.text).found


def test_a_netstat_that_fails_over_one_table_gives_way_for_that_table_alone(tmp_path: Path) -> None:
    fails = f"[ $1 = -s ] && {{ echo half; exit 3; }}; {FAKE}"
    observation = observed(Host(tmp_path, netstat=fails, nstat='echo "nstat $*"'))
    assert observation.failure is None
    assert tools(observation) == {
        Table.ROUTES: "netstat",
        Table.INTERFACES: "netstat",
        Table.PROTOCOLS: "nstat",
        Table.MULTICAST: "netstat",
    }
    assert output(observation, Table.PROTOCOLS).text == "nstat -asz\n"


def test_a_table_that_nothing_tells_says_why(tmp_path: Path) -> None:
    no_counters = "case $1 in */snmp) exit 1;; esac; exec /bin/cat $1"
    fails = f"[ $1 = -s ] && exit 3; {FAKE}"
    observation = observed(Host(tmp_path, netstat=fails, nstat=MISSING, cat=no_counters))
    assert observation.failure is None
    assert failures(observation) == {Table.PROTOCOLS: Code.COMMAND_FAILED}
    told = output(observation, Table.PROTOCOLS)
    assert told.text.startswith("==> /proc/net/snmp <==\n")  # evidence of what came
    assert told.failure is not None
    assert told.failure.detail == (
        "netstat ended with status 3, nstat is missing, proc ended with status 2"
    )


@pytest.mark.parametrize(("limiter", "without"), [("timeout", ()), ("perl", ("timeout",))])
def test_a_hung_netstat_over_one_table_is_ended_and_stops_nothing_else(
    tmp_path: Path, limiter: str, without: tuple[str, ...]
) -> None:
    program = shutil.which(limiter)
    assert program, f"{limiter} is not installed"
    started = tmp_path / "started"
    hangs = f"[ $1 = -s ] && {{ echo $$ >{started}; exec sleep 3600; }}; {FAKE}"
    no_counters = "case $1 in */snmp) exit 1;; esac; exec /bin/cat $1"
    host = Host(
        tmp_path,
        without=without,
        netstat=hangs,
        nstat=MISSING,
        cat=no_counters,
        **{limiter: f'exec {program} "$@"'},
    )
    observation = observed(host)
    assert observation.failure is None
    assert failures(observation) == {Table.PROTOCOLS: Code.TIMED_OUT}
    told = output(observation, Table.PROTOCOLS).failure
    assert told is not None
    assert told.detail.startswith("netstat was ended after 4 s, ")
    assert output(observation, Table.ROUTES).text == "netstat -rne46\n"
    wait_until(lambda: is_gone(int(started.read_text())), what="the hung netstat is gone")


def test_a_hung_netstat_that_nothing_ends_leaves_the_sockets_whole(tmp_path: Path) -> None:
    hangs = f"[ $1 = -s ] && exec sleep 3600; {FAKE}"
    host = Host(tmp_path, without=("timeout",), netstat=hangs)
    observation = observed(host, deadline_s=2)
    assert observation.failure is None
    assert observation.text.startswith("Proto Recv-Q")
    assert output(observation, Table.INTERFACES).text == "netstat -aie\n"
    assert failures(observation) == {
        Table.PROTOCOLS: Code.TIMED_OUT,
        Table.MULTICAST: Code.TIMED_OUT,
        Table.ROUTES: Code.TIMED_OUT,
    }
    # What hangs there holds no lock: the next probe of the sockets is not refused.
    assert host.reply().tool == "netstat"


def test_a_giant_routing_table_passes_the_cap_alone(tmp_path: Path) -> None:
    giant = f"[ $1 = -rne46 ] && exec head -c 2000000 /dev/zero; {FAKE}"
    observation = observed(Host(tmp_path, netstat=giant))
    assert observation.failure is None
    assert failures(observation) == {Table.ROUTES: Code.OUTPUT_TOO_LARGE}


def test_the_other_tables_come_although_the_sockets_fail(tmp_path: Path) -> None:
    fails = f"case $1 in -antuwpW) echo no >&2; exit 1;; -nWw) exit 0;; esac; {FAKE}"
    observation = observed(Host(tmp_path, netstat=fails))
    assert observation.failure is not None
    assert observation.failure.code is Code.COMMAND_FAILED
    assert failures(observation) == {}
    assert observation.notes == "no\n"


def test_what_the_other_tables_complain_of_is_not_held_against_the_sockets(tmp_path: Path) -> None:
    complains = f"[ $1 = -antuwpW ] || echo trouble >&2; {FAKE}"
    observation = observed(Host(tmp_path, netstat=complains))
    assert (observation.failure, observation.notes) == (None, "")


def test_sockets_cut_off_take_the_other_tables_with_them(tmp_path: Path) -> None:
    floods = "exec head -c 2000000 /dev/zero"
    observation = observed(Host(tmp_path, netstat=floods))
    assert observation.failure is not None
    assert observation.failure.code is Code.OUTPUT_TOO_LARGE
    assert failures(observation) == dict.fromkeys(Table, Code.OUTPUT_TOO_LARGE)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_any_posix_shell_takes_every_table(tmp_path: Path, shell: str) -> None:
    host = Host(tmp_path, netstat=FAKE)
    command = commands.sockets(tables=True)
    script = command.line.removeprefix("exec /bin/sh -c '").removesuffix("'")
    name, *applet = shell.split()
    done = subprocess.run(
        [shutil.which(name) or name, *applet, "-c", script],
        input=command.stdin,
        capture_output=True,
        env={"PATH": str(host.bin), "HOME": str(host.home)},
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert done.stdout.endswith(replies.token(command) + b" done\n")
    tried = replies.attempts(command, done.stdout)
    assert [(each.tool, each.exit_status) for each in tried] == [("netstat", 0)] * 4


def test_a_transport_that_runs_nothing_is_no_observation(tmp_path: Path) -> None:
    class Refuses:
        server = ""

        def run(self, *_args: object, **_named: object) -> object:
            raise TransportError(posix.Failure(Code.COMMAND_FAILED, "no session"))

    talk = Talk(Refuses(), deadline=Deadline.after(1), max_bytes=1)  # type: ignore[arg-type]
    with pytest.raises(TransportError):
        runner.converse(Target("host"), talk, commands.sockets(tables=True), tables=True)
