"""Stores the other tables of a probe: routes, interfaces, protocol counters, multicast groups.

Place in the data's way: after ``history.store`` took the sockets of the same observation. Parses
each table alone and writes, in one transaction: how the attempt went, the content where it is
another than before, and the counters. Knows no transport, no page.

What the rest of history rests on: a host's contents of one table do not overlap, each is as of
the probes from its ``first_seen`` to its ``last_seen``, and nothing older than the newest attempt
is ever written. Five statements where nothing but counters changed, and seldom more than seven.
Of a table that was not understood to the last line what the host printed is kept as well, the
newest such output only, until one is.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from hosts.models import Host
from probes import parsers
from probes.history import contents, packing, state, texts
from probes.history.contents import Packed
from probes.models import CounterSample, NetworkTable, TableStatus, TableText
from probes.observation import Code, Observation, Table, TableOutput
from probes.parsers.records import Parsed, ParseError

logger = logging.getLogger(__name__)

MAX_DETAIL_CHARS: Final = 2_000
MAX_REJECTED_KEPT: Final = 50
MAX_REMARKS_KEPT: Final = 20
MAX_REMARK_CHARS: Final = 500
MAX_TEXT_BYTES: Final = 256 * 1024
"""Of what a host printed, uncompressed: some 3,000 lines."""

_MAY_BE_SILENT: Final = frozenset({Table.ROUTES, Table.MULTICAST})
"""Tables that may have no row; ``ip`` then prints nothing at all."""

_WHOLE: Final = (
    "taken_at", "tool", "dialect", "rows", "rejected", "rejected_lines", "remarks", "since",
    "digest", "exact",
)  # fmt: skip
_ATTEMPT: Final = ("attempted_at", "code", "detail", "failing_since")


def save(host: Host, observation: Observation, *, using: str = "default") -> None:
    """Store ``observation.tables`` of ``host``; each table fails alone, with its own code.

    A probe that is not newer than the newest attempt at a table changes nothing of that table, so
    that storing twice or late does no harm. No text a host can print makes it raise; a database
    that fails does, and leaves nothing behind.
    """
    if not observation.tables:
        return
    taken_at = observation.taken_at.astimezone(dt.UTC)
    readings = {output.table: _read(output, host.pk) for output in observation.tables}
    with transaction.atomic(using=using):
        state.lock(using, host.pk)
        _store(using, host.pk, taken_at, readings)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One table as understood before the transaction."""

    tool: str
    code: str = ""
    """Why it is not whole; the rest is then empty."""
    detail: str = ""
    dialect: str = ""
    rows: int = 0
    rejected: int = 0
    rejected_lines: list[list[Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    packed: Packed | None = None
    sample: bytes | None = None
    text: bytes | None = None
    """What the host printed, packed, where not all of it was understood."""
    text_bytes: int = 0


def text(host: Host, table: Table) -> TableText | None:
    """What ``host`` last printed for ``table`` that was not understood to the last line; None where
    all was, or where it is no longer kept. :func:`printed` gives its text."""
    using = host._state.db or "default"
    return TableText.objects.using(using).filter(host_id=host.pk, table=table.value).first()


def printed(kept: TableText) -> str:
    """The text, of a very long one the first part."""
    return texts.unpack(bytes(kept.text_zstd)).decode("utf-8", "ignore")


def _read(output: TableOutput, host_id: int) -> _Reading:
    """One table understood, with its text where that is not all."""
    reading = _parse(output, host_id)
    if not output.text.strip() or not (reading.code or reading.rejected):
        return reading
    raw = output.text.encode("utf-8", "backslashreplace")
    return replace(reading, text=texts.pack(raw[:MAX_TEXT_BYTES]), text_bytes=len(raw))


def _parse(output: TableOutput, host_id: int) -> _Reading:
    tool = packing.storable(output.tool)[:20]
    failure = output.failure
    if failure is not None:
        return _Reading(
            tool,
            code=failure.code.value,
            detail=packing.storable(failure.detail)[:MAX_DETAIL_CHARS],
        )
    if not output.text.strip() and output.tool == "ip" and output.table in _MAY_BE_SILENT:
        return _Reading(tool, dialect="iproute2", packed=contents.pack([]))
    if not output.text.strip():
        return _Reading(tool, code=Code.NOT_UNDERSTOOD.value, detail="nothing was printed")
    try:
        parsed = parsers.parse(output.text)
    except ParseError as error:
        return _Reading(tool, code=Code.NOT_UNDERSTOOD.value, detail=str(error))
    except Exception:
        # A defect of one dialect must not cost the host its other tables.
        logger.exception("parsing the %s of host %s failed", output.table, host_id)
        return _Reading(tool, code=Code.INTERNAL_ERROR.value)
    return _understood(output.table, tool, parsed)


def _understood(table: Table, tool: str, parsed: Parsed) -> _Reading:
    packed, sample, rows = None, None, 0
    if table is Table.ROUTES:
        packed = contents.pack(parsed.tables.routes)
    elif table is Table.MULTICAST:
        packed = contents.pack(parsed.tables.multicast)
    elif table is Table.INTERFACES:
        packed = contents.pack(parsed.tables.interfaces)
        sample = contents.pack_sample(contents.interface_sample(parsed.tables.interfaces))
    else:
        counters = contents.protocol_sample(parsed.tables.protocols)
        sample = contents.pack_sample(counters)
        rows = sum(map(len, counters.values()))
    if packed is not None:
        rows = packed.rows
    problem = ""
    if table.value not in parsed.found:
        problem = "the output has no such table"
    elif len(parsed.rejected) > parsed.row_lines:
        problem = "most lines of the output are no row of the table"
    elif not rows and table not in _MAY_BE_SILENT:
        problem = "the table is empty"
    if problem:
        shown = "".join(f"\n{line.text}" for line in parsed.rejected[:3])
        return _Reading(
            tool,
            code=Code.NOT_UNDERSTOOD.value,
            detail=packing.storable(problem + shown)[:MAX_DETAIL_CHARS],
        )
    return _Reading(
        tool,
        dialect=packing.storable(parsed.dialect)[:40],
        rows=rows,
        rejected=len(parsed.rejected),
        rejected_lines=[
            [line.line, packing.storable(line.text), packing.storable(line.reason)]
            for line in parsed.rejected[:MAX_REJECTED_KEPT]
        ],
        remarks=[
            packing.storable(remark)[:MAX_REMARK_CHARS]
            for remark in parsed.tables.remarks[:MAX_REMARKS_KEPT]
        ],
        packed=packed,
        sample=sample,
    )


def _store(
    using: str, host_id: int, taken_at: dt.datetime, readings: dict[Table, _Reading]
) -> None:
    """Write what is newer than what is there, under the host's lock."""
    known = {
        Table(status.table): status
        for status in TableStatus.objects.using(using).filter(host_id=host_id)
    }
    statuses: list[TableStatus] = []
    changed: list[NetworkTable] = []
    samples: list[CounterSample] = []
    kept: list[TableText] = []
    cleared: list[str] = []
    same = Q()
    for table, reading in readings.items():
        status = known.get(table)
        if status is None:
            status = TableStatus(host_id=host_id, table=table.value)
        elif status.attempted_at >= taken_at:
            continue
        if reading.text is not None:
            kept.append(_text(host_id, table, taken_at, reading))
        elif (status.code or status.rejected) and not (reading.code or reading.rejected):
            cleared.append(table.value)
        status.pk = None  # known by host and table: new and old ones go in one statement
        statuses.append(status)
        _note_attempt(status, reading, taken_at)
        if reading.code:
            continue
        if reading.sample is not None:
            samples.append(
                CounterSample(
                    host_id=host_id,
                    table=table.value,
                    taken_at=taken_at,
                    tool=reading.tool,
                    counters_zstd=reading.sample,
                )
            )
        if reading.packed is None:
            continue
        if status.since is not None and status.digest == reading.packed.digest:
            here = Q(table=table.value, first_seen=status.since)
            if status.exact != reading.packed.exact:
                status.exact = reading.packed.exact
                _contents(using, host_id).filter(here).update(
                    last_seen=taken_at, tool=reading.tool, content_zstd=reading.packed.content
                )
            else:
                same |= here
            continue
        status.since = taken_at
        status.digest, status.exact = reading.packed.digest, reading.packed.exact
        changed.append(_new_content(host_id, table, taken_at, reading))
    if same:
        _contents(using, host_id).filter(same).update(last_seen=taken_at)
    # Nothing older is ever stored, so these conflict only with rows of a status that was lost.
    NetworkTable.objects.using(using).bulk_create(changed, ignore_conflicts=True)
    CounterSample.objects.using(using).bulk_create(samples, ignore_conflicts=True)
    TableStatus.objects.using(using).bulk_create(
        statuses,
        update_conflicts=True,
        unique_fields=["host", "table"],
        update_fields=[*_ATTEMPT, *_WHOLE],
    )
    if kept:
        TableText.objects.using(using).bulk_create(
            kept,
            update_conflicts=True,
            unique_fields=["host", "table"],
            update_fields=["taken_at", "text_zstd", "size_bytes"],
        )
    if cleared:
        TableText.objects.using(using).filter(host_id=host_id, table__in=cleared).delete()


def _note_attempt(status: TableStatus, reading: _Reading, taken_at: dt.datetime) -> None:
    status.attempted_at, status.code, status.detail = taken_at, reading.code, reading.detail
    if reading.code:
        status.failing_since = status.failing_since or taken_at
        return
    status.failing_since = None
    status.taken_at, status.tool, status.dialect = taken_at, reading.tool, reading.dialect
    status.rows, status.rejected = reading.rows, reading.rejected
    status.rejected_lines, status.remarks = reading.rejected_lines, reading.remarks


def _text(host_id: int, table: Table, taken_at: dt.datetime, reading: _Reading) -> TableText:
    return TableText(
        host_id=host_id,
        table=table.value,
        taken_at=taken_at,
        text_zstd=reading.text,
        size_bytes=reading.text_bytes,
    )


def _new_content(
    host_id: int, table: Table, taken_at: dt.datetime, reading: _Reading
) -> NetworkTable:
    assert reading.packed is not None
    return NetworkTable(
        host_id=host_id,
        table=table.value,
        first_seen=taken_at,
        last_seen=taken_at,
        tool=reading.tool,
        dialect=reading.dialect,
        rows=reading.packed.rows,
        content_zstd=reading.packed.content,
    )


def _contents(using: str, host_id: int) -> Any:
    return NetworkTable.objects.using(using).filter(host_id=host_id)
