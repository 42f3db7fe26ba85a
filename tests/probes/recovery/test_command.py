"""What real shells make of a restart: words as they are, sudo, and what it left running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.target import Platform, Sudo, Target
from probes.observation import Code
from probes.recovery import command
from probes.transports.pool import Pool
from tests.probes.test_command_lines import HOSTILE
from tests.sshd import Sshd, toolbox
from tests.waiting import wait_until

SUDO = """\
how=$1; shift
case $how in
-n) [ "$1" = -- ] && shift; [ -e "$HOME/nopasswd" ] && exec "$@"
    echo "sudo: a password is required" >&2; exit 1;;
-S) prompt=$2; shift 2; [ "$1" = -- ] && shift
    printf %s "$prompt" >&2
    IFS= read -r typed || { echo "sudo: no password was provided" >&2; exit 1; }
    [ "$typed" = "$(cat "$HOME/password")" ] && exec "$@"
    echo "Sorry, try again." >&2; echo "sudo: 1 incorrect password attempt" >&2; exit 1;;
esac
"""
SHOW = 'for word; do printf "<%s>\\n" "$word"; done; echo complaint >&2; exit 3'


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("restarts")
    tools = toolbox(folder / "bin", sudo=SUDO, show=SHOW)
    (tools / "setsid").symlink_to("/usr/bin/setsid")
    with Sshd(folder / "sshd", environment={"PATH": str(tools)}) as server:
        yield server


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool() as made:
        yield made


def run(
    server: Sshd, pool: Pool, *words: str, sudo: Sudo = Sudo.NONE, password: str | None = None
) -> command.Ran:
    login = server.login(sudo=sudo, sudo_password=password)
    return command.run(server.target(login=login), words, sudo=sudo, pool=pool)


def test_hostile_words_reach_the_program_as_they_are(sshd: Sshd, pool: Pool) -> None:
    ran = run(sshd, pool, "show", *HOSTILE)
    assert (ran.begun, ran.exit_status, ran.code) == (True, 3, None)
    assert ran.output.split("\n") == [*(f"<{word}>" for word in HOSTILE), "complaint"]


@pytest.mark.parametrize("builtin", ["eval", "cd", "exit", "exec"])
def test_what_the_shell_itself_knows_is_no_program(
    sshd: Sshd, pool: Pool, builtin: str, tmp_path: Path
) -> None:
    ran = run(sshd, pool, builtin, f"touch {tmp_path / 'made'}")
    assert ran.exit_status == 127
    assert not (tmp_path / "made").exists()


def test_the_password_of_sudo_goes_to_its_prompt_alone(sshd: Sshd, pool: Pool) -> None:
    password = "'$(id)✓"
    (sshd.home / "password").write_text(f"{password}\n", encoding="utf-8")
    ran = run(sshd, pool, "show", "a", "-n", sudo=Sudo.PASSWORD, password=password)
    assert (ran.exit_status, ran.output) == (3, "<a>\n<-n>\ncomplaint")

    ran = run(sshd, pool, "show", "a", sudo=Sudo.PASSWORD, password="wrong")
    assert (ran.begun, ran.code) == (False, Code.SUDO_REFUSED)
    assert "wrong" not in ran.output


def test_sudo_without_a_password_runs_it_or_refuses(sshd: Sshd, pool: Pool) -> None:
    ran = run(sshd, pool, "show", "a", sudo=Sudo.NOPASSWD)
    assert (ran.begun, ran.code, ran.exit_status) == (False, Code.SUDO_REFUSED, 1)
    (sshd.home / "nopasswd").touch()
    ran = run(sshd, pool, "show", "a", sudo=Sudo.NOPASSWD)
    assert (ran.begun, ran.exit_status, ran.output) == (True, 3, "<a>\ncomplaint")


def test_only_the_end_of_a_long_output_is_kept_and_nothing_that_moves_a_cursor(
    sshd: Sshd, pool: Pool
) -> None:
    noise = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; printf "\\033[2Jend"'
    ran = run(sshd, pool, "sh", "-c", noise)
    assert ran.exit_status == 0
    assert len(ran.output) <= command.KEPT_CHARS
    assert ran.output.endswith("line 2999\n\\x1b[2Jend")


def test_a_command_without_end_is_cut_off_and_may_have_run(
    sshd: Sshd, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.transports.ssh.COMMAND_S", 0.5)
    monkeypatch.setattr(command, "WHOLE_S", 1.0)
    ran = run(sshd, pool, "sh", "-c", "echo begun; exec sleep 600")
    assert (ran.begun, ran.code, ran.exit_status) == (True, Code.TIMED_OUT, None)
    assert "begun" in ran.output


def test_too_much_output_is_cut_off(
    sshd: Sshd, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "OUTPUT_MAX_BYTES", 4096)
    ran = run(sshd, pool, "sh", "-c", "while echo filling; do :; done")
    assert (ran.begun, ran.code) == (True, Code.OUTPUT_TOO_LARGE)


def test_the_command_is_not_sent_to_a_host_whose_key_is_not_trusted(
    sshd: Sshd, pool: Pool, tmp_path: Path
) -> None:
    target = sshd.target(pins=())
    ran = command.run(target, ["touch", str(tmp_path / "made")], sudo=Sudo.NONE, pool=pool)
    assert (ran.begun, ran.code) == (False, Code.HOST_KEY_UNKNOWN)
    assert not (tmp_path / "made").exists()


def test_a_connection_that_broke_while_idle_is_replaced_and_the_command_runs_once(
    sshd: Sshd, pool: Pool, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    words = ["sh", "-c", f"echo ran >>{log}"]
    assert run(sshd, pool, *words).exit_status == 0
    for session in Path(f"/proc/{sshd.pid}/task/{sshd.pid}/children").read_text().split():
        os.kill(int(session), signal.SIGKILL)
    assert run(sshd, pool, *words).exit_status == 0
    assert log.read_text() == "ran\nran\n"


def test_what_a_command_leaves_running_on_this_very_machine_goes_on(
    pool: Pool, tmp_path: Path
) -> None:
    place = tmp_path / "pid"
    words = ["sh", "-c", f"sleep 600 >/dev/null 2>&1 & echo $! >{place}"]
    ran = command.run(Target("here"), words, sudo=Sudo.NONE, pool=pool)
    assert (ran.begun, ran.exit_status) == (True, 0)
    pid = int(place.read_text())
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}/fd").exists() or _is_dead(pid))


def _is_dead(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_host_with_windows_is_sent_nothing(sshd: Sshd, pool: Pool, tmp_path: Path) -> None:
    target = sshd.target(platform=Platform.WINDOWS)
    ran = command.run(target, ["touch", str(tmp_path / "made")], sudo=Sudo.NONE, pool=pool)
    assert (ran.begun, ran.code) == (False, Code.UNSUPPORTED)
    assert not (tmp_path / "made").exists()
