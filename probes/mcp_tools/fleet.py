"""What assistants ask of many hosts: who talked to whom, who holds a port, who talks most, alerts.

Place in the data's way: as ``one_host``. Each answer is over the hosts that the caller may see.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from pydantic import Field

from hosts.models import Host, HostQuerySet
from netadmin.envelope import Refused
from probes import payloads
from probes.alert_filters import AlertFilter, AlertKindName, SeverityName
from probes.filters import FilterError, Moment, PortNumber, Proto, SocketFilter, read
from probes.history import queries
from probes.history.queries import across, moments, sightings, statistics
from probes.history.queries import alerts as alert_queries
from probes.history.queries import sought as looking
from probes.history.queries.pages import Page, slice_rows
from probes.hunt_filters import HuntQuery
from probes.mcp_tools.declared import Arguments, Group, Paged, Rows, Word
from probes.mcp_tools.one_host import part
from probes.models import Alert
from probes.payloads import alerts as alert_payloads
from probes.payloads import hunts as hunt_payloads
from probes.payloads import statistics as statistics_payloads
from probes.tools.when import end_of_second, snapshot_of
from probes.tools.whom import host_of
from probes.watch import silences

EVIDENCE: Final = 3
"""Rows of an alert's evidence."""
COUNTED: Final = 10_000
"""Intervals that one search counts: a twentieth of what the page does, whose reader waits. Of more
the newest are counted, and the answer says so."""


class WhoTalkedTo(Paged, HuntQuery):
    """Whom to look for; of whom among the hosts, and when."""

    host: Word | None = None  # type: ignore[assignment]
    """Name, address or id of a host; all where nothing is said."""
    group: Group | None = None
    """Name of a host group."""
    indicators: None = None
    until: Moment | None = None
    """Seen before this time."""
    since: Moment | None = None
    """Seen after this time."""


class FleetPorts(Paged):
    """Which port, or all of them, on which hosts, when."""

    port: PortNumber | None = None
    """Who holds this one on each host; without it all ports that are listened on."""
    proto: Proto | None = None
    """tcp, udp, sctp or raw."""
    q: Annotated[str, Field(max_length=100)] | None = None
    """Without port: those with this in their number or in the name of a program."""
    host: Word | None = None
    """Name, address or id of a host; all where nothing is said."""
    group: Group | None = None
    """Name of a host group."""
    at: Moment | None = None
    """Each host at its newest whole snapshot by this time; now where nothing is said."""


class TopRemoteIps(Arguments, SocketFilter):
    """Which connections of which hosts, when."""

    host: Word | None = None
    """Name, address or id of a host; all where nothing is said."""
    group: Group | None = None
    """Name of a host group."""
    at: Moment | None = None
    """Each host at its newest whole snapshot by this time; now where nothing is said."""
    scope: Literal["all", "external", "private", "loopback"] = "all"
    """Where the remote addresses are."""
    limit: Rows = 20
    """Addresses to answer with."""


class OpenAlerts(Paged):
    """Which alerts."""

    state: Literal["active", "open", "acknowledged", "silenced"] = "active"
    """active: not over; of these open: nobody knows of it, acknowledged: somebody does, silenced:
    a maintenance window holds it."""
    severity: SeverityName | None = None
    kind: AlertKindName | None = None
    """What watches."""
    host: Word | None = None
    """Name, address or id of a host; all where nothing is said."""
    group: Group | None = None
    """Name of a host group."""
    port: PortNumber | None = None
    """Of an alert about a port."""


def who_talked_to(request: HttpRequest, query: WhoTalkedTo) -> tuple[dict[str, Any], str]:
    """Every host that ever saw an address, network, port or program, with first and last time."""
    sought = query.sought()
    hosts = hosts_of(request, query.host, query.group, removed=True)
    found = sightings.summary(hosts, sought, most=COUNTED)
    page = slice_rows(
        found.sightings,
        kind=f"mcp:sightings:{sightings.fingerprint(sought)}:{query.host}:{query.group}",
        key=sightings.order,
        cursor=query.cursor,
        limit=query.limit,
    )
    kept_since = timezone.now() - dt.timedelta(days=settings.RETENTION_DAYS)
    data = {
        "indicators": [hunt_payloads.indicator(each) for each in sought.indicators],
        "rejected": [],
        "covered": hunt_payloads.covered(looking.covered(sought.indicators)),
        "kept_since": payloads.time(kept_since),
        "sightings": [hunt_payloads.sighting(row) for row in page.rows],
        "capped": [each.text for each in found.capped],
        "more_programs": found.more_programs,
        "total": page.total or 0,
        "next": page.next,
    }
    if not page.total:
        return data, _("No host saw it in what is kept.")
    message = part(len(page.rows), page.total)
    if found.capped:
        newest = _("Only the newest were counted: narrow the time to find older ones.")
        message = f"{message} {newest}"
    return data, message


def fleet_ports(request: HttpRequest, query: FleetPorts) -> tuple[dict[str, Any], str]:
    """Who holds a port on each host, or all ports that are listened on."""
    if query.port is not None and query.q:
        raise FilterError("q", _("This goes without port: it is of the list of all ports."))
    hosts = hosts_of(request, query.host, query.group)
    at = None if query.at is None else end_of_second(query.at)
    kind = f"mcp:ports:{query.port}:{query.proto}:{query.q}:{query.host}:{query.group}:{query.at}"
    asked: dict[str, Any] = {"kind": kind, "cursor": query.cursor, "limit": query.limit}
    page: Page[Any]
    if query.port is None:
        wanted = SocketFilter(proto=query.proto)
        totals = across.listened_ports(hosts, at=at, filters=wanted, text=query.q or "")
        page = slice_rows(totals, key=_total_key, **asked)
        shown = [payloads.port_total(row) for row in page.rows]
    else:
        page = queries.holders_page(hosts, query.port, query.proto, at=at, **asked)
        shown = [payloads.port(row) for row in page.rows]
    data = {"port": query.port, "ports": shown, "total": page.total or 0, "next": page.next}
    return data, part(len(shown), page.total or 0)


def _total_key(row: across.PortTotal) -> list[Any]:
    return [row.port, row.protocol]


def top_remote_ips(request: HttpRequest, query: TopRemoteIps) -> tuple[dict[str, Any], str]:
    """The remote addresses with most connections, most first."""
    hosts = hosts_of(request, query.host, query.group)
    snapshot = None
    if query.host is not None and query.at is not None:
        snapshot = snapshot_of(hosts.get(), at=query.at)
        scope = moments.scope(hosts, snapshot=snapshot)
    else:
        scope = moments.scope(hosts, at=None if query.at is None else end_of_second(query.at))
    asked: dict[str, Any] = {"filters": query.filters(), "where": query.scope}
    found: list[queries.IpRow] = []
    total = 0
    if scope is not None:
        found, total = statistics.counted_remote_ips(scope, **asked, limit=query.limit)
    data = {
        "ips": [statistics_payloads.ip(row) for row in found],
        "snapshot": None if snapshot is None else payloads.brief(snapshot),
        "hosts": statistics_payloads.coverage(moments.coverage(scope)),
        "total": total,
        "next": None,
    }
    return data, part(len(found), total)


def open_alerts(request: HttpRequest, query: OpenAlerts) -> tuple[dict[str, Any], str]:
    """The alerts that are not over, the gravest first."""
    hosts = hosts_of(request, query.host, query.group, removed=True)
    now = timezone.now()
    asked = {name: getattr(query, name) for name in ("state", "severity", "kind", "port")}
    wanted = read(AlertFilter, asked | {"sort": "severity"})
    page = alert_queries.page(
        alert_queries.listed(hosts, wanted, now=now),
        kind=f"mcp:alerts:{query.model_dump(exclude={'limit', 'cursor'})}",
        cursor=query.cursor,
        limit=query.limit,
        sort="severity",
    )
    held = set(silences.silenced_now(list(page.rows), now=now))
    data = {
        "alerts": [_alert(row, silenced=row.pk in held) for row in page.rows],
        "total": page.total or 0,
        "next": page.next,
    }
    if not page.total:
        return data, _("No alert is open.")
    return data, part(len(page.rows), page.total)


def _alert(row: Alert, *, silenced: bool) -> dict[str, Any]:
    shown = alert_payloads.alert(row, silenced=silenced)
    return shown | {"evidence": row.evidence[:EVIDENCE], "evidence_total": len(row.evidence)}


def hosts_of(
    request: HttpRequest, host: str | None, group: str | None, *, removed: bool = False
) -> HostQuerySet:
    """The visible hosts that the words name; Refused where there is none, or none to be seen."""
    hosts = Host.objects.readable() if removed else Host.objects.kept()
    hosts = hosts.visible_to(request.user)
    if group is not None:
        hosts = hosts.in_group(group, request.user)
        if not hosts.exists():
            message = _("There is no such host group, or no host in it.")
            raise Refused(404, "not_found", f"group: {message}", field="group")
    if host is not None:
        named = host_of(request, host, removed=removed)
        hosts = hosts.filter(pk=named.pk)
        if group is not None and not hosts.exists():
            raise Refused(404, "not_found", _("This host is not in that group."), field="host")
    return hosts
