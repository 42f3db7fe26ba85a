"""What the interfaces of many hosts do per second, the busiest first.

Place in the data's way: one of the statistics: what two ``netstat -i`` and a subtraction show.
Read from the newest two samples of counters of each host, which are taken with its other tables.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from hosts.models import Host
from probes.analysis import rates
from probes.filters import FilterError
from probes.history import contents
from probes.history.queries import sql
from probes.history.queries.counters import SAMPLES
from probes.history.queries.sql import Scope, Statement
from probes.observation import Table
from probes.parsers.records import INTERFACE_COUNTERS

SORTS: Final = {
    "bytes": ("rx_bytes", "tx_bytes"),
    "rx_bytes": ("rx_bytes",),
    "tx_bytes": ("tx_bytes",),
    "packets": ("rx_packets", "tx_packets"),
    "rx_packets": ("rx_packets",),
    "tx_packets": ("tx_packets",),
    "problems": (
        "rx_errors", "rx_dropped", "rx_overruns", "tx_errors", "tx_dropped", "tx_overruns",
        "collisions",
    ),
}  # fmt: skip
"""What is summed to sort by; the largest comes first, what cannot be told last."""

_LOOPBACK: Final = re.compile(r"lo[0-9]{0,5}|Loopback Pseudo-Interface [0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class BusyInterface:
    """An interface of a host and what it does."""

    host: Host
    interface: str
    rates: dict[str, float | None]
    """Per second, by the names of INTERFACE_COUNTERS; None where it cannot be told."""
    over_s: float
    """Seconds between the two samples."""
    taken_at: dt.datetime
    """Of the newer one."""

    def total(self, sort: str) -> float | None:
        """The sum that ``sort`` is by; None where nothing of it can be told."""
        known = [value for name in SORTS[sort] if (value := self.rates[name]) is not None]
        return sum(known) if known else None


def interfaces(
    hosts: QuerySet[Host], *, at: dt.datetime | None = None, sort: str = "bytes", limit: int = 20
) -> list[BusyInterface]:
    """The ``limit`` busiest interfaces of ``hosts``, now or at a past time; loopback has none.

    A host with fewer than two samples by then has no rates and is not listed. Raises
    FilterError("sort"). Two queries.
    """
    check_sort(sort)
    by_id = {host.pk: host for host in hosts}
    if not by_id:
        return []
    found: list[BusyInterface] = []
    for host_id, ((taken_at, newer), (before_at, older)) in _newest_two(
        Scope(hosts.db, tuple(by_id)), at
    ).items():
        over_s = (taken_at - before_at).total_seconds()
        grown = rates.of_interfaces(older, newer, seconds=over_s)
        found += [
            BusyInterface(
                by_id[host_id],
                name,
                {counter: grown[name].get(counter) for counter in INTERFACE_COUNTERS},
                over_s,
                taken_at,
            )
            for name in newer
            if not _LOOPBACK.fullmatch(name)
        ]

    def order(row: BusyInterface) -> tuple[bool, float, str, str]:
        total = row.total(sort)
        return (total is None, -(total or 0.0), row.host.name, row.interface)

    return sorted(found, key=order)[:limit]


def check_sort(sort: str) -> str:
    """``sort`` where it is one of SORTS; else FilterError("sort")."""
    if sort not in SORTS:
        raise FilterError("sort", format_lazy(_("Give one of: {words}."), words=", ".join(SORTS)))
    return sort


_Sample = tuple[dt.datetime, contents.Sample]


def _newest_two(scope: Scope, at: dt.datetime | None) -> dict[int, tuple[_Sample, _Sample]]:
    """The newest two samples of each host that has two, the newer one first. One query."""
    columns = "taken_at, counters_zstd"
    until = ""
    params: tuple[Any, ...] = (Table.INTERFACES.value,)
    if at is not None:
        until, params = " AND taken_at <= %s", (*params, sql.time(scope, at))
    newest = (
        f'FROM {SAMPLES} WHERE host_id = h.id AND "table" = %s{until}'
        " ORDER BY taken_at DESC LIMIT 2"
    )
    if scope.is_postgres:
        statement = Statement(
            f"SELECT h.id, s.taken_at, s.counters_zstd FROM unnest(%s::bigint[]) AS h(id)"
            f" CROSS JOIN LATERAL (SELECT {columns} {newest}) AS s",
            (list(scope.host_ids), *params),
        )
    else:
        statement = Statement(
            "SELECT h.id, s.taken_at, s.counters_zstd"
            " FROM (SELECT value AS id FROM json_each(%s)) AS h"
            f' CROSS JOIN {SAMPLES} AS s WHERE s.host_id = h.id AND s."table" = %s'
            f" AND s.taken_at IN (SELECT taken_at {newest})",
            (json.dumps(scope.host_ids), Table.INTERFACES.value, *params),
        )
    samples: dict[int, list[tuple[dt.datetime, Any]]] = defaultdict(list)
    for host_id, taken_at, packed in sql.fetch(scope, statement):
        samples[host_id].append((sql.utc(taken_at), packed))
    pairs = {}
    for host_id, taken in samples.items():
        if len(taken) == 2:
            older, newer = (
                (when, contents.unpack_sample(bytes(packed)))
                for when, packed in sorted(taken, key=lambda each: each[0])
            )
            pairs[host_id] = (newer, older)
    return pairs
