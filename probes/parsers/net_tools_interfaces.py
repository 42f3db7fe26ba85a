"""Interfaces in a line each, as ``netstat -i`` and ``ifconfig -s`` print them.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. Layout from
ife_print_short in lib/interface.c of net-tools 2.10; 1.60 has a column Met after the MTU::

    Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg
    eth0             1400     5120      0      2 0          4871      0      0      0 BMRU
    eth0:1           1400     - no statistics available -                        BMRU

``netstat -ie`` prints the blocks that ``net_tools_ifconfig`` reads.
"""

from __future__ import annotations

import re

from probes.parsers import sections
from probes.parsers.lines import MAX_QUEUE, OddLine, counter, queue, visible
from probes.parsers.netstat_linux import NAME
from probes.parsers.records import Interface

MAX_NAME_CHARS = 64
_LETTERS = {
    "U": "UP",
    "B": "BROADCAST",
    "D": "DEBUG",
    "L": "LOOPBACK",
    "p": "POINTOPOINT",
    "N": "NOTRAILERS",
    "R": "RUNNING",
    "O": "NOARP",
    "P": "PROMISC",
    "A": "ALLMULTI",
    "s": "SLAVE",
    "m": "MASTER",
    "M": "MULTICAST",
    "d": "DYNAMIC",
}
"""ife_print_short, in the order in which ife_print_long names them."""
_ROW = re.compile(
    r"(\S{1,64}) +([0-9]+)(?: +[0-9]+)??((?: +[0-9]{1,20}){8}| +- .{1,60} -) +([^\s0-9].{0,30})"
)


class Interfaces(sections.Reader):
    """Rows of the table."""

    def read(self, line: str) -> bool:
        """Add the row."""
        found = _ROW.fullmatch(line.rstrip())
        if found is None:
            raise OddLine("not a row of a table of interfaces")
        name, mtu, counted, letters = found.groups()
        told = counted.lstrip().startswith("-")
        counters = [None] * 8 if told else [counter(text) for text in counted.split()]
        rx, tx = counters[:4], counters[4:]
        self.tables.interfaces.append(
            Interface(
                name=visible(name)[:MAX_NAME_CHARS],
                mtu=_checked(queue(mtu)),
                flags=_flags(letters),
                rx_packets=rx[0],
                rx_errors=rx[1],
                rx_dropped=rx[2],
                rx_overruns=rx[3],
                tx_packets=tx[0],
                tx_errors=tx[1],
                tx_dropped=tx[2],
                tx_overruns=tx[3],
            )
        )
        return True


def _checked(mtu: int) -> int:
    if mtu > MAX_QUEUE >> 31:
        raise OddLine("no MTU of an interface")
    return mtu


def _flags(letters: str) -> tuple[str, ...]:
    if letters.startswith("["):
        return ()
    if not set(letters) <= set(_LETTERS):
        raise OddLine("no flags of an interface")
    return tuple(name for letter, name in _LETTERS.items() if letter in letters)


_TITLES = (
    "Kernel Interface table",
    "Taula d'interfície del nucli",
    "Tabulka rozhraní v jádru",
    "Kernel-Schnittstellentabelle",
    "Tuuma liideste tabel",
    "Table d'interfaces noyau",
    "カーネルインタフェーステーブル",
    "კერნელის ინტერფეისის ცხრილი",
    "Tabela de Interfaces do Kernel",
    "Kärnans gränssnittstabell",
)

OPENINGS = (
    sections.Opening(NAME, "interfaces", None, heading="|".join(map(re.escape, _TITLES))),
    sections.Opening(
        NAME,
        "interfaces",
        Interfaces,
        heading=r"Iface +MTU +(?:Met +)?RX-OK +RX-ERR",
        row=r"\S{1,64} +[0-9]+ +[0-9]+(?: +[0-9]+){6}(?: +[0-9]+){1,2} +[ABDLMPNOUdpsmR]+ *\Z"
        r"|\S{1,64} +[0-9]+ +(?:[0-9]+ +)?- no statistics available - ",
        untold=1,
    ),
)
