"""Lines of conntrack. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Translation

TCP = (
    "tcp      6 431999 ESTABLISHED src=192.168.7.20 dst=198.51.100.9 sport=50080 dport=443 "
    "src=198.51.100.9 dst=192.168.7.20 sport=443 dport=50080 [ASSURED] mark=0 use=1"
)


def row(line: str) -> Translation:
    parsed = parsers.parse(line)
    assert not parsed.rejected, parsed.rejected
    assert (parsed.dialect, parsed.found) == ("conntrack", ("masquerade",))
    (translation,) = parsed.tables.masquerade
    return translation


def reason(line: str) -> str:
    parsed = parsers.parse(f"{TCP}\n{line}")
    assert len(parsed.tables.masquerade) == 1
    ((_, _, why),) = parsed.rejected
    return why


def test_a_connection_that_nobody_rewrites_has_no_kind() -> None:
    assert row(TCP) == Translation(
        protocol="tcp",
        state="ESTABLISHED",
        timeout_s=431999,
        source_ip="192.168.7.20",
        source_port=50080,
        destination_ip="198.51.100.9",
        destination_port=443,
        reply_source_ip="198.51.100.9",
        reply_source_port=443,
        reply_destination_ip="192.168.7.20",
        reply_destination_port=50080,
        kind=None,
        marks=("ASSURED",),
    )


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("dst=192.168.7.20", "dst=203.0.113.1", "snat"),
        ("dport=50080", "dport=61000", "snat"),
        ("src=198.51.100.9", "src=10.0.0.9", "dnat"),
        ("sport=443", "sport=8443", "dnat"),
        ("src=198.51.100.9 dst=192.168.7.20", "src=10.0.0.9 dst=10.0.0.1", "both"),
    ],
)
def test_what_is_rewritten_shows_in_the_answer(old: str, new: str, kind: str) -> None:
    assert row(TCP.replace(old, new)).kind == kind


def test_lines_of_proc_name_the_family_and_write_addresses_out() -> None:
    line = (
        "ipv6     10 udp      17 29 src=2001:0db8:0000:0000:0000:0000:0000:0005 dst=2001:db8::9 "
        "sport=5301 dport=53 [UNREPLIED] src=2001:db8::9 dst=2001:db8::5 sport=53 dport=5301 "
        "mark=0 zone=0 use=2"
    )
    known = row(line)
    assert (known.protocol, known.source_ip, known.kind) == ("udp6", "2001:db8::5", None)
    assert known.marks == ("UNREPLIED",)


def test_an_offloaded_connection_has_no_timeout() -> None:
    known = row(TCP.replace(" 431999 ESTABLISHED", "").replace("ASSURED", "OFFLOAD"))
    assert (known.timeout_s, known.state, known.marks) == (None, None, ("OFFLOAD",))


def test_accounting_zone_and_helper_do_not_disturb() -> None:
    line = TCP.replace("dport=443 ", "dport=443 packets=12 bytes=3400 ")
    line = line.replace("mark=0", "mark=7 zone=3 helper=ftp delta-time=9")
    assert row(line)._replace(marks=()) == row(TCP)._replace(marks=())
    assert row(line).marks == ("ASSURED", "mark=7", "zone=3", "helper=ftp")


def test_a_protocol_without_a_name_of_its_own_is_known_by_its_number() -> None:
    line = "unknown  2 599 src=10.9.1.1 dst=224.0.0.22 src=224.0.0.22 dst=10.9.1.1 mark=0 use=1"
    assert row(line).protocol == "igmp"
    assert row(line.replace(" 2 599", " 253 599")).protocol == "ip253"
    assert row(line).source_port is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (TCP.replace("sport=443", "sport=99999"), "port"),
        (TCP.replace("dst=192.168.7.20", "dst=here"), "address"),
        (TCP.partition(" src=198")[0], "direction"),
        (f"{TCP} src=1.2.3.4", "directions"),
        ("tcp 6 10 NONE nothing", "not a connection"),
    ],
)
def test_what_is_no_connection_is_a_reason(line: str, why: str) -> None:
    assert why in reason(line)


def test_the_count_at_the_end_is_no_row() -> None:
    parsed = parsers.parse(
        f"{TCP}\nconntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n"
    )
    assert (parsed.row_lines, parsed.header_lines, parsed.rejected) == (1, 1, [])
