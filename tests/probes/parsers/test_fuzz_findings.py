"""What the search of ``tests.fuzz`` and the live captures have found, each once and for good."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Socket
from tests.fuzz.invariants import check_text


@pytest.mark.parametrize(
    ("title", "dialect"),
    [
        ("Active Internet connections (servers and established)\n", "net-tools"),
        ("Active Internet connections (including servers)\n", "bsd"),
        ("Active Internet connectionsconnections\nActive gif0*", "net-tools"),
        ("Active Internet connections (only servers)\nProto LOOPBACK Send-Q\n", "net-tools"),
    ],
)
def test_a_title_with_no_table_under_it_is_of_some_dialect(title: str, dialect: str) -> None:
    parsed = check_text(title)
    assert parsed is not None
    assert parsed.dialect == dialect
    assert parsed.sockets == []


def test_rows_under_the_columns_of_another_system_are_read_line_by_line_alike() -> None:
    text = (
        "tcp4       0      0 2147483648.0.2.10.443         198.51.100.9.41022     TIME_WAIT  \n"
        "raw6       0      0 :::58                   :::*                    7           17/x\n"
    )
    check_text(text)
    whole = parsers.parse_sockets(text)
    alone = parsers.parse_lines(text.splitlines(), whole.dialect)
    assert whole.sockets == alone.sockets
    assert len(whole.sockets) == 1
    assert [reason for _, reason in alone.rejected] == [line.reason for line in whole.rejected]


@pytest.mark.parametrize(
    ("users", "pid", "program"),
    [
        ('users:(("new', None, "new"),
        ('users:(("', None, None),
        ('users:(("nginx",pid=7,fd=3),("new', 7, "nginx"),
    ],
)
def test_a_program_hides_no_socket_of_ss_by_a_newline_in_its_name(
    users: str, pid: int | None, program: str | None
) -> None:
    line = f"tcp   LISTEN 0      16           127.0.0.1:2512      0.0.0.0:*    {users}"
    header = "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n"
    expected = Socket("tcp", 0, 16, "127.0.0.1", 2512, "0.0.0.0", None, "LISTEN", pid, program)
    parsed = check_text(f'{header}{line}\nline",pid=28,fd=61))\n')
    assert parsed is not None
    assert parsed.sockets == parsers.parse_lines([line], "ss").sockets == [expected]
    assert parsed.tables.details == {}
    assert [rejected.line for rejected in parsed.rejected] == [3]


def test_names_of_columns_that_nobody_knows_are_made_visible() -> None:
    text = (
        "Socket   Proto Recv-Q Send-Q Local Address          Foreign Address (state) x\u0d0d\n"
        "c1b30200 tcp        0      0 *.22                   *.*             LISTEN  7\n"
    )
    parsed = check_text(text)
    assert parsed is not None
    assert dict(parsed.tables.details[0].more) == {"pcb": "c1b30200", "x\\u0d0d": "7"}


def test_a_section_of_statistics_of_ipv6_needs_no_more_than_a_title() -> None:
    parsed = check_text("IPv6-Statistik\n\n  Empfangene Pakete                    = 226\n")
    assert parsed is not None
    assert parsed.tables.protocols == {"ip6": {"empfangene_pakete": 226}}


def test_no_flag_of_an_interface_is_longer_than_what_is_kept() -> None:
    parsed = check_text(
        f"near0     Link encap:Ethernet\n          {'UP' * 151} BROADCAST  MTU:1500  Metric:1\n"
        f"2: eth0: <{'UP' * 151}> mtu 1500 qdisc noop state DOWN\n"
        f"eth1: flags=4163<{'UP' * 151}>  mtu 1400\n"
    )
    assert parsed is not None
    assert [rejected.line for rejected in parsed.rejected] == [2, 3]


def test_a_route_to_a_mapped_address_stays_one_of_ipv6() -> None:
    parsed = check_text(
        "Routing tables\n\nInternet6:\n"
        "Destination                        Gateway                        Flags         Netif\n"
        "::ffff:192.0.2.1                   link#1                         UHLI            lo0\n"
    )
    assert parsed is not None
    assert [route.destination for route in parsed.tables.routes] == ["::ffff:c000:201/128"]
