"""What is run on the near host, and the name of the fixture it makes."""

from __future__ import annotations

from typing import NamedTuple

PROC_FILES = (
    "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "unix", "route",
    "ipv6_route", "dev", "snmp", "snmp6", "netstat", "igmp", "igmp6", "if_inet6",
)  # fmt: skip


class Command(NamedTuple):
    """One run of one tool by ``sh -c``; what it prints as an error belongs to its output."""

    name: str
    """Of the fixture, ``<tool>--captured_<case>``."""
    line: str
    tool: str
    """Which version is told with the fixture; see ``VERSIONS``."""
    wide: bool = False
    """netstat was asked not to cut addresses."""
    after: str = ""
    """What is to be said of it beyond its line."""


VERSIONS = {
    "net-tools": "netstat --version | sed -n '1s/^net-tools //p'",
    "busybox": "busybox | sed -n '1s/^BusyBox v\\([0-9.]*\\).*/\\1/p'",
    "iproute2": "ip -V | sed 's/.*iproute2-//; s/,.*//'",
    "conntrack-tools": "conntrack -V | sed -n '1s/^conntrack v\\([0-9.]*\\).*/\\1/p'",
    "the kernel": "uname -r | sed 's/-.*//'",
}
"""Commands that print nothing but a version."""

_PROC = f"cd /proc/net; for name in {' '.join(PROC_FILES)}; do "
_PROC += 'echo "==> /proc/net/$name <=="; cat $name; done'

COMMANDS = (
    Command("netstat--captured_states", "netstat -antupUwW", "net-tools", wide=True),
    Command("netstat--captured_cut", "netstat -antupUw", "net-tools"),
    Command("netstat--captured_extended", "netstat -antupUweeoW", "net-tools", wide=True),
    Command("netstat--captured_both_tables", "netstat -anW", "net-tools", wide=True),
    Command("netstat--captured_names", "netstat -atuwUW", "net-tools", wide=True),
    Command("netstat--captured_names_cut", "netstat -atuwUp", "net-tools"),
    Command("netstat--captured_unix", "netstat -axp", "net-tools"),
    Command("netstat--captured_routes", "netstat -rn", "net-tools"),
    Command("netstat--captured_routes_names", "netstat -r", "net-tools"),
    Command("netstat--captured_routes_extended", "netstat -rnee", "net-tools"),
    Command("netstat--captured_routes_ipv6", "netstat -rn6", "net-tools"),
    Command("netstat--captured_interfaces", "netstat -i", "net-tools"),
    Command("netstat--captured_interfaces_extended", "netstat -ie", "net-tools"),
    Command("netstat--captured_statistics", "netstat -s", "net-tools"),
    Command("netstat--captured_groups", "netstat -gn", "net-tools"),
    Command("netstat--captured_masquerade", "netstat -M", "net-tools"),
    Command(
        "netstat--captured_every_table",
        "netstat -antupW; netstat -rn; netstat -i; netstat -s; netstat -gn",
        "net-tools",
        wide=True,
    ),
    Command("route--captured", "route -n", "net-tools"),
    Command("route--captured_ipv6", "route -n -6", "net-tools"),
    Command("ifconfig--captured", "ifconfig -a", "net-tools"),
    Command("busybox--captured_sockets", "busybox netstat -antuw", "busybox"),
    Command("busybox--captured_every_family", "busybox netstat -ane", "busybox"),
    Command("busybox--captured_routes", "busybox netstat -rn; busybox route -n", "busybox"),
    Command("busybox--captured_routes_ipv6", "busybox route -A inet6", "busybox"),
    Command("busybox--captured_ifconfig", "busybox ifconfig -a", "busybox"),
    Command("ss--captured_states", "ss -antupw", "iproute2"),
    Command("ss--captured_details", "ss -antupweoim", "iproute2"),
    Command("ss--captured_no_header", "ss -Hantupw", "iproute2"),
    Command("ss--captured_one_line", "ss -OHntoei", "iproute2"),
    Command("ss--captured_unix", "ss -xap", "iproute2"),
    Command("ss--captured_everything", "ss -anp", "iproute2"),
    Command("ss--captured_names", "ss -atuwr", "iproute2"),
    Command("ss--captured_summary", "ss -s", "iproute2"),
    Command("ip--captured_routes", "ip route; ip -6 route", "iproute2"),
    Command(
        "ip--captured_routes_all", "ip route show table all; ip -d route; ip -s -6 route",
        "iproute2",
    ),
    Command("ip--captured_links", "ip -s link", "iproute2"),
    Command("ip--captured_links_more", "ip -s -s -d link", "iproute2"),
    Command("ip--captured_addresses", "ip -s addr", "iproute2"),
    Command("ip--captured_groups", "ip maddr", "iproute2"),
    Command("nstat--captured", "nstat -asz", "iproute2"),
    Command("proc--captured", _PROC, "the kernel"),
)  # fmt: skip

TRACKED = (
    Command(
        "conntrack--captured",
        "conntrack -L 2>/run/told; cat /run/told",  # the two would run into one another
        "conntrack-tools",
        after="; nft had ports of some connections rewritten",
    ),
    Command(
        "conntrack--captured_proc",
        "cat /proc/net/nf_conntrack",
        "the kernel",
        after="; nft had ports of some connections rewritten",
    ),
)
"""Those that need conntrack and nft, which the test suite does not ask for."""
