"""Services as pages and JSON show them: how each stands, and its restarts.

Place in the data's way: between the rows and ``views``, ``api`` and alerts; every list is among
hosts that the caller gives. Writes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from hosts.models import HostQuerySet
from probes.models import (
    Alert,
    AlertKind,
    Direction,
    OpenSocket,
    Outcome,
    Restart,
    Schedule,
    Service,
    WatchedPort,
)
from probes.recovery import affected, guard
from probes.service_filters import ServiceFilter
from probes.status import TOOL_PASTED

UP, DOWN, UNKNOWN, OFF = "up", "down", "unknown", "off"
STATES: Final = (DOWN, UNKNOWN, UP, OFF)
"""Worst first."""
DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A service as it is now."""

    service: Service
    state: str
    """``up``, ``down``, ``unknown`` (the newest probe gave no whole table) or ``off``."""
    since: dt.datetime | None
    """Since when the port is as it is, as far as it is watched."""
    seen_at: dt.datetime | None
    """Of the newest whole snapshot."""
    holders: tuple[str, ...]
    """Programs that hold the port, or held it last."""
    watched: bool
    """Whether the port is watched: only then a service is restarted by itself."""
    restarts: int
    """Commands begun within a day."""
    newest: Restart | None = field(default=None)
    """The newest decision."""
    given_up: Alert | None = None
    """The alert that it is not restarted by itself any more."""


def service_of(host_id: int, protocol: str, port: int | None) -> Service | None:
    """The service on a port of a host, for alerts about that port; None where there is none."""
    if port is None:
        return None
    found = Service.objects.filter(host_id=host_id, protocol=protocol, port=port)
    return found.select_related("host", "command").first()


def of(hosts: HostQuerySet) -> QuerySet[Service]:
    """The services of these hosts, by name."""
    services = Service.objects.filter(host__in=hosts.order_by())
    return services.select_related("host", "command").order_by("name", "host__name", "pk")


def rows(services: Sequence[Service]) -> list[Row]:
    """How each of ``services`` stands, in their order. Seven queries at most, however many."""
    if not services:
        return []
    host_ids = {service.host_id for service in services}
    ids = [service.pk for service in services]
    schedules = {
        row.host_id: row
        for row in Schedule.objects.select_related("latest", "latest_whole").filter(
            host_id__in=host_ids
        )
    }
    held = _held(host_ids, {service.port for service in services})
    watched = {
        (row.host_id, row.protocol, row.port): row
        for row in WatchedPort.objects.filter(
            host_id__in=host_ids, port__in={service.port for service in services}
        )
    }
    since = timezone.now() - DAY
    counted = dict(
        Restart.objects.filter(service__in=ids, ran_at__gt=since)
        .order_by()
        .values_list("service")
        .annotate(Count("pk"))
    )
    newest_ids = (
        Restart.objects.filter(service__in=ids).order_by().values("service").annotate(n=Max("pk"))
    )
    newest = {
        row.service_id: row for row in Restart.objects.filter(pk__in=[r["n"] for r in newest_ids])
    }
    alerts = {
        alert.fingerprint: alert
        for alert in Alert.objects.filter(
            host_id__in=host_ids, kind=AlertKind.SERVICE, resolved_at=None
        )
        if not guard.waits(alert.facts)
    }
    return [
        _row(
            service,
            schedules.get(service.host_id),
            held.get((service.host_id, service.protocol, service.port)),
            watched.get((service.host_id, service.protocol, service.port)),
            counted.get(service.pk, 0),
            newest.get(service.pk),
            alerts.get(f"service:{service.pk}"),
        )
        for service in services
    ]


def fitting(found: Sequence[Row], asked: ServiceFilter) -> list[Row]:
    """Those that ``asked`` means by state, port, command and part of a name; the worst first.

    Its host and group are for who chooses the hosts.
    """
    wanted = (asked.q or "").casefold()

    def fits(row: Row) -> bool:
        service = row.service
        names = (service.name, service.host.name, *row.holders)
        return (
            (asked.state is None or row.state == asked.state)
            and (asked.port is None or service.port == asked.port)
            and (asked.command is None or service.command_id == asked.command)
            and (not wanted or any(wanted in name.casefold() for name in names))
        )

    return sorted((row for row in found if fits(row)), key=order)


def order(row: Row) -> list[Any]:
    """Sort key: worst first, then by name."""
    service = row.service
    return [STATES.index(row.state), service.name.casefold(), service.pk]


def row(service: Service) -> Row:
    """How one stands."""
    (found,) = rows([service])
    return found


def history(service: Service) -> QuerySet[Restart]:
    """The decisions on a service, newest first."""
    return Restart.objects.filter(service=service).order_by("-planned_at", "-pk")


def under_way(service: Service) -> Restart | None:
    """The restart that is not ended yet."""
    return Restart.objects.filter(service=service, ended_at=None).first()


def _held(host_ids: set[int], ports: set[int]) -> dict[tuple[int, str, int], set[str]]:
    """The programs that listen on each port now; an unknown one is not named."""
    numbers = {number: name for name in ("tcp", "udp") for number in affected.numbers(name)}
    found: dict[tuple[int, str, int], set[str]] = {}
    listening = OpenSocket.objects.filter(
        host_id__in=host_ids,
        local_port__in=ports,
        direction=Direction.LISTEN,
        protocol__in=list(numbers),
    )
    for host_id, number, port, program in listening.values_list(
        "host_id", "protocol", "local_port", "program"
    ):
        programs = found.setdefault((host_id, numbers[number], port or 0), set())
        if program:
            programs.add(program)
    return found


def _row(
    service: Service,
    schedule: Schedule | None,
    held: set[str] | None,
    watched: WatchedPort | None,
    restarts: int,
    newest: Restart | None,
    given_up: Alert | None,
) -> Row:
    latest = None if schedule is None else schedule.latest
    whole = None if schedule is None else schedule.latest_whole
    known = (
        schedule is not None
        and latest is not None
        and latest.outcome == Outcome.OK
        and latest.tool != TOOL_PASTED
    )
    state = UNKNOWN
    if not service.enabled or not service.host.enabled:
        state = OFF
    elif known:
        state = UP if held is not None else DOWN
    names = sorted(held) if held else [] if watched is None else sorted(watched.programs)
    agrees = watched is not None and watched.is_up == (held is not None)
    return Row(
        service,
        state,
        watched.since if watched is not None and agrees else None,
        None if whole is None else whole.taken_at,
        tuple(names),
        watched is not None,
        restarts,
        newest,
        given_up,
    )
