"""Rows of a JSON document: bytes in, rows out.

Place in the data's way: under ``hosts.cmdb.reading``. Pure. The document is a list of objects, or
an object with such a list at a path; fields may lie deeper, named with dots:

    {"data": {"servers": [{"hostname": "web-1", "net": {"ip": "10.0.0.11"}}]}}

with ``{"rows": "data.servers", "name": "hostname", "address": "net.ip"}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from hosts.cmdb.rows import FIELDS, Listed, Problem, Unreadable, collect, decode, shown


def read(data: bytes, *, fields: Mapping[str, str]) -> Listed:
    """The hosts of a document; raises :class:`Unreadable`."""
    found = document(data)
    path = fields.get("rows", "")
    if path:
        found = at(found, path)
    if not isinstance(found, list):
        raise Unreadable("no_list", path=path or "/")
    return collect(_rows(found, fields))


def document(data: bytes) -> Any:
    """What a JSON text says; raises :class:`Unreadable` where it is none, or only a part."""
    text = decode(data)
    if not text.strip():
        raise Unreadable("empty")
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise Unreadable("broken", line=1, problem="nested too deeply") from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        raise Unreadable(
            "truncated" if cut else "broken", line=error.lineno, problem=error.msg
        ) from None
    except ValueError as error:  # NaN, or a number of thousands of digits
        raise Unreadable("broken", line=1, problem=error) from None


def at(found: Any, path: str) -> Any:
    """What lies at a dotted path of keys; None where nothing does."""
    for key in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def _rows(
    found: list[Any], fields: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Any] | Problem]]:
    for number, row in enumerate(found, start=1):
        where = str(number)
        if not isinstance(row, dict):
            yield where, Problem("not_an_object", where, values={"value": shown(row)})
            continue
        paths = {name: fields.get(name) or name for name in FIELDS}
        yield where, {name: at(row, path) for name, path in paths.items()}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
