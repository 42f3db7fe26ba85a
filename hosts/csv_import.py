"""Hosts from CSV: each row's fate first, then all of them in one transaction, or none.

Place in the data's way: above ``hosts.inventory``, used by the import page and
``manage.py import_hosts``. :func:`read` is pure: bytes in, rows or one clear error out. A dry run
does everything the import does and then takes it back, so what it shows is what will happen.

The first line names the columns, in any order; ``name`` and ``address`` must be there. A column
that is missing leaves what a host has; an empty cell means the default.

    name,address,port,platform,credential,groups,jump_host,interval_s,enabled,notes
    web-1,10.0.0.11,22,linux,deploy,web;paris,bastion,60,yes,behind the load balancer
"""

from __future__ import annotations

import csv
import enum
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from hosts import inventory, reach
from hosts.models import Host, HostGroup, PlatformChoice
from hosts.validators import plain_address
from hosts.values import check_text, plain_bool, plain_int
from netadmin import csvfile
from netadmin.access import audit

COLUMNS = (
    "name",
    "address",
    "port",
    "platform",
    "credential",
    "groups",
    "jump_host",
    "interval_s",
    "enabled",
    "notes",
)
REQUIRED = ("name", "address")
DEFAULTS: dict[str, Any] = {
    "port": 22,
    "platform": PlatformChoice.AUTO.value,
    "credential": None,
    "groups": [],
    "jump_host": None,
    "interval_s": None,
    "enabled": True,
    "notes": "",
}
MAX_BYTES = 1024 * 1024
MAX_ROWS = 2000
ENCODINGS = ("utf-8-sig", "gb18030")
"""Tried in order; GB 18030 holds all of GBK (cp936), which Chinese spreadsheets write."""


class UnreadableError(Exception):
    """The file is no table of hosts; the message names the line where one is at fault."""


class Kind(enum.StrEnum):
    """What becomes of a row."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file: its number (the header is line 1) and its cells by column."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a row; ``problems`` are (column, message)."""

    line: int
    name: str
    kind: Kind
    changes: dict[str, list[Any]] = field(default_factory=dict)
    """Fields as [before, after]."""
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fates of all rows, and whether they were stored."""

    fates: list[Fate]
    stored: bool

    @property
    def good(self) -> bool:
        """Whether no row has an error."""
        return all(fate.kind is not Kind.ERROR for fate in self.fates)

    def count(self, kind: Kind) -> int:
        """Rows with this fate."""
        return sum(fate.kind is kind for fate in self.fates)

    @property
    def digest(self) -> str:
        """Stands for exactly these fates: a confirmation holds only for what was shown."""
        shown = [[f.line, f.name, f.kind, f.changes, f.problems] for f in self.fates]
        return hashlib.sha256(json.dumps(shown, default=str).encode()).hexdigest()


class _TakeBackError(Exception):
    """Ends the transaction of a dry run."""


def decode(data: bytes) -> str:
    """The text of a file in UTF-8 (with or without a mark), UTF-16 with a mark, or GBK."""
    if len(data) > MAX_BYTES:
        raise UnreadableError(
            _("The file is larger than %(size)s KiB. Import it in parts.")
            % {"size": MAX_BYTES // 1024}
        )
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableError(_("The file is neither UTF-8 nor GBK text. Save it as CSV UTF-8."))


def read(text: str) -> list[Row]:
    """The rows of a table separated by comma, semicolon or tab; blank lines are left out."""
    if "\x00" in text:
        raise UnreadableError(_("The file holds zero bytes; it is no CSV text."))
    reader = csv.reader(
        io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"), newline=""),
        delimiter=_delimiter(text),
        strict=True,
    )
    rows: list[Row] = []
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _header(cells, first)
                continue
            rows.append(_row(columns, cells, first))
            if len(rows) > MAX_ROWS:
                raise UnreadableError(
                    _("More than %(rows)s rows. Import them in parts.") % {"rows": MAX_ROWS}
                )
    except csv.Error as error:
        raise UnreadableError(
            _("Line %(line)s: %(problem)s.") % {"line": line, "problem": error}
        ) from None
    if columns is None:
        raise UnreadableError(_("The file is empty."))
    return rows


def run(
    rows: Iterable[Row], *, request: HttpRequest | None, store: bool, shown: str | None = None
) -> Outcome:
    """Add and change hosts as the rows say; with an error in any row nothing is stored, nor where
    ``shown``, the digest of the fates that somebody confirmed, is not theirs."""
    fates: list[Fate] = []
    try:
        with transaction.atomic():
            fates = _apply(list(rows), request)
            judged = Outcome(fates, stored=False)
            if not store or not judged.good or shown not in (None, judged.digest):
                raise _TakeBackError
            written = [fate for fate in fates if fate.kind is not Kind.UNCHANGED]
            if written:
                audit.record(
                    "host.import",
                    request=request,
                    detail={
                        "new": sum(fate.kind is Kind.NEW for fate in written),
                        "changed": sum(fate.kind is Kind.CHANGED for fate in written),
                    },
                )
    except _TakeBackError:
        return Outcome(fates, stored=False)
    return Outcome(fates, stored=True)


def cells_of(host: Host) -> list[Any]:
    """A host as a row of COLUMNS, which :func:`read` takes back."""
    return [
        host.name,
        host.address,
        host.port,
        host.platform,
        host.credential.name if host.credential else None,
        ";".join(sorted(group.name for group in host.groups.all())),
        host.jump_host.name if host.jump_host else None,
        host.interval_s,
        "yes" if host.enabled else "no",
        host.notes,
    ]


def _delimiter(text: str) -> str:
    """The separator that the header has most of."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max((",", ";", "\t"), key=header.count)


def _header(cells: list[str], line: int) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    for name in columns:
        if name not in COLUMNS:
            raise UnreadableError(
                _("Line %(line)s: there is no column “%(name)s”. The columns are %(columns)s.")
                % {"line": line, "name": name[:50], "columns": ", ".join(COLUMNS)}
            )
        if columns.count(name) > 1:
            raise UnreadableError(
                _("Line %(line)s: the column “%(name)s” is there twice.")
                % {"line": line, "name": name}
            )
    for name in REQUIRED:
        if name not in columns:
            raise UnreadableError(
                _("Line %(line)s: the column “%(name)s” is missing.") % {"line": line, "name": name}
            )
    return columns


def _row(columns: list[str], cells: list[str], line: int) -> Row:
    extra = [cell for cell in cells[len(columns) :] if cell.strip()]
    if extra:
        raise UnreadableError(
            _(
                "Line %(line)s has %(cells)s cells, the header %(columns)s. "
                "Quote a cell that holds the separator."
            )
            % {"line": line, "cells": len(cells), "columns": len(columns)}
        )
    padded = [*cells, *[""] * (len(columns) - len(cells))]
    return Row(line, {name: _cell(cell) for name, cell in zip(columns, padded, strict=False)})


def _cell(cell: str) -> str:
    """A cell without blank ends, and without the quote that makes an exported formula inert."""
    cell = cell.strip()
    if cell.startswith("'") and cell[1:].lstrip().startswith(csvfile.FORMULA):
        return cell[1:]
    return cell


def _apply(rows: list[Row], request: HttpRequest | None) -> list[Fate]:
    known = {
        host.name: host
        for host in reach.of(request)
        .hosts()
        .select_related("credential", "jump_host")
        .prefetch_related("groups")
    }
    groups = set(HostGroup.objects.values_list("name", flat=True))
    fates: dict[int, Fate] = {}
    taken: dict[str, int] = {}
    for row in _jumps_first(rows):
        name = row.cells["name"]
        if name in taken:
            problem = ("name", _("Line %(line)s names it already.") % {"line": taken[name]})
            fates[row.line] = Fate(row.line, name, Kind.ERROR, problems=[problem])
            continue
        taken[name] = row.line
        try:
            fates[row.line] = _one(row, known.get(name), groups, request)
        except ValidationError as invalid:
            problems = _problems(invalid)
            fates[row.line] = Fate(row.line, name, Kind.ERROR, problems=problems)
    return [fates[line] for line in sorted(fates)]


def _problems(invalid: ValidationError) -> list[tuple[str, str]]:
    problems: list[tuple[str, str]] = []
    for column, errors in invalid.error_dict.items():
        if column == "confirm_secret":
            message = _(
                "A new address or port asks for the credential again, which no CSV holds: "
                "change it on the host's own page."
            )
            problems.append(("address", message))
        elif column != "confirm_sudo_password":
            problems += [(column, " ".join(error.messages)) for error in errors]
    return problems


def _one(row: Row, host: Host | None, groups: set[str], request: HttpRequest | None) -> Fate:
    data = _values(row)
    if host is not None:
        stored = inventory.describe(host)
        if all(_comparable(data, name) == stored[name] for name in data):
            return Fate(row.line, host.name, Kind.UNCHANGED)
    with transaction.atomic():
        _make_groups(data.get("groups", []), groups, request)
        if host is None:
            made = inventory.create_host(data, request=request)
            after = inventory.describe(made)
            shown = {name: [None, after[name]] for name in COLUMNS if after[name] not in (None, "")}
            return Fate(row.line, made.name, Kind.NEW, changes=shown)
        changed = inventory.change_host(host, data, request=request)
        after = inventory.describe(changed)
        differing = {name: [stored[name], after[name]] for name in data}
        differing = {name: pair for name, pair in differing.items() if pair[0] != pair[1]}
        kind = Kind.CHANGED if differing else Kind.UNCHANGED
        return Fate(row.line, changed.name, kind, changes=differing)


def _values(row: Row) -> dict[str, Any]:
    """The row as ``hosts.inventory`` takes it; raises ValidationError by column."""
    errors: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name, cell in row.cells.items():
        try:
            data[name] = DEFAULTS[name] if not cell and name in DEFAULTS else _value(name, cell)
        except ValidationError as invalid:
            errors[name] = invalid
    if errors:
        raise ValidationError(errors)
    return data


def _value(name: str, cell: str) -> Any:
    if name in ("port", "interval_s"):
        return plain_int(cell)
    if name == "enabled":
        return plain_bool(cell)
    if name == "groups":
        return list(dict.fromkeys(part.strip() for part in cell.split(";") if part.strip()))
    if name == "platform":
        return cell.lower()
    return cell


def _comparable(data: dict[str, Any], name: str) -> Any:
    if name == "groups":
        return sorted(data[name])
    return plain_address(data[name]) if name == "address" else data[name]


def _make_groups(names: list[str], known: set[str], request: HttpRequest | None) -> None:
    """Groups named for the first time are made, where the caller may."""
    if not reach.of(request).everything:
        return
    for name in names:
        if name in known:
            continue
        try:
            group = HostGroup(name=check_text(name, longest=100))
            group.full_clean()
        except ValidationError as invalid:
            raise ValidationError({"groups": invalid.messages}) from None
        group.save()
        audit.record("hostgroup.add", request=request, target=group)
        known.add(name)


def _jumps_first(rows: list[Row]) -> list[Row]:
    """The rows in an order in which a jump host of the same file comes before its users."""
    by_name = {row.cells["name"]: row for row in reversed(rows)}
    ordered: dict[int, Row] = {}

    for row in rows:
        way: list[Row] = []
        step: Row | None = row
        while step is not None and step.line not in ordered and step not in way:
            way.append(step)
            step = by_name.get(step.cells.get("jump_host", ""))
        for each in reversed(way):
            ordered[each.line] = each
    return list(ordered.values())
