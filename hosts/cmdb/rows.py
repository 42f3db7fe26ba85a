"""What a source says of a host, in one shape whatever the source: rows, problems, refusals.

Place in the data's way: between the bytes of a source (``csv_rows``, ``json_rows``, ``ansible``,
``netbox``) and ``hosts.cmdb.plan``. Reads no database and no network. Words for people are made
from the codes here by ``hosts.cmdb.wording``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from hosts.models import PlatformChoice
from hosts.validators import plain_address, validate_address, validate_host_name
from hosts.values import check_text, plain_int

FIELDS = ("id", "name", "address", "port", "platform", "notes")
"""What a source may say; ``id`` is its own, lasting name of the host (else the name is)."""

HOST_FIELDS = ("name", "address", "port", "platform", "notes")
MAX_ROWS = 5_000
"""Hosts of one source: they are stored in one transaction."""
LONGEST = {"id": 200, "name": 100, "address": 255, "platform": 10, "notes": 10_000}
LONGEST_SHOWN = 100


class Unreadable(Exception):
    """The whole of it is no list of hosts, so nothing may change.

    ``code``: empty, broken, truncated, too_large, too_many, wrong_shape, missing_column,
    encoding, count, elsewhere. ``values`` are what its words name.
    """

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = {name: shown(value) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Problem:
    """One row that becomes no host, and why; ``name`` is as the source wrote it, if it did."""

    code: str
    where: str
    name: str = ""
    key: str = ""
    """The row's id, where it has one: what it stood for before is kept."""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One host of the source: only what the source gave is in ``fields``."""

    key: str
    where: str
    fields: dict[str, Any]
    """Names of :data:`HOST_FIELDS`; name and address always, port as int."""


@dataclass(frozen=True, slots=True)
class Listed:
    """All that one answer says."""

    rows: list[Row]
    problems: list[Problem]

    @property
    def seen(self) -> int:
        """Rows of the source, good or not."""
        return len(self.rows) + len(self.problems)


def shown(value: Any) -> str | int:
    """A value from outside as a message may hold it: short, one line."""
    if isinstance(value, int):
        return value
    if isinstance(value, list | dict):
        # Never its text: a few anchors of YAML make gigabytes of it.
        return "[...]" if isinstance(value, list) else "{...}"
    text = str(value)[:LONGEST_SHOWN]
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def collect(given: Iterable[tuple[str, Mapping[str, Any] | Problem]]) -> Listed:
    """Rows from ``(where, raw fields)``; what is no host, or is there twice, is a problem.

    Raises :class:`Unreadable` (``empty``, ``too_many``).
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for count, (where, raw) in enumerate(given, start=1):
        if count > MAX_ROWS:
            raise Unreadable("too_many", most=MAX_ROWS)
        found = raw if isinstance(raw, Problem) else _row(where, raw)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            rows.append(found)
    if not rows and not problems:
        raise Unreadable("empty")
    return _without_twins(rows, problems)


def _row(where: str, raw: Mapping[str, Any]) -> Row | Problem:
    name = _text(raw.get("name"))
    key = _text(raw.get("id")) or name
    label, key = str(shown(name)), key[: LONGEST["id"] + 1]

    def problem(code: str, column: str) -> Problem:
        said = shown(raw.get(column))
        return Problem(code, where, label, key, {"field": column, "value": said})

    fields: dict[str, Any] = {}
    for column in ("id", *HOST_FIELDS):
        value = raw.get(column)
        text = _text(value)
        if isinstance(value, bool | list | dict):
            return problem("not_text", column)
        if not text:
            if column in ("name", "address"):
                return Problem("missing", where, label, key, {"field": column})
            continue
        if "{{" in text or "{%" in text:
            return problem("template", column)
        try:
            fields[column] = _value(column, text)
        except ValidationError:
            return problem("invalid", column)
    key = fields.pop("id", fields["name"])
    return Row(key, where, fields)


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, list | dict) else str(value).strip()


def _value(column: str, text: str) -> Any:
    """A cell as a host stores it; raises ValidationError."""
    if column == "port":
        port = plain_int(text)
        if not 1 <= port <= 65535:
            raise ValidationError("port")
        return port
    check_text(text, longest=LONGEST[column], lines=column == "notes")
    if column == "name":
        validate_host_name(text)
    elif column == "address":
        validate_address(text)
        return plain_address(text)
    elif column == "platform":
        if text.lower() not in PlatformChoice.values:
            raise ValidationError("platform")
        return text.lower()
    return text


def _without_twins(rows: list[Row], problems: list[Problem]) -> Listed:
    """Of rows that say the same id, name, or address with port, none is right: which one would
    be a guess that changes with their order."""
    keys = Counter(row.key for row in rows)
    names = Counter(row.fields["name"] for row in rows)
    places = Counter(_place(row) for row in rows)
    good: list[Row] = []
    for row in rows:
        name = row.fields["name"]
        if keys[row.key] > 1:
            value: tuple[str, Any] = ("id", row.key)
        elif names[name] > 1:
            value = ("name", name)
        elif places[_place(row)] > 1:
            value = ("address", "{}:{}".format(*_place(row)))
        else:
            good.append(row)
            continue
        problems.append(
            Problem("twice", row.where, name, row.key, {"field": value[0], "value": value[1]})
        )
    return Listed(good, problems)


def _place(row: Row) -> tuple[str, int]:
    return row.fields["address"], row.fields.get("port", 22)


def decode(data: bytes) -> str:
    """Text in UTF-8 (with or without a mark), UTF-16 with a mark, or GB 18030."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            raise Unreadable("encoding")
        return text
    raise Unreadable("encoding")
