"""``address.port`` as netstat of macOS and the BSDs prints it.

Place in the data's way: under the readers of sockets (``bsd_sockets``, ``sockstat``). Pure. The
part after the last dot is the port; inet.c and inet6.c (inetprint, inet6print) of the four::

    127.0.0.1.631   *.80   *.*   ::1.22   fe80::1%lo0.123   localhost.ipp   host.example.https

Without an option that widens the columns (``-W`` on FreeBSD and macOS, ``-l`` on macOS, ``-v`` on
OpenBSD and NetBSD), the address is cut to :data:`ADDRESS_CHARS` characters before the port is put
behind it, so an IPv6 address or a name of exactly that length may have lost its end. With ``-A``
and names it is cut to :data:`ADDRESS_CHARS_BESIDE_PCB`. With ``-A`` the whole endpoint is cut
once more at the column's width, where the port may lose digits.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from probes.parsers import endpoints, service_names
from probes.parsers.endpoints import Host
from probes.parsers.lines import OddLine, is_ipv4
from probes.parsers.records import Flag

ADDRESS_CHARS = 16
ADDRESS_CHARS_BESIDE_PCB = 12
ENDPOINT_CHARS_BESIDE_PCB = frozenset({18, 21})
"""Widths of an endpoint's column with ``-A``: 18, and 21 for NetBSD's ``-An``."""

MAX_NAME_CHARS = 255
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")


class End(NamedTuple):
    """One end of a socket. ``flags`` are those of a local end; ``<< 1`` for a foreign."""

    ip: str
    port: int | None
    flags: int
    is_v6: bool
    doubtful: bool = False
    """Flagged as truncated for its length alone: all of an address that just fits looks so."""
    long: bool = False
    """Longer than a cut address can be: this table is not cut."""


def end(text: str, protocol: str, *, whole: bool = False, beside_pcb: bool = False) -> End:
    """The end in ``text``; OddLine where it is none.

    ``protocol`` is the base one (tcp, udp, icmp, raw), with a 6 where the socket is of IPv6: then
    ``*`` is ``::``. ``whole``: nothing is cut on this line. ``beside_pcb``: printed with ``-A``.
    """
    address, dot, port_text = text.rpartition(".")
    if not dot or not address:
        raise OddLine("address and port are not joined by a dot")
    port_cut = beside_pcb and not whole and len(text) in ENDPOINT_CHARS_BESIDE_PCB
    known, doubtful = _host(address, protocol, whole=whole, beside_pcb=beside_pcb)
    if port_cut and not known.flags & Flag.LOCAL_TRUNCATED:
        known = known._replace(flags=known.flags | Flag.LOCAL_TRUNCATED)
        doubtful = True
    return End(
        known.ip,
        port(port_text, protocol),
        known.flags,
        known.is_v6,
        doubtful,
        len(address) > ADDRESS_CHARS,
    )


def port(text: str, protocol: str) -> int | None:
    """The port of a number or of a service's name; None for ``*``; OddLine otherwise."""
    if text == "*" or (text.isascii() and text.isdigit()):
        return endpoints.port(text)
    number = service_names.number(text, protocol)
    if number is None:
        raise OddLine("service name is not known")
    return number


def any_address(protocol: str) -> Host:
    """What ``*`` stands for in the family of ``protocol``."""
    is_v6 = protocol.endswith("6")
    return Host("::" if is_v6 else "0.0.0.0", 0, is_v6)


def is_name(text: str) -> bool:
    """True for what may be a host's name, and is no (part of an) address."""
    return (
        len(text) <= MAX_NAME_CHARS
        and _NAME.fullmatch(text) is not None
        and _DIGITS_AND_DOTS.fullmatch(text) is None
    )


def _host(address: str, protocol: str, *, whole: bool, beside_pcb: bool) -> tuple[Host, bool]:
    """The address, and whether it is flagged as truncated for its length alone."""
    if address == "*":
        return any_address(protocol), False
    if is_ipv4(address):
        return Host(address, 0, False), False
    if ":" not in address:
        if not is_name(address):
            raise OddLine("address not understood")
        limits = {ADDRESS_CHARS, ADDRESS_CHARS_BESIDE_PCB if beside_pcb else ADDRESS_CHARS}
        cut = not whole and len(address) in limits
        flags = Flag.LOCAL_NAME | (Flag.LOCAL_TRUNCATED if cut else 0)
        return Host(address.lower(), flags, protocol.endswith("6")), cut
    if whole or len(address) != ADDRESS_CHARS:
        return endpoints.host(address), False
    try:
        known = endpoints.host(address)
    except OddLine:
        return endpoints.cut_host(address), False
    return known._replace(flags=known.flags | Flag.LOCAL_TRUNCATED), True
