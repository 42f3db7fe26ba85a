"""Bytes of a command's output made text that can be stored."""

from __future__ import annotations

import pytest

from probes import parsers


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
