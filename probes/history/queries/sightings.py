"""Who ever talked to an address, held a port or ran a program: over the fleet and all history.

Place in the data's way: what the page of hunts, the search, ``connections/search`` and the hunts
that run by themselves ask. Two views of one question (:class:`Sought`): :func:`summary`, a row an
indicator and host, and :func:`rows`, the intervals themselves. The hosts are given as a QuerySet
that already says what may be seen; removed hosts belong to it where their history is asked for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db.models import F, QuerySet

from hosts.models import Host
from probes.history import packing
from probes.history.queries import sockets, sql
from probes.history.queries import sought as looking
from probes.history.queries.pages import Page, open_cursor, seal
from probes.history.queries.sockets import DIRECTION_NAMES, SocketRow
from probes.history.queries.sought import Sought, Things
from probes.history.queries.sql import ANY_ROW, CLOSED, OPEN, SERVICE_PORT, Scope, Statement
from probes.indicators import Indicator
from probes.models import Direction

COUNTED: Final = 200_000
"""Intervals that one question counts, over all of its indicators."""

LISTED: Final = 20
"""Ports, states and programs that a Sighting names of each, the commonest ones."""

_SUMMED: Final = ("host_id", "direction", f"{SERVICE_PORT} AS service", "state", "program",
                  "first_seen")  # fmt: skip
_NO_TIME: Final = "CAST(NULL AS timestamp with time zone) AS last_seen"
_NO_QUEUE: Final = "CAST(NULL AS bigint) AS {name}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An indicator on a host: when, and what it was seen doing. Lists have the commonest first."""

    indicator: Indicator
    host: Host
    first_seen: dt.datetime
    last_seen: dt.datetime | None
    """None while some of it is still there, as of the host's newest whole snapshot."""
    intervals: int
    """Connections and listeners, a change of state or process beginning a new one."""
    still_there: int
    """Those of them that are open. None of a removed host is."""
    states: tuple[str, ...]
    directions: tuple[str, ...]
    local_ports: tuple[int, ...]
    """Of what came in or was listened on; the ports that a host dialled from are left out."""
    remote_ports: tuple[int, ...]
    """Of what the host opened itself."""
    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Who saw what."""

    sightings: list[Sighting]
    """What is still there first, then the newest last seen."""
    capped: tuple[Indicator, ...]
    """Those of which only the newest were counted, so that older hosts may be missing: all of them
    together have more than one question counts."""
    more_programs: bool
    """Whether a part of a name means more programs than were looked for."""


@dataclass(frozen=True, slots=True)
class SeenRow:
    """One interval, and the indicators that it fits."""

    indicators: tuple[Indicator, ...]
    host: Host
    socket: SocketRow

    @property
    def indicator_texts(self) -> str:
        """Their texts, which are read as a list again."""
        return ", ".join(each.text for each in self.indicators)


def summary(hosts: QuerySet[Host], sought: Sought, *, most: int = COUNTED) -> Summary:
    """Every host that ever saw an indicator, with the first and last time.

    All is counted where that is at most ``most`` intervals. Else each address, network, port and
    name of a program gets an equal share of it, once of what is open and once of the newest that
    is closed. Three queries, one more where there is too much, one where hosts were removed, and
    two where programs are sought.
    """
    fleet = fleet_of(hosts, sought, with_hosts=False)
    if fleet is None or not sought.indicators:
        return Summary([], (), False)
    found = looking.things(fleet.scope, sought.indicators)
    if not found.rows:
        return Summary([], (), found.more_names)
    groups = _groups(fleet, sought, found, most=most + 1)
    capped: dict[Indicator, None] = {}
    if sum(group[-2] for group in groups) > most:
        share = max(1, most // len(found.owners))
        groups = _groups(fleet, sought, found, each=share)
        capped = _capped(found, groups, share)
    sums: dict[tuple[Indicator, int], _Sum] = {}
    for number, host_id, *rest in groups:
        for indicator in found.owners[number]:
            sums.setdefault((indicator, host_id), _Sum()).add(rest)
    seen_on = hosts.in_bulk({host_id for _indicator, host_id in sums})
    sightings = [
        total.sighting(indicator, seen_on[host_id], fleet.gone.get(host_id))
        for (indicator, host_id), total in sums.items()
        if host_id in seen_on
    ]
    return Summary(_in_order(sightings), tuple(capped), found.more_names)


def _groups(
    fleet: Fleet, sought: Sought, found: Things, *, most: int | None = None, each: int | None = None
) -> list[tuple[Any, ...]]:
    """What is found, summed for each thing, host, direction, port, state and program: ``most``
    intervals, whichever come first, or the newest ``each`` of each thing. One query."""
    every = looking.union(
        [
            *looking.branches(
                fleet.open_scope, sought, found, table=OPEN,
                columns=(*_SUMMED, _NO_TIME), limit=each,
            ),
            *looking.branches(
                fleet.scope, sought, found, table=CLOSED,
                columns=(*_SUMMED, "last_seen"), order="last_seen DESC", limit=each,
            ),
        ]
    )  # fmt: skip
    last = "" if most is None else f" LIMIT {most}"
    first_seen = sql.quick_time(fleet.scope, "MIN(first_seen)")
    last_seen = sql.quick_time(fleet.scope, "MAX(last_seen)")
    return sql.fetch(
        fleet.scope,
        Statement(
            "SELECT number, host_id, direction, service, state, program,"
            f" {first_seen}, {last_seen}, COUNT(*), COUNT(last_seen)"
            f" FROM (SELECT * FROM ({every.sql}) AS u{last}) AS s"
            " GROUP BY number, host_id, direction, service, state, program",
            every.params,
        ),
    )


def _capped(found: Things, groups: list[tuple[Any, ...]], share: int) -> dict[Indicator, None]:
    """The indicators of the things that used up their share."""
    counted: Counter[tuple[int, bool]] = Counter()
    for number, *_rest, every, closed in groups:
        counted[number, False] += every - closed
        counted[number, True] += closed
    full = sorted({number for (number, _closed), many in counted.items() if many >= share})
    return {indicator: None for number in full for indicator in found.owners[number]}


def rows(
    hosts: QuerySet[Host], sought: Sought, *, cursor: str | None = None, limit: int = 100
) -> Page[SeenRow]:
    """The intervals: those still there by first seen, then the others by last seen, newest first.

    Each interval is one row, however many indicators it fits. Raises FilterError for a cursor of
    another question. Three queries, five where programs are sought.
    """
    kind = f"sightings:{fingerprint(sought)}"
    after = None
    if cursor is not None:
        is_open, when, host_id, key = open_cursor(kind, cursor, parts=4)
        after = _After(bool(is_open), dt.datetime.fromisoformat(when), host_id, key)
    fleet = fleet_of(hosts, sought)
    if fleet is None or not sought.indicators:
        return Page(())
    found = looking.things(fleet.scope, sought.indicators)
    if not found.rows:
        return Page(())
    listed: list[tuple[bool, tuple[Any, ...]]] = []
    for is_open in (True, False):
        wanted = limit + 1 - len(listed)
        if wanted and not (is_open and after is not None and not after.is_open):
            edge = after if after is not None and after.is_open == is_open else None
            statement = _listing(fleet, sought, found, is_open=is_open, after=edge, limit=wanted)
            listed += [(is_open, values) for values in sql.fetch(fleet.scope, statement)]
    following = None
    if len(listed) > limit:
        listed = listed[:limit]
        is_open, values = listed[-1]
        row = dict(zip(("numbers", *sockets.COLUMNS), values, strict=True))
        when = sql.utc(row["first_seen" if is_open else "last_seen"]).isoformat()
        following = seal(kind, is_open, when, row["host_id"], row["key"])
    return Page([fleet.row(found, values) for _is_open, values in listed], following)


def iter_rows(hosts: QuerySet[Host], sought: Sought) -> Iterator[SeenRow]:
    """All rows that :func:`rows` would page through, in its order, streamed."""
    fleet = fleet_of(hosts, sought)
    if fleet is None or not sought.indicators:
        return
    found = looking.things(fleet.scope, sought.indicators)
    if not found.rows:
        return
    for is_open in (True, False):
        statement = _listing(fleet, sought, found, is_open=is_open, after=None, limit=None)
        for values in sql.stream(fleet.scope, statement):
            yield fleet.row(found, values)


# --- whose history --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fleet:
    """The hosts, and which of them have anything open in the time asked for."""

    scope: Scope
    open_scope: Scope
    hosts: Mapping[int, Host]
    gone: dict[int, dt.datetime]
    """Of removed hosts: when they were probed last, which is when what is open was last seen."""

    def row(self, found: Things, values: tuple[Any, ...]) -> SeenRow:
        """A row as it came from the database, behind the numbers of its things: one or more with
        commas between."""
        numbers, *columns = values
        socket = sockets.socket_row(tuple(columns))
        if socket.last_seen is None and socket.host_id in self.gone:
            socket = replace(socket, last_seen=self.gone[socket.host_id])
        owners = (found.owners[number] for number in sorted(map(int, str(numbers).split(","))))
        fits = tuple(dict.fromkeys(each for every in owners for each in every))
        return SeenRow(fits, self.hosts[socket.host_id], socket)


def fleet_of(hosts: QuerySet[Host], sought: Sought, *, with_hosts: bool = True) -> Fleet | None:
    """Whose history is asked for; None where no host is left. One query.

    Without ``with_hosts`` the hosts themselves are left out: of a thousand, a few are found. One
    query more then where some are removed.
    """
    newest = F("schedule__latest_whole__taken_at")
    loaded: dict[int, Host] = {}
    if with_hosts:
        annotated = {host.pk: host for host in hosts.order_by().annotate(newest_whole=newest)}
        ids = tuple(annotated)
        known = [(pk, host.removed_at, host.newest_whole) for pk, host in annotated.items()]
        loaded.update(annotated)
    else:
        removed = dict(hosts.order_by().values_list("pk", "removed_at"))
        ids = tuple(removed)
        known = []
        if any(removed.values()):
            of = hosts.order_by().filter(removed_at__isnull=False)
            known = list(of.values_list("pk", "removed_at", newest))
    if not ids:
        return None
    gone = {pk: whole_at or removed_at for pk, removed_at, whole_at in known if removed_at}
    since = sought.since
    still = tuple(pk for pk in ids if pk not in gone or since is None or gone[pk] >= since)
    using = hosts.db
    return Fleet(Scope(using, ids), Scope(using, still), loaded, gone)


# --- sums -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sum:
    """What is added up of an indicator on a host."""

    first: dt.datetime | None = None
    last: dt.datetime | None = None
    intervals: int = 0
    still_there: int = 0
    states: Counter[str] = field(default_factory=Counter)
    directions: Counter[str] = field(default_factory=Counter)
    local_ports: Counter[int] = field(default_factory=Counter)
    remote_ports: Counter[int] = field(default_factory=Counter)
    programs: Counter[str] = field(default_factory=Counter)

    def add(self, values: list[Any]) -> None:
        """One group of the database's."""
        direction, service, state, program, first_seen, last_seen, every, closed = values
        first = sql.utc(first_seen)
        self.first = first if self.first is None else min(self.first, first)
        if last_seen is not None:
            last = sql.utc(last_seen)
            self.last = last if self.last is None else max(self.last, last)
        self.intervals += every
        self.still_there += every - closed
        self.directions[DIRECTION_NAMES[direction]] += every
        if state is not None:
            self.states[packing.STATES[state]] += every
        if program is not None:
            self.programs[program] += every
        if service is not None:
            ports = self.remote_ports if direction == Direction.OUT else self.local_ports
            ports[service] += every

    def sighting(self, indicator: Indicator, host: Host, gone: dt.datetime | None) -> Sighting:
        """The sum as a value; ``gone`` is when a removed host was last seen."""
        assert self.first is not None
        last = self.last
        still_there = self.still_there
        if gone is not None and still_there:
            last, still_there = gone if last is None else max(last, gone), 0
        return Sighting(
            indicator=indicator,
            host=host,
            first_seen=self.first,
            last_seen=None if still_there else last,
            intervals=self.intervals,
            still_there=still_there,
            states=_commonest(self.states),
            directions=_commonest(self.directions),
            local_ports=_commonest(self.local_ports),
            remote_ports=_commonest(self.remote_ports),
            programs=_commonest(self.programs),
        )


def _commonest(counted: Counter[Any]) -> tuple[Any, ...]:
    return tuple(sorted(counted, key=lambda name: (-counted[name], name))[:LISTED])


def order(row: Sighting) -> list[Any]:
    """Where a sighting stands in a summary: JSON, unique in it."""
    last = 0.0 if row.last_seen is None else -row.last_seen.timestamp()
    return [row.last_seen is not None, last, row.host.name, row.host.pk, row.indicator.text]


def _in_order(sightings: list[Sighting]) -> list[Sighting]:
    return sorted(sightings, key=order)


# --- rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _After:
    """The last row of the page before."""

    is_open: bool
    when: dt.datetime
    host_id: int
    key: int


def _listing(
    fleet: Fleet,
    sought: Sought,
    found: Things,
    *,
    is_open: bool,
    after: _After | None,
    limit: int | None,
) -> Statement:
    scope = fleet.open_scope if is_open else fleet.scope
    stamp = "first_seen" if is_open else "last_seen"
    edge = ANY_ROW if after is None else _beyond(scope, stamp, after)
    way = f"{stamp} DESC, host_id DESC, key DESC"
    columns = tuple(column(name, is_open=is_open) for name in sockets.COLUMNS)
    every = looking.union(
        looking.branches(
            scope, sought, found, table=OPEN if is_open else CLOSED, columns=columns,
            order=way, limit=limit, also=edge,
        )
    )  # fmt: skip
    names = ", ".join(sockets.COLUMNS)
    last = "" if limit is None else f" LIMIT {limit}"
    numbers, once = "number", ""
    if len(found.owners) > 1:
        joined = "string_agg(number::text, ',')" if scope.is_postgres else "group_concat(number)"
        numbers, once = joined, f" GROUP BY {names}"
    return Statement(
        f"SELECT {numbers} AS numbers, {names} FROM ({every.sql}) AS s{once} ORDER BY {way}{last}",
        every.params,
    )


def _beyond(scope: Scope, stamp: str, after: _After) -> Statement:
    """Rows behind the last one shown; its time once more alone, for the index."""
    when = sql.time(scope, after.when)
    return Statement(
        f"{stamp} <= %s AND ({stamp}, host_id, key) < (%s, %s, %s)",
        (when, when, after.host_id, after.key),
    )


def column(name: str, *, is_open: bool) -> str:
    """A column of ``sockets.COLUMNS`` of either table, NULL where it has none."""
    if is_open:
        return _NO_TIME if name == "last_seen" else name
    return _NO_QUEUE.format(name=name) if name in ("recv_queue", "send_queue") else name


def fingerprint(sought: Sought) -> str:
    """The question in a few characters, so that a cursor belongs to it alone."""
    texts = sorted(each.text for each in sought.indicators)
    asked = repr((texts, sought.filters.parameters(), sought.since, sought.until))
    return hashlib.blake2b(asked.encode(), digest_size=12).hexdigest()
