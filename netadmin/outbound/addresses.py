"""Which addresses may be reached from here on behalf of somebody who typed a name or URL.

Place in the data's way: asked by ``netadmin.outbound.guard`` at each connection. The table is our
own: ``ipaddress.is_private`` takes 100.64/10, 64:ff9b::/96, 2002::/16 and multicast for public.
Sources: the IANA special-purpose registries (RFC 6890 and what amended it), and the metadata
addresses of cloud providers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_V4 = {
    "127.0.0.0/8": "loopback",
    "0.0.0.0/8": "this host",
    "10.0.0.0/8": "private",
    "172.16.0.0/12": "private",
    "192.168.0.0/16": "private",
    "100.64.0.0/10": "shared by a provider",
    "169.254.0.0/16": "link-local or metadata",
    "168.63.129.16/32": "metadata",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "documentation",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "198.18.0.0/15": "benchmarking",
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcast",
    "240.0.0.0/4": "reserved",
}
_V6 = {
    "::1/128": "loopback",
    "::/128": "this host",
    "fe80::/10": "link-local",
    "fec0::/10": "private",
    "fc00::/7": "private",
    "ff00::/8": "multicast",
    "64:ff9b::/96": "an IPv4 address in disguise",
    "64:ff9b:1::/48": "an IPv4 address in disguise",
    "::/96": "an IPv4 address in disguise",
    "2002::/16": "an IPv4 address in disguise",
    "2001::/32": "an IPv4 address in disguise",
    "2001::/23": "reserved",
    "2001:db8::/32": "documentation",
    "3fff::/20": "documentation",
}
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_TABLE: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(text), reason) for text, reason in (_V4 | _V6).items()
)


def check(ip: str | Address) -> str | None:
    """Why ``ip`` may not be reached, in a word or two; None where it may.

    Takes one written address (a zone is ignored); what is none, a name or ``0x7f.1``, may not be
    reached. OUTBOUND_ALLOWED_NETWORKS opens networks by CIDR. An IPv4 address inside IPv6
    (::ffff:127.0.0.1) counts as what it is.
    """
    try:
        # An address object may be an IPv6Address with a zone, which no network contains.
        address = ipaddress.ip_address(str(ip).partition("%")[0])
    except ValueError:
        return "not an address"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    allowed: Sequence[Network] = settings.OUTBOUND_ALLOWED_NETWORKS
    if any(address in network for network in allowed):
        return None
    for network, reason in _TABLE:
        if address in network:
            return reason
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return "reserved"
    return None
