"""The sockets of one host at a snapshot: filtered, sorted, a page at a time or streamed.

Place in the data's way: what ``host`` pages, ``hosts/{id}/connections`` and its CSV show. Paging
is pinned to the snapshot of the first page, so the pages together are exactly that snapshot
however many probes are stored meanwhile. Sorted by a queue it is not: only the newest snapshot
has queues, so the next page is of whatever is newest then.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from hosts.models import Host
from probes.filters import NOTHING_FILTERED, FilterError, SocketFilter
from probes.history import packing
from probes.history.queries import sql
from probes.history.queries.pages import Page, bad_cursor, gone_cursor, open_cursor, seal
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, Outcome, Schedule, Snapshot

COLUMNS: Final = (
    "protocol",
    "recv_queue",
    "send_queue",
    "local_ip",
    "local_port",
    "remote_ip",
    "remote_port",
    "state",
    "pid",
    "program",
    "direction",
    "flags",
    "copies",
    "first_seen",
    "last_seen",
    "key",
    "host_id",
    "local_zone",
    "remote_zone",
)
DIRECTION_NAMES: Final = {way.value: way.name.lower() for way in Direction}


@dataclass(frozen=True, slots=True)
class SocketRow:
    """One socket as it stood in a snapshot. Unknown is None."""

    protocol: str
    recv_queue: int | None
    """Bytes, summed over ``copies``; known in the newest snapshot only."""
    send_queue: int | None
    local_ip: str
    """Canonical text with its zone; as far as it was printed where ``flags`` say truncated."""
    local_port: int | None
    foreign_ip: str
    foreign_port: int | None
    state: str | None
    pid: int | None
    program: str | None
    direction: str
    """in, out, listen or local."""
    flags: int
    """Bits of probes.parsers.records.Flag."""
    copies: int
    """How many rows of the tool's table were this one."""
    first_seen: dt.datetime
    last_seen: dt.datetime | None
    """None while it is still there."""
    key: int
    """64-bit hash of the identity, unique in a snapshot."""
    host_id: int


class _Order(NamedTuple):
    """A column to sort by, and how its values travel in a cursor."""

    column: str
    encode: Callable[[Any], Any] = lambda value: value
    decode: Callable[[Any], Any] = lambda value: value
    is_text: bool = False
    is_time: bool = False
    pinned: bool = True


def _address(column: str) -> _Order:
    return _Order(column, lambda packed: bytes(packed).hex(), bytes.fromhex)


_ORDERS: Final[dict[str, _Order]] = {
    "protocol": _Order("protocol"),
    "recv_queue": _Order("recv_queue", pinned=False),
    "send_queue": _Order("send_queue", pinned=False),
    "local_ip": _address("local_ip"),
    "local_port": _Order("local_port"),
    "foreign_ip": _address("remote_ip"),
    "foreign_port": _Order("remote_port"),
    "state": _Order("state"),
    "pid": _Order("pid"),
    "program": _Order("program", is_text=True),
    "direction": _Order("direction"),
    "copies": _Order("copies"),
    "first_seen": _Order(
        "first_seen",
        lambda when: sql.utc(when).isoformat(),
        dt.datetime.fromisoformat,
        is_time=True,
    ),
}
SORTS: Final = tuple(name for plain in _ORDERS for name in (plain, f"-{plain}"))
"""What ``sort`` may be. Unknown values come last either way; ties are in the order of ``key``.
Addresses sort by their bytes, IPv4 among IPv6 at ``::ffff:0:0``; programs by their code points;
states in the order of ``records.TCP_STATES``."""
DEFAULT_SORT: Final = "local_port"


def snapshot_at(host: Host, when: dt.datetime | None) -> Snapshot | None:
    """The newest whole snapshot of ``host`` at or before ``when`` (None: of all)."""
    if when is None:
        newest = Schedule.objects.using(host._state.db).filter(pk=host.pk)
        schedule = newest.select_related("latest_whole").first()
        return None if schedule is None else schedule.latest_whole
    return _whole(host).filter(taken_at__lte=when).order_by("-taken_at").first()


def connections(
    host: Host,
    *,
    snapshot: Snapshot | None,
    filters: SocketFilter = NOTHING_FILTERED,
    sort: str = "",
    cursor: str | None = None,
    limit: int = 100,
) -> Page[SocketRow]:
    """One page of the sockets of ``host`` at ``snapshot`` (a whole one of its; None: the newest).

    ``sort`` is one of SORTS. Raises FilterError for ``sort``, and for a ``cursor`` that is not of
    this host, snapshot and order. Three queries, two where ``snapshot`` is given.
    """
    order, descending = _order(sort)
    kind = f"sockets:{host.pk}:{sort or DEFAULT_SORT}"
    after = None
    if cursor is not None:
        pinned, value, key = open_cursor(kind, cursor, parts=3)
        after = (None if value is None else order.decode(value), key)
        snapshot = _pinned(host, snapshot, pinned)
    if snapshot is None:
        snapshot = snapshot_at(host, None)
    if snapshot is None:
        return Page((), total=0, sockets=0)
    scope = sql.of_host(host, snapshot)
    listed = _listing(scope, filters, order, descending, after=after, limit=limit + 1)
    found = sql.fetch(scope, listed)
    following = None
    if len(found) > limit:
        found = found[:limit]
        last = dict(zip(COLUMNS, found[-1], strict=True))
        edge = last[order.column]
        following = seal(
            kind,
            snapshot.pk if order.pinned else None,
            None if edge is None else order.encode(edge),
            last["key"],
        )
    total, printed = count(scope, filters)
    return Page([socket_row(values) for values in found], following, total, printed, snapshot)


def iter_connections(
    host: Host,
    *,
    snapshot: Snapshot | None,
    filters: SocketFilter = NOTHING_FILTERED,
    sort: str = "",
) -> Iterator[SocketRow]:
    """All rows that :func:`connections` would page through, in its order, streamed.

    ``sort`` is checked at once, before the first row is asked for.
    """
    order, descending = _order(sort)
    return _iterate(host, snapshot, filters, order, descending)


def oldest(scope: Scope, filters: SocketFilter, *, limit: int) -> list[SocketRow]:
    """The ``limit`` sockets of any scope that have been as they are longest. One query."""
    inner = sql.sockets(scope, COLUMNS, filters)
    listed = Statement(
        f"SELECT {', '.join(COLUMNS)} FROM ({inner.sql}) AS s"
        " ORDER BY first_seen, host_id, key LIMIT %s",
        (*inner.params, limit),
    )
    return [socket_row(values) for values in sql.fetch(scope, listed)]


def count(scope: Scope, filters: SocketFilter) -> tuple[int, int]:
    """Rows that pass the filters, and how often netstat printed them."""
    inner = sql.sockets(scope, ["copies"], filters)
    ((rows, printed),) = sql.fetch(
        scope,
        Statement(
            f"SELECT COUNT(*), COALESCE(SUM(copies), 0) FROM ({inner.sql}) AS s", inner.params
        ),
    )
    return int(rows), int(printed)


def _iterate(
    host: Host,
    snapshot: Snapshot | None,
    filters: SocketFilter,
    order: _Order,
    descending: bool,
) -> Iterator[SocketRow]:
    snapshot = snapshot or snapshot_at(host, None)
    if snapshot is None:
        return
    scope = sql.of_host(host, snapshot)
    listed = _listing(scope, filters, order, descending, after=None, limit=None)
    for values in sql.stream(scope, listed):
        yield socket_row(values)


def _listing(
    scope: Scope,
    filters: SocketFilter,
    order: _Order,
    descending: bool,
    *,
    after: tuple[Any, int] | None,
    limit: int | None,
) -> Statement:
    inner = sql.sockets(scope, COLUMNS, filters)
    column = order.column
    if order.is_text:
        # The same order on both databases, whatever locale PostgreSQL was set up with.
        column = f"{column} COLLATE {chr(34)}C{chr(34)}" if scope.is_postgres else column
    parts = [f"SELECT {', '.join(COLUMNS)} FROM ({inner.sql}) AS s"]
    params = list(inner.params)
    if after is not None:
        edge, key = after
        if edge is None:
            parts.append(f"WHERE {column} IS NULL AND key > %s")
            params.append(key)
        else:
            edge = sql.time(scope, edge) if order.is_time else edge
            beyond = "<" if descending else ">"
            parts.append(
                f"WHERE ({column} {beyond} %s OR {column} IS NULL OR ({column} = %s AND key > %s))"
            )
            params += [edge, edge, key]
    way = "DESC" if descending else "ASC"
    parts.append(f"ORDER BY {column} IS NULL, {column} {way}, key")
    if limit is not None:
        parts.append("LIMIT %s")
        params.append(limit)
    return Statement(" ".join(parts), tuple(params))


def _order(sort: str) -> tuple[_Order, bool]:
    name = sort or DEFAULT_SORT
    if name not in SORTS:
        words = ", ".join(_ORDERS)
        raise FilterError(
            "sort",
            format_lazy(_("Give one of: {words}; with - before it for the reverse."), words=words),
        )
    return _ORDERS[name.removeprefix("-")], name.startswith("-")


def _pinned(host: Host, given: Snapshot | None, pinned: int | None) -> Snapshot | None:
    if pinned is None:
        return given
    if given is not None:
        if given.pk != pinned:
            raise bad_cursor()
        return given
    snapshot = _whole(host).filter(pk=pinned).first()
    if snapshot is None:
        raise gone_cursor()
    return snapshot


def _whole(host: Host) -> QuerySet[Snapshot]:
    return Snapshot.objects.using(host._state.db).filter(host_id=host.pk, outcome=Outcome.OK)


def socket_row(values: tuple[Any, ...]) -> SocketRow:
    """A row of COLUMNS, in their order, as the database gave it."""
    (protocol, recv_queue, send_queue, local_ip, local_port, remote_ip, remote_port, state, pid,
     program, direction, flags, copies, first_seen, last_seen, key, host_id, local_zone,
     remote_zone) = values  # fmt: skip
    return SocketRow(
        packing.PROTOCOLS[protocol],
        recv_queue,
        send_queue,
        packing.address(local_ip, local_zone),
        local_port,
        packing.address(remote_ip, remote_zone),
        remote_port,
        None if state is None else packing.STATES[state],
        pid,
        program,
        DIRECTION_NAMES[direction],
        flags,
        copies,
        sql.utc(first_seen),
        None if last_seen is None else sql.utc(last_seen),
        key,
        host_id,
    )
