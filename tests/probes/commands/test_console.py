"""What tables, JSON and sentences look like in a pipe and in a terminal, whatever they hold."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from probes import console
from probes.console import Column, Console, named

HOSTILE = "\x1b[2J\x9b31m\u202ex [red]y[/red] :smile:\r\n\x07"
ESC = "\x1b"
COLUMNS = (
    named("name", "name"),
    named("count", "count", number=True, least=1),
    named("state", "state", colours=console.STATES),
    named("long", "long", least=2),
)
ROWS: list[dict[str, Any]] = [
    {"name": "a", "count": 5, "state": "LISTEN", "long": "x" * 30},
    {"name": "\N{CJK UNIFIED IDEOGRAPH-4E2D}b", "count": 1234, "state": None, "long": ""},
]


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``drawn(columns, rows, width=120, **environment)``: what a terminal shows, and is told."""

    def draw(columns: Any, rows: Any, *, width: int = 120, **environment: str) -> tuple[str, str]:
        for name in ("NO_COLOR", "TERM", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": str(width), **environment}.items():
            monkeypatch.setenv(name, value)
        out, told = Terminal(), io.StringIO()
        Console(OutputWrapper(out), OutputWrapper(told)).table(columns, rows)
        return out.getvalue(), told.getvalue()

    return draw


def piped(columns: Any, rows: Any) -> str:
    out = io.StringIO()
    Console(OutputWrapper(out), OutputWrapper(io.StringIO())).table(columns, rows)
    return out.getvalue()


def test_a_pipe_gets_one_line_a_row_with_all_columns() -> None:
    assert piped(COLUMNS, ROWS).splitlines() == [
        "name  count  state   long",
        "a         5  LISTEN  " + "x" * 30,
        "\N{CJK UNIFIED IDEOGRAPH-4E2D}b    1234  -       -",
    ]


def test_a_terminal_gets_the_same_words_in_colour(drawn: Any) -> None:
    shown, told = drawn(COLUMNS, ROWS)

    assert f"{ESC}[36mLISTEN{ESC}[0m" in shown
    assert "x" * 30 in shown
    assert told == ""


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_is_no_escape_code_at_all(drawn: Any, environment: dict[str, str]) -> None:
    shown, _told = drawn(COLUMNS, ROWS, **environment)

    assert "LISTEN" in shown
    assert ESC not in shown


def test_an_empty_no_color_is_none(drawn: Any) -> None:
    assert ESC in drawn(COLUMNS, ROWS, NO_COLOR="")[0]


def test_what_does_not_fit_is_left_out_and_said_least_wanted_first(drawn: Any) -> None:
    shown, told = drawn(COLUMNS, ROWS, width=40, NO_COLOR="1")
    assert shown.splitlines()[0].split() == ["name", "count", "state"]
    assert told == "Too narrow for: long.\n"

    shown, told = drawn(COLUMNS, ROWS, width=5, NO_COLOR="1")
    assert shown.splitlines()[0].split() == ["name", "state"]
    assert [line.split() for line in shown.splitlines()[2:]] == [
        ["a", "LISTEN"],
        ["\N{CJK UNIFIED IDEOGRAPH-4E2D}b", "-"],
    ]
    assert told == "Too narrow for: count, long.\n"


def test_a_terminal_shows_no_column_of_which_nothing_is_known(drawn: Any) -> None:
    shown, told = drawn(COLUMNS, [ROWS[0] | {"long": None}])

    assert "long" not in shown
    assert told == ""


@pytest.mark.parametrize("width", [10, 200])
def test_hostile_text_is_written_out_in_a_terminal(drawn: Any, width: int) -> None:
    shown, _told = drawn((named("name", "name"),), [{"name": HOSTILE}], width=width, NO_COLOR="1")

    assert r"\x1b[2J\x9b31m\u202ex [red]y[/red] :smile:\x0d\x0a\x07" in shown
    assert [each for each in shown if not each.isprintable() and each != "\n"] == []


def test_hostile_text_is_written_out_in_a_pipe_and_in_sentences() -> None:
    out, told = io.StringIO(), io.StringIO()
    shown = Console(OutputWrapper(out), OutputWrapper(told))
    shown.table((named("name", "name"),), [{"name": HOSTILE}])
    shown.tell(HOSTILE)
    shown.warn(HOSTILE)

    for text in (out.getvalue(), told.getvalue()):
        assert [each for each in text if not each.isprintable() and each != "\n"] == []
        assert r"\x1b[2J" in text


def test_json_is_inert_and_means_the_same() -> None:
    out = io.StringIO()
    value = {
        "name": HOSTILE,
        "\x9bkey": ["\x7f", "\ud800", "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve"],
    }
    Console(OutputWrapper(out), OutputWrapper(io.StringIO())).json(value)

    text = out.getvalue()
    assert [each for each in text if not each.isprintable() and each != "\n"] == []
    assert "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve" in text
    assert json.loads(text) == value


def test_a_long_cell_is_cut_in_tables_only() -> None:
    long = "y" * 5000
    out = io.StringIO()
    shown = Console(OutputWrapper(out), OutputWrapper(io.StringIO()))
    shown.table((named("name", "name"),), [{"name": long}])
    assert len(out.getvalue().splitlines()[1]) == console.MAX_CELL_CHARS
    shown.json({"name": long})
    assert long in out.getvalue()


def test_a_table_of_100_000_rows_is_written_in_pieces() -> None:
    class Counting(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    out = Counting()
    rows = [{"name": str(number)} for number in range(100_000)]
    Console(OutputWrapper(out), OutputWrapper(io.StringIO())).table((named("name", "name"),), rows)

    assert out.getvalue().count("\n") == 100_001
    assert 1 < out.writes < 1_000


def test_ends_are_written_so_that_a_port_is_no_part_of_an_address() -> None:
    assert console.endpoint("10.0.0.1", 22) == "10.0.0.1:22"
    assert console.endpoint("2001:db8::1", 22) == "[2001:db8::1]:22"
    assert console.endpoint(None, None) == "*:*"
    assert console.endpoint("0.0.0.0", None) == "0.0.0.0:*"


def test_lists_objects_and_truths_are_said_in_few_words() -> None:
    assert console.said([1, 2]) == "1, 2"
    assert console.said({"id": 3, "name": "web1"}) == "web1"
    assert console.said({"LISTEN": 3, "CLOSE": 1}) == "LISTEN 3 CLOSE 1"
    assert (console.said(True), console.said(None)) == ("yes", None)


def test_progress_is_drawn_in_a_terminal_and_one_sentence_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = io.StringIO()
    with Console(OutputWrapper(io.StringIO()), OutputWrapper(told)).progress("x\x1b", 2) as advance:
        advance("")
        advance("1 failed")
    assert told.getvalue() == "x\\x1b ...\n"

    quiet = io.StringIO()
    shown = Console(OutputWrapper(io.StringIO()), OutputWrapper(quiet), quiet=True)
    with shown.progress("probing", 1) as advance:
        advance("")
    assert quiet.getvalue() == ""

    monkeypatch.setenv("TERM", "xterm")
    bar = Terminal()
    monkeypatch.setattr("sys.stderr", bar)
    shown = Console(OutputWrapper(io.StringIO()), OutputWrapper(bar))
    with shown.progress("probing [red]x[/red]", 2) as advance:
        advance("1 failed")
    assert "probing [red]x[/red], 1 failed" in bar.getvalue()
    assert "1/2" in bar.getvalue()


def test_a_cell_may_be_anything_that_has_words() -> None:
    column = Column("sum", lambda row: row["a"] + row["b"], number=True)

    assert piped((column,), [{"a": 1, "b": 2}, {"a": 0, "b": 0}]).split() == ["sum", "3", "0"]
