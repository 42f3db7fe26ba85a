"""What assistants ask of one host's history: its sockets at a time, what changed, one port.

Place in the data's way: called by ``calling`` with valid arguments; asks
``probes.history.queries`` and shapes by ``probes.payloads``, as the JSON routes do.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from pydantic import Field, create_model

from hosts.models import Host
from probes import payloads
from probes.alert_filters import AlertFilter
from probes.filters import Identifier, Moment, PortNumber, SocketFilter, read
from probes.history import queries
from probes.history.queries import alerts as alert_queries
from probes.history.queries import changes as change_queries
from probes.history.queries import diffs, moments, statistics
from probes.history.queries.changes import ChangeFilter
from probes.mcp_tools.declared import Arguments, Paged, Word
from probes.models import WatchedPort
from probes.payloads import alerts as alert_payloads
from probes.payloads import history as history_payloads
from probes.payloads import statistics as statistics_payloads
from probes.payloads import watching as watching_payloads
from probes.tools.when import ends_of, snapshot_of
from probes.tools.whom import host_of

LISTENERS: Final = 20
CLIENTS: Final = 20
CHANGES: Final = 10
ALERTS: Final = 5


class ConnectionsAt(Paged, SocketFilter):
    """Whose sockets, when, and which of them."""

    host: Word
    """Name, address or id of a host."""
    at: Moment | None = None
    """The newest whole snapshot at or before this time; now where nothing is said."""
    snapshot: Identifier | None = None
    """The snapshot of this id, in place of at."""
    sort: Annotated[str, Field(max_length=20)] = ""
    """One of protocol, recv_queue, send_queue, local_ip, local_port, foreign_ip, foreign_port,
    state, pid, program, direction, copies, first_seen; with - before it for the reverse."""


class _Differences(Paged, SocketFilter):
    host: Word
    """Name, address or id of a host."""
    kind: Literal["opened", "closed", "changed"] | None = None
    """All of them where nothing is said."""
    what: Literal["listeners", "connections"] | None = None
    """Both where nothing is said."""


DiffTimes = create_model(
    "DiffTimes",
    __base__=_Differences,
    __doc__="Of which host, between which two times. (from is no name that a class can declare.)",
    **{
        "from": (
            Moment | None,
            Field(None, description="The earlier time; where nothing is said, the probe before to"),
        ),
        "to": (Moment | None, Field(None, description="The later time; now where nothing is said")),
    },  # type: ignore[call-overload]
)


class ExplainPort(Arguments):
    """Which port of which host."""

    host: Word
    """Name, address or id of a host."""
    port: PortNumber
    proto: Literal["tcp", "udp"] | None = None
    """Both where nothing is said."""
    at: Moment | None = None
    """The newest whole snapshot at or before this time; now where nothing is said."""


def connections_at(request: HttpRequest, query: ConnectionsAt) -> tuple[dict[str, Any], str]:
    """The sockets of a host in one snapshot, a page at a time."""
    host = host_of(request, query.host, removed=True)
    page = queries.connections(
        host,
        snapshot=snapshot_of(host, at=query.at, snapshot=query.snapshot),
        filters=query.filters(),
        sort=query.sort,
        cursor=query.cursor,
        limit=query.limit,
    )
    data = {
        "host": payloads.host_name(host),
        "snapshot": None if page.snapshot is None else payloads.brief(page.snapshot),
        "connections": [payloads.connection(row) for row in page.rows],
        "total": page.total or 0,
        "sockets": page.sockets or 0,
        "next": page.next,
    }
    return data, part(len(page.rows), page.total or 0)


def diff_times(request: HttpRequest, query: Any) -> tuple[dict[str, Any], str]:
    """What opened, closed and changed on a host between two times."""
    host = host_of(request, query.host, removed=True)
    before, after = ends_of(host, getattr(query, "from"), query.to)
    if before is None or after is None:  # probed once, or not yet: there is nothing to compare
        nothing: dict[str, Any] = {
            "host": payloads.host_name(host),
            "from": None,
            "to": None if after is None else payloads.brief(after),
            "counts": diffs.no_counts(),
            "differences": [],
            "total": 0,
            "next": None,
        }
        return nothing, _("This host has no two whole snapshots yet.")
    found = diffs.times(
        host,
        before,
        after,
        filters=query.filters(),
        what=query.what,
        kind=query.kind,
        cursor=query.cursor,
        limit=query.limit,
    )
    total = found.total(what=query.what, kind=query.kind)
    data: dict[str, Any] = {
        "host": payloads.host_name(host),
        "from": payloads.brief(before),
        "to": payloads.brief(after),
        "counts": found.counts,
        "differences": [history_payloads.difference(change) for change in found.rows],
        "total": total,
        "next": found.next,
    }
    return data, part(len(found.rows), total)


def explain_port(request: HttpRequest, query: ExplainPort) -> tuple[dict[str, Any], str]:
    """Who holds a port of a host, who uses it, since when, and what became of it."""
    host = host_of(request, query.host, removed=True)
    asked = snapshot_of(host, at=query.at)
    snapshot = asked or queries.snapshot_at(host, None)
    itself = Host.objects.filter(pk=host.pk)
    scope = moments.scope(itself, snapshot=asked)
    wanted = SocketFilter(proto=query.proto)
    listeners: list[queries.PortRow] = []
    clients: list[queries.IpRow] = []
    addresses = 0
    if scope is not None and snapshot is not None:
        on_port = SocketFilter(proto=query.proto, local_port=str(query.port))
        listeners = queries.ports(host, snapshot=asked, filters=on_port)
        clients = statistics.ip_on_port(scope, query.port, filters=wanted, limit=CLIENTS)
        addresses = len(clients)
        if addresses == CLIENTS:
            addresses = statistics.number_of("ips", scope, filters=wanted, port=query.port)
    changes = change_queries.listed(itself, ChangeFilter(port=str(query.port)))
    alerts = alert_queries.listed(
        itself, read(AlertFilter, {"state": "active", "port": query.port})
    )
    if query.proto is not None:
        changes = changes.filter(protocol=query.proto)
        alerts = alerts.filter(facts__protocol=query.proto)
    data = {
        "host": payloads.host_name(host),
        "snapshot": None if snapshot is None else payloads.brief(snapshot),
        "port": query.port,
        "listeners": [payloads.port(row) for row in listeners[:LISTENERS]],
        "listeners_total": len(listeners),
        "clients": [statistics_payloads.ip(row) for row in clients],
        "clients_total": addresses,
        "watch": [_watched(row) for row in _watch(host, query)],
        "changes": [alert_payloads.change(row) for row in changes[:CHANGES]],
        "changes_total": changes.order_by().count(),
        "alerts": [
            alert_payloads.alert(row) | {"evidence": row.evidence[:ALERTS]}
            for row in alerts[:ALERTS]
        ],
        "alerts_total": alerts.order_by().count(),
    }
    return data, _explained(query.port, listeners, addresses)


def _explained(port: int, listeners: list[queries.PortRow], addresses: int) -> str:
    if not listeners:
        return _("Nothing listens on port %(port)s.") % {"port": port}
    held = len({row.pid for row in listeners if row.pid is not None})
    if not held:
        holding = _("Port %(port)s is listened on; by which process could not be seen.")
        said = holding % {"port": port}
    else:
        said = ngettext(
            "Port %(port)s is held by %(number)s process.",
            "Port %(port)s is held by %(number)s processes.",
            held,
        ) % {"port": port, "number": held}
    clients = ngettext(
        "%(number)s remote address has connections to it.",
        "%(number)s remote addresses have connections to it.",
        addresses,
    )
    return f"{said} {clients % {'number': addresses}}"


def _watch(host: Host, query: ExplainPort) -> list[WatchedPort]:
    rows = WatchedPort.objects.filter(host=host, port=query.port).order_by("protocol")
    return list(rows if query.proto is None else rows.filter(protocol=query.proto))


def _watched(row: WatchedPort) -> dict[str, Any]:
    return {
        "protocol": row.protocol,
        "state": watching_payloads.state(row),
        "since": payloads.time(row.since),
        "first_seen": payloads.time(row.first_seen) if row.addresses else None,
        "last_seen": payloads.time(row.last_seen) if row.addresses else None,
    }


def part(shown: int, total: int) -> str:
    """The message of a page."""
    return _("%(shown)s of %(total)s rows.") % {"shown": shown, "total": total}
