"""Connections whose addresses the kernel may rewrite: ``conntrack -L`` and /proc/net/nf_conntrack.

Place in the data's way: one of the dialects behind ``probes.parsers.parse``. Pure. What took the
place of ``netstat -M``. Layout from conntrack(8) and from ct_seq_show in the kernel's
net/netfilter/nf_conntrack_standalone.c, whose lines begin with the family::

    tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=198.51.100.9 sport=50080 dport=80
    src=10.0.0.5 dst=192.0.2.7 sport=8080 dport=50080 [ASSURED] mark=0 use=1
    ipv4     2 udp      17 29 src=192.0.2.7 dst=198.51.100.53 sport=5301 dport=53 [UNREPLIED]
    src=198.51.100.53 dst=203.0.113.1 sport=53 dport=5301 mark=0 zone=0 use=2

(each one line). First come the addresses of what was sent, then those that its answers have. Where
the answer comes from elsewhere than was sent to, the destination is rewritten; where it goes
elsewhere than was sent from, the source.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from probes.parsers import sections
from probes.parsers.endpoints import host
from probes.parsers.lines import PORTS, OddLine, visible
from probes.parsers.records import Translation

NAME = "conntrack"

_HEAD = re.compile(
    r"(?:ipv[46] +(?:2|10) +)?([a-z][a-z0-9-]{1,15}) +([0-9]{1,3}) +(?:([0-9]{1,10}) +)?"
    r"(?:([A-Z][A-Z0-9_]{1,31}) +)?(?=src=)"
)
_MARK = re.compile(r"\[([A-Z_]{1,32})[\],]?")
_NAMES = {
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmp6",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    132: "sctp",
    136: "udplite",
}
_WITH_FAMILY = frozenset({"tcp", "udp", "udplite", "sctp", "dccp", "gre", "esp", "ah"})
_SIDE = frozenset({"src", "dst", "sport", "dport"})
_KEPT = frozenset({"mark", "zone", "zone-orig", "zone-reply", "helper"})
_MAX_MARKS = 16
_MAX_MARK_CHARS = 64


class _Side(NamedTuple):
    source_ip: str
    source_port: int | None
    destination_ip: str
    destination_port: int | None
    is_v6: bool


class Connections(sections.Reader):
    """One connection a line."""

    dialect = NAME

    def read(self, line: str) -> bool:
        """Add the row."""
        self.tables.masquerade.append(_translation(line))
        return True


def _translation(line: str) -> Translation:
    head = _HEAD.match(line)
    if head is None:
        raise OddLine("not a connection of conntrack")
    _, number, timeout, state = head.groups()
    told: list[dict[str, str]] = [{}, {}]
    marks: list[str] = []
    at = 0
    for word in line[head.end() :].split():
        key, equals, value = word.partition("=")
        if equals and key in _SIDE:
            if key in told[at]:
                at += 1
                if at == len(told):
                    raise OddLine("more than two directions")
            told[at][key] = value
        elif equals and key in _KEPT and value != "0":
            marks.append(word)
        elif mark := _MARK.match(word):
            marks.append(mark[1])
    sent, answered = _side(told[0]), _side(told[1])
    name = _NAMES.get(int(number), f"ip{number}")
    if sent.is_v6 and name in _WITH_FAMILY:
        name += "6"
    return Translation(
        protocol=name,
        state=state,
        timeout_s=None if timeout is None else int(timeout),
        source_ip=sent.source_ip,
        source_port=sent.source_port,
        destination_ip=sent.destination_ip,
        destination_port=sent.destination_port,
        reply_source_ip=answered.source_ip,
        reply_source_port=answered.source_port,
        reply_destination_ip=answered.destination_ip,
        reply_destination_port=answered.destination_port,
        kind=_kind(sent, answered),
        marks=tuple(
            visible(mark[:_MAX_MARK_CHARS])[:_MAX_MARK_CHARS] for mark in marks[:_MAX_MARKS]
        ),
    )


def _side(told: dict[str, str]) -> _Side:
    if "src" not in told or "dst" not in told:
        raise OddLine("a direction has no addresses")
    source, destination = host(told["src"]), host(told["dst"])
    try:
        source_port, destination_port = (
            PORTS[told[key]] if key in told else None for key in ("sport", "dport")
        )
    except KeyError:
        raise OddLine("port is not a number from 0 to 65535") from None
    return _Side(source.ip, source_port, destination.ip, destination_port, source.is_v6)


def _kind(sent: _Side, answered: _Side) -> str | None:
    source = (sent.source_ip, sent.source_port) != (
        answered.destination_ip,
        answered.destination_port,
    )
    destination = (sent.destination_ip, sent.destination_port) != (
        answered.source_ip,
        answered.source_port,
    )
    if source and destination:
        return "both"
    return "snat" if source else "dnat" if destination else None


OPENINGS = (
    sections.Opening(
        NAME,
        "masquerade",
        Connections,
        heading=r"conntrack v[0-9.]+ \(conntrack-tools\): (?:[0-9]+ )?",
        row=_HEAD.pattern,
    ),
)
