"""The kernel's own tables of interfaces: /proc/net/dev and /proc/net/if_inet6.

Place in the data's way: tables of the dialect ``proc``, behind ``probes.parsers.parse``. Pure.
Layout: dev_seq_printf_stats and if6_seq_show of the kernel. Where a text has both files, their
rows become one Interface; MTU, MAC address and IPv4 addresses are in neither::

    Inter-|   Receive                                                |  Transmit
     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop ...
     near0:    5644      64    0    0    0     0          0         0     7694     101    0    0 ...

    20010db8000900010000000000000001 02 40 00 82    near0
"""

from __future__ import annotations

import ipaddress
import re

from probes.parsers import sections
from probes.parsers.lines import MAX_LINE_CHARS, OddLine, counter, visible
from probes.parsers.proc_net import FOLDER
from probes.parsers.records import Interface, Tables

NAME = "proc"

_TITLE = r"Inter-\| +Receive +\| +Transmit"
_SECOND_TITLE = re.compile(r"\s*face \|bytes[a-z |]{0,200}")
_ROW = re.compile(r" *([^\s:]{1,64}):([0-9 ]+)")
_FIELDS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_overruns", None, None, None,
    "tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_overruns", "collisions", None, None,
)  # fmt: skip
_ADDRESS = re.compile(
    r"([0-9a-f]{32}) [0-9a-f]{2,8} ([0-9a-f]{2}) [0-9a-f]{2} [0-9a-f]{2,8} +(\S{1,64})\s*"
)
_ADDRESS_SHAPE = r"[0-9a-f]{32} [0-9a-f]{2,8} [0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2,8} +\S"


class Counters(sections.Reader):
    """Rows of /proc/net/dev."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the interface, or its counters to what is known of it."""
        if len(line) > MAX_LINE_CHARS:
            raise OddLine("line too long")
        if _SECOND_TITLE.fullmatch(line):
            return False
        row = _ROW.fullmatch(line)
        values = row[2].split() if row else []
        if row is None or len(values) != len(_FIELDS):
            raise OddLine("not a row of /proc/net/dev")
        counters = {
            field: counter(value)
            for field, value in zip(_FIELDS, values, strict=True)
            if field is not None
        }
        _put(self.tables, visible(row[1]), (), counters)
        return True


class Addresses(sections.Reader):
    """Rows of /proc/net/if_inet6."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the address to its interface."""
        row = _ADDRESS.fullmatch(line) if len(line) <= MAX_LINE_CHARS else None
        if row is None or int(row[2], 16) > 128:
            raise OddLine("not a row of /proc/net/if_inet6")
        ip = ipaddress.IPv6Address(bytes.fromhex(row[1]))
        _put(self.tables, visible(row[3]), (f"{ip}/{int(row[2], 16)}",), {})
        return True


def _put(tables: Tables, name: str, addresses: tuple[str, ...], counters: dict[str, int]) -> None:
    """Complete the newest interface of that name by what it lacks, or add one."""
    for at in range(len(tables.interfaces) - 1, -1, -1):
        known = tables.interfaces[at]
        if known.name != name:
            continue
        if counters and known.rx_bytes is not None:
            break  # another time of the same interface
        both = (*known.addresses, *(text for text in addresses if text not in known.addresses))
        tables.interfaces[at] = _counted(known._replace(addresses=both), counters)
        return
    tables.interfaces.append(_counted(Interface(name, addresses=addresses), counters))


def _counted(interface: Interface, counters: dict[str, int]) -> Interface:
    return interface._replace(**counters)  # type: ignore[arg-type]


OPENINGS = (
    sections.Opening(NAME, "interfaces", Counters, heading=_TITLE),
    sections.Opening(NAME, "interfaces", Addresses, heading=rf"{FOLDER}if_inet6 +<=="),
    sections.Opening(NAME, "interfaces", Addresses, row=_ADDRESS_SHAPE),
)
