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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from socket import AF_INET, inet_pton
from typing import Any

from probes.parsers.endpoints import Hosts
from probes.parsers.lines import MAX_PORT, Account
from probes.parsers.records import Details, Socket

PORT = "([0-9]++)"
"""A port in a pattern. ``*`` is rare enough to be read with the lines that are left."""


_read_json = json.JSONDecoder().raw_decode


def as_sockets(rows: Iterable[tuple[Any, ...]]) -> list[Socket]:
    """Rows of eleven fields, in the order of Socket, as Sockets: no Python code a row."""
    return list(map(tuple.__new__, repeat(Socket), rows))


def fields_of(memory: Mapping[Any, tuple[Any, ...]], texts: list[Any]) -> Iterator[tuple[Any, ...]]:
    """What ``memory`` has for each of the texts, as columns: one for each field. Whatever
    exception it has for a text it does not take."""
    found = itemgetter(*texts)(memory) if len(texts) > 1 else (memory[texts[0]],)
    return zip(*found, strict=True)


def sockets_of(
    *,
    head: Iterable[Iterable[Any]],
    local_ports: list[str],
    foreign: tuple[list[str], list[str]],
    tail: Iterable[Iterable[Any]],
    flags: Iterable[int],
    hosts: Hosts | None,
) -> list[Socket]:
    """Sockets out of columns: protocol, queues and local address; the local port as text; the
    foreign address and port as text; state, PID and program; flags of the local end. ``hosts``
    is None where all addresses are IPv4. KeyError, ValueError or OSError where an address or a
    port is none."""
    texts, foreign_ports = foreign
    near_ports, far_ports = _ports(local_ports), _ports(foreign_ports)
    far: Iterable[str] = texts
    if hosts is None:
        # Few of them come twice in so few lines, and to look up one that is not in the
        # processor's cache takes longer than to check it again.
        deque(map(inet_pton, repeat(AF_INET), texts), maxlen=0)
    else:
        far, far_flags = zip(*hosts.column(texts), strict=True)
        if any(far_flags):
            flags = [one | other << 1 for one, other in zip(flags, far_flags, strict=True)]
    return as_sockets(zip(*head, near_ports, far, far_ports, *tail, flags, strict=False))


def _ports(texts: list[str]) -> list[int]:
    """Texts that matched PORT as numbers; ValueError where one is none. The reader of JSON makes
    numbers of a whole column in half the time that ``int`` takes, called for each."""
    numbers: list[int] = _read_json(f"[{','.join(texts)}]")[0]
    if max(numbers) > MAX_PORT:
        raise ValueError("no port")
    return numbers


def add_in_order(
    account: Account,
    found: list[Socket],
    told: Sequence[Details | None],
    *,
    between: list[str],
    read: Callable[[list[str]], None],
) -> None:
    r"""Add the rows a pattern found in a text, and have ``read`` add the lines it left.

    ``told`` is as ``Account.add`` takes it.
    ``between`` is the text before, between and after the rows, so it is one longer than
    ``found``. Rows begin and end with their lines: from one row to the next it is ``\n``.
    """
    last = len(found)
    if not between[0] and not between[last] and between.count("\n") == last - 1:
        account.add(found, told)
        return
    done = 0
    for at, text in enumerate(between):
        if text != "\n" or at in (0, last):
            account.add(found[done:at], told[done:at])
            done = at
            lines = text.split("\n")
            # What is before the first newline, and after the last, belongs to the rows there.
            read(lines[at > 0 : len(lines) - (at < last)])
