"""Whatever comes in, every line is (part of) a row, a header, a blank or a rejected line.

What holds of any text is said in ``tests.fuzz.invariants``, for these tests and the fuzz target.
"""

from __future__ import annotations

import gc
import json
import random
import threading
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.netstat_text import Tool, churn, generate
from probes import parsers
from probes.parsers import Parsed, ParseError
from tests.fuzz.invariants import check_parsed, check_text

FOLDER = Path(__file__).parents[2] / "fixtures"
TEXTS = [parsers.decode(path.read_bytes()) for path in sorted(FOLDER.glob("*/*--*.out"))]
REAL_LINES = sorted({line for text in TEXTS for line in text.split("\n") if len(line) < 1000})
HEADERS = {
    "net-tools": "Active Internet connections (servers and established)\n",
    "ss": "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n",
}
ODD = ' \t:.*/-%[]()"0123456789abfLISTENudp6\x00\x1b\u2028\u202eü'


def sections() -> list[str]:
    """The fixtures in pieces that begin where a table begins."""
    found = []
    for text in TEXTS:
        lines = text.split("\n")
        starts = [0] + [
            at for at, line in enumerate(lines) if at and not lines[at - 1].strip() and line.strip()
        ]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            found.append("\n".join(lines[start : min(end, start + 40)]))
    return found


SECTIONS = sections()


@given(st.text())
def test_any_text_is_read_or_refused_as_a_whole(text: str) -> None:
    check_text(text)


@given(st.sampled_from(sorted(HEADERS.values())), st.text())
def test_any_text_under_a_header_is_accounted_for(header: str, text: str) -> None:
    assert check_text(header + text) is not None


@given(st.binary())
def test_any_bytes_become_text_that_can_be_stored(raw: bytes) -> None:
    text = parsers.decode(raw)
    assert "\x00" not in text
    kept = text.replace("\t", "").replace("\n", "")
    assert not {unicodedata.category(char) for char in kept} & {"Cc", "Cs"}
    text.encode()
    check_text(text)


@given(st.lists(st.sampled_from(SECTIONS), min_size=1, max_size=4), st.booleans())
def test_tables_of_all_dialects_in_any_order_are_accounted_for(
    some: list[str], blank_between: bool
) -> None:
    check_text(("\n\n" if blank_between else "\n").join(some))


@given(
    st.sampled_from(TEXTS),
    st.randoms(use_true_random=False),
    st.sampled_from(["shuffled", "cut", "thinned", "doubled", "indented"]),
)
def test_real_output_with_its_lines_disturbed_is_accounted_for(
    text: str, source: random.Random, how: str
) -> None:
    lines = text.split("\n")[:80]
    if how == "shuffled":
        source.shuffle(lines)
    elif how == "cut":
        lines = [line[: source.randrange(len(line) + 1)] for line in lines]
    elif how == "thinned":
        lines = [line for line in lines if source.random() < 0.7]
    elif how == "doubled":
        lines = [line for line in lines for _ in range(source.choice((1, 1, 2)))]
    else:
        lines = [source.choice(("", " ", "\t")) + line for line in lines]
    check_text("\n".join(lines))


@given(
    st.sampled_from(SECTIONS),
    st.integers(0, 39),
    st.integers(0, 120),
    st.integers(0, 30),
    st.text(alphabet=st.sampled_from(ODD)) | st.text(max_size=5),
)
def test_a_table_with_something_in_it_changed_is_accounted_for(
    section: str, row: int, at: int, cut: int, put: str
) -> None:
    lines = section.split("\n")
    line = lines[row % len(lines)]
    lines[row % len(lines)] = line[:at] + put + line[at + cut :]
    check_text("\n".join(lines))


@given(
    st.sampled_from(REAL_LINES),
    st.integers(0, 120),
    st.integers(0, 30),
    st.text(alphabet=st.sampled_from(ODD)) | st.text(max_size=5),
    st.sampled_from(sorted(HEADERS)),
)
def test_real_lines_with_something_changed_are_accounted_for(
    line: str, at: int, cut: int, put: str, dialect: str
) -> None:
    changed = line[:at] + put + line[at + cut :]
    assert check_text(HEADERS[dialect] + changed) is not None
    changed_lines = changed.split("\n")
    alone = parsers.parse_lines(changed_lines, dialect)
    backwards = parsers.parse_lines(changed_lines[::-1], dialect)
    assert sorted(map(repr, alone.sockets)) == sorted(map(repr, backwards.sockets))
    assert sorted(alone.rejected) == sorted(backwards.rejected)


@given(st.lists(st.sampled_from(REAL_LINES)), st.sampled_from(sorted(HEADERS)))
def test_lines_in_any_order_give_what_each_gives_alone(lines: list[str], dialect: str) -> None:
    together = parsers.parse_lines(lines, dialect)
    alone = [parsers.parse_lines([line], dialect) for line in lines]
    assert together.sockets == [socket for one in alone for socket in one.sockets]
    assert together.rejected == [rejected for one in alone for rejected in one.rejected]
    assert together.header_lines == sum(one.header_lines for one in alone)
    assert together.blank_lines == sum(one.blank_lines for one in alone)


@pytest.mark.parametrize("tool", ["netstat", "ss"])
def test_generated_tables_are_read_whole_and_change_as_much_as_asked(tool: Tool) -> None:
    text = generate(3000, 7, tool=tool)
    assert text == generate(3000, 7, tool=tool)
    assert text != generate(3000, 8, tool=tool)
    later = churn(text, 0.1, 1)
    assert later == churn(text, 0.1, 1)
    before, after = set(text.split("\n")), set(later.split("\n"))
    assert len(before - after) == len(after - before) == 300
    for each in (text, later, churn(later, 0.5, 2)):
        result = parsers.parse(each)
        check_parsed(result, each)
        assert (len(result.sockets), result.rejected) == (3000, [])


def test_the_account_of_a_large_text_is_in_its_order() -> None:
    lines = generate(2000, 1).split("\n")[:-1]
    lines[500:500] = ["rubbish one", "", "rubbish two"]
    lines += ["rubbish at the end"]
    text = "\n".join(lines)
    result = parsers.parse(text)
    check_parsed(result, text)
    assert [(line.line, line.text) for line in result.rejected] == [
        (501, "rubbish one"),
        (503, "rubbish two"),
        (len(lines), "rubbish at the end"),
    ]
    assert parsers.parse(text + "\n") == result


def test_lines_end_at_newlines_and_nowhere_else() -> None:
    row = "tcp 0 0 1.2.3.4:5 1.2.3.4:6 LISTEN 1/a\u2028tcp 0 0 1.2.3.4:5 1.2.3.4:7 LISTEN 2/b"
    text = f"{HEADERS['net-tools']}{row}\n\x0c\n\x85\n"
    result = parsers.parse(text)
    assert (result.lines, len(result.sockets), result.blank_lines) == (4, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        "bash: netstat: command not found\n",
        "Active Connections\n",
        "tcp",
        "tcp 1",
    ],
)
def test_what_is_no_socket_table_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(ParseError):
        parsers.parse(text)
    assert parsers.identify(text) is None


def test_a_million_lines_are_refused_as_a_whole() -> None:
    with pytest.raises(ParseError, match="more than 1,000,000 lines"):
        parsers.parse(HEADERS["ss"] + "x\n" * 1_000_000)


def test_loose_lines_of_an_unknown_dialect_are_refused() -> None:
    with pytest.raises(ParseError):
        parsers.parse_lines(["x"], "windows")


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("tcp        0      0 0.0.0.0:22    0.0.0.0:*    LISTEN      1/sshd", "net-tools"),
        ("udp6       0      0 :::53         :::*                     1/dns", "net-tools"),
        (f"sctp                {'0.0.0.0:3868':<47} LISTEN", "net-tools"),
        ("udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*", "ss"),
        ("tcpFIN-WAIT-20 0 10.0.0.1:68 10.0.0.2:99", "ss"),
        (HEADERS["ss"], "ss"),
        (HEADERS["net-tools"], "net-tools"),
        ("Welcome to host!\n\n" + HEADERS["net-tools"], "net-tools"),
    ],
)
def test_the_dialect_is_told_by_content_with_and_without_a_header(text: str, dialect: str) -> None:
    assert parsers.identify(text) == dialect
    assert parsers.parse(text).dialect == dialect


def test_a_long_banner_does_not_hide_the_table() -> None:
    text = "All access is logged.\n" * 5000 + HEADERS["ss"]
    assert parsers.parse(text).dialect == "ss"


def test_hostile_lines_take_no_time_that_grows_with_their_square() -> None:
    pieces = [
        " ",
        '("',
        "users:((",
        "a 1 ",
        "off (",
        "tcp ",
        "0 ",
        ":",
        "::",
        "[",
        "%",
        "1.",
        "`- ",
    ]
    heads = ["", "tcp 0 0 1.2.3.4:5 1.2.3.4:6 LISTEN ", "tcp ESTAB 0 0 1.2.3.4:5 1.2.3.4:6 "]
    lines = [head + piece * (60_000 // len(piece)) for head in heads for piece in pieces]
    for header in HEADERS.values():
        text = header + "\n".join(lines)
        check_parsed(parsers.parse(text), text)
        check_parsed(parsers.parse_sockets(text), text)


def titled_rows() -> dict[str, str]:
    """Every heading in the fixtures, each with the line below it."""
    found: dict[str, str] = {}
    for text in TEXTS:
        lines = text.split("\n")
        for heading, row in pairwise(lines):
            if row.strip() and len(row) < 1000 and heading not in found and is_heading(heading):
                found[heading] = row
    return found


def is_heading(line: str) -> bool:
    try:
        return parsers.parse(line).header_lines == 1
    except ParseError:
        return False


def test_no_table_takes_time_that_grows_with_the_square_of_a_line() -> None:
    """Each kind of row with a part of it far too long: minutes, if a pattern went back and forth
    over it."""
    chars = 60_000
    for heading, row in titled_rows().items():
        words = row.split()
        longest = max(words, key=len)
        for line in (
            row.replace(longest, longest * (chars // len(longest)), 1),
            (row + " ") * (chars // (len(row) + 1)),
            row[: len(row) // 2] + " " * chars + row[len(row) // 2 :],
            row.replace(words[-1], (words[-1] + " ") * (chars // (len(words[-1]) + 1))),
            words[0] + " " * (chars // 2) + "\t" * (chars // 2),
            row.replace(words[0], words[0] * (chars // len(words[0])), 1),
        ):
            text = f"{heading}\n{line}"
            check_parsed(parsers.parse(text), text)


def test_the_garbage_collector_is_on_again_after_parsing() -> None:
    text = generate(4000, 1)
    assert gc.isenabled()
    parsers.parse(text)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        parsers.parse_lines((str(1 // number) for number in (1, 0)), "ss")
    assert gc.isenabled()
    gc.disable()
    try:
        parsers.parse(text)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_many_threads_parse_at_once_and_leave_the_collector_on() -> None:
    text = generate(4000, 1)
    expected = parsers.parse(text)
    results: list[Parsed] = []
    threads = [
        threading.Thread(target=lambda: results.append(parsers.parse(text))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert gc.isenabled()


def test_rows_can_be_sent_as_json() -> None:
    for text in TEXTS:
        json.dumps(parsers.parse(text).sockets)
