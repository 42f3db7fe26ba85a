"""The few limits of a kernel that findings are judged by, as files of /proc/sys or sysctl(8) tell.

Place in the data's way: what a host printed in, ``Observation.limits`` out. Pure. Whatever is not
one of the names below with a value of the right form is left out: a host may print anything.

On Linux the files of /proc/sys, each below its name (proc(5); Documentation/admin-guide/sysctl and
Documentation/networking/ip-sysctl.rst of the kernel say what is in them)::

    ==> net/ipv4/ip_local_port_range <==
    32768	60999
    ==> net/core/somaxconn <==
    4096

On macOS and FreeBSD sysctl(8) prints ``name: value``, on OpenBSD ``name=value``, on NetBSD
``name = value``::

    net.inet.ip.portrange.first: 49152
    kern.somaxconn = 128
"""

from __future__ import annotations

import re
from typing import Final

MOST_LINES: Final = 200
LONGEST_LINE: Final = 4_000
"""Characters; a list of reserved ports may be long, and is then left out."""
LARGEST: Final = 2**31 - 1

_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
_PORTS: Final = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?")

PORT_RANGE: Final = "net.ipv4.ip_local_port_range"
RESERVED_PORTS: Final = "net.ipv4.ip_local_reserved_ports"
_WORDS: Final = frozenset({"kernel.ostype", "kernel.osrelease", "kern.ostype", "kern.osrelease"})
_NUMBERS: Final = frozenset(
    {
        "net.core.somaxconn",
        "net.ipv4.tcp_max_syn_backlog",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_max_tw_buckets",
        "net.ipv4.tcp_tw_reuse",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_abort_on_overflow",
        "net.netfilter.nf_conntrack_max",
        "net.netfilter.nf_conntrack_count",
        "kern.ipc.somaxconn",
        "kern.somaxconn",
        "net.inet.ip.portrange.first",
        "net.inet.ip.portrange.last",
        "net.inet.ip.portfirst",
        "net.inet.ip.portlast",
        "net.inet.ip.anonportmin",
        "net.inet.ip.anonportmax",
        "net.inet.tcp.msl",
        "net.inet.tcp.syncookies",
    }
)
NAMES: Final = frozenset({PORT_RANGE, RESERVED_PORTS}) | _WORDS | _NUMBERS
"""Every name there may be in the result."""


def read(text: str) -> dict[str, str]:
    """Values by name, each in one form: numbers without leading zeros, a range as ``low high``,
    reserved ports as ``1,2-4``. Total: never raises, and takes linear time."""
    found: dict[str, str] = {}
    name = ""
    for line in text[: MOST_LINES * LONGEST_LINE].split("\n")[:MOST_LINES]:
        if len(line) > LONGEST_LINE:
            name = ""
        elif line.startswith("==> ") and line.endswith(" <=="):
            name = line[4:-4].replace("/", ".")
        else:
            told, value = (name, line) if name else _named(line)
            stored = _value(told, value.strip())
            if stored is not None:
                found.setdefault(told, stored)
            name = ""
    return found


def port_set(text: str) -> list[tuple[int, int]]:
    """Reserved ports ``1,2-4`` as pairs of first and last, in order, those that overlap joined;
    empty where it is no such list."""
    pairs = []
    for part in text.split(","):
        if not _PORTS.fullmatch(part):
            return []
        first, dash, last = part.partition("-")
        low, high = int(first), int(last) if dash else int(first)
        if low > high or high > 65535:
            return []
        pairs.append((low, high))
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], high)
        else:
            joined.append((low, high))
    return joined


def _named(line: str) -> tuple[str, str]:
    """``name: value`` or ``name = value``."""
    for separator in (":", "="):
        name, found, value = line.partition(separator)
        if found and name.strip() in NAMES:
            return name.strip(), value
    return "", ""


def _value(name: str, text: str) -> str | None:
    """The value in its one form; None where it is none of this name."""
    if name in _NUMBERS:
        number = int(text) if _NUMBER.fullmatch(text) else LARGEST + 1
        return str(number) if number <= LARGEST else None
    if name in _WORDS:
        return text if _WORD.fullmatch(text) else None
    if name == PORT_RANGE:
        parts = text.split()
        if len(parts) != 2 or not all(_NUMBER.fullmatch(part) for part in parts):
            return None
        low, high = int(parts[0]), int(parts[1])
        return f"{low} {high}" if 1 <= low <= high <= 65535 else None
    if name == RESERVED_PORTS and text:
        pairs = port_set(text)
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in pairs) or None
    return None
