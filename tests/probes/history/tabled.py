"""The other tables as hosts print them, and observations of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from probes.observation import Code, Failure, Observation, Table, TableOutput
from tests.probes.history.played import LISTENER, observed, table

ROUTES_HEAD = (
    "Kernel IP routing table\n"
    "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
)
DEFAULT_ROUTE = ("0.0.0.0", "192.0.2.254", "0.0.0.0", "UG", "eth0")
LINK_ROUTE = ("192.0.2.0", "0.0.0.0", "255.255.255.0", "U", "eth0")
OFFICE_ROUTE = ("10.1.0.0", "192.0.2.250", "255.255.0.0", "UG", "eth0")


def routes(*rows: tuple[str, str, str, str, str], uses: int = 0) -> TableOutput:
    """``netstat -rne``: destination, gateway, mask, flags and interface of each."""
    text = ROUTES_HEAD + "".join(
        f"{destination:<15} {gateway:<15} {mask:<15} {flags:<5} 0      0   {uses:>6} {interface}\n"
        for destination, gateway, mask, flags, interface in rows
    )
    return TableOutput(Table.ROUTES, "netstat", text)


def interface(
    name: str = "eth0",
    received: int = 0,
    sent: int = 0,
    *,
    packets: tuple[int, int] = (0, 0),
    errors: tuple[int, int] = (0, 0),
    address: str = "192.0.2.1",
    mtu: int = 1500,
    flags: str = "4163<UP,BROADCAST,RUNNING,MULTICAST>",
) -> str:
    """One interface of ``netstat -ie``."""
    return (
        f"{name}: flags={flags}  mtu {mtu}\n"
        f"        inet {address}  netmask 255.255.255.0  broadcast 192.0.2.255\n"
        "        ether 02:00:00:00:09:01  txqueuelen 1000  (Ethernet)\n"
        f"        RX packets {packets[0]}  bytes {received} ({received}.0 B)\n"
        f"        RX errors {errors[0]}  dropped 0  overruns 0  frame 0\n"
        f"        TX packets {packets[1]}  bytes {sent} ({sent}.0 B)\n"
        f"        TX errors {errors[1]}  dropped 0 overruns 0  carrier 0  collisions 0\n"
        "\n"
    )


def interfaces(*blocks: str) -> TableOutput:
    """``netstat -ie``."""
    return TableOutput(Table.INTERFACES, "netstat", "Kernel Interface table\n" + "".join(blocks))


def protocols(**counters: int) -> TableOutput:
    """``nstat -asz``: the counters by names such as ``TcpInSegs``."""
    lines = [f"{name:<31} {value:<18} 0.0\n" for name, value in counters.items()]
    return TableOutput(Table.PROTOCOLS, "nstat", "#kernel\n" + "".join(lines))


def multicast(*groups: tuple[str, str]) -> TableOutput:
    """``netstat -gn``: interface and group of each."""
    text = (
        "IPv6/IPv4 Group Memberships\n"
        "Interface       RefCnt Group\n"
        "--------------- ------ ---------------------\n"
    ) + "".join(f"{name:<15} {1:<6} {group}\n" for name, group in groups)
    return TableOutput(Table.MULTICAST, "netstat", text)


def missing(which: Table, code: Code = Code.NETSTAT_MISSING, detail: str = "") -> TableOutput:
    """A table that no tool could read."""
    return TableOutput(which, failure=Failure(code, detail))


def seen(minute: float, *outputs: TableOutput, **fields: Any) -> Observation:
    """A whole probe at that minute that also took these tables."""
    return dataclasses.replace(observed(minute, table(LISTENER), **fields), tables=outputs)


def usual(received: int = 1_000_000, sent: int = 500_000) -> tuple[TableOutput, ...]:
    """All four tables of a host with one network card."""
    return (
        routes(DEFAULT_ROUTE, LINK_ROUTE),
        interfaces(
            interface("lo", 5_000, 5_000, address="127.0.0.1", mtu=65_536,
                      flags="73<UP,LOOPBACK,RUNNING>"),
            interface("eth0", received, sent, packets=(received // 1000, sent // 1000)),
        ),
        protocols(TcpActiveOpens=12, TcpInSegs=received // 1000, UdpNoPorts=0),
        multicast(("lo", "224.0.0.1"), ("eth0", "224.0.0.1"), ("eth0", "ff02::1")),
    )  # fmt: skip
