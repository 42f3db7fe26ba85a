"""The exposure ledger: every listener of many hosts, what it is bound to, since when, who connects.

Place in the data's way: fetches for ``probes.analysis.exposure``, whose rules it applies; what
``exposure`` pages and routes show. :func:`find` reads the listeners and sums their connections;
:func:`detailed` adds what only the rows of a page need. Hosts are given as a queryset that already
says what may be seen.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db.models import QuerySet

from hosts.models import Host
from probes import filters as asked
from probes.analysis import exposure as rules
from probes.analysis.exposure import Bound, Stack
from probes.filters import NOTHING_FILTERED
from probes.history import packing
from probes.history.queries import exposure_clients as clients
from probes.history.queries import exposure_spans as spans
from probes.history.queries import moments, sql
from probes.history.queries.exposure_rows import (
    Exposed,
    ExposureFilter,
    Found,
    Holder,
    Key,
    Listener,
    Peer,
    order,
    passes,
)
from probes.history.queries.sql import Scope, Statement
from probes.models import Reach
from probes.parsers.records import Flag

__all__ = [
    "Exposed",
    "ExposureFilter",
    "Found",
    "Holder",
    "Listener",
    "Peer",
    "Tried",
    "detailed",
    "every_detailed",
    "find",
    "order",
]

MOST_CHANGED: Final = 5_000
"""Listeners that came or went since a time and are looked at, the newest first."""
TOP_PEERS: Final = 5
AT_A_TIME: Final = 200
"""Listeners that are detailed at once where all are wanted."""

_COLUMNS: Final = ("host_id", "protocol", "local_ip", "local_zone", "local_port", "pid", "program",
                   "flags", "first_seen", "copies")  # fmt: skip


def find(hosts: QuerySet[Host], filters: ExposureFilter, *, at: dt.datetime | None = None) -> Found:
    """The listeners of ``hosts`` now, or at ``at``, that pass ``filters``.

    Three queries; six with ``since``, where only what changed since then is read; one more with
    ``reach``.
    """
    by_id = {host.pk: host for host in hosts}
    if not by_id:
        return Found(None, [], {})
    ids = tuple(by_id)
    then = None if at is None else moments.moments(hosts.db, ids, at)
    scope = Scope(hosts.db, ids, moments=then)
    new_hosts, counted = 0, True
    if filters.show == "gone":
        since = filters.since or (at or dt.datetime.now(tz=dt.UTC)) - dt.timedelta(days=1)
        rows, counted = _gone(scope, by_id, since, filters)
    elif filters.since is not None:
        rows, new_hosts, counted = _new(scope, by_id, filters.since, filters)
    else:
        rows = _listeners(scope, by_id, _on(filters.port))
    rows = [row for row in rows if passes(row, filters)]
    if filters.reach is not None:
        tried = Tried(scope, {row.host.pk for row in rows}, until=at)
        rows = [row for row in rows if _reach_word(tried.of(row)) == filters.reach]
    by_bound: dict[Bound, int] = defaultdict(int)
    for row in rows:
        by_bound[row.bound] += 1
    if filters.bound is not None:
        bounds = set(filters.bound.split(","))
        rows = [row for row in rows if row.bound in bounds]
    return Found(scope, rows, dict(by_bound), new_hosts, counted)


def detailed(
    found: Found, rows: Sequence[Listener], *, at: dt.datetime | None = None
) -> list[Exposed]:
    """``rows`` of ``found`` with since when they are there, who connects, and whether they were
    reached from here. At most six queries."""
    if found.scope is None or not rows:
        return []
    scope = clients.only(found.scope, {row.host.pk for row in rows})
    rows = _with_since(scope, rows)
    first = spans.first_whole(scope)
    peers, counted = clients.peers_of(scope, [row for row in rows if row.connections])
    tried = Tried(scope, set(scope.host_ids), until=at)
    exposed = []
    for row in rows:
        of_row = peers.get(row.key, [])
        began = row.since or row.first_seen
        oldest = first.get(row.host.pk)
        exposed.append(
            Exposed(
                listener=row,
                since=began,
                from_the_first=not row.counted or (oldest is not None and began <= oldest),
                remote_ips=None if row.connections is None else len(of_row),
                external_ips=sum(peer.external for peer in of_row),
                peers=tuple(of_row[:TOP_PEERS]),
                peers_counted=counted,
                reach=tried.of(row),
            )
        )
    return exposed


def every_detailed(
    found: Found, filters: ExposureFilter, *, at: dt.datetime | None = None
) -> Iterator[Exposed]:
    """All rows of ``found`` in the order asked for, detailed some at a time."""
    rows = sorted(found.rows, key=order(filters))
    for begin in range(0, len(rows), AT_A_TIME):
        yield from detailed(found, rows[begin : begin + AT_A_TIME], at=at)


class Tried:
    """Results of connect-back of some hosts. One query."""

    def __init__(self, scope: Scope, host_ids: set[int], *, until: dt.datetime | None) -> None:
        """``until``: only attempts made by then."""
        stored = Reach.objects.using(scope.using).filter(host_id__in=host_ids)
        if until is not None:
            stored = stored.filter(checked_at__lte=until)
        self._by_port: dict[tuple[int, int], list[Reach]] = defaultdict(list)
        for reach in stored.order_by("-checked_at", "address"):
            self._by_port[reach.host_id, reach.port].append(reach)

    @classmethod
    def of_host(cls, host: Host) -> Tried:
        """Of one host, now."""
        return cls(sql.of_host(host, None), {host.pk}, until=None)

    def of(self, row: Listener) -> Reach | None:
        """The newest attempt at a listener; None where there was none."""
        stack = None if row.families is None else row.families.stack
        return self.at(row.host.pk, row.protocol, row.local_ip, row.local_port, stack=stack)

    def at(
        self, host_id: int, protocol: str, ip: str, port: int | None, *, stack: Stack | None = None
    ) -> Reach | None:
        """The same, of a listener on ``ip``: one on every address was tried on whichever address
        the host's name had, of a family it takes (``stack``, where that is known)."""
        if port is None or not protocol.startswith("tcp"):
            return None
        for reach in self._by_port.get((host_id, port), ()):
            is_v6 = ":" in reach.address
            fits = reach.address == ip
            if ip == "0.0.0.0" or stack is Stack.IPV4:
                fits = not is_v6
            elif ip.partition("%")[0] == "::":
                fits = is_v6 or stack is not Stack.IPV6
            if fits:
                return reach
        return None


def _reach_word(reach: Reach | None) -> str:
    return "untried" if reach is None else reach.result


# --- listeners ------------------------------------------------------------------------------------


def _listeners(
    scope: Scope,
    by_id: dict[int, Host],
    on: Statement,
    places: Collection[tuple[int, int]] | None = None,
) -> list[Listener]:
    """All listeners of the scope that meet a condition on their port (of those, the ones on these
    hosts and ports), with the connections into each. Two queries."""
    inner = sql.sockets(
        scope, _COLUMNS, NOTHING_FILTERED, condition=clients.both(clients.LISTENING, on)
    )
    holders: dict[Key, list[tuple[Any, ...]]] = defaultdict(list)
    for values in sql.fetch(scope, inner):
        host_id, protocol, local_ip, zone, port = values[:5]
        if places is None or (host_id, port) in places:
            holders[host_id, protocol, bytes(local_ip), zone, port].append(values[5:])
    arrived = clients.arrived(scope, {key[4] for key in holders if key[4]})
    beside: dict[tuple[int, str, int | None], list[Key]] = defaultdict(list)
    for key in holders:
        beside[clients.place(key)].append(key)
    return [
        _listener(
            key,
            by_id[key[0]],
            rows,
            arrived.get(clients.place(key), []),
            beside[clients.place(key)],
        )
        for key, rows in holders.items()
    ]


def _listener(
    key: Key, host: Host, rows: list[tuple[Any, ...]], into: list[clients.Sum], siblings: list[Key]
) -> Listener:
    _host_id, number, local_ip, zone, port = key
    flags = 0
    for row in rows:
        flags |= row[2]
    text = packing.address(local_ip, zone)
    kind = rules.bound(text, flags)
    taken = [one for one in into if clients.takes(key, siblings, one)]
    return Listener(
        key=key,
        host=host,
        protocol=packing.PROTOCOLS[number],
        local_ip=text,
        local_port=port,
        cut=bool(flags & Flag.LOCAL_TRUNCATED),
        bound=kind,
        families=rules.families(
            text,
            star=bool(flags & Flag.LOCAL_STAR),
            ipv4_beside=any(other[2] == clients.ANY_V4 for other in siblings),
            ipv4_connections=any(clients.is_ipv4(one.local_ip) for one in taken),
        ),
        holders=tuple(
            Holder(pid, program, sql.utc(first_seen), copies)
            for pid, program, _flags, first_seen, copies in sorted(
                rows, key=lambda row: (row[0] is None, row[0] or 0, row[1] or "")
            )
        ),
        connections=None if kind is Bound.UNKNOWN else sum(one.connections for one in taken),
        external=sum(one.external for one in taken),
    )


# --- came and went since --------------------------------------------------------------------------


def _new(
    scope: Scope, by_id: dict[int, Host], since: dt.datetime, filters: ExposureFilter
) -> tuple[list[Listener], int, bool]:
    """Listeners whose chain began after ``since``, the hosts that are new as a whole, and whether
    all were looked at."""
    came = Statement("first_seen > %s", (sql.time(scope, since),))
    inner = sql.sockets(
        scope,
        ("host_id", "local_port", "first_seen"),
        NOTHING_FILTERED,
        condition=clients.both(clients.LISTENING, came, _on(filters.port)),
    )
    newest = Statement(
        f"SELECT host_id, local_port FROM ({inner.sql}) AS s ORDER BY first_seen DESC LIMIT %s",
        (*inner.params, MOST_CHANGED + 1),
    )
    candidates = sql.fetch(scope, newest)
    counted = len(candidates) <= MOST_CHANGED
    places = {(host_id, port) for host_id, port in candidates[:MOST_CHANGED] if port is not None}
    if not places:
        return [], 0, counted
    narrow = clients.only(scope, {host_id for host_id, _port in places})
    whole = spans.whole(narrow, since)
    new_hosts = {host_id for host_id, (first, _before) in whole.items() if first > since}
    places = {place for place in places if place[0] not in new_hosts}
    if not places:
        return [], len(new_hosts), counted
    narrow = clients.only(narrow, {host_id for host_id, _port in places})
    listed = _listeners(narrow, by_id, _on_places(narrow, places), places)
    rows = [row for row in listed if row.first_seen > since]
    back_to = {host_id: before for host_id, (_first, before) in whole.items() if before}
    rows = _with_since(narrow, rows, back_to=back_to)
    rows = [row for row in rows if row.since and row.since > since]
    return rows, len(new_hosts), counted


def _gone(
    scope: Scope, by_id: dict[int, Host], since: dt.datetime, filters: ExposureFilter
) -> tuple[list[Listener], bool]:
    """Listeners last seen since then that are not there any more, and whether all were read."""
    closed = spans.closed_since(scope, since, _on(filters.port), limit=MOST_CHANGED + 1)
    counted = len(closed) <= MOST_CHANGED
    newest: dict[Key, list[tuple[Any, ...]]] = defaultdict(list)
    for row in closed[:MOST_CHANGED]:
        host_id, protocol, local_ip, zone, port = row[:5]
        rows = newest[host_id, protocol, bytes(local_ip), zone, port]
        if not rows or rows[0][5] == row[10]:
            rows.append((*row[5:10], row[10]))
    if not newest:
        return [], counted
    narrow = clients.only(scope, {key[0] for key in newest})
    places = {(key[0], key[4]) for key in newest if key[4] is not None}
    on = _on_places(narrow, places)
    there = {row.key for row in _listeners(narrow, by_id, on, places)} if places else set()
    return [
        replace(
            _listener(key, by_id[key[0]], [row[:5] for row in rows], [], []),
            last_seen=sql.utc(rows[0][5]),
            families=None,
        )
        for key, rows in newest.items()
        if key not in there
    ], counted


def _with_since(
    scope: Scope, rows: Sequence[Listener], *, back_to: Mapping[int, dt.datetime] | None = None
) -> list[Listener]:
    """Rows with the start of their chains, where it is not known yet; ``back_to`` as in
    ``spans.chains``. Two queries at most."""
    unknown = [row for row in rows if row.since is None]
    began = spans.chains(
        scope,
        {
            row.key: [rules.Span(holder.first_seen, row.last_seen) for holder in row.holders]
            for row in unknown
        },
        back_to=back_to,
    )
    return [
        replace(row, since=began[row.key].since, counted=began[row.key].counted)
        if row.key in began
        else row
        for row in rows
    ]


# --- small pieces ---------------------------------------------------------------------------------


def _on(ports: str | None) -> Statement:
    if not ports:
        return sql.ANY_ROW
    ranges = asked.port_ranges(ports)
    either = " OR ".join(["local_port BETWEEN %s AND %s"] * len(ranges))
    return Statement(f"({either})", tuple(port for pair in ranges for port in pair))


def _on_places(scope: Scope, places: Collection[tuple[int, int]]) -> Statement:
    """The ports of these places: which host has which is told apart afterwards."""
    return sql.among_ports(scope, "local_port", sorted({port for _host, port in places}))
