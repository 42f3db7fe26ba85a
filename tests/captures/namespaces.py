"""Two hosts, near and far, in one process: network namespaces joined by a virtual cable.

Entered through ``unshare``, so everything made here ends with the process. ``far()`` takes the
calling thread to the other host for a while: sockets opened meanwhile belong to it for good.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

NEAR_MAC, FAR_MAC, DEAD_MAC = "02:00:00:00:09:01", "02:00:00:00:09:02", "02:00:00:00:09:ff"
"""Frames to the last one reach nobody."""

NAME_SOURCES = "hosts: files\nnetworks: files\nservices: files\nprotocols: files\n"

LINK_UP = """\
link set lo up
link set {name} addrgenmode none
link set {name} up
address add 10.9.1.{number}/24 broadcast 10.9.1.255 dev {name}
address add 2001:db8:9:1::{number}/64 dev {name} nodad
address add fe80::{number}/64 dev {name} nodad
"""

ROUTES = """\
route add default via 10.9.1.2
route add 10.20.0.0/16 via 10.9.1.2 metric 50
route add 10.30.1.7 via 10.9.1.2
route add 10.40.0.0/16 via 10.9.1.2 mtu 1400 advmss 1300 window 5840
route add 10.50.0.0/16 dev near0 src 10.9.1.1 proto static
route add unreachable 10.66.0.0/16
route add prohibit 10.67.0.0/16
route add blackhole 10.68.0.0/16
route add default via fe80::2 dev near0
route add 2001:db8:20::/48 via 2001:db8:9:1::2 metric 50
route add unreachable 2001:db8:66::/48
"""
REDIRECTED_PORT = 8081
TRACKING = """\
table inet captures {
  chain out {
    type nat hook postrouting priority srcnat
    ip daddr 10.9.1.18 tcp dport 7000 snat ip to 10.9.1.1:45000-45999
  }
  chain in {
    type nat hook prerouting priority dstnat
    tcp dport 8081 redirect to :80
  }
}
"""


class Hosts:
    """The near host, where the process is, and the far one."""

    def __init__(self, names: str) -> None:
        """``names`` is the text of /etc/hosts that both see."""
        self._near = os.open("/proc/self/ns/net", os.O_RDONLY)
        _call("unshare", _CLONE_NEWNET)
        self._far = os.open("/proc/self/ns/net", os.O_RDONLY)
        _call("setns", self._near, _CLONE_NEWNET)
        _own_files({"/etc/hosts": names, "/etc/nsswitch.conf": NAME_SOURCES})
        Path("/proc/sys/kernel/hostname").write_text("near", encoding="ascii")
        ip(
            f"link add near0 address {NEAR_MAC} type veth peer name far0 address {FAR_MAC}"
            f" netns /proc/self/fd/{self._far}",
            keep=(self._far,),
        )
        with self.far():
            ip(LINK_UP.format(name="far0", number=2))
        ip(LINK_UP.format(name="near0", number=1))

    @contextmanager
    def far(self) -> Iterator[None]:
        """The calling thread, and what it starts, on the far host."""
        _call("setns", self._far, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", self._near, _CLONE_NEWNET)

    def add_peers(self, addresses: Sequence[str]) -> None:
        """More addresses of the far host."""
        lines = [
            f"address add {one}/64 dev far0 nodad"
            if ":" in one
            else f"address add {one}/24 dev far0"
            for one in addresses
        ]
        with self.far():
            ip("\n".join(lines))

    def add_routes(self) -> None:
        """Routes of the near host, one of each kind."""
        ip(ROUTES)

    def track_connections(self) -> None:
        """Have the near host's kernel follow connections and rewrite some; needs nft(8)."""
        subprocess.run(["nft", "-f", "-"], input=TRACKING, text=True, check=True)

    def cut(self, peers: Sequence[str]) -> None:
        """From now on nothing that the near host sends to these addresses arrives."""
        lines = [
            f"neighbour replace {one} lladdr {DEAD_MAC} dev near0 nud permanent" for one in peers
        ]
        ip("\n".join(lines))


def ip(batch: str, *, keep: tuple[int, ...] = ()) -> None:
    """Run lines of ip(8); ``keep`` are descriptors they name."""
    subprocess.run(["ip", "-batch", "-"], input=batch + "\n", text=True, check=True, pass_fds=keep)


def _own_files(files: dict[str, str]) -> None:
    """Other contents of some files, in this mount namespace alone, and an empty /run."""
    subprocess.run(["mount", "-t", "tmpfs", "captures", "/run"], check=True)
    for path, text in files.items():
        mine = Path("/run") / Path(path).name
        mine.write_text(text, encoding="utf-8")
        subprocess.run(["mount", "--bind", str(mine), path], check=True)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
