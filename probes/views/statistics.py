"""The page Statistics: one click each, over any hosts, at any time, with any filter.

Place in the data's way: reads the query, asks ``probes.history.queries.statistics``, and shapes
what comes with ``statistics_tables``. Which statistics there are is in ``statistics_list``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, QueryDict
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
from probes.filters import (
    FilterError,
    Invalid,
    SocketFilter,
    parse,
    single_ports,
    state_names,
    unstorable,
    whole_number,
)
from probes.history.queries import SCOPES, busiest, statistics
from probes.history.queries.pages import Page
from probes.history.queries.statistics_counted import Sum
from probes.payloads import statistics as shapes
from probes.views import charts, sockets, statistics_tables
from probes.views import place as places
from probes.views.hostpage import with_query
from probes.views.place import Place
from probes.views.statistics_list import SECTIONS, SORTS, STATISTICS, USUAL, Kind, Statistic
from probes.views.statistics_tables import SCOPE_WORDS, Links

LIMITS: Final = ("20", "50", "100", "500")
USUAL_PORT: Final = 80
MOST_ROWS: Final = 1000
OWN: Final = ("by", "scope", "port", "ports", "limit", "sort", "format", "span")
"""Parameters of the page besides the place and the filters."""
SERIES_WORDS: Final = {
    "total": gettext_lazy("sockets"),
    "listeners": gettext_lazy("listeners"),
    **SCOPE_WORDS,
}
CSV: Final[Mapping[Kind, tuple[Sequence[str], Callable[..., dict[str, Any]]]]] = {
    "ips": (shapes.IP, shapes.ip),
    "ends": (shapes.END, shapes.end),
    "ports": (shapes.LOCAL_PORT, shapes.local_port),
    "programs": (shapes.PROGRAM, shapes.program),
    "states": (shapes.STATE, shapes.state),
    "protocols": (shapes.PROTOCOL, shapes.protocol),
    "common": (shapes.COMMON_PORT, shapes.common_port),
    "scopes": (shapes.SCOPE, shapes.scope),
    "list": (shapes.SOCKET, shapes.socket),
    "traffic": (shapes.BUSY_INTERFACE, shapes.busy_interface),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query says besides the place."""

    statistic: Statistic
    filters: SocketFilter
    scope: str
    port: int
    ports: tuple[int, ...]
    limit: int
    sort: str


@require(Role.VIEWER)
@require_safe
def page(request: HttpRequest) -> HttpResponseBase:
    """One statistic: its table, its chart, and the list of the others; ``format=csv`` too."""
    problem: FilterError | None = None
    try:
        here = places.read(request)
    except FilterError as error:
        problem, here = error, places.everywhere(request)
    asked = _usual(STATISTICS.get(request.GET.get("by", ""), STATISTICS[USUAL]))
    found: Page[Any] = Page([], total=0)
    try:
        asked = _read(request)
        if problem is None and request.GET.get("format") == "csv":
            return _csv(asked, here)
        if problem is None:
            found = _page(asked, here, cursor=request.GET.get("cursor") or None)
    except FilterError as error:
        problem = problem or error
    rows = found.rows
    hosts = _names(asked, rows)
    chart = _chart(request, asked, here)
    problem = problem or (None if chart is None else chart["problem"])
    table = statistics_tables.table(
        request,
        asked.statistic,
        Links(request, here, asked.statistic),
        rows,
        **_more(asked, hosts),
    )
    context = {
        "problem": problem,
        "asked": asked,
        "statistic": asked.statistic,
        "sections": [
            (section.label, [(each, _link(request, each)) for each in section.statistics])
            for section in SECTIONS
        ],
        "table": table,
        "total": found.total,
        "next_url": (
            with_query(request) + f"&{urlencode({'cursor': found.next})}" if found.next else ""
        ),
        "first_page_url": with_query(request) if request.GET.get("cursor") else "",
        "hints": names.hints(table.ips),
        "chart": chart,
        "bar": _bar(request, asked, problem),
        "scopes": [("all", _("all addresses")), *SCOPE_WORDS.items()],
        "limits": LIMITS,
        "limit": str(asked.limit),
        "ports_text": ",".join(map(str, asked.ports)),
        "csv_url": with_query(request, format="csv") if rows else "",
        "json_url": _json_url(request, asked, here),
        **places.context(request, here),
    }
    return render(request, "probes/statistics.html", context, status=400 if problem else 200)


# --- what was asked -------------------------------------------------------------------------------


def _read(request: HttpRequest) -> Asked:
    """The query of this page; FilterError."""
    query = request.GET
    name = query.get("by", "").strip() or USUAL
    _one_of("by", name, STATISTICS)
    usual = _usual(STATISTICS[name])
    statistic = usual.statistic
    scope = query.get("scope", "").strip()
    if scope:
        _one_of("scope", scope, SCOPES)
        if scope != "all" and not (statistic.has_scope or statistic.scope == scope):
            raise FilterError("scope", _("This statistic has no choice of it. Leave it out."))
    limit = query.get("limit", "").strip() or LIMITS[0]
    _one_of("limit", limit, LIMITS)
    if query.get("format", "").strip() not in ("", "csv"):
        raise FilterError("format", _("Give csv, or leave it out."))
    return Asked(
        statistic,
        _filters(request, statistic),
        scope=scope or usual.scope,
        port=_port(query.get("port", "").strip()) or usual.port,
        ports=_ports(query.get("ports", "").strip()) or usual.ports,
        limit=int(limit) if statistic.has_limit else MOST_ROWS,
        sort=_sort(query.get("sort", "").strip(), statistic),
    )


def _usual(statistic: Statistic) -> Asked:
    return Asked(
        statistic,
        SocketFilter.model_validate(dict(statistic.fixed)),
        scope=statistic.scope or "all",
        port=USUAL_PORT,
        ports=settings.COMMON_PORTS,
        limit=int(LIMITS[0]) if statistic.has_limit else MOST_ROWS,
        sort=statistic.sort,
    )


def _filters(request: HttpRequest, statistic: Statistic) -> SocketFilter:
    """The filters of the query, with those that belong to the statistic."""
    query: QueryDict = request.GET.copy()
    for name, value in statistic.fixed.items():
        given = query.get(name, "").strip()
        if given and given.upper() != value.upper():
            raise FilterError(
                name, _("This statistic is of %(value)s. Leave it out.") % {"value": value}
            )
        query[name] = value
    if statistic.on_port and query.get("local_port", "").strip():
        raise FilterError("local_port", _("This statistic is of one port: give port instead."))
    ignore: tuple[str, ...] = (*OWN, *places.PARAMETERS, "cursor")
    if not statistic.has_filters:
        ignore = (*ignore, *SocketFilter.model_fields)
    return parse(SocketFilter, query, ignore=ignore)


def _one_of(field: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise FilterError(field, _("One of %(names)s.") % {"names": ", ".join(allowed)})


def _port(text: str) -> int | None:
    try:
        return whole_number(text, least=1, most=65535) if text else None
    except Invalid as error:
        raise FilterError("port", error.message) from None


def _ports(text: str) -> tuple[int, ...]:
    try:
        return single_ports(text[:1000]) if text else ()
    except Invalid as error:
        raise FilterError("ports", error.message) from None


def _sort(text: str, statistic: Statistic) -> str:
    if not text:
        return statistic.sort
    plain = text if statistic.kind == "traffic" else text.removeprefix("-")
    sorts = SORTS.get(statistic.kind, ())
    if unstorable(text) or plain not in sorts:
        listed = ", ".join(sorts)
        raise FilterError(
            "sort",
            _("Give one of: %(words)s.") % {"words": listed}
            if sorts
            else _("This statistic has one order. Leave it out."),
        )
    return text


# --- what comes -----------------------------------------------------------------------------------


def _page(asked: Asked, here: Place, *, cursor: str | None) -> Page[Any]:
    """The rows shown, and how many there are."""
    kind, scope = asked.statistic.kind, here.scope
    if kind == "list":
        if scope is None:
            return Page([], total=0)
        return statistics.listed_page(
            scope,
            filters=asked.filters,
            where=asked.scope,
            of=str(here.parameters()),
            cursor=cursor,
            limit=asked.limit,
        )
    rows = _rows(asked, here, asked.limit + 1)
    shown, total = rows[: asked.limit], len(rows)
    if total <= asked.limit or scope is None:
        return Page(shown, total=total)
    if kind not in _TOPS:
        return Page(shown)
    port = asked.port if asked.statistic.on_port else None
    total = statistics.number_of(
        cast("Sum", kind), scope, filters=asked.filters, where=asked.scope, port=port
    )
    return Page(shown, total=total)


def _csv(asked: Asked, here: Place) -> HttpResponseBase:
    """All rows of the filter, whatever part of them the page shows."""
    columns, shaped = CSV[asked.statistic.kind]
    name = f"statistics-{asked.statistic.name}"
    if asked.statistic.kind != "list":
        return payloads.csv(name, columns, map(shaped, _rows(asked, here, statistics.EVERY_ROW)))
    scope = here.scope
    every = (
        ()
        if scope is None
        else statistics.every_listed(scope, filters=asked.filters, where=asked.scope)
    )
    hosts = dict(here.hosts.values_list("pk", "name"))
    return payloads.csv(name, columns, (shaped(row, hosts) for row in every))


def _rows(asked: Asked, here: Place, limit: int) -> list[Any]:
    """The first ``limit`` rows of what is no list of sockets."""
    kind = asked.statistic.kind
    if kind == "traffic":
        return [*busiest.interfaces(here.hosts, at=here.at, sort=asked.sort, limit=limit)]
    scope = here.scope
    if scope is None:
        return []
    if kind in _TOPS:
        more: dict[str, Any] = {"limit": limit, "where": asked.scope, "sort": asked.sort}
        if asked.statistic.on_port:
            return [*statistics.ip_on_port(scope, asked.port, filters=asked.filters, **more)]
        return _TOPS[kind](scope, filters=asked.filters, **more)
    if kind == "common":
        return [*statistics.common_ports(scope, asked.ports, filters=asked.filters)]
    return _TOTALS[kind](scope, filters=asked.filters)


_TOPS: Final[Mapping[Kind, Callable[..., list[Any]]]] = {
    "ips": statistics.remote_ips,
    "ends": statistics.remote_ends,
    "ports": statistics.local_ports,
    "programs": statistics.programs,
}
_TOTALS: Final[Mapping[Kind, Callable[..., list[Any]]]] = {
    "states": statistics.states,
    "protocols": statistics.protocols,
    "scopes": statistics.scopes,
}


def _names(asked: Asked, rows: Iterable[Any]) -> dict[int, str]:
    """The names of the hosts of a list's rows, by id."""
    if asked.statistic.kind != "list":
        return {}
    ids = {row.host_id for row in rows}
    return dict(Host.objects.filter(pk__in=ids).values_list("pk", "name"))


def _more(asked: Asked, hosts: dict[int, str]) -> dict[str, Any]:
    """What the table of this kind needs besides its rows."""
    if asked.statistic.kind == "list":
        return {"names": hosts}
    if asked.statistic.kind == "traffic":
        return {"sort": asked.sort}
    return {"port": asked.port} if asked.statistic.on_port else {}


def _chart(request: HttpRequest, asked: Asked, here: Place) -> dict[str, Any] | None:
    """The same over time; None for what has no chart."""
    it = asked.statistic
    if it.timeline:
        route, query = "api-statistics-timeline", {"by": it.timeline}
    elif it.trend:
        route, query = "api-statistics-trend", dict(it.trend)
    else:
        return None
    if it.on_port:
        query["port"] = str(asked.port)
    if query["by"] == "ip" and asked.filters.remote_ip and "/" not in asked.filters.remote_ip:
        query["key"] = asked.filters.remote_ip
    query |= here.parameters(["host", "group"])
    note = _chart_note(asked, query)
    return charts.context(
        request,
        url=f"{reverse(route)}?{urlencode(query)}",
        at_url=with_query(request, at=None),
        usual_span="86400",
        until=here.at,
        note=note,
        words=SERIES_WORDS,
        empty=_("Nothing to draw yet: each hour is summed up when it is over."),
    )


def _chart_note(asked: Asked, query: dict[str, str]) -> str:
    """What the chart is of, where the list above it is filtered; what a trend can be narrowed by is
    put into its ``query``."""
    it, filters = asked.statistic, asked.filters
    said = set(filters.parameters()) - set(it.fixed)
    handed: list[str] = []
    if it.trend and "state" in said and "state" not in query:
        states = state_names(filters.state or "")
        if len(states) == 1:
            query["state"] = states[0]
            handed.append(states[0])
            said.remove("state")
    if it.trend and query["by"] in ("ip", "port", "port_ip") and "local_port" in said:
        port = (filters.local_port or "").strip()
        if port.isascii() and port.isdigit() and 1 <= int(port) <= 65535:
            query["port"] = str(int(port))
            handed.append(_("local port %(port)s") % {"port": int(port)})
            said.remove("local_port")
    if "key" in query:
        said.discard("remote_ip")
    alike = not said and asked.scope in ("all", it.scope)
    if handed:
        words = {"what": ", ".join(handed)}
        if alike:
            return _("The chart is narrowed like the list: %(what)s.") % words
        return _("The chart is narrowed to %(what)s, not by the other filters.") % words
    if alike:
        return ""
    return _("The chart is of all sockets of these hosts, whatever is filtered above.")


# --- what is shown --------------------------------------------------------------------------------


def _link(request: HttpRequest, statistic: Statistic) -> str:
    """Another statistic of the same place and filters, without what belongs to this one."""
    fits = {*places.PARAMETERS, "limit", "span", *SocketFilter.model_fields} - {
        *statistic.fixed,
        "state",
        *(["local_port"] if statistic.on_port else []),
    }
    query = {name: value for name in fits if (value := request.GET.get(name, "").strip())}
    return "?" + urlencode({"by": statistic.name, **dict(sorted(query.items()))})


def _bar(request: HttpRequest, asked: Asked, problem: FilterError | None) -> dict[str, Any]:
    """The fields of the filters that are left to choose."""
    bar = sockets.bar(request, problem)
    hidden = {*asked.statistic.fixed} | ({"local_port"} if asked.statistic.on_port else set())
    fields = [field for field in bar["fields"] if field["name"] not in hidden]
    return {
        "fields": fields if asked.statistic.has_filters else [],
        "more_used": any(field["value"] and not field["main"] for field in fields),
        "filtered": any(field["value"] for field in fields),
        "clear_url": with_query(
            request, scope=None, **dict.fromkeys(field["name"] for field in fields)
        ),
        "kept": [
            (name, value)
            for name in ("by", *places.PARAMETERS, "sort", "span")
            if (value := request.GET.get(name, "").strip())
        ],
    }


def _json_url(request: HttpRequest, asked: Asked, here: Place) -> str:
    """The JSON route that gives the same rows."""
    it = asked.statistic
    query: dict[str, str] = {**here.parameters(), **asked.filters.parameters()}
    if it.has_limit:
        query["limit"] = str(asked.limit)
    if asked.scope != "all":
        query["scope"] = asked.scope
    if it.on_port:
        query["local_port"] = str(asked.port)
    if it.kind == "common":
        query["ports"] = ",".join(map(str, asked.ports))
    if it.kind in SORTS:
        query["sort"] = asked.sort
    routes: dict[Kind, str] = {"common": "common-ports", "list": "connections"}
    return f"{reverse(f'api-statistics-{routes.get(it.kind, it.kind)}')}?{urlencode(query)}"
