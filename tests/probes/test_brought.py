"""Text that a person brought: quoted, or one output after the other; plain text stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from probes import brought, parsers
from probes.parsers import document
from probes.parsers.records import ParseError
from tests.probes.history.played import LISTENER, line, table

FIXTURES = sorted((Path(__file__).resolve().parents[1] / "fixtures").glob("*/*.out"))
ROUTES = (
    "Kernel IP routing table\n"
    "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
    "0.0.0.0         192.0.2.1       0.0.0.0         UG    0      0        0 eth0\n"
)
TEXT = table(LISTENER, line())

FORMS: dict[str, Callable[[int], str]] = {
    "mail": lambda number: "> ",
    "mail, tight": lambda number: ">>",
    "grep": lambda number: f"{number}:",
    "compose": lambda number: "web1  | ",
    "log": lambda number: f"2026-01-31T03:12:{number % 60:02}Z web1 cron[81]: ",
}


def quoted(text: str, form: str) -> str:
    before = FORMS[form]
    return "\n".join(before(number) + one for number, one in enumerate(text.split("\n"), 1))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_known_output_is_the_same_quoted(path: Path) -> None:
    text = parsers.decode(path.read_bytes())
    wide = bool(json.loads(path.with_suffix(".json").read_text()).get("wide"))
    try:
        plain = parsers.parse(text, wide=wide)
    except ParseError:
        with pytest.raises(ParseError):
            brought.understand(text, wide=wide)
        return
    assert brought.understand(text, wide=wide).text == text
    tables = document.document(plain)["tables"]
    for form in FORMS:
        again = brought.understand(quoted(text, form), wide=wide)
        assert document.document(again.parsed)["tables"] == tables, form
        assert [one.line for one in again.parsed.rejected] == [
            one.line for one in plain.rejected
        ], form
        assert any(word in again.parsed.tables.remarks[-1] + again.parsed.tables.remarks[0]
                   for word in ("taken off", "several")), form  # fmt: skip


def test_it_is_said_what_was_taken_off() -> None:
    understood = brought.understand(quoted(TEXT, "mail"))
    assert understood.text.split("\n")[: TEXT.count("\n")] == TEXT.split("\n")[:-1]
    assert understood.parsed.tables.remarks == [
        "the lines began with >, as quoted mail does, which was taken off"
    ]


def test_colours_are_taken_off_within_quotes_too() -> None:
    red = TEXT.replace("LISTEN", "\\x1b[01;31m\\x1b[KLISTEN\\x1b[m\\x1b[K")
    for text in (red, quoted(red, "mail")):
        parsed = brought.understand(text).parsed
        assert [row.state for row in parsed.sockets] == ["LISTEN", "ESTABLISHED"]
        assert parsed.tables.remarks[0] == "colours and other codes of a terminal were taken off"
        assert not parsed.rejected


def test_codes_in_the_name_of_a_program_stay_where_nothing_is_quoted() -> None:
    text = table(line(holder="9/\\x1b[31mred"))
    assert brought.understand(text).text == text
    assert brought.understand(text).parsed.sockets[0].program == "\\x1b[31mred"
    again = brought.understand(quoted(text, "mail"))
    assert again.parsed.sockets[0].program == "\\x1b[31mred"


def test_rejected_lines_keep_the_number_they_had() -> None:
    text = "Look at this:\n" + quoted(TEXT + "odd\n", "mail") + "\n"
    understood = brought.understand(text)
    told = [(one.line, one.text) for one in understood.parsed.rejected]
    assert told == [(1, "Look at this:"), (TEXT.count("\n") + 2, "odd")]
    assert understood.parsed.lines == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        TEXT + "> a remark\n> of somebody\n",
        quoted(TEXT, "mail") + "\n" + "\n".join([*TEXT.split("\n")] * 3),
    ],
)
def test_mixed_text_stays_untouched(text: str) -> None:
    assert brought.understand(text).text == text
    assert not any(
        "taken off" in remark for remark in brought.understand(text).parsed.tables.remarks
    )


@pytest.mark.parametrize(
    "text", ["> hello\n> world\n", "", "\\x1b[31mred\\x1b[m", "| a | b | c |\n"]
)
def test_what_is_no_table_is_none_unquoted_either(text: str) -> None:
    with pytest.raises(ParseError):
        brought.understand(text)


# --- one output after the other -------------------------------------------------------------------


def listening(*ports: int) -> str:
    return table(*(line(f"0.0.0.0:{port}", "0.0.0.0:*", "LISTEN", "8/x") for port in ports))


def test_several_tables_are_told_and_the_newest_is_the_last() -> None:
    text = listening(22, 80) + listening(22, 81)
    understood = brought.understand(text)
    assert brought.is_several(understood.parsed)
    assert len(understood.parsed.sockets) == 4
    assert brought.newest(text) == listening(22, 81)


def test_what_stands_before_and_behind_the_tables_is_kept() -> None:
    text = ROUTES + "\n" + listening(22) + listening(23) + "\n" + ROUTES
    assert brought.newest(text) == ROUTES + "\n" + listening(23) + "\n" + ROUTES


def test_tables_of_different_sockets_are_no_repetition() -> None:
    ss = "State  Recv-Q Send-Q Local Address:Port Peer Address:Port\n"
    title = "Active Internet connections (servers and established)\n"
    columns = "Proto Recv-Q Send-Q Local Address           Foreign Address         State\n"
    for text in (
        f"{ss}LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n{ss}ESTAB 0 0 10.0.0.1:22 10.0.0.2:99\n",
        f"{title}{columns}tcp 0 0 0.0.0.0:22 0.0.0.0:* LISTEN\n"
        f"{title}{columns}udp 0 0 0.0.0.0:53 0.0.0.0:*\n",
    ):
        assert not brought.is_several(brought.understand(text).parsed)
        assert brought.newest(text) == text


def test_a_single_table_is_no_repetition() -> None:
    for text in (TEXT, TEXT + ROUTES + ROUTES):
        assert not brought.is_several(brought.understand(text).parsed)
        assert brought.newest(text) == text


def test_a_table_of_windows_may_be_repeated_too() -> None:
    once = (
        "\nActive Connections\n\n"
        "  Proto  Local Address          Foreign Address        State           PID\n"
        "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       896\n"
    )
    assert brought.is_several(brought.understand(once * 2).parsed)
    assert len(parsers.parse(brought.newest(once * 3)).sockets) == 1


def test_of_very_many_tables_the_last_is_the_newest() -> None:
    text = listening(22) * 3_000 + listening(23)
    assert brought.newest(text) == listening(23)
