"""The report as a mail: subject, text, HTML and the CSV beside them.

Place in the data's way: after ``probes.reports.tables``, before ``probes.reports.sending``, which
sends it. In the language that is active; times in the zone that is. What hosts printed is escaped
in the HTML, kept to one line in the text and the subject, and inert in the CSV.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes.reports import files as report_files
from probes.reports import glance, layout
from probes.reports import tables as report_tables
from probes.reports.composition import Report
from probes.reports.tables import Chapter, Column, Table
from probes.templatetags.ui import exact

MOST_ROWS: Final = 50
"""Rows of a table in the two bodies; the CSV has all of them."""
WIDEST_CELL: Final = 40
"""Characters of a column of the plain text."""
LONGEST_SUBJECT: Final = 150


@dataclass(frozen=True, slots=True)
class Written:
    """A mail but for who gets it."""

    subject: str
    text: str
    html: str
    csv: str
    file_name: str


def write(report: Report, *, name: str) -> Written:
    """The mail of ``report``; ``name`` is that of its schedule."""
    chapters = layout.lay_out(report)
    about = {
        "title": _("Network report: %(subject)s") % {"subject": layout.subject(report)},
        "made": exact(report.at or report.made_at),
        "unknown": glance.unknown_hosts(report),
        "url": _url(report),
        "name": name,
        "hosts": report.totals.known,
        "site": settings.SITE_URL,
    }
    alarms = sum(1 for check in report.checks if check.exceeded)
    subject = f"[netadmin] {about['title']}"
    findings = len(report.troubles.found)
    if findings:
        subject += " · " + ngettext("%(n)d finding", "%(n)d findings", findings) % {"n": findings}
    elif alarms:
        subject += " · " + _("%(n)d above its threshold") % {"n": alarms}
    file_name = f"{report_files.name(report)}.csv"
    shown = [(chapter, [_shown(table) for table in chapter.tables]) for chapter in chapters]
    return Written(
        subject=_line(subject)[:LONGEST_SUBJECT],
        text=_text(about, chapters),
        html=render_to_string("probes/mail/report.html", {**about, "chapters": shown}),
        csv=report_files.csv_text(chapters),
        file_name=file_name,
    )


def _url(report: Report) -> str:
    query: dict[str, Any] = {}
    if report.host is not None:
        query["host"] = report.host.pk
    elif report.group is not None:
        query["group"] = report.group.name
    return f"{settings.SITE_URL}{reverse('report')}" + (f"?{urlencode(query)}" if query else "")


def _shown(table: Table) -> dict[str, Any]:
    rows = table.rows[:MOST_ROWS]
    return {
        "table": table,
        "rows": [
            [
                (_words(column, value), column.numeric)
                for column, value in zip(table.columns, row, strict=True)
            ]
            for row in rows
        ],
        "more": len(table.rows) - len(rows),
    }


def _text(about: dict[str, Any], chapters: Iterable[Chapter]) -> str:
    lines = [_line(about["title"]), about["made"]]
    if about["unknown"]:
        lines.append(about["unknown"])
    lines.append(about["url"])
    for chapter in chapters:
        lines += ["", "", chapter.title, "=" * _width(chapter.title)]
        for table in chapter.tables:
            lines += ["", table.title, "-" * _width(_line(table.title))]
            if table.about:
                lines.append(_line(table.about))
            lines += _rows(table) if table.rows else [table.empty]
    lines += ["", "-- ", _line(_("Sent by netadmin: %(name)s") % {"name": about["name"]})]
    return "\n".join(lines) + "\n"


def _rows(table: Table) -> list[str]:
    """The table in columns, each as wide as its widest cell and no wider than WIDEST_CELL."""
    shown = table.rows[:MOST_ROWS]
    cells = [
        [
            _cut(_line(_words(column, value)))
            for column, value in zip(table.columns, row, strict=True)
        ]
        for row in shown
    ]
    cells.insert(0, [_cut(column.label) for column in table.columns])
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = [_padded(row, widths, table.columns) for row in cells]
    if len(table.rows) > len(shown):
        more = len(table.rows) - len(shown)
        lines.append(_("… and %(n)d more in the attached CSV.") % {"n": more})
    return lines


def _padded(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    parts = []
    for text, width, column in zip(row, widths, columns, strict=True):
        blanks = " " * (width - _width(text))
        parts.append(blanks + text if column.numeric else text + blanks)
    return "  ".join(parts).rstrip()


def _words(column: Column, value: Any) -> str:
    return report_tables.in_words(column.kind, value, time=exact)


def _line(text: str) -> str:
    """Without anything that is no letter, so that it stays one line."""
    return "".join(
        letter if letter.isprintable() or letter == report_tables.THIN_SPACE else "\ufffd"
        for letter in text
    )


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST_CELL else f"{text[: WIDEST_CELL - 1]}…"


def _width(text: str) -> int:
    """Columns of a terminal: Chinese letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
