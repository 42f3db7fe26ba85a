"""Whether a port is taken by what is stored, judged as ``live`` judges what a host shows.

Place in the data's way: step of the command that asks about a port, beside the list of listeners.
"""

from __future__ import annotations

from typing import Final

from django.utils import timezone

from hosts.models import HostQuerySet
from probes import status
from probes.filters import SocketFilter
from probes.history import tally
from probes.history.queries import sockets
from probes.history.queries.sql import Scope

_CLOSED: Final = ",".join(sorted(tally.OWNERLESS_STATES))


def local_ends(scope: Scope, *, port: int, proto: str | None) -> int:
    """How many sockets have the port at their local end, listening or connected. What the kernel
    keeps of a closed connection, without a process, takes no port. Two queries."""
    at_port = SocketFilter(proto=proto, local_port=str(port))
    _rows, every = sockets.count(scope, at_port)
    if not every:
        return 0
    closed = at_port.model_copy(update={"state": _CLOSED, "pid": "none"})
    return every - sockets.count(scope, closed)[1]


def outdated(hosts: HostQuerySet) -> int:
    """How many of the hosts have a whole snapshot that does not say how they are now: a newer
    probe gave none, or there was no other for too long. One query."""
    now = timezone.now()
    probed = hosts.exclude(schedule__latest_whole=None).select_related("schedule__latest_whole")
    number = 0
    for host in probed:
        whole = host.schedule.latest_whole
        assert whole is not None  # others were left out
        is_newest = host.schedule.latest_id == whole.pk
        number += not is_newest or now - whole.taken_at > status.stale_after(host)
    return number
