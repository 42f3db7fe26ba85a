"""A heading with a row glued to it, by something that is no line feed, hides no row."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import ParseError
from probes.parsers.lines import MORE_THAN_ONE
from tests.fuzz.invariants import check_text

BETWEEN = ["\u2028", "\u2029", "\x0b", "\\x0d", "\\x85", "\\u2028", "    "]

NET_TOOLS = (
    "Active Internet connections (w/o servers)",
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State",
    "tcp        0      0 10.0.0.5:22             10.0.0.9:50000          ESTABLISHED",
)
SS = (
    "Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port Process",
    "tcp   ESTAB 0      0           10.0.0.5:22        10.0.0.9:50000",
)
MACOS = (
    "Active Internet connections (including servers)",
    "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)",
    "tcp4       0      0  *.22                   *.*                    LISTEN",
)
NETBSD = (
    "Active Internet6 connections (including servers)",
    "Proto Recv-Q Send-Q  Local Address          Foreign Address        State",
    "tcp6       0      0  ::1.22                 *.*                    LISTEN",
)
WINDOWS = (
    "活动连接",
    "  协议  本地地址          外部地址        状态           PID",
    "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       888",
)
UNKNOWN_WORDS = (
    "  Wurru  Lokka               Forra           Stattu          PID",
    "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       888",
)
ROUTES = (
    "Kernel IP routing table",
    "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface",
    "0.0.0.0         10.0.0.1        0.0.0.0         UG    0      0        0 eth0",
)
BSD_ROUTES = (
    "Routing tables",
    "Internet:",
    "Destination        Gateway            Flags           Netif Expire",
    "default            10.0.0.1           UGScg             en0",
)
INTERFACES = (
    "Kernel Interface table",
    "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg",
    "eth0      1500     1000      0      0 0          2000      0      0      0 BMRU",
)
UNIX = (
    "Active UNIX domain sockets (servers and established)",
    "Proto RefCnt Flags       Type       State         I-Node   Path",
    "unix  2      [ ACC ]     STREAM     LISTENING     16791    /run/app.sock",
)
TEXTS = [
    NET_TOOLS, SS, MACOS, NETBSD, WINDOWS, UNKNOWN_WORDS, ROUTES, BSD_ROUTES, INTERFACES, UNIX,
]  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("lines", TEXTS)
def test_a_heading_with_a_row_behind_it_is_no_heading(lines: tuple[str, ...], between: str) -> None:
    glued = between.join(lines)
    check_text(glued)
    try:
        alone = parsers.parse(glued)
    except ParseError:
        pass
    else:
        assert [line.line for line in alone.rejected] == [1]
    followed = parsers.parse(f"{glued}\n{lines[-1]}\n")
    assert [line.line for line in followed.rejected] == [1]
    assert (followed.row_lines, followed.header_lines) == (1, 0)


@pytest.mark.parametrize("lines", [NET_TOOLS, SS])
@pytest.mark.parametrize("between", BETWEEN)
def test_the_fast_readers_say_why(lines: tuple[str, ...], between: str) -> None:
    glued = between.join(lines)
    dialect = "ss" if lines is SS else "net-tools"
    assert parsers.parse(glued).rejected[0].reason == MORE_THAN_ONE
    assert parsers.parse_sockets(glued).rejected[0].reason == MORE_THAN_ONE
    assert parsers.parse_lines([glued], dialect).rejected == [(glued, MORE_THAN_ONE)]


@pytest.mark.parametrize("lines", [NET_TOOLS, SS, MACOS, NETBSD, ROUTES, INTERFACES, UNIX])
def test_headings_with_only_headings_behind_them_hide_nothing(lines: tuple[str, ...]) -> None:
    parsed = parsers.parse("\n".join(lines))
    assert (parsed.row_lines, parsed.header_lines) == (1, len(lines) - 1)
    joined = parsers.parse(f"{' '.join(lines[:-1])}\n{lines[-1]}\n")
    assert joined.row_lines == 1
