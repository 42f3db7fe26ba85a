"""What happened on one host: listeners that came and went, probes that failed, alerts.

Place in the data's way: the marks on the timeline of the host page. Each is asked for by an index
that leads to few rows, and at most MOST of each are read.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final, Literal

from hosts.models import Host
from probes.history import packing
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.models import Alert, Direction, Outcome, Snapshot

MOST: Final = 40
"""Events of one kind, the newest."""
MOST_LISTENERS: Final = 2_000
"""Intervals of listeners that are put together."""
LAST_PORT: Final = 32_767
"""Ports above are given out by kernels by themselves: a name server's come and go by the hundred,
and none of them is a service."""

_SNAPSHOTS: Final = Snapshot._meta.db_table


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as of a probe."""

    kind: Literal["listener_new", "listener_gone", "failed", "alert"]
    at: dt.datetime
    protocol: str = ""
    """Of a listener, without its family."""
    port: int | None = None
    program: str | None = None
    code: str = ""
    """Why a probe failed."""
    times: int = 1
    """Probes that failed so one after the other."""
    subject: str = ""
    """Of an alert."""


def events(host: Host, since: dt.datetime, until: dt.datetime) -> list[Event]:
    """What happened after ``since`` and by ``until``, oldest first. Three queries."""
    found = [
        *_listeners(host, since, until)[-MOST:],
        *_failures(host, since, until)[-MOST:],
        *_alerts(host, since, until),
    ]
    return sorted(found, key=lambda event: event.at)


def _listeners(host: Host, since: dt.datetime, until: dt.datetime) -> list[Event]:
    """Ports that began or ceased to be listened on; another process on one is neither.

    What the very first snapshot shows is not new, and what a whole snapshot later is there again
    was never gone.
    """
    scope = sql.of_host(host, None)
    held: dict[tuple[str, int], list[tuple[Any, ...]]] = defaultdict(list)
    for number, port, program, begun, ended, following, oldest in sql.fetch(
        scope, _listening(scope, since, until)
    ):
        held[packing.base(packing.PROTOCOLS[number]), port].append(
            (
                sql.utc(begun),
                None if ended is None else sql.utc(following or ended),
                program,
                None if oldest is None else sql.utc(oldest),
            )
        )
    found: list[Event] = []
    for (protocol, port), rows in held.items():
        rows.sort(key=lambda row: row[0])
        gone: dt.datetime | None = since
        last: str | None = None
        for begun, until_then, program, oldest in rows:
            if gone is not None and begun > gone:
                if last is not None and since < gone <= until:
                    found.append(Event("listener_gone", gone, protocol, port, last or None))
                if since < begun <= until and begun != oldest:
                    found.append(Event("listener_new", begun, protocol, port, program))
            gone = None if until_then is None or gone is None else max(gone, until_then)
            last = program or ""
        if gone is not None and since < gone <= until:
            found.append(Event("listener_gone", gone, protocol, port, last or None))
    return sorted(found, key=lambda event: event.at)


def _listening(scope: Scope, since: dt.datetime, until: dt.datetime) -> Statement:
    (host_id,) = scope.host_ids
    # The direction is no parameter: SQLite takes a partial index for a constant only.
    listens = (
        f"host_id = %s AND direction = {Direction.LISTEN.value} AND local_port BETWEEN 1 AND %s"
    )
    whole = f"FROM {_SNAPSHOTS} WHERE host_id = %s AND outcome = %s"
    first = f"(SELECT MIN(taken_at) {whole})"
    given = (host_id, Outcome.OK.value)
    none = "CAST(NULL AS timestamp with time zone)" if scope.is_postgres else "NULL"
    return Statement(
        f"SELECT protocol, local_port, program, first_seen, {none}, {none}, {first} FROM {sql.OPEN}"
        f" WHERE {listens} AND first_seen <= %s"
        " UNION ALL SELECT * FROM (SELECT protocol, local_port, program, first_seen, last_seen,"
        f" (SELECT MIN(taken_at) {whole} AND taken_at > c.last_seen), {first}"
        f" FROM {sql.CLOSED} AS c WHERE {listens} AND last_seen >= %s AND first_seen <= %s"
        " LIMIT %s) AS gone",
        (
            *(*given, host_id, LAST_PORT, sql.time(scope, until)),
            *(*given, *given, host_id, LAST_PORT),
            *(sql.time(scope, since), sql.time(scope, until), MOST_LISTENERS),
        ),
    )


def _failures(host: Host, since: dt.datetime, until: dt.datetime) -> list[Event]:
    """Runs of probes that failed alike, each at its first; the newest of them."""
    snapshots = Snapshot.objects.using(host._state.db).filter(
        host_id=host.pk, taken_at__gt=since, taken_at__lte=until
    )
    failed = snapshots.exclude(outcome__in=(Outcome.OK, Outcome.LATE)).order_by("-taken_at")
    newest = list(failed.values_list("taken_at", "code", "outcome")[: 10 * MOST])
    near = dt.timedelta(seconds=3 * host.effective_interval_s)
    found: list[Event] = []
    end = since
    for taken_at, code, outcome in reversed(newest):
        code = code or outcome
        if found and found[-1].code == code and taken_at - end <= near:
            found[-1] = Event("failed", found[-1].at, code=code, times=found[-1].times + 1)
        else:
            found.append(Event("failed", taken_at, code=code))
        end = taken_at
    return found


def _alerts(host: Host, since: dt.datetime, until: dt.datetime) -> list[Event]:
    alerts = Alert.objects.using(host._state.db).filter(
        host_id=host.pk, opened_at__gt=since, opened_at__lte=until
    )
    newest = alerts.order_by("-opened_at").values_list("opened_at", "subject")[:MOST]
    return [Event("alert", opened_at, subject=subject) for opened_at, subject in newest]
