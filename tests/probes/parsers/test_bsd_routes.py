"""Routes of the BSDs: shortened networks, gateways that are no addresses, columns that are gone."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.bsd_networks import network
from probes.parsers.lines import OddLine
from probes.parsers.records import Route

INET = "Routing tables\n\nInternet:\nDestination        Gateway            Flags     Netif Expire\n"
INET6 = INET.replace("Internet:", "Internet6:")


def row(line: str, *, under: str = INET) -> Route:
    parsed = parsers.parse(f"{under}{line}\n")
    assert not parsed.rejected, parsed.rejected
    (route,) = parsed.tables.routes
    return route


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("default", "0.0.0.0/0"),
        ("0", "0.0.0.0/8"),
        ("0/1", "0.0.0.0/1"),
        ("10", "10.0.0.0/8"),
        ("10/8", "10.0.0.0/8"),
        ("10.8/16", "10.8.0.0/16"),
        ("10.0.1/24", "10.0.1.0/24"),
        ("10.0.1", "10.0.1.0/24"),
        ("127", "127.0.0.0/8"),
        ("128.1", "128.1.0.0/16"),
        ("128/1", "128.0.0.0/1"),
        ("169.254", "169.254.0.0/16"),
        ("172.16/12", "172.16.0.0/12"),
        ("192.168.1", "192.168.1.0/24"),
        ("192.168.0/16", "192.168.0.0/16"),
        ("192.168.1.128/25", "192.168.1.128/25"),
        ("224.0.0/4", "224.0.0.0/4"),
        ("224", "224.0.0.0/24"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("255.255.255.255/32", "255.255.255.255/32"),
        ("192.168.4/0xfffffc00", "192.168.4.0/22"),
        ("::/96", "::/96"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:0db8::1/64", "2001:db8::/64"),
        ("fe80::%lo0/64", "fe80::%lo0/64"),
        ("ff02::%en0/32", "ff02::%en0/32"),
        ("::ffff:0.0.0.0/96", "::ffff:0:0/96"),
        ("::1", "::1/128"),
        ("fe80::1%lo0", "fe80::1%lo0/128"),
    ],
)
def test_a_shortened_network_is_made_whole(text: str, whole: str) -> None:
    assert network(text).text == whole
    assert network(text).mark is None


@pytest.mark.parametrize(
    "text",
    [
        "10.300",
        "10/33",
        "1.2.3.4.5",
        "::/129",
        "::g",
        "10.0/0xff00ff00",
        "1&0xff00ff00",
        "a b",
        "-x",
    ],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(OddLine):
        network(text)


def test_a_name_stays_a_name() -> None:
    assert row("gate.example      192.0.2.1    UGH   em0").marks == ("destination_name",)
    assert row("192.0.2.9      gate.example    UGH   em0")[1:3] == ("192.0.2.9/32", "gate.example")
    assert row("192.0.2.9      gate.example    UGH   em0").marks == ("gateway_name",)


def test_a_network_of_ipv6_without_prefix_is_not_whole() -> None:
    route = row("2001:db8:7::      link#1    UC   em0", under=INET6)
    assert (route.destination, route.marks) == ("2001:db8:7::", ("destination_truncated",))


def test_what_fills_a_column_of_names_may_have_lost_its_end() -> None:
    route = row("2001:db8:1:2::3%e  fe80::1%em0        UGH   em0", under=INET6)
    assert route.marks == ()
    route = row("2001:db8:1:2:3:4/6 fe80:1:2:3:4:5:6:7 UG    em0", under=INET6.replace("x", "x"))
    assert route.marks == ("destination_truncated", "gateway_truncated")
    assert route.destination == "2001:db8:1:2:3:4/6"


def test_default_is_that_of_the_family() -> None:
    assert row("default  fe80::1%em0  UG  em0", under=INET6)[:3] == (
        "inet6", "::/0", "fe80::1%em0",
    )  # fmt: skip
    assert row("default  192.0.2.1  UGS  em0")[:3] == ("inet", "0.0.0.0/0", "192.0.2.1")


@pytest.mark.parametrize(
    ("gateway", "address", "link"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("fe80::1%em0", "fe80::1%em0", None),
        ("link#4", None, "link#4"),
        ("0:0:5e:0:53:1", None, "00:00:5e:00:53:01"),
        ("00:00:5E:00:53:01", None, "00:00:5e:00:53:01"),
        ("lo0", None, "lo0"),
    ],
)
def test_a_gateway_is_an_address_or_a_link(
    gateway: str, address: str | None, link: str | None
) -> None:
    route = row(f"192.0.2.9      {gateway}    UH   em0")
    assert (route.gateway, route.link) == (address, link)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("UGS", "unicast"), ("UGSR", "unreachable"), ("UGSB", "blackhole"), ("UHLWbI", "broadcast"),
        ("UmCS", "multicast"), ("UHl", "local"),
    ],
)  # fmt: skip
def test_flags_tell_what_a_route_does(flags: str, kind: str) -> None:
    assert row(f"192.0.2.9   192.0.2.1   {flags}   em0").kind == kind


@pytest.mark.parametrize(
    ("columns", "values", "expected"),
    [
        ("Netif Expire", "em0", (None, None, None, None, None)),
        ("Netif Expire", "em0   1184", (None, None, None, None, 1184)),
        ("Netif Expire", "em0   !", (None, None, None, None, 0)),
        ("Refs  Use  Netif Expire", "3  4 em0", (3, 4, None, None, None)),
        ("Refs  Use  Mtu  Netif Expire", "3 4 1500 em0 9", (3, 4, 1500, None, 9)),
        ("Refs  Use  Mtu  Netif Expire", "3 4 em0 9", (3, 4, None, None, 9)),
        ("Refs  Use  Mtu  Interface", "- - - wm0", (None, None, None, None, None)),
        ("Refs  Use  Mtu  Prio Iface", "1 2 - 8 em0", (1, 2, None, 8, None)),
        ("Nhop#  Mtu  Netif Expire", "11 1500 vlan70", (None, None, 1500, None, None)),
    ],
)
def test_columns_between_flags_and_interface_are_those_of_the_heading(
    columns: str, values: str, expected: tuple[int | None, ...]
) -> None:
    under = INET.replace("Netif Expire", columns)
    route = row(f"192.0.2.9   192.0.2.1   UGH   {values}", under=under)
    assert expected == (route.references, route.uses, route.mtu, route.metric, route.expires_s)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("192.0.2.9   192.0.2.1   UGH", "missing"),
        ("192.0.2.9   192.0.2.1   U/H em0", "flags"),
        ("192.0.2.9   192.0.2.1   UGH  12", "columns"),
        ("192.0.2.9   1:2   UGH  em0", "gateway"),
        ("192.0.300   192.0.2.1   UGH  em0", "destination"),
        ("   192.0.2.9   192.0.2.1   UGH  em0", "not a row"),
    ],
)
def test_what_is_no_route_is_rejected_with_its_reason(line: str, word: str) -> None:
    parsed = parsers.parse(f"{INET}{line}\n")
    assert parsed.tables.routes == []
    assert word in parsed.rejected[0].reason


def test_routes_of_other_families_are_not_read() -> None:
    parsed = parsers.parse(
        f"{INET}\nEncap:\nSource  Port  Destination  Port  Proto\n10/8 0 11/8 0 0\n"
    )
    assert {rejected.reason for rejected in parsed.rejected} == {
        "routes of this family are not read"
    }


def test_routes_without_headings_are_known_by_the_default_route() -> None:
    text = "default            192.168.1.1        UGScg      en0\n127    127.0.0.1   UCS   lo0\n"
    parsed = parsers.parse(text)
    assert (parsed.dialect, parsed.found, parsed.rejected) == ("bsd", ("routes",), [])
    assert [route.destination for route in parsed.tables.routes] == ["0.0.0.0/0", "127.0.0.0/8"]


def test_the_table_of_a_fib_has_its_number() -> None:
    under = INET.replace("tables\n", "tables (fib: 7)\n")
    assert row("default  192.0.2.1  UGS  em0", under=under).table == "7"
