"""The report as JSON and as one CSV.

Place in the data's way: after ``probes.reports.tables``; what the page's downloads, the JSON route
and the mail's attachment are. The names are those of the tables' columns, the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netadmin import csvfile
from probes import payloads
from probes.reports.composition import Report
from probes.reports.tables import Chapter, plain

SECTION = "section"


def data(report: Report, chapters: Sequence[Chapter]) -> dict[str, Any]:
    """The report as JSON: what it is about, and each section by its key with its rows."""
    return {
        "host": None if report.host is None else payloads.host_name(report.host),
        "group": None if report.group is None else report.group.name,
        "at": payloads.time(report.at),
        "made_at": payloads.time(report.made_at),
        "hosts": report.totals.hosts,
        "hosts_known": report.totals.known,
        "limit": report.limit,
        "sections": {
            table.key: {
                "title": table.title,
                "about": table.about,
                "rows": [
                    {
                        column.key: _json(value)
                        for column, value in zip(table.columns, row, strict=True)
                    }
                    for row in table.rows
                ],
            }
            for chapter in chapters
            for table in chapter.tables
        },
    }


def header(chapters: Sequence[Chapter]) -> list[str]:
    """The columns of the CSV: the section, then every name that any section has."""
    names = [
        column.key for chapter in chapters for table in chapter.tables for column in table.columns
    ]
    return [SECTION, *dict.fromkeys(names)]


def rows(chapters: Sequence[Chapter]) -> Iterator[list[Any]]:
    """The lines of the CSV; what a section does not have is empty."""
    places = {name: place for place, name in enumerate(header(chapters))}
    for chapter in chapters:
        for table in chapter.tables:
            for row in table.rows:
                line: list[Any] = [None] * len(places)
                line[0] = table.key
                for column, value in zip(table.columns, row, strict=True):
                    line[places[column.key]] = plain(value)
                yield line


def csv_text(chapters: Sequence[Chapter]) -> str:
    """The whole CSV, cells made inert."""
    return "".join(csvfile.lines(header(chapters), rows(chapters)))


def name(report: Report) -> str:
    """A file name of ASCII letters, without its suffix."""
    about = "all"
    if report.host is not None:
        about = f"host-{report.host.pk}"
    elif report.group is not None:
        about = f"group-{report.group.pk}"
    return f"report-{about}-{report.at or report.made_at:%Y%m%dT%H%M%SZ}"


def _json(value: Any) -> Any:
    told = plain(value)
    return payloads.time(told) if hasattr(told, "astimezone") else told
