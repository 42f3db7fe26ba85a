"""Odd rows of the files in /proc/net. Real ones are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Flag, Parsed, Socket
from probes.parsers.proc_net import LIKE_UDP, NO_PIDS, TAKEN_FOR_RAW
from probes.parsers.records import Details, Interface, Membership, Route, Timer, UnixSocket

TCP_TITLE = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
    "   uid  timeout inode"
)
UDP_TITLE = f"{TCP_TITLE} ref pointer drops"


def parsed(*lines: str) -> Parsed:
    result = parsers.parse("\n".join(lines))
    assert result.dialect == "proc"
    return result


def row(
    *, local: str = "0100007F:0016", foreign: str = "00000000:0000", state: str = "0A",
    queues: str = "00000000:00000000", timer: str = "00:00000000 00000000", owner: str = "0 0 77",
    after: str = "1 0000000000000000 100 0 0 10 0",
) -> str:  # fmt: skip
    return f"   0: {local} {foreign} {state} {queues} {timer}     {owner} {after}"


def socket(line: str, file: str = "tcp") -> tuple[Socket, Details]:
    result = parsed(f"==> /proc/net/{file} <==", TCP_TITLE, line)
    assert not result.rejected, result.rejected
    (only,) = result.sockets
    return only, result.tables.details[0]


def test_a_listener() -> None:
    found, details = socket(row(queues="00000000:00000005", owner="33        0 912768"))
    assert found == Socket(
        "tcp", 5, 0, "127.0.0.1", 22, "0.0.0.0", None, "LISTEN", None, None
    )  # fmt: skip
    assert details == Details(user="33", inode=912768)


@pytest.mark.parametrize(
    ("digits", "ip", "flags"),
    [
        ("B80D0120010009000000000001000000", "2001:db8:9:1::1", 0),
        ("0000000000000000FFFF00000101090A", "10.9.1.1", Flag.LOCAL_MAPPED),
        ("00000000000000000000000000000000", "::", 0),
        ("000080FE000000000000000001000000", "fe80::1", 0),
    ],
)
def test_an_ipv6_address_is_four_numbers_in_the_byte_order_of_the_host(
    digits: str, ip: str, flags: int
) -> None:
    found, _ = socket(row(local=f"{digits}:0016", foreign=f"{'0' * 32}:0000"), "tcp6")
    assert (found.protocol, found.local_ip, found.flags) == ("tcp6", ip, flags)


@pytest.mark.parametrize(
    ("number", "state"),
    [
        ("01", "ESTABLISHED"), ("02", "SYN_SENT"), ("03", "SYN_RECV"), ("04", "FIN_WAIT1"),
        ("05", "FIN_WAIT2"), ("06", "TIME_WAIT"), ("07", "CLOSE"), ("08", "CLOSE_WAIT"),
        ("09", "LAST_ACK"), ("0A", "LISTEN"), ("0B", "CLOSING"), ("0C", "SYN_RECV"),
        ("0D", "UNKNOWN"),
    ],
)  # fmt: skip
def test_states_of_tcp_by_their_numbers(number: str, state: str) -> None:
    assert socket(row(state=number))[0].state == state


def test_udp_has_a_state_only_where_it_is_connected_and_raw_has_none() -> None:
    assert socket(row(state="07"), "udp")[0][:1] == ("udp",)
    assert socket(row(state="07"), "udp")[0].state is None
    assert socket(row(state="01"), "udplite")[0].state == "ESTABLISHED"
    raw = socket(row(local="00000000:0001", state="07"), "raw")[0]
    assert (raw.protocol, raw.local_port, raw.foreign_port, raw.state) == ("raw", 1, None, None)


@pytest.mark.parametrize(
    ("text", "probes", "timer"),
    [
        ("01:0000001F 00000002", 0, Timer("on", 0.31, 2, 0)),
        ("02:000AFC2C 00000000", 3, Timer("keepalive", 7199.16, 0, 3)),
        ("03:00001720 00000000", 0, Timer("timewait", 59.2, 0, 0)),
        ("04:00000064 00000000", 5, Timer("probe", 1.0, 0, 5)),
        ("00:00000000 00000000", 0, None),
    ],
)
def test_a_timer_counts_in_hundredths_of_a_second(
    text: str, probes: int, timer: Timer | None
) -> None:
    assert socket(row(timer=text, owner=f"0 {probes} 7"))[1].timer == timer


def test_a_socket_that_only_waits_for_its_end_has_no_owner() -> None:
    details = socket(row(state="06", owner="0 0 0", after="3 00000000f98915f4"))[1]
    assert (details.user, details.inode) == (None, None)


def test_without_the_name_of_a_file_the_title_tells_tcp_from_udp() -> None:
    result = parsed(TCP_TITLE, row(), UDP_TITLE, row(state="01", after="2 00000000b73d5d02 0"))
    assert [found.protocol for found in result.sockets] == ["tcp", "udp"]
    assert result.tables.remarks == [NO_PIDS, LIKE_UDP]
    assert result.header_lines == 2


def test_without_names_the_second_table_that_looks_like_udp_is_raw() -> None:
    any6 = f"{'0' * 32}:0000"
    title6 = UDP_TITLE.replace("rem_address", "remote_address")
    like_udp = row(local="00000000:0001", state="07", after="2 00000000b73d5d02 0")
    like_udp6 = row(local=f"{'0' * 32}:003A", foreign=any6, state="07", after="2 00000000b7 0")
    in_order = (
        TCP_TITLE, row(), TCP_TITLE.replace("rem_address", "remote_address"),
        UDP_TITLE, like_udp, title6, like_udp6, UDP_TITLE, like_udp, title6, like_udp6,
    )  # fmt: skip
    result = parsed(*in_order, *in_order)
    assert [found.protocol for found in result.sockets] == 2 * ["tcp", "udp", "udp6", "raw", "raw6"]
    assert result.tables.remarks == [NO_PIDS, LIKE_UDP, TAKEN_FOR_RAW]
    assert not result.rejected


def test_a_port_that_is_no_ip_protocol_is_not_of_a_raw_socket() -> None:
    like_udp = row(local="00000000:1F90", state="07", after="2 00000000b73d5d02 0")
    result = parsed(UDP_TITLE, like_udp, UDP_TITLE, like_udp)
    assert [found.protocol for found in result.sockets] == ["udp", "udp"]


def test_files_may_be_named_without_their_folder() -> None:
    like_udp = row(local="00000000:0001", state="07", after="2 00000000b73d5d02 0")
    result = parsed("==> tcp <==", TCP_TITLE, row(), "==> raw <==", UDP_TITLE, like_udp)
    assert [found.protocol for found in result.sockets] == ["tcp", "raw"]
    assert result.tables.remarks == [NO_PIDS]


def test_without_a_title_states_and_columns_tell_tcp_from_udp() -> None:
    udp_end = "2 00000000b73d5d02 0"
    result = parsed(
        row(),
        row(state="07", after=udp_end),
        row(state="01", after=udp_end),
        row(state="01", after="1 00000000187a8d52 20 0 0 10 -1"),
        row(state="06", after="3 00000000f98915f4"),
    )
    assert [found.protocol for found in result.sockets] == ["tcp", "udp", "udp", "tcp", "tcp"]


def test_a_file_that_is_named_needs_no_guess() -> None:
    result = parsed("==> /proc/net/raw6 <==", UDP_TITLE, row(state="07"))
    assert result.tables.remarks == [NO_PIDS]


@pytest.mark.parametrize(
    "line",
    [
        row(state="0a"),
        row(local="0100007F:16"),
        row(local="0100007F00:0016"),
        row(queues="FFFFFFFFFFFFFFFF:00000000"),
        "   0: 0100007F:0016",
        "hello",
    ],
)
def test_what_is_no_row_is_rejected(line: str) -> None:
    result = parsed("==> /proc/net/tcp <==", TCP_TITLE, line)
    assert [rejected.line for rejected in result.rejected] == [3]
    assert result.sockets == []


def test_unix_sockets_have_the_words_of_net_tools() -> None:
    result = parsed(
        "Num       RefCount Protocol Flags    Type St Inode Path",
        "000000000bc7a4a3: 00000002 00000000 00010000 0001 01 913580 /run/two words.sock",
        "000000009f966e0b: 00000003 00000000 00000000 0002 03 913583",
        "000000009f966e0b: 00000003 00000000 00000000 0005 01 0 @abstract",
        "000000009f966e0b: 00000003 00000000 00000000 0005 01",
    )
    assert result.tables.unix == [
        UnixSocket("stream", "LISTEN", "/run/two words.sock", 2, "ACC", 913580),
        UnixSocket("dgram", "CONNECTED", None, 3, None, 913583),
        UnixSocket("seqpacket", None, "@abstract", 3),
    ]
    assert len(result.rejected) == 1
    assert result.tables.remarks == [NO_PIDS]


def routes(*lines: str) -> list[Route]:
    result = parsed("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU", *lines)
    assert not result.rejected, result.rejected
    return result.tables.routes


def test_a_route_has_the_flags_of_netstat() -> None:
    assert routes("eth0\t0000140A\t0201090A\t0003\t0\t0\t50\t0000FFFF\t1340\t5840\t0     ") == [
        Route(
            "inet", "10.20.0.0/16", "10.9.1.2", "eth0", "UG", 50, mss=1300, window=5840
        )
    ]  # fmt: skip
    refused, dropped = routes(
        "*\t0000420A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0",
        "*\t0000440A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    )
    assert (refused.kind, refused.flags, refused.interface) == ("unreachable", "!", None)
    assert (dropped.kind, dropped.flags, dropped.interface) == ("blackhole", "U", None)


NO_ADDRESS = "0" * 32


def ipv6_route(line: str) -> Route:
    (only,) = parsed(line).tables.routes
    return only


def test_an_ipv6_route_needs_no_title() -> None:
    found = ipv6_route(
        f"20010db8002000000000000000000000 30 {NO_ADDRESS} 00 20010db8000900010000000000000002"
        " 00000032 00000001 00000005 00450003    near0"
    )
    assert found == Route(
        "inet6", "2001:db8:20::/48", "2001:db8:9:1::2", "near0", "UGDAe", 50,
        references=1, uses=5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "kind", "letters"),
    [
        ("80200001", "local", "Un"),
        ("00200200", "unreachable", "!n"),
        ("00100001", "anycast", "U"),
        ("00000005", "unicast", "UH"),
    ],
)
def test_the_type_of_an_ipv6_route_is_in_its_flags(flags: str, kind: str, letters: str) -> None:
    found = ipv6_route(
        f"{NO_ADDRESS} 00 {NO_ADDRESS} 00 {NO_ADDRESS} ffffffff 00000001 00000000 {flags}  lo"
    )
    assert (found.kind, found.flags, found.metric) == (kind, letters, 2**32 - 1)


def test_an_ipv6_prefix_longer_than_an_address_is_rejected() -> None:
    good = f"{NO_ADDRESS} 80 {NO_ADDRESS} 00 {NO_ADDRESS} 00000000 00000001 00000000 00000001  lo"
    result = parsed(good, good.replace(" 80 ", " 81 ", 1))
    assert [rejected.line for rejected in result.rejected] == [2]


DEV = (
    "Inter-|   Receive                                                |  Transmit",
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop"
    " fifo colls carrier compressed",
)
ETH0 = "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"
ETH0_COUNTERS = {
    "rx_bytes": 1, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4, "rx_overruns": 5,
    "tx_bytes": 9, "tx_packets": 10, "tx_errors": 11, "tx_dropped": 12, "tx_overruns": 13,
    "collisions": 14,
}  # fmt: skip
ADDRESS = "fe800000000000000000000000000001 02 40 20 82    eth0"


def test_counters_and_addresses_of_an_interface_come_together_in_either_order() -> None:
    whole = Interface("eth0", addresses=("fe80::1/64",))._replace(**ETH0_COUNTERS)  # type: ignore[arg-type]
    assert parsed(*DEV, ETH0, ADDRESS, ADDRESS).tables.interfaces == [whole]
    assert parsed(ADDRESS, *DEV, ETH0).tables.interfaces == [whole]


def test_an_interface_met_twice_is_there_twice() -> None:
    assert len(parsed(*DEV, ETH0, *DEV, ETH0).tables.interfaces) == 2


def test_old_kernels_leave_no_blank_before_the_first_counter() -> None:
    (lo,) = parsed(*DEV, "    lo:1234567 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").tables.interfaces
    assert (lo.name, lo.rx_bytes) == ("lo", 1234567)


@pytest.mark.parametrize("line", ["eth0: 1 2 3", "eth0 1", f"eth0: {2**64}" + " 0" * 15])
def test_what_is_no_interface_is_rejected(line: str) -> None:
    assert len(parsed(*DEV, line).rejected) == 1


def test_counters_stand_below_their_names() -> None:
    result = parsed(
        "Tcp: RtoMin MaxConn ActiveOpens",
        "Tcp: 200 -1 16",
        "TcpExt: SyncookiesSent TW",
        "TcpExt: 1 2",
        "Ip6InReceives                   \t34",
        "Icmp6OutType143                 \t4",
    )
    assert result.tables.protocols == {
        "tcp": {"RtoMin": 200, "ActiveOpens": 16},
        "tcpext": {"SyncookiesSent": 1, "TW": 2},
        "ip6": {"InReceives": 34},
        "icmp6": {"OutType143": 4},
    }
    assert not result.rejected


@pytest.mark.parametrize(
    "line", ["Tcp: 1", "Tcp: 1 2 3", "Udp: 1 2", "Tcp: 1 -2", f"Tcp: 1 {2**64}"]
)
def test_counters_that_do_not_fit_their_names_are_rejected(line: str) -> None:
    result = parsed("Tcp: ActiveOpens PassiveOpens", line)
    assert [rejected.line for rejected in result.rejected] == [2]
    assert result.tables.protocols == {}


def test_groups_of_both_families() -> None:
    result = parsed(
        "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter",
        "2\tnear0     :     2      V3",
        "\t\t\t\t050109EF     3 0:00000000\t\t0",
        "2    near0           ff150000000000000000000000090005     2 00000004 0",
    )
    assert result.tables.multicast == [
        Membership("near0", "inet", "239.9.1.5", 3),
        Membership("near0", "inet6", "ff15::9:5", 2),
    ]
    assert not result.rejected


def test_an_empty_file_is_a_title_alone() -> None:
    result = parsed("==> /proc/net/udplite <==", "==> /proc/net/tcp <==", TCP_TITLE, row())
    assert (result.header_lines, result.row_lines, result.rejected) == (3, 1, [])
    assert parsers.identify("==> /proc/net/tcp <==\n") == "proc"
