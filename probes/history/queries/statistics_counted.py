"""How many rows a list of statistics has in all, whatever part of it is shown.

Place in the data's way: beside the lists of ``probes.history.queries.statistics``, with the same
conditions. Asked only for a list that is longer than what was read of it.
"""

from __future__ import annotations

from typing import Final, Literal

from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history.queries import scopes as places
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.history.queries.statistics_sums import BASE, CONNECTED, both

EVERY_ROW: Final = 2**31 - 1
"""The ``limit`` that cuts no list."""

Sum = Literal["ips", "ends", "ports", "programs"]

_KEYS: Final[dict[Sum, tuple[tuple[str, ...], str]]] = {
    "ips": (("remote_ip",), "remote_ip"),
    "ends": (("remote_ip", "remote_port"), "remote_ip, remote_port"),
    "ports": (("local_port", "protocol"), f"local_port, {BASE}"),
    "programs": (("program",), "program"),
}
"""The columns that the rows of a list differ by, and how."""


def number_of(
    kind: Sum,
    scope: Scope,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    where: str = "all",
    port: int | None = None,
) -> int:
    """How many rows that list has; with ``port`` of that local port alone. One query."""
    wanted = places.condition(where)
    if kind in ("ips", "ends") or where != "all":
        wanted = both(CONNECTED, wanted)
    if kind == "ports":
        wanted = both(Statement("local_port IS NOT NULL"), wanted)
    if port is not None:
        wanted = both(Statement("local_port = %s", (port,)), wanted)
    columns, keys = _KEYS[kind]
    inner = sql.sockets(scope, columns, filters, condition=wanted)
    counted = Statement(
        f"SELECT COUNT(*) FROM (SELECT DISTINCT {keys} FROM ({inner.sql}) AS s) AS d",
        inner.params,
    )
    ((number,),) = sql.fetch(scope, counted)
    return int(number)
