"""Two hosts at one time: what one listens on, talks to and serves, and the other does not.

Place in the data's way: the page Compare and ``diff?hosts=``. Both are summed up by the database,
each at its newest whole snapshot by then, and set side by side here. What a host says of itself
(its own addresses, loopback) counts as "itself", so that two machines with one task look alike.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from hosts.models import Host
from probes import filters as asked
from probes.filters import IPV4, NOTHING_FILTERED
from probes.history import packing
from probes.history.queries import scopes, sql
from probes.history.queries.ports import EVERYTHING
from probes.history.queries.sockets import snapshot_at
from probes.history.queries.sql import Scope, Statement
from probes.models import Direction, Snapshot

What = Literal["listeners", "talks", "clients"]
WHATS: Final[tuple[str, ...]] = get_args(What)
Show = Literal["all", "differences", "a", "b", "both"]
SHOWS: Final[tuple[str, ...]] = get_args(Show)

ITSELF: Final = "itself"
"""Stands for every address of the host that is asked about."""
MOST_GROUPS: Final = 20_000
"""Peers of one host that are compared, those with most connections; beyond it that is said."""

_ANY_ADDRESS: Final = frozenset({bytes(16), IPV4.low})


@dataclass(frozen=True, slots=True)
class Party:
    """What one of the hosts has of it."""

    count: int
    """Sockets."""
    programs: tuple[str, ...]
    """Those that are known, by name."""
    bound: tuple[str, ...] = ()
    """Of a listener, from where it can be reached: as PortRow.bound."""


@dataclass(frozen=True, slots=True)
class Row:
    """One port listened on, service talked to, or client served, by one host or both."""

    what: What
    protocol: str
    """Without its family: tcp6 and tcp are one."""
    ip: str | None
    """The peer's, or ITSELF; None of a listener."""
    port: int | None
    """The one listened on: the host's own, or of the service it talks to."""
    a: Party | None
    b: Party | None

    @property
    def side(self) -> Literal["a", "b", "both"]:
        """Who has it."""
        return "b" if self.a is None else "a" if self.b is None else "both"

    @property
    def differs(self) -> bool:
        """Whether they do not have it alike: one has not, or by other programs, bound otherwise,
        a listener also as often as the other has not."""
        if self.a is None or self.b is None:
            return True
        return (
            self.a.programs != self.b.programs
            or self.a.bound != self.b.bound
            or (self.what == "listeners" and self.a.count != self.b.count)
        )

    def shown(self, show: str) -> bool:
        """Whether it is among what one of SHOWS names; ``both`` has it alike or not."""
        return show == "all" or (self.differs if show == "differences" else self.side == show)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two hosts side by side."""

    a: Snapshot | None
    """What is known of the first one; None where nothing is of that time."""
    b: Snapshot | None
    rows: list[Row]
    """Listeners, then what is talked to, then clients; each by port and address."""
    capped: bool
    """Whether a host has more peers than MOST_GROUPS, so that rarer ones were left out."""


_Key = tuple[str, str, str, int]
"""(what, protocol, address or "", port or 0)."""


@dataclass(slots=True)
class _Sums:
    """What is known of one key on one host."""

    count: int = 0
    programs: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)

    def party(self) -> Party:
        return Party(self.count, tuple(sorted(self.programs)), tuple(sorted(self.bound)))


@dataclass(slots=True)
class _Sight:
    """One host summed up."""

    sums: dict[_Key, _Sums] = field(default_factory=dict)
    capped: bool = False

    def add(self, key: _Key, count: int, program: str | None, bound: str | None = None) -> None:
        sums = self.sums.setdefault(key, _Sums())
        sums.count += count
        if program:
            sums.programs.add(program)
        if bound:
            sums.bound.add(bound)


def hosts(
    a: Host,
    b: Host,
    *,
    at: dt.datetime | None = None,
) -> Comparison:
    """``a`` and ``b`` now, or at ``at`` (aware). Twelve queries at most."""
    snapshots = [snapshot_at(host, at) for host in (a, b)]
    sights = [
        _Sight() if snapshot is None else _sight(host, snapshot)
        for host, snapshot in zip((a, b), snapshots, strict=True)
    ]
    first, second = (sight.sums for sight in sights)
    rows = [
        Row(
            what=key[0],  # type: ignore[arg-type]
            protocol=key[1],
            ip=key[2] or None,
            port=key[3] or None,
            a=first[key].party() if key in first else None,
            b=second[key].party() if key in second else None,
        )
        for key in first.keys() | second.keys()
    ]
    capped = any(sight.capped for sight in sights)
    return Comparison(snapshots[0], snapshots[1], sorted(rows, key=order), capped)


def order(row: Row) -> list[Any]:
    """Where a row stands; JSON, unique among the rows of a comparison."""
    return [WHATS.index(row.what), row.port or 0, row.protocol, *_by_address(row.ip)]


def _by_address(ip: str | None) -> tuple[str, str]:
    if ip is None or ip == ITSELF:
        return "", ip or ""
    try:
        return asked.packed(ipaddress.ip_address(ip.partition("%")[0])).hex(), ip
    except ValueError:  # cut short by the tool
        return "g", ip


def _sight(host: Host, snapshot: Snapshot) -> _Sight:
    scope = sql.of_host(host, snapshot)
    sight = _Sight()
    listened, own = _listeners(scope, sight)
    _connections(scope, own | _own_addresses(scope, host), sight)
    _with_itself(scope, listened, sight)
    return sight


def _listeners(scope: Scope, sight: _Sight) -> tuple[set[int], set[bytes]]:
    """Adds the listeners; gives the ports listened on and the addresses bound to."""
    ports: set[int] = set()
    own: set[bytes] = set()
    condition = Statement("direction = %s", (Direction.LISTEN.value,))
    columns = ("protocol", "local_ip", "local_port", "program")
    for number, ip, port, program, count in _summed(scope, columns, condition):
        packed = bytes(ip)
        if port:
            ports.add(port)
        if packed not in _ANY_ADDRESS:
            own.add(packed)
        bound = EVERYTHING if packed in _ANY_ADDRESS else scopes.of(packed)
        sight.add(("listeners", _base(number), "", port or 0), count, program, bound)
    return ports, own


def _own_addresses(scope: Scope, host: Host) -> set[bytes]:
    """The addresses that the host's own ends of connections have, and that it is probed at."""
    condition = Statement("direction IN (%s, %s)", (Direction.IN.value, Direction.OUT.value))
    inner = sql.sockets(scope, ("local_ip",), NOTHING_FILTERED, condition=condition)
    distinct = Statement(f"SELECT DISTINCT local_ip FROM ({inner.sql}) AS s", inner.params)
    own = {bytes(ip) for (ip,) in sql.fetch(scope, distinct)}
    with contextlib.suppress(ValueError):  # its address may be a name
        own.add(asked.packed(ipaddress.ip_address(host.address)))
    return own - _ANY_ADDRESS


def _connections(scope: Scope, own: set[bytes], sight: _Sight) -> None:
    """Adds what is talked to and who is served, the peers with most connections."""
    condition = Statement("direction IN (%s, %s)", (Direction.IN.value, Direction.OUT.value))
    outgoing = f"direction = {Direction.OUT.value}"
    columns = (
        "direction",
        "protocol",
        "remote_ip",
        "remote_zone",
        sql.SERVICE_PORT,
        # Which process serves a client is told by its listener; a child of each would part them.
        f"CASE WHEN {outgoing} THEN program END",
    )
    needed = ("direction", "protocol", "remote_ip", "remote_zone", "local_port", "remote_port",
              "program")  # fmt: skip
    found = _summed(scope, columns, condition, needed=needed, limit=MOST_GROUPS + 1)
    sight.capped = len(found) > MOST_GROUPS
    for direction, number, ip, zone, port, program, count in found[:MOST_GROUPS]:
        packed = bytes(ip)
        peer = ITSELF if packed in own else packing.address(packed, zone)
        what = "talks" if direction == Direction.OUT else "clients"
        sight.add((what, _base(number), peer, port or 0), count, program)


def _with_itself(scope: Scope, listened: set[int], sight: _Sight) -> None:
    """Adds connections with both ends on the host, each at the end that is listened on."""
    if not listened:
        return
    for what, end, program in (("talks", "remote_port", "program"), ("clients", "local_port", "")):
        ports = _among(scope, end, listened)
        condition = Statement(
            f"direction = %s AND {ports.sql}", (Direction.LOCAL.value, *ports.params)
        )
        columns = tuple(filter(None, ("protocol", end, program)))
        for number, port, *programs, count in _summed(scope, columns, condition):
            held = programs[0] if programs else None
            sight.add((what, _base(number), ITSELF, port), count, held)


def _summed(
    scope: Scope,
    columns: tuple[str, ...],
    condition: Statement,
    *,
    needed: tuple[str, ...] = (),
    limit: int | None = None,
) -> list[tuple[Any, ...]]:
    """Sockets by ``columns`` (expressions over the stored columns ``needed``, where they are no
    columns themselves) with how many there are, most first."""
    inner = sql.sockets(
        scope, (*(needed or columns), "copies"), NOTHING_FILTERED, condition=condition
    )
    grouped = ", ".join(str(number) for number in range(1, len(columns) + 1))
    most = "" if limit is None else f" LIMIT {limit}"
    statement = Statement(
        f"SELECT {', '.join(columns)}, SUM(copies) FROM ({inner.sql}) AS s GROUP BY {grouped}"
        f" ORDER BY SUM(copies) DESC, {grouped}{most}",
        inner.params,
    )
    return [(*values, int(count)) for *values, count in sql.fetch(scope, statement)]


def _among(scope: Scope, column: str, ports: Iterable[int]) -> Statement:
    """Rows whose port is one of any number of them."""
    if scope.is_postgres:
        return Statement(f"{column} = ANY(%s::integer[])", (sorted(ports),))
    listed = json.dumps(sorted(ports))
    return Statement(f"{column} IN (SELECT value FROM json_each(%s))", (listed,))


def _base(number: int) -> str:
    return packing.base(packing.PROTOCOLS[number])
