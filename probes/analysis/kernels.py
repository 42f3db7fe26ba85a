"""What a host's kernel allows: its own word where it gave it, else what its system usually does.

Place in the data's way: made by ``probes.history.queries.trouble`` from ``KernelLimits``, used by
the rules of findings. Pure. Whatever was not told by the host itself says so (``Limit.assumed``).

Sources of the usual values. Linux: Documentation/networking/ip-sysctl.rst
(ip_local_port_range 32768 60999; somaxconn 4096, 128 before Linux 5.4; tcp_syncookies 1).
FreeBSD: ip(4) (net.inet.ip.portrange.first 10000, .last 65535), listen(2) (kern.ipc.soacceptqueue
128). macOS: the same names with 49152 and 65535, and 128. NetBSD: sysctl(7)
(net.inet.ip.anonportmin 49152, anonportmax 65535). OpenBSD: sysctl(2) (net.inet.ip.portfirst 1024,
portlast 49151; kern.somaxconn 128). Windows: "The default dynamic port range for TCP/IP has
changed since Windows Vista" of Microsoft's documentation (49152 to 65535).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from probes.analysis.findings import Limit
from probes.parsers import sysctl


class System(enum.StrEnum):
    """The family of an operating system, as far as advice differs."""

    LINUX = "linux"
    MACOS = "macos"
    BSD = "bsd"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class PortRange:
    """The local ports that the kernel gives to connections by itself."""

    low: int
    high: int
    usable: int
    """How many of them are not reserved."""
    name: str
    assumed: bool = False

    @property
    def limit(self) -> Limit:
        """The number of ports as a limit."""
        return Limit(self.usable, self.name, self.assumed)


_LINUX_RANGE: Final = "net.ipv4.ip_local_port_range"
_RANGES: Final = {
    "linux": (32768, 60999, _LINUX_RANGE),
    "freebsd": (10000, 65535, "net.inet.ip.portrange"),
    "dragonfly": (49152, 65535, "net.inet.ip.portrange"),
    "darwin": (49152, 65535, "net.inet.ip.portrange"),
    "openbsd": (1024, 49151, "net.inet.ip.portfirst"),
    "netbsd": (49152, 65535, "net.inet.ip.anonportmin"),
    "macos": (49152, 65535, "net.inet.ip.portrange"),
    "bsd": (49152, 65535, ""),
    "windows": (49152, 65535, "dynamicport"),
}
_TOLD_RANGES: Final = (
    ("net.inet.ip.portrange.first", "net.inet.ip.portrange.last", "net.inet.ip.portrange"),
    ("net.inet.ip.anonportmin", "net.inet.ip.anonportmax", "net.inet.ip.anonportmin"),
    ("net.inet.ip.portfirst", "net.inet.ip.portlast", "net.inet.ip.portfirst"),
)
_BSDS: Final = frozenset({"freebsd", "openbsd", "netbsd", "dragonfly", "bsd"})
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One host's kernel."""

    name: str = "linux"
    """linux, freebsd, openbsd, netbsd, dragonfly, darwin or macos, bsd, windows."""
    told: Mapping[str, str] = field(default_factory=dict)
    """By names of sysctl(8), as ``probes.parsers.sysctl`` reads them."""

    @property
    def system(self) -> System:
        """The family that advice goes by."""
        if self.name in _BSDS:
            return System.BSD
        if self.name in ("darwin", "macos"):
            return System.MACOS
        return System.WINDOWS if self.name == "windows" else System.LINUX

    @property
    def ports(self) -> PortRange:
        """From where local ports of outgoing connections are taken."""
        low_high = self.told.get(_LINUX_RANGE, "").split()
        if len(low_high) == 2:
            low, high = map(int, low_high)
            reserved = sysctl.port_set(self.told.get(sysctl.RESERVED_PORTS, ""))
            taken = sum(max(0, min(b, high) - max(a, low) + 1) for a, b in reserved)
            return PortRange(low, high, max(1, high - low + 1 - taken), _LINUX_RANGE)
        for first, last, name in _TOLD_RANGES:
            if first in self.told and last in self.told:
                low, high = sorted((int(self.told[first]), int(self.told[last])))
                if 1 <= low <= high <= 65535:
                    return PortRange(low, high, high - low + 1, name)
        low, high, name = _RANGES.get(self.name, _RANGES["linux"])
        return PortRange(low, high, high - low + 1, name, assumed=True)

    @property
    def most_waiting(self) -> Limit:
        """What the kernel cuts the backlog of listen(2) to."""
        for name in ("net.core.somaxconn", "kern.ipc.somaxconn", "kern.somaxconn"):
            if name in self.told:
                return Limit(int(self.told[name]), name)
        if self.system is not System.LINUX:
            return Limit(128, "somaxconn", assumed=True)
        version = self.version
        old = version is not None and version < (5, 4)
        return Limit(128 if old else 4096, "net.core.somaxconn", assumed=True)

    @property
    def most_half_open(self) -> Limit:
        """The most connections in SYN_RECV at one listener, whatever it asked for.

        With SYN cookies only the listener's own backlog bounds them, which is at most somaxconn;
        tcp_max_syn_backlog counts where cookies are off, and then all but its last quarter
        (tcp_conn_request(), net/ipv4/tcp_input.c).
        """
        backlog = self.number("net.ipv4.tcp_max_syn_backlog")
        if self.cookies == 0 and backlog is not None:
            usable = backlog - (backlog >> 2)
            if usable < self.most_waiting.value:
                return Limit(usable, "net.ipv4.tcp_max_syn_backlog")
        return self.most_waiting

    @property
    def cookies(self) -> int | None:
        """0: no SYN cookies, 1: once a queue is full, 2: always; None: not known."""
        number = self.number("net.ipv4.tcp_syncookies")
        return self.number("net.inet.tcp.syncookies") if number is None else number

    @property
    def version(self) -> tuple[int, int] | None:
        """Of a Linux kernel, as far as it told."""
        match = _VERSION.match(self.told.get("kernel.osrelease", ""))
        return None if match is None else (int(match[1]), int(match[2]))

    def number(self, name: str) -> int | None:
        """A setting that is a number; None where the host did not tell."""
        text = self.told.get(name, "")
        return int(text) if text.isdecimal() else None


def kernel(told: Mapping[str, str], *, platform: str = "", dialect: str = "") -> Kernel:
    """The kernel of a host that told ``told``, is set to ``platform`` (auto, linux, ...) and whose
    socket table came in ``dialect``; what speaks no other way is taken for Linux."""
    name = (told.get("kernel.ostype") or told.get("kern.ostype") or "").lower()
    if name in _RANGES:
        return Kernel(name, told)
    if platform in _RANGES:
        return Kernel(platform, told)
    for begin, of in (("windows", "windows"), ("freebsd", "freebsd"), ("bsd", "bsd")):
        if dialect.startswith(begin):
            return Kernel(of, told)
    return Kernel("linux", told)
