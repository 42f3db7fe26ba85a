"""Odd rows of ip route, ip link, ip addr, ip maddr and nstat. Real outputs are in test_golden."""

from __future__ import annotations

from typing import Any

import pytest

from probes import parsers
from probes.parsers import Parsed, ParseError
from probes.parsers.records import Interface, Membership, Route


def parsed(text: str) -> Parsed:
    result = parsers.parse(text)
    assert result.dialect == "iproute2"
    return result


def routes(text: str) -> list[Route]:
    result = parsed(text)
    assert not result.rejected, result.rejected
    return result.tables.routes


def route(text: str) -> Route:
    (only,) = routes(text)
    return only


def reasons(text: str) -> list[str]:
    return [rejected.reason for rejected in parsed(text).rejected]


def test_a_route_with_its_attributes() -> None:
    assert route(
        "10.0.0.0/8 via 10.1.0.1 dev eth0 proto dhcp scope global src 10.1.0.9 metric 100"
        " mtu lock 1400 advmss 1300 window 5840 rtt 300ms initcwnd 20 table 7 onlink"
    ) == Route(
        "inet", "10.0.0.0/8", "10.1.0.1", "eth0", flags="onlink", metric=100, source="10.1.0.9",
        table="7", protocol="dhcp", mtu=1400, mss=1300, window=5840, irtt=300,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "family", "destination"),
    [
        ("default dev tun0 scope link", "inet", "0.0.0.0/0"),
        ("default via 10.0.0.1 dev eth0", "inet", "0.0.0.0/0"),
        ("default via inet6 fe80::1 dev eth0", "inet", "0.0.0.0/0"),
        ("default via fe80::1 dev eth0 proto ra", "inet6", "::/0"),
        ("default dev tun0 metric 1024 pref medium", "inet6", "::/0"),
        ("unreachable default dev lo metric 9 error -101", "inet6", "::/0"),
        ("10.0.0.7 dev eth0", "inet", "10.0.0.7/32"),
        ("2001:db8:0::1 dev eth0", "inet6", "2001:db8::1/128"),
        ("10.1.2.3/8 dev eth0", "inet", "10.0.0.0/8"),
    ],
)
def test_the_family_is_that_of_the_addresses(line: str, family: str, destination: str) -> None:
    assert route(line)[:2] == (family, destination)


@pytest.mark.parametrize(
    "kind",
    ["local", "broadcast", "multicast", "anycast", "blackhole", "unreachable", "prohibit", "throw"],
)
def test_a_route_may_have_a_type(kind: str) -> None:
    assert route(f"{kind} 10.0.0.0/8").kind == kind


def test_each_next_hop_is_a_route() -> None:
    text = (
        "default \n"
        "\tnexthop via 10.0.0.1 dev eth0 weight 1 \n"
        "\tnexthop via 10.0.0.2 dev eth1 weight 2 dead linkdown \n"
        "10.0.0.0/24 dev eth0 proto kernel scope link\n"
    )
    assert [(hop.destination, hop.gateway, hop.flags) for hop in routes(text)] == [
        ("0.0.0.0/0", "10.0.0.1", None),
        ("0.0.0.0/0", "10.0.0.2", "dead linkdown"),
        ("10.0.0.0/24", None, None),
    ]
    assert parsed(text).row_lines == 4


def test_with_o_next_hops_are_on_the_line() -> None:
    text = "10.0.0.0/8 \\\tnexthop via 10.0.0.1 dev a weight 1 \\\tnexthop dev b weight 1 "
    assert [(hop.gateway, hop.interface) for hop in routes(text)] == [
        ("10.0.0.1", "a"),
        (None, "b"),
    ]


def test_a_next_hop_alone_or_odd_is_rejected() -> None:
    text = "throw 10.0.0.0/8\n\tnexthop via nowhere dev a\n"
    assert reasons(text) == ["address not understood"]
    assert routes("throw 10.0.0.0/8")[0] == parsed(text).tables.routes[0]
    orphan = "1:\tlo\n\tinet  224.0.0.1\n\tnexthop via 10.0.0.1 dev a\n"
    assert len(reasons(orphan)) == 1


def test_a_cached_route_tells_its_age_on_a_line_of_its_own() -> None:
    text = "10.0.0.5 via 10.0.0.1 dev eth0 src 10.0.0.9 uid 0 \n    cache expires 5sec mtu 1400 \n"
    assert len(routes(text)) == 1
    assert parsed(text).row_lines == 2


def test_a_route_through_a_tunnel_keeps_its_own_addresses() -> None:
    tunnelled = route("10.3.0.0/16 encap ip id 9 src 1.1.1.1 dst 2.2.2.2 via 10.0.0.1 dev ip0")
    assert (tunnelled.source, tunnelled.gateway) == (None, "10.0.0.1")


GLUED = [
    "default via 10.9.1.2 dev near0 \\x0d10.0.0.0/8 dev near0 scope link",
    "default via 10.9.1.2 dev near0\\x0d10.0.0.0/8 dev near0 scope link",
    "default via 10.9.1.2 dev near0 10.0.0.0/8 dev near0 scope link",
    "10.0.0.0/8 dev near0 dev near1",
    "10.0.0.0/8 encap mpls 100 10.1.0.0/16 dev near0",
    "10.0.0.0/8 dev near0 \\    cache expires 12sec 10.1.0.0/16 dev near0",
]


@pytest.mark.parametrize("line", GLUED)
def test_a_line_with_more_than_one_route_is_rejected(line: str) -> None:
    result = parsed(f"10.8.0.0/16 proto static metric 20\n{line}\n")
    assert len(result.tables.routes) == 1
    assert [rejected.line for rejected in result.rejected] == [2]


def test_what_the_cache_tells_follows_its_route() -> None:
    text = "10.9.0.9 via 10.9.1.2 dev near0 \\    cache <local> expires 12sec mtu 1400\n"
    assert [found.mtu for found in routes(text)] == [None]
    assert reasons(f"{text}    cache expires 12sec mtu 1400\n") == []


def test_a_route_of_one_source_says_so_in_its_flags() -> None:
    assert route("2001:db8::/48 from 2001:db8:1::/64 dev a").flags == "from 2001:db8:1::/64"


def test_a_time_left_is_in_seconds() -> None:
    assert route("fe80::/64 dev a metric 256 expires 86369sec pref medium").expires_s == 86369


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("10.0.0.999/8 dev a", "destination"),
        ("10.0.0.0/33 dev a", "destination"),
        ("10.0.0.0/8 dev", "no value"),
        ("10.0.0.0/8 dev a something", "not known"),
        ("10.0.0.0/8 dev a metric many", "queue"),
        ("10.0.0.0/8 dev a src here", "address"),
        ("10.0.0.0/8 dev a mtu lock", "no value"),
    ],
)
def test_a_route_that_cannot_be_is_a_reason(line: str, why: str) -> None:
    assert [why in reason for reason in reasons(f"throw 10.0.0.0/8\n{line}")] == [True]


def links(text: str) -> dict[str, Interface]:
    result = parsed(text)
    assert not result.rejected, result.rejected
    return {interface.name: interface for interface in result.tables.interfaces}


def counters(interface: Interface) -> dict[str, Any]:
    return {
        name: value
        for name, value in interface._asdict().items()
        if name.startswith(("rx", "tx", "coll")) and value is not None
    }


HEAD = "2: eth0@if7: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP\n"


def test_counters_are_known_by_the_words_above_them() -> None:
    text = (
        f"{HEAD}    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff\n"
        "    RX:  bytes packets errors dropped  missed   mcast           \n"
        "           100      10      1       2       3       4 \n"
        "    RX errors:  length    crc   frame    fifo overrun\n"
        "                     0      0       0       5       6 \n"
        "    TX:  bytes packets errors dropped carrier collsns           \n"
        "           200      20      7       8       9      11 \n"
        "    TX errors: aborted   fifo  window heartbt transns\n"
        "                     0     12       0       0       1 \n"
    )
    eth0 = links(text)["eth0"]
    assert eth0[:5] == (
        "eth0", 1500, "52:54:00:12:34:56", (), ("BROADCAST", "UP", "LOWER_UP", "RUNNING"),
    )  # fmt: skip
    assert counters(eth0) == {
        "rx_bytes": 100, "rx_packets": 10, "rx_errors": 1, "rx_dropped": 2, "rx_overruns": 5,
        "tx_bytes": 200, "tx_packets": 20, "tx_errors": 7, "tx_dropped": 8, "tx_overruns": 12,
        "collisions": 11,
    }  # fmt: skip


def test_older_words_are_known_as_well() -> None:
    text = (
        f"{HEAD}    RX: bytes  packets  errors  dropped overrun mcast   \n"
        "    100        10       1       2       3       4       \n"
    )
    assert counters(links(text)["eth0"]) == {
        "rx_bytes": 100, "rx_packets": 10, "rx_errors": 1, "rx_dropped": 2, "rx_overruns": 3,
    }  # fmt: skip


def test_shortened_counters_are_rejected_because_they_are_not_exact() -> None:
    text = f"{HEAD}    RX:  bytes packets errors dropped\n          1.5k     10      0       0\n"
    (reason,) = reasons(text)
    assert "shortened" in reason
    assert counters(parsed(text).tables.interfaces[0]) == {}


@pytest.mark.parametrize("values", ["1 2 3", "1 2 3 4 5", f"1 2 3 {2**64}", "one two three four"])
def test_counters_that_do_not_fit_their_title_are_rejected(values: str) -> None:
    text = f"{HEAD}    RX:  bytes packets errors dropped\n    {values}\n"
    assert len(reasons(text)) == 1
    assert counters(parsed(text).tables.interfaces[0]) == {}


def test_an_interface_without_carrier_or_down_is_not_running() -> None:
    text = "1: a: <NO-CARRIER,UP> mtu 9 x\n2: b: <BROADCAST> mtu 9 x\n3: c: <> mtu 9 x\n"
    assert [interface.flags for interface in links(text).values()] == [
        ("NO-CARRIER", "UP"),
        ("BROADCAST",),
        (),
    ]


def test_addresses_are_in_cidr_form_except_that_of_a_point_to_point_link() -> None:
    text = (
        f"{HEAD}    inet 10.0.0.5/24 brd 10.0.0.255 scope global dynamic eth0\n"
        "       valid_lft 86000sec preferred_lft 86000sec\n"
        "    inet 10.9.0.1 peer 10.9.0.2/32 scope global eth0\n"
        "    inet6 FE80::0:1/64 scope link\n"
    )
    assert links(text)["eth0"].addresses == ("10.0.0.5/24", "10.9.0.1", "fe80::1/64")


def test_with_o_all_lines_of_an_interface_are_one_interface() -> None:
    text = (
        "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n"
        "1: lo    inet6 ::1/128 scope host \\       valid_lft forever preferred_lft forever\n"
        "1: lo: <LOOPBACK,UP> mtu 65536 qdisc noqueue\\    link/loopback 00:00:00:00:00:00 brd 0"
        "\\    RX:  bytes packets errors dropped\\    1 2 3 4 \n"
    )
    lo = links(text)["lo"]
    assert (lo.addresses, lo.mtu, lo.hardware) == (("127.0.0.1/8", "::1/128"), 65536, None)
    assert counters(lo)["rx_dropped"] == 4


def test_of_a_record_that_cannot_be_read_whole_nothing_is_kept() -> None:
    text = "1: a: <UP> mtu 9 x\n2: b: <UP> mtu 9 x\\    inet nowhere\n"
    assert reasons(text) == ["address not understood"]
    assert [interface.name for interface in parsed(text).tables.interfaces] == ["a"]


def test_details_of_a_kind_of_link_belong_to_it_and_other_lines_do_not() -> None:
    text = f"{HEAD}    veth addrgenmode none\n    altname enp0s3\n    hello world\nhello\n"
    assert len(reasons(text)) == 2


def groups(text: str) -> list[Membership]:
    result = parsed(text)
    assert not result.rejected, result.rejected
    return result.tables.multicast


def test_groups_belong_to_the_interface_above_them() -> None:
    text = (
        "1:\tlo\n\tinet  224.0.0.1\n2:\teth0\n\tlink  33:33:00:00:00:01 users 2 static\n"
        "\tinet6 ff02:0::1 users 3\n"
    )
    assert groups(text) == [
        Membership("lo", "inet", "224.0.0.1", 1),
        Membership("eth0", "link", "33:33:00:00:00:01", 2),
        Membership("eth0", "inet6", "ff02::1", 3),
    ]
    assert groups("3:\twlan0\\\tinet  224.0.0.251 users 2\n") == [
        Membership("wlan0", "inet", "224.0.0.251", 2)
    ]


@pytest.mark.parametrize(
    "line",
    ["\tinet  224.0.0", "\tinet  ff02::1", "\tlink  33:33", "\tinet6 ff02::1 users many", "hello"],
)
def test_what_is_no_group_is_rejected(line: str) -> None:
    assert len(reasons(f"1:\tlo\n{line}\n")) == 1


def test_counters_of_nstat_have_the_names_of_the_mibs() -> None:
    result = parsed(
        "#kernel\n"
        "IpInReceives                    22                 0.0\n"
        "IpExtInOctets                   1.2\n"
        "Ip6InReceives                   34                 1.2K\n"
        "TcpExtTCPPureAcks               7                  0.0\n"
        "UdpLite6InErrors                1                  0.0\n"
        "OtherThing                      1                  0.0\n"
    )
    assert result.tables.protocols == {
        "ip": {"InReceives": 22},
        "ip6": {"InReceives": 34},
        "tcpext": {"TCPPureAcks": 7},
        "udplite6": {"InErrors": 1},
    }
    assert [rejected.line for rejected in result.rejected] == [3, 7]


def test_counters_of_64_bits_are_kept_as_printed() -> None:
    most = 2**64 - 1
    text = f"{HEAD}    RX: bytes packets errors dropped missed mcast\n    {most} 1 0 0 0 0\n"
    assert links(text)["eth0"].rx_bytes == most
    assert parsed(f"#kernel\nIpExtInOctets {most} 0.0\n").tables.protocols == {
        "ipext": {"InOctets": most}
    }
    assert "counter is not" in reasons(f"#kernel\nIpExtInOctets {most + 1} 0.0\n")[0]


def test_counters_of_nstat_need_no_heading() -> None:
    assert parsed("TcpInSegs    12    0.0\n").tables.protocols == {"tcp": {"InSegs": 12}}


@pytest.mark.parametrize("text", ["10.0.0.1 is down", "10.0.0.0/8", "1: hello", "default route"])
def test_text_that_only_begins_like_a_row_is_no_table(text: str) -> None:
    with pytest.raises(ParseError):
        parsers.parse(text)
