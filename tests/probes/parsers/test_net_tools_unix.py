"""Rows of UNIX sockets of net-tools and busybox. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import UnixSocket

TITLE = "Active UNIX domain sockets (servers and established)\n"
COLUMNS = "Proto RefCnt Flags       Type       State         I-Node   Path\n"
OWNED = "Proto RefCnt Flags       Type       State         I-Node   PID/Program name     Path\n"
BUSYBOX = "Proto RefCnt Flags       Type       State         I-Node PID/Program name    Path\n"
HEAD = "unix  2      [ ACC ]     STREAM     LISTENING     16791    "


def row(line: str, *, heading: str = TITLE + COLUMNS) -> UnixSocket:
    parsed = parsers.parse(heading + line)
    assert not parsed.rejected, parsed.rejected
    assert "unix" in parsed.found
    (socket,) = parsed.tables.unix
    return socket


def owner(text: str, *, heading: str = TITLE + OWNED) -> tuple[int | None, str | None, str | None]:
    socket = row(HEAD + text, heading=heading)
    return socket.pid, socket.program, socket.path


def test_all_columns() -> None:
    assert row(HEAD + "/run/app.sock") == UnixSocket(
        type="stream", state="LISTEN", path="/run/app.sock", references=2, flags="ACC", inode=16791
    )


def test_a_row_needs_neither_heading_nor_state_nor_path() -> None:
    socket = row("unix  3      [ ]         DGRAM                    16792    ", heading="")
    assert socket == UnixSocket(type="dgram", state=None, path=None, references=3, inode=16792)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("LISTENING", "LISTEN"),
        ("CONNECTED", "CONNECTED"),
        ("CONNECTING", "CONNECTING"),
        ("DISCONNECTING", "DISCONNECTING"),
        ("FREE", "FREE"),
        ("UNKNOWN", "UNKNOWN"),
        ("HÖRT", "LISTEN"),
        ("OUVINDO", "LISTEN"),
    ],
)
def test_states(word: str, state: str) -> None:
    assert row(f"unix  3      [ W N ]     SEQPACKET  {word:<13} 5        x").state == state


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234/nginx: worker   /run/two words", (1234, "nginx: worker", "/run/two words")),
        ("1/init               @/org/x", (1, "init", "@/org/x")),
        ("-                    private/anvil", (None, None, "private/anvil")),
        ("-                    ", (None, None, None)),
        ("77/sd                ", (77, "sd", None)),
        ("1234567/systemd-jou  /run/x", (1234567, "systemd-jou", "/run/x")),
        ("1/a/b: c             /run/x", (1, "a/b: c", "/run/x")),
        ("12345/nineteen chars /run/x  y", (12345, "nineteen chars", "/run/x  y")),
    ],
)
def test_program_and_path_are_told_apart(
    text: str, expected: tuple[int | None, str | None, str | None]
) -> None:
    assert owner(text) == expected
    assert owner(text, heading="") == expected


def test_busybox_leaves_no_blank_before_the_path() -> None:
    assert owner("12345/nineteen chars/run/x", heading=TITLE + BUSYBOX) == (
        12345, "nineteen chars", "/run/x",
    )  # fmt: skip
    assert parsers.parse(TITLE + BUSYBOX).dialect == "busybox"
    assert parsers.parse(TITLE + OWNED).dialect == "net-tools"


def test_without_a_column_of_programs_a_path_may_look_like_one() -> None:
    assert owner("12/x", heading=TITLE + COLUMNS) == (None, None, "12/x")
    assert owner("-", heading=TITLE + COLUMNS) == (None, None, "-")


def test_a_path_never_holds_what_cannot_be_seen_or_stored() -> None:
    path = owner("-                    /run/\x1b[31m\u202e" + "x" * 500)[2]
    assert path is not None
    assert path.isprintable()
    assert len(path) == 255


@pytest.mark.parametrize(
    "line",
    [
        "unix  2      [ ACC ]     STREAM     SLEEPING      16791    /x",
        "unix  2      [ ACC ]     PIPE       LISTENING     16791    /x",
        "unix  2      [ ACC ]     STREAM",
        f"unix  {2**63}      [ ]     STREAM     LISTENING     16791    /x",
        f"unix  2      [ ]         STREAM     LISTENING     {2**63}    /x",
        "unix  2      [ ]         STREAM     LISTENING     16791    99999999999/x",
    ],
)
def test_what_is_no_row_is_rejected_alone(line: str) -> None:
    parsed = parsers.parse(f"{TITLE}{OWNED}{line}\n{HEAD}-\n")
    assert [rejected.line for rejected in parsed.rejected] == [3]
    assert len(parsed.tables.unix) == 1


def test_both_tables_of_one_output_are_read() -> None:
    sockets = "tcp        0      0 10.0.0.5:22             0.0.0.0:*               LISTEN     \n"
    text = f"Active Internet connections (only servers)\n{sockets}{TITLE}{OWNED}{HEAD}-\n"
    parsed = parsers.parse(text * 2)
    assert (len(parsed.sockets), len(parsed.tables.unix), parsed.rejected) == (2, 2, [])
