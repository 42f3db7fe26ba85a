"""Commands on the controller itself."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from probes.observation import Code
from probes.transports.base import Command, Deadline, TransportError
from probes.transports.local import LocalTransport
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def test_both_streams_and_the_status_come_back() -> None:
    result = LocalTransport().run(
        Command("cat; echo problem >&2; echo END; exit 3", stdin=b"typed\n", end=b"END"),
        deadline=Deadline.after(60),
        max_bytes=1000,
    )
    assert (result.stdout, result.stderr) == (b"typed\nEND\n", b"problem\n")
    assert (result.exit_status, result.complete) == (3, True)
    assert result.started_at.utcoffset() is not None


def test_a_command_without_its_marker_is_not_complete() -> None:
    result = LocalTransport().run(
        Command("echo EN", end=b"END"), deadline=Deadline.after(60), max_bytes=1000
    )
    assert not result.complete


def test_a_marker_whose_line_is_cut_is_not_complete() -> None:
    result = LocalTransport().run(
        Command("printf 'END 0'", end=b"END "), deadline=Deadline.after(60), max_bytes=1000
    )
    assert not result.complete


def test_a_command_without_a_marker_is_complete_by_its_end_and_status() -> None:
    transport = LocalTransport()
    result = transport.run(
        Command("echo half; exit 3"), deadline=Deadline.after(60), max_bytes=1000
    )
    assert (result.stdout, result.exit_status, result.complete) == (b"half\n", 3, True)
    killed = transport.run(
        Command("echo half; kill -9 $$"), deadline=Deadline.after(60), max_bytes=1000
    )
    assert (killed.stdout, killed.exit_status, killed.complete) == (b"half\n", None, False)


def test_the_deadline_ends_the_whole_process_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    line = f"echo partial; sleep 3600 & echo $! $$ >{pids}; wait"
    with pytest.raises(TransportError) as ended:
        LocalTransport().run(Command(line, end=b"END"), deadline=Deadline.after(3), max_bytes=1000)
    assert ended.value.failure.code is Code.TIMED_OUT
    assert ended.value.partial is not None
    assert ended.value.partial.stdout == b"partial\n"
    for pid in pids.read_text().split():
        wait_until(lambda pid=pid: is_gone(int(pid)), what=f"process {pid} is gone")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_a_child_that_keeps_the_streams_open_is_not_waited_for_and_not_left(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    line = f"sleep 3600 & echo $! >{pid}; echo END; exit 3"
    result = LocalTransport().run(
        Command(line, end=b"END"), deadline=Deadline.after(3000), max_bytes=1000
    )
    assert result.complete
    assert result.exit_status == 3
    wait_until(lambda: is_gone(int(pid.read_text())), what="the child is gone")


def test_the_cap_ends_endless_output() -> None:
    with pytest.raises(TransportError) as ended:
        LocalTransport().run(
            Command("cat /dev/zero", end=b"END"), deadline=Deadline.after(60), max_bytes=100_000
        )
    assert ended.value.failure.code is Code.OUTPUT_TOO_LARGE
    assert ended.value.partial is not None
    assert len(ended.value.partial.stdout) == 100_000


def test_both_streams_full_do_not_block_each_other() -> None:
    line = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; echo END"
    result = LocalTransport().run(
        Command(line, end=b"END"), deadline=Deadline.after(60), max_bytes=4_000_000
    )
    assert len(result.stdout) == 3_000_004
    assert len(result.stderr) == 64 * 1024


def test_input_that_nobody_reads_blocks_nothing() -> None:
    result = LocalTransport().run(
        Command("exec <&-; echo END", stdin=b"x" * 1_000_000, end=b"END"),
        deadline=Deadline.after(60),
        max_bytes=1000,
    )
    assert result.complete


def test_a_large_input_arrives_whole() -> None:
    result = LocalTransport().run(
        Command("wc -c; echo END", stdin=b"x" * 1_000_000, end=b"END"),
        deadline=Deadline.after(60),
        max_bytes=1000,
    )
    assert result.stdout.split() == [b"1000000", b"END"]


def test_a_child_sees_none_of_the_controllers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELD_ENCRYPTION_KEYS", "k1:secret")
    result = LocalTransport().run(
        Command("env; echo END", end=b"END"), deadline=Deadline.after(60), max_bytes=100_000
    )
    assert b"PATH=" in result.stdout
    assert b"secret" not in result.stdout


def test_the_answer_follows_its_prompt_once() -> None:
    line = "printf '?' >&2; read a; echo got $a; printf '?' >&2; read b; echo got $b; echo END"
    result = LocalTransport().run(
        Command(line, end=b"END", prompt=b"?", answer=b"once\n"),
        deadline=Deadline.after(60),
        max_bytes=1000,
    )
    assert result.stdout == b"got once\ngot\nEND\n"


def test_many_at_once_do_not_mix() -> None:
    results: dict[int, bytes] = {}

    def one(number: int) -> None:
        result = LocalTransport().run(
            Command(f"echo {number}; echo END", end=b"END"),
            deadline=Deadline.after(60),
            max_bytes=1000,
        )
        results[number] = result.stdout

    threads = [threading.Thread(target=one, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"{number}\nEND\n".encode() for number in range(10)}


def test_no_zombie_is_left() -> None:
    LocalTransport().run(
        Command("echo END", end=b"END"), deadline=Deadline.after(60), max_bytes=1000
    )
    listing = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "stat="], capture_output=True, check=False
    )
    assert b"Z" not in listing.stdout
