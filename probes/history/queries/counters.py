"""How the traffic of one interface went over time, read from samples of its counters.

Place in the data's way: charts and ``statistics/interfaces``. A long time is thinned by the
database to the last sample of each step, so that a chart unpacks a bounded number of them; what
went through in between is in the difference of two counters all the same.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hosts.models import Host
from probes.analysis import rates
from probes.history import contents
from probes.history.queries import sql
from probes.history.queries.series import GAP_AFTER_STEPS, MOST_POINTS
from probes.history.queries.sql import Scope, Statement
from probes.models import CounterSample
from probes.observation import Table

TrafficBy = Literal["bytes", "packets", "problems"]
TRAFFIC_BYS: Final[tuple[str, ...]] = get_args(TrafficBy)

COUNTERS: Final[dict[TrafficBy, tuple[str, ...]]] = {
    "bytes": ("rx_bytes", "tx_bytes"),
    "packets": ("rx_packets", "tx_packets"),
    "problems": (
        "rx_errors",
        "rx_dropped",
        "rx_overruns",
        "tx_errors",
        "tx_dropped",
        "tx_overruns",
        "collisions",
    ),
}
"""What is drawn together."""

SAMPLES: Final = CounterSample._meta.db_table


@dataclass(frozen=True, slots=True)
class Traffic:
    """Changes per second over time. Each list of ``series`` is as long as ``times``."""

    times: list[int]
    """Seconds since 1970, rising."""
    series: dict[str, list[float | None]]
    """By counter."""
    step_s: int
    """Seconds a step is wide."""


def traffic(
    host: Host,
    interface: str,
    *,
    by: TrafficBy,
    since: dt.datetime,
    until: dt.datetime,
    step_s: int | None = None,
) -> Traffic:
    """Counters of an interface per second, from ``since`` to before ``until``.

    A value at a time is the mean since the time before it. It is None where a counter of the
    interface went back, where the interface was not there, and in a gap: a time without samples
    longer than GAP_AFTER_STEPS times the usual. Counters that no sample has are left out. Two
    queries.
    """
    span_s = max(1.0, (until - since).total_seconds())
    step_s = max(step_s or 1, math.ceil(span_s / MOST_POINTS))
    scope = sql.of_host(host, None)
    samples = [
        (at.timestamp(), contents.unpack_sample(packed).get(interface))
        for at, packed in _thinned(scope, since, until, step_s)
    ]
    names = [
        name
        for name in COUNTERS[by]
        if any(counters is not None and name in counters for _at, counters in samples)
    ]
    distances = [after - before for (before, _), (after, _) in itertools.pairwise(samples)]
    usual_s = max(step_s, statistics.median(distances) if distances else 0.0)
    times: list[int] = []
    series: dict[str, list[float | None]] = {name: [] for name in names}
    for (earlier, before), (later, after) in itertools.pairwise(samples):
        if later - earlier > GAP_AFTER_STEPS * usual_s:
            times.append(int(earlier + usual_s))
            for values in series.values():
                values.append(None)
        times.append(math.floor(later))
        grown = rates.per_second(before, after or {}, seconds=later - earlier)
        for name, values in series.items():
            value = grown.get(name)
            values.append(None if value is None else round(value, 3))
    return Traffic(times, series, step_s)


def _thinned(
    scope: Scope, since: dt.datetime, until: dt.datetime, step_s: int
) -> list[tuple[dt.datetime, bytes]]:
    """The last sample of each step, in the order of time."""
    (host_id,) = scope.host_ids
    epoch = (
        "CAST(FLOOR(EXTRACT(EPOCH FROM taken_at)) AS bigint)"
        if scope.is_postgres
        else "CAST(strftime('%%s', taken_at) AS INTEGER)"
    )
    last = Statement(
        f'SELECT MAX(taken_at) FROM {SAMPLES} WHERE host_id = %s AND "table" = %s'
        f" AND taken_at >= %s AND taken_at < %s GROUP BY {epoch} / %s",
        (
            host_id,
            Table.INTERFACES.value,
            sql.time(scope, since),
            sql.time(scope, until),
            step_s,
        ),
    )
    times = [sql.utc(at) for (at,) in sql.fetch(scope, last)]
    # By a second query: joined with the first, PostgreSQL looked each sample up by host alone as
    # long as it had no statistics of the table.
    samples = CounterSample.objects.using(scope.using).filter(
        host_id=host_id, table=Table.INTERFACES.value, taken_at__in=times
    )
    return [
        (at, bytes(packed))
        for at, packed in samples.order_by("taken_at").values_list("taken_at", "counters_zstd")
    ]
