"""Whom hosts began to talk to in a time: their outgoing connections, summed by program and address.

Place in the data's way: asked each minute by ``probes.watch.drift``. Every statement is a loop over
the hosts, along an index on the time at which a socket was seen first, so that it reads what is new
and nothing else:

    host_id, first_seen WHERE direction = 2     open sockets (``probes_open_outgoing``)
    host_id, first_seen, last_seen              closed ones (``probes_closed_host``)

Knows no peers and no rights. Loopback, and addresses that a tool cut short or printed as names, are
left out: of those it cannot be told which network they are of.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from probes.filters import address_range
from probes.history.queries import sockets, sql
from probes.history.queries.sockets import SocketRow
from probes.history.queries.sql import CLOSED, OPEN, Scope, Statement
from probes.models import Direction

_OUT: Final = f"direction = {Direction.OUT.value}"
_LOOPBACK: Final = tuple(address_range(text) for text in ("127.0.0.0/8", "::1", "::"))
_UNSPECIFIED: Final = address_range("0.0.0.0")


@dataclass(frozen=True, slots=True)
class Dialled:
    """Connections of a host and program to one address that were seen first in the time."""

    host_id: int
    program: str
    """Empty where the host does not tell."""
    remote_ip: bytes
    """16 bytes, IPv4 as ``::ffff:a.b.c.d``; of whatever zone."""
    first: dt.datetime
    """When the first of them was seen first, and when the newest."""
    newest: dt.datetime
    connections: int


def began(
    scope: Scope, *, after: dt.datetime | None, until: dt.datetime | None = None
) -> Iterator[Dialled]:
    """Outgoing connections seen first later than ``after`` and not later than ``until``, streamed.

    Without ``after`` all that are open are told, whatever their age, and nothing closed. One query.
    """
    if not scope.host_ids:
        return
    parts = [_part(scope, OPEN, after, until)]
    if after is not None:
        parts.append(_part(scope, CLOSED, after, until))
    statement = Statement(
        "SELECT host_id, program, remote_ip,"
        f" {sql.quick_time(scope, 'MIN(first_seen)')}, {sql.quick_time(scope, 'MAX(first_seen)')},"
        f" SUM(copies) FROM ({' UNION ALL '.join(part.sql for part in parts)}) AS s"
        " GROUP BY host_id, program, remote_ip",
        tuple(value for part in parts for value in part.params),
    )
    for host_id, program, remote_ip, first, newest, copies in sql.stream(scope, statement):
        yield Dialled(
            host_id,
            program or "",
            bytes(remote_ip),
            sql.utc(first),
            sql.utc(newest),
            int(copies),
        )


def rows(
    scope: Scope,
    *,
    low: bytes,
    high: bytes,
    program: str,
    since: dt.datetime,
    until: dt.datetime,
    limit: int,
) -> list[SocketRow]:
    """The first ``limit`` of a host's outgoing connections of ``program`` (as :class:`Dialled` has
    it) to addresses from ``low`` to ``high`` that were seen first from ``since`` to ``until``."""
    (host_id,) = scope.host_ids
    same = Statement("program IS NULL") if not program else Statement("program = %s", (program,))
    parts = []
    for table in (OPEN, CLOSED):
        listed = ", ".join(_column(name, is_open=table == OPEN) for name in sockets.COLUMNS)
        given = (sql.time(scope, since), sql.time(scope, until))
        closed = "" if table == OPEN else " AND last_seen >= %s"
        parts.append(
            Statement(
                f"SELECT {listed} FROM {table} WHERE host_id = %s AND {_OUT}"
                f" AND first_seen >= %s AND first_seen <= %s{closed}"
                f" AND remote_ip BETWEEN %s AND %s AND {same.sql}",
                (host_id, *given, *(given[:1] if closed else ()), low, high, *same.params),
            )
        )
    statement = Statement(
        f"SELECT {', '.join(sockets.COLUMNS)} FROM"
        f" ({' UNION ALL '.join(part.sql for part in parts)}) AS s"
        " ORDER BY first_seen, key LIMIT %s",
        (*(value for part in parts for value in part.params), limit),
    )
    return [sockets.socket_row(values) for values in sql.fetch(scope, statement)]


def seen_since(
    scope: Scope, *, low: bytes, high: bytes, program: str, since: dt.datetime
) -> dt.datetime | None:
    """When a connection of ``program`` to addresses from ``low`` to ``high`` that began before
    ``since`` was last there; None where none was there so long.

    Looks up the addresses. ``since`` itself stands for one that is still open.
    """
    if not scope.host_ids:
        return None
    hosts = sql.in_hosts(scope)
    when = sql.time(scope, since)
    same = Statement("program IS NULL") if not program else Statement("program = %s", (program,))
    # The plus signs keep planners from finding rows by host or program: of all that is all rows.
    where = (
        f"remote_ip BETWEEN %s AND %s AND +{hosts.sql} AND +{_OUT} AND {same.sql}"
        " AND first_seen <= %s"
    )
    given = (low, high, *hosts.params, *same.params, when)
    open_one = Statement(f"SELECT 1 FROM {OPEN} WHERE {where} LIMIT 1", given)
    if sql.fetch(scope, open_one):
        return since
    closed = Statement(
        f"SELECT MAX(last_seen) FROM {CLOSED} WHERE {where} AND last_seen >= %s", (*given, when)
    )
    ((newest,),) = sql.fetch(scope, closed)
    return None if newest is None else sql.utc(newest)


def _part(
    scope: Scope, table: str, after: dt.datetime | None, until: dt.datetime | None
) -> Statement:
    where = [_OUT, "length(remote_ip) = 16"]
    params: list[object] = []
    for network in (*_LOOPBACK, _UNSPECIFIED):
        where.append("NOT remote_ip BETWEEN %s AND %s")
        params += [network.low, network.high]
    if after is not None:
        where.append("first_seen > %s")
        params.append(sql.time(scope, after))
        if table == CLOSED:
            where.append("last_seen > %s")
            params.append(sql.time(scope, after))
    if until is not None:
        where.append("first_seen <= %s")
        params.append(sql.time(scope, until))
    inner = (
        f"SELECT host_id, program, remote_ip, first_seen, copies FROM {table}"
        f" WHERE host_id = at_host AND {' AND '.join(where)}"
    )
    if scope.is_postgres:
        # The offset keeps it a loop: without, two tables are joined, and one may be read whole.
        text = (
            "SELECT seen.* FROM unnest(%s::bigint[]) AS hosts(at_host)"
            f" CROSS JOIN LATERAL ({inner} OFFSET 0) AS seen"
        )
        return Statement(text, (list(scope.host_ids), *params))
    text = (
        "SELECT host_id, program, remote_ip, first_seen, copies"
        f" FROM (SELECT value AS at_host FROM json_each(%s)) CROSS JOIN {table}"
        f" WHERE host_id = at_host AND {' AND '.join(where)}"
    )
    return Statement(text, (json.dumps(scope.host_ids), *params))


def _column(name: str, *, is_open: bool) -> str:
    if is_open:
        return (
            "CAST(NULL AS timestamp with time zone) AS last_seen" if name == "last_seen" else name
        )
    if name in ("recv_queue", "send_queue"):
        return f"CAST(NULL AS bigint) AS {name}"
    return name
