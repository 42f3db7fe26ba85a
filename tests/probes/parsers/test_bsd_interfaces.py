"""Interfaces of the BSDs: cells that are missing or cut, lines that belong together."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Interface, Membership

MACOS = "Name       Mtu   Network       Address            Ipkts Ierrs    Opkts Oerrs  Coll\n"
FREEBSD = (
    "Name    Mtu Network                  Address                                 "
    "    Ipkts Ierrs Idrop    Opkts Oerrs  Coll\n"
)


def read(lines: str, *, under: str = MACOS) -> list[Interface]:
    parsed = parsers.parse(under + lines)
    assert not parsed.rejected, parsed.rejected
    return parsed.tables.interfaces


def test_counters_are_those_of_the_link() -> None:
    (interface,) = read(
        "en0        1500  <Link#4>    02:00:5e:10:00:01      100     1       90     2     3\n"
        "en0        1500  192.0.2       192.0.2.10            70     -       60     -     -\n"
    )
    assert interface == Interface(
        "en0",
        1500,
        "02:00:5e:10:00:01",
        ("192.0.2.10/24",),
        ("UP",),
        rx_packets=100,
        rx_errors=1,
        tx_packets=90,
        tx_errors=2,
        collisions=3,
    )


def test_without_a_line_of_the_link_nothing_is_counted() -> None:
    (interface,) = read("en0        1500  192.0.2       192.0.2.10            70     -   60 - -\n")
    assert interface.rx_packets is None
    assert interface.addresses == ("192.0.2.10/24",)


def test_a_link_without_an_address_moves_no_column() -> None:
    (interface,) = read(
        "gif0*      1280  <Link#2>                          7     0   8     0     0\n"
    )
    assert (interface.name, interface.hardware, interface.flags) == ("gif0", None, ())
    assert (interface.rx_packets, interface.tx_packets) == (7, 8)


def test_a_link_that_shows_its_own_name_has_no_hardware_address() -> None:
    (interface,) = read("lo0   16384 <Link#2>  lo0   1 2 3 4 5 6\n", under=FREEBSD)
    assert interface.hardware is None
    assert interface.rx_dropped == 3


@pytest.mark.parametrize("link", ["<Link>", "<Link#3>", "<link#3>"])
def test_links_are_written_in_several_ways(link: str) -> None:
    (interface,) = read(f"en0 1500 {link} 02:00:5e:10:00:01 1 2 3 4 5\n")
    assert interface.hardware == "02:00:5e:10:00:01"


def test_interfaces_without_a_heading_are_known_by_their_link() -> None:
    text = (
        "em0    1500 <Link#1>   02:00:5e:10:00:01  10  2  1  900  20  0  800  4\n"
        "em0       - 192.0.2.0/24  192.0.2.10      10  -  -  900  20  -  800  -\n"
    )
    parsed = parsers.parse(text)
    (interface,) = parsed.tables.interfaces
    assert (interface.rx_dropped, interface.rx_bytes, interface.tx_bytes) == (1, 900, 800)
    assert interface.addresses == ("192.0.2.10/24",)
    assert parsed.rejected == []


@pytest.mark.parametrize(
    ("network", "address", "kept"),
    [
        ("127", "127.0.0.1", "127.0.0.1/8"),
        ("10.0.1/24", "10.0.1.7", "10.0.1.7/24"),
        ("192.168.100/2", "192.168.100.7", "192.168.100.7"),  # cut: it was /26
        ("::1/128", "::1", "::1/128"),
        ("fe80::1%en0", "fe80::1%en0", "fe80::1%en0"),
        ("fe80::1%en0", "fe80:4::1", "fe80::1%en0"),
        ("fdab:1::1/6", "fdab:1::1", "fdab:1::1"),  # cut: it was /64
    ],
)
def test_a_prefix_is_taken_from_a_network_that_is_whole(
    network: str, address: str, kept: str
) -> None:
    line = f"en0        1500  {network:<13} {address:<15}   70     -   60     -     -\n"
    assert read(line)[0].addresses == (kept,)


def test_a_name_is_no_address_and_is_left_out_with_a_remark() -> None:
    parsed = parsers.parse(f"{MACOS}en0   1500  my-net   my-mac.lan   70     -   60     -     -\n")
    assert parsed.tables.interfaces[0].addresses == ()
    assert "-n" in parsed.tables.remarks[0]
    assert not parsed.rejected


AIX = """\
Name  Mtu   Network     Address            Ipkts Ierrs    Opkts Oerrs  Coll
en0   1500  link#2      fa.16.3e.1.2.3   123456     0    98765     1     2
en0   1500  10.1.1      10.1.1.1         123456     0    98765     1     2
lo0   16896 link#1                         8010     0     8010     0     0
lo0   16896 127         127.0.0.1          8010     0     8010     0     0
lo0   16896 ::1%1                          8010     0     8010     0     0
"""


def test_interfaces_as_aix_prints_them_are_rejected_by_that_name() -> None:
    parsed = parsers.parse(AIX)
    assert parsed.tables.interfaces == []
    assert ["AIX" in line.reason for line in parsed.rejected] == [True] * 5


def test_a_hardware_address_is_never_among_the_addresses() -> None:
    parsed = parsers.parse(
        f"{MACOS}en0   1500  10.1.1   fa.16.3e.1.2.3   70     -   60     -     -\n"
    )
    assert parsed.tables.interfaces == []
    assert "hardware address" in parsed.rejected[0].reason


def test_an_address_that_may_be_cut_is_left_out_with_a_remark() -> None:
    line = "en0  1500  2001:db8:1: 2001:db8:1:2:3:4:   70     -   60     -     -\n"
    parsed = parsers.parse(MACOS + line.replace("4:   ", "44   "))
    assert parsed.tables.interfaces[0].addresses == ()
    assert "left out" in parsed.tables.remarks[0]
    assert not parsed.rejected


def test_in_a_wide_table_the_same_address_is_whole() -> None:
    line = "em0       - 2001:db8:1::/64  2001:db8:1:2:3::9   70  -  -   60  -  -\n"
    assert read(line, under=FREEBSD)[0].addresses == ("2001:db8:1:2:3::9/64",)


def test_groups_below_an_address_are_memberships() -> None:
    parsed = parsers.parse(
        f"{MACOS}"
        "en0        1500  <Link#4>    02:00:5e:10:00:01      100     1       90     2     3\n"
        "                        1:0:5e:0:0:fb\n"
        "en0        1500  192.0.2       192.0.2.10            70     -       60     -     -\n"
        "                        224.0.0.251\n"
        "                        ff02::fb           (refs: 2)\n"
    )
    assert parsed.tables.multicast == [
        Membership("en0", "link", "01:00:5e:00:00:fb"),
        Membership("en0", "inet", "224.0.0.251"),
        Membership("en0", "inet6", "ff02::fb", 2),
    ]
    assert not parsed.rejected


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("en0        1500  <Link#4>", "missing"),
        ("en0        1500  <Link#4>  1 2 3 4 x", "not a number"),
        ("en0        big   <Link#4>  1 2 3 4 5", "MTU"),
        ("en0        1500  192.0.2  192.0.2.1  and more 1 2 3 4 5", "heading"),
        ("en0        1500  192.0.2  192.0.300  1 2 3 4 5", "address"),
        ("0en        1500  <Link#4>  1 2 3 4 5", "name"),
        ("                 224.0.0.1", "not a row"),
    ],
)
def test_what_is_no_row_is_rejected_with_its_reason(line: str, word: str) -> None:
    parsed = parsers.parse(f"{MACOS}{line}\n")
    assert parsed.tables.interfaces == []
    assert word in parsed.rejected[0].reason


@pytest.mark.parametrize(
    ("heading", "dialect"),
    [
        (MACOS, "macos"),
        (FREEBSD, "freebsd"),
        (MACOS.replace("errs", "fail"), "openbsd"),
    ],
)
def test_the_heading_tells_which_of_them_it_is(heading: str, dialect: str) -> None:
    count = len(heading.split()) - 4
    parsed = parsers.parse(f"{heading}en0 1500 <Link#1> 02:00:5e:10:00:01 {'1 ' * count}\n")
    assert parsed.dialect == dialect
    assert not parsed.rejected
