"""Interfaces in a block each, as ``netstat -ie`` and ``ifconfig`` print them.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layouts from
ife_print_long in lib/interface.c of net-tools 2.10, and of net-tools 1.60 and busybox::

    eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1400
            inet 198.51.100.5  netmask 255.255.255.0  broadcast 198.51.100.255
            inet6 fe80::5eff:fe10:5  prefixlen 64  scopeid 0x20<link>
            ether 02:00:5e:10:00:05  txqueuelen 1000  (Ethernet)
            RX packets 12  bytes 1530 (1.4 KiB)
            RX errors 0  dropped 2  overruns 0  frame 0
            TX packets 10  bytes 900 (900.0 B)
            TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0

    eth0      Link encap:Ethernet  HWaddr 02:00:5E:10:00:05
              inet addr:198.51.100.5  Bcast:198.51.100.255  Mask:255.255.255.0
              inet6 addr: fe80::5eff:fe10:5/64 Scope:Link
              UP BROADCAST RUNNING MULTICAST  MTU:1400  Metric:1
              RX packets:12 errors:0 dropped:2 overruns:0 frame:0
              TX packets:10 errors:0 dropped:0 overruns:0 carrier:0
              collisions:0 txqueuelen:1000
              RX bytes:1530 (1.4 KiB)  TX bytes:900 (900.0 B)

A point-to-point address is given with the prefix of its mask.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from probes.parsers import sections
from probes.parsers.lines import OddLine, counter, is_ipv4, visible
from probes.parsers.net_tools_interfaces import MAX_NAME_CHARS
from probes.parsers.netstat_linux import NAME
from probes.parsers.records import Interface, Tables

_FLAG = re.compile(r"[A-Z]{1,32}")
_NEW_BLOCK = r"(\S{1,64}): flags=[0-9]+<([A-Z_,a-z]*)>? {2}mtu ([0-9]{1,10})"
_OLD_BLOCK = r"(\S{1,64}) +Link encap:(.*)"
_BLOCK = re.compile(f"{_NEW_BLOCK}|{_OLD_BLOCK}")
_HARDWARE = re.compile(r"(?:[0-9a-f]{2}:){5}(?:(?:[0-9a-f]{2}:){14})?[0-9a-f]{2}")
_MTU = re.compile(r"MTU:([0-9]{1,10})")
_LAST_FLAGS = 30
_WORDS = re.compile(r"[ :]+")
_BYTES = re.compile(r"(RX|TX) bytes:([0-9]{1,20})")
_COUNTED = frozenset({"packets", "bytes", "errors", "dropped", "overruns"})
_MAX_ADDRESSES = 4096
_HARDWARE_WORDS = frozenset(
    {
        "ether",
        "infiniband",
        "loop",
        "unspec",
        "sit",
        "tunnel",
        "tunnel6",
        "ppp",
        "slip",
        "cslip",
        "fddi",
        "arcnet",
        "ash",
        "ax25",
        "netrom",
        "rose",
        "x25",
        "hippi",
        "frad",
        "dlci",
        "lapb",
        "ec",
        "strip",
        "irda",
        "eui64",
        "ieee1394",
        "generic",
        "gre",
        "ip6gre",
    }
)
_UNUSED = (
    "device ",
    "media ",
    "compressed:",
    "Interrupt:",
    "Base address:",
    "Memory:",
    "DMA ",
    "txqueuelen",
    "RX compressed",
    "TX compressed",
    "ipx ",
    "ddp ",
    "econet ",
    "IPX/",
    "EtherTalk ",
    "Media:",
)
"""How lines of a block begin that hold nothing we keep."""


class Blocks(sections.Reader):
    """Blocks of either layout, one after the other."""

    def __init__(self, tables: Tables, heading: str | None) -> None:
        super().__init__(tables, heading)
        self._name = ""
        self._known: dict[str, Any] = {}
        self._addresses: list[str] = []

    def read(self, line: str) -> bool:
        """Begin a block, or add to the one that was begun."""
        found = _BLOCK.match(line)
        if found:
            self.close()
            if found[1]:
                self._begin(found[1], found[2].split(","))
                self._known["mtu"] = int(found[3])
            else:
                self._begin(found[4], [])
                hardware = found[5].partition("HWaddr ")[2].split(" ", 1)[0]
                self._hardware(hardware)
            return True
        if not self._name or not line.startswith((" ", "\t")):
            raise OddLine("not a line of an interface")
        self._line(line.strip())
        return True

    def close(self) -> None:
        """Hand over the interface."""
        if self._name:
            self.tables.interfaces.append(
                Interface(name=self._name, addresses=tuple(self._addresses), **self._known)
            )
        self._name, self._known, self._addresses = "", {}, []

    def _begin(self, name: str, flags: list[str]) -> None:
        self._name = visible(name)[:MAX_NAME_CHARS]
        self._known["flags"] = tuple(flag[:MAX_NAME_CHARS] for flag in flags if flag)

    def _hardware(self, text: str) -> None:
        if _HARDWARE.fullmatch(text.lower()):
            self._known["hardware"] = text.lower()

    def _line(self, text: str) -> None:
        first = text.partition(" ")[0]
        if first in ("inet", "inet6"):
            self._address(text)
        elif text.startswith(_UNUSED):
            pass
        elif first in ("RX", "TX"):
            self._counters(text)
        elif text.startswith("collisions:"):
            self._known["collisions"] = counter(text[len("collisions:") :].split(" ", 1)[0])
        elif first in _HARDWARE_WORDS:
            if first in ("ether", "infiniband"):
                self._hardware((*text.split(None, 2), "", "")[1])
        else:
            self._flags(text)

    def _flags(self, text: str) -> None:
        """``UP BROADCAST RUNNING MULTICAST  MTU:1400  Metric:1``."""
        words = text.split(None, _LAST_FLAGS)
        at = next((at for at, word in enumerate(words) if _MTU.fullmatch(word)), None)
        if at is None:
            raise OddLine("not a line of an interface")
        flags = words[:at]
        if all(_FLAG.fullmatch(flag) for flag in flags):
            self._known["flags"] = tuple(flags)
        elif not text.startswith("["):
            raise OddLine("no flags of an interface")
        self._known["mtu"] = int(words[at][len("MTU:") :])

    def _counters(self, text: str) -> None:
        """``RX packets 12  bytes 1530 (1.4 KiB)``, ``RX packets:12 errors:0 dropped:2``."""
        bytes_of = _BYTES.findall(text)
        if bytes_of:
            self._known |= {f"{way.lower()}_bytes": counter(count) for way, count in bytes_of}
            return
        side = text[:2].lower()
        words = _WORDS.split(text[2:].partition("(")[0].strip())
        told = {
            "collisions" if word == "collisions" else f"{side}_{word}": counter(count)
            for word, count in zip(words[::2], words[1::2], strict=False)
            if word in _COUNTED or word == "collisions"
        }
        if not told:
            raise OddLine("no counters of an interface")
        self._known |= told

    def _address(self, text: str) -> None:
        if len(self._addresses) >= _MAX_ADDRESSES:
            raise OddLine("more addresses than an interface has")
        self._addresses.append(_cidr(text.replace("addr: ", "").replace("addr:", "").split()))


def _cidr(words: list[str]) -> str:
    """``inet A netmask M ...``, ``inet A Mask:M``, ``inet6 A prefixlen N``, ``inet6 A/N``."""
    address = words[1] if len(words) > 1 else ""
    length = ""
    for at, word in enumerate(words):
        if word in ("netmask", "prefixlen") and at + 1 < len(words):
            length = words[at + 1]
        elif word.startswith("Mask:"):
            length = word[len("Mask:") :]
    bare, _, prefix = address.partition("/")
    host, percent, zone = bare.partition("%")
    try:
        if words[0] == "inet" and is_ipv4(host):
            network = ipaddress.IPv4Interface(f"{host}/{length or prefix or 32}")
            return network.with_prefixlen
        whole = ipaddress.IPv6Interface(f"{host}/{length or prefix or 128}")
    except ValueError:
        raise OddLine("no address of an interface") from None
    kept = f"%{visible(zone[:MAX_NAME_CHARS])}" if percent and zone else ""
    return f"{whole.ip}{kept}/{whole.network.prefixlen}"


OPENINGS = (
    sections.Opening(
        NAME,
        "interfaces",
        Blocks,
        row=r"\S{1,64}: flags=[0-9]+<[A-Z_,a-z]*>? {2}mtu [0-9]|\S{1,64} +Link encap:",
    ),
)
