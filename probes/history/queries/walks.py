"""The whole snapshots of one host to walk along: evenly over a time, however long it is.

Place in the data's way: the slider of the host page. A month of one probe a minute costs as much as
an hour: one step down an index for each point.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Final

from hosts.models import Host
from probes.history.queries import sql
from probes.history.queries.sql import Statement
from probes.models import Outcome, Snapshot

_SNAPSHOTS: Final = Snapshot._meta.db_table


def points(host: Host, since: dt.datetime, until: dt.datetime, *, number: int) -> list[dt.datetime]:
    """When the last whole snapshot of each of ``number`` equal parts of the time was taken, oldest
    first; parts without one are left out. One query."""
    step = (until - since) / number
    edges = [since + step * place for place in range(number + 1)]
    scope = sql.of_host(host, None)
    newest = (
        f"SELECT taken_at FROM {_SNAPSHOTS} WHERE host_id = %s AND taken_at > {{low}}"
        " AND taken_at <= {high} AND outcome = %s ORDER BY taken_at DESC LIMIT 1"
    )
    given = (host.pk, Outcome.OK.value)
    if scope.is_postgres:
        within = newest.format(low="p.low", high="p.high")
        statement = Statement(
            "SELECT s.taken_at FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS p(low, high)"
            f" CROSS JOIN LATERAL ({within}) AS s ORDER BY 1",
            (edges[:-1], edges[1:], *given),
        )
    else:
        within = newest.format(
            low="json_extract(p.value, '$[0]')", high="json_extract(p.value, '$[1]')"
        )
        stored = [str(sql.time(scope, edge)) for edge in edges]
        pairs = json.dumps(list(itertools.pairwise(stored)))
        statement = Statement(f"SELECT ({within}) FROM json_each(%s) AS p", (*given, pairs))
    return sorted(sql.utc(taken_at) for (taken_at,) in sql.fetch(scope, statement) if taken_at)


def neighbours(host: Host, when: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    """When the whole snapshots right before and right after ``when`` were taken. One query."""
    scope = sql.of_host(host, None)
    whole = f"FROM {_SNAPSHOTS} WHERE host_id = %s AND outcome = %s AND taken_at"
    edge = (host.pk, Outcome.OK.value, sql.time(scope, when))
    statement = Statement(
        f"SELECT (SELECT MAX(taken_at) {whole} < %s), (SELECT MIN(taken_at) {whole} > %s)",
        (*edge, *edge),
    )
    ((before, after),) = sql.fetch(scope, statement)
    return (
        None if before is None else sql.utc(before),
        None if after is None else sql.utc(after),
    )


def first(host: Host) -> dt.datetime | None:
    """When the oldest whole snapshot that is kept was taken. One query."""
    whole = Snapshot.objects.using(host._state.db).filter(host_id=host.pk, outcome=Outcome.OK)
    return whole.order_by("taken_at").values_list("taken_at", flat=True).first()
