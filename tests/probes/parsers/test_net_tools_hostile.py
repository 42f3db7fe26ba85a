"""Hostile lines in every table of net-tools: accounted for, and read in linear time (a pattern
that went back over its steps would take hours over these)."""

from __future__ import annotations

import pytest

from probes import parsers

TABLES = {
    "sockets": (
        "Active Internet connections (servers and established)\n",
        ("tcp 0 0 1.2.3.4:5 1.2.3.4:6 LISTEN ", "udp 0 0 a:5 ", "sctp ", " " * 20),
    ),
    "unix": (
        "Proto RefCnt Flags       Type       State         I-Node   PID/Program name     Path\n",
        ("unix  2      [ ACC ]     STREAM     LISTENING     5        7/", "unix  2      [ "),
    ),
    "routes": (
        "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n",
        ("0.0.0.0 1.2.3.4 0.0.0.0 UG ", ""),
    ),
    "routes of IPv6": (
        "Destination                    Next Hop                   Flag Met Ref  Use If\n",
        ("::/0 :: U ", ""),
    ),
    "cached routes": (
        "Source          Destination     Gateway         Flags   MSS Window  irtt Iface\n",
        ("1.2.3.4 1.2.3.5 1.2.3.6 ", ""),
    ),
    "interfaces": (
        "Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n",
        ("eth0 1400 ", "eth0:1 1500 - "),
    ),
    "blocks": (
        "x0: flags=0<>  mtu 0\n",
        ("        RX ", "        inet ", "y0: flags=1<", "        "),
    ),
    "counters": ("Tcp:\n", ("    5 ", "    ", "")),
    "groups": ("Interface       RefCnt Group\n", ("eth0 1 ", "")),
    "masquerade": ("IP masquerading entries\n", ("tcp  1:00.00 1.2.3.4 1.2.3.4 ", "")),
    "conntrack": (
        "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.\n",
        ("tcp 6 5 ESTABLISHED src=", "tcp      6 5 "),
    ),
}
PIECES = (" ", "(", "a ", "A", "1 ", ":", "::", "-> ", "src=1.2.3.4 ", "[A] ", "1.1.", "=")


@pytest.mark.parametrize("table", sorted(TABLES))
def test_long_lines_are_rejected_or_read_at_once(table: str) -> None:
    heading, starts = TABLES[table]
    lines = [start + piece * (60_000 // len(piece)) for start in starts for piece in PIECES]
    text = heading + "\n".join(lines)
    parsed = parsers.parse(text)
    assert parsed.lines == text.count("\n") + (not text.endswith("\n"))
    assert parsed.lines == (
        parsed.row_lines + parsed.header_lines + parsed.blank_lines + len(parsed.rejected)
    )
    assert all(len(rejected.text) <= 500 for rejected in parsed.rejected)
