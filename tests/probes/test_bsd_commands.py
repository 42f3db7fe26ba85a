"""macOS and the BSDs, by programs that stand for theirs: what is run there, and what comes of it.

No such system is at hand: ``uname``, ``netstat`` and ``sockstat`` of these tests print what their
manual pages and sources say.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts.target import Login, Platform, Sudo, Target
from probes import parsers
from probes.observation import Code, Privilege, Table
from tests.probes.test_commands import Host
from tests.probes.test_table_commands import failures, observed, tools

FREEBSD = """\
case $* in
"-anW -f inet") cat <<'END'
Active Internet connections (including servers)
Proto Recv-Q Send-Q Local Address          Foreign Address        (state)
tcp4       0      0 192.0.2.10.22          198.51.100.7.50212     ESTABLISHED
tcp46      0      0 *.8080                 *.*                    LISTEN
udp4       0      0 *.514                  *.*
END
;;
"-anW -f inet6") cat <<'END'
Active Internet connections (including servers)
Proto Recv-Q Send-Q Local Address          Foreign Address        (state)
tcp46      0      0 *.8080                 *.*                    LISTEN
tcp6       0      0 *.22                   *.*                    LISTEN
END
;;
"-anW"*) exit 1 ;;
*) echo "netstat $*" ;;
esac
"""
SOCKSTAT = """\
cat <<'END'
USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS
root     sshd       1200  4  tcp4   192.0.2.10:22         198.51.100.7:50212
build    java       977   88 tcp46  *:8080                *:*
root     sshd       655   3  tcp6   *:22                  *:*
root     syslogd    560   6  udp4   *:514                 *:*
END
"""
MACOS = """\
case $* in
"-anvlW -f inet") cat <<'END'
Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)      rhiwat  shiwat    pid   epid state  options
tcp4       0      0  10.20.0.5.55120        203.0.113.80.443       ESTABLISHED  131072  131768    412      0 00102 00020008
tcp46      0      0  *.8080                 *.*                    LISTEN       131072  131072   2210      0 00180 00000006
END
;;
"-anvlW -f inet6") cat <<'END'
Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)      rhiwat  shiwat    pid   epid state  options
tcp46      0      0  *.8080                 *.*                    LISTEN       131072  131072   2210      0 00180 00000006
tcp6       0      0  fd00:20::5.55121       2001:db8:4::80.443     ESTABLISHED  131072  131072    918      0 00102 00020008
END
;;
*) echo "netstat $*" ;;
esac
"""  # noqa: E501
CALLS = 'echo "$*" >>"$HOME/calls"\n'
HEADING = "Active Internet connections (including servers)\n"


def bsd(tmp_path: Path, system: str, *, without: tuple[str, ...] = (), **scripts: str) -> Host:
    """A machine that says it is ``system``."""
    return Host(tmp_path, without=without, uname=f"echo {system}", **scripts)


def test_freebsd_tells_each_socket_once_with_its_process(tmp_path: Path) -> None:
    observation = observed(bsd(tmp_path, "FreeBSD", netstat=FREEBSD, sockstat=SOCKSTAT))
    assert observation.failure is None
    assert (observation.tool, observation.wide) == ("netstat", True)
    assert observation.command == f"{tmp_path}/bin/netstat -anW"
    rows = parsers.parse_sockets(observation.text, wide=observation.wide).sockets
    assert [(row.protocol, row.local_ip, row.local_port, row.pid, row.program) for row in rows] == [
        ("tcp", "192.0.2.10", 22, 1200, "sshd"),
        ("tcp6", "::", 8080, 977, "java"),
        ("udp", "0.0.0.0", 514, 560, "syslogd"),
        ("tcp6", "::", 22, 655, "sshd"),
    ]


def test_a_missing_sockstat_costs_the_processes_alone(tmp_path: Path) -> None:
    observation = observed(bsd(tmp_path, "FreeBSD", netstat=FREEBSD))
    assert observation.failure is None
    assert "sockstat" in observation.notes
    rows = parsers.parse_sockets(observation.text).sockets
    assert [row.pid for row in rows] == [None] * 4


def test_macos_tells_each_socket_once_with_its_process(tmp_path: Path) -> None:
    observation = observed(bsd(tmp_path, "Darwin", netstat=MACOS))
    assert observation.failure is None
    assert observation.wide
    rows = parsers.parse_sockets(observation.text, wide=True).sockets
    assert [(row.protocol, row.local_port, row.pid) for row in rows] == [
        ("tcp", 55120, 412),
        ("tcp6", 8080, 2210),
        ("tcp6", 55121, 918),
    ]


@pytest.mark.parametrize(
    ("system", "sockets", "interfaces", "multicast", "routes"),
    [
        ("Darwin", "-anvlW", "-ibdnW", "-gn", "-rnl"),
        ("FreeBSD", "-anW", "-ibdnW", "-ian", "-rnW"),
        ("DragonFly", "-anW", "-ibdnW", "-ian", "-rnW"),
        ("OpenBSD", "-anv", "-idn", "-ian", "-rn"),
        ("NetBSD", "-anv", "-idn", "-ian", "-rn"),
    ],
)
def test_each_system_is_asked_with_options_it_has(
    tmp_path: Path, system: str, sockets: str, interfaces: str, multicast: str, routes: str
) -> None:
    host = bsd(tmp_path, system, netstat=f'{CALLS}echo "{HEADING.strip()}"', sockstat="exit 0")
    observation = observed(host)
    assert (host.home / "calls").read_text().splitlines() == [
        f"{sockets} -f inet",
        f"{sockets} -f inet6",
        interfaces,
        "-s",
        multicast,
        routes,
    ]
    assert observation.wide
    assert tools(observation) == dict.fromkeys(Table, "netstat")


@pytest.mark.parametrize(
    ("system", "options"), [("FreeBSD", ["-46"]), ("NetBSD", ["-46n"]), ("OpenBSD", [])]
)
def test_sockstat_is_asked_where_it_exists(tmp_path: Path, system: str, options: list[str]) -> None:
    host = bsd(tmp_path, system, netstat=f'echo "{HEADING.strip()}"', sockstat=CALLS)
    assert host.reply().exit_status == 0
    calls = host.home / "calls"
    assert (calls.read_text().splitlines() if calls.exists() else []) == options


def test_a_netstat_that_knows_no_wide_form_is_asked_without(tmp_path: Path) -> None:
    old = f"case $1 in *W*) exit 1;; esac; {CALLS}cat <<'END'\n{HEADING}END"
    host = bsd(tmp_path, "Darwin", netstat=old)
    reply = host.reply()
    assert (reply.exit_status, reply.options, reply.wide) == (0, "-an", False)
    assert (host.home / "calls").read_text() == "-an -f inet\n-an -f inet6\n"


def test_a_family_that_fails_leaves_no_whole_table(tmp_path: Path) -> None:
    fails = f"case $* in *inet6) echo no >&2; exit 1;; esac; echo '{HEADING.strip()}'"
    observation = observed(bsd(tmp_path, "FreeBSD", netstat=fails))
    assert observation.failure is not None
    assert observation.failure.code is Code.COMMAND_FAILED
    assert observation.failure.detail.startswith("netstat: status 1: no")


def test_a_family_that_cannot_be_filtered_leaves_no_whole_table(tmp_path: Path) -> None:
    host = bsd(tmp_path, "FreeBSD", without=("grep",), netstat=FREEBSD)
    assert host.reply().exit_status == 127


def test_a_table_that_fails_fails_alone(tmp_path: Path) -> None:
    fails = f"case $* in -s) exit 1;; *) echo '{HEADING.strip()}';; esac"
    observation = observed(bsd(tmp_path, "OpenBSD", netstat=fails))
    assert observation.failure is None
    assert failures(observation) == {Table.PROTOCOLS: Code.COMMAND_FAILED}


@pytest.mark.parametrize("how", [Sudo.NOPASSWD, Sudo.PASSWORD])
def test_sudo_reads_its_password_once_for_all_of_it(tmp_path: Path, how: Sudo) -> None:
    sudo = """\
case $1 in
-S) printf %s "$3" >&2; IFS= read -r typed; echo "$typed" >>"$HOME/typed"; shift 3 ;;
-n) shift ;;
esac
echo "$*" >>"$HOME/sudo-calls"
exec "$@"
"""
    host = bsd(tmp_path, "FreeBSD", netstat=FREEBSD, sockstat=SOCKSTAT, sudo=sudo)
    target = Target("bsd", login=Login("ops", "x", sudo=how, sudo_password="hunter2"))
    observation = observed(host, target)
    assert observation.failure is None
    assert observation.privilege in (Privilege.SUDO, Privilege.ROOT)
    assert [
        line.split("/")[-1] for line in (host.home / "sudo-calls").read_text().splitlines()
    ] == [
        "netstat -anW -f inet",
        "netstat -anW -f inet6",
        "sockstat -46",
    ]
    assert (host.home / "typed").exists() is (how is Sudo.PASSWORD)
    if how is Sudo.PASSWORD:
        assert (host.home / "typed").read_text() == "hunter2\n"


def test_a_sudo_that_keeps_no_ticket_is_done_without_for_the_rest(tmp_path: Path) -> None:
    forgets = """\
case $1 in
-S) printf %s "$3" >&2; IFS= read -r typed; shift 3; exec "$@" ;;
-n) echo "sudo: a password is required" >&2; exit 1 ;;
esac
"""
    host = bsd(tmp_path, "FreeBSD", netstat=FREEBSD, sockstat=SOCKSTAT, sudo=forgets)
    target = Target("bsd", login=Login("ops", "x", sudo=Sudo.PASSWORD))
    observation = observed(host, target)
    assert observation.failure is None
    assert len(parsers.parse_sockets(observation.text).sockets) == 4


def test_a_sudo_that_refuses_is_told(tmp_path: Path) -> None:
    refuses = 'echo "sudo: a password is required" >&2; exit 1'
    host = bsd(tmp_path, "FreeBSD", netstat=FREEBSD, sudo=refuses)
    target = Target("bsd", login=Login("ops", "x", sudo=Sudo.NOPASSWD))
    observation = observed(host, target)
    assert observation.failure is not None
    assert observation.failure.code is Code.SUDO_REFUSED


def test_the_platform_of_the_target_changes_nothing_the_system_itself_says(tmp_path: Path) -> None:
    host = bsd(tmp_path, "FreeBSD", netstat=FREEBSD, sockstat=SOCKSTAT)
    target = Target("bsd", platform=Platform.LINUX)
    assert observed(host, target).failure is None


def test_names_with_percent_and_backslash_come_through(tmp_path: Path) -> None:
    odd = r"tcp6 0 0 fe80::1%lo0.22 *.* LISTEN %s%n\n"
    prints = f"case $* in *inet6) cat <<'END'\n{odd}\nEND\n;; *) echo '{HEADING.strip()}';; esac"
    reply = bsd(tmp_path, "OpenBSD", netstat=prints).reply()
    assert odd.encode() + b"\n" in reply.table
