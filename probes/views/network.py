"""The other tables of a host: routes, interfaces, protocol counters, multicast groups.

Place in the data's way: shapes ``queries.network`` for the templates. Each table has its own
times, since it is taken less often than the sockets: the walk through time goes along those, and
the page says of when each table is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError, parse
from probes.history import queries
from probes.history import tables as stored
from probes.history.queries import network, network_rows
from probes.models import TableStatus
from probes.observation import Code, Table, table_explanation
from probes.parsers.lines import visible
from probes.parsers.records import Route
from probes.table_filters import RouteFilter, TableFilter
from probes.views import charts, hostpage
from probes.views import moment as moments
from probes.views.hostpage import with_query
from probes.views.network_pages import (
    PAGES,
    ROUTE_EXTRAS,
    TRAFFIC,
    TRAFFIC_WORDS,
    Page,
)

PER_PAGE = 200
SLIDER_POINTS = 120
"""How many times the slider spans on either side."""
PRINTED_LINES = 200
PRINTED_LINE_CHARS = 1_000
"""Of the output of a table that was not understood, as far as it is shown."""
OWN_PARAMETERS = ("table", "at", "sort", "page", "chart", "by", "span")


@dataclass(frozen=True, slots=True)
class _At:
    """A time of the walk, with the name that ``probes/_time.html`` reads."""

    taken_at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Moment:
    """The moment of a table, as ``probes/_time.html`` reads it."""

    asked: dt.datetime | None
    before: list[dt.datetime] = field(default_factory=list)
    """Times at which the table was another, or was taken, up to the moment; rising."""
    after: list[dt.datetime] = field(default_factory=list)

    @property
    def past(self) -> bool:
        """Whether a time was asked for."""
        return self.asked is not None

    @property
    def first(self) -> _At | None:
        """The oldest time there is, where nothing is known of the time asked."""
        return _At(self.after[0]) if self.after and not self.before else None


@require(Role.VIEWER)
@require_safe
def tables(request: HttpRequest, pk: int) -> HttpResponse:
    """One of the other tables of a host, ``?table=``: filtered, sorted, as of any time."""
    host = hostpage.get(request, pk, removed=True)
    problem: FilterError | None = None
    table, asked = Table.ROUTES, None
    try:
        table = _table(request.GET.get("table", "") or Table.ROUTES.value)
        asked = moments.parse(request.GET.get("at", ""))
    except FilterError as error:
        problem = error
    page = PAGES[table]
    reading = network.READERS[table](host, at=asked)
    rows: list[Any] = []
    wanted: TableFilter | None = None
    if problem is None:
        try:
            wanted = parse(page.filters, request.GET, ignore=OWN_PARAMETERS)
            rows = network_rows.ordered(
                network_rows.matching(reading.rows, wanted), table, request.GET.get("sort", "")
            )
        except FilterError as error:
            problem = error
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = hostpage.context(request, host, tab="host_network")
    context |= _time_context(request, host, table, asked, reading)
    context |= {
        "problem": problem,
        "table": table.value,
        "table_label": page.label,
        "tables": _tables(request, reading),
        "reading": reading,
        "failure": None if asked is not None else _failure(reading.status),
        "printed": None if asked is not None else _printed(host, reading.status),
        "fields": [
            {**item, "bad": problem is not None and problem.field == item["name"]}
            for item in page.fields(request.GET, reading.rows)
        ],
        "filtered": wanted is not None and bool(wanted.parameters()),
        "clear_url": with_query(request, **dict.fromkeys(page.filters.model_fields)),
        "kept": _kept(request, page),
        "columns": _columns(request, page),
        "rows": shown.object_list,
        "page": shown,
        "next_url": (
            f"{with_query(request)}&page={shown.next_page_number()}" if shown.has_next() else ""
        ),
        "first_page_url": with_query(request) if shown.has_previous() else "",
        "csv_url": _csv_url(request, host, page, wanted, reading) if rows else "",
        "waiting_hint": _waiting_hint(),
        "never": settings.PROBE_TABLES_MINUTES <= 0,
    }
    if table is Table.ROUTES:
        asks_way = isinstance(wanted, RouteFilter) and wanted.ip is not None
        context |= _routes(list(shown), best=rows[0] if asks_way and rows else None)
    elif table is Table.INTERFACES:
        try:
            context |= _chart(request, host, reading)
        except FilterError as error:
            context["problem"] = error
        context["rows"] = [
            (row, with_query(request, chart=row.interface.name)) for row in shown.object_list
        ]
    status = 400 if context["problem"] else 200
    return render(request, "probes/host_network.html", context, status=status)


def _table(name: str) -> Table:
    try:
        return Table(name)
    except ValueError:
        words = ", ".join(table.value for table in Table)
        raise FilterError("table", _("One of %(names)s.") % {"names": words}) from None


def _time_context(
    request: HttpRequest,
    host: Host,
    table: Table,
    asked: dt.datetime | None,
    reading: queries.Reading[Any],
) -> dict[str, Any]:
    """What ``probes/_time.html`` needs, along the times of this table."""
    before, after = network.times(host, table, until=asked, limit=SLIDER_POINTS)
    moment = _Moment(asked, before, after)
    newest = after[-1] if after else before[-1] if before else None
    all_known = len(after) < SLIDER_POINTS

    def link(when: dt.datetime | None) -> str:
        return with_query(request, at=moments.stamp(when) if when else None)

    def to(when: dt.datetime) -> str:
        return link(None if all_known and when == newest else when)

    shown = None if reading.taken_at is None else _At(reading.taken_at)
    return {
        "moment": moment,
        "shown": shown,
        "previous_url": link(before[-2]) if len(before) > 1 else "",
        "following_url": to(after[0]) if before and after else "",
        "first_url": link(moment.first.taken_at) if moment.first else "",
        "now_url": link(None),
        "at_value": moments.field_value(asked or (shown.taken_at if shown else timezone.now())),
        "kept_fields": [
            (name, value)
            for name, value in request.GET.dict().items()
            if value and name not in {"at", "page"}
        ],
        "slider": {
            "base": link(None),
            "current": max(0, len(before) - 1),
            "points": [
                [
                    f"{timezone.localtime(when):%m-%d %H:%M:%S}",
                    "" if all_known and when == newest else moments.stamp(when),
                ]
                for when in (*before, *after)
            ],
        },
    }


def _tables(request: HttpRequest, reading: queries.Reading[Any]) -> list[dict[str, Any]]:
    """The links between the tables; each keeps the time, no filter."""
    at = request.GET.get("at", "")
    kept = {"at": at} if at else {}
    return [
        {
            "label": page.label,
            "url": f"?{urlencode({'table': table.value, **kept})}",
            "current": table is reading.table,
            "count": reading.printed if table is reading.table and reading.taken_at else None,
        }
        for table, page in PAGES.items()
    ]


def _failure(status: TableStatus | None) -> dict[str, Any] | None:
    """Why the newest attempt gave no table, and the fix."""
    if status is None or not status.code:
        return None
    title, hint = table_explanation(Code(status.code))
    return {
        "title": title,
        "hint": hint,
        "detail": status.detail,
        "at": status.attempted_at,
        "since": status.failing_since,
    }


def _printed(host: Host, status: TableStatus | None) -> dict[str, Any] | None:
    """What the host printed where it was not understood to the last line, as far as it is kept."""
    if status is None or not (status.code or status.rejected):
        return None
    kept = stored.text(host, Table(status.table))
    if kept is None:
        return None
    lines = stored.printed(kept).rstrip("\n").split("\n")
    shown = lines[:PRINTED_LINES]
    cut = len(lines) > PRINTED_LINES or kept.size_bytes > stored.MAX_TEXT_BYTES
    # A tab is no danger, and keeps columns apart.
    return {
        "text": "\n".join(
            "\t".join(map(visible, line[:PRINTED_LINE_CHARS].split("\t"))) for line in shown
        ),
        "taken_at": kept.taken_at,
        "size_bytes": kept.size_bytes,
        "cut": cut or any(len(line) > PRINTED_LINE_CHARS for line in shown),
    }


def _waiting_hint() -> str:
    minutes = settings.PROBE_TABLES_MINUTES
    if minutes <= 0:
        return _("These tables are not taken: the setting PROBE_TABLES_MINUTES is 0.")
    return ngettext(
        "The next whole probe brings the first, then one comes every minute.",
        "The next whole probe brings the first, then one comes every %(minutes)s minutes.",
        minutes,
    ) % {"minutes": minutes}


def _kept(request: HttpRequest, page: Page) -> list[tuple[str, str]]:
    """Parameters that the filter form does not ask for and must not lose."""
    asked = {*page.filters.model_fields, "page"}
    given = request.GET.dict().items()
    return [(name, str(value)) for name, value in given if value and name not in asked]


def _columns(request: HttpRequest, page: Page) -> list[dict[str, Any]]:
    """The headings, each a link that sorts; the second click turns the order round."""
    current = request.GET.get("sort", "")
    shaped = []
    for column in page.columns:
        first = f"-{column.sort}" if column.largest_first else column.sort
        second = column.sort if column.largest_first else f"-{column.sort}"
        active = bool(column.sort) and current in (first, second)
        shaped.append(
            {
                "label": column.label,
                "css": column.css,
                "order": "" if not active else "descending" if current[0] == "-" else "ascending",
                "url": (
                    with_query(request, sort=second if current == first else first)
                    if column.sort
                    else ""
                ),
            }
        )
    return shaped


def _routes(rows: Sequence[Route], *, best: Route | None) -> dict[str, Any]:
    """Routes with the further columns that have something to show; ``best`` is the way taken."""
    extras = [
        extra
        for extra in ROUTE_EXTRAS
        if any(getattr(row, extra[0]) not in (None, "unicast") for row in rows)
    ]
    return {
        "extras": extras,
        "rows": [
            (row, [(getattr(row, name), css) for name, _label, css in extras], row is best)
            for row in rows
        ],
    }


def _csv_url(
    request: HttpRequest,
    host: Host,
    page: Page,
    wanted: TableFilter | None,
    reading: queries.Reading[Any],
) -> str:
    query = {} if wanted is None else wanted.parameters()
    if request.GET.get("sort"):
        query["sort"] = request.GET["sort"]
    if request.GET.get("at") and reading.taken_at is not None:
        query["at"] = moments.stamp(reading.taken_at)
    query["format"] = "csv"
    return f"{reverse(page.api, args=[host.pk])}?{urlencode(query)}"


def _chart(
    request: HttpRequest, host: Host, reading: queries.Reading[queries.InterfaceRow]
) -> dict[str, Any]:
    """The chart of one interface: the one asked for, or the one with most traffic."""
    by = _choice(request, "by", TRAFFIC, usual="bytes")
    names = {row.interface.name for row in reading.rows}
    chosen = request.GET.get("chart", "")
    shown = chosen if chosen in names else _busiest(reading.rows)
    if not shown:
        return {}
    query = {"host": host.pk, "interface": shown, "by": by}
    chart = charts.context(
        request,
        url=f"{reverse('api-statistics-interfaces')}?{urlencode(query)}",
        title=_("%(name)s over time") % {"name": shown},
        usual_span="86400",
        until=reading.taken_at if request.GET.get("at") else None,
        choices=[
            (label, with_query(request, by=name), name == by)
            for name, (label, _unit) in TRAFFIC.items()
        ],
        unit=TRAFFIC[by][1],
        words=TRAFFIC_WORDS,
        empty=_(
            "Nothing to draw yet: the chart needs three samples of this interface, or the host "
            "tells no such counters."
        ),
        note=_(
            "Per second, as the mean since the sample before. A gap is a time without samples, or "
            "a counter that went back: a restart, for instance."
        ),
    )
    if chart["problem"] is not None:
        raise chart["problem"]
    return {"chart": chart}


def _choice(request: HttpRequest, name: str, allowed: Collection[str], *, usual: str) -> str:
    value = request.GET.get(name, "") or usual
    if value not in allowed:
        raise FilterError(name, _("One of %(names)s.") % {"names": ", ".join(allowed)})
    return value


def _busiest(rows: Sequence[queries.InterfaceRow]) -> str:
    def traffic(row: queries.InterfaceRow) -> tuple[bool, float, float]:
        rates, it = row.rates, row.interface
        return (
            "LOOPBACK" not in it.flags and not it.name.startswith("lo"),
            (rates["rx_bytes"] or 0) + (rates["tx_bytes"] or 0),
            float((it.rx_packets or 0) + (it.tx_packets or 0)),
        )

    return max(rows, key=traffic).interface.name if rows else ""
