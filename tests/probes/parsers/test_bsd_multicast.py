"""Multicast groups of macOS, and the tables of multicast routing that are none."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Membership

COLUMNS = "Group               \tLink-layer Address\tNetif\n"


@pytest.mark.parametrize(
    ("family", "group", "expected"),
    [
        ("IPv4", "224.0.0.251", Membership("en0", "inet", "224.0.0.251")),
        ("IPv6", "ff02::fb%en0", Membership("en0", "inet6", "ff02::fb%en0")),
        ("Link-layer", "1:0:5e:0:0:fb", Membership("en0", "link", "01:00:5e:00:00:fb")),
    ],
)
def test_the_title_tells_the_family(family: str, group: str, expected: Membership) -> None:
    text = f"{family} Multicast Group Memberships\n{COLUMNS}{group:<20}\t1:0:5e:0:0:fb\ten0\n"
    parsed = parsers.parse(text)
    assert parsed.tables.multicast == [expected]
    assert (parsed.dialect, parsed.header_lines, parsed.rejected) == ("macos", 2, [])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("224.0.0.251\t<none>", "not a row"),
        ("224.0.0.300\t<none>\ten0", "address"),
        ("ff02::1\t<none>\ten0", "another family"),
        ("224.0.0.1\t<none>\t0", "not a row"),
    ],
)
def test_what_is_no_membership_is_rejected_with_its_reason(line: str, word: str) -> None:
    parsed = parsers.parse(f"IPv4 Multicast Group Memberships\n{COLUMNS}{line}\n")
    assert parsed.tables.multicast == []
    assert word in parsed.rejected[0].reason


@pytest.mark.parametrize(
    "title",
    [
        "No IPv4 MROUTING kernel support.",
        "IPv4 Virtual Interface Table is empty",
        "IPv4 Multicast Forwarding Table is empty",
        "IPv6 Multicast Interface Table is empty",
        "Virtual Interface Table is empty",
        "Multicast Forwarding Cache is empty",
    ],
)
def test_an_empty_table_of_multicast_routing_is_known(title: str) -> None:
    parsed = parsers.parse(f"{title}\n")
    assert (parsed.found, parsed.header_lines, parsed.rejected) == (("multicast",), 1, [])


def test_a_route_of_multicast_packets_is_no_membership() -> None:
    parsed = parsers.parse(
        "IPv4 Multicast Forwarding Table\n"
        " Origin          Group             Packets In-Vif  Out-Vifs:Ttls\n"
        " 192.0.2.7       239.1.2.3              12      0    1:1\n"
    )
    assert parsed.tables.multicast == []
    assert (parsed.header_lines, len(parsed.rejected)) == (2, 1)
    assert "no memberships" in parsed.rejected[0].reason
