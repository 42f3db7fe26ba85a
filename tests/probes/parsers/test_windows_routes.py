"""``route print`` on Windows: rows by their form, headings in any language."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers import Parsed
from probes.parsers.records import Interface, Route

LINE = "=" * 75
INVENTED = {
    "Interface List": "Snertiflatalisti",
    "Route Table": "leiðatafla",
    "Active Routes:": "Virkar leiðir:",
    "Persistent Routes:": "Varanlegar leiðir:",
    "Network Destination": "Áfangastaður",
    "Network Address": "Netfang",
    "Netmask": "Netmaski",
    "Gateway": "Gátt",
    "Interface": "Snertiflötur",
    "Metric": "Vegalengd",
    "On-link": "Á hlekk",
    "None": "Engar",
    "Default": "Sjálfgefið",
}
"""A language nobody knows."""

PRINTED = f"""{LINE}
Interface List
 12...00 15 5D 01 02 03 ......Intel(R) Ethernet Connection I219-LM
  1...........................Software Loopback Interface 1
{LINE}

IPv4 Route Table
{LINE}
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0       192.0.2.1      192.0.2.20     25
        127.0.0.0        255.0.0.0         On-link       127.0.0.1    331
{LINE}
Persistent Routes:
  Network Address          Netmask  Gateway Address  Metric
          0.0.0.0          0.0.0.0        192.0.2.1  Default
        10.20.0.0      255.255.0.0      192.0.2.254       7
{LINE}

IPv6 Route Table
{LINE}
Active Routes:
 If Metric Network Destination      Gateway
 12    291 ::/0                     fe80::1
  1    331 2001:db8:20:0:51c2:8e3:77a1:9d04/128
                                    On-link
 99    291 2001:db8:7777:8888:9999::/80
                                    fe80::2:fe
{LINE}
Persistent Routes:
 If Metric Network Destination      Gateway
  0 4294967295 2001:db8:30::/48         2001:db8::1
{LINE}
"""

ETHERNET, LOOPBACK = "Intel(R) Ethernet Connection I219-LM", "Software Loopback Interface 1"
ROUTES = [
    Route("inet", "0.0.0.0/0", "192.0.2.1", metric=25, source="192.0.2.20", persistent=False),
    Route("inet", "127.0.0.0/8", metric=331, source="127.0.0.1", persistent=False),
    Route("inet", "0.0.0.0/0", "192.0.2.1", persistent=True),
    Route("inet", "10.20.0.0/16", "192.0.2.254", metric=7, persistent=True),
    Route("inet6", "::/0", "fe80::1", ETHERNET, metric=291, persistent=False),
    Route(
        "inet6", "2001:db8:20:0:51c2:8e3:77a1:9d04/128", None, LOOPBACK, metric=331,
        persistent=False,
    ),
    Route("inet6", "2001:db8:7777:8888:9999::/80", "fe80::2:fe", "99", metric=291,
          persistent=False),
    Route("inet6", "2001:db8:30::/48", "2001:db8::1", persistent=True),
]  # fmt: skip


def translated(text: str) -> str:
    for english, word in INVENTED.items():
        text = text.replace(english, word)
    return text


def routes(text: str) -> list[Route]:
    return parsers.parse(text).tables.routes


@pytest.mark.parametrize("text", [PRINTED, translated(PRINTED)], ids=["English", "unknown"])
def test_all_tables_are_read_in_a_known_and_in_an_unknown_language(text: str) -> None:
    parsed = parsers.parse(text)
    assert parsed.rejected == []
    assert parsed.dialect == "windows"
    assert parsed.found == ("routes",)
    if "Active" in text:
        assert parsed.tables.routes == ROUTES
    assert [route[:3] for route in parsed.tables.routes] == [route[:3] for route in ROUTES]
    assert [route.persistent for route in parsed.tables.routes] == [
        route.persistent for route in ROUTES
    ]
    assert parsed.tables.interfaces[1] == Interface(parsed.tables.interfaces[1].name, hardware=None)
    assert parsed.tables.interfaces[0].hardware == "00:15:5d:01:02:03"
    assert parsed.row_lines == 12  # two interfaces, eight routes, two of them on two lines


@pytest.mark.parametrize("start", ["IPv4 Route", "Active Routes:\nNetwork", "          0.0.0.0"])
def test_the_beginning_may_be_missing(start: str) -> None:
    text = PRINTED[PRINTED.index(start) :]
    parsed = parsers.parse(text)
    assert parsed.rejected == []
    assert [route[:3] for route in parsed.tables.routes] == [route[:3] for route in ROUTES]


def test_empty_tables_are_only_headings() -> None:
    text = f"""{LINE}
Schnittstellenliste
  1...........................Software Loopback Interface 1
{LINE}

IPv4-Routentabelle
{LINE}
Aktive Routen:
  Keine
Ständige Routen:
  Keine
"""
    parsed = parsers.parse(text)
    assert (parsed.tables.routes, parsed.found) == ([], ("routes",))
    assert [line.text for line in parsed.rejected] == ["  Keine"]  # one heading too many


def test_an_interface_without_an_ethernet_address_has_none() -> None:
    text = f"{LINE}\nList\n 25...00 00 00 00 00 00 00 e0 Microsoft ISATAP Adapter\n{LINE}\n"
    parsed = parsers.parse(text)
    assert parsed.tables.interfaces == [Interface("Microsoft ISATAP Adapter")]


def test_a_wrapped_route_whose_gateway_never_comes_is_kept() -> None:
    row = "  1    331 2001:db8:20:0:51c2:8e3:77a1:9d04/128\n"
    for after in ("", "\n", f"{LINE}\n", " 12    291 ::/0                     fe80::1\n"):
        first = routes(f"{row}{after}")[0]
        assert (first.destination, first.gateway) == ("2001:db8:20:0:51c2:8e3:77a1:9d04/128", None)


@pytest.mark.parametrize(
    "row",
    [
        "          0.0.0.0      0.0.0.255       192.0.2.1      192.0.2.20     25",
        "          0.0.0.0      255.0.255.0     192.0.2.1      192.0.2.20     25",
        "        999.0.0.0      255.0.0.0       192.0.2.1      192.0.2.20     25",
        "         10.0.0.0      255.0.0.0       192.0.2.1      192.0.2.999    25",
        "         10.0.0.0      255.0.0.0       192.0.2.x      192.0.2.20     25",
        " 12    291 2001:db8::/129           fe80::1",
        " 12    291 2001:db8::/64            fe80::zz:1",
    ],
)
def test_what_is_no_route_is_rejected(row: str) -> None:
    start = PRINTED.index("        127.0.0.0")
    parsed = parsers.parse(PRINTED[:start] + row + "\n" + PRINTED[start:])
    assert [line.text for line in parsed.rejected] == [row]
    assert parsed.tables.routes == ROUTES


def test_other_tables_may_stand_before_and_after() -> None:
    sockets = "\nTengingar\n\n  Prøt  Stæð  Fjær  Hætt\n  TCP  0.0.0.0:80  0.0.0.0:0  HLUSTAR  4\n"
    for text in (PRINTED + sockets, sockets + PRINTED, sockets + translated(PRINTED) + sockets):
        parsed: Parsed = parsers.parse(text)
        assert parsed.rejected == []
        assert len(parsed.tables.routes) == 8
        assert {socket.local_port for socket in parsed.sockets} == {80}


def test_routes_of_linux_stay_with_linux() -> None:
    text = (
        "Kernel IP routing table\n"
        "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
        "0.0.0.0         192.0.2.1       0.0.0.0         UG        0 0          0 eth0\n"
    )
    assert parsers.parse(text).dialect != "windows"
