"""netstat -g, and netstat -M. Whole outputs are in test_golden."""

from __future__ import annotations

import pytest

from probes import parsers
from probes.parsers.records import Membership, Translation

TITLE = "IPv6/IPv4 Group Memberships\nInterface       RefCnt Group\n"
RULE = "--------------- ------ ---------------------\n"


def memberships(text: str) -> list[Membership]:
    parsed = parsers.parse(text)
    assert not parsed.rejected, parsed.rejected
    assert parsed.found == ("multicast",)
    return parsed.tables.multicast


@pytest.mark.parametrize("heading", [TITLE + RULE, ""])
def test_groups_of_both_families(heading: str) -> None:
    rows = "lo              1      224.0.0.1\neth0            2      ff02::1:ff00:1\n"
    assert memberships(heading + rows) == [
        Membership("lo", "inet", "224.0.0.1", 1),
        Membership("eth0", "inet6", "ff02::1:ff00:1", 2),
    ]


@pytest.mark.parametrize(
    ("name", "group"),
    [("ip6-allnodes", "ff02::1"), ("all-systems.mcast.net", "224.0.0.1")],
)
def test_names_of_groups_that_everybody_knows_are_addresses(name: str, group: str) -> None:
    assert memberships(f"{TITLE}{RULE}eth0            1      {name}\n")[0].group == group


@pytest.mark.parametrize("group", ["some.name", "224.0.0", f"{2**70} x", "ff02::1::2"])
def test_another_name_is_a_reason(group: str) -> None:
    parsed = parsers.parse(f"{TITLE}{RULE}eth0            1      {group}\n")
    assert (len(parsed.rejected), parsed.tables.multicast) == (1, [])


class TestMasquerade:
    @pytest.mark.parametrize(
        "line",
        [
            "netstat: no support for `ip_masquerade' on this system.",
            "netstat: feature `ip_masquerade' not supported.",
            "/proc/net/ip_masquerade: No such file or directory",
        ],
    )
    def test_that_the_kernel_has_no_such_table_is_said_once(self, line: str) -> None:
        parsed = parsers.parse(f"{line}\n{line}\n")
        assert (parsed.header_lines, parsed.rejected, parsed.found) == (2, [], ("masquerade",))
        (remark,) = parsed.tables.remarks
        assert "conntrack -L" in remark

    def test_it_is_said_beside_other_tables_too(self) -> None:
        row = "tcp        0      0 10.0.0.5:22             0.0.0.0:*               LISTEN     \n"
        complaint = "netstat: no support for `ip_masquerade' on this system.\n"
        parsed = parsers.parse(f"Active Internet connections (only servers)\n{row}{complaint}")
        assert len(parsed.tables.remarks) == 1
        assert (len(parsed.sockets), parsed.rejected) == (1, [])

    @pytest.mark.parametrize("extended", ["", " 305419896    -5     0", "         0     0     -"])
    def test_rows_of_old_kernels(self, extended: str) -> None:
        ends = "192.0.2.7            198.51.100.9         1025 -> http (61001)"
        line = f"tcp  14:59.99{extended} {ends}"
        parsed = parsers.parse(line)
        assert parsed.rejected == []
        assert parsed.tables.masquerade == [
            Translation(
                protocol="tcp",
                state=None,
                timeout_s=899,
                source_ip="192.0.2.7",
                source_port=1025,
                destination_ip="198.51.100.9",
                destination_port=80,
                reply_source_ip="198.51.100.9",
                reply_source_port=80,
                reply_destination_port=61001,
                kind="snat",
            )
        ]

    @pytest.mark.parametrize(
        "line",
        [
            "tcp  14:59.99 here                 198.51.100.9         1025 -> 80 (61001)",
            "tcp  14:59.99 192.0.2.7            198.51.100.9         1025 -> what (61001)",
            "tcp  14:59.99 192.0.2.7            198.51.100.9         1025 80 (61001)",
        ],
    )
    def test_what_is_no_row_is_rejected(self, line: str) -> None:
        parsed = parsers.parse(f"IP masquerading entries\n{line}\n")
        assert (len(parsed.rejected), parsed.tables.masquerade) == (1, [])
