"""``address:port`` as netstat and ss print it.

Place in the data's way: the slow, careful reading behind the fast paths of the dialects. Forms::

    10.0.0.5:443   0.0.0.0:*   :::22   ::1:25   2001:db8::1:443          net-tools, old ss
    [::1]:25   [fe80::1]%eth0:22   [fe80::1%eth0]:22   127.0.0.53%lo:53   *:22   *%eth0:68   ss

The part after the last colon is the port. Every address given is the canonical text of RFC 5952,
so ``addresses.pack`` takes it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from probes.parsers.lines import PORTS, OddLine, is_ipv4, visible
from probes.parsers.records import Flag

NET_TOOLS_WIDTH = 23
"""Without -W, net-tools (addr_do_one in netstat.c) cuts the address so that address, colon and
port are exactly this long, wherever they would be longer. A shorter text was never cut."""

_ADDRESS_CHARS = 45
_ZONE = re.compile(r"[^\s%/:\[\]]{1,15}")
"""Interface names: IFNAMSIZ of 16 with the NUL; no blank, slash or colon (dev_valid_name)."""
_GROUP = "[1-9a-f][0-9a-f]{0,3}+"
_EIGHT_GROUPS = re.compile(":".join([_GROUP] * 8))
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = r"\.".join([_OCTET] * 4)
_FAMILIAR = re.compile(
    rf"^(?:({_EIGHT_GROUPS.pattern}|{_IPV4})|::ffff:({_IPV4})|(.*))$", re.MULTILINE
)
"""Of a column of addresses: those that stand for themselves, mapped ones, all others."""
_SHORTENED = re.compile(f"{_GROUP}(?:::?{_GROUP}){{0,5}}(?:::)?")
_MAPPED_CUT = re.compile(r"::ffff:([0-9.]+)")
_HEX_CUT = re.compile(r"[0-9a-f:]+")


class Host(NamedTuple):
    """An address out of an endpoint. ``flags`` are those of a local end; ``<< 1`` for a foreign."""

    ip: str
    flags: int
    is_v6: bool
    """True where the text was in IPv6 form, a mapped IPv4 address included."""


def port(text: str) -> int | None:
    """The port; None for ``*``. OddLine unless it is a number from 0 to 65535."""
    try:
        return PORTS[text]
    except KeyError:
        raise OddLine("port is not a number from 0 to 65535") from None


def host(text: str) -> Host:
    """The address of an endpoint in any of the forms above but ``*``; OddLine otherwise."""
    if ":" not in text and is_ipv4(text):
        return Host(text, 0, False)
    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if plain.startswith("::ffff:") and is_ipv4(plain[7:]):
        return Host(plain[7:], Flag.LOCAL_MAPPED, True)
    if _is_canonical(plain):
        return Host(plain, 0, True)
    bare, percent, zone = text.partition("%")
    if bare == "::" and zone.isdecimal():
        return Host("::", 0, True)  # busybox prints what its memory held as zone of a raw socket
    if bare.startswith("["):
        if bare.endswith("]"):
            bare = bare[1:-1]
        elif zone.endswith("]"):
            bare, zone = bare[1:], zone[:-1]
    if percent:
        if _ZONE.fullmatch(zone) is None or not zone.isprintable():
            raise OddLine("address not understood")
        known = host(bare)
        return known._replace(ip=f"{known.ip}%{zone}")
    if is_ipv4(bare) and not text.startswith("["):
        return Host(bare, 0, False)
    if len(bare) > _ADDRESS_CHARS:
        raise OddLine("address not understood")
    try:
        address = ipaddress.IPv6Address(bare)
    except ValueError:
        raise OddLine("address not understood") from None
    if address.ipv4_mapped is not None:
        return Host(str(address.ipv4_mapped), Flag.LOCAL_MAPPED, True)
    return Host(str(address), 0, True)


def _is_canonical(text: str) -> bool:
    """True for most IPv6 addresses in canonical form, found out without taking them apart.

    With no group of zeros written out there is one way to write an address, as long as ``::``
    stands for two groups or more. An address that begins with ``::`` may be a mapped one.
    """
    if _EIGHT_GROUPS.fullmatch(text):
        return True
    if _SHORTENED.fullmatch(text) is None or text.count("::") != 1:
        return False
    return text.count(":") <= (7 if text.endswith("::") else 6)


class Hosts(dict[str, Host]):
    """Addresses by their text, as met in one parse; OddLine where ``host`` raises it."""

    def __missing__(self, text: str) -> Host:
        plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        # Most of those met for the first time are long: known in half the time.
        known = Host(plain, 0, True) if _EIGHT_GROUPS.fullmatch(plain) else host(text)
        self[text] = known
        return known

    def column(self, texts: list[str]) -> list[tuple[str, int]]:
        """Addresses and flags of many texts without newlines, read at once; only those of no
        familiar form are looked up: most peers come once, and to keep them costs more."""
        return [
            (plain, 0) if plain else (mapped, Flag.LOCAL_MAPPED) if mapped else self[other][:2]
            for plain, mapped, other in _FAMILIAR.findall("\n".join(texts))
        ]


def net_tools_host(endpoint: str, *, wide: bool) -> Host:
    """The address of a net-tools endpoint, flagged where it may have lost its end.

    An IPv6 endpoint of exactly NET_TOOLS_WIDTH characters was either cut or just fits, and most
    cut addresses are valid addresses still: of another machine. So it is flagged as truncated
    unless ``wide`` says that nothing is cut on this line. What is no address any more is kept as
    it was printed: to complete it would name a machine that the host never named.
    """
    text = endpoint.rpartition(":")[0]
    if len(endpoint) != NET_TOOLS_WIDTH or ":" not in text:
        return host(text)
    try:
        known = host(text)
    except OddLine:
        return cut_host(text)
    if wide:
        return known
    return known._replace(flags=known.flags | Flag.LOCAL_TRUNCATED)


def cut_host(text: str) -> Host:
    """A text that surely lost its end, as it was printed and flagged as truncated; OddLine where
    no address begins so."""
    bare, percent, zone = text.partition("%")
    if percent and zone and _ZONE.fullmatch(zone) is None:
        raise OddLine("address not understood")
    if not host(bare if percent else _with_zeros(bare)).is_v6:
        raise OddLine("address not understood")
    return Host(visible(text), Flag.LOCAL_TRUNCATED, True)


def _with_zeros(cut: str) -> str:
    """A cut IPv6 address with what is missing as zeros, to see whether one can begin so; may
    still be no address."""
    mapped = _MAPPED_CUT.fullmatch(cut)
    if mapped:
        octets = [octet or "0" for octet in mapped[1].split(".")]
        return "::ffff:" + ".".join((octets + ["0"] * 3)[:4])
    if _HEX_CUT.fullmatch(cut) is None:
        return cut
    if "::" in cut:
        return cut + "0" if cut.endswith(":") else cut
    return cut + (":" if cut.endswith(":") else "::")
