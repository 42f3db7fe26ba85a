"""The numbers behind findings: a few grouped SELECTs over the hosts that are worth a look.

Place in the data's way: below ``queries.trouble``, which knows what the numbers mean. Every
statement names its hosts and times and stays on an index: open sockets by host, closed ones by
(host, first seen, last seen), backlogs by (host, time).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from probes.analysis.kernels import PortRange
from probes.filters import NOTHING_FILTERED
from probes.history import packing
from probes.history.queries import sql
from probes.history.queries.sql import Scope, Statement
from probes.history.queries.trouble_probes import Counted, only
from probes.models import Backlog, Direction

MOST_GROUPS: Final = 50_000
"""Rows of any of these results; the newest or largest come first."""
MOST_CLOSED: Final = 300_000
"""Closed sockets of one host, about, that the trend of its CLOSE_WAIT may have to look through."""

_TCP: Final = tuple(packing.PROTOCOL_NUMBERS[name] for name in ("tcp", "tcp6"))
_UDP: Final = tuple(packing.PROTOCOL_NUMBERS[name] for name in ("udp", "udp6"))
_OUTWARD: Final = (Direction.OUT.value, Direction.LOCAL.value)
_INWARD: Final = (Direction.IN.value, Direction.LOCAL.value)

Window = tuple[int, dt.datetime, dt.datetime]
"""(host, since, until)"""


# --- CLOSE_WAIT -----------------------------------------------------------------------------------


class Left(NamedTuple):
    """Sockets in CLOSE_WAIT of one program and peer that came and went at the same probes."""

    host_id: int
    protocol: str
    program: str | None
    outgoing: bool
    """Whether the host, or a program on it, connected to ``port``."""
    port: int | None
    """That was listened on, at either end."""
    peer: str
    first_seen: dt.datetime
    last_seen: dt.datetime | None
    copies: int
    pids: tuple[int, ...]
    """The smallest and the largest."""


def close_waits(scope: Scope, windows: Sequence[Window]) -> tuple[list[Left], bool]:
    """Everything in CLOSE_WAIT of each (host, since, until), and whether there was more.

    Seen within the window, and first seen at most as long before it as it is long. One query.
    """
    if not windows:
        return [], False
    source = _windows(scope, windows)
    state = packing.STATE_NUMBERS["CLOSE_WAIT"]
    oldest = sql.time(scope, min(since for _pk, since, _until in windows))
    columns = (
        "host_id, protocol, program, direction, local_port, remote_port, remote_ip, remote_zone,"
        " first_seen, copies, pid"
    )
    never = "CAST(NULL AS timestamp with time zone) AS last_seen"
    # A connection within the host belongs to the end that connected where the other one listens.
    outgoing = (
        f"(direction = {Direction.OUT.value} OR (direction = {Direction.LOCAL.value} AND EXISTS"
        f" (SELECT 1 FROM {sql.OPEN} AS l WHERE l.host_id = s.host_id"
        f" AND l.direction = {Direction.LISTEN.value} AND l.local_port = s.remote_port)))"
    )
    found = sql.fetch(
        scope,
        Statement(
            "SELECT host_id, protocol, program, outgoing, port, remote_ip, remote_zone, first_seen,"
            " last_seen, SUM(copies), MIN(pid), MAX(pid) FROM (SELECT host_id, protocol, program,"
            f" CASE WHEN {outgoing} THEN 1 ELSE 0 END AS outgoing,"
            f" CASE WHEN {outgoing} THEN remote_port ELSE local_port END AS port,"
            " remote_ip, remote_zone, first_seen, last_seen, copies, pid FROM"
            f" (SELECT {columns}, {never} FROM {source.sql} AS w CROSS JOIN {sql.OPEN}"
            f" WHERE host_id = w_host AND first_seen <= w_until AND state = {state}"
            f" UNION ALL SELECT {columns}, last_seen FROM {source.sql} AS w CROSS JOIN {sql.CLOSED}"
            " WHERE host_id = w_host AND first_seen <= w_until AND first_seen >= w_before"
            f" AND last_seen >= w_since AND last_seen >= %s AND state = {state}) AS s) AS g"
            " GROUP BY host_id, protocol, program, outgoing, port, remote_ip, remote_zone,"
            " first_seen, last_seen ORDER BY first_seen DESC LIMIT %s",
            (*source.params, *source.params, oldest, MOST_GROUPS + 1),
        ),
    )
    rows = [
        Left(
            host_id,
            packing.base(packing.PROTOCOLS[protocol]),
            program,
            bool(outgoing),
            port,
            packing.address(remote_ip, remote_zone),
            sql.utc(first_seen),
            None if last_seen is None else sql.utc(last_seen),
            int(copies),
            tuple(dict.fromkeys(pid for pid in (lowest, highest) if pid is not None)),
        )
        for (host_id, protocol, program, outgoing, port, remote_ip, remote_zone, first_seen,
             last_seen, copies, lowest, highest) in found[:MOST_GROUPS]
    ]  # fmt: skip
    return rows, len(found) > MOST_GROUPS


def window(trend: Sequence[Counted]) -> Window:
    """(host, since, until) over which the CLOSE_WAIT of a host is followed: the whole trend, or
    for a host whose sockets come and go by the thousand as much of it as MOST_CLOSED allows."""
    end = trend[-1]
    since = trend[0].taken_at
    apart = [b.taken_at - a.taken_at for a, b in zip(trend[-6:], trend[-5:], strict=False)]
    step_s = min((gap.total_seconds() for gap in apart), default=0)
    per_probe = sum(each.closed for each in trend) / len(trend)
    if step_s > 0 and per_probe > 0:
        allowed = dt.timedelta(seconds=step_s * MOST_CLOSED / per_probe)
        since = max(since, end.taken_at - allowed)
    return end.host_id, since, end.taken_at


def _windows(scope: Scope, windows: Sequence[Window]) -> Statement:
    """As a table of w_host, w_before, w_since and w_until."""
    rows = [(pk, since - (until - since), since, until) for pk, since, until in windows]
    if scope.is_postgres:
        columns = [list(column) for column in zip(*rows, strict=True)]
        return Statement(
            "(SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[],"
            " %s::timestamptz[]) AS u(w_host, w_before, w_since, w_until))",
            tuple(columns),
        )
    stored = [(pk, *(sql.time(scope, when) for when in times)) for pk, *times in rows]
    return Statement(
        "(SELECT json_extract(value, '$[0]') AS w_host, json_extract(value, '$[1]') AS w_before,"
        " json_extract(value, '$[2]') AS w_since, json_extract(value, '$[3]') AS w_until"
        " FROM json_each(%s))",
        (json.dumps(stored),),
    )


# --- ports, floods, waits -------------------------------------------------------------------------


class Ports(NamedTuple):
    """Local ports of a host's range in use from one address to one destination."""

    host_id: int
    protocol: str
    local_ip: str
    remote_ip: str | None
    remote_port: int | None
    ports: int
    time_wait: int


def ports_in_use(scope: Scope, ranges: Mapping[int, PortRange], *, least: int) -> list[Ports]:
    """Of each host its uses of at least ``least`` ports inside its range. One query.

    TCP by destination; UDP, whose ports are taken for every destination, by local address.
    """
    by_range: dict[tuple[int, int], list[int]] = {}
    for host_id, ports in ranges.items():
        by_range.setdefault((ports.low, ports.high), []).append(host_id)
    if not by_range:
        return []
    here = only(scope, ranges)
    parts, params = [], []
    for (low, high), host_ids in by_range.items():
        within = sql.in_hosts(Scope(scope.using, tuple(host_ids)))
        parts.append(f"(local_port BETWEEN %s AND %s AND {within.sql})")
        params += [low, high, *within.params]
    udp, tcp = _listed(_UDP), _listed(_TCP)
    condition = Statement(
        f"(protocol IN {udp} OR (protocol IN {tcp} AND direction IN {_listed(_OUTWARD)}))"
        f" AND ({' OR '.join(parts)})",
        tuple(params),
    )
    columns = (
        *("host_id", "protocol", "local_ip", "local_zone", "remote_ip", "remote_zone"),
        *("remote_port", "local_port", "state"),
    )
    inner = sql.sockets(here, columns, NOTHING_FILTERED, condition=condition)
    is_udp = f"protocol IN {udp}"
    time_wait = packing.STATE_NUMBERS["TIME_WAIT"]
    found = sql.fetch(
        here,
        Statement(
            "SELECT host_id, is_udp, local_ip, local_zone, remote_ip, remote_zone, remote_port,"
            " COUNT(DISTINCT local_port) AS ports, SUM(waits) FROM (SELECT host_id,"
            f" CASE WHEN {is_udp} THEN 1 ELSE 0 END AS is_udp, local_ip, local_zone,"
            f" CASE WHEN {is_udp} THEN NULL ELSE remote_ip END AS remote_ip,"
            f" CASE WHEN {is_udp} THEN NULL ELSE remote_zone END AS remote_zone,"
            f" CASE WHEN {is_udp} THEN NULL ELSE remote_port END AS remote_port, local_port,"
            f" CASE WHEN state = {time_wait} THEN 1 ELSE 0 END AS waits FROM ({inner.sql}) AS s)"
            " AS u GROUP BY host_id, is_udp, local_ip, local_zone, remote_ip, remote_zone,"
            " remote_port HAVING COUNT(DISTINCT local_port) >= %s"
            " ORDER BY ports DESC, host_id LIMIT %s",
            (*inner.params, least, MOST_GROUPS),
        ),
    )
    return [
        Ports(
            host_id,
            "udp" if is_udp else "tcp",
            packing.address(local_ip, local_zone),
            None if remote_ip is None else packing.address(remote_ip, remote_zone),
            remote_port,
            int(ports),
            int(waits),
        )
        for (host_id, is_udp, local_ip, local_zone, remote_ip, remote_zone, remote_port, ports,
             waits) in found
    ]  # fmt: skip


class HalfOpen(NamedTuple):
    """Connections of one address in SYN_RECV at one port of a host."""

    host_id: int
    local_ip: str
    local_port: int | None
    remote_ip: str
    total: int


def half_open(scope: Scope) -> list[HalfOpen]:
    """All connections in SYN_RECV of the scope's hosts, most first. One query."""
    names = ("host_id", "local_ip", "local_zone", "local_port", "remote_ip", "remote_zone")
    condition = Statement("state = %s", (packing.STATE_NUMBERS["SYN_RECV"],))
    inner = sql.sockets(scope, (*names, "copies"), NOTHING_FILTERED, condition=condition)
    columns = ", ".join(names)
    found = sql.fetch(
        scope,
        Statement(
            f"SELECT {columns}, SUM(copies) AS total FROM ({inner.sql}) AS s GROUP BY {columns}"
            " ORDER BY total DESC LIMIT %s",
            (*inner.params, MOST_GROUPS),
        ),
    )
    return [
        HalfOpen(
            host_id,
            packing.address(local_ip, local_zone),
            local_port,
            packing.address(remote_ip, remote_zone),
            int(total),
        )
        for host_id, local_ip, local_zone, local_port, remote_ip, remote_zone, total in found
    ]


class TimeWaits(NamedTuple):
    """Connections of a host in TIME_WAIT: to one destination, or into one port."""

    host_id: int
    local_ip: str | None
    local_port: int | None
    remote_ip: str | None
    remote_port: int | None
    total: int


def time_waits_to(scope: Scope, *, least: int) -> list[TimeWaits]:
    """By local address and destination, at least ``least`` each. One query."""
    names = ("local_ip", "local_zone", "remote_ip", "remote_zone", "remote_port")
    return [
        TimeWaits(
            host_id,
            packing.address(local_ip, local_zone),
            None,
            packing.address(remote_ip, remote_zone),
            remote_port,
            total,
        )
        for host_id, local_ip, local_zone, remote_ip, remote_zone, remote_port, total in _waits(
            scope, names, _OUTWARD, least
        )
    ]


def time_waits_into(scope: Scope, *, least: int) -> list[TimeWaits]:
    """By local port, at least ``least`` each. One query."""
    return [
        TimeWaits(host_id, None, local_port, None, None, total)
        for host_id, local_port, total in _waits(scope, ("local_port",), _INWARD, least)
    ]


def _waits(
    scope: Scope, names: tuple[str, ...], ways: tuple[int, ...], least: int
) -> list[tuple[Any, ...]]:
    condition = Statement(
        f"state = %s AND direction IN {_listed(ways)}", (packing.STATE_NUMBERS["TIME_WAIT"],)
    )
    asked = ("host_id", *names)
    inner = sql.sockets(scope, (*asked, "copies"), NOTHING_FILTERED, condition=condition)
    columns = ", ".join(asked)
    summed = Statement(
        f"SELECT {columns}, SUM(copies) AS total FROM ({inner.sql}) AS s GROUP BY {columns}"
        " HAVING SUM(copies) >= %s ORDER BY total DESC, host_id LIMIT %s",
        (*inner.params, least, MOST_GROUPS),
    )
    return [(*row[:-1], int(row[-1])) for row in sql.fetch(scope, summed)]


# --- accept queues --------------------------------------------------------------------------------


class Waited(NamedTuple):
    """One listener's accept queue at one probe."""

    host_id: int
    at: dt.datetime
    protocol: str
    local_ip: str
    local_port: int
    program: str | None
    waiting: int
    most: int | None


def backlogs(
    scope: Scope, now: Sequence[Counted], *, within: dt.timedelta
) -> tuple[list[Waited], bool]:
    """What waited at listeners of the hosts of ``now`` in that time before each one's snapshot,
    the newest first, and whether there was more. One query."""
    if not now:
        return [], False
    source = _windows(scope, [(c.host_id, c.taken_at - within, c.taken_at) for c in now])
    found = sql.fetch(
        scope,
        Statement(
            "SELECT host_id, taken_at, protocol, local_ip, local_port, program, waiting, most"
            f" FROM {source.sql} AS w CROSS JOIN {Backlog._meta.db_table}"
            " WHERE host_id = w_host AND taken_at > w_since AND taken_at <= w_until"
            " ORDER BY taken_at DESC, waiting DESC LIMIT %s",
            (*source.params, MOST_GROUPS + 1),
        ),
    )
    rows = [
        Waited(
            host_id,
            sql.utc(at),
            packing.base(packing.PROTOCOLS[protocol]),
            packing.address(local_ip, None),
            local_port,
            program,
            int(waiting),
            None if most is None else int(most),
        )
        for host_id, at, protocol, local_ip, local_port, program, waiting, most in found
    ]
    return rows[:MOST_GROUPS], len(found) > MOST_GROUPS


def _listed(numbers: Iterable[int]) -> str:
    """Numbers of ours as they stand in a statement."""
    return f"({', '.join(map(str, numbers))})"
