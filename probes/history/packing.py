"""A socket's identity as a 64-bit key, and its fields as the columns of the interval tables.

Place in the data's way: between ``history.diff``, which works on parsed rows, and the two tables
of sockets. Pure: knows no database and no host. What is packed here is unpacked here, to the
letter; only what no database can hold is changed first (see :func:`storable`).
"""

from __future__ import annotations

import enum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from probes.parsers import addresses
from probes.parsers.records import TCP_STATES, Flag, Socket

PROTOCOLS = (
    "tcp",
    "tcp6",
    "udp",
    "udp6",
    "udplite",
    "udplite6",
    "sctp",
    "sctp6",
    "raw",
    "raw6",
    "dccp",
    "dccp6",
    "mptcp",
    "mptcp6",
    "icmp",
    "icmp6",
)
"""A protocol's index is the number stored; new ones are appended, never inserted."""

STATES = TCP_STATES
"""A state's index is the number stored; new ones are appended, never inserted."""

PROTOCOL_NUMBERS = {name: number for number, name in enumerate(PROTOCOLS)}
STATE_NUMBERS = {name: number for number, name in enumerate(STATES)}

_NO_LOCAL = Flag.LOCAL_TRUNCATED | Flag.LOCAL_NAME
_NO_FOREIGN = Flag.FOREIGN_TRUNCATED | Flag.FOREIGN_NAME

MAX_QUEUE = 2**40
"""Queues above are stored as this: the kernel's are 32 bits wide, and the sum over all copies
that fit into one output stays inside a bigint."""

MAX_PID = 2**63 - 1

CONNECTIONLESS = frozenset({"udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6"})
"""Protocols in which a socket without a foreign port takes from anyone: a listener."""


class Way(enum.IntEnum):
    """Numbers of ``probes.models.Direction``, for pure code."""

    IN = 1
    OUT = 2
    LISTEN = 3
    LOCAL = 4


class Row(NamedTuple):
    """The columns of an interval that follow from the socket alone, in the tables' names."""

    key: int
    protocol: int
    state: int | None
    local_ip: bytes
    local_port: int | None
    remote_ip: bytes
    remote_port: int | None
    pid: int | None
    program: str | None
    local_zone: str | None
    remote_zone: str | None
    flags: int


def key(socket: Socket) -> int:
    """Signed 64-bit hash of everything but the queues; equal sockets have equal keys.

    The fields are joined by line feeds, which no field of a parsed line can hold, so that two
    identities never read the same. An absent program is told from an empty one by its separator.
    """
    (protocol, _recv, _send, local_ip, local_port, foreign_ip, foreign_port, state, pid, program,
     flags) = socket  # fmt: skip
    last = "" if program is None else f"\n{program}"
    identity = (
        f"{protocol}\n{local_ip}\n{local_port}\n{foreign_ip}\n{foreign_port}"
        f"\n{state}\n{pid}\n{flags}{last}"
    )
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def pack(socket: Socket, identity_key: int) -> Row:
    """The socket as columns, with its :func:`key`, which the caller has already.

    Raises KeyError for a protocol or state no parser gives.
    """
    (protocol, _recv, _send, local_ip, local_port, foreign_ip, foreign_port, state, pid, program,
     flags) = socket  # fmt: skip
    local, local_zone = _end(local_ip, bool(flags & _NO_LOCAL))
    remote, remote_zone = _end(foreign_ip, bool(flags & _NO_FOREIGN))
    return Row(
        identity_key,
        PROTOCOL_NUMBERS[protocol],
        None if state is None else STATE_NUMBERS[state],
        local,
        local_port,
        remote,
        foreign_port,
        pid if pid is None or pid <= MAX_PID else MAX_PID,
        None if program is None else storable(program),
        local_zone,
        remote_zone,
        flags,
    )


def unpack(
    *,
    protocol: int,
    state: int | None,
    local_ip: bytes,
    local_port: int | None,
    remote_ip: bytes,
    remote_port: int | None,
    pid: int | None,
    program: str | None,
    local_zone: str | None,
    remote_zone: str | None,
    flags: int,
    recv_queue: int | None = None,
    send_queue: int | None = None,
) -> Socket:
    """The socket that :func:`pack` was given; queues are what the caller has."""
    return Socket(
        PROTOCOLS[protocol],
        recv_queue,
        send_queue,
        address(local_ip, local_zone),
        local_port,
        address(remote_ip, remote_zone),
        remote_port,
        None if state is None else STATES[state],
        pid,
        program,
        flags,
    )


def address(packed: bytes, zone: str | None) -> str:
    """Canonical text of a stored address: with its zone, or as far as the tool printed it."""
    packed = bytes(packed)
    if not packed:
        return zone or ""
    return _text(packed) if zone is None else f"{_text(packed)}%{zone}"


def way(socket: Socket, listening: set[tuple[str, int | None]]) -> Way:
    """Who opened a connection, judged by ``listening``: pairs of base protocol and local port."""
    if is_listener(socket):
        return Way.LISTEN
    cut = socket.flags & (Flag.LOCAL_TRUNCATED | Flag.FOREIGN_TRUNCATED)
    if (socket.local_ip == socket.foreign_ip and not cut) or (
        _is_loopback(socket.local_ip) and _is_loopback(socket.foreign_ip)
    ):
        return Way.LOCAL
    if (base(socket.protocol), socket.local_port) in listening:
        return Way.IN
    return Way.OUT


def is_listener(socket: Socket) -> bool:
    """True for LISTEN, and for a connectionless socket that has no foreign end."""
    return socket.state == "LISTEN" or (
        socket.foreign_port is None and socket.protocol in CONNECTIONLESS
    )


def base(protocol: str) -> str:
    """The protocol without its family: a tcp6 listener takes IPv4 connections too."""
    return protocol.removesuffix("6")


def storable(text: str) -> str:
    """``text`` as every database takes it: NUL and lone surrogates written as escapes."""
    if text.isascii():
        return text.replace("\0", "\\x00") if "\0" in text else text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=65536)
def _end(ip: str, unknown: bool) -> tuple[bytes, str | None]:
    """Packed address and zone; where a tool cut the address or printed a name instead, no bytes
    and the text as zone."""
    if unknown:
        return b"", storable(ip)
    text, _percent, zone = ip.partition("%")
    return addresses.pack(text), storable(zone) if _percent else None


@lru_cache(maxsize=65536)
def _text(packed: bytes) -> str:
    return addresses.unpack(packed)


def _is_loopback(ip: str) -> bool:
    return ip.startswith("127.") or ip == "::1"
