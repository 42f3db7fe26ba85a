"""``manage.py parse`` as a script meets it: output, exit status, and trouble in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command, load_command_class

from tests.probes.history.played import LISTENER, line, table

ROOT = Path(__file__).resolve().parents[2]
ROUTES = (
    "Kernel IP routing table\n"
    "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
    "0.0.0.0         192.0.2.1       0.0.0.0         UG        0 0          0 eth0\n"
    "192.0.2.0       0.0.0.0         255.255.255.0   U         0 0          0 eth0\n"
)
MIXED = table(LISTENER, line(holder="9/=cmd|x")) + "\n" + ROUTES


def parse(
    *arguments: str, text: str | bytes = "", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it as a person would: from the checkout, with no settings of a site."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "parse", *arguments],
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        env=kept | {"DATA_DIR": "/nonexistent"} | (environ or {}),
        check=False,
        timeout=120,
    )


class Printed(NamedTuple):
    """What the command did in this process, which costs a hundredth of one of its own."""

    status: int
    out: str
    told: str


@pytest.fixture
def parse_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Printed]:
    """``parse_here(*arguments, text="")``"""

    def run(*arguments: str, text: str = "") -> Printed:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        out, told, status = io.StringIO(), io.StringIO(), 0
        try:
            call_command("parse", *arguments, stdout=out, stderr=told)
        except CommandError as error:
            status = error.returncode
            told.write(f"{error}\n")
        return Printed(status, out.getvalue(), told.getvalue())

    return run


def told(done: subprocess.CompletedProcess[bytes]) -> str:
    """Its one line of trouble."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_pipe_goes_in_and_only_tables_come_out_without_a_site() -> None:
    done = parse("-", text=MIXED)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "Sockets (2)"
    assert lines[2].split() == ["tcp", "0", "0", "0.0.0.0:22", "0.0.0.0:*", "LISTEN", "800", "sshd"]
    assert "Routes (2)" in lines
    assert lines[-1].startswith("Dialect: net-tools. Lines: 9, ")


def test_json_is_one_object_with_all_tables(tmp_path: Path) -> None:
    (tmp_path / "ticket.txt").write_text(MIXED + "an odd line\n")
    done = parse(str(tmp_path / "ticket.txt"), "--as", "json")
    assert done.returncode == 1
    assert "1 of 10 lines" in told(done)
    assert "line 10" in told(done)
    shown = json.loads(done.stdout)
    assert shown["dialect"] == "net-tools"
    assert [row["local_port"] for row in shown["tables"]["sockets"]] == [22, 22]
    assert shown["tables"]["routes"][0]["gateway"] == "192.0.2.1"
    assert [row["line"] for row in shown["rejected"]] == [10]
    assert shown["rejected"][0]["text"] == "an odd line"


def test_csv_is_one_table_that_no_spreadsheet_obeys(parse_here: Callable[..., Printed]) -> None:
    done = parse_here("--as", "csv", text=MIXED)
    assert done.status == 0
    assert done.told == "This is sockets; --table gives the others: routes.\n"
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["program"] for row in rows] == ["sshd", "'=cmd|x"]
    routes = parse_here("--as", "csv", "--table", "routes", text=MIXED)
    assert routes.told == ""
    assert routes.out.startswith("family,destination,gateway,")
    assert routes.out.count("\r\n") == 3


def test_one_table_can_be_asked_for(parse_here: Callable[..., Printed]) -> None:
    done = parse_here("--table", "routes", text=MIXED)
    assert done.out.startswith("Routes (2)\n")
    assert "Sockets" not in done.out


def test_what_was_quoted_is_read_and_said(parse_here: Callable[..., Printed]) -> None:
    done = parse_here(text="".join(f"{number}:{one}\n" for number, one in
                                   enumerate(MIXED.splitlines(), 1)))  # fmt: skip
    assert (done.status, done.told) == (0, "")
    assert done.out.startswith("Sockets (2)\n")
    assert "Note: the lines began with their numbers, which were taken off\n" in done.out


def test_several_outputs_are_all_shown_and_that_is_said(
    parse_here: Callable[..., Printed],
) -> None:
    done = parse_here(text=table(LISTENER) * 2)
    assert done.out.startswith("Sockets (2)\n")
    assert "Note: the text holds several socket tables of the same kind" in done.out


def trouble(monkeypatch: pytest.MonkeyPatch, *arguments: str, text: bytes = b"") -> CommandError:
    """What ends the command, run in this process; nothing is printed before it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    printed = io.StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("parse", *arguments, stdout=printed)
    assert printed.getvalue() == ""
    return raised.value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/no/such/file"], "'/no/such/file': No such file or directory"),
        (["/"], "'/': Is a directory"),
        (["a\nb"], "'a\\nb': No such file or directory"),
        (["/dev/zero"], "'/dev/zero' is larger than 64 MiB."),
        (["--table", "unix"], "The text has no table unix. It has: sockets, routes."),
        (["--table", "routes", "--as", "json"], "--table goes with table and csv"),
    ],
)
def test_trouble_is_one_line_and_status_two(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    error = trouble(monkeypatch, *arguments, text=MIXED.encode())
    assert error.returncode == 2
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("text", [b"", b"\n\n", b"hello\nworld\n", b"\x00\xff"])
def test_a_text_without_a_table_is_told_by_status_two(
    monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    error = trouble(monkeypatch, text=text)
    assert error.returncode == 2
    assert "no table that is known" in str(error)


def test_trouble_is_told_on_standard_error_and_by_the_exit_status() -> None:
    done = parse("/no/such/file")
    assert (done.returncode, done.stdout) == (2, b"")
    assert told(done) == "CommandError: '/no/such/file': No such file or directory"


def test_a_file_that_is_too_large_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    error = trouble(monkeypatch, str(tmp_path / "huge"))
    assert error.returncode == 2
    assert str(error).endswith("huge' is larger than 64 MiB.")


def test_whoever_reads_the_output_may_stop_early() -> None:
    text = table(*(line(f"10.0.0.5:{port}") for port in range(1, 9000)))
    command = f"{sys.executable} {ROOT}/manage.py parse - | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == b"Sockets (8999)\n"
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_terminal_without_unicode_is_no_reason_to_fail() -> None:
    done = parse(text=table(line(holder="1/数据库")), environ={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert b"\\u6570" in done.stdout


def test_that_netstat_ran_wide_can_be_said(parse_here: Callable[..., Printed]) -> None:
    uncut = line("2001:db8:0:1:2:3:4:5:22", protocol="tcp6")
    assert len("2001:db8:0:1:2:3:4:5:22") == 23
    cut = json.loads(parse_here("--as", "json", text=table(uncut)).out)
    wide = json.loads(parse_here("--as", "json", "--wide", text=table(uncut)).out)
    assert cut["tables"]["sockets"][0]["marks"] == ["local_truncated"]
    assert wide["tables"]["sockets"][0]["marks"] == []


def test_the_help_tells_the_exit_statuses() -> None:
    shown = load_command_class("probes", "parse").create_parser("manage.py", "parse").format_help()
    assert "exit status:\n  0  every line was understood\n" in shown


def test_what_has_to_be_installed_first_is_told_beside_the_output(tmp_path: Path) -> None:
    """The preparation of a bare checkout writes to standard error; the pipe stays clean."""
    program = (
        "import sys; from netadmin import bootstrap\n"
        "with bootstrap._standard_output_free():\n"
        "    import subprocess; bootstrap.say('making .venv'); subprocess.run(['echo', 'pip'])\n"
        "print('tables')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=120
    )
    assert done.stdout == b"tables\n"
    assert done.stderr.splitlines() == [b"netadmin: making .venv", b"pip"]
