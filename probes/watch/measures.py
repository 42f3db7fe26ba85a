"""The numbers that rules look at, of one stored probe, and what shows them.

Place in the data's way: asked by ``probes.watch.thresholds`` in the transaction that stores a
snapshot; reads the snapshot's own counts, and open sockets only where those leave no other way.

Connections by remote address and by local port are counted once, and from then on kept in memory
and changed by what each probe changed: a host of 100,000 sockets is not read again for a handful of
them. What is kept counts only where it is of the whole snapshot just before, and adds up to what
the new one says; else it is read anew.
"""

from __future__ import annotations

import datetime as dt
import heapq
import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from django.db.models import IntegerField, Max
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from probes import payloads
from probes.filters import IPV4, SocketFilter
from probes.history import packing
from probes.history.queries import sockets, sql
from probes.history.queries.sql import Scope, Statement
from probes.history.store import Stored
from probes.models import ClosedSocket, OpenSocket, Outcome, Snapshot
from probes.parsers import addresses
from probes.parsers.records import Flag
from probes.watch import rules
from probes.watch.lifecycle import Evidence
from probes.watch.rules import Limits

Key = TypeVar("Key")

Numbers = dict[tuple[int, str], float | None]
"""By rule and what it is about (a port, an address, "" for the host); None: not known."""

MOST_ABOUT: Final = 100
"""Ports or addresses of a host that one rule counts at a time, the largest first."""
MOST_KEPT: Final = 300_000
"""Counters kept in memory over all hosts."""
TOP: Final = 5
MOST_ROWS: Final = 10
"""Rows of evidence."""

_MOST_READ: Final = 2_000
"""Rows of one address that are read to tell its programs and ports."""

_OPEN: Final = OpenSocket._meta.db_table
_CLOSED: Final = ClosedSocket._meta.db_table
_NO_ADDRESS: Final = Flag.FOREIGN_TRUNCATED | Flag.FOREIGN_NAME


@dataclass(slots=True)
class _Tally:
    """Connections of a host at a whole snapshot, in some states."""

    taken_at: dt.datetime
    ports: frozenset[int]
    """Local ports that are counted."""
    totals: Counter[str] = field(default_factory=Counter)
    by_ip: dict[str, Counter[bytes]] = field(default_factory=dict)
    """By state; addresses are packed, "" where the tool cut them."""
    by_port: dict[str, Counter[int]] = field(default_factory=dict)
    above: dict[tuple[str, float], list[tuple[int, bytes]]] = field(default_factory=dict)
    """Addresses above a threshold in a state, until something changes."""

    @property
    def size(self) -> int:
        return sum(map(len, self.by_ip.values()))

    def covers(self, states: Collection[str], ports: Collection[int]) -> bool:
        return self.ports.issuperset(ports) and self.by_ip.keys() >= set(states)


_lock = threading.Lock()
_kept: OrderedDict[tuple[str, int], _Tally] = OrderedDict()


def forget() -> None:
    """Let everything be read anew."""
    with _lock:
        _kept.clear()


def measure(stored: Stored, limits: Sequence[Limits], held: Collection[tuple[int, str]]) -> Numbers:
    """The numbers of a whole snapshot for each rule that is one of a number.

    Of a port or address there is one where it is above the threshold or ``held``, which has the
    rule and the port or address. Reads the sockets of a host only where all connections in the
    state together are above a threshold, or something is held; else nothing.
    """
    snapshot = stored.snapshot
    numbers: Numbers = {}
    narrow: list[Limits] = []
    for rule in limits:
        if rule.metric in rules.ABOUT:
            total = snapshot.by_state.get(rule.state, 0)
            if total > rule.threshold or any(pk == rule.rule_id for pk, _about in held):
                narrow.append(rule)
        elif rule.metric in rules.NUMBERS:
            numbers[rule.rule_id, ""] = of_snapshot(rule, snapshot, using=stored.using)
    if narrow:
        tally = _tally(
            stored,
            states={rule.state for rule in narrow},
            ports={port for rule in narrow if rule.metric == "port" for port in rule.ports},
        )
        for rule in narrow:
            abouts = {about for pk, about in held if pk == rule.rule_id}
            for about, number in _counted(rule, tally, abouts):
                numbers[rule.rule_id, about] = float(number)
    return numbers


def of_snapshot(rule: Limits, snapshot: Snapshot, *, using: str = "default") -> float | None:
    """The number of a whole snapshot that a rule about the host as a whole looks at; None where it
    is not known. No query, but for a rise above what counts."""
    by_state: Mapping[str, int] = snapshot.by_state
    if rule.metric == "state":
        return float(by_state.get(rule.state, 0))
    if rule.metric == "sockets":
        return float(snapshot.sockets)
    if rule.metric == "listeners":
        return float(snapshot.listeners)
    if rule.metric == "slow":
        return None if snapshot.duration_ms == 0 else snapshot.duration_ms / 1000
    if rule.metric == "ratio":
        whole = by_state.get(rule.of_state, 0)
        return rules.ratio(by_state.get(rule.state, 0), whole, at_least=rule.at_least)
    now = by_state.get(rule.state, 0) if rule.state else snapshot.sockets
    before = None
    if now >= rule.at_least and now:
        before = _most_before(rule, snapshot, using)
    return rules.rise(now, before, at_least=max(rule.at_least, 1))


def _most_before(rule: Limits, snapshot: Snapshot, using: str) -> int | None:
    """The largest number of the window before the one a rise is looked for in."""
    window = dt.timedelta(minutes=rule.within_minutes)
    whole = Snapshot.objects.using(using).filter(
        host_id=snapshot.host_id,
        outcome=Outcome.OK,
        taken_at__gte=snapshot.taken_at - 2 * window,
        taken_at__lte=snapshot.taken_at - window,
    )
    number: Any = "sockets"
    if rule.state:
        text = KeyTextTransform(rule.state, "by_state")
        number = Coalesce(Cast(text, IntegerField()), 0)
    most: int | None = whole.order_by().aggregate(most=Max(number))["most"]
    return most


def _counted(rule: Limits, tally: _Tally, held: Collection[str]) -> Iterable[tuple[str, int]]:
    """What is above the threshold, the largest first, and what is held."""
    if rule.metric == "port":
        by_port = tally.by_port[rule.state]
        for port in rule.ports[:MOST_ABOUT]:
            if by_port[port] > rule.threshold or str(port) in held:
                yield str(port), by_port[port]
        return
    by_ip = tally.by_ip[rule.state]
    known = {addresses.pack(ip) for ip in held}
    for packed in known:
        yield addresses.unpack(packed), by_ip[packed]
    place = rule.state, rule.threshold
    if place not in tally.above:
        tally.above[place] = [
            (number, packed)
            for packed, number in by_ip.items()
            if number > rule.threshold and packed
        ]
    new = [each for each in tally.above[place] if each[1] not in known]
    for number, packed in heapq.nlargest(max(0, MOST_ABOUT - len(known)), new):
        yield addresses.unpack(packed), number


def _tally(stored: Stored, *, states: Collection[str], ports: Collection[int]) -> _Tally:
    """The counters as of the stored snapshot."""
    place = stored.using, stored.host_id
    with _lock:
        # Out while it is changed: if this transaction fails, it is of a time that never was.
        tally = _kept.pop(place, None)
    if tally is None or not tally.covers(states, ports) or not _follow(tally, stored):
        tally = _read(stored, states, ports)
    with _lock:
        _kept[place] = tally
        room = MOST_KEPT - sum(each.size for each in _kept.values())
        while room < 0 and _kept:
            room += _kept.popitem(last=False)[1].size
    return tally


def _follow(tally: _Tally, stored: Stored) -> bool:
    """Bring counters to the stored snapshot; False where that cannot be known to be right."""
    changed = stored.changed
    if changed is None or stored.before_at != tally.taken_at:
        return False
    if changed.moved:
        tally.above.clear()
    for key, net in changed.moved.items():
        socket = changed.sockets.get(key)
        if socket is None:
            return False
        state = socket.state
        by_ip = None if state is None else tally.by_ip.get(state)
        if state is None or by_ip is None:
            continue
        tally.totals[state] += net.copies
        packed = b"" if socket.flags & _NO_ADDRESS else addresses.pack(socket.foreign_ip)
        by_ip[packed] = by_ip.get(packed, 0) + net.copies
        if socket.local_port in tally.ports:
            tally.by_port[state][socket.local_port] += net.copies
    if changed.moved:
        # Once for all rather than after each: twenty thousand rows may have moved.
        for of_ips in tally.by_ip.values():
            _forget_none(of_ips)
        for of_ports in tally.by_port.values():
            _forget_none(of_ports)
    tally.taken_at = stored.snapshot.taken_at
    return _adds_up(tally, stored)


def _forget_none(counter: Counter[Key]) -> None:
    """Take out what is counted no more."""
    for key in [key for key, number in counter.items() if not number]:
        del counter[key]


def _adds_up(tally: _Tally, stored: Stored) -> bool:
    by_state = stored.snapshot.by_state
    return all(tally.totals[state] == by_state.get(state, 0) for state in tally.by_ip)


def _read(stored: Stored, states: Collection[str], ports: Collection[int]) -> _Tally:
    """Count the open sockets of the host. One query."""
    numbers = {packing.STATE_NUMBERS[state]: state for state in states}
    tally = _Tally(stored.snapshot.taken_at, frozenset(ports))
    tally.by_ip = {state: Counter() for state in states}
    tally.by_port = {state: Counter() for state in states}
    marks = ", ".join(["%s"] * len(numbers))
    here = f"FROM {_OPEN} WHERE host_id = %s AND state IN ({marks})"
    statement = (
        f"SELECT state, remote_ip, CAST(NULL AS integer), SUM(copies) {here}"
        " GROUP BY state, remote_ip"
    )
    params: list[Any] = [stored.host_id, *numbers]
    if ports:
        listed = ", ".join(["%s"] * len(ports))
        statement += (
            f" UNION ALL SELECT state, NULL, local_port, SUM(copies) {here}"
            f" AND local_port IN ({listed}) GROUP BY state, local_port"
        )
        params += [stored.host_id, *numbers, *sorted(ports)]
    scope = Scope(stored.using, (stored.host_id,))
    for number, packed, port, copies in sql.fetch(scope, Statement(statement, tuple(params))):
        state = numbers[number]
        if packed is not None:
            tally.by_ip[state][bytes(packed)] = int(copies)
            tally.totals[state] += int(copies)
        else:
            tally.by_port[state][port] = int(copies)
    return tally


# --- evidence -----------------------------------------------------------------------------------


def evidence(rule: Limits, about: str, stored: Stored, *, since: dt.datetime) -> Evidence:
    """The connections in question as they are now, the addresses, programs and ports that have
    most of them, and the number before the streak began at ``since``. Four queries at most."""
    if rule.metric == "remote_ip":
        return _of_address(rule, about, stored, since)
    scope = Scope(stored.using, (stored.host_id,))
    filters = _filters(rule, about)
    facts: dict[str, Any] = {"before": _before(rule, about, stored, since)}
    if filters is None:
        return Evidence(facts=facts)
    rows = sockets.oldest(scope, filters, limit=MOST_ROWS)
    return Evidence(
        rows=[payloads.connection(row) for row in rows], facts=facts | _tops(scope, filters)
    )


def _of_address(rule: Limits, about: str, stored: Stored, since: dt.datetime) -> Evidence:
    """The same of one remote address: down the indexes on it, since many addresses may be told of
    at once on a host of very many sockets. Three queries."""
    scope = Scope(stored.using, (stored.host_id,))
    there = "remote_ip = %s AND +host_id = %s AND state = %s"
    asked = (addresses.pack(about), stored.host_id, packing.STATE_NUMBERS[rule.state])
    columns = ", ".join("NULL" if name == "last_seen" else name for name in sockets.COLUMNS)
    listed = Statement(
        f"SELECT {columns} FROM {_OPEN} WHERE {there} ORDER BY first_seen, key LIMIT {_MOST_READ}",
        asked,
    )
    rows = [sockets.socket_row(values) for values in sql.fetch(scope, listed)]
    programs, ports = Counter[str](), Counter[int]()
    for row in rows:
        if row.program:
            programs[row.program] += row.copies
        if row.local_port is not None:
            ports[row.local_port] += row.copies
    snapshot = _whole_before(stored, since)
    before = None
    if snapshot is not None:
        then = sql.time(scope, snapshot.taken_at)
        gone = Statement(
            f"SELECT COALESCE(SUM(copies), 0) FROM {_CLOSED} WHERE {there}"
            " AND last_seen >= %s AND first_seen <= %s",
            (*asked, then, then),
        )
        ((number,),) = sql.fetch(scope, gone)
        number += sum(row.copies for row in rows if row.first_seen <= snapshot.taken_at)
        before = {"value": float(number), "at": payloads.time(snapshot.taken_at)}
    return Evidence(
        rows=[payloads.connection(row) for row in rows[:MOST_ROWS]],
        facts={
            "before": before,
            "top_ips": [[about, sum(row.copies for row in rows)]],
            "top_programs": [list(each) for each in programs.most_common(TOP)],
            "top_ports": [list(each) for each in ports.most_common(TOP)],
        },
    )


def _filters(rule: Limits, about: str) -> SocketFilter | None:
    """Which sockets a rule is about; None of a probe's duration."""
    if rule.metric == "slow":
        return None
    if rule.metric == "listeners":
        return SocketFilter(direction="listen")
    asked: dict[str, Any] = {"state": rule.state} if rule.state else {}
    if rule.metric == "port":
        asked["local_port"] = about
    if rule.metric == "remote_ip":
        asked["remote_ip"] = about
    return SocketFilter(**asked)


def _before(rule: Limits, about: str, stored: Stored, since: dt.datetime) -> dict[str, Any] | None:
    """The number of the newest whole snapshot before ``since``; None where there is none."""
    snapshot = _whole_before(stored, since)
    if snapshot is None:
        return None
    value: float | None
    if rule.metric in rules.ABOUT:
        filters = _filters(rule, about)
        assert filters is not None
        then = Scope(stored.using, (stored.host_id,), snapshot)
        value = float(sockets.count(then, filters)[1])
    elif rule.metric == "rise":
        value = float(snapshot.by_state.get(rule.state, 0) if rule.state else snapshot.sockets)
    else:
        value = of_snapshot(rule, snapshot, using=stored.using)
    return {"value": value, "at": payloads.time(snapshot.taken_at)}


def _whole_before(stored: Stored, since: dt.datetime) -> Snapshot | None:
    whole = Snapshot.objects.using(stored.using).filter(
        host_id=stored.host_id, outcome=Outcome.OK, taken_at__lt=since
    )
    return whole.order_by("-taken_at").first()


def _tops(scope: Scope, filters: SocketFilter) -> dict[str, list[list[Any]]]:
    """``top_ips``, ``top_programs`` and ``top_ports`` as ``[[name, count], ...]``. One query."""
    inner = sql.sockets(scope, ("remote_ip", "program", "local_port", "copies"), filters)
    parts = [
        f"SELECT * FROM (SELECT '{kind}' AS kind, {ip} AS ip, {program} AS program, {port} AS port,"
        f" SUM(copies) AS n FROM s WHERE {known} GROUP BY {by} ORDER BY n DESC, {by}"
        f" LIMIT {TOP}) AS {kind}"
        for kind, by, known, ip, program, port in (
            ("top_ips", "remote_ip", "LENGTH(remote_ip) = 16 AND remote_ip NOT IN (%s, %s)",
             "remote_ip", "CAST(NULL AS text)", "CAST(NULL AS integer)"),
            ("top_programs", "program", "program IS NOT NULL AND program <> ''",
             "CAST(NULL AS bytea)", "program", "CAST(NULL AS integer)"),
            ("top_ports", "local_port", "local_port IS NOT NULL",
             "CAST(NULL AS bytea)", "CAST(NULL AS text)", "local_port"),
        )
    ]  # fmt: skip
    statement = Statement(
        f"WITH s AS MATERIALIZED ({inner.sql}) {' UNION ALL '.join(parts)}",
        (*inner.params, bytes(16), IPV4.low),
    )
    found: dict[str, list[list[Any]]] = {"top_ips": [], "top_programs": [], "top_ports": []}
    for kind, ip, program, port, number in sql.fetch(scope, statement):
        name = packing.address(bytes(ip), None) if kind == "top_ips" else program or port
        found[kind].append([name, int(number)])
    return found
