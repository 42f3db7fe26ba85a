r"""Rows of the usual form, many at once: the fast path that both dialects share.

Place in the data's way: between a dialect's pattern and the account. A dialect splits a text by a
pattern of its usual row (``re.split``, one pass in C). What comes back, taken every so many
parts, is the columns, and the text between the rows; whatever the pattern did not cover is in
there, in its place, for the dialect to read a line at a time. So no line is lost or read twice.
Knows no dialect.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat
from operator import itemgetter
from socket import AF_INET, inet_pton
from typing import Any

from probes.parsers.endpoints import Hosts
from probes.parsers.lines import MAX_PORT, Account, Ipv4Texts
from probes.parsers.records import Socket

PORT = "([1-9][0-9]{0,4})"
"""A port in a pattern. ``*`` and 0 are rare enough to be read with the lines that are left."""

_IP = itemgetter(0)


def as_sockets(rows: Iterable[tuple[Any, ...]]) -> list[Socket]:
    """Rows of eleven fields, in the order of Socket, as Sockets: no Python code a row."""
    return list(map(tuple.__new__, repeat(Socket), rows))


def sockets_of(
    *,
    head: tuple[Iterable[Any], Iterable[Any], Iterable[Any]],
    ends: tuple[list[str], list[str], list[str], list[str]],
    tail: tuple[Iterable[Any], Iterable[Any], Iterable[Any]],
    known: Ipv4Texts | Hosts,
) -> list[Socket]:
    """Sockets out of columns: protocol and queues; address and port twice, as text; state, PID
    and program. ``known`` is Ipv4Texts where all addresses are IPv4 and Hosts elsewhere.
    KeyError, ValueError or OSError where an address or a port is none."""
    local_ips, local_ports, foreign_ips, foreign_ports = ends
    near_ports, far_ports = _ports(local_ports), _ports(foreign_ports)
    near: Iterable[str]
    far: Iterable[str]
    flags: Iterable[int]
    if isinstance(known, Hosts):
        near_hosts = [known[text] for text in local_ips]
        far_hosts = [known[text] for text in foreign_ips]
        flags = [one[1] | other[1] << 1 for one, other in zip(near_hosts, far_hosts, strict=True)]
        near, far = map(_IP, near_hosts), map(_IP, far_hosts)
    else:
        # Machines have few addresses and many peers: to look up one that is not in the
        # processor's cache takes longer than to check it again.
        deque(map(inet_pton, repeat(AF_INET), set(foreign_ips)), maxlen=0)
        near, far, flags = map(known.__getitem__, local_ips), foreign_ips, repeat(0)
    return as_sockets(zip(*head, near, near_ports, far, far_ports, *tail, flags, strict=False))


def _ports(texts: list[str]) -> list[int]:
    """Texts that matched PORT as numbers; ValueError where one is none. The reader of JSON makes
    numbers of a whole column in half the time that ``int`` takes, called for each."""
    numbers: list[int] = json.loads(f"[{','.join(texts)}]")
    if max(numbers) > MAX_PORT:
        raise ValueError("no port")
    return numbers


def add_in_order(
    account: Account,
    found: list[Socket],
    *,
    between: list[str],
    read: Callable[[list[str]], None],
) -> None:
    r"""Add the rows a pattern found in a text, and have ``read`` add the lines it left.

    ``between`` is the text before, between and after the rows, so it is one longer than
    ``found``. Rows begin and end with their lines: from one row to the next it is ``\n``.
    """
    sockets, last = account.sockets, len(found)
    if not between[0] and not between[last] and between.count("\n") == last - 1:
        sockets += found
        return
    done = 0
    for at, text in enumerate(between):
        if text != "\n" or at in (0, last):
            sockets += found[done:at]
            done = at
            lines = text.split("\n")
            # What is before the first newline, and after the last, belongs to the rows there.
            read(lines[at > 0 : len(lines) - (at < last)])
