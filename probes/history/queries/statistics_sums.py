"""What the statistics are added up from: conditions, orders, and the details of what is shown.

Place in the data's way: below ``statistics_addresses``, ``_ports`` and ``_totals``. A list is asked
for in two statements: one sums every socket once and keeps the largest; :func:`details` then reads
the sockets of these alone, once, for all that a row says besides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from probes.filters import IPV4, FilterError, SocketFilter
from probes.history import packing
from probes.history.queries import sql
from probes.history.queries.sql import ANY_ROW, Scope, Statement
from probes.models import Direction

LOCAL_PORTS: Final = 5
"""How many local ports an IpRow names."""
MOST_NAMED: Final = 1_000
"""Addresses, ports or programs that a statement names."""
CUT_SHORT: Final = "…"
"""Stands for all addresses that the tool cut at its column's width, or gave as a name: which they
were is unknown."""
CONNECTED: Final = Statement(
    "direction <> %s AND remote_ip NOT IN (%s, %s)",
    (Direction.LISTEN.value, bytes(16), IPV4.low),
)
IS_LISTENER: Final = f"direction = {Direction.LISTEN.value}"
IS_CONNECTION: Final = "connected = 1"
"""On the rows of :func:`marked`."""
HAS_ARRIVED: Final = f"{IS_CONNECTION} AND direction <> {Direction.OUT.value}"
BASE: Final = "CASE protocol {} ELSE protocol END".format(
    " ".join(
        f"WHEN {number} THEN {packing.PROTOCOL_NUMBERS[packing.base(name)]}"
        for name, number in packing.PROTOCOL_NUMBERS.items()
        if packing.base(name) != name
    )
)
"""The number of a row's protocol without its family: that of tcp for tcp6."""

Part = Literal["states", "connected states", "local ports", "ips", "hosts", "sums"]


@dataclass(slots=True)
class Details:
    """What a row of a list says besides its total, as far as it was asked for."""

    total: int = 0
    """With ``top`` alone."""
    listed: int = 0
    """With ``top`` alone: how many keys there are before the largest were taken."""
    by_state: dict[str, int] = field(default_factory=dict)
    """Most first."""
    local_ports: list[tuple[int, int]] = field(default_factory=list)
    """The LOCAL_PORTS most used ones, and how many connections."""
    ips: int = 0
    """Distinct remote addresses of connections."""
    hosts: int = 0
    listeners: int = 0
    connections: int = 0


def details(
    scope: Scope,
    filters: SocketFilter,
    keys: Mapping[str, str],
    parts: Collection[Part],
    *,
    these: Statement,
    condition: Statement = ANY_ROW,
    top: Statement | None = None,
) -> defaultdict[tuple[Any, ...], Details]:
    """``parts`` of ``these`` sockets that also meet ``condition``, for each value of ``keys`` (an
    expression by column); empty ones where there are none. "states" are of all, "connected states"
    of connections. One query.

    With ``top``, a SELECT of one key, its ``total`` and ``listed`` from ``a`` (which are the
    sockets that meet ``condition``), ``these`` may name it as ``top``; both are in the answer. It
    is of a scope in the past only.
    """
    columns = list(dict.fromkeys(
        (*keys, "direction", "remote_ip", "local_port", "state", "host_id", "copies")
    ))  # fmt: skip
    if scope.is_now:
        inner = marked(scope, columns, filters, both(condition, these))
        every, chosen = Statement(""), inner
    else:
        # Of the past only what was there at that time is looked through. Were a planner told which
        # addresses are wanted, it might read all that was ever stored of them.
        inner = marked(scope, columns, filters, condition)
        every = Statement(f"a AS MATERIALIZED ({inner.sql}), ", inner.params)
        if top is not None:
            every = Statement(
                f"{every.sql}top AS MATERIALIZED ({top.sql}), ", (*every.params, *top.params)
            )
        chosen = Statement(f"SELECT * FROM a WHERE {these.sql}", these.params)
    key = ", ".join(f"key{place}" for place in range(len(keys)))
    named = ", ".join(f"{value} AS key{place}" for place, value in enumerate(keys.values()))
    ports = (
        f"SELECT {key}, local_port, SUM(copies) AS total, ROW_NUMBER() OVER (PARTITION BY {key}"
        f" ORDER BY SUM(copies) DESC, local_port) AS place FROM s WHERE {HAS_ARRIVED}"
        f" AND local_port IS NOT NULL GROUP BY {key}, local_port"
    )
    states = f"SELECT 'state', {key}, state, SUM(copies) FROM s WHERE state IS NOT NULL"
    texts: dict[Part, str] = {
        "states": f"{states} GROUP BY {key}, state",
        "connected states": f"{states} AND {IS_CONNECTION} GROUP BY {key}, state",
        "local ports": f"SELECT 'port', {key}, local_port, total FROM ({ports}) AS r"
        f" WHERE place <= {LOCAL_PORTS}",
        # Distinct rows first: counting them is cheaper than COUNT(DISTINCT), which sorts.
        "ips": f"SELECT 'ips', {key}, 0, COUNT(*) FROM (SELECT DISTINCT {key}, remote_ip FROM s"
        f" WHERE {IS_CONNECTION}) AS d GROUP BY {key}",
        "hosts": f"SELECT 'hosts', {key}, 0, COUNT(*) FROM (SELECT DISTINCT {key}, host_id FROM s)"
        f" AS d GROUP BY {key}",
        "sums": f"SELECT 'listeners', {key}, 0, {total(IS_LISTENER)} FROM s GROUP BY {key}"
        f" UNION ALL SELECT 'connections', {key}, 0, {total(IS_CONNECTION)} FROM s GROUP BY {key}",
    }
    chosen_parts = [text for name, text in texts.items() if name in parts]
    if top is not None:
        chosen_parts += [
            f"SELECT '{name}', {', '.join(keys)}, 0, {name} FROM top"
            for name in ("total", "listed")
        ]
    statement = Statement(
        f"WITH {every.sql}s AS MATERIALIZED (SELECT direction, remote_ip, local_port, state,"
        f" host_id, copies, connected, {named} FROM ({chosen.sql}) AS m) "
        + " UNION ALL ".join(chosen_parts),
        (*every.params, *chosen.params),
    )
    found: defaultdict[tuple[Any, ...], Details] = defaultdict(Details)
    counted: dict[str, list[tuple[int, int, Details]]] = {"state": [], "port": []}
    for kind, *values, value, number in sql.fetch(scope, statement):
        # PostgreSQL gives bytes as memoryview, which is no key.
        of = found[tuple(bytes(one) if isinstance(one, memoryview) else one for one in values)]
        if kind in counted:
            counted[kind].append((-int(number), value, of))
        else:
            setattr(of, kind, int(number))
    for number, state, of in sorted(counted["state"], key=lambda each: each[:2]):
        of.by_state[packing.STATES[state]] = -number
    for number, port, of in sorted(counted["port"], key=lambda each: each[:2]):
        of.local_ports.append((port, -number))
    return found


def marked(
    scope: Scope, columns: Sequence[str], filters: SocketFilter, condition: Statement
) -> Statement:
    """The sockets with one more column, ``connected``: 1 for a connection, else 0. Neither a
    listener is one nor a socket that is bound and connected to nothing."""
    inner = sql.sockets(scope, columns, filters, condition=condition)
    return Statement(
        f"SELECT {', '.join(columns)}, CASE WHEN {CONNECTED.sql} THEN 1 ELSE 0 END AS connected"
        f" FROM ({inner.sql}) AS i",
        (*CONNECTED.params, *inner.params),
    )


def these(column: str, values: Collection[Any]) -> Statement:
    """The rows of a list's keys; of a list so long that naming them costs more than it saves, all
    rows."""
    return sql.among(column, values) if len(values) <= MOST_NAMED else ANY_ROW


def total(condition: str) -> str:
    """The sum of the sockets that meet a condition, as an expression."""
    return f"SUM(CASE WHEN {condition} THEN copies ELSE 0 END)"


def distinct_ips() -> str:
    """Distinct remote addresses of connections, as an expression."""
    return f"COUNT(DISTINCT CASE WHEN {IS_CONNECTION} THEN remote_ip END)"


def both(*parts: Statement) -> Statement:
    """All of these conditions."""
    said = [part for part in parts if part is not ANY_ROW] or [ANY_ROW]
    return Statement(
        " AND ".join(f"({part.sql})" for part in said),
        tuple(value for part in said for value in part.params),
    )


def check_sort(sort: str, sorts: Mapping[str, str]) -> str:
    """``sort`` where it is one of ``sorts``, with or without - before it; else
    FilterError("sort")."""
    if sort.removeprefix("-") not in sorts:
        raise FilterError(
            "sort",
            format_lazy(
                _("Give one of: {words}; with - before it for the reverse."),
                words=", ".join(sorts),
            ),
        )
    return sort


def order(sort: str, sorts: Mapping[str, str]) -> str:
    """``ORDER BY`` of one of ``sorts``; FilterError("sort")."""
    column = sorts[check_sort(sort, sorts).removeprefix("-")]
    return f"{column} DESC" if sort.startswith("-") else column
