"""The network report of one host, one group or all hosts: to read, to print, as CSV and JSON.

Place in the data's way: shapes ``probes.reports.composition`` and ``probes.reports.tables``; which
hosts and when is ``probes.views.place``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from netadmin import csvfile, envelope
from netadmin.access.models import Role
from netadmin.access.permissions import require
from probes.filters import FilterError
from probes.reports import composition as reports
from probes.reports import files as report_files
from probes.reports import glance, layout
from probes.reports import tables as report_tables
from probes.reports.tables import Column, Table
from probes.templatetags.ui import exact
from probes.views import place
from probes.views.hostpage import with_query
from probes.views.place import Place

LIMITS: Final = ("10", "20", "50", "100")
FORMATS: Final = ("html", "csv", "json")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table as the page shows it."""

    text: str
    url: str
    css: str


@dataclass(frozen=True, slots=True)
class Section:
    """One table as the page shows it."""

    table: Table
    columns: Sequence[tuple[str, str]]
    """(heading, CSS)"""
    rows: Sequence[Sequence[Cell]]
    more: int
    """Rows that only CSV and JSON have."""


@require(Role.VIEWER)
@require_safe
def report(request: HttpRequest) -> HttpResponseBase:
    """The report; ``format=csv`` and ``format=json`` are the same rows."""
    problem: FilterError | None = None
    wanted, limit = "html", str(reports.LIMIT)
    try:
        here = place.read(request)
        wanted = _one_of(request, "format", FORMATS, wanted)
        limit = _one_of(request, "limit", LIMITS, limit)
    except FilterError as error:
        problem, here = error, place.everywhere(request)
    if problem is not None:
        return render(
            request,
            "probes/report.html",
            {"problem": problem, "limits": LIMITS, "limit": limit, "chapters": [], "asked": {}}
            | place.context(request, here),
            status=400,
        )
    made = reports.compose(
        here.hosts, host=here.host, group=here.group, at=here.at, limit=int(limit)
    )
    chapters = layout.lay_out(made)
    if wanted == "csv":
        return csvfile.answer(
            report_files.name(made), report_files.header(chapters), report_files.rows(chapters)
        )
    if wanted == "json":
        return envelope.answer(report_files.data(made, chapters))
    context = {
        "problem": None,
        "report": made,
        "subject": layout.subject(made),
        "unknown": glance.unknown_hosts(made),
        "chapters": [
            (chapter, [_section(table, here) for table in chapter.tables]) for chapter in chapters
        ],
        "asked": here.parameters(),
        "limits": LIMITS,
        "limit": limit,
        "csv_url": with_query(request, format="csv"),
        "json_url": with_query(request, format="json"),
        "mail_url": reverse("report_mailing_add")
        + f"?{urlencode(here.parameters(('host', 'group')))}",
    }
    return render(request, "probes/report.html", context | place.context(request, here))


def _one_of(request: HttpRequest, name: str, allowed: Sequence[str], usual: str) -> str:
    value = request.GET.get(name, "").strip() or usual
    if value not in allowed:
        raise FilterError(name, _("One of %(names)s.") % {"names": ", ".join(allowed)})
    return value


def _section(table: Table, here: Place) -> Section:
    rows = table.rows[: report_tables.LISTED_HOSTS] if table.each_host else table.rows
    return Section(
        table,
        [(column.label, "na-num" if column.numeric else "") for column in table.columns],
        [
            [_cell(column, value, here) for column, value in zip(table.columns, row, strict=True)]
            for row in rows
        ],
        len(table.rows) - len(rows),
    )


def _cell(column: Column, value: Any, here: Place) -> Cell:
    text = report_tables.in_words(column.kind, value, time=exact)
    if value is None:
        return Cell(text, "", "na-zero" + (" na-num" if column.numeric else ""))
    css = "na-num" if column.numeric else ""
    if column.numeric and value == 0:
        css = "na-num na-zero"
    elif column.kind in ("ip", "address"):
        css = "na-mono"
    elif column.kind in ("time", "host"):
        css = "na-nowrap"
    elif column.kind in ("program", "text"):
        css = "na-break-words"
    return Cell(text, _pivot(column, value, here), css)


def _pivot(column: Column, value: Any, here: Place) -> str:
    """Where a value leads: who talks to an address, where a program ran, who holds a port."""
    if column.kind == "host":
        at = here.parameters(("at",))
        return reverse("host", args=[value.pk]) + (f"?{urlencode(at)}" if at else "")
    if column.kind == "ip" and value != reports.CUT_SHORT:
        return _hunt(ip=str(value).partition("%")[0])
    if column.kind == "program":
        return _hunt(program=value)
    if column.kind == "port" and value:
        return f"{reverse('ports')}?{urlencode({'port': str(value)} | here.parameters(('at',)))}"
    return ""


def _hunt(**query: str) -> str:
    return f"{reverse('hunt')}?{urlencode(query)}"
