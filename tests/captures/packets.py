"""One TCP SYN as a frame on the wire, from an address whose owner will never answer."""

from __future__ import annotations

import ipaddress
import socket
import struct

_IPV4, _IPV6 = 0x0800, 0x86DD


def send_syn(
    interface: str, *, to_mac: str, source: tuple[str, int], target: tuple[str, int]
) -> None:
    """Send it; the two are address and port, of one family. Needs CAP_NET_RAW."""
    from_ip, to_ip = (ipaddress.ip_address(ip) for ip, _ in (source, target))
    # RFC 9293, section 3.1: data offset of 5 words, SYN, a window of 64240.
    segment = struct.pack("!HHIIBBHHH", source[1], target[1], 1000, 0, 5 << 4, 2, 64240, 0, 0)
    if from_ip.version == 4:
        pseudo = from_ip.packed + to_ip.packed + struct.pack("!BBH", 0, 6, len(segment))
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0)
        header += from_ip.packed + to_ip.packed
        header = header[:10] + _checksum(header) + header[12:]
    else:
        pseudo = from_ip.packed + to_ip.packed + struct.pack("!II", len(segment), 6)
        header = struct.pack("!IHBB", 6 << 28, len(segment), 6, 64)
        header += from_ip.packed + to_ip.packed
    segment = segment[:16] + _checksum(pseudo + segment) + segment[18:]
    kind = _IPV4 if from_ip.version == 4 else _IPV6
    frame = bytes.fromhex(to_mac.replace(":", "")) + b"\x02\0\0\0\x09\x03" + struct.pack("!H", kind)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((interface, 0))
        link.send(frame + header + segment)


def _checksum(data: bytes) -> bytes:
    """RFC 1071, over an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
