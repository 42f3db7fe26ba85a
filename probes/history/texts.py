"""Packing of what hosts printed: the last text of each host, and raw output kept as evidence.

Place in the data's way: used by ``history.store`` and ``history.retention`` only. Pure.
"""

from __future__ import annotations

import zstandard

LEVEL = 1
"""10 MB of netstat become 1.4 MB in 25 ms; higher levels cost more than the disk they save."""

RAW_MAX_PACKED_BYTES = 2 * 1024 * 1024
"""Raw output is cut so that it packs into this: a netstat of 100,000 sockets fits whole."""

MAX_TEXT_BYTES = 512 * 1024 * 1024
"""What unpacking may give: far above any PROBE_MAX_BYTES, far below the machine's memory."""

MAX_NOTES_CHARS = 8_000


def pack(data: bytes) -> bytes:
    """Compress."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(data)


def unpack(packed: bytes) -> bytes:
    """Decompress; raises zstandard.ZstdError where ``packed`` is not what :func:`pack` gave."""
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_TEXT_BYTES)


def pack_capped(data: bytes, *, max_packed_bytes: int = RAW_MAX_PACKED_BYTES) -> bytes:
    """Compress the longest prefix, found by halving, that packs into ``max_packed_bytes``."""
    packed = pack(data)
    while len(packed) > max_packed_bytes:
        data = data[: len(data) // 2]
        packed = pack(data)
    return packed
