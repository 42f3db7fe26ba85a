"""Rows of routing tables of net-tools and busybox. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Route

PLAIN = "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
METRIC = "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
LONG = METRIC.rstrip("\n") + "    MSS   Window irtt\n"
V6 = "Destination                    Next Hop                   Flag Met Ref  Use If\n"
DEFAULT = "0.0.0.0         198.51.100.1    0.0.0.0         UG        0 0          0 eth0"


def row(line: str, *, heading: str = PLAIN) -> Route:
    parsed = parsers.parse(heading + line)
    assert not parsed.rejected, parsed.rejected
    assert parsed.found == ("routes",)
    (route,) = parsed.tables.routes
    return route


def reason(line: str, *, heading: str = PLAIN) -> str:
    parsed = parsers.parse(heading + line)
    assert not parsed.tables.routes, parsed.tables.routes
    ((_, _, why),) = parsed.rejected
    return why


def test_four_numbers_mean_what_the_heading_says() -> None:
    line = "192.0.2.0       198.51.100.9    255.255.255.0   UG    100    3      507 eth0"
    route = row(line, heading=METRIC)
    assert route == Route(
        family="inet",
        destination="192.0.2.0/24",
        gateway="198.51.100.9",
        interface="eth0",
        flags="UG",
        metric=100,
        references=3,
        uses=507,
    )
    route = row(line)
    assert (route.mss, route.window, route.irtt, route.metric) == (100, 3, 507, None)


def test_without_a_heading_the_place_of_the_first_number_says_it() -> None:
    assert row(DEFAULT, heading="").mss == 0
    assert row(DEFAULT, heading="").metric is None
    line = "0.0.0.0         198.51.100.1    0.0.0.0         UG    100    0        0 eth0"
    assert row(line, heading="").metric == 100
    assert row(line.replace("UG    100", "UGHDMC 100"), heading="").metric == 100


def test_a_heading_in_another_language_is_one() -> None:
    parsed = parsers.parse(
        "Table de routage IP du noyau\n"
        f"Destination     Passerelle      Genmask         Indic   MSS Fenêtre irtt Iface\n{DEFAULT}"
    )
    assert (parsed.header_lines, parsed.row_lines, parsed.rejected) == (2, 1, [])


def test_seven_numbers_are_all_of_them_and_the_interface_may_be_cut() -> None:
    line = "10.0.0.0  10.1.1.1  255.0.0.0  UG  100  0  5 docker   1340  8192   300"
    route = row(line, heading=LONG)
    assert (route.metric, route.uses, route.mss, route.window, route.irtt) == (
        100, 5, 1340, 8192, 300,
    )  # fmt: skip
    assert (route.interface, route.marks) == ("docker", ("interface_truncated",))
    assert row(line.replace("docker", "eth0"), heading=LONG).marks == ()


@pytest.mark.parametrize("gateway", ["0.0.0.0", "*", "-"])
def test_no_gateway_is_none(gateway: str) -> None:
    assert row(f"10.0.0.0 {gateway} 255.0.0.0 U 0 0 0 eth0").gateway is None


def test_names_stay_names() -> None:
    route = row("default         _gateway        0.0.0.0         UG        0 0          0 eth0")
    assert (route.destination, route.gateway) == ("0.0.0.0/0", "_gateway")
    assert route.marks == ("gateway_name",)
    route = row("link-local      *               255.255.0.0     U         0 0          0 eth0")
    assert (route.destination, route.marks) == ("link-local", ("destination_name",))


def test_a_route_that_refuses_has_neither_gateway_nor_interface() -> None:
    for line in (
        "203.0.113.9     -               255.255.255.255 !H        - -          - -",
        "203.0.113.9     *               255.255.255.255 !H        0 0          0 *",
    ):
        route = row(line)
        assert (route.kind, route.gateway, route.interface) == ("unreachable", None, None)
        assert (route.destination, route.flags) == ("203.0.113.9/32", "!H")


def test_a_route_that_leads_nowhere_is_a_black_hole() -> None:
    line = "10.68.0.0       0.0.0.0         255.255.0.0     U         0 0          0 *"
    assert (row(line).kind, row(line).interface) == ("blackhole", None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("10.0.0.0 10.1.1.1 255.0.255.0 UG 0 0 0 eth0", "gaps"),
        ("10.0.0.0 10.1.1.1 255.0.0 UG 0 0 0 eth0", "mask"),
        ("10.0.0.300 10.1.1.1 255.0.0.0 UG 0 0 0 eth0", "destination"),
        ("10.0.0.0 10.1.1 255.0.0.0 UG 0 0 0 eth0", "gateway"),
        (f"10.0.0.0 10.1.1.1 255.0.0.0 UG {2**63} 0 0 eth0", "number"),
        ("10.0.0.0 10.1.1.1 255.0.0.0 U/G 0 0 0 eth0", "flags"),
        ("10.0.0.0 10.1.1.1 255.0.0.0 UG 0 0 0 a/b", "interface"),
        ("10.0.0.0 10.1.1.1 255.0.0.0 UG 0 0", "columns"),
        ("something else", "columns"),
    ],
)
def test_what_is_no_route_is_a_reason(line: str, why: str) -> None:
    assert why in reason(line)


def test_host_bits_never_stay_in_a_network() -> None:
    assert row("10.1.2.3 0.0.0.0 255.0.0.0 U 0 0 0 eth0").destination == "10.0.0.0/8"
    line = "2001:db8::5/32                 ::                         U    256 1      0 eth0"
    assert row(line, heading=V6).destination == "2001:db8::/32"


class TestIpv6:
    LINE = "2001:db8:99::/48               2001:db8:10::1             UG   512 1      7 eth0"

    def test_all_columns(self) -> None:
        for heading in (V6, ""):
            assert row(self.LINE, heading=heading) == Route(
                family="inet6",
                destination="2001:db8:99::/48",
                gateway="2001:db8:10::1",
                interface="eth0",
                flags="UG",
                metric=512,
                references=1,
                uses=7,
            )

    @pytest.mark.parametrize(
        ("line", "kind"),
        [
            ("::1/128 :: Un 0 3 0 lo", "local"),
            ("::/0 :: !n -1 1 0 lo", "unreachable"),
            ("ff00::/8 :: U 256 1 0 eth0", "multicast"),
            ("fe80::/64 [::] U 256 1 0 eth0", "unicast"),
        ],
    )
    def test_kinds(self, line: str, kind: str) -> None:
        route = row(line, heading=V6)
        assert (route.kind, route.gateway) == (kind, None)

    def test_the_largest_metric_is_printed_as_minus_one(self) -> None:
        assert row("::/0 :: !n -1 1 0 lo", heading=V6).metric == 2**32 - 1
        assert "metric" in reason(f"::/0 :: !n -{2**31 + 1} 1 0 lo", heading=V6)

    def test_names_stay_names(self) -> None:
        route = row("localhost/128 router.example U 0 3 0 lo", heading=V6)
        assert (route.destination, route.gateway) == ("localhost/128", "router.example")
        assert route.marks == ("destination_name", "gateway_name")

    def test_counts_that_old_tools_glue_together_are_unknown(self) -> None:
        route = row("fe80::/64 :: U 256 0123456 eth0".replace("0123456", "3123456"), heading=V6)
        assert (route.references, route.uses, route.metric) == (None, None, 256)

    @pytest.mark.parametrize(
        "line", ["2001:db8::/129 :: U 1 1 1 x", "x y", "::/0 1::2::3 U 1 1 1 x"]
    )
    def test_what_is_no_route_is_rejected(self, line: str) -> None:
        assert reason(line, heading=V6)


def test_both_families_of_one_output_follow_each_other() -> None:
    text = (
        f"Kernel IP routing table\n{PLAIN}{DEFAULT}\nKernel IPv6 routing table\n{V6}{TestIpv6.LINE}"
    )
    parsed = parsers.parse(text)
    assert [route.family for route in parsed.tables.routes] == ["inet", "inet6"]
    assert (parsed.header_lines, parsed.rejected) == (4, [])
