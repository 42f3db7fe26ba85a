"""What makes jc fail, lose rows or misread them, ours reads: row by row, whatever stands around."""

from __future__ import annotations

from typing import Any

import pytest

from probes import parsers
from probes.parsers import Socket
from tests.probes.parsers.test_jc_oracle import compared, jc_rows, text_of

TITLE = "Active Internet connections (servers and established)\n"
COLUMNS = (
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State       "
    "PID/Program name    \n"
)
HEADER = TITLE + COLUMNS
SSHD = (
    "tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      "
    "812/sshd            \n"
)
UDP = "udp        0      0 0.0.0.0:{port:<15} 0.0.0.0:*                           {program:<20}\n"


def rows(text: str) -> list[tuple[Any, ...]]:
    parsed = parsers.parse(text)
    assert parsed.rejected == []
    return [
        (row.protocol, row.local_port, row.state, row.pid, row.program) for row in parsed.sockets
    ]


@pytest.mark.parametrize("name", ["LISTEN", "LISTENER", "my LISTEN d", "ESTABLISHED", "xLISTENx"])
def test_a_udp_program_may_be_called_like_a_state(name: str) -> None:
    text = HEADER + SSHD + UDP.format(port=53, program=f"99/{name}")
    assert rows(text) == [("tcp", 22, "LISTEN", 812, "sshd"), ("udp", 53, None, 99, name)]


@pytest.mark.parametrize("name", ["my LISTEN d", "wd ESTABLISHED x"])
def test_jc_gives_nothing_at_all_for_such_a_name(name: str) -> None:
    assert jc_rows("netstat", HEADER + SSHD + UDP.format(port=53, program=f"99/{name}")) is None


@pytest.mark.parametrize(
    ("program", "pid", "expected"),
    [("-", None, None), ("4711", 4711, None), ("4711/", 4711, None), ("sshd", None, "sshd")],
)
def test_a_program_column_needs_no_slash(
    program: str, pid: int | None, expected: str | None
) -> None:
    text = HEADER + SSHD + SSHD.replace("812/sshd", program).replace(":22 ", ":23 ")
    assert rows(text) == [
        ("tcp", 22, "LISTEN", 812, "sshd"),
        ("tcp", 23, "LISTEN", pid, expected),
    ]


def test_jc_gives_nothing_at_all_for_a_program_column_without_a_slash() -> None:
    assert jc_rows("netstat", HEADER + SSHD + SSHD.replace("812/sshd", "sshd")) is None


@pytest.mark.parametrize(
    "case", ["linux/netstat--all_families", "linux/ss--captured_states", "linux/ss--one_protocol"]
)
def test_a_fragment_without_its_header_gives_all_of_its_rows(case: str) -> None:
    parser = "netstat" if "netstat" in case else "ss"
    text = text_of(case)
    bare = "\n".join(
        line
        for line in text.split("\n")
        if not line.startswith(("Active", "Proto", "Netid", "State"))
    )
    assert parsers.parse(bare).sockets == parsers.parse(text).sockets
    assert len(parsers.parse(bare).sockets) > 10
    assert not jc_rows(parser, bare)


@pytest.mark.parametrize(
    "odd",
    [
        "udp        0      0 0.0.0.0:68              0.0.0.0:*                           1/LISTEN",
        "tcp        0      0 0.0.0.0:1               0.0.0.0:*               LISTEN      dhcpd",
        "line         ",
        "tcp",
        "\x1b[31mtcp",
    ],
)
def test_one_odd_line_costs_no_other(odd: str) -> None:
    text = HEADER + SSHD * 3 + odd + "\n" + SSHD * 2
    parsed = parsers.parse(text)
    known = Socket("tcp", 0, 0, "0.0.0.0", 22, "0.0.0.0", None, "LISTEN", 812, "sshd")
    assert parsed.sockets.count(known) == 5
    assert len(parsed.sockets) + len(parsed.rejected) == 6


@pytest.mark.parametrize(("kind", "least"), [("sockets of netstat", 20), ("sockets of ss", 5)])
def test_lines_of_real_output_that_jc_cannot_read_are_rows_of_ours(kind: str, least: int) -> None:
    assert len(compared(kind).lost_by_jc) >= least


@pytest.mark.parametrize(
    "case",
    [
        "linux/netstat--captured_states",
        "linux/netstat--captured_extended",
        "linux/netstat--captured_every_table",
        "linux/ss--captured_details",
        "linux/ss--captured_everything",
    ],
)
def test_real_output_of_which_jc_loses_every_row_is_read(case: str) -> None:
    parser = "netstat" if "netstat" in case else "ss"
    assert jc_rows(parser, text_of(case)) is None
    assert len(parsers.parse(text_of(case)).sockets) > 45
