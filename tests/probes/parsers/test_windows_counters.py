"""``netstat -e`` and ``-s`` on Windows: rows by their place, in any language."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes import parsers
from probes.parsers.encoding import decode
from probes.parsers.records import Interface, Protocols

FOLDER = Path(__file__).parents[2] / "fixtures" / "windows"

ETHERNET = """Interface Statistics

                           Received            Sent

Bytes                    3556423890      1131451158
Unicast packets             4010672         2520252
Non-unicast packets           15310            8831
Discards                         12               3
Errors                            2               1
Unknown protocols                77
"""
TCP = """TCP Statistics for IPv4

  Active Opens                        = 40587
  Passive Opens                       = 18863
  Failed Connection Attempts          = 1404
  Reset Connections                   = 2190
  Current Connections                 = 26
  Segments Received                   = 872808
  Segments Sent                       = 759187
  Segments Retransmitted              = 24298
"""
TCP_COUNTERS = {
    "ActiveOpens": 40587,
    "PassiveOpens": 18863,
    "AttemptFails": 1404,
    "EstabResets": 2190,
    "CurrEstab": 26,
    "InSegs": 872808,
    "OutSegs": 759187,
    "RetransSegs": 24298,
}
ALL = Interface(
    name="all",
    rx_bytes=3556423890,
    rx_packets=4025982,
    rx_errors=2,
    rx_dropped=12,
    tx_bytes=1131451158,
    tx_packets=2529083,
    tx_errors=1,
    tx_dropped=3,
)


def invented(text: str) -> str:
    """In words of a language nobody knows, but for the names of protocols."""
    kept = ("IPv4", "IPv6", "ICMPv4", "ICMPv6", "TCP", "UDP")
    lines = []
    for line in text.split("\n"):
        words = [
            word if word in kept or not word.isalpha() else word[::-1].lower() + "á"
            for word in line.replace("Non-unicast", "Nonunicast").split(" ")
        ]
        lines.append(" ".join(words))
    return "\n".join(lines)


def protocols(text: str) -> Protocols:
    parsed = parsers.parse(text)
    assert parsed.rejected == []
    assert parsed.dialect == "windows"
    return parsed.tables.protocols


@pytest.mark.parametrize("text", [ETHERNET, invented(ETHERNET)], ids=["English", "unknown"])
def test_one_interface_stands_for_all(text: str) -> None:
    parsed = parsers.parse(text)
    assert parsed.tables.interfaces == [ALL]
    assert (parsed.found, parsed.rejected) == (("interfaces",), [])
    assert (parsed.row_lines, parsed.header_lines, parsed.blank_lines) == (6, 2, 2)


def test_what_a_cut_table_does_not_tell_is_not_known() -> None:
    text = ETHERNET[: ETHERNET.index("Non-unicast")]
    assert parsers.parse(text).tables.interfaces == [
        Interface(name="all", rx_bytes=3556423890, tx_bytes=1131451158)
    ]


@pytest.mark.parametrize("text", [TCP, invented(TCP)], ids=["English", "unknown"])
def test_rows_have_the_names_of_the_mibs_in_any_language(text: str) -> None:
    assert protocols(text) == {"tcp": TCP_COUNTERS}


def test_english_words_count_for_more_than_their_place() -> None:
    lines = TCP.splitlines()
    lines[2], lines[3] = lines[3], lines[2]
    del lines[-1]
    lines.append("  Segments Never Heard Of             = 5")
    counted = {key: value for key, value in TCP_COUNTERS.items() if key != "RetransSegs"}
    assert protocols("\n".join(lines)) == {"tcp": {**counted, "segments_never_heard_of": 5}}


@pytest.mark.parametrize(
    ("title", "protocol"),
    [
        ("TCP Statistics for IPv6", "tcp6"),
        ("TCP-Statistik für IPv4", "tcp"),
        ("IPv6 的 TCP 统计信息", "tcp6"),
        ("Statistiques TCP pour IPv6", "tcp6"),
        ("IPv4 の TCP 統計", "tcp"),
        ("TCP Statistics", "tcp"),
    ],
)
def test_a_title_tells_the_protocol_in_any_language(title: str, protocol: str) -> None:
    text = TCP.replace("TCP Statistics for IPv4", title)
    assert protocols(text) == {protocol: TCP_COUNTERS}
    assert protocols(invented(TCP) + "\n" + text)[protocol] == TCP_COUNTERS


@pytest.mark.parametrize("case", ["german_cp850", "simplified_chinese_cp936"])
def test_all_sections_give_the_same_in_every_language(case: str) -> None:
    english = parsers.parse(decode((FOLDER / "netstat--es_english.out").read_bytes()))
    assert sorted(english.tables.protocols) == [
        "icmp", "icmp6", "ip", "ip6", "tcp", "tcp6", "udp", "udp6",
    ]  # fmt: skip
    other = parsers.parse(decode((FOLDER / f"netstat--es_{case}.out").read_bytes()))
    assert other.tables.protocols == english.tables.protocols
    assert other.tables.interfaces == english.tables.interfaces
    assert (english.rejected, other.rejected) == ([], [])


def test_windows_xp_has_echos_before_their_replies() -> None:
    words = [f"Orð{letter}" for letter in "abcdefghijklm"]
    rows = "".join(f"  {word:<25} {at:<10}  {at + 50}\n" for at, word in enumerate(words))
    text = f"ICMPv4 Tölur\n\n                            Inn         Út\n{rows}"
    counters = protocols(text)["icmp"]
    assert (counters["InEchos"], counters["OutEchos"]) == (7, 57)
    assert (counters["InEchoReps"], counters["OutAddrMaskReps"]) == (8, 62)
    assert len(counters) == 26


def test_a_section_of_another_length_keeps_the_words_it_has() -> None:
    assert protocols("UDP Tölur\n\n  Móttekin skeyti = 5\n  Engin port = 6\n") == {
        "udp": {"móttekin_skeyti": 5, "engin_port": 6}
    }


def test_statistics_and_connections_of_one_protocol_come_together() -> None:
    text = TCP + "\nActive Connections\n\n  Proto  Local Address  Foreign Address  State\n"
    parsed = parsers.parse(text + "  TCP    0.0.0.0:80  0.0.0.0:0  LISTENING\n")
    assert parsed.found == ("protocols", "sockets")
    assert parsed.rejected == []


@pytest.mark.parametrize(
    "text",
    [
        "  just words = 5\n",
        "Settings\n\n  just words = 5\n",
        "Bytes                    3556423890      1131451158\n",
        "Scores\n\nleft    1    2\n",
        "ICMP\n  words 1 2\n  = 3\n",
    ],
)
def test_numbers_of_something_else_are_no_statistics(text: str) -> None:
    try:
        parsed = parsers.parse(text)
    except parsers.ParseError:
        return
    assert parsed.tables.interfaces == []
    assert set(parsed.tables.protocols) <= {"icmp"}


def test_a_counter_no_machine_can_hold_is_rejected() -> None:
    parsed = parsers.parse(TCP.replace("40587", "9223372036854775808"))
    assert [line.reason for line in parsed.rejected] == ["the counter is too large"]
    assert "ActiveOpens" not in parsed.tables.protocols["tcp"]
