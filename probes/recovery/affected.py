"""Who is cut off when a service is restarted: the connections that its port and processes have.

Place in the data's way: reads the open sockets, which are those of the host's newest whole
snapshot; what it gives is kept with the restart and shown before one.
"""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q, QuerySet, Sum

from probes.history import packing
from probes.models import Direction, OpenSocket, Service, WatchedPort

SHOWN: Final = 10
MOST_HOLDERS: Final = 200
"""Processes that are looked at: a host may list any number."""


def numbers(protocol: str) -> list[int]:
    """The stored numbers of a base protocol ("tcp", "udp") in both families."""
    return [packing.PROTOCOL_NUMBERS[protocol], packing.PROTOCOL_NUMBERS[f"{protocol}6"]]


def listening(service: Service, *, using: str) -> QuerySet[OpenSocket]:
    """The sockets that listen on the service's port."""
    return OpenSocket.objects.using(using).filter(
        host_id=service.host_id,
        local_port=service.port,
        direction=Direction.LISTEN,
        protocol__in=numbers(service.protocol),
    )


def holders(service: Service, *, using: str) -> list[int]:
    """The PIDs that listen on the service's port, as far as they are known. One query."""
    known = listening(service, using=using).exclude(pid=None).order_by("pid")
    return [pid for pid in known.values_list("pid", flat=True).distinct()[:MOST_HOLDERS] if pid]


def kept(service: Service, *, is_up: bool, using: str = "default") -> dict[str, Any]:
    """What is kept with a restart: :func:`of`, ``up``, and the ``pids`` that hold the port."""
    seen = of(service, using=using) | {"up": is_up}
    return seen | {"pids": holders(service, using=using)} if is_up else seen


def of(service: Service, *, using: str = "default") -> dict[str, Any]:
    """``{"connections": n, "ips": [[ip, n], ...], "programs": [[name, n], ...]}``, largest first.

    Counted are the connections to the port, and those of the processes that hold the port or, while
    it is down, held it last: what is left of a service that lost its listener. Five queries.
    """
    pids = set(holders(service, using=using))
    if not pids:
        watched = WatchedPort.objects.using(using).filter(
            host_id=service.host_id, protocol=service.protocol, port=service.port
        )
        for held in watched.values_list("pids", flat=True):
            pids.update(pid for pid in held if isinstance(pid, int))
    to_port = Q(local_port=service.port, protocol__in=numbers(service.protocol))
    connected = (
        OpenSocket.objects.using(using)
        .filter(to_port | Q(pid__in=pids), host_id=service.host_id, remote_port__isnull=False)
        .exclude(direction=Direction.LISTEN)
        .order_by()
    )
    by_address = connected.values_list("remote_ip", "remote_zone").annotate(n=Sum("copies"))
    by_program = connected.values_list("program").annotate(n=Sum("copies"))
    return {
        "connections": connected.aggregate(n=Sum("copies"))["n"] or 0,
        "ips": [
            [packing.address(packed, zone), n]
            for packed, zone, n in by_address.order_by("-n", "remote_ip")[:SHOWN]
        ],
        "programs": [
            [program or "", n] for program, n in by_program.order_by("-n", "program")[:SHOWN]
        ],
    }
