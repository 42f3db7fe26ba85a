"""Where ours gives another value than jc, and why: the table of all such cases.

A difference that none of these explains fails the comparison of ``test_jc_oracle``, and so does
one that the fixtures never show.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from probes.parsers import service_names
from probes.parsers.records import Flag


class Compared(NamedTuple):
    """One field of one row, as jc has it and as ours has it."""

    field: str
    theirs: Any
    ours: Any
    line: str
    row: Any
    all_theirs: dict[str, Any]
    """The row that jc gives."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Why ours is another value than jc's, and how to know that it is this."""

    reason: str
    holds: Callable[[Compared], bool]


_ENDS = {"local_ip": 0, "foreign_ip": 1, "local_port": 0, "foreign_port": 1}


def _is_raw(one: Compared) -> bool:
    return str(getattr(one.row, "protocol", "")).startswith("raw")


def _flagged(flag: int) -> Callable[[Compared], bool]:
    """The end that the field is of has this mark (that of a local end)."""
    return lambda one: one.field in _ENDS and bool(one.row.flags & flag << _ENDS[one.field])


DIFFERENCES = {
    "raw state": Difference(
        "a raw socket has no state; netstat prints a number that says nothing",
        lambda one: _is_raw(one) and one.field == "state" and one.ours is None,
    ),
    "raw state elsewhere": Difference(
        "jc puts the number in the column of a raw socket's state before its PID or for its port",
        lambda one: _is_raw(one) and one.field in ("pid", "foreign_port"),
    ),
    "run together": Difference(
        "what follows an address or a path is no part of it; jc counts the blanks between",
        lambda one: any(" " in str(one.all_theirs.get(end)) for end in (*_ENDS, "path")),
    ),
    "cut": Difference(
        "an address cut at the column's width is marked as such, jc takes it for whole",
        _flagged(Flag.LOCAL_TRUNCATED),
    ),
    "service": Difference(
        "the name of a service is resolved to its port",
        lambda one: (
            one.field.endswith("_port")
            and isinstance(one.theirs, str)
            and service_names.number(one.theirs, one.row.protocol) == one.ours
        ),
    ),
    "blank in a name": Difference(
        "the name of a program or a file goes on after a blank; jc takes the rest for what follows",
        lambda one: (
            one.field in ("program", "path")
            and isinstance(one.theirs, str)
            and str(one.ours).startswith(f"{one.theirs} ")
        ),
    ),
    "blank at the end": Difference(
        "blanks after a name are padding",
        lambda one: one.field == "program" and str(one.theirs).rstrip(" ") == one.ours,
    ),
    "no name": Difference(
        "a program without a name has none: unknown, never an empty text",
        lambda one: (one.field, one.theirs, one.ours) == ("program", "", None),
    ),
    "zone": Difference(
        "the zone belongs to the address; jc drops it",
        lambda one: one.field.endswith("_ip") and str(one.ours).startswith(f"{one.theirs}%"),
    ),
    "rubbish for a zone": Difference(
        "busybox prints what its memory held as zone of a raw socket",
        lambda one: _is_raw(one) and str(one.theirs).startswith(f"{one.ours}%"),
    ),
    "unsigned": Difference(
        "the kernel's metrics are unsigned; net-tools prints the largest as -1",
        lambda one: (one.field, one.theirs, one.ours) == ("metric", -1, 2**32 - 1),
    ),
    "not counted": Difference(
        "Linux counts neither references nor uses of IPv4 routes, and prints 0: unknown",
        lambda one: one.field in ("references", "uses") and (one.theirs, one.ours) == (0, None),
    ),
    "network": Difference(
        "every destination is in CIDR form: a default route, that to one host, 127 and 10.8/16",
        lambda one: (
            one.field == "destination"
            and (
                one.ours in ("0.0.0.0/0", "::/0", f"{one.theirs}/32", f"{one.theirs}/128")
                or one.ours.startswith(f"{one.theirs.partition('/')[0]}.0")
            )
        ),
    ),
    "kind of route": Difference(
        "a route that leads nowhere has a kind, and a destination as any other",
        lambda one: one.field == "destination" and one.row.kind == one.theirs,
    ),
    "several addresses": Difference(
        "jc keeps the last of several IPv6 addresses of an interface in the old layout",
        lambda one: one.field == "addresses" and one.theirs < one.ours,
    ),
    "users": Difference(
        "processes are read as old iproute2 prints them, and a name that a newline cuts",
        lambda one: (
            one.field in ("pid", "program") and one.theirs is None and "users:((" in one.line
        ),
    ),
    "family": Difference(
        "the family is part of the protocol; ss prints none, and * for a socket of both",
        lambda one: one.field == "protocol" and one.ours == f"{one.theirs}6",
    ),
    "any": Difference(
        "* is any address of the socket's family, with a mark where the socket takes both",
        lambda one: one.theirs == "*" and one.ours in ("0.0.0.0", "::"),
    ),
    "link": Difference(
        "a link or a MAC address is no gateway's address and stands for itself",
        lambda one: (
            one.field == "gateway"
            and one.ours is None
            and one.row.link is not None
            and one.row.link in (one.theirs, re.sub(r"\b([0-9a-f])\b", r"0\1", one.theirs))
        ),
    ),
    "no process": Difference(
        "Windows prints the PID 0 where no process has a connection any more: unknown",
        lambda one: (one.field, one.theirs, one.ours) == ("pid", 0, None),
    ),
    "bound": Difference(
        "a socket that is bound and no more is closed in the words of TCP",
        lambda one: (one.field, one.theirs, one.ours) == ("state", "BOUND", "CLOSE"),
    ),
    "interface": Difference(
        "an interface has a name; its number is only an index into the list above the routes",
        lambda one: (
            one.field == "interface" and one.row.family == "inet6" and one.theirs.isdecimal()
        ),
    ),
    "moved": Difference(
        "jc counts words, and takes the next column for one that is empty or that it does not know",
        lambda one: (
            (one.field == "state" and str(one.theirs).startswith("0X"))
            or (one.field == "interface" and one.row.family == "inet" and one.theirs.isdecimal())
        ),
    ),
    "protocol number": Difference(
        "the number of a raw socket's protocol stands where others have a port",
        lambda one: _is_raw(one) and one.field == "local_port" and one.theirs is None,
    ),
    "listens to nobody": Difference(
        "Windows prints its own name as the far end of a listener, which has none",
        lambda one: (
            one.field == "foreign_ip" and one.row.state == "LISTEN" and one.row.foreign_port is None
        ),
    ),
    "canonical": Difference(
        "an address has one text, that of RFC 5952",
        lambda one: (
            one.field == "destination"
            and ":" in one.theirs
            and str(ipaddress.ip_network(one.theirs)) == one.ours
        ),
    ),
    "mapped": Difference(
        "IPv4 within IPv6 is shown as IPv4 with a mark",
        lambda one: (
            one.field in ("local_ip", "foreign_ip")
            and _flagged(Flag.LOCAL_MAPPED)(one)
            and str(ipaddress.IPv6Address(one.theirs).ipv4_mapped) == one.ours
        ),
    ),
}
"""By name, all of them met in the fixtures (a test below sees to that)."""
