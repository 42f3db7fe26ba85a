"""What the snapshots of hosts count, now and over a day, and what their kernels allow.

Place in the data's way: below ``queries.trouble``, which chooses by these numbers whose sockets are
worth a look at all. Reads no sockets.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hosts.models import Host
from probes.analysis import kernels
from probes.analysis.kernels import Kernel
from probes.history.queries import moments, sql
from probes.history.queries.sql import Scope, Statement
from probes.models import KernelLimits, LastText, Outcome, Snapshot

STEPS: Final = 48
STEP: Final = dt.timedelta(minutes=30)
"""A trend has the newest whole snapshot by each half-hour of a day ..."""
NEWEST: Final = 30
"""... and the newest whole snapshots, one by one."""

_FIRST_TIME: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one whole snapshot of a host counts."""

    host_id: int
    taken_at: dt.datetime
    by_state: Mapping[str, int]
    by_protocol: Mapping[str, int]
    connections: int
    """Sockets that are no listeners."""
    closed: int

    def state(self, name: str) -> int:
        """Sockets in one state."""
        return self.by_state.get(name, 0)


@dataclass(frozen=True, slots=True)
class Known:
    """A host by name, with what its kernel allows."""

    host_id: int
    name: str
    kernel: Kernel = field(default_factory=Kernel)


_COUNTED: Final = (
    "host_id, taken_at, by_state, by_protocol, sockets - listeners AS connections, closed"
)


def counted(scope: Scope) -> list[Counted]:
    """The snapshot that ``scope`` shows of each host. One query."""
    scope = of_moments(scope)
    return [_counted(row) for row in sql.fetch(scope, moments.snapshots(scope, _COUNTED))]


def of_moments(scope: Scope) -> Scope:
    """The same scope; one of a single snapshot as one of moments."""
    if scope.snapshot is None:
        return scope
    (host_id,) = scope.host_ids
    at = ((host_id, scope.snapshot.taken_at),)
    return replace(scope, snapshot=None, moments=at)


def only(scope: Scope, host_ids: Iterable[int]) -> Scope:
    """The scope with fewer hosts."""
    wanted = set(host_ids)
    left = None if scope.moments is None else tuple(m for m in scope.moments if m[0] in wanted)
    return Scope(scope.using, tuple(pk for pk in scope.host_ids if pk in wanted), moments=left)


def known(scope: Scope) -> dict[int, Known]:
    """Names and kernels of the scope's hosts, the limits as they are now. One query."""
    hosts = Statement("h.id IN (SELECT value FROM json_each(%s))", (json.dumps(scope.host_ids),))
    if scope.is_postgres:
        hosts = Statement("h.id = ANY(%s::bigint[])", (list(scope.host_ids),))
    found = sql.fetch(
        scope,
        Statement(
            f"SELECT h.id, h.name, h.platform, t.dialect, k.limits FROM {Host._meta.db_table} AS h"
            f" LEFT JOIN {LastText._meta.db_table} AS t ON t.host_id = h.id"
            f" LEFT JOIN {KernelLimits._meta.db_table} AS k ON k.host_id = h.id"
            f" WHERE {hosts.sql}",
            hosts.params,
        ),
    )
    return {
        pk: Known(
            pk,
            name,
            kernels.kernel(_mapping(limits), platform=platform, dialect=dialect or ""),
        )
        for pk, name, platform, dialect, limits in found
    }


def trends(scope: Scope, now: Sequence[Counted]) -> dict[int, list[Counted]]:
    """Whole snapshots of each host up to the one in ``now``, oldest first, that one the last.

    At most NEWEST + STEPS of each host, over one day but where the newest alone go further back.
    One query.
    """
    if not now:
        return {}
    ends = [(each.host_id, each.taken_at) for each in now]
    steps = [(pk, end - STEP * step) for pk, end in ends for step in range(1, STEPS + 1)]
    by_step = sql.moments_table(replace(scope, moments=tuple(steps)))
    by_end = sql.moments_table(replace(scope, moments=tuple(ends)))
    whole, table = Outcome.OK.value, Snapshot._meta.db_table
    newest = f"FROM {table} AS n WHERE n.host_id = at_host AND n.taken_at <= at_time"
    newest += " AND n.outcome = %s ORDER BY n.taken_at DESC LIMIT 1"
    found = sql.fetch(
        scope,
        Statement(
            f"SELECT {_COUNTED} FROM {table} WHERE id IN"
            f" (SELECT (SELECT id {newest}) FROM {by_step.sql} AS m)"
            f" UNION ALL SELECT {_COUNTED} FROM {by_end.sql} AS m CROSS JOIN {table}"
            " WHERE host_id = at_host AND taken_at <= at_time AND outcome = %s"
            f" AND taken_at > COALESCE((SELECT taken_at {newest} OFFSET {NEWEST}), %s)",
            (
                *(whole, *by_step.params, *by_end.params, whole, whole),
                sql.time(scope, _FIRST_TIME),
            ),
        ),
    )
    unique = {(row.host_id, row.taken_at): row for row in map(_counted, found)}
    of_host: dict[int, list[Counted]] = {}
    for key in sorted(unique):
        of_host.setdefault(key[0], []).append(unique[key])
    return of_host


def _counted(row: tuple[Any, ...]) -> Counted:
    host_id, taken_at, by_state, by_protocol, connections, closed = row
    return Counted(
        host_id,
        sql.utc(taken_at),
        _mapping(by_state),
        _mapping(by_protocol),
        max(0, connections),
        closed,
    )


def _mapping(stored: Any) -> Any:
    return json.loads(stored) if isinstance(stored, str) else stored or {}
