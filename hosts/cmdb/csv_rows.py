"""Rows of a CSV: bytes in, rows out.

Place in the data's way: under ``hosts.cmdb.reading``. Pure. RFC 4180, also with semicolons or
tabs, as spreadsheets write it. The columns are those of ``rows.FIELDS`` or those that the source
maps them from:

    asset,hostname,ip,ssh
    4711,web-1,10.0.0.11,22
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from hosts.cmdb.rows import FIELDS, Listed, Unreadable, collect, decode

REQUIRED = ("name", "address")


def read(data: bytes, *, columns: Mapping[str, str], whole: bool) -> Listed:
    """The hosts of a table; ``columns`` maps names of FIELDS to column headings.

    ``whole`` says that the transport proved the end; else the last line must be ended, or it
    might be cut. A line with more or fewer cells than the heading makes the table unreadable:
    shifted cells would change every host. Raises :class:`Unreadable`.
    """
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise Unreadable("empty")
    if not whole and not text.endswith("\n"):
        raise Unreadable("truncated", line=text.count("\n") + 1)
    return collect(_rows(text, columns))


def _rows(text: str, columns: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = io.StringIO(text, newline="\n")  # not all at once: there may be millions
    header = next(line for line in lines if line.strip())
    delimiter = max((",", ";", "\t"), key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    places: dict[str, int] | None = None
    width, line = 0, 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if places is None:
                places, width = _places(cells, columns), len(cells)
            elif len(cells) != width:
                raise Unreadable("cells", line=first, cells=len(cells), columns=width)
            else:
                yield str(first), {name: cells[place] for name, place in places.items()}
    except csv.Error as error:
        raise Unreadable("broken", line=line, problem=error) from None


def _places(cells: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Where each field is found."""
    heading = [cell.strip().lower() for cell in cells]
    places: dict[str, int] = {}
    for name in FIELDS:
        wanted = columns.get(name, "" if name == "notes" and columns else name).strip().lower()
        if heading.count(wanted) > 1:
            raise Unreadable("column_twice", column=wanted)
        if wanted in heading:
            places[name] = heading.index(wanted)
        elif name in REQUIRED or columns.get(name):
            raise Unreadable("missing_column", column=wanted)
    return places
