"""The other tables over a real OpenSSH server, with the machine's own tools and without them."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from hosts.target import Target
from probes import runner
from probes.observation import Code, Observation, Table
from probes.transports.pool import Pool
from tests.probes.transports.conftest import SMALL_TABLE
from tests.sshd import Sshd

pytestmark = pytest.mark.usefixtures("leaves_nothing")

REAL = {name: f'exec {shutil.which(name)} "$@"' for name in ("netstat", "ss", "ip", "nstat")}
MISSING = "exit 127"
FAKE = "case $1 in -antuwpW) cat <<'END'\n" + SMALL_TABLE + 'END\n;; *) echo "netstat $*";; esac'


def everything(target: Target, pool: Pool | None = None) -> Observation:
    return runner.observe(target, pool=pool, tables=True)


def told(observation: Observation) -> dict[Table, str | Code]:
    """The tool of each table, or why there is none."""
    return {
        each.table: each.failure.code if each.failure else each.tool for each in observation.tables
    }


def test_the_real_netstat_tells_every_table_in_one_session(sshd_with: Callable[..., Sshd]) -> None:
    server = sshd_with(netstat=REAL["netstat"])
    observation = everything(server.target())
    assert (observation.failure, observation.wide) == (None, True)
    assert told(observation) == dict.fromkeys(Table, "netstat")
    assert server.log.read_text().count("Accepted publickey") == 1
    assert server.log.read_text().count("Starting session: command") == 1


def test_the_real_iproute2_tells_every_table(sshd_with: Callable[..., Sshd]) -> None:
    server = sshd_with(**{name: REAL[name] for name in ("ss", "ip", "nstat")})
    observation = everything(server.target())
    assert (observation.failure, observation.tool) == (None, "ss")
    assert told(observation) == {
        Table.ROUTES: "ip",
        Table.INTERFACES: "ip",
        Table.PROTOCOLS: "nstat",
        Table.MULTICAST: "ip",
    }


def test_the_kernel_tells_every_table_where_no_tool_is(sshd_with: Callable[..., Sshd]) -> None:
    observation = everything(sshd_with(ip=MISSING).target())
    assert observation.tool == "proc"
    assert told(observation) == dict.fromkeys(Table, "proc")


def test_a_kept_connection_serves_probes_with_and_without_the_other_tables(
    sshd_with: Callable[..., Sshd],
) -> None:
    server = sshd_with(netstat=FAKE)
    with Pool() as pool:
        for tables in (True, False, True):
            observation = runner.observe(server.target(), pool=pool, tables=tables)
            assert observation.text == SMALL_TABLE
            assert len(observation.tables) == (len(Table) if tables else 0)
    assert server.log.read_text().count("Accepted publickey") == 1


def test_a_table_that_hangs_leaves_the_sockets_whole_and_the_next_probe_free(
    sshd_with: Callable[..., Sshd],
) -> None:
    hangs = f"[ $1 = -s ] && exec sleep 3600; {FAKE}"
    server = sshd_with(netstat=hangs, without=("timeout",))
    observation = everything(server.target(deadline_s=8.0))
    assert observation.failure is None
    assert observation.text == SMALL_TABLE
    assert told(observation) == {
        Table.INTERFACES: "netstat",
        Table.PROTOCOLS: Code.TIMED_OUT,
        Table.MULTICAST: Code.TIMED_OUT,
        Table.ROUTES: Code.TIMED_OUT,
    }
    assert runner.observe(server.target()).text == SMALL_TABLE


def test_a_table_that_fails_leaves_all_else_whole(sshd_with: Callable[..., Sshd]) -> None:
    no_counters = "case $1 in */snmp) exit 1;; esac; exec /bin/cat $1"
    fails = f"[ $1 = -s ] && exit 3; {FAKE}"
    observation = everything(sshd_with(netstat=fails, nstat=MISSING, cat=no_counters).target())
    assert told(observation) == {
        **dict.fromkeys(Table, "netstat"),
        Table.PROTOCOLS: Code.COMMAND_FAILED,
    }


def test_a_shell_that_dies_between_two_tables_leaves_the_sockets_whole(
    sshd_with: Callable[..., Sshd],
) -> None:
    # Without timeout, the parent of netstat is the shell itself.
    kills = f"[ $1 = -s ] && kill -9 $PPID; {FAKE}"
    observation = everything(sshd_with(netstat=kills, without=("timeout",)).target())
    assert observation.failure is None
    assert observation.text == SMALL_TABLE
    assert told(observation)[Table.INTERFACES] == "netstat"
    assert told(observation)[Table.ROUTES] is Code.TRUNCATED
