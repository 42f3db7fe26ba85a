"""Where an address is: on the host itself, inside, or outside.

Place in the data's way: words for addresses in port lists and statistics. Decided by the tables
of IANA's special-purpose registries for IPv4 and IPv6, in packed form, so that the database can
filter by them. (Python's ``is_private`` leaves out 100.64.0.0/10.)
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
        "192.168.0.0/16",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/128",
        "fc00::/7",
        "fe80::/10",
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
