"""Protocol counters of the BSDs: which they are, and that one and many have one name."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.bsd_mib import key, own_name


def read(text: str) -> dict[str, dict[str, int]]:
    parsed = parsers.parse(text)
    assert not parsed.rejected, parsed.rejected
    return parsed.tables.protocols


def tcp(line: str) -> dict[str, int]:
    return read(f"tcp:\n\t{line}\n").get("tcp", {})


@pytest.mark.parametrize(
    ("protocol", "line", "name"),
    [
        ("tcp", "7 connection requests", "ActiveOpens"),
        ("tcp", "7 connection accepts", "PassiveOpens"),
        ("tcp", "7 embryonic connections dropped", "AttemptFails"),
        ("tcp", "7 packets sent", "OutSegs"),
        ("tcp", "7 packets received", "InSegs"),
        ("tcp", "7 data packets retransmitted", "RetransSegs"),
        ("udp", "7 delivered", "InDatagrams"),
        ("udp", "7 datagrams output", "OutDatagrams"),
        ("udp", "7 dropped due to no socket", "NoPorts"),
        ("udp", "7 dropped due to full socket buffers", "RcvbufErrors"),
        ("ip", "7 total packets received", "InReceives"),
        ("ip", "7 packets for this host", "InDelivers"),
        ("ip", "7 packets sent from this host", "OutRequests"),
        ("ip", "7 packets forwarded", "ForwDatagrams"),
        ("ip", "7 output packets discarded due to no route", "OutNoRoutes"),
        ("ip", "7 datagrams that can't be fragmented", "FragFails"),
    ],
)
def test_what_a_mib_counts_has_its_name(protocol: str, line: str, name: str) -> None:
    assert read(f"{protocol}:\n\t{line}\n")[protocol][name] == 7
    one = line.replace("7 ", "1 ").replace("packets", "packet").replace("requests", "request")
    one = one.replace("accepts", "accept").replace("connections", "connection")
    one = one.replace("datagrams", "datagram")
    assert read(f"{protocol}:\n\t{one}\n")[protocol][name] == 1


def test_ipv6_has_the_names_that_linux_has() -> None:
    assert read("ip6:\n\t5 total packets received\n") == {"ip6": {"InReceives": 5}}
    assert read("icmp6:\n\tOutput histogram:\n\t\techo reply: 3\n") == {
        "icmp6": {"OutEchoReplies": 3, "OutMsgs": 3}
    }


@pytest.mark.parametrize(
    ("one", "many", "name"),
    [
        ("1 bad connection attempt", "2 bad connection attempts", "bad_connection_attempts"),
        ("1 persist timeout", "2 persist timeouts", "persist_timeouts"),
        ("1 syncache entry added", "2 syncache entries added", "syncache_entries_added"),
        ("1 PCB hash miss", "2 PCB hash misses", "pcb_hash_misses"),
        (
            "1 discarded for bad header offset field",
            "2 discarded for bad header offset fields",
            "discarded_for_bad_header_offset_fields",
        ),
        (
            "1 discarded because packet too short",
            "2 discarded because packet too short",
            "discarded_because_packet_too_short",
        ),
        (
            "1 segment rexmit in SACK recovery episodes",
            "2 segment rexmits in SACK recovery episodes",
            "segment_rexmits_in_sack_recovery_episode",
        ),
    ],
)
def test_one_and_many_have_one_name(one: str, many: str, name: str) -> None:
    assert tcp(one)[name] == 1
    assert tcp(many)[name] == 2


def test_names_are_short_words_of_small_letters() -> None:
    assert own_name(key("SYN,ACKs retransmitted")) == "syn_acks_retransmitted"
    name = next(iter(tcp("3 " + "very " * 100)))
    assert len(name) == 100


def test_a_number_in_brackets_is_a_counter_of_its_own() -> None:
    assert tcp("9 connections closed (including 4 drops)") == {
        "connections_closed": 9,
        "EstabResets": 4,
    }
    assert tcp("9 acks (for 120 bytes)") == {"acks": 9, "acks_bytes": 120}
    assert tcp("9 data packets (120 bytes) retransmitted") == {
        "RetransSegs": 9,
        "data_packets_retransmitted_bytes": 120,
    }
    assert tcp("9 connections established (including accepts)") == {"connections_established": 9}
    assert tcp("9 segments updated rtt (of 11 attempts)")["segments_updated_rtt_attempts"] == 11


def test_a_line_further_in_is_named_after_the_line_above_where_it_says_little() -> None:
    counters = read(
        "tcp:\n"
        "\t9 syncache entries added\n"
        "\t\t2 dropped\n"
        "\t\t1 completed\n"
        "\t5 hostcache entries added\n"
        "\t\t1 bucket overflow\n"
        "\t1 dropped\n"
    )["tcp"]
    assert counters == {
        "syncache_entries_added": 9,
        "syncache_entries_added_dropped": 2,
        "syncache_entries_added_completed": 1,
        "hostcache_entries_added": 5,
        "hostcache_entries_added_bucket_overflows": 1,
        "dropped": 1,
    }


def test_what_only_linux_has_in_its_extensions_is_there_too() -> None:
    counters = read("tcp:\n\t4 listen queue overflows\n\t8 ack-only packets (3 delayed)\n")
    assert counters["tcpext"] == {"ListenOverflows": 4, "DelayedACKs": 3}


def test_a_sum_is_given_beside_its_parts() -> None:
    counters = read("udp:\n\t2 with incomplete header\n\t3 with bad checksum\n")["udp"]
    assert counters == {"with_incomplete_header": 2, "InCsumErrors": 3, "InErrors": 5}


def test_messages_of_all_types_add_up() -> None:
    counters = read(
        "icmp:\n\tInput histogram:\n\t\techo: 3\n\t\t#40: 1\n"
        "\tOutput histogram:\n\t\techo reply: 3\n"
    )["icmp"]
    assert counters == {
        "InEchos": 3, "InType40": 1, "InMsgs": 4, "OutEchoReps": 3, "OutMsgs": 3,
    }  # fmt: skip


def test_connections_by_state_are_told() -> None:
    counters = read(
        "tcp:\n\t1 packet sent\nTCP connection count by state:\n"
        "\t4 connections in LISTEN      state\n"
        "\t2 connections in ESTABLISHED state\n"
        "\t1 connection  in CLOSE_WAIT  state\n"
    )["tcp"]
    assert counters["CurrEstab"] == 3
    assert counters["connections_in_listen_state"] == 4


@pytest.mark.parametrize(
    "line",
    [
        "\tno number here",
        "9 packets sent",
        "\t99999999999999999999 packets sent",
        "\t9 packets sent (99999999999999999999 bytes)",
    ],
)
def test_what_is_no_counter_is_rejected_and_nothing_of_it_kept(line: str) -> None:
    parsed = parsers.parse(f"tcp:\n{line}\n")
    assert parsed.tables.protocols == {}
    assert len(parsed.rejected) == 1


def test_sections_of_the_same_protocol_are_one() -> None:
    assert read("ip:\n\t1 packet forwarded\n\nip:\n\t2 packets not forwardable\n") == {
        "ip": {"ForwDatagrams": 1, "InAddrErrors": 2}
    }


@pytest.mark.parametrize(
    ("line", "dialect"),
    [
        ("3 open TCP sockets", "macos"),
        ("3 hostcache entries added", "freebsd"),
        ("3 packets hardware-checksummed", "openbsd"),
        ("3 PCB cache misses", "openbsd"),
        ("3 PCB hash misses", "netbsd"),
        ("3 packets sent", "bsd"),
    ],
)
def test_a_counter_that_one_has_tells_which_it_is(line: str, dialect: str) -> None:
    assert parsers.parse(f"tcp:\n\t{line}\n").dialect == dialect
