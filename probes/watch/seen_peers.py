"""Programs and networks as one look for new peers sees them, and the addresses of a network.

Place in the data's way: between ``queries.dialled`` and ``watch.drift``, which says what of it is
new. Pure: knows no rows.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from probes.analysis.addresses import IPV4_PREFIX
from probes.filters import Invalid, address_range
from probes.history.queries.dialled import Dialled
from probes.models import DriftWatch

NAMED: Final = 20
"""Addresses that are kept of a network, and networks that an alert names."""
MOST_OF_HOST: Final = 20_000
"""Programs and networks of one host in one look: what is beyond it is left for the next one."""


@dataclass(slots=True)
class Seen:
    """A program and a network in one look."""

    program: str
    network: str
    low: bytes
    high: bytes
    first: tuple[dt.datetime, int]
    """When, and the host."""
    newest: tuple[dt.datetime, int]
    connections: int = 0
    addresses: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What makes it one within a group."""
        return self.program, self.network

    def add(self, one: Dialled) -> None:
        """One more address of it."""
        self.first = min(self.first, (one.first, one.host_id))
        self.newest = max(self.newest, (one.newest, one.host_id))
        self.connections += one.connections
        text = str(address_of(one.remote_ip))
        if text in self.addresses or len(self.addresses) < NAMED:
            self.addresses[text] = self.addresses.get(text, 0) + one.connections

    def after(self, when: dt.datetime) -> tuple[dt.datetime, int] | None:
        """The first known sight of it later than ``when``."""
        return next((seen for seen in (self.first, self.newest) if seen[0] > when), None)


def collect(
    found: dict[tuple[str, str], Seen], sockets: Iterable[Dialled], watch: DriftWatch
) -> None:
    """Add connections to what was found, but those to networks that the watch leaves out."""
    ignored = ignored_ranges(watch.ignored)
    networks: dict[bytes, tuple[str, bytes, bytes]] = {}
    of_host: Counter[int] = Counter()
    for one in sockets:
        if of_host[one.host_id] >= MOST_OF_HOST:
            continue
        if any(low <= one.remote_ip <= high for low, high in ignored):
            continue
        if one.remote_ip not in networks:
            networks[one.remote_ip] = network_of(
                one.remote_ip, ipv4_prefix=watch.ipv4_prefix, ipv6_prefix=watch.ipv6_prefix
            )
        network, low, high = networks[one.remote_ip]
        key = one.program[:255], network
        if key not in found:
            of_host[one.host_id] += 1
            found[key] = Seen(*key, low, high, (one.first, one.host_id), (one.newest, one.host_id))
        found[key].add(one)


def network_of(ip: bytes, *, ipv4_prefix: int, ipv6_prefix: int) -> tuple[str, bytes, bytes]:
    """The network of a stored address as text, and its first and last address as stored.

    ``::ffff:192.0.2.9`` is in ``192.0.2.0/24``: that a socket is a tcp6 one says nothing of the
    far end. Zones are of one host and say nothing either.
    """
    address = address_of(ip)
    prefix = ipv4_prefix if address.version == 4 else ipv6_prefix
    network = ipaddress.ip_network((address, prefix), strict=False)
    return (str(network), *ends_of(str(network)))


def ends_of(network: str) -> tuple[bytes, bytes]:
    """The first and the last address of a network, as they are stored."""
    addresses = address_range(network)
    return addresses.low, addresses.high


def ignored_ranges(text: str) -> list[tuple[bytes, bytes]]:
    """The addresses and networks of ``DriftWatch.ignored``. Raises Invalid for a line that is none.

    Lines may hold a comment behind ``#``.
    """
    listed = []
    for number, line in enumerate(text.splitlines(), start=1):
        plain = line.partition("#")[0].strip()
        if plain:
            try:
                found = address_range(plain)
            except Invalid as error:
                raise Invalid(f"{number}: {error.message}") from None
            listed.append((found.low, found.high))
    return listed


def address_of(ip: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A stored address."""
    if ip.startswith(IPV4_PREFIX):
        return ipaddress.IPv4Address(ip[12:])
    return ipaddress.IPv6Address(ip)
