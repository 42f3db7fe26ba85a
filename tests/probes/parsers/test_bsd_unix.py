"""UNIX domain sockets of the BSDs."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import UnixSocket

HEADING = (
    "Active UNIX domain sockets\n"
    "Address          Type   Recv-Q Send-Q    Inode     Conn     Refs  Nextref Addr\n"
)


def test_a_path_may_have_blanks_in_it() -> None:
    line = "fffff80003a2c000 stream  3  4 fffff8000b1c2000  0  0  0 /tmp/a b  c.sock"
    for text in (HEADING + line, line):
        parsed = parsers.parse(text)
        assert not parsed.rejected
        assert parsed.tables.unix == [
            UnixSocket(
                "stream",
                None,
                "/tmp/a b  c.sock",
                recv_queue=3,
                send_queue=4,
                address="fffff80003a2c000",
            )
        ]


def test_a_socket_with_another_end_is_connected() -> None:
    line = "0xfffffd801b3c2b00 dgram 0 0 0x0 0xfffffd801b3c2c00 0x0 0x0"
    (unix,) = parsers.parse(HEADING + line).tables.unix
    assert (unix.type, unix.state, unix.connected_to) == ("dgram", "CONNECTED", "fffffd801b3c2c00")
    assert unix.path is None


def test_the_path_of_the_other_end_is_not_that_of_this() -> None:
    (unix,) = parsers.parse(
        HEADING + "c1b2a4d8 dgram 0 0 0 c1b2a3f0 0 0 -> /var/run/log"
    ).tables.unix
    assert unix.path is None


def test_macos_tells_the_process_before_the_path() -> None:
    text = (
        "Active LOCAL (UNIX) domain sockets\n"
        "Address  Type   Recv-Q Send-Q  Inode  Conn  Refs  Nextref  rxbytes  txbytes  rhiwat"
        "  shiwat  process:pid  state  options  Addr\n"
        "a3c1d5f0e1b20781 stream 0 0 a3 0 0 0 1 2 8192 8192 Talk Helper:77 00102 0000 /tmp/a b\n"
        "a3c1d5f0e1b20782 stream 0 0 0 a3 0 0 12 34 8192 8192 launchd:1 00102 00000000\n"
        "a3c1d5f0e1b20783 stream 0 0 0 a3 0 0 12 34\n"
    )
    parsed = parsers.parse(text)
    assert [(unix.pid, unix.program, unix.path) for unix in parsed.tables.unix] == [
        (77, "Talk Helper", "/tmp/a b"),
        (1, "launchd", None),
    ]
    assert [rejected.line for rejected in parsed.rejected] == [5]
    assert parsed.dialect == "macos"


@pytest.mark.parametrize(
    "line",
    [
        "fffff80003a2c000 stream 3 4 0 0 0",
        "fffff80003a2c000 strange 3 4 0 0 0 0",
        "nonsense stream 3 4 0 0 0 0",
        "fffff80003a2c000 stream x 4 0 0 0 0",
    ],
)
def test_what_is_no_row_is_rejected(line: str) -> None:
    parsed = parsers.parse(HEADING + line)
    assert parsed.tables.unix == []
    assert len(parsed.rejected) == 1


def test_a_title_of_linux_is_not_taken_for_this() -> None:
    title = "Active UNIX domain sockets (servers and established)"
    opening = parsers.GRAMMAR.first([title], table="unix")
    assert opening is None or opening.dialect == "net-tools"
