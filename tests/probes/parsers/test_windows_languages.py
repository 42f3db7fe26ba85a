"""One table of Windows in every language and every code page it may arrive in."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Parsed, encoding
from tests.probes.parsers.windows_text import LANGUAGES, UNICODE, table

ARRIVALS = [(name, page) for name, language in LANGUAGES.items() for page in language.pages]
TRANSLATED = ("German", "a language nobody knows")


def without_states(parsed: Parsed) -> list[parsers.Socket]:
    return [
        socket if socket.state in (None, "LISTEN") else socket._replace(state="")
        for socket in parsed.sockets
    ]


ENGLISH = parsers.parse(encoding.decode(table(LANGUAGES["English"]).encode()))


def test_the_english_table_says_what_it_should() -> None:
    assert [(row.protocol, row.local_port, row.state, row.pid) for row in ENGLISH.sockets] == [
        ("tcp", 135, "LISTEN", 1064),
        ("tcp", 49701, "ESTABLISHED", 5120),
        ("tcp", 49833, "TIME_WAIT", None),
        ("tcp", 49834, "CLOSE_WAIT", 7716),
        ("tcp", 49835, "SYN_SENT", 7716),
        ("tcp", 49836, "LAST_ACK", 7716),
        ("tcp", 49837, "FIN_WAIT1", 7716),
        ("tcp6", 135, "LISTEN", 1064),
        ("tcp6", 49861, "FIN_WAIT2", 4),
        ("udp", 5353, None, 2044),
        ("udp6", 5353, None, 2044),
    ]


@pytest.mark.parametrize(("name", "page"), ARRIVALS)
def test_the_same_table_gives_the_same_rows_in_every_language_and_encoding(
    name: str, page: str
) -> None:
    language = LANGUAGES[name]
    text = encoding.decode(table(language).encode(page))
    parsed = parsers.parse(text)
    assert parsed.dialect == "windows"
    assert parsed.rejected == []
    assert (parsed.row_lines, parsed.header_lines, parsed.blank_lines) == (11, 2, 2)
    assert without_states(parsed) == without_states(ENGLISH)
    if name != "a language nobody knows":
        assert parsed.sockets == ENGLISH.sockets


@pytest.mark.parametrize(
    ("name", "page"), [pair for pair in ARRIVALS if pair[1] not in ("gb18030", *UNICODE)]
)
def test_the_words_are_right_as_well_where_the_code_page_is_known(name: str, page: str) -> None:
    language = LANGUAGES[name]
    expected = table(language).replace("\r\n", "\n")
    raw = table(language).encode(page)
    assert encoding.decode(raw, code_page=page) == expected
    assert encoding.decode(raw) == expected


@pytest.mark.parametrize("page", ["cp936", "cp950", "cp932", "cp949", "cp850", "cp866", "cp1252"])
@pytest.mark.parametrize("name", ["German", "Simplified Chinese", "Japanese", "Russian"])
def test_a_wrong_code_page_spoils_no_number(name: str, page: str) -> None:
    """The console may say one page and print in another."""
    raw = table(LANGUAGES[name]).encode(LANGUAGES[name].pages[0])
    parsed = parsers.parse(encoding.decode(raw, code_page=page))
    assert without_states(parsed) == without_states(ENGLISH)
    assert parsed.rejected == []


def test_of_an_unknown_state_the_word_is_kept() -> None:
    parsed = parsers.parse(table(LANGUAGES["a language nobody knows"]).replace("\r", ""))
    states = [(row.state, dict(parsed.tables.details[at].more)) for at, row in
              enumerate(parsed.sockets) if at in parsed.tables.details]  # fmt: skip
    assert states == [
        ("LISTEN", {"state": "HLUSTAR Á"}),
        ("UNKNOWN", {"state": "TENGD"}),
        ("UNKNOWN", {"state": "BÍÐR"}),
        ("LISTEN", {"state": "HLUSTAR Á"}),
    ]


def test_two_languages_in_one_text_are_two_tables() -> None:
    names = ("a language nobody knows", "Japanese", "a language nobody knows")
    text = "".join(table(LANGUAGES[name]) for name in names).replace("\r", "")
    parsed = parsers.parse(text)
    assert parsed.rejected == []
    assert (parsed.row_lines, parsed.header_lines) == (33, 6)


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name not in TRANSLATED])
def test_a_table_without_rows_is_one_in_the_languages_known_here(name: str) -> None:
    parsed = parsers.parse(table(LANGUAGES[name], ()).replace("\r", ""))
    assert parsed.found == ("sockets",)
    assert (parsed.sockets, parsed.rejected) == ([], [])
