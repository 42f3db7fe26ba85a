"""Network tables of an invented web server, for the pages in the documentation.

Place in the data's way: beside ``bench.demo_fleet``, which stores what this makes.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator

from probes.observation import Observation, Privilege, Table, TableOutput

HOURS = 24
EVERY = dt.timedelta(minutes=10)

ROUTES = """\
default via 10.20.0.1 dev eth0 proto dhcp src 10.20.0.11 metric 100
10.20.0.0/24 dev eth0 proto kernel scope link src 10.20.0.11 metric 100
10.20.1.0/24 via 10.20.0.2 dev eth0 proto static
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown
192.168.250.0/24 dev wg0 proto kernel scope link src 192.168.250.3
unreachable 10.99.0.0/16 metric 4294967295
2001:db8:20::/64 dev eth0 proto kernel metric 256 pref medium
default via fe80::1 dev eth0 proto ra metric 1024 expires 1719sec pref medium
"""
GROUPS = """\
1:\tlo
\tinet  224.0.0.1
\tinet6 ff02::1
2:\teth0
\tlink  33:33:00:00:00:01
\tinet  224.0.0.251
\tinet  224.0.0.1
\tinet6 ff02::fb
\tinet6 ff02::1
"""
_INTERFACES = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
    inet6 ::1/128 scope host
    RX: bytes packets errors dropped missed mcast
    {lo} {lo_packets} 0 0 0 0
    TX: bytes packets errors dropped carrier collsns
    {lo} {lo_packets} 0 0 0 0
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default
    link/ether 02:00:5e:10:00:0b brd ff:ff:ff:ff:ff:ff
    inet 10.20.0.11/24 brd 10.20.0.255 scope global eth0
    inet6 2001:db8:20::b/64 scope global
    RX: bytes packets errors dropped missed mcast
    {rx} {rx_packets} 0 {dropped} 0 0
    TX: bytes packets errors dropped carrier collsns
    {tx} {tx_packets} 0 0 0 0
3: wg0: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1420 qdisc noqueue state UNKNOWN group default
    link/none
    inet 192.168.250.3/24 scope global wg0
    RX: bytes packets errors dropped missed mcast
    {wg} {wg_packets} 0 0 0 0
    TX: bytes packets errors dropped carrier collsns
    {wg} {wg_packets} 0 0 0 0
"""
_COUNTERS = """\
#kernel
IpInReceives {rx_packets} 0.0
IpInDelivers {rx_packets} 0.0
IpOutRequests {tx_packets} 0.0
TcpActiveOpens {opens} 0.0
TcpPassiveOpens {accepts} 0.0
TcpAttemptFails {fails} 0.0
TcpInSegs {rx_packets} 0.0
TcpOutSegs {tx_packets} 0.0
TcpRetransSegs {retrans} 0.0
UdpInDatagrams {opens} 0.0
UdpNoPorts 31 0.0
TcpExtListenOverflows 4 0.0
TcpExtTCPTimeouts {fails} 0.0
"""


def observations(until: dt.datetime) -> Iterator[Observation]:
    """A day of samples; the host restarts once, so that its counters begin anew."""
    numbers = random.Random("tables")
    total: dict[str, float] = {}
    steps = HOURS * 6
    for step in range(steps):
        if step == steps // 3:
            total = {}
        busy = 1.2 + math.sin((step - 30) / steps * 2 * math.pi) + numbers.random() * 0.3
        seconds = EVERY.total_seconds()
        for name, per_s in (("rx", 410_000), ("tx", 2_900_000), ("lo", 90_000), ("wg", 12_000)):
            total[name] = total.get(name, 0) + per_s * busy * seconds
            total[f"{name}_packets"] = total[name] / 880
        for name, per_s in (("opens", 3), ("accepts", 21), ("fails", 0.02), ("retrans", 0.9)):
            total[name] = total.get(name, 0) + per_s * busy * seconds
        total["dropped"] = total["fails"] / 3
        values = {name: int(value) for name, value in total.items()}
        yield Observation(
            taken_at=until - EVERY * (steps - step),
            duration_s=0.4,
            tool="ss",
            privilege=Privilege.SUDO,
            tables=(
                TableOutput(Table.ROUTES, "ip", ROUTES),
                TableOutput(Table.INTERFACES, "ip", _INTERFACES.format(**values)),
                TableOutput(Table.PROTOCOLS, "nstat", _COUNTERS.format(**values)),
                TableOutput(Table.MULTICAST, "ip", GROUPS),
            ),
        )
