"""Findings: what is wrong on which host, now or at a past time, with its numbers and rows.

Place in the data's way: what the page of findings and the routes ``findings`` and ``leaks`` show.
Puts the numbers of ``trouble_probes`` and ``trouble_counts`` before the rules of
``probes.analysis``. Which hosts are looked at is decided by their snapshots' counts alone, so that
a fleet in good health costs a handful of small queries however large it is; in a fleet that is not,
MOST_HOSTS of each kind are looked at, and what was left out is said.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from probes.analysis import backlog, findings, floods, headroom, leaks, waits
from probes.analysis.findings import Code, Finding, Kind, Limit, Point
from probes.filters import FilterError, SocketFilter, address_range
from probes.filters import Invalid as BadAddress
from probes.history.queries import sockets, sql, trouble_counts, trouble_leaks, trouble_probes
from probes.history.queries.sockets import SocketRow
from probes.history.queries.sql import Scope, Statement
from probes.history.queries.trouble_counts import Left, Waited
from probes.history.queries.trouble_probes import Counted, Known
from probes.models import Snapshot

MOST_HOSTS: Final = 30
"""Hosts of one kind of trouble whose sockets are read, the worst first."""
MOST_OF_A_HOST: Final = 50
"""Findings of one kind and host."""
ROWS: Final = 5
"""Sockets shown with a finding."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Of all kinds; their defaults are what the page shows."""

    leaks: leaks.Thresholds = leaks.DEFAULT
    headroom: headroom.Thresholds = headroom.DEFAULT
    backlog: backlog.Thresholds = backlog.DEFAULT
    floods: floods.Thresholds = floods.DEFAULT
    waits: waits.Thresholds = waits.DEFAULT


DEFAULT: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Found:
    """A finding on its host."""

    host: Known
    at: dt.datetime
    """Time of the whole snapshot that shows it."""
    finding: Finding
    filters: Mapping[str, str] = field(default_factory=dict)
    """Of SocketFilter: they show its rows among the host's connections."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """All findings, worst first."""

    found: Sequence[Found] = ()
    left_out: Mapping[Kind, int] = field(default_factory=dict)
    """Hosts that looked suspicious and were not looked at, by kind: there were more than
    MOST_HOSTS."""
    cut: Collection[Kind] = ()
    """Kinds of which only the newest rows were counted."""


def suspicions(snapshot: Snapshot | None, thresholds: Thresholds = DEFAULT) -> dict[str, int]:
    """Sockets by the states whose number alone makes a host worth a look; without a query."""
    if snapshot is None:
        return {}
    least = {
        "CLOSE_WAIT": thresholds.leaks.fewest,
        "SYN_RECV": thresholds.floods.fewest,
        "TIME_WAIT": thresholds.waits.outgoing,
    }
    return {
        state: snapshot.by_state[state]
        for state, fewest in least.items()
        if snapshot.by_state.get(state, 0) >= fewest
    }


def find(
    scope: Scope | None, *, kinds: Iterable[Kind] = Kind, thresholds: Thresholds = DEFAULT
) -> Troubles:
    """The findings of ``kinds`` on the hosts of ``scope``, at its time; worst first.

    Two queries where nothing is suspicious (the snapshots' counts, the accept queues), and at most
    nine, however many hosts and findings there are.
    """
    if scope is None:
        return Troubles()
    scope = trouble_probes.of_moments(scope)
    search = _Search(scope, trouble_probes.counted(scope), frozenset(kinds), thresholds)
    search.run()
    return Troubles(sorted(search.found, key=order), search.left_out, frozenset(search.cut))


def order(found: Found) -> list[Any]:
    """Sort key of a list of findings, JSON and unique: worst first, then by kind, then the fullest,
    then by host."""
    it = found.finding
    ends = (it.program, it.local_ip, it.local_port, it.remote_ip, it.remote_port)
    return [
        *findings.order(it),
        found.host.name,
        found.host.host_id,
        it.code.value,
        *("" if end is None else str(end) for end in ends),
    ]


def rows(scope: Scope | None, found: Sequence[Found]) -> list[list[SocketRow]]:
    """The first ROWS sockets of each finding, in the order of ``found``. One query."""
    if scope is None or not found:
        return [[] for _each in found]
    scope = trouble_probes.of_moments(scope)
    columns = ", ".join(sockets.COLUMNS)
    parts, params = [], []
    for place, each in enumerate(found):
        one = trouble_probes.only(scope, [each.host.host_id])
        inner = sql.sockets(one, sockets.COLUMNS, SocketFilter.model_validate(each.filters))
        parts.append(
            f"SELECT {place} AS place, {columns} FROM"
            f" (SELECT * FROM ({inner.sql}) AS a LIMIT %s) AS b"
        )
        params += [*inner.params, ROWS]
    shown: list[list[SocketRow]] = [[] for _each in found]
    for place, *values in sql.fetch(scope, Statement(" UNION ALL ".join(parts), tuple(params))):
        shown[place].append(sockets.socket_row(tuple(values)))
    return shown


class _Search:
    """One run over the hosts: what is suspicious, the numbers of it, the rules."""

    def __init__(
        self,
        scope: Scope,
        counted: Sequence[Counted],
        kinds: frozenset[Kind],
        thresholds: Thresholds,
    ) -> None:
        self.scope = scope
        self.counted = {each.host_id: each for each in counted}
        self.kinds = kinds
        self.thresholds = thresholds
        self.found: list[Found] = []
        self.left_out: dict[Kind, int] = {}
        self.cut: set[Kind] = set()
        self.known: dict[int, Known] = {}
        self.trends: dict[int, list[Counted]] = {}

    def run(self) -> None:
        """Fill ``found``, ``left_out`` and ``cut``."""
        limits = self.thresholds
        waited = self._waited()
        leaking = self._suspects(Kind.LEAK, "CLOSE_WAIT", limits.leaks.fewest)
        flooded = self._suspects(Kind.FLOOD, "SYN_RECV", limits.floods.fewest)
        # A range of ports may be as small as an administrator likes.
        waiting = self._suspects(Kind.WAITS, "TIME_WAIT", limits.waits.outgoing)
        busy = self._busy()
        suspects = {*leaking, *flooded, *waiting, *busy, *waited}
        if not suspects:
            return
        here = trouble_probes.only(self.scope, suspects)
        self.known = trouble_probes.known(here)
        short = self._short_of_ports(busy)
        self.trends = trouble_probes.trends(
            here,
            [self.counted[pk] for pk in {*leaking, *flooded, *waiting, *waited, *short}],
        )
        self._judge_queues(waited)
        self._judge_leaks(leaking)
        self._judge_floods(flooded)
        self._judge_waits(waiting)
        self._judge_ports(short)

    # --- whom to look at ---

    def _suspects(self, kind: Kind, state: str, least: int) -> list[int]:
        if kind not in self.kinds:
            return []
        many = [each for each in self.counted.values() if each.state(state) >= least]
        return self._worst(kind, many, lambda each: each.state(state))

    def _busy(self) -> list[int]:
        """Hosts with so many connections that the smallest usual range could be short."""
        if Kind.HEADROOM not in self.kinds:
            return []
        return [each.host_id for each in self.counted.values() if _in_use(each) >= LEAST_PORTS]

    def _worst(
        self, kind: Kind, suspects: list[Counted], number: Callable[[Counted], int]
    ) -> list[int]:
        ranked = sorted(suspects, key=lambda each: (-number(each), each.host_id))
        if len(ranked) > MOST_HOSTS:
            self.left_out[kind] = len(ranked) - MOST_HOSTS
        return [each.host_id for each in ranked[:MOST_HOSTS]]

    def _waited(self) -> dict[int, list[Waited]]:
        if Kind.BACKLOG not in self.kinds:
            return {}
        within = dt.timedelta(seconds=self.thresholds.backlog.window_s)
        found, more = trouble_counts.backlogs(
            self.scope, list(self.counted.values()), within=within
        )
        if more:
            self.cut.add(Kind.BACKLOG)
        of_host: dict[int, list[Waited]] = defaultdict(list)
        for each in found:
            of_host[each.host_id].append(each)
        suspects = [self.counted[pk] for pk in of_host]
        worst = self._worst(
            Kind.BACKLOG, suspects, lambda each: max(w.waiting for w in of_host[each.host_id])
        )
        return {pk: of_host[pk] for pk in worst}

    # --- the kinds ---

    def _judge_leaks(self, host_ids: list[int]) -> None:
        windows = [trouble_counts.window(self.trends[pk]) for pk in host_ids]
        found, more = trouble_counts.close_waits(trouble_probes.only(self.scope, host_ids), windows)
        if more:
            self.cut.add(Kind.LEAK)
        of_host: dict[int, list[Left]] = defaultdict(list)
        for each in found:
            of_host[each.host_id].append(each)
        for pk, since, until in windows:
            times = [each.taken_at for each in self.trends[pk] if since <= each.taken_at <= until]
            judged = [
                leaks.judge(group, self.thresholds.leaks)
                for group in trouble_leaks.groups(of_host[pk], times, self.thresholds.leaks)
            ]
            self._add(pk, judged)

    def _short_of_ports(self, host_ids: list[int]) -> dict[int, list[trouble_counts.Ports]]:
        ranges = {}
        for pk in host_ids:
            ports = self.known[pk].kernel.ports
            if _in_use(self.counted[pk]) >= headroom.fewest(ports, self.thresholds.headroom):
                ranges[pk] = ports
        suspects = [self.counted[pk] for pk in ranges]
        worst = self._worst(
            Kind.HEADROOM,
            suspects,
            lambda each: _in_use(each) * 65536 // ranges[each.host_id].usable,
        )
        least = [headroom.fewest(ranges[pk], self.thresholds.headroom) for pk in worst]
        if not least:
            return {}
        short: dict[int, list[trouble_counts.Ports]] = defaultdict(list)
        for use in trouble_counts.ports_in_use(
            self.scope, {pk: ranges[pk] for pk in worst}, least=min(least)
        ):
            short[use.host_id].append(use)
        return short

    def _judge_ports(self, short: Mapping[int, list[trouble_counts.Ports]]) -> None:
        for pk, uses in short.items():
            trend = self._trend(pk, lambda each: each.connections)
            ports = self.known[pk].kernel.ports
            self._add(
                pk,
                [
                    headroom.judge(
                        headroom.Use(
                            protocol=use.protocol,
                            local_ip=use.local_ip,
                            remote_ip=use.remote_ip,
                            remote_port=use.remote_port,
                            ports=use.ports,
                            time_wait=use.time_wait,
                            trend=trend,
                        ),
                        ports,
                        self.thresholds.headroom,
                    )
                    for use in uses
                ],
            )

    def _judge_queues(self, waited: Mapping[int, list[Waited]]) -> None:
        window = dt.timedelta(seconds=self.thresholds.backlog.window_s)
        for pk, every in waited.items():
            listeners: dict[tuple[object, ...], list[Waited]] = defaultdict(list)
            for each in reversed(every):
                listeners[each.protocol, each.local_ip, each.local_port, each.program].append(each)
            end = self.counted[pk].taken_at
            probes = [c.taken_at for c in self.trends[pk] if c.taken_at > end - window]
            limit = self.known[pk].kernel.most_waiting
            judged = []
            for readings in listeners.values():
                queue = backlog.Queue(
                    protocol=readings[-1].protocol,
                    program=readings[-1].program,
                    local_ip=readings[-1].local_ip,
                    local_port=readings[-1].local_port,
                    readings=[backlog.Reading(r.at, r.waiting, r.most) for r in readings],
                    probes=probes,
                )
                judged.append(backlog.judge(queue, limit, self.thresholds.backlog))
            self._add(pk, judged)

    def _judge_floods(self, host_ids: list[int]) -> None:
        if not host_ids:
            return
        listeners: dict[tuple[int, str, int | None], dict[str, int]] = defaultdict(dict)
        for half in trouble_counts.half_open(trouble_probes.only(self.scope, host_ids)):
            sources = listeners[half.host_id, half.local_ip, half.local_port]
            sources[half.remote_ip] = sources.get(half.remote_ip, 0) + half.total
        for (pk, local_ip, local_port), sources in listeners.items():
            kernel = self.known[pk].kernel
            attacked = floods.Attacked(
                protocol="tcp",
                local_ip=local_ip,
                local_port=local_port,
                sources=sources,
                trend=self._trend(pk, lambda each: each.state("SYN_RECV")),
            )
            finding = floods.judge(
                attacked,
                kernel.most_half_open,
                cookies=kernel.cookies,
                thresholds=self.thresholds.floods,
            )
            self._add(pk, [finding])

    def _judge_waits(self, host_ids: list[int]) -> None:
        if not host_ids:
            return
        here, limits = trouble_probes.only(self.scope, host_ids), self.thresholds.waits
        to = trouble_counts.time_waits_to(here, least=limits.outgoing)
        into = trouble_counts.time_waits_into(here, least=limits.incoming)
        judged: dict[int, list[Finding | None]] = defaultdict(list)
        trends = {pk: self._trend(pk, lambda each: each.state("TIME_WAIT")) for pk in host_ids}
        for each in (*to, *into):
            waiting = waits.Waiting(
                protocol="tcp",
                local_ip=each.local_ip,
                local_port=each.local_port,
                remote_ip=each.remote_ip,
                remote_port=each.remote_port,
                count=each.total,
                trend=trends[each.host_id],
            )
            judged[each.host_id].append(
                waits.incoming(waiting, limits)
                if each.remote_ip is None
                else waits.outgoing(waiting, self.known[each.host_id].kernel.ports, limits)
            )
        for pk in host_ids:
            name = "net.ipv4.tcp_max_tw_buckets"
            most = self.known[pk].kernel.number(name)
            if most:
                total = self.counted[pk].state("TIME_WAIT")
                judged[pk].append(waits.table(total, Limit(most, name), trends[pk], limits))
            self._add(pk, judged[pk])

    def _trend(self, host_id: int, number: Callable[[Counted], int]) -> tuple[Point, ...]:
        return tuple((each.taken_at, number(each)) for each in self.trends.get(host_id, ()))

    def _add(self, host_id: int, judged: Iterable[Finding | None]) -> None:
        kept = sorted((finding for finding in judged if finding is not None), key=findings.order)
        host, at = self.known[host_id], self.counted[host_id].taken_at
        self.found += [
            Found(host, at, finding, _filters(finding)) for finding in kept[:MOST_OF_A_HOST]
        ]


LEAST_PORTS: Final = 100
"""Connections from which on a range of local ports is asked for: a smaller one is nobody's."""


def _in_use(counted: Counted) -> int:
    """The most local ports that connections to one destination, or UDP sockets, can take."""
    udp = counted.by_protocol.get("udp", 0) + counted.by_protocol.get("udp6", 0)
    return max(counted.connections, udp)


def _filters(finding: Finding) -> dict[str, str]:
    """Filters of a host's connections that show what a finding is about."""
    state = {
        Kind.LEAK: "CLOSE_WAIT",
        Kind.BACKLOG: "LISTEN",
        Kind.FLOOD: "SYN_RECV",
        Kind.WAITS: "TIME_WAIT",
    }.get(finding.kind)
    named: dict[str, str | int | None] = {
        "proto": finding.protocol if finding.kind is Kind.HEADROOM else None,
        "state": state,
        "program": finding.program if len(finding.program or "") <= 200 else None,
        "local_ip": _address(finding.local_ip),
        "local_port": finding.local_port,
        "remote_ip": _address(finding.remote_ip),
        "remote_port": finding.remote_port,
    }
    if finding.code is Code.PORTS_SHORT:
        named["local_port"] = f"{finding.facts['low']}-{finding.facts['high']}"
    filters = {name: str(value) for name, value in named.items() if value not in (None, "")}
    try:
        SocketFilter.model_validate(filters)
    except (ValueError, FilterError):
        return {"state": state} if state else {}
    return filters


def _address(text: str | None) -> str | None:
    """An address that a filter takes; None of one that a tool cut short."""
    try:
        address_range(text or "")
    except BadAddress:
        return None
    return text
