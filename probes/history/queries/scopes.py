"""Where an address is: on the host itself, inside, or outside.

Place in the data's way: words for addresses in port lists and statistics, in packed form, so that
the database can filter by them. (Python's ``is_private`` leaves out 100.64.0.0/10, and calls the
networks of documentation private.)

Decided by IANA's registries of special-purpose addresses (RFC 6890 and what came after), read in
July 2025. *External* is what a packet from the internet can come from. So

- *loopback* is the host itself;
- *private* are the networks that are not routed on the internet: private use (RFC 1918, RFC 4193),
  carrier-grade NAT (100.64.0.0/10), link-local, "this network", IETF protocol assignments
  (192.0.0.0/24, DS-Lite), benchmarking, discard-only, NAT64 for local use (64:ff9b:1::/48), segment
  identifiers (5f00::/16), the site-local addresses of old, and multicast, broadcast and reserved;
- *external* is everything else. That includes what names an address of the internet inside
  another: NAT64 (64:ff9b::/96), 6to4 (2002::/16, 192.88.99.0/24) and Teredo (2001::/32); and the
  networks of documentation (192.0.2.0/24, 2001:db8::/32, 3fff::/20 and their like): nobody may use
  them, so that one that is seen after all was forged or leaked, and is nothing of ours.

An IPv4-mapped address (``::ffff:10.0.0.1``) is the IPv4 address it maps.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from probes.filters import address_range
from probes.history.queries.sql import ANY_ROW, Statement, within

Scope = Literal["all", "external", "private", "loopback"]
SCOPES: Final[tuple[str, ...]] = get_args(Scope)

_NETWORKS: Final = {
    "loopback": ("127.0.0.0/8", "::1"),
    "private": (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarking
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/128",
        "64:ff9b:1::/48",
        "100::/64",  # discard-only
        "100:0:0:1::/64",  # dummy prefix
        "2001:2::/48",  # benchmarking
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",  # site-local, deprecated
        "ff00::/8",
    ),
}
_RANGES: Final = {
    scope: tuple(address_range(network) for network in networks)
    for scope, networks in _NETWORKS.items()
}


def of(packed: bytes) -> str:
    """loopback, private or external. An address cut short is IPv6 and taken as external."""
    for scope, ranges in _RANGES.items():
        if any(part.low <= packed <= part.high for part in ranges):
            return scope
    return "external"


def condition(scope: str) -> Statement:
    """Rows whose remote address is in ``scope``, one of SCOPES."""
    if scope == "all":
        return ANY_ROW
    inside = [
        within("remote", part)
        for name, ranges in _RANGES.items()
        if scope in (name, "external")
        for part in ranges
    ]
    listed = " OR ".join(part.sql for part in inside)
    params = tuple(value for part in inside for value in part.params)
    return Statement(f"NOT ({listed})" if scope == "external" else f"({listed})", params)


def naming(end: str) -> Statement:
    """The name of the scope of each row's ``local`` or ``remote`` address, as an expression."""
    parts = [(name, within(end, part)) for name, ranges in _RANGES.items() for part in ranges]
    cases = " ".join(f"WHEN {part.sql} THEN '{name}'" for name, part in parts)
    params = tuple(value for _name, part in parts for value in part.params)
    return Statement(f"CASE {cases} ELSE 'external' END", params)
