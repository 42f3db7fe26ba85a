"""Limits of a kernel as files of /proc/sys and sysctl(8) tell them, and as a hostile host would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.parsers import sysctl

LINUX = """\
==> kernel/ostype <==
Linux
==> kernel/osrelease <==
6.1.0-28-amd64
==> net/ipv4/ip_local_port_range <==
32768\t60999
==> net/ipv4/ip_local_reserved_ports <==

==> net/core/somaxconn <==
4096
"""


def test_files_of_proc_are_read_by_their_names() -> None:
    assert sysctl.read(LINUX) == {
        "kernel.ostype": "Linux",
        "kernel.osrelease": "6.1.0-28-amd64",
        "net.ipv4.ip_local_port_range": "32768 60999",
        "net.core.somaxconn": "4096",
    }


@pytest.mark.parametrize("line", ["{}: {}", "{}={}", "{} = {}"])
def test_every_form_of_sysctl_is_read(line: str) -> None:
    told = {"kern.ostype": "FreeBSD", "net.inet.ip.portrange.first": "10000"}
    assert sysctl.read("\n".join(line.format(*each) for each in told.items())) == told


@pytest.mark.parametrize(
    "text",
    [
        "==> net/core/somaxconn <==\n-1",
        "==> net/core/somaxconn <==\n99999999999",
        "==> net/core/somaxconn <==\n２２",
        "==> net/core/somaxconn <==\n1; rm",
        "==> net/core/somaxconn <==",
        "==> net/ipv4/ip_local_port_range <==\n60999 32768",
        "==> net/ipv4/ip_local_port_range <==\n0 70000",
        "==> net/ipv4/ip_local_port_range <==\n1",
        "==> net/ipv4/ip_local_reserved_ports <==\n1,x",
        "==> kernel/ostype <==\n<script>alert(1)</script>",
        "==> net/ipv4/ip_forward <==\n1",
        "kern.hostname: secret",
        "\x00\x1b[2J",
    ],
)
def test_what_is_no_such_value_is_left_out(text: str) -> None:
    assert sysctl.read(text) == {}


def test_the_first_of_several_values_counts() -> None:
    assert sysctl.read("kern.somaxconn: 1\nkern.somaxconn: 2") == {"kern.somaxconn": "1"}


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    for name, value in sysctl.read(text).items():
        assert name in sysctl.NAMES
        assert value.isascii()
        assert len(value) < 4_000


def test_hostile_lines_take_no_time_and_give_nothing() -> None:
    assert sysctl.read("==> " * 60_000 + "\n" + "9" * 60_000 + "\n" + "1," * 30_000) == {}
    assert len(sysctl.read("kern.somaxconn: 1\n" * 100_000)) == 1


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("1", [(1, 1)]),
        ("10-10,1,2-4", [(1, 4), (10, 10)]),
        ("5-9,7-12,13", [(5, 13)]),
        ("70000", []),
        ("9-5", []),
        ("", []),
    ],
)
def test_reserved_ports_are_joined_where_they_overlap(
    text: str, pairs: list[tuple[int, int]]
) -> None:
    assert sysctl.port_set(text) == pairs
