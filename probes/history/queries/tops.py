"""What an hour remembers of its sockets: the largest addresses, ports, programs, worked out once.

Place in the data's way: ``probes.history.rollups`` keeps it with the last whole snapshot of an hour
and a day, ``trends`` reads it, so that a chart over months never reads a socket. The numbers are
those of ``statistics`` at that snapshot: connections by remote address, by local port and by both
at once, sockets by program, connections by scope, each by state as well.

The database sums; rows of sockets never come here one by one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from probes.filters import IPV4, NOTHING_FILTERED
from probes.history import packing, texts
from probes.history.queries import scopes, sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction

TOP: Final = 50
"""How many of a kind are kept. A list that is shorter has all there were."""

Kind = Literal["ip", "port", "program", "port_ip", "scope"]
KINDS: Final[tuple[Kind, ...]] = ("ip", "port", "program", "port_ip", "scope")

STATELESS: Final = ""
"""Stands for the state of a socket that has none, such as a connected one of UDP."""

Counts = dict[str, dict[str, int]]
"""By key the number in each state; the total is their sum."""

_CONNECTED: Final = Statement(
    "direction <> %s AND remote_ip NOT IN (%s, %s)", (Direction.LISTEN.value, bytes(16), IPV4.low)
)


@dataclass(frozen=True, slots=True)
class Tops:
    """The largest of each kind in one snapshot. Keys are text: ``2001:db8::1``, ``443``, ``nginx``,
    ``443 2001:db8::1`` (local port, remote address), ``external``."""

    ip: Counts = field(default_factory=dict)
    port: Counts = field(default_factory=dict)
    program: Counts = field(default_factory=dict)
    port_ip: Counts = field(default_factory=dict)
    scope: Counts = field(default_factory=dict)
    """All of external, private and loopback, so that one that is absent had none."""

    def of(self, kind: Kind) -> Counts:
        """The counts of a kind."""
        counts: Counts = getattr(self, kind)
        return counts

    def is_complete(self, kind: Kind) -> bool:
        """Whether a key that is not there was not there at all."""
        return kind == "scope" or len(self.of(kind)) < TOP

    def pack(self) -> bytes:
        """Compressed, a few kilobytes."""
        lines = (json.dumps(self.of(kind), separators=(",", ":")) for kind in KINDS)
        return texts.pack("\n".join(lines).encode())


def unpack(packed: bytes, *kinds: Kind) -> Tops:
    """What :meth:`Tops.pack` gave; of some ``kinds`` only, where they are named, which is
    cheaper."""
    lines = dict(zip(KINDS, texts.unpack(packed).split(b"\n"), strict=True))
    return Tops(**{kind: json.loads(lines[kind]) for kind in kinds or KINDS})


def read(scope: Scope) -> Tops:
    """The largest of each kind among the sockets of ``scope``, a host at a whole snapshot.

    One query, which reads the sockets once. An address cut short by the tool is no key; a socket
    without a program is of none.
    """
    found: dict[str, Counts] = {kind: {} for kind in KINDS}
    for kind, ip, port, word, state, number in sql.fetch(scope, _statement(scope)):
        key = _key(kind, ip, port, word)
        name = STATELESS if state is None else packing.STATES[state]
        by_state = found[kind].setdefault(key, {})
        by_state[name] = by_state.get(name, 0) + int(number)
    return Tops(**found)


def _key(kind: str, ip: Any, port: int | None, word: str | None) -> str:
    if kind == "ip":
        return packing.address(bytes(ip), None)
    if kind == "port":
        return str(port)
    if kind == "port_ip":
        return f"{port} {packing.address(bytes(ip), None)}"
    return word or ""


def _statement(scope: Scope) -> Statement:
    """Rows (kind, ip, port, word, state, sockets) of the TOP largest of each kind."""
    columns = ("direction", "remote_ip", "local_port", "program", "state", "copies")
    inner = sql.sockets(scope, columns, NOTHING_FILTERED)
    parts: list[str] = []
    params: list[Any] = list(inner.params)
    none_ip, none_port, none_word = (
        f"CAST(NULL AS {kind})" for kind in ("bytea", "integer", "text")
    )
    for kind, table, by, known, shown in (
        ("ip", "c", ("remote_ip",), "LENGTH(remote_ip) = 16",
         ("remote_ip", none_port, none_word)),
        ("port", "c", ("local_port",), "local_port IS NOT NULL",
         (none_ip, "local_port", none_word)),
        ("port_ip", "c", ("local_port", "remote_ip"),
         "local_port IS NOT NULL AND LENGTH(remote_ip) = 16",
         ("remote_ip", "local_port", none_word)),
        ("program", "s", ("program",), "program IS NOT NULL AND program <> ''",
         (none_ip, none_port, "program")),
    ):  # fmt: skip
        names = ", ".join(by)
        parts.append(
            f"SELECT '{kind}' AS kind, {', '.join(shown)}, state, SUM(copies)"
            f" FROM {table} JOIN (SELECT {names} FROM {table} WHERE {known} GROUP BY {names}"
            f" ORDER BY SUM(copies) DESC, {names} LIMIT {TOP}) AS largest USING ({names})"
            f" GROUP BY {names}, state"
        )
    for place in scopes.SCOPES:
        if place == "all":
            continue
        where = scopes.condition(place)
        parts.append(
            f"SELECT 'scope', {none_ip}, {none_port}, '{place}', state, SUM(copies) FROM c"
            f" WHERE {where.sql} GROUP BY state"
        )
        params += where.params
    return Statement(
        f"WITH s AS MATERIALIZED ({inner.sql}),"
        f" c AS MATERIALIZED (SELECT * FROM s WHERE {_CONNECTED.sql}) {' UNION ALL '.join(parts)}",
        (*inner.params, *_CONNECTED.params, *params[len(inner.params) :]),
    )
