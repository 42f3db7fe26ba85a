"""Sentences of netstat -s. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.net_tools_mib import HISTOGRAMS, SENTENCES


def counters(text: str) -> dict[str, dict[str, int]]:
    parsed = parsers.parse(text)
    assert not parsed.rejected, parsed.rejected
    assert parsed.found == ("protocols",)
    return parsed.tables.protocols


@pytest.mark.parametrize(
    ("heading", "sentence", "protocol", "name"),
    [
        ("Ip:", "21 total packets received", "ip", "InReceives"),
        ("Ip:", "7 dropped because of missing route", "ip", "OutNoRoutes"),
        ("Icmp:", "5 ICMP messages received", "icmp", "InMsgs"),
        ("Tcp:", "5 active connection openings", "tcp", "ActiveOpens"),
        ("Tcp:", "5 active connections openings", "tcp", "ActiveOpens"),
        ("Tcp:", "5 segments send out", "tcp", "OutSegs"),
        ("Tcp:", "5 segments retransmited", "tcp", "RetransSegs"),
        ("Tcp:", "5 bad segments received.", "tcp", "InErrs"),
        ("Udp:", "5 packets to unknown port received.", "udp", "NoPorts"),
        ("UdpLite:", "OutDatagrams: 5", "udplite", "OutDatagrams"),
        ("TcpExt:", "Quick ack mode was activated 5 times", "tcpext", "DelayedACKLost"),
        ("TcpExt:", "Detected reordering 5 times using SACK", "tcpext", "TCPSACKReorder"),
        ("TcpExt:", "5 SYNs to LISTEN sockets dropped", "tcpext", "ListenDrops"),
        ("TcpExt:", "5 times the listen queue of a socket overflowed", "tcpext", "ListenOverflows"),
        ("TcpExt:", "TCPLossProbes: 5", "tcpext", "TCPLossProbes"),
        ("IpExt:", "InOctets: 5", "ipext", "InOctets"),
        ("MPTcpExt:", "MPCapableSYNRX: 5", "mptcpext", "MPCapableSYNRX"),
        ("Sctp:", "5 Current Associations", "sctp", "CurrEstab"),
        ("Sctp:", "SctpT1InitExpireds: 5", "sctp", "T1InitExpireds"),
        ("Ip6:", "5 incoming multicast packets", "ip6", "InMcastPkts"),
        ("Ip6:", "Ip6InOctets: 5", "ip6", "InOctets"),
        ("Icmp6:", "Icmp6OutMLDv2Reports: 5", "icmp6", "OutMLDv2Reports"),
        ("Udp6:", "Udp6InCsumErrors: 5", "udp6", "InCsumErrors"),
        ("UdpLite6:", "UdpLite6InDatagrams: 5", "udplite6", "InDatagrams"),
        ("IcmpMsg:", "InType3: 5", "icmpmsg", "InType3"),
    ],
)
def test_a_sentence_is_the_counter_it_was_made_of(
    heading: str, sentence: str, protocol: str, name: str
) -> None:
    value = next(int(word) for word in sentence.rstrip(".").split() if word.isdigit())
    assert counters(f"{heading}\n    {sentence}\n") == {protocol: {name: value}}


def test_every_sentence_known_is_read_back() -> None:
    titles = {
        "ip": "Ip", "ip6": "Ip6", "icmp": "Icmp", "icmp6": "Icmp6", "tcp": "Tcp", "udp": "Udp",
        "udp6": "Udp6", "udplite": "UdpLite", "udplite6": "UdpLite6", "tcpext": "TcpExt",
        "sctp": "Sctp",
    }  # fmt: skip
    for protocol, sentences in SENTENCES.items():
        for sentence, name in sentences.items():
            text = f"{titles[protocol]}:\n    {sentence.replace('#', '4711')}\n"
            assert counters(text) == {protocol: {name: 4711}}, sentence
    for (protocol, direction), sentences in HISTOGRAMS.items():
        for sentence, name in sentences.items():
            word = "input" if direction == "in" else "output"
            title = f"{titles[protocol]}:\n    ICMP {word} histogram:\n"
            text = f"{title}        {sentence.replace('#', '4711')}\n"
            assert counters(text) == {protocol: {name: 4711}}, sentence


def test_the_same_words_count_other_messages_in_each_histogram() -> None:
    text = """\
Icmp:
    5 ICMP messages received
    ICMP input histogram:
        destination unreachable: 1
        echo requests: 2
    6 ICMP messages sent
    ICMP output histogram:
        destination unreachable: 3
        echo replies: 4
Tcp:
    7 connections established
"""
    assert counters(text) == {
        "icmp": {
            "InMsgs": 5,
            "InDestUnreachs": 1,
            "InEchos": 2,
            "OutMsgs": 6,
            "OutDestUnreachs": 3,
            "OutEchoReps": 4,
        },
        "tcp": {"CurrEstab": 7},
    }


def test_histograms_in_another_language_come_in_the_same_order() -> None:
    text = """\
Icmp:
    ICMP-Eingabehistogramm:
        echo requests: 2
    ICMP-Ausgabehistogramm:
        echo replies: 4
"""
    assert counters(text) == {"icmp": {"InEchos": 2, "OutEchoReps": 4}}


def test_what_no_list_knows_is_kept_under_its_own_words() -> None:
    text = """\
Tcp:
    12 Things Done, at last
    other things: 13
    Ran 14 times out of luck
NewProtocol:
    15 frames seen
    SomeCounter: 16
"""
    assert counters(text) == {
        "tcp": {"things_done_at_last": 12, "other_things": 13, "ran_times_out_of_luck": 14},
        "newprotocol": {"frames_seen": 15, "SomeCounter": 16},
    }


def test_settings_are_no_counters() -> None:
    assert counters(
        "Ip:\n    Forwarding is enabled\n    Default TTL is 64\n    Forwarding: 2\n"
    ) == {"ip": {"Forwarding": 2}}


@pytest.mark.parametrize(
    "line",
    [
        "    no number here",
        f"    {2**64} segments received",
        "    5",
        "    between 3 and 4 of them",
        "unindented 5",
        "    5 " + "x" * 400,
    ],
)
def test_what_is_no_counter_is_rejected_alone(line: str) -> None:
    parsed = parsers.parse(f"Tcp:\n{line}\n    6 segments received\n")
    assert [odd.line for odd in parsed.rejected] == [2]
    assert parsed.tables.protocols == {"tcp": {"InSegs": 6}}


def test_an_empty_protocol_is_there_all_the_same() -> None:
    assert counters("UdpLite:\nIpExt:\n") == {"udplite": {}, "ipext": {}}
