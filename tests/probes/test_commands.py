"""The command lines: what they are, byte for byte, and what a real shell makes of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from hosts.target import Sudo
from probes import commands
from probes.transports.base import Command, CommandResult, Deadline
from probes.transports.local import LocalTransport
from tests.sshd import toolbox
from tests.waiting import wait_until

SETUP = (
    "read -r t p; LC_ALL=C; PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin; export LC_ALL PATH; "
    'echo "$t begin"; n=$(command -v netstat); s=$(command -v ss); '
    'l=0; f=; if [ -r "$HOME" ]; then if command -v flock >/dev/null 2>&1; then exec 9<"$HOME"; '
    "flock -w 2 9 2>/dev/null || flock -n 9 2>/dev/null; l=$?; "
    "else f=$HOME/.netadmin-probe-$(uname -n); q=; "
    'if [ -r "$f" ]; then read -r q <"$f"; fi; '
    'if [ -n "$q" ] && kill -0 "$q" 2>/dev/null; then l=1; f=; '
    'else { echo $$ >"$f"; } 2>/dev/null; fi; fi; fi; '
    "e=127; k=none; o=-; q=; if [ $l -eq 1 ]; then k=running; "
)
PLAIN = (
    "exec /bin/sh -c '" + SETUP + 'elif [ -n "$n" ]; then k=netstat; o=-antuwpW; q=$n; '
    '"$n" $o </dev/null; e=$?; '
    '[ $e -eq 0 ] || "$n" -nWw </dev/null >/dev/null 2>&1 || { echo "$t next"; '
    'o=-antuwp; if [ -n "$s" ]; then k=ss; q=$s; '
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; '
    '"$q" $o </dev/null; e=$?; }; '
    'elif [ -n "$s" ]; then k=ss; o=-antuwp; q=$s; "$s" $o </dev/null; e=$?; fi; '
    '[ -z "$f" ] || rm -f "$f"; echo "$t end $e $(id -u) none $k $o $q"\''
)
BY_SUDO = (
    "exec /bin/sh -c '" + SETUP + 'elif [ -n "$n" ]; then k=netstat; o=-antuwpW; q=$n; '
    'sudo -n "$n" $o </dev/null; e=$?; '
    '[ $e -eq 0 ] || "$n" -nWw </dev/null >/dev/null 2>&1 || { echo "$t next"; '
    'o=-antuwp; if [ -n "$s" ]; then k=ss; q=$s; '
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; '
    'sudo -n "$q" $o </dev/null; e=$?; }; '
    'elif [ -n "$s" ]; then k=ss; o=-antuwp; q=$s; sudo -n "$s" $o </dev/null; e=$?; fi; '
    '[ -z "$f" ] || rm -f "$f"; echo "$t end $e $(id -u) nopasswd $k $o $q"\''
)
BY_SUDO_WITH_A_PASSWORD = (
    "exec /bin/sh -c '" + SETUP + 'elif [ -n "$n" ]; then k=netstat; o=-antuwpW; q=$n; '
    'sudo -S -p "$p" "$n" $o; e=$?; '
    '[ $e -eq 0 ] || "$n" -nWw </dev/null >/dev/null 2>&1 || { echo "$t next"; '
    'o=-antuwp; if [ -n "$s" ]; then k=ss; q=$s; '
    'else "$n" -npw </dev/null >/dev/null 2>&1 || o=-antuw; fi; '
    'sudo -S -p "$p" "$q" $o; e=$?; }; '
    'elif [ -n "$s" ]; then k=ss; o=-antuwp; q=$s; sudo -S -p "$p" "$s" $o; e=$?; fi; '
    '[ -z "$f" ] || rm -f "$f"; echo "$t end $e $(id -u) password $k $o $q"\''
)

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

    def run(self, command: Command) -> tuple[CommandResult, commands.Reply | None]:
        result = self.transport.run(command, deadline=Deadline.after(20), max_bytes=1_000_000)
        return result, commands.read_reply(command, result.stdout)

    def reply(self, command: Command | None = None) -> commands.Reply:
        result, reply = self.run(command or commands.sockets())
        assert result.complete, result
        assert reply is not None
        return reply


def test_every_command_line_is_known_byte_for_byte() -> None:
    assert dict(commands.LINES) == {
        "sockets": PLAIN,
        "sockets by sudo": BY_SUDO,
        "sockets by sudo with a password": BY_SUDO_WITH_A_PASSWORD,
    }


def test_a_command_is_one_of_the_known_lines_whatever_the_secrets_are() -> None:
    for how in Sudo:
        for password in ("plain", "'$(id)", "`id`;id|id", "--help", "✓ 🔑"):
            assert commands.sockets(how, password=password).line in commands.LINES.values()


def test_no_line_holds_what_some_login_shell_would_change() -> None:
    for line in commands.LINES.values():
        script = line.removeprefix("exec /bin/sh -c '").removesuffix("'")
        assert not set("'\\!\n") & set(script)


def test_marker_and_prompt_are_new_each_time_and_never_in_the_line() -> None:
    first, second = (commands.sockets(Sudo.PASSWORD, password="p") for _ in range(2))
    assert first.line == second.line
    assert first.end != second.end
    assert first.prompt != second.prompt
    assert first.end.split(b" ")[0].decode() not in first.line
    assert first.prompt.decode() not in first.line


def test_the_repr_of_a_command_shows_neither_password_nor_marker() -> None:
    command = commands.sockets(Sudo.PASSWORD, password="hunter2")
    assert "hunter2" not in repr(command)
    assert command.end.split(b" ")[0].decode() not in repr(command)


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


def test_both_missing_is_said(tmp_path: Path) -> None:
    reply = Host(tmp_path).reply()
    assert (reply.table, reply.tool, reply.exit_status) == (b"", "none", 127)


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
            timeout=20,
            check=True,
        )
        reply = commands.read_reply(command, done.stdout)
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


def test_what_a_login_shell_prints_first_is_left_out() -> None:
    command = commands.sockets()
    token = command.end.split(b" ")[0]
    output = b"Welcome!\n" + token + b" begin\ntable\n" + token + b" end 0 0 none ss - /bin/ss\n"
    reply = commands.read_reply(command, output)
    assert reply is not None
    assert reply.table == b"table\n"


@pytest.mark.parametrize("ending", [b"", b"0 0", b"x 0 none ss - /bin/ss", b"0 0 none ss /bin/ss"])
def test_an_ending_we_did_not_write_is_no_reply(ending: bytes) -> None:
    command = commands.sockets()
    assert commands.read_reply(command, b"table\n" + command.end + ending + b"\n") is None


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
    replies: list[commands.Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(host.reply())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.table for reply in replies] == [b"netstat\n"] * 3


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
