"""Addresses as bytes, as ranges and by reach."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.parsers import addresses

NO_ADDRESS = [
    "", "host", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "１.2.3.4", "1.2.3.4 ", " ::1",
    "[::1]", "::1::", "1:2:3:4:5:6:7:8:9", "g::", "1.2.3.4:80", "*", "0x7f.1", "127.1", "\x00",
    "::1\n", "1" * 9999,
]  # fmt: skip


@given(st.ip_addresses())
def test_an_address_packs_and_unpacks_to_itself(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    packed = addresses.pack(str(ip))
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    assert len(packed) == 16
    assert addresses.unpack(packed) == str(mapped or ip)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_packed_addresses_sort_as_addresses_do(
    one: ipaddress.IPv4Address, other: ipaddress.IPv4Address
) -> None:
    assert (one < other) == (addresses.pack(str(one)) < addresses.pack(str(other)))


def test_ipv4_and_the_same_mapped_are_one() -> None:
    assert addresses.pack("10.0.0.1") == addresses.pack("::ffff:10.0.0.1")
    assert addresses.unpack(addresses.pack("::ffff:a00:1")) == "10.0.0.1"


def test_a_zone_is_left_out() -> None:
    assert addresses.pack("fe80::1%eth0") == addresses.pack("fe80::1")
    assert addresses.pack("127.0.0.53%lo") == addresses.pack("127.0.0.53")


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages of ipaddress vary
        addresses.pack(text)
    with pytest.raises(ValueError):  # noqa: PT011
        addresses.cidr_range(text)
    with pytest.raises(ValueError):  # noqa: PT011
        addresses.scope(text)


@pytest.mark.parametrize("packed", [b"", b"\x7f\x00\x00\x01", b"\x00" * 17])
def test_other_than_sixteen_bytes_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        addresses.unpack(packed)


@given(st.ip_addresses(), st.data())
def test_a_block_is_the_range_python_knows(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    prefix = data.draw(st.integers(0, ip.max_prefixlen))
    network = ipaddress.ip_network(f"{ip}/{prefix}", strict=False)
    low, high = addresses.cidr_range(f"{ip}/{prefix}")
    first, last = network.network_address, network.broadcast_address
    if isinstance(ip, ipaddress.IPv4Address):
        assert (low, high) == (addresses.pack(str(first)), addresses.pack(str(last)))
    else:
        assert (low, high) == (first.packed, last.packed)
    assert low <= addresses.pack(str(ip)) <= high


def test_a_single_address_is_a_range_of_one() -> None:
    assert addresses.cidr_range("10.0.0.1") == (addresses.pack("10.0.0.1"),) * 2
    assert addresses.cidr_range("::1") == (addresses.pack("::1"),) * 2


def test_every_ipv6_address_includes_ipv4_and_every_ipv4_address_does_not_include_ipv6() -> None:
    low, high = addresses.cidr_range("::/0")
    assert low <= addresses.pack("10.0.0.1") <= high
    low, high = addresses.cidr_range("0.0.0.0/0")
    assert not low <= addresses.pack("::1") <= high


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0",
        "10.0.0.0/٨", "10.0.0.0/ 8", "10.0.0.0/08", "10.0.0.0/8_0", "fe80::1%eth0/64", "/8",
    ],
)  # fmt: skip
def test_a_block_with_a_wrong_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        addresses.cidr_range(text)


@pytest.mark.parametrize(
    ("ip", "scope"),
    [
        ("0.0.0.0", "any"),
        ("0.1.2.3", "any"),
        ("::", "any"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("128.0.0.0", "public"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("febf::1", "link-local"),
        ("10.1.2.3", "private"),
        ("172.15.255.255", "public"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "public"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "private"),
        ("fd00::1", "private"),
        ("fec0::1", "private"),
        ("240.0.0.1", "private"),
        ("100.63.255.255", "public"),
        ("100.64.0.1", "cgnat"),
        ("100.127.255.255", "cgnat"),
        ("100.128.0.0", "public"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("255.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("8.8.8.8", "public"),
        ("203.0.113.45", "public"),
        ("2606:4700::1111", "public"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::8.8.8.8", "public"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("64:ff9b:1::1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::1", "private"),
        ("2002:808:808::1", "public"),
        ("2001:0:808:808:0:ffff:f5ff:fffe", "private"),
        ("::10.0.0.1", "private"),
    ],
)
def test_how_far_an_address_reaches(ip: str, scope: str) -> None:
    assert addresses.scope(ip) == scope


@given(st.ip_addresses())
def test_every_address_reaches_somewhere(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert addresses.scope(str(ip)) in {
        "any", "loopback", "link-local", "private", "cgnat", "multicast", "public",
    }  # fmt: skip
