"""What opened, closed and changed between two snapshots of one host.

Place in the data's way: the tab Diff and ``hosts/{id}/diff``. Reads the intervals that hold at one
of the two times only; what stayed is never looked at. Pairing, order and sums are the database's,
so that all of it can be paged and counted however much it is.

An identity that both snapshots have, as often, is no difference, also where it went and came back
in between. What differs is paired by endpoints: the same socket in another state, of another
process, or as often as it was not before, is one that changed. Several sockets on the same
endpoints (a listener of many processes) are paired in the order of program and PID.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from hosts.models import Host
from probes.filters import NOTHING_FILTERED, SocketFilter
from probes.history import packing
from probes.history.queries import listing, sql
from probes.history.queries.listing import Order, address, moment, text
from probes.history.queries.sockets import DIRECTION_NAMES
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, Outcome, Snapshot

Kind = Literal["opened", "closed", "changed"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
What = Literal["listeners", "connections"]
WHATS: Final[tuple[str, ...]] = get_args(What)

_ENDS: Final = (
    "protocol", "local_ip", "local_port", "local_zone", "remote_ip", "remote_port", "remote_zone",
)  # fmt: skip
_SIDE: Final = ("key", "state", "pid", "program", "copies", "first_seen", "last_seen")
"""What is known of a socket at either time."""
_COLUMNS: Final = (
    "id",
    "kind",
    *_ENDS,
    "direction",
    "flags",
    *(f"{column}_{side}" for side in ("before", "after") for column in _SIDE),
    "state",
    "pid",
    "program",
    "seen",
)
ORDERS: Final[dict[str, Order]] = {
    "kind": text("kind"),
    "protocol": Order("protocol"),
    "local_ip": address("local_ip"),
    "local_port": Order("local_port"),
    "foreign_ip": address("remote_ip"),
    "foreign_port": Order("remote_port"),
    "state": Order("state"),
    "pid": Order("pid"),
    "program": text("program"),
    "seen": moment("seen"),
}
"""What ``sort`` may be, with ``-`` before it for the reverse. State, PID and program are those
after, where there are any; ``seen`` is when the newer one was first seen, or the gone one last."""
USUAL_SORT: Final = "-seen"
_TIE: Final = (Order("id"),)


@dataclass(frozen=True, slots=True)
class Side:
    """A socket at one of the two times."""

    state: str | None
    pid: int | None
    program: str | None
    copies: int
    first_seen: dt.datetime
    last_seen: dt.datetime | None
    """None while it is still there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; ``before`` is None of what opened, ``after`` of what closed."""

    kind: Kind
    protocol: str
    local_ip: str
    local_port: int | None
    foreign_ip: str
    foreign_port: int | None
    direction: str
    flags: int
    before: Side | None
    after: Side | None


@dataclass(frozen=True, slots=True)
class Diff:
    """Some of the differences, and how many there are."""

    before: Snapshot
    after: Snapshot
    rows: list[Change]
    next: str | None
    """Cursor of the next page."""
    counts: dict[str, dict[str, int]]
    """{"listeners": {"opened": 1, ...}, "connections": {...}}: of all that pass the filters,
    whatever ``kind``, ``what`` and page were asked for."""

    def total(self, *, what: str | None = None, kind: str | None = None) -> int:
        """Differences of that kind; of all of them where None."""
        return sum(
            number
            for of, kinds in self.counts.items()
            for name, number in kinds.items()
            if what in (None, of) and kind in (None, name)
        )


def no_counts() -> dict[str, dict[str, int]]:
    """The counts of a diff in which nothing differs."""
    return {what: dict.fromkeys(KINDS, 0) for what in WHATS}


def previous(host: Host, snapshot: Snapshot) -> Snapshot | None:
    """The whole snapshot of ``host`` before another; None where it is the first. One query."""
    whole = Snapshot.objects.using(host._state.db).filter(host_id=host.pk, outcome=Outcome.OK)
    return whole.filter(taken_at__lt=snapshot.taken_at).order_by("-taken_at").first()


def times(
    host: Host,
    before: Snapshot,
    after: Snapshot,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    what: str | None = None,
    kind: str | None = None,
    sort: str = "",
    cursor: str | None = None,
    limit: int = 100,
) -> Diff:
    """What leads from ``before`` to ``after``, two whole snapshots of ``host`` in either order.

    ``filters`` choose the differences whose socket passes at one of the times at least; ``what``
    is one of WHATS, ``kind`` of KINDS, ``sort`` of ORDERS. Raises FilterError for ``sort``, and
    for a ``cursor`` that is not of these snapshots, this kind and order. Two queries.
    """
    by = listing.sorted_by(ORDERS, sort, usual=USUAL_SORT)
    scope = sql.of_host(host, None)
    found, following = listing.page(
        scope,
        _chosen(scope, before, after, filters, what, kind),
        _COLUMNS,
        by,
        tie=_TIE,
        kind=f"diff:{host.pk}:{before.pk}:{after.pk}:{what}:{kind}",
        cursor=cursor,
        limit=limit,
    )
    counts = _counts(scope, before, after, filters)
    return Diff(before, after, [_change(values) for values in found], following, counts)


def iter_times(
    host: Host,
    before: Snapshot,
    after: Snapshot,
    *,
    filters: SocketFilter = NOTHING_FILTERED,
    what: str | None = None,
    kind: str | None = None,
    sort: str = "",
) -> Iterator[Change]:
    """All differences that :func:`times` would page through, in its order, streamed.

    ``sort`` is checked at once, before the first row is asked for.
    """
    by = listing.sorted_by(ORDERS, sort, usual=USUAL_SORT)
    scope = sql.of_host(host, None)
    inner = _chosen(scope, before, after, filters, what, kind)
    return map(_change, listing.rows(scope, inner, _COLUMNS, by, tie=_TIE))


def _counts(
    scope: Scope, before: Snapshot, after: Snapshot, filters: SocketFilter
) -> dict[str, dict[str, int]]:
    inner = _differences(scope, before, after, filters)
    listens = f"CASE WHEN direction = {Direction.LISTEN.value} THEN 1 ELSE 0 END"
    summed = Statement(
        f"SELECT {listens}, kind, COUNT(*) FROM ({inner.sql}) AS d GROUP BY {listens}, kind",
        inner.params,
    )
    counts = no_counts()
    for listening, kind, number in sql.fetch(scope, summed):
        counts["listeners" if listening else "connections"][kind] = int(number)
    return counts


def _chosen(
    scope: Scope,
    before: Snapshot,
    after: Snapshot,
    filters: SocketFilter,
    what: str | None,
    kind: str | None,
) -> Statement:
    """The differences of one kind, or of listeners or connections alone."""
    inner = _differences(scope, before, after, filters)
    conditions = []
    params = list(inner.params)
    if what is not None:
        conditions.append(f"direction {'=' if what == 'listeners' else '<>'} %s")
        params.append(Direction.LISTEN.value)
    if kind is not None:
        conditions.append("kind = %s")
        params.append(kind)
    if not conditions:
        return inner
    return Statement(
        f"SELECT * FROM ({inner.sql}) AS d WHERE {' AND '.join(conditions)}", tuple(params)
    )


def _differences(
    scope: Scope, before: Snapshot, after: Snapshot, filters: SocketFilter
) -> Statement:
    """All differences as one SELECT of _COLUMNS; ``id`` is the key of the newer side's socket,
    or of the only one's: a key that is on both sides is in one row."""
    either = _on_one_side(scope, before, after, filters)
    ends = ", ".join(_ENDS)
    collated = ' COLLATE "C"' if scope.is_postgres else ""
    sides = ", ".join(
        f"MAX(CASE WHEN side = {number} THEN {column} END) AS {column}_{name}"
        for number, name in enumerate(("before", "after"))
        for column in _SIDE
    )
    kind = (
        "CASE WHEN key_before IS NULL THEN 'opened' WHEN key_after IS NULL THEN 'closed'"
        " ELSE 'changed' END"
    )
    newer = {
        column: f"CASE WHEN key_after IS NULL THEN {column}_before ELSE {column}_after END"
        for column in ("state", "pid", "program")
    }
    computed = {
        "id": "COALESCE(key_after, key_before)",
        "kind": kind,
        "seen": "COALESCE(first_seen_after, last_seen_before, first_seen_before)",
        **newer,
    }
    listed = ", ".join(
        f"{computed[column]} AS {column}" if column in computed else column for column in _COLUMNS
    )
    return Statement(
        f"SELECT {listed} FROM (SELECT {ends}, MAX(direction) AS direction, MAX(flags) AS flags,"
        f" {sides} FROM ("
        # A key on both sides, as often or not, is paired with itself.
        "SELECT one.*, CASE WHEN sides = 2 THEN key END AS own, ROW_NUMBER() OVER (PARTITION BY"
        f" side, {ends}, CASE WHEN sides = 2 THEN key END"
        f" ORDER BY program IS NULL, program{collated}, pid IS NULL, pid, key) AS place FROM ("
        "SELECT e.*, COUNT(*) OVER (PARTITION BY key) AS sides,"
        " MIN(copies) OVER (PARTITION BY key) AS least, MAX(copies) OVER (PARTITION BY key) AS most"
        f" FROM ({either.sql}) AS e) AS one WHERE sides = 1 OR least <> most) AS placed"
        f" GROUP BY {ends}, own, place HAVING MAX(passes) = 1) AS paired",
        either.params,
    )


def _on_one_side(
    scope: Scope, before: Snapshot, after: Snapshot, filters: SocketFilter
) -> Statement:
    """The intervals that hold at one of the times only, each with its side and whether it passes
    the filters."""
    (host_id,) = scope.host_ids
    if before.taken_at <= after.taken_at:
        early, late, gone, came = before.taken_at, after.taken_at, 0, 1
    else:
        early, late, gone, came = after.taken_at, before.taken_at, 1, 0
    start, end = sql.time(scope, early), sql.time(scope, late)
    wanted = sql.where(scope, filters)
    columns = (*_ENDS, "direction", "flags", *(name for name in _SIDE if name != "last_seen"))
    stored = ", ".join(columns)
    passes = f"CASE WHEN {wanted.sql} THEN 1 ELSE 0 END AS passes"
    still = "CAST(NULL AS timestamp with time zone)" if scope.is_postgres else "NULL"
    return Statement(
        f"SELECT {gone} AS side, {stored}, last_seen, {passes} FROM {sql.CLOSED}"
        " WHERE host_id = %s AND first_seen <= %s AND last_seen >= %s AND last_seen < %s"
        f" UNION ALL SELECT {came}, {stored}, {still}, {passes} FROM {sql.OPEN}"
        " WHERE host_id = %s AND first_seen > %s AND first_seen <= %s"
        f" UNION ALL SELECT {came}, {stored}, last_seen, {passes} FROM {sql.CLOSED}"
        " WHERE host_id = %s AND first_seen > %s AND first_seen <= %s AND last_seen >= %s",
        (
            *(*wanted.params, host_id, start, start, end),
            *(*wanted.params, host_id, start, end),
            *(*wanted.params, host_id, start, end, end),
        ),
    )


def _change(values: tuple[Any, ...]) -> Change:
    row = dict(zip(_COLUMNS, values, strict=True))
    return Change(
        kind=row["kind"],
        protocol=packing.PROTOCOLS[row["protocol"]],
        local_ip=packing.address(row["local_ip"], row["local_zone"]),
        local_port=row["local_port"],
        foreign_ip=packing.address(row["remote_ip"], row["remote_zone"]),
        foreign_port=row["remote_port"],
        direction=DIRECTION_NAMES[row["direction"]],
        flags=row["flags"],
        before=_side(row, "before"),
        after=_side(row, "after"),
    )


def _side(row: dict[str, Any], name: str) -> Side | None:
    if row[f"key_{name}"] is None:
        return None
    state, last_seen = row[f"state_{name}"], row[f"last_seen_{name}"]
    return Side(
        state=None if state is None else packing.STATES[state],
        pid=row[f"pid_{name}"],
        program=row[f"program_{name}"],
        copies=row[f"copies_{name}"],
        first_seen=sql.utc(row[f"first_seen_{name}"]),
        last_seen=None if last_seen is None else sql.utc(last_seen),
    )
