"""Hosts and snapshots as resources: what a person hands to an assistant by its address.

Place in the data's way: asked by ``server``; the rows are those of the JSON routes, made fit for a
model (``answers``). What lies outside the caller's groups is absent.

    netadmin://hosts                     hosts, a page at a time
    netadmin://hosts/{id}                one host, how it does, and its alerts
    netadmin://snapshots/{id}            one probe: what ran and what came of it
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from django.http import HttpRequest
from django.utils.translation import gettext as _
from mcp_types import (
    ListResourcesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.envelope import Refused
from probes import payloads
from probes.history import queries
from probes.history.queries import alerts as alert_queries
from probes.history.queries.fleet import HostRow
from probes.history.queries.pages import open_cursor, seal
from probes.mcp_tools import answers, calling
from probes.models import Snapshot
from probes.payloads import alerts as alert_payloads

JSON: Final = "application/json"
HOSTS: Final = "netadmin://hosts"
TEMPLATES: Final = (
    ResourceTemplate(
        name="hosts",
        title="Hosts, a page at a time",
        uri_template="netadmin://hosts{?cursor}",
        description="The hosts that you may see by name, each with its status. cursor is next of"
        " the page before.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        name="host",
        title="A host",
        uri_template="netadmin://hosts/{id}",
        description="One host: how it is reached and probed, how it does, and its active alerts.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        name="snapshot",
        title="A snapshot",
        uri_template="netadmin://snapshots/{id}",
        description="One probe of a host: what ran, as whom, what came of it, and how to mend what"
        " failed.",
        mime_type=JSON,
    ),
)
_PAGE: Final = 100
_ALERTS: Final = 20
_ONE: Final = re.compile(r"netadmin://(hosts|snapshots)/([0-9]{1,18})")


def listed(request: HttpRequest, cursor: str | None) -> ListResourcesResult:
    """The list of hosts, and each of them, a page at a time."""
    calling.require(request, Role.VIEWER)
    found, following = _page(request, cursor, kind="mcp:resources")
    named = [
        Resource(
            uri=f"{HOSTS}/{host.pk}",
            name=answers.plain(host.name),
            title=answers.plain(host.name),
            description=answers.plain(host.address),
            mime_type=JSON,
        )
        for host in found
    ]
    first = Resource(
        uri=HOSTS,
        name="hosts",
        title="Hosts",
        description="The hosts that you may see, each with its status.",
        mime_type=JSON,
    )
    return ListResourcesResult(
        resources=named if cursor is not None else [first, *named], next_cursor=following
    )


def read(request: HttpRequest, uri: str) -> ReadResourceResult:
    """One resource, written down as read. Raises Refused where there is none for the caller."""
    calling.record(request, "mcp.read", {"uri": answers.plain(uri)})
    calling.require(request, Role.VIEWER)
    made, is_cut = answers.fitted(_found(request, uri))
    if is_cut:
        made["cut"] = True
    return ReadResourceResult(
        contents=[TextResourceContents(uri=uri, mime_type=JSON, text=answers.dumped(made))]
    )


def _found(request: HttpRequest, uri: str) -> dict[str, Any]:
    one = _ONE.fullmatch(uri)
    if one is not None:
        shown = _SHOWN[one[1]](request, int(one[2]))
        if shown is None:
            raise _absent()
        return shown
    try:
        parts = urlsplit(uri)
    except ValueError:  # brackets that hold no IPv6 address
        raise _absent() from None
    if f"{parts.scheme}://{parts.netloc}{parts.path}" != HOSTS or parts.fragment:
        raise _absent()
    asked = parse_qs(parts.query, keep_blank_values=True)
    cursors = asked.pop("cursor", [])
    if asked or len(cursors) > 1:
        raise _absent()
    return _hosts(request, cursors[0] if cursors else None)


def _absent() -> Refused:
    return Refused(
        404,
        "not_found",
        _("There is no such resource."),
        field="uri",
        hint=_("Take an address from the list of resources, or fill in one of the templates."),
    )


def _page(request: HttpRequest, cursor: str | None, *, kind: str) -> tuple[list[Host], str | None]:
    hosts = Host.objects.kept().visible_to(request.user).order_by("name", "pk")
    if cursor is not None:
        (name, pk) = open_cursor(kind, cursor, parts=2)
        hosts = hosts.filter(name__gte=name).exclude(name=name, pk__lte=pk)
    found = list(hosts.with_groups(request.user)[: _PAGE + 1])
    if len(found) <= _PAGE:
        return found, None
    found.pop()
    return found, seal(kind, found[-1].name, found[-1].pk)


def _hosts(request: HttpRequest, cursor: str | None) -> dict[str, Any]:
    found, following = _page(request, cursor, kind="mcp:hosts")
    visible = Host.objects.kept().visible_to(request.user)
    rows = {
        row.host.pk: row
        for row in queries.overview(Host.objects.filter(pk__in=[h.pk for h in found]), bars=0)
    }
    return {
        "hosts": [_brief(rows[host.pk], host) for host in found if host.pk in rows],
        "total": visible.count(),
        "next": following,
    }


def _brief(row: HostRow, host: Host) -> dict[str, Any]:
    judged = payloads.status(row.status)
    return {
        "id": host.pk,
        "name": host.name,
        "address": host.address,
        "groups": [group.name for group in host.groups.all()],
        "enabled": host.enabled,
        "status": {name: judged[name] for name in ("level", "code", "label")},
        "latest": None if row.latest is None else payloads.time(row.latest.taken_at),
        "uri": f"{HOSTS}/{host.pk}",
    }


def _host(request: HttpRequest, pk: int) -> dict[str, Any] | None:
    visible = Host.objects.kept().visible_to(request.user)
    host = visible.filter(pk=pk).with_groups(request.user).first()
    if host is None:
        return None
    row = queries.host_row(host)
    jump = visible.filter(pk=host.jump_host_id).first() if host.jump_host_id else None
    shown = payloads.host(row, jump_host=jump)
    shown["groups"] = [{"id": group.pk, "name": group.name} for group in host.groups.all()]
    active = alert_queries.active_of(host)
    return {
        "host": shown,
        "alerts": [
            {name: value for name, value in alert_payloads.alert(row).items() if name != "evidence"}
            for row in active[:_ALERTS]
        ],
        "alerts_total": len(active),
    }


def _snapshot(request: HttpRequest, pk: int) -> dict[str, Any] | None:
    hosts = Host.objects.readable().visible_to(request.user)
    stored = Snapshot.objects.select_related("host").filter(pk=pk, host__in=hosts).first()
    if stored is None:
        return None
    return {"snapshot": payloads.explained(stored), "host": payloads.host_name(stored.host)}


_SHOWN: Final[dict[str, Callable[[HttpRequest, int], dict[str, Any] | None]]] = {
    "hosts": _host,
    "snapshots": _snapshot,
}
