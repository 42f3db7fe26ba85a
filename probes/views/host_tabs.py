"""The other tabs of a host: its ports, peers, states and probes.

Place in the data's way: shapes ``queries.ports``, ``queries.statistics`` and ``snapshots``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes import names, payloads
from probes.filters import FilterError, SocketFilter, parse
from probes.history import queries
from probes.history.queries import exposure as ledger
from probes.history.queries import sql, statistics
from probes.models import Outcome, Snapshot
from probes.observation import EXPLANATIONS, Code
from probes.views import charts, hostpage, reach
from probes.views import moment as moments
from probes.views.hostpage import with_query
from probes.wording.exposure import REACHES

PORTS_PER_PAGE = 200
PROBES_PER_PAGE = 50
PEER_LIMITS = ("20", "50", "100")
PEER_STATES = 5
"""Columns of states in the table of peers; the rarer ones are summed up."""

SCOPES = (
    ("all", gettext_lazy("all addresses")),
    ("external", gettext_lazy("external")),
    ("private", gettext_lazy("private")),
    ("loopback", gettext_lazy("loopback")),
)
BYS = (
    ("state", gettext_lazy("States")),
    ("total", gettext_lazy("Sockets")),
    ("listeners", gettext_lazy("Listeners")),
    ("changes", gettext_lazy("Changes")),
)
"""What the chart of the states may show."""
SERIES_WORDS = {
    "total": gettext_lazy("sockets"),
    "listeners": gettext_lazy("listeners"),
    "opened": gettext_lazy("opened"),
    "closed": gettext_lazy("closed"),
}


@require(Role.VIEWER)
@require_safe
def ports(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What listens on the host and which process holds it; ``format=csv`` too."""
    host = hostpage.get(request, pk, removed=True)
    context, problem = _at_a_moment(request, host, tab="host_ports")
    rows: list[queries.PortRow] = []
    text = request.GET.get("q", "").strip().casefold()[:100]
    scope = request.GET.get("scope", "")
    if problem is None and context["shown"] is not None:
        rows = queries.ports(host, snapshot=context["shown"])
    scopes = sorted({row.bound for row in rows})
    found = [
        row
        for row in rows
        if (not scope or row.bound == scope) and (not text or text in _searchable(row))
    ]
    if problem is None and request.GET.get("format") == "csv":
        return payloads.csv(f"ports-{host.pk}", payloads.PORT, map(payloads.port, found))
    page = Paginator(found, PORTS_PER_PAGE).get_page(request.GET.get("page"))
    past = bool(request.GET.get("at"))
    context |= reach.context(host, past=past)
    tried = ledger.Tried.of_host(host) if context["reach"] and found else None
    results = {
        row.key: tried.at(host.pk, row.protocol, row.local_ip, row.local_port)
        for row in found
        if tried is not None
    }
    context |= {
        "csv_url": with_query(request, format="csv") if found else "",
        "rows": [
            (row, REACHES[result.result] if result else None, result)
            for row in page
            for result in (results.get(row.key),)
        ],
        "reach_tallies": reach.tallies(results.values()),
        "page": page,
        "scopes": scopes,
        "filtered": bool(text or scope),
        "next_url": (
            with_query(request, page=str(page.next_page_number())) if page.has_next() else ""
        ),
        "first_page_url": with_query(request) if page.has_previous() else "",
        "clear_url": with_query(request, q=None, scope=None),
    }
    return render(request, "probes/host_ports.html", context, status=400 if problem else 200)


@require(Role.VIEWER)
@require_safe
def peers(request: HttpRequest, pk: int) -> HttpResponse:
    """The remote addresses with most connections."""
    host = hostpage.get(request, pk, removed=True)
    context, problem = _at_a_moment(request, host, tab="host_peers")
    rows: list[queries.IpRow] = []
    scope, limit = request.GET.get("scope", "all"), request.GET.get("limit", "20")
    try:
        _one_of("scope", scope, [name for name, _label in SCOPES])
        _one_of("limit", limit, PEER_LIMITS)
        wanted = parse(SocketFilter, request.GET, ignore=("at", "span", "scope", "limit", "cursor"))
        if problem is None and context["shown"] is not None:
            rows = statistics.remote_ips(
                sql.of_host(host, context["shown"]), filters=wanted, limit=int(limit), where=scope
            )
    except FilterError as error:
        problem = error
    totals: dict[str, int] = {}
    for row in rows:
        for state, number in row.by_state.items():
            totals[state] = totals.get(state, 0) + number
    columns = sorted(totals, key=lambda state: -totals[state])[:PEER_STATES]
    most = max((row.total for row in rows), default=0)
    context |= {
        "problem": problem,
        "rows": [
            {
                "ip": row.ip,
                "scope": row.scope,
                "total": row.total,
                "states": [row.by_state.get(state, 0) for state in columns],
                "other": row.total - sum(row.by_state.get(state, 0) for state in columns),
                "local_ports": row.local_ports,
                "url": _connections_url(request, host, remote_ip=row.ip),
            }
            for row in rows
        ],
        "most": most,
        "hints": names.hints(row.ip for row in rows),
        "state_columns": columns,
        "has_other": sum(row.total for row in rows) > sum(totals[state] for state in columns),
        "scopes": SCOPES,
        "scope": scope,
        "csv_url": _peers_csv(request, host, context["shown"]) if rows else "",
        "limits": PEER_LIMITS,
        "limit": limit,
    }
    return render(request, "probes/host_peers.html", context, status=400 if problem else 200)


@require(Role.VIEWER)
@require_safe
def states(request: HttpRequest, pk: int) -> HttpResponse:
    """How many sockets are in which state, and how that went over time."""
    host = hostpage.get(request, pk, removed=True)
    context, problem = _at_a_moment(request, host, tab="host_states")
    by = request.GET.get("by", "") or "state"
    try:
        _one_of("by", by, [name for name, _label in BYS])
    except FilterError as error:
        problem, by = error, "state"
    shown = context["shown"]
    chart = charts.context(
        request,
        url=f"{reverse('api-statistics-timeline')}?{urlencode({'host': host.pk, 'by': by})}",
        at_url=with_query(request, at=None),
        until=shown.taken_at if shown is not None and context["moment"].past else None,
        choices=[(label, with_query(request, by=name), name == by) for name, label in BYS],
        words=SERIES_WORDS,
    )
    counts = [] if shown is None else statistics.states(sql.of_host(host, shown))
    stateless = next((row.sockets for row in counts if row.state is None), 0)
    context |= {
        "problem": problem or chart["problem"],
        "chart": chart,
        "rows": [
            (row.state, row.sockets, _connections_url(request, host, state=row.state))
            for row in counts
            if row.state is not None
        ],
        "stateless": stateless,
        "protocols": sorted(shown.by_protocol.items(), key=lambda item: -item[1]) if shown else [],
    }
    return render(
        request, "probes/host_states.html", context, status=400 if context["problem"] else 200
    )


@require(Role.VIEWER)
@require_safe
def probes(request: HttpRequest, pk: int) -> HttpResponse:
    """Every probe of the host, newest first: outcome, duration, what changed."""
    host = hostpage.get(request, pk, removed=True)
    context = hostpage.context(request, host, tab="host_probes")
    outcome = request.GET.get("outcome", "")
    problem: FilterError | None = None
    rows: Sequence[Snapshot] = ()
    following: str | None = None
    try:
        if outcome:
            _one_of("outcome", outcome, Outcome.values)
        page = queries.snapshots(
            host,
            cursor=request.GET.get("cursor") or None,
            limit=PROBES_PER_PAGE,
            outcome=outcome or None,
        )
        rows, following = page.rows, page.next
    except FilterError as error:
        problem = error
    context |= {
        "problem": problem,
        "rows": [(snapshot, _explanation(snapshot.code)) for snapshot in rows],
        "outcomes": Outcome.choices,
        "csv_url": reverse("api-host-snapshots", args=[host.pk])
        + f"?{urlencode({'outcome': outcome, 'format': 'csv'} if outcome else {'format': 'csv'})}",
        "outcome": outcome,
        "next_url": with_query(request) + f"&cursor={following}" if following else "",
        "first_page_url": with_query(request) if "cursor" in request.GET else "",
    }
    return render(request, "probes/host_probes.html", context, status=400 if problem else 200)


def _at_a_moment(
    request: HttpRequest, host: Host, *, tab: str
) -> tuple[dict[str, Any], FilterError | None]:
    """The host page's context and that of the moment it looks at."""
    newest = hostpage.newest_whole(host)
    problem: FilterError | None = None
    try:
        at_moment = moments.read(host, request.GET, newest=newest)
    except FilterError as error:
        problem = error
        at_moment = moments.read(host, {}, newest=newest)
    context = hostpage.context(request, host, tab=tab)
    context |= hostpage.time_context(request, host, at_moment)
    context["problem"] = problem
    return context, problem


def _one_of(field: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise FilterError(field, _("One of %(names)s.") % {"names": ", ".join(allowed)})


def _searchable(row: queries.PortRow) -> str:
    return f"{row.local_port} {row.program or ''} {row.local_ip} {row.protocol}".casefold()


def _connections_url(request: HttpRequest, host: Host, **filters: str) -> str:
    query = {name: value for name, value in filters.items() if value}
    at = request.GET.get("at", "")
    if at:
        query["at"] = at
    return f"{reverse('host', args=[host.pk])}?{urlencode(query)}"


def _peers_csv(request: HttpRequest, host: Host, shown: Snapshot) -> str:
    names = (*SocketFilter.model_fields, "scope", "limit")
    query = {name: request.GET[name] for name in names if request.GET.get(name)}
    query |= {"host": str(host.pk), "format": "csv"}
    if request.GET.get("at"):
        query["at"] = moments.stamp(shown.taken_at)
    return f"{reverse('api-statistics-ips')}?{urlencode(query)}"


def _explanation(code: str) -> tuple[str, str]:
    if not code:
        return ("", "")
    return EXPLANATIONS[Code(code)]
