"""Networks that a token may be used from: read, written in one way, and compared.

Place in the data's way: between what people and scripts write (the token form, the command, the
API) and :mod:`netadmin.access.tokens`, which asks at each use. Knows addresses and nothing of
tokens.

An IPv4 address that came as IPv6 (``::ffff:192.0.2.1``, RFC 4291 section 2.5.5.2) is the IPv4
address, in a network and as the caller's: which of both a server sees depends on its socket.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST: Final = 50
LONGEST: Final = 1000
"""Characters of a text with all of them."""
_MAPPED_BITS: Final = 96
_SHOWN: Final = 60

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read(text: str) -> list[str]:
    """Networks in a text, divided by commas, blanks or line ends; see :func:`normal`."""
    return normal(text.replace(",", " ").split())


def normal(listed: Iterable[str]) -> list[str]:
    """Networks as CIDR, each once, in the order given; an address alone is a network of one.

    Raises ValidationError naming the first that is none, or one whose address has bits beyond its
    prefix: whoever wrote it meant either the address or the network.
    """
    found = list(dict.fromkeys(str(_network(text)) for text in listed))
    if len(found) > MOST:
        raise ValidationError(_("At most %(most)d networks.") % {"most": MOST}, code="too_many")
    return found


def admit(networks: Iterable[str], address: str | None) -> bool:
    """Whether ``address`` lies in one of ``networks``; without any, every address does.

    An address that is not known (a server on a unix socket that no proxy stands before) lies in
    none.
    """
    listed = list(networks)
    if not listed:
        return True
    if address is None:
        return False
    known = ipaddress.ip_address(address)
    mapped = getattr(known, "ipv4_mapped", None)
    known = known if mapped is None else mapped
    # An address of the other family lies in no network; Python answers False by itself.
    return any(known in ipaddress.ip_network(text) for text in listed)


def _network(text: str) -> Network:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    # Python takes "192.0.2.0/255.255.255.0", "/0.0.0.255" and zones too; nobody reads those back.
    address, slash, prefix = text.partition("/")
    plain = not slash or (prefix.isascii() and prefix.isdigit() and len(prefix) <= 3)
    try:
        if not plain or "%" in text:
            raise ValueError("no CIDR")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValidationError(
            _("%(text)s is no network. Write 192.0.2.7, 10.20.0.0/16 or 2001:db8::/48.")
            % {"text": shown},
            code="invalid",
        ) from None
    if network.network_address != ipaddress.ip_address(address):
        raise ValidationError(
            _("%(text)s has bits beyond its prefix. Write %(network)s, or %(address)s alone.")
            % {"text": shown, "network": network, "address": address},
            code="invalid",
        )
    return _unmapped(network)


def _unmapped(network: Network) -> Network:
    if isinstance(network, ipaddress.IPv4Network) or network.prefixlen < _MAPPED_BITS:
        return network
    mapped = network.network_address.ipv4_mapped
    if mapped is None:
        return network
    return ipaddress.ip_network(f"{mapped}/{network.prefixlen - _MAPPED_BITS}")
