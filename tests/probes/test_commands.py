"""What a real shell makes of the command lines: the sockets, sudo, a hung netstat."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from hosts.target import Sudo
from probes import commands, replies
from probes.transports.base import Command, CommandResult, Deadline
from probes.transports.local import LocalTransport
from tests.sshd import toolbox
from tests.waiting import wait_until

NETSTAT = 'echo netstat "$@"'
SS = 'echo ss "$@"'
KNOWS_NO_W = """\
for word in "$@"; do case $word in *W*) echo "netstat: invalid option" >&2; exit 1;; esac; done
echo netstat "$@"
"""
FAKE_SUDO = """\
printf "%s\\n" "$*" >>"$HOME/sudo-calls"
case $1 in
-n) shift; exec "$@" ;;
-S) prompt=$3; shift 3 ;;
esac
ps -ef >"$HOME/process-list" 2>&1
for attempt in 1 2 3; do
    printf %s "$prompt" >&2
    IFS= read -r typed || { echo "sudo: no password was provided" >&2; exit 1; }
    printf "%s\\n" "$typed" >>"$HOME/typed"
    [ "$typed" = "$(cat "$HOME/password")" ] && exec "$@"
    echo "Sorry, try again." >&2
done
exit 1
"""


class Host:
    """A PATH and a HOME that stand for a machine."""

    def __init__(self, folder: Path, *, without: tuple[str, ...] = (), **scripts: str) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.bin = toolbox(folder / "bin", without=without, **scripts)
        self.transport = LocalTransport({"PATH": str(self.bin), "HOME": str(self.home)})

    def run(self, command: Command) -> tuple[CommandResult, replies.Reply | None]:
        result = self.transport.run(command, deadline=Deadline.after(60), max_bytes=1_000_000)
        return result, replies.read(command, result.stdout)

    def reply(self, command: Command | None = None) -> replies.Reply:
        result, reply = self.run(command or commands.sockets())
        assert result.complete, result
        assert reply is not None
        return reply


@pytest.mark.parametrize(
    "password", [None, "", "two\nlines", "end\n", "re\rturn", "nul\0", "x" * 1024]
)
def test_a_password_that_sudo_would_take_for_several_is_refused(password: str | None) -> None:
    with pytest.raises(commands.UnusablePassword) as refused:
        commands.sockets(Sudo.PASSWORD, password=password)
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize("password", ["🔑 schlüssel", "'$(id)", "-n", "  spaces  ", "x" * 1023])
def test_any_other_password_is_typed_as_it_is(password: str) -> None:
    typed = commands.sockets(Sudo.PASSWORD, password=password).answer
    assert typed == password.encode() + b"\n"


def test_netstat_is_asked_for_everything_uncut(tmp_path: Path) -> None:
    reply = Host(tmp_path, netstat=NETSTAT, ss=SS).reply()
    assert reply.table == b"netstat -antuwpW\n"
    assert (reply.tool, reply.exit_status, reply.uid) == ("netstat", 0, os.getuid())
    assert reply.path == str(tmp_path / "bin" / "netstat")
    assert reply.wide


def test_ss_is_used_where_netstat_is_missing(tmp_path: Path) -> None:
    reply = Host(tmp_path, ss=SS).reply()
    assert (reply.table, reply.tool, reply.wide) == (b"ss -antuwp\n", "ss", False)


def test_the_kernel_is_asked_where_both_are_missing(tmp_path: Path) -> None:
    reply = Host(tmp_path).reply()
    assert (reply.tool, reply.exit_status, reply.path) == ("proc", 0, "/proc/net")
    files = [name for name in commands.PROC_SOCKETS.split() if Path("/proc/net", name).exists()]
    headings = [line for line in reply.table.decode().splitlines() if line.startswith("==>")]
    assert headings == [f"==> /proc/net/{name} <==" for name in files]
    assert "local_address" in reply.table.decode().splitlines()[1]


def test_a_file_of_the_kernel_that_cannot_be_read_to_its_end_is_no_whole_table(
    tmp_path: Path,
) -> None:
    fails = "case $1 in */udp) echo half; exit 1;; esac; exec /bin/cat $1"
    reply = Host(tmp_path, cat=fails).reply()
    assert (reply.tool, reply.exit_status) == ("proc", 2)


def test_a_netstat_that_cannot_print_wide_gives_way_to_ss(tmp_path: Path) -> None:
    reply = Host(tmp_path, netstat=KNOWS_NO_W, ss=SS).reply()
    assert (reply.table, reply.tool, reply.exit_status) == (b"ss -antuwp\n", "ss", 0)


def test_a_netstat_that_cannot_print_wide_is_used_where_ss_is_missing(tmp_path: Path) -> None:
    reply = Host(tmp_path, netstat=KNOWS_NO_W).reply()
    assert (reply.table, reply.exit_status, reply.wide) == (b"netstat -antuwp\n", 0, False)


def test_a_netstat_that_fails_though_it_knows_the_options_is_not_run_again(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    failing = f'echo "$@" >>{calls}; [ "$1" = -nWw ] && exit 0; echo half a table; exit 1'
    reply = Host(tmp_path, netstat=failing, ss=SS).reply()
    assert (reply.table, reply.exit_status) == (b"half a table\n", 1)
    assert calls.read_text().split() == ["-antuwpW", "-nWw"]


def test_the_real_netstat_and_the_real_ss_give_their_tables(tmp_path: Path) -> None:
    for tool, header in (("netstat", b"Proto Recv-Q"), ("ss", b"Netid")):
        program = shutil.which(tool)
        assert program, f"{tool} is not installed: sudo apt-get install net-tools iproute2"
        reply = Host(tmp_path / tool, **{tool: f'exec {program} "$@"'}).reply()
        assert (reply.exit_status, reply.tool) == (0, tool)
        assert header in reply.table


def test_busybox_netstat_gives_its_table_with_what_it_was_built_with(tmp_path: Path) -> None:
    program = shutil.which("busybox")
    assert program, "busybox is not installed: sudo apt-get install busybox"
    reply = Host(tmp_path, netstat=f'exec {program} netstat "$@"').reply()
    assert (reply.exit_status, reply.tool) == (0, "netstat")
    assert reply.options in ("-antuwpW", "-antuwp", "-antuw")
    assert b"Proto Recv-Q" in reply.table


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_any_posix_shell_runs_the_lines(tmp_path: Path, shell: str) -> None:
    host = Host(tmp_path, netstat=NETSTAT, sudo='shift; exec "$@"')
    for how in (Sudo.NONE, Sudo.NOPASSWD):
        command = commands.sockets(how)
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
        reply = replies.read(command, done.stdout)
        assert reply is not None
        assert reply.table == b"netstat -antuwpW\n"
        assert done.stderr == b""


def test_the_marker_is_in_no_process_list(tmp_path: Path) -> None:
    host = Host(
        tmp_path, netstat='ps -ef >"$HOME/process-list"; cat /proc/*/environ >"$HOME/env"; :'
    )
    command = commands.sockets()
    _result, reply = host.run(command)
    assert reply is not None
    assert reply.exit_status == 0
    token = command.end.split(b" ")[0]
    assert b"netstat" in (host.home / "process-list").read_bytes()
    assert token not in (host.home / "process-list").read_bytes()
    assert token not in (host.home / "env").read_bytes()


# sudo


def sudo_host(tmp_path: Path, password: str = "right") -> Host:
    host = Host(tmp_path, netstat=NETSTAT, sudo=FAKE_SUDO)
    (host.home / "password").write_text(password)
    return host


def test_sudo_without_a_password_never_waits_for_one(tmp_path: Path) -> None:
    host = sudo_host(tmp_path)
    assert host.reply(commands.sockets(Sudo.NOPASSWD)).table == b"netstat -antuwpW\n"
    assert (host.home / "sudo-calls").read_text() == f"-n {host.bin}/netstat -antuwpW\n"


@pytest.mark.parametrize("password", ["right", "🔑 schlüssel", "'$(id)", "-n", "x" * 1023])
def test_the_sudo_password_arrives_after_the_prompt_byte_for_byte(
    tmp_path: Path, password: str
) -> None:
    host = sudo_host(tmp_path, password)
    command = commands.sockets(Sudo.PASSWORD, password=password)
    result, reply = host.run(command)
    assert reply is not None
    assert (reply.table, reply.exit_status) == (b"netstat -antuwpW\n", 0)
    assert (host.home / "typed").read_text() == password + "\n"
    assert result.stderr == command.prompt


def test_the_sudo_password_is_in_no_process_list(tmp_path: Path) -> None:
    host = sudo_host(tmp_path, "hunter2")
    assert host.reply(commands.sockets(Sudo.PASSWORD, password="hunter2")).exit_status == 0
    seen = (host.home / "process-list").read_text()
    assert "sudo" in seen
    assert "hunter2" not in seen


def test_a_wrong_sudo_password_is_typed_once(tmp_path: Path) -> None:
    host = sudo_host(tmp_path)
    result, reply = host.run(commands.sockets(Sudo.PASSWORD, password="wrong"))
    assert reply is not None
    assert (reply.table, reply.exit_status) == (b"", 1)
    assert (host.home / "typed").read_text() == "wrong\n"
    assert b"no password was provided" in result.stderr


def test_a_sudo_that_asks_nothing_is_told_nothing(tmp_path: Path) -> None:
    waits_for_more = 'shift 3; "$@"; timeout 1 cat >"$HOME/input"; exit 0'
    host = Host(tmp_path, netstat=NETSTAT, sudo=waits_for_more)
    reply = host.reply(commands.sockets(Sudo.PASSWORD, password="hunter2"))
    assert reply.table == b"netstat -antuwpW\n"
    assert (host.home / "input").read_bytes() == b""


# A hung netstat


HANGS = """\
echo $$ >>"$HOME/started"
exec sleep 3600
"""


@pytest.mark.parametrize("without", [(), ("flock",)], ids=["flock", "no flock"])
def test_a_hung_netstat_is_not_started_twice(tmp_path: Path, without: tuple[str, ...]) -> None:
    host = Host(tmp_path, netstat=HANGS, ss=SS, without=without)
    started = host.home / "started"
    hung = subprocess.Popen(
        ["/bin/sh", "-c", commands.LINES["sockets"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"PATH": str(host.bin), "HOME": str(host.home)},
        start_new_session=True,
    )
    assert hung.stdin
    try:
        hung.stdin.write(b"token -\n")
        hung.stdin.close()
        wait_until(started.exists, what="the first netstat runs")
        for _probe in range(2):
            reply = host.reply()
            assert (reply.tool, reply.table) == ("running", b"")
        assert len(started.read_text().split()) == 1
    finally:
        os.killpg(hung.pid, signal.SIGKILL)
        hung.wait()
    # Gone, so the next probe runs; a lock that a killed probe left behind does not stop it.
    toolbox(host.bin, netstat=NETSTAT)
    assert host.reply().table == b"netstat -antuwpW\n"
    assert host.reply().table == b"netstat -antuwpW\n"


def test_a_hung_netstat_counts_while_its_shell_is_dead(tmp_path: Path) -> None:
    host = Host(tmp_path, netstat=HANGS, ss=SS)
    started = host.home / "started"
    shell = subprocess.Popen(
        ["/bin/sh", "-c", commands.LINES["sockets"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"PATH": str(host.bin), "HOME": str(host.home)},
    )
    assert shell.stdin
    shell.stdin.write(b"token -\n")
    shell.stdin.close()
    netstat = int(wait_until(lambda: started.exists() and started.read_text(), what="it runs"))
    try:
        shell.kill()
        shell.wait()
        assert host.reply().tool == "running"
    finally:
        os.kill(netstat, signal.SIGKILL)


def test_two_probes_that_merely_meet_both_get_their_table(tmp_path: Path) -> None:
    host = Host(tmp_path, netstat="sleep 0.2; echo netstat")
    replies: list[replies.Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(host.reply())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.table for reply in replies] == [b"netstat\n"] * 2


@pytest.mark.parametrize("home", ["/nonexistent", ""])
def test_a_user_without_a_home_is_probed_all_the_same(tmp_path: Path, home: str) -> None:
    host = Host(tmp_path, netstat=NETSTAT)
    host.transport = LocalTransport({"PATH": str(host.bin), "HOME": home})
    assert host.reply().table == b"netstat -antuwpW\n"


@pytest.mark.parametrize("without", [(), ("flock",)], ids=["flock", "no flock"])
def test_the_lock_leaves_nothing_in_the_home(tmp_path: Path, without: tuple[str, ...]) -> None:
    host = Host(tmp_path, netstat=NETSTAT, without=without)
    host.reply()
    assert list(host.home.iterdir()) == []
