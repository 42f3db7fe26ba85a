"""A parsed text as tables: CSV rows, columns for people, aligned text, JSON in pieces.

Place in the data's way: after ``probes.parsers.parse``, beside ``probes.parsers.document``, which
says what the names and values of a row are. Before the command ``parse``, the page "Paste netstat
output" and ``POST parse`` of the API. Pure: knows no request, no host, no database.

A table has two forms. Its records are whole: every field, by the names of the JSON. Its
:class:`Sheet` is for people: addresses with their ports, no column that is empty in all rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from probes.parsed_columns import SHAPES, Column, Record
from probes.parsers.lines import printed_width, visible
from probes.parsers.records import Parsed

MAX_CELL_CHARS: Final = 100
"""Of one cell of the aligned text, so that one long name does not push all columns apart."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as people read it. A cell is text; "" is unknown."""

    name: str
    title: str
    """English msgid."""
    columns: list[Column]
    rows: list[list[str]]
    total: int
    """Rows of the table, of which ``rows`` may be the first ones."""

    def lines(self) -> Iterator[list[tuple[Column, str]]]:
        """The rows, each cell with its column."""
        return (list(zip(self.columns, row, strict=True)) for row in self.rows)


def titles() -> dict[str, str]:
    """English msgid of each table's title, by its name, in the order in which they are shown."""
    return {name: shape.title for name, shape in SHAPES.items()}


def found(parsed: Parsed) -> list[str]:
    """Names of the tables the text has, those without a row too."""
    return [name for name in SHAPES if name in parsed.found or SHAPES[name].count(parsed)]


def total(parsed: Parsed, name: str) -> int:
    """How many rows a table has."""
    return SHAPES[name].count(parsed)


def header(name: str) -> tuple[str, ...]:
    """Names of the fields of a table's records."""
    return SHAPES[name].names


def csv_rows(parsed: Parsed, name: str) -> Iterator[list[Any]]:
    """A table's records as cells in the order of :func:`header`.

    What is nested is JSON in its cell, and empty where there is none of it. Making cells inert
    for spreadsheets is the writer's (``netadmin.csvfile``).
    """
    shape = SHAPES[name]
    for record in shape.records(parsed):
        yield [_csv_cell(record[column]) for column in shape.names]


def sheet(parsed: Parsed, name: str, *, most: int | None = None) -> Sheet:
    """A table for people, of its first ``most`` rows or of all."""
    shape = SHAPES[name]
    rows = [
        [_text(cell(record)) for _column, cell in shape.columns]
        for record in islice(shape.records(parsed), most)
    ]
    kept = [
        place
        for place, (column, _cell) in enumerate(shape.columns)
        if column.always or any(row[place] for row in rows)
    ]
    return Sheet(
        name,
        shape.title,
        [shape.columns[place][0] for place in kept],
        [[row[place] for place in kept] for row in rows],
        shape.count(parsed),
    )


def json_pieces(parsed: Parsed) -> Iterator[str]:
    """The JSON of ``document.document``, some rows at a time: of 100,000 sockets the whole would
    take hundreds of megabytes at once."""
    tables = ("sockets", "routes", "interfaces", "protocols", "multicast", "unix", "masquerade")
    yield f'{{"dialect": {_json(parsed.dialect)}, "tables": {{'
    for place, name in enumerate(tables):
        yield f'{", " if place else ""}"{name}": '
        if name == "protocols":
            yield _json(parsed.tables.protocols)
        else:
            yield from _json_list(SHAPES[name].records(parsed))
    yield '}, "rejected": '
    yield from _json_list(row._asdict() for row in parsed.rejected)
    yield f', "remarks": {_json(parsed.tables.remarks)}, "lines": {_json(lines(parsed))}}}'


def lines(parsed: Parsed) -> dict[str, int]:
    """Where the lines of the text went; all but ``all`` add up to it."""
    return {
        "all": parsed.lines,
        "rows": parsed.row_lines,
        "headers": parsed.header_lines,
        "blank": parsed.blank_lines,
        "rejected": len(parsed.rejected),
    }


def aligned(parsed: Parsed, names: list[str]) -> Iterator[str]:
    """The tables ``names``, then what was not understood, remarks and dialect, as lines of text.

    Safe on a terminal: no character of the text reaches it that does not print.
    """
    for name in names:
        shown = sheet(parsed, name)
        yield f"{shown.title} ({shown.total})\n"
        if shown.rows:
            yield from _columns(shown)
        yield "\n"
    rejected = parsed.rejected
    if rejected:
        yield f"Lines not understood ({len(rejected)})\n"
        width = len(str(rejected[-1].line))
        for row in rejected:
            yield f"{row.line:>{width}}  {visible(row.reason)}: {visible(row.text)}\n"
        yield "\n"
    for remark in parsed.tables.remarks:
        yield f"Note: {visible(remark)}\n"
    counts = lines(parsed)
    yield (
        f"Dialect: {parsed.dialect}. Lines: {counts['all']}, of them {counts['rows']} rows, "
        f"{counts['headers']} headings, {counts['blank']} blank, "
        f"{counts['rejected']} not understood.\n"
    )


def _columns(shown: Sheet) -> Iterator[str]:
    labels = [column.label for column in shown.columns]
    cells = [[_short(visible(cell)) for cell in row] for row in shown.rows]
    widths = [printed_width(label) for label in labels]
    for row in cells:
        for place, cell in enumerate(row):
            if (width := printed_width(cell)) > widths[place]:
                widths[place] = width
    for row in (labels, *cells):
        padded = (
            " " * (width - printed_width(cell)) + cell
            if column.number
            else cell + " " * (width - printed_width(cell))
            for cell, width, column in zip(row, widths, shown.columns, strict=True)
        )
        yield "  ".join(padded).rstrip() + "\n"


def _short(text: str) -> str:
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json_list(records: Iterator[Record]) -> Iterator[str]:
    start = "["
    while some := list(islice(records, 500)):
        yield start + ", ".join([_json(record) for record in some])
        start = ", "
    yield "[]" if start == "[" else "]"


def _csv_cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else None
    return value


def _text(value: Any) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(str(item).replace("_", " ") for item in value)
    return str(value)
