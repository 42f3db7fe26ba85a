"""Networks as netstat of macOS and the BSDs shortens them.

Place in the data's way: under ``bsd_routes`` and ``bsd_interfaces``. Pure. Rules of netname and
netname6 (route.c): octets of zeros at the end are left out down to the address's class, and the
prefix is left out where it is that of the class::

    10 -> 10.0.0.0/8          127 -> 127.0.0.0/8          169.254 -> 169.254.0.0/16
    192.168.1 -> 192.168.1.0/24    10.0.1/24 -> 10.0.1.0/24    224.0.0/4 -> 224.0.0.0/4
    default -> 0.0.0.0/0 or ::/0   fe80::%lo0/64 stays         ::1 -> ::1/128

Three octets without a prefix are a /24 and two a /16, even in a class whose prefix is shorter: a
network has no bits that its prefix does not cover. Four are a host. FreeBSD has printed whole
addresses with their prefix since release 10, and so do OpenBSD and NetBSD with IPv6.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from probes.parsers import endpoints
from probes.parsers.bsd_endpoints import is_name
from probes.parsers.bsd_words import kept
from probes.parsers.lines import OddLine, is_ipv4

_OCTET = r"(?:0|[1-9][0-9]{0,2})"
_SHORT = re.compile(rf"({_OCTET}(?:\.{_OCTET}){{0,3}})(?:/([0-9]{{1,2}}))?")
_MASK = re.compile(r"/0x([0-9a-f]{8})")
_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}")
_MAX_CHARS = 80
_ANY = {"inet": "0.0.0.0/0", "inet6": "::/0"}


class Network(NamedTuple):
    """A destination. ``mark`` is name, truncated or None; with one, ``text`` is as printed."""

    text: str
    family: str | None
    """inet or inet6; None where the text does not tell."""
    mark: str | None = None


def network(text: str, *, family: str | None = None, is_host: bool = False) -> Network:
    """The network in ``text``; OddLine where it is neither that nor a name.

    ``family`` is that of the table; ``is_host``: the flag H says that it is a single address.
    """
    if text == "default":
        return Network(_ANY[family or "inet"], family)
    if len(text) > _MAX_CHARS:
        raise OddLine("destination not understood")
    if ":" in text:
        return _v6(text, is_host=is_host)
    known = _v4(text)
    if known is not None:
        return Network(known, "inet")
    if "&" in text:
        raise OddLine("netmask has holes")
    name = text.partition("/")[0]
    if not is_name(name):
        raise OddLine("destination not understood")
    return Network(kept(text), family, "name")


def _v4(text: str) -> str | None:
    mask = _MASK.search(text)
    if mask:
        bits = int(mask[1], 16)
        length = bits.bit_count()
        if bits != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
            raise OddLine("netmask has holes")
        text = f"{text[: mask.start()]}/{length}"
    known = _SHORT.fullmatch(text)
    if known is None:
        return None
    octets = known[1].split(".")
    whole = ".".join((octets + ["0"] * 3)[:4])
    if not is_ipv4(whole):
        raise OddLine("destination not understood")
    if known[2] is not None:
        length = int(known[2])
        if length > 32:
            raise OddLine("prefix length is not a number from 0 to 32")
    else:
        length = max(8 * len(octets), _class_prefix(int(octets[0])) if len(octets) < 4 else 32)
    return str(ipaddress.IPv4Network((whole, length), strict=False))


def _class_prefix(first_octet: int) -> int:
    """The prefix of an address's class (forgemask in route.c)."""
    return 8 if first_octet < 128 else 16 if first_octet < 192 else 24


def _v6(text: str, *, is_host: bool) -> Network:
    address, slash, prefix = text.partition("/")
    zone = address.partition("%")[2]
    if not slash and "%" in prefix:
        prefix, _, zone = prefix.partition("%")
    known = endpoints.host(address)
    if not slash:
        # Without -n no prefix is printed: it cannot be known but for a host.
        if is_host or not known.ip.partition("%")[0].endswith("::"):
            bare = known.ip if ":" in known.ip else str(ipaddress.IPv6Address(f"::ffff:{known.ip}"))
            return Network(f"{bare}/128", "inet6")
        return Network(kept(text), "inet6", "truncated")
    if _PREFIX.fullmatch(prefix) is None or int(prefix) > 128:
        raise OddLine("prefix length is not a number from 0 to 128")
    bare = known.ip.partition("%")[0]
    if not known.is_v6 or ":" not in bare:
        bare = f"::ffff:{bare}"
    net = ipaddress.IPv6Network((bare, int(prefix)), strict=False)
    shown = f"{net.network_address}%{zone}/{prefix}" if zone else str(net)
    return Network(shown, "inet6")
