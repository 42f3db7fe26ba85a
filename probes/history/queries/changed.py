"""What came and what went between two whole snapshots of a host that follow closely.

Place in the data's way: the live view, which knows the rows of one snapshot and asks for the
difference to the newest. Reads the open sockets of the host, and the closed ones only where the
snapshots in between say that some closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Sum

from hosts.models import Host
from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history.queries import sql
from probes.history.queries.sockets import COLUMNS, SocketRow, socket_row
from probes.history.queries.sql import Statement
from probes.models import Outcome, Snapshot

MOST_QUEUED: Final = 1_000
MOST_GONE: Final = 2_000
"""Keys of sockets that went, the newest of them."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The difference between two snapshots."""

    came: list[SocketRow]
    """Sockets of the newer one that the older did not show so, newest first; a socket whose number
    of copies changed is among them, and not among ``went``."""
    came_count: int
    went: list[int]
    """Keys of sockets of the older one that the newer does not show, whatever the filters."""


def queued(host: Host, *, filters: SocketFilter = NOTHING_FILTERED) -> list[tuple[int, int, int]]:
    """(key, Recv-Q, Send-Q) of the open sockets of which one is not 0, at most MOST_QUEUED of them,
    newest first. One query."""
    columns = ("key", "first_seen", "recv_queue", "send_queue")
    waiting = Statement("(recv_queue > 0 OR send_queue > 0)")
    scope = sql.of_host(host, None)
    inner = sql.sockets(scope, columns, filters, condition=waiting)
    rows = sql.fetch(
        scope,
        Statement(
            f"SELECT key, recv_queue, send_queue FROM ({inner.sql}) AS s"
            " ORDER BY first_seen DESC, key LIMIT %s",
            (*inner.params, MOST_QUEUED),
        ),
    )
    return [(key, received or 0, sent or 0) for key, received, sent in rows]


def between(
    host: Host,
    known: Snapshot,
    newest: Snapshot,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    limit: int,
) -> Changed:
    """What changed from ``known`` to ``newest``, both whole snapshots of ``host``, the second the
    newest one. At most ``limit`` rows that came, counted all the same, and the newest MOST_GONE
    that went. Four queries at most."""
    if newest.taken_at <= known.taken_at:
        return Changed([], 0, [])
    whole = Snapshot.objects.using(host._state.db).filter(
        host_id=host.pk,
        outcome=Outcome.OK,
        taken_at__gt=known.taken_at,
        taken_at__lte=newest.taken_at,
    )
    sums = whole.aggregate(opened=Sum("opened"), closed=Sum("closed"))
    scope = sql.of_host(host, None)
    came: list[SocketRow] = []
    came_count = 0
    if sums["opened"] or sums["closed"]:
        since = Statement("first_seen > %s", (sql.time(scope, known.taken_at),))
        inner = sql.sockets(scope, COLUMNS, filters, condition=since)
        listed = (
            f"SELECT {', '.join(COLUMNS)} FROM ({inner.sql}) AS s"
            " ORDER BY first_seen DESC, key LIMIT %s"
        )
        found = sql.fetch(scope, Statement(listed, (*inner.params, limit + 1)))
        came = [socket_row(values) for values in found[:limit]]
        came_count = len(came)
        if len(found) > limit:
            ((came_count,),) = sql.fetch(
                scope, Statement(f"SELECT COUNT(*) FROM ({inner.sql}) AS s", inner.params)
            )
    if not sums["closed"]:
        return Changed(came, came_count, [])
    gone = sql.fetch(
        scope,
        Statement(
            f"SELECT key FROM {sql.CLOSED} AS c WHERE host_id = %s AND first_seen <= %s"
            " AND last_seen >= %s AND last_seen < %s"
            f" AND NOT EXISTS (SELECT 1 FROM {sql.OPEN} AS o"
            " WHERE o.host_id = c.host_id AND o.key = c.key)"
            " ORDER BY last_seen DESC, key LIMIT %s",
            (
                host.pk,
                *(sql.time(scope, known.taken_at),) * 2,
                sql.time(scope, newest.taken_at),
                MOST_GONE,
            ),
        ),
    )
    return Changed(came, came_count, [key for (key,) in gone])
