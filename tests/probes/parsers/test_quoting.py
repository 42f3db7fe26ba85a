"""What tickets, mails and logs put before every line, and what stays untouched."""

from __future__ import annotations

import pytest

from probes.parsers import quoting

LINES = [
    "Active Internet connections (servers and established)",
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State",
    "tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN",
    "",
    "  indented  10.0.0.1",
]
TEXT = "\n".join(LINES)


def stripped(text: str) -> list[str]:
    return [one.text for one in quoting.unquoted(text)]


def put_before(*prefixes: str) -> str:
    """TEXT with the prefixes in turn."""
    return "\n".join(
        (prefixes[number % len(prefixes)] + line).rstrip() for number, line in enumerate(LINES)
    )


@pytest.mark.parametrize(
    "prefixes",
    [
        ["> "], [">"], [">> "], ["> > "], ["  > "], [">>>"],
        ["| "], ["|"], ["\u2502 "],
        ["web1 | "], ["web-1.example.com    | "],
        ["[web1] "], ["[web1]: "], ["[pod/web-1] "], ["web1: "],
        ["1:", "2:", "3:"], ["98-", "99:", "100-"], ["     1\t", "    12\t"], ["1) ", "2) "],
        ["2026-01-31T03:12:05Z ", "2026-01-31T03:12:06.123456Z "],
        ["2026-01-31 03:12:05,123 ", "2026-01-31 03:12:06,001 "],
        ["2026-01-31T03:12:05+00:00 web1 cron[81]: ", "2026-01-31T03:12:06+00:00 web1 cron[81]: "],
        ["[2026-01-31 03:12:05] ", "[2026-01-31 03:12:06] "],
        ["Jan 31 03:12:05 web1 cron[81]: ", "Jan  1 03:12:06 web1 cron[81]: "],
        ["<13>Jan 31 03:12:05 web1 netstat: ", "<13>Jan 31 03:12:06 web1 netstat: "],
        ["03:12:05 ", "03:12:06 "], ["[03:12:05.1] ", "[03:12:05.2] "],
        ["[    5.123456] ", "[12345.123457] "],
        ["    "], ["\t"], ["\t  "],
    ],
)  # fmt: skip
def test_what_every_line_begins_with_is_taken_off(prefixes: list[str]) -> None:
    assert TEXT in stripped(put_before(*prefixes))


def test_the_columns_of_markdown_are_taken_apart() -> None:
    text = (
        "| Proto | Recv-Q | Local Address | State |\n"
        "|:------|-------:|---------------|-------|\n"
        "| tcp   | 0      | `0.0.0.0:22`  | LISTEN |\n"
        "|tcp6|0|:::22||\n"
    )
    assert stripped(text)[0] == (
        "Proto  Recv-Q  Local Address  State\n\ntcp  0  0.0.0.0:22  LISTEN\ntcp6  0  :::22\n"
    )


def test_the_columns_of_a_database_client_are_taken_apart() -> None:
    text = "+-----+---+\n| tcp | 0 | 1 |\n+-----+---+\n| udp | 1 | 2 |\n+-----+---+"
    assert stripped(text)[0] == "\ntcp  0  1\n\nudp  1  2\n"


def test_a_greeting_and_a_signature_stay_as_they_are() -> None:
    quoted = "\n".join(f"> {line}" for line in LINES * 3)
    text = f"Hello,\n{quoted}\n\nregards"
    assert stripped(text) == [f"Hello,\n{chr(10).join(LINES * 3)}\n\nregards"]


def test_the_number_of_lines_stays() -> None:
    for prefix in ("> ", "| ", "web1 | ", "[web1] ", "    "):
        for text in stripped(put_before(prefix)):
            assert text.count("\n") == TEXT.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "",
        "\n\n",
        "> tcp\nudp\n> tcp\nudp",
        "web1 | tcp\nweb2 | tcp\nweb3 | tcp",
        "[web1] tcp\n[web2] tcp",
        "eth0: up\nlo: up\nppp0: up",
        "2026 tcp\n2027 tcp",
    ],
)
def test_mixed_and_plain_text_is_nothing_quoted(text: str) -> None:
    assert stripped(text) == []


@pytest.mark.parametrize(
    "colour",
    ["\\x1b[31m{}\\x1b[0m", "\\x1b[1;38;5;9m\\x1b[K{}\\x1b[m\\x1b[K", "^[[7m{}^[[27m",
     "\x1b[2m{}\x1b[m",
     "\\x1b]8;;https://example.com\\x07{}\\x1b]8;;\\x07", "\\x1b[1m{}\\x1b(B\\x1b[m"],
)  # fmt: skip
def test_the_codes_of_a_terminal_are_taken_off(colour: str) -> None:
    bare = quoting.without_escapes("tcp  0  " + colour.format("LISTEN") + "\n")
    assert bare is not None
    assert bare.text == "tcp  0  LISTEN\n"


def test_a_text_without_codes_has_none_taken_off() -> None:
    assert quoting.without_escapes(TEXT + "\\x1b and \\x07 [31m") is None


@pytest.mark.parametrize(
    "unit",
    ["> ", ">", "|", "| ", "a", "[", "[a", "\\x1b[", "\\x1b]", "^[", "1", "1:", " ", "\t", "a ",
     "a: ", "-", "+-", "|-", "<1>", "2026-01-31 03:12:05 ", "03:12:05", ". "],
)  # fmt: skip
def test_hostile_lines_change_no_number_of_lines(unit: str) -> None:
    """That they take no long time either, the suite's own limit would tell."""
    text = "\n".join([unit * (60_000 // len(unit))] * 40)
    for one in [*quoting.unquoted(text), quoting.without_escapes(text)]:
        assert one is None or one.text.count("\n") == 39
