"""A parsed text as plain data: what the command, the page, the API and the golden files show.

Place in the data's way: after ``probes.parsers.parse``, before JSON, CSV and HTML. Pure. Shape::

    {"dialect": "net-tools",
     "tables": {"sockets": [{"protocol": "tcp", ...}], "routes": [...], "interfaces": [...],
                "protocols": {"tcp": {"ActiveOpens": 12}}, "multicast": [...], "unix": [...],
                "masquerade": [...]},
     "rejected": [{"line": 7, "text": "...", "reason": "..."}],
     "remarks": ["..."],
     "lines": {"all": 40, "rows": 36, "headers": 2, "blank": 1, "rejected": 1}}

Unknown is None. A table that the text does not have is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probes.parsers.records import Details, Flag, Parsed, Socket

_MARKS = (
    (Flag.LOCAL_MAPPED, "local_mapped"),
    (Flag.FOREIGN_MAPPED, "foreign_mapped"),
    (Flag.LOCAL_TRUNCATED, "local_truncated"),
    (Flag.FOREIGN_TRUNCATED, "foreign_truncated"),
    (Flag.LOCAL_STAR, "local_star"),
    (Flag.FOREIGN_STAR, "foreign_star"),
    (Flag.LOCAL_NAME, "local_name"),
    (Flag.FOREIGN_NAME, "foreign_name"),
)
_NO_DETAILS = Details()


def document(parsed: Parsed) -> dict[str, Any]:
    """All of ``parsed`` as lists and dicts of JSON's types, in the shape above."""
    tables = parsed.tables
    return {
        "dialect": parsed.dialect,
        "tables": {
            "sockets": [
                socket(row, tables.details.get(index)) for index, row in enumerate(tables.sockets)
            ],
            "routes": rows(tables.routes),
            "interfaces": rows(tables.interfaces),
            "protocols": tables.protocols,
            "multicast": rows(tables.multicast),
            "unix": rows(tables.unix),
            "masquerade": rows(tables.masquerade),
        },
        "rejected": rows(parsed.rejected),
        "remarks": list(tables.remarks),
        "lines": {
            "all": parsed.lines,
            "rows": parsed.row_lines,
            "headers": parsed.header_lines,
            "blank": parsed.blank_lines,
            "rejected": len(parsed.rejected),
        },
    }


def socket(row: Socket, details: Details | None) -> dict[str, Any]:
    """A socket with the fields every connection row has, then what else is known of it."""
    known = details or _NO_DETAILS
    return {
        **dict(zip(Socket._fields[:-1], row, strict=False)),
        "marks": [name for flag, name in _MARKS if row.flags & flag],
        "user": known.user,
        "inode": known.inode,
        "timer": None if known.timer is None else known.timer._asdict(),
        "holders": [holder._asdict() for holder in known.holders],
        "more": dict(known.more),
    }


def rows(table: Sequence[Any]) -> list[dict[str, Any]]:
    """Named tuples as dicts, tuples in them as lists."""
    return [
        {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in row._asdict().items()
        }
        for row in table
    ]
