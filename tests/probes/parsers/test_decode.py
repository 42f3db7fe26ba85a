"""Bytes of a command's output made text that can be stored."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import encoding


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain\nlines\n", "plain\nlines\n"),
        ("café ☕ 网络".encode(), "café ☕ 网络"),
        (b"a\r\nb\r\r\nc\r", "a\nb\nc"),
        (b"a\rb\n", "a\\x0db\n"),
        (b"\x00\x1b[31m\x7f\x08", "\\x00\\x1b[31m\\x7f\\x08"),
        (b"tab\there", "tab\there"),
        (b"\xff\xfe ok \xc3", "\\xff\\xfe ok \\xc3"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ("\x85\x9b\u2028".encode(), "\\x85\\x9b\u2028"),
        (b"\x9b", "\\x9b"),
        (b"", ""),
    ],
)
def test_what_cannot_be_stored_is_written_out(raw: bytes, text: str) -> None:
    assert parsers.decode(raw) == text


def test_a_nul_in_a_program_name_is_written_out_in_the_row() -> None:
    raw = b"tcp 0 0 1.2.3.4:5 1.2.3.4:6 LISTEN 1/a\x00b\xff\x1b[0m \r\n"
    (socket,) = parsers.parse(parsers.decode(raw)).sockets
    assert socket.program == "a\\x00b\\xff\\x1b[0m"


ROW = "  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1064\r\n"
LINUX = b"tcp  0  0 0.0.0.0:22  0.0.0.0:*  LISTEN  12/caf\xe9\n"


def test_bytes_that_are_no_text_stay_so_where_nothing_looks_like_windows() -> None:
    assert parsers.decode(LINUX) == "tcp  0  0 0.0.0.0:22  0.0.0.0:*  LISTEN  12/caf\\xe9\n"


@pytest.mark.parametrize("page", ["cp850", "cp437", "cp1252"])
def test_a_row_of_windows_is_read_in_the_page_its_words_are_in(page: str) -> None:
    assert parsers.decode(ROW.encode(page)) == ROW.replace("\r", "")


@pytest.mark.parametrize(
    ("text", "page"),
    [
        (
            "  TCP    一二三四五的国家  \n  TCP    0.0.0.0:1   0.0.0.0:0   中国人民的家园  4\n",
            "cp936",
        ),
        ("  TCP    0.0.0.0:1   0.0.0.0:0   ひらがなとカタカナです  4\n", "cp932"),
        ("  TCP    0.0.0.0:1   0.0.0.0:0   대한민국의사람들이  4\n", "cp949"),
        ("  TCP    0.0.0.0:1   0.0.0.0:0   прослушивание порта  4\n", "cp866"),
        ("  TCP    0.0.0.0:1   0.0.0.0:0   ÉCOUTÉ  4\n", "cp1252"),
    ],
)
def test_words_not_known_are_guessed_by_their_bytes(text: str, page: str) -> None:
    assert parsers.decode(text.encode(page)) == text


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_unicode_is_known_without_being_told(codec: str) -> None:
    assert parsers.decode((ROW * 3).encode(codec)) == (ROW * 3).replace("\r", "")
    assert parsers.decode((ROW * 3).encode(codec)[:-1]).startswith("  TCP    0.0.0.0:135")


def test_control_characters_of_any_encoding_are_written_out() -> None:
    row = "  TCP    0.0.0.0:1   0.0.0.0:0   ABHÖREN  \x1b[31m\x9b\x00\r\n"
    shown = "  TCP    0.0.0.0:1   0.0.0.0:0   ABHÖREN  \\x1b[31m\\x9b\\x00\n"
    assert parsers.decode(row.encode("utf-16")) == shown
    told = parsers.decode(b"\x1b\x07\x99\r\r\n", code_page="cp850")
    assert told == "\\x1b\\x07Ö\n"


def test_half_a_pair_of_utf16_is_written_out() -> None:
    raw = ("  TCP  0.0.0.0:1".encode("utf-16-le")) + b"\x00\xd8" + "abc".encode("utf-16-le")
    text = parsers.decode(raw)
    text.encode()
    assert text.startswith("  TCP  0.0.0.0:1\\x00\\xd8")


def test_a_code_page_that_was_told_is_believed() -> None:
    """These bytes are UTF-8 by chance: the well-known two characters that were once lost so."""
    raw = "联通".encode("cp936")
    assert parsers.decode(raw, code_page="cp936") == "联通"
    assert parsers.decode(LINUX, code_page="cp1252").endswith("/café\n")
    assert parsers.decode("网络".encode(), code_page="utf-8") == "网络"
    assert parsers.decode("网络".encode("utf-8-sig"), code_page="cp936") == "网络"
    assert parsers.decode("网络".encode(), code_page="no such page") == "网络"
    assert parsers.decode(b"\xc8", code_page="cp936") == "\\xc8"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\rb\rc", "a\nb\nc"),
        (b"a\r\rb\r", "a\nb\n"),
        ("ä\rb\r".encode(), "ä\nb\n"),
        ("Routen 1234567890\r".encode("utf-16"), "Routen 1234567890\n"),
        (b"a\rb\n", "a\\x0db\n"),
    ],
)
def test_where_there_is_no_line_feed_a_carriage_return_ends_a_line(raw: bytes, text: str) -> None:
    assert parsers.decode(raw) == text


def test_a_table_of_lines_that_end_with_carriage_returns_is_read() -> None:
    row = b"tcp        0      0 10.0.0.5:22             10.0.0.9:50000          ESTABLISHED"
    parsed = parsers.parse(parsers.decode(b"Active Internet connections\r" + row + b"\r" + row))
    assert (len(parsed.sockets), parsed.header_lines, parsed.rejected) == (2, 1, [])


@pytest.mark.parametrize(
    ("raw", "page"),
    [
        (b"Active code page: 936\r\n", "cp936"),
        ("活动代码页: 936\r\n".encode("cp936"), "cp936"),
        ("使用中的字碼頁: 950\r\n".encode("cp950"), "cp950"),
        ("現在のコード ページ: 932\r\n".encode("cp932"), "cp932"),
        (b"Aktive Codepage: 850.\r\n", "cp850"),
        ("Page de codes active : 850\r\n".encode("cp850"), "cp850"),
        ("Текущая кодовая страница: 866\r\n".encode("cp866"), "cp866"),
        (b"Active code page: 65001\r\n", "utf-8"),
        ("Active code page: 437\r\n".encode("utf-16"), "cp437"),
        (b"Active code page: 12345\r\n", None),
        (b"'chcp' is not recognized as an internal or external command", None),
        (b"", None),
    ],
)
def test_the_answer_of_chcp_gives_a_page_that_decode_takes(raw: bytes, page: str | None) -> None:
    assert encoding.code_page(raw) == page
    if page is not None:
        assert parsers.decode(b"plain", code_page=page) == "plain"
