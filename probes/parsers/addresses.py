"""Addresses as 16 bytes, as text, as ranges and by reach.

Place in the data's way: after the parsers, wherever an address is stored, compared or judged.
Pure. Sixteen packed bytes sort like the addresses they stand for, so that a CIDR block is a range
on every database; IPv4 lies at ::ffff:0:0/96 as in RFC 4291, section 2.5.5.2.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from functools import lru_cache
from typing import Literal

from probes.parsers.lines import is_ipv4

Scope = Literal["any", "loopback", "link-local", "private", "cgnat", "multicast", "public"]

_MAPPED = b"\x00" * 10 + b"\xff\xff"
_CACHED = 65_536
_MAX_TEXT = 64
_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}")


@lru_cache(maxsize=_CACHED)
def pack(ip: str) -> bytes:
    """The 16 bytes of an address; IPv4 as ::ffff:a.b.c.d, a zone (``%eth0``) left out.

    ValueError for anything that is no address. Every address of a parsed Socket packs.
    """
    host = ip.partition("%")[0]
    if is_ipv4(host):
        return _MAPPED + bytes(map(int, host.split(".")))
    if len(host) > _MAX_TEXT:
        raise ValueError("not an IP address")
    return ipaddress.IPv6Address(host).packed


@lru_cache(maxsize=_CACHED)
def unpack(packed: bytes) -> str:
    """The canonical text (RFC 5952) of 16 bytes; IPv4 dotted. ValueError for another length."""
    if len(packed) != 16:
        raise ValueError("an address is 16 bytes")
    if packed.startswith(_MAPPED):
        return ".".join(map(str, packed[12:]))
    return str(ipaddress.IPv6Address(packed))


def cidr_range(text: str) -> tuple[bytes, bytes]:
    """First and last packed address of ``10.0.0.0/8``, ``fe80::/10`` or a single address.

    Host bits may be set (10.1.2.3/8 is 10.0.0.0/8). Only a prefix length is read after the
    slash, no netmask; no zone. ValueError otherwise. ``::/0`` covers IPv4 as well, because
    IPv4 lies inside it; ``0.0.0.0/0`` is IPv4 alone.
    """
    if len(text) > _MAX_TEXT or "%" in text:
        raise ValueError("not an IP address or CIDR block")
    host, slash, prefix = text.partition("/")
    first = int.from_bytes(pack(host))
    bits = 32 if is_ipv4(host) else 128
    if not slash:
        length = bits
    elif _PREFIX.fullmatch(prefix) and int(prefix) <= bits:
        length = int(prefix)
    else:
        raise ValueError(f"prefix length is not a number from 0 to {bits}")
    below = (1 << (bits - length)) - 1
    first &= ~below
    return first.to_bytes(16), (first | below).to_bytes(16)


_BLOCKS: dict[str, Scope | Literal["embedded"]] = {
    # IANA special-purpose registries (RFC 6890 and its successors), later lines inside earlier
    # ones win. The documentation blocks count as public: they are never met on a real host.
    "::/0": "public",
    "0.0.0.0/8": "any",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "cgnat",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "private",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "private",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "private",
    "255.255.255.255/32": "multicast",
    "::/96": "embedded",  # IPv4-compatible, deprecated
    "::/128": "any",
    "::1/128": "loopback",
    "64:ff9b::/96": "embedded",  # NAT64, RFC 6052
    "64:ff9b:1::/48": "private",  # NAT64 of local use, RFC 8215
    "100::/64": "private",  # discard-only, RFC 6666
    "2001::/32": "embedded",  # Teredo, RFC 4380: the client's address, inverted
    "2002::/16": "embedded",  # 6to4, RFC 3056
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private",  # site-local, deprecated
    "ff00::/8": "multicast",
}


def _size(entry: tuple[bytes, bytes, str]) -> int:
    return int.from_bytes(entry[1]) - int.from_bytes(entry[0])


def _boundaries() -> tuple[list[bytes], list[Scope | Literal["embedded"]]]:
    """The table as starts of stretches of one answer, for bisecting."""
    ranges = [(*cidr_range(block), scope) for block, scope in _BLOCKS.items()]
    starts = {low for low, _, _ in ranges}
    starts |= {
        (int.from_bytes(high) + 1).to_bytes(16) for _, high, _ in ranges if high != b"\xff" * 16
    }
    ordered = sorted(starts)
    answers = []
    for start in ordered:
        inside = [entry for entry in ranges if entry[0] <= start <= entry[1]]
        answers.append(min(inside, key=_size)[2])
    return ordered, answers


_STARTS, _ANSWERS = _boundaries()


@lru_cache(maxsize=_CACHED)
def scope(ip: str) -> Scope:
    """How far an address reaches. IPv4 inside IPv6 (mapped, NAT64, 6to4, Teredo) is judged as
    the IPv4 address it leads to, where that one is not public. ValueError for no address."""
    packed = pack(ip)
    answer = _ANSWERS[bisect_right(_STARTS, packed) - 1]
    if answer != "embedded":
        return answer
    if packed.startswith(b"\x20\x02"):
        inner = packed[2:6]
    elif packed.startswith(b"\x20\x01"):
        inner = bytes(octet ^ 0xFF for octet in packed[12:])
    else:
        inner = packed[12:]
    return scope(unpack(_MAPPED + inner))
