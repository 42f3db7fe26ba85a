"""The two ends of a connection in tables of differences and of history, with links that pivot.

Place in the data's way: between rows of ``probes.history.queries`` and the templates that show
them. Whatever a host printed stays text here; addresses of links are quoted by ``with_query``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from probes.parsers.records import Flag
from probes.views import moment as moments
from probes.views.hostpage import with_query
from probes.views.sockets import DIRECTION_LABELS, UNSPECIFIED


class Ends(Protocol):
    """A row that has both ends."""

    @property
    def protocol(self) -> str: ...
    @property
    def local_ip(self) -> str: ...
    @property
    def local_port(self) -> int | None: ...
    @property
    def foreign_ip(self) -> str: ...
    @property
    def foreign_port(self) -> int | None: ...
    @property
    def direction(self) -> str: ...
    @property
    def flags(self) -> int: ...


def shaped(request: HttpRequest, row: Ends, *, at: dt.datetime | None = None) -> dict[str, Any]:
    """The cells of both ends: an address narrows the list, a port shows who held it ``at`` (None:
    who holds it now)."""
    has_peer = bool(row.foreign_ip) and not (row.foreign_ip in UNSPECIFIED and not row.foreign_port)
    known = not row.flags & (Flag.FOREIGN_TRUNCATED | Flag.FOREIGN_NAME)
    return {
        "protocol": row.protocol,
        "local_ip": row.local_ip,
        "local_port": row.local_port,
        "local_port_url": port(row.local_port, at=at) if row.direction != "out" else "",
        "port_title": _("Who holds this port, on all hosts"),
        "local_cut": bool(row.flags & Flag.LOCAL_TRUNCATED),
        "has_peer": has_peer,
        "foreign_ip": row.foreign_ip,
        "foreign_port": row.foreign_port,
        "foreign_cut": bool(row.flags & Flag.FOREIGN_TRUNCATED),
        "foreign_ip_url": (
            with_query(request, remote_ip=row.foreign_ip) if has_peer and known else ""
        ),
        "foreign_port_url": (
            with_query(request, remote_port=str(row.foreign_port))
            if has_peer and row.foreign_port
            else ""
        ),
        "foreign_port_title": _("Only this remote port"),
        "hunt_url": hunt(ip=row.foreign_ip.partition("%")[0]) if has_peer and known else "",
        "direction_label": DIRECTION_LABELS.get(row.direction, row.direction),
    }


def port(number: int | None, *, at: dt.datetime | None = None) -> str:
    """Who holds a port, on all hosts, now or ``at`` a time; "" for none."""
    if not number:
        return ""
    query = {"port": str(number)} | ({} if at is None else {"at": moments.stamp(at)})
    return f"{reverse('ports')}?{urlencode(query)}"


def hunt(**of: str) -> str:
    """Where an address or a program is looked for over the fleet and all time."""
    try:
        return f"{reverse('hunt')}?{urlencode(of)}"
    except NoReverseMatch:
        return ""
