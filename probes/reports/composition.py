"""The whole network report of some hosts, now or at any time: every count the usual scripts over
netstat print, from stored history.

Place in the data's way: composes ``probes.history.queries``; its sections become tables in
``probes.reports.tables`` for the page, its print view, CSV, JSON and mail alike. What the reader
may see is decided before: the report is about the hosts it is given, and nothing else is in any
of its numbers. The same number of queries for one host as for a thousand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone

from hosts.models import Host, HostGroup
from probes.analysis import thresholds
from probes.analysis.thresholds import Check
from probes.filters import SocketFilter
from probes.history.queries import moments, reported, sockets, statistics, trouble
from probes.history.queries.network_rows import InterfaceRow
from probes.history.queries.ports import PortRow, listeners
from probes.history.queries.reported import Bound, Holding, InterfacesOf, Measured, RoutesOf
from probes.history.queries.sockets import SocketRow
from probes.history.queries.sql import Scope
from probes.history.queries.statistics_rows import (
    CommonPort,
    IpRow,
    PortCount,
    ProgramCount,
    ScopeCount,
    StateCount,
)

LIMIT: Final = 20
"""Rows of each list of the commonest, where not asked for otherwise."""
CUT_SHORT: Final = statistics.CUT_SHORT
"""Stands where an address is not known whole."""
LOOKED_AT: Final = 100
"""How many of the commonest addresses are held against a threshold."""
CHANGES_OVER: Final = dt.timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many sockets there are, added up over all hosts."""

    hosts: int
    known: int
    """Hosts with a whole snapshot: only they are counted."""
    sockets: int
    tcp: int
    udp: int
    other: int
    established: int
    listening: int


@dataclass(frozen=True, slots=True)
class ListenerChange:
    """Something that is listened on now and was not then, or the other way round, or whose
    program is another."""

    host: Host
    what: Bound
    change: str
    """opened, closed or holder."""
    before: Holding | None
    after: Holding | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the time before."""

    since: dt.datetime
    rows: Sequence[ListenerChange]
    unknown: int
    """Hosts that nothing is known of at ``since``: left out."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything, ready to be laid out. Lists of the commonest have at most ``limit`` rows."""

    host: Host | None
    """The only host it is about, where it was asked for one."""
    group: HostGroup | None
    at: dt.datetime | None
    """The time asked for; None is now."""
    made_at: dt.datetime
    limit: int
    measured: Sequence[Measured]
    totals: Totals
    checks: Sequence[Check]
    states: Sequence[StateCount] = ()
    protocols: tuple[tuple[str, int], ...] = ()
    scopes: Sequence[ScopeCount] = ()
    remote_ips: Sequence[IpRow] = ()
    established_ips: Sequence[IpRow] = ()
    external_ips: Sequence[IpRow] = ()
    internal_ips: Sequence[IpRow] = ()
    busiest_port: int | None = None
    busiest_port_ips: Sequence[IpRow] = ()
    syn_recv: Sequence[SocketRow] = ()
    syn_recv_ips: Sequence[IpRow] = ()
    time_wait_ips: Sequence[IpRow] = ()
    close_wait: Sequence[SocketRow] = ()
    close_wait_programs: Sequence[ProgramCount] = ()
    common_ports: Sequence[CommonPort] = ()
    local_ports: Sequence[PortCount] = ()
    programs: Sequence[ProgramCount] = ()
    listeners: Sequence[PortRow] = ()
    interfaces: Sequence[InterfacesOf] = ()
    routes: Sequence[RoutesOf] = ()
    changes: Changes | None = None
    troubles: trouble.Troubles = field(default_factory=trouble.Troubles)

    @property
    def hosts(self) -> dict[int, Host]:
        """The hosts it is about, by id."""
        return {one.host.pk: one.host for one in self.measured}


def compose(
    hosts: QuerySet[Host],
    *,
    host: Host | None = None,
    group: HostGroup | None = None,
    at: dt.datetime | None = None,
    limit: int = LIMIT,
) -> Report:
    """The report of ``hosts`` as of each one's newest whole snapshot by ``at`` (None: now).

    ``host`` or ``group`` say what was asked for and do not narrow ``hosts``. About forty queries.
    """
    made_at = timezone.now()
    measured = reported.measured(hosts, at)
    totals = _totals(measured)
    known = {one.host.name: one.whole.by_state for one in measured if one.whole is not None}
    checks = thresholds.by_state(known)
    scope = moments.scope(hosts, at=at)
    if scope is None or not known:
        return Report(host, group, at, made_at, limit, measured, totals, checks)
    in_state = {name: SocketFilter(state=name) for name in thresholds.BY_STATE}
    established_ips = statistics.remote_ips(
        scope, filters=in_state["ESTABLISHED"], limit=max(limit, LOOKED_AT)
    )
    common_ports = statistics.common_ports(scope, statistics.COMMON_PORTS)
    local_ports = statistics.local_ports(scope, limit=limit)
    busiest = next((row.port for row in local_ports if row.arrived), None)
    external, internal = (
        statistics.remote_ips(scope, filters=in_state["ESTABLISHED"], limit=limit, where=where)
        for where in ("external", "private")
    )
    checks += [
        thresholds.check("ip", thresholds.ONE_IP, ((row.ip, row.total) for row in established_ips)),
        thresholds.check(
            "port",
            thresholds.ONE_PORT,
            ((str(row.port), row.inbound_states.get("ESTABLISHED", 0)) for row in common_ports),
        ),
    ]
    return Report(
        host,
        group,
        at,
        made_at,
        limit,
        measured,
        totals,
        checks,
        troubles=trouble.find(scope),
        states=statistics.states(scope),
        protocols=_protocols(measured),
        scopes=statistics.scopes(scope),
        remote_ips=statistics.remote_ips(scope, limit=limit),
        established_ips=established_ips[:limit],
        external_ips=external,
        internal_ips=internal,
        busiest_port=busiest,
        busiest_port_ips=(
            statistics.ip_on_port(scope, busiest, limit=limit) if busiest is not None else ()
        ),
        syn_recv=sockets.oldest(scope, in_state["SYN_RECV"], limit=limit),
        syn_recv_ips=statistics.remote_ips(scope, filters=in_state["SYN_RECV"], limit=limit),
        time_wait_ips=statistics.remote_ips(scope, filters=in_state["TIME_WAIT"], limit=limit),
        close_wait=sockets.oldest(scope, in_state["CLOSE_WAIT"], limit=limit),
        close_wait_programs=statistics.programs(scope, filters=in_state["CLOSE_WAIT"], limit=limit),
        common_ports=common_ports,
        local_ports=local_ports,
        programs=statistics.programs(scope, limit=limit),
        listeners=listeners(scope),
        interfaces=reported.interfaces(_hosts(measured), at, hosts.db),
        routes=reported.routes(_hosts(measured), at, hosts.db),
        changes=_changes(hosts, scope, measured, since=(at or made_at) - CHANGES_OVER),
    )


def problems(row: InterfaceRow) -> int | None:
    """Errors, drops, overruns and collisions of an interface since it began to count; None where
    none of them is known."""
    counted = [
        row.interface.rx_errors,
        row.interface.rx_dropped,
        row.interface.rx_overruns,
        row.interface.tx_errors,
        row.interface.tx_dropped,
        row.interface.tx_overruns,
        row.interface.collisions,
    ]
    known = [number for number in counted if number is not None]
    return sum(known) if known else None


def _hosts(measured: Iterable[Measured]) -> list[Host]:
    return [one.host for one in measured]


def _totals(measured: Sequence[Measured]) -> Totals:
    """From the counts that each snapshot carries."""
    whole = [one.whole for one in measured if one.whole is not None]
    protocols = dict(_protocols(measured))
    tcp, udp = (
        sum(count for name, count in protocols.items() if name in names)
        for names in (("tcp", "tcp6"), ("udp", "udp6"))
    )
    sockets_of_all = sum(snapshot.sockets for snapshot in whole)
    return Totals(
        hosts=len(measured),
        known=len(whole),
        sockets=sockets_of_all,
        tcp=tcp,
        udp=udp,
        other=sockets_of_all - tcp - udp,
        established=sum(snapshot.by_state.get("ESTABLISHED", 0) for snapshot in whole),
        listening=sum(snapshot.listeners for snapshot in whole),
    )


def _protocols(measured: Iterable[Measured]) -> tuple[tuple[str, int], ...]:
    added: dict[str, int] = {}
    for one in measured:
        if one.whole is not None:
            for name, count in one.whole.by_protocol.items():
                added[name] = added.get(name, 0) + count
    return tuple(sorted(added.items(), key=lambda item: (-item[1], item[0])))


def _changes(
    hosts: QuerySet[Host], scope: Scope, measured: Sequence[Measured], *, since: dt.datetime
) -> Changes:
    """Listeners then and now, of the hosts that are known at both times."""
    then = moments.scope(hosts, at=since)
    known = {pk for pk, _when in (then.moments or ())} if then is not None else set()
    by_id = {one.host.pk: one.host for one in measured if one.whole is not None}
    before = reported.bound(then) if then is not None and known else {}
    after = reported.bound(scope)
    rows = []
    for what in before.keys() | after.keys():
        if what.host_id not in known or what.host_id not in by_id:
            continue
        old, new = before.get(what), after.get(what)
        change = "closed" if new is None else "opened" if old is None else "holder"
        if (
            old is not None
            and new is not None
            and (old.program == new.program or old.program is None or new.program is None)
        ):
            continue  # the same program, or one that could not be seen
        rows.append(ListenerChange(by_id[what.host_id], what, change, old, new))
    rows.sort(
        key=lambda row: (
            row.host.name.casefold(),
            row.what.local_port,
            row.what.protocol,
            row.what.local_ip,
        )
    )
    return Changes(since, rows, unknown=len(by_id.keys() - known))
