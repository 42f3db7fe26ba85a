"""Whatever comes in where Windows is expected, every line is accounted for, in linear time."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from probes import parsers
from probes.parsers import Parsed, ParseError
from probes.parsers.encoding import decode
from probes.parsers.records import TCP_STATES

FOLDER = Path(__file__).parents[2] / "fixtures" / "windows"
RAW = [path.read_bytes() for path in sorted(FOLDER.glob("*.out"))]
LINES = sorted({line for raw in RAW for line in decode(raw).split("\n")})
PRINTABLE = st.text(st.characters(exclude_characters="\n"), max_size=8)


def check(text: str) -> Parsed | None:
    try:
        parsed = parsers.parse(text)
    except ParseError:
        return None
    assert parsed.lines == len(text.removesuffix("\n").split("\n"))
    assert parsed.lines == (
        parsed.row_lines + parsed.header_lines + parsed.blank_lines + len(parsed.rejected)
    )
    tables = parsed.tables
    for socket in tables.sockets:
        assert socket.state is None or socket.state in TCP_STATES
        assert socket.local_ip.isprintable()
        assert socket.foreign_ip.isprintable()
        assert socket.program is None or socket.program.isprintable()
        assert socket.pid is None or 0 < socket.pid < 2**31
    assert set(tables.details) <= set(range(len(tables.sockets)))
    for details in tables.details.values():
        assert all(text.isprintable() and 0 < len(text) <= 255 for _, text in details.more)
    for interface in tables.interfaces:
        assert interface.name.isprintable()
    for counters in tables.protocols.values():
        assert all(0 <= value < 2**63 and name.isprintable() for name, value in counters.items())
    for name in tables.processes.values():
        assert name.isprintable()
    return parsed


@given(st.lists(st.sampled_from(LINES)))
def test_lines_of_all_tables_in_any_order_are_accounted_for(lines: list[str]) -> None:
    check("\n".join(lines))


@given(
    st.lists(
        st.tuples(st.sampled_from(LINES), st.integers(0, 90), st.integers(0, 20), PRINTABLE),
        min_size=1,
    )
)
def test_changed_lines_are_accounted_for(changes: list[tuple[str, int, int, str]]) -> None:
    check("\n".join(line[:at] + put + line[at + cut :] for line, at, cut, put in changes))


@given(st.sampled_from(RAW), st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 50))
def test_changed_bytes_are_accounted_for(raw: bytes, at: int, put: bytes, cut: int) -> None:
    check(decode(raw[:at] + put + raw[at + cut :]))


def test_hostile_lines_take_no_time_that_grows_with_their_square() -> None:
    pieces = (
        " ", "\t", "a ", "1 ", "0.0.0.0 ", ":", "a:", "=", "= ", '"', '","', "00 ", ".", "[",
        "  a", "é", "TCP ", "1.1.1.1:1 ", "::1/1 ", "1  1  ",
    )  # fmt: skip
    heads = (
        "",
        "  ",
        "  TCP    0.0.0.0:135  0.0.0.0:0  ",
        "  TCP    ",
        "  UDP    0.0.0.0:135  *:*  ",
        '"svchost.exe","1064",',
        "          0.0.0.0          0.0.0.0 ",
        " 12    291 ::/0    ",
        " 12...00 15 5d 01 02 03 ...",
        "Bytes      1   ",
        "  Messages      1   ",
        "  Packets Received     ",
    )
    hostile = [head + piece * (60_000 // len(piece)) for head in heads for piece in pieces]
    for case in ("netstat--es_english", "netstat--routes_english", "netstat--anob_english"):
        table = decode((FOLDER / f"{case}.out").read_bytes())
        assert check(table + "\n".join(hostile)) is not None


def test_no_line_of_another_system_is_taken_for_windows() -> None:
    for path in FOLDER.parent.glob("*/*.out"):
        if path.parent != FOLDER:
            assert "windows" not in parsers.parse(decode(path.read_bytes())).dialect, path.name


def test_every_output_of_windows_is_known_as_one() -> None:
    for raw in RAW:
        assert parsers.parse(decode(raw)).dialect == "windows"
