"""Which of the hosts has an address: known, nobody's, or claimed by several.

Place in the data's way: before ``probes.analysis.topology``, which asks who is behind the far end
of a connection. Pure: addresses are 16 packed bytes, as they are stored, IPv4 as
``::ffff:a.b.c.d``; none at all where a tool cut one short.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

IPV4_PREFIX: Final = bytes(10) + b"\xff\xff"
"""Before the four bytes of an IPv4 address, as addresses are stored."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which host has which address."""

    owner: Mapping[bytes, int]
    several: Mapping[bytes, tuple[int, ...]]
    """Addresses that more than one host has (172.17.0.1 of every Docker host): nobody's."""

    def of(self, ip: bytes, seen_by: int) -> int | None:
        """The host behind an address that ``seen_by`` is connected with; None where none is known.
        What several have is for each of them its own."""
        claimants = self.several.get(ip)
        if claimants is not None:
            return seen_by if seen_by in claimants else None
        return self.owner.get(ip)


def packed(text: str) -> bytes | None:
    """16 bytes of an address, whatever its zone or prefix; None for what is no address."""
    plain = text.partition("%")[0].partition("/")[0].strip()
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return None
    return address.packed if address.version == 6 else IPV4_PREFIX + address.packed


def shown(ip: bytes) -> str:
    """An address as text; empty for one that the tool cut."""
    if len(ip) != 16:
        return ""
    if ip.startswith(IPV4_PREFIX):
        return str(ipaddress.IPv4Address(ip[12:]))
    return str(ipaddress.IPv6Address(ip))


def claimable(ip: bytes) -> bool:
    """Whether an address can tell one host from another: loopback, unspecified, link-local and
    multicast ones are everywhere."""
    if len(ip) != 16:
        return False
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = (
        ipaddress.IPv4Address(ip[12:]) if ip.startswith(IPV4_PREFIX) else ipaddress.IPv6Address(ip)
    )
    return not (
        address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or address.is_multicast
    )


def owners(claims: Iterable[tuple[int, bytes]]) -> Ownership:
    """Who has which address, from (host, address) in any order and as often as may be."""
    claimed: dict[bytes, set[int]] = defaultdict(set)
    for host_id, ip in claims:
        claimed[ip].add(host_id)
    usable = {ip: hosts for ip, hosts in claimed.items() if claimable(ip)}
    return Ownership(
        {ip: next(iter(hosts)) for ip, hosts in usable.items() if len(hosts) == 1},
        {ip: tuple(sorted(hosts)) for ip, hosts in usable.items() if len(hosts) > 1},
    )
