"""Rows of routes, interfaces and multicast groups, and counters, as the bytes that are stored.

Place in the data's way: between parsed records and ``history.tables``, which writes them, and
``history.queries.network``, which reads them. Pure. Rows are JSON with the names of their columns
beside them, so that what was stored before a record got another field is read all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple, TypeVar

from probes.history import texts
from probes.parsers.records import INTERFACE_COUNTERS, Interface, Membership, Protocols, Route

MAX_ROWS: Final = 100_000
"""Of a longer table the first are kept; a router with all of the Internet's routes has more."""
MAX_COUNTERS: Final = 50_000
"""Values of one sample: some four thousand interfaces."""
MAX_VALUE: Final = 2**63 - 1
"""Counters above are kept as this."""

MOODS: Final = ("references", "uses", "expires_s")
"""What changes of a route or membership while it stays the same one."""

Row = TypeVar("Row", Route, Interface, Membership)
Sample = dict[str, dict[str, int | None]]
"""Counters by name of the interface or protocol, and by name."""


class Packed(NamedTuple):
    """A table ready to be stored."""

    content: bytes
    digest: str
    """The same for the same rows in any order, whatever their moods."""
    rows: int
    """All of them, those not kept too."""
    exact: str
    """The same only for the very same content."""


def pack(rows: Sequence[Row]) -> Packed:
    """Pack rows of one kind; counters of interfaces are left out, they go into a sample."""
    kept = rows[:MAX_ROWS]
    if kept and isinstance(kept[0], Interface):
        columns: tuple[str, ...] = Interface._fields[: -len(INTERFACE_COUNTERS)]
    else:
        columns = kept[0]._fields if kept else ()
    moods = [columns.index(name) for name in MOODS if name in columns]
    values = [list(row[: len(columns)]) for row in kept]
    content = _dumped({"columns": columns, "rows": values})
    for row in values:
        for place in moods:
            row[place] = None
    hashed = blake2b(digest_size=16)
    for line in sorted(map(_dumped, values)):
        hashed.update(line)
    hashed.update(b"%d" % len(rows))
    exact = blake2b(content, digest_size=16).hexdigest()
    return Packed(texts.pack(content), hashed.hexdigest(), len(rows), exact)


def unpack(content: bytes, kind: type[Row]) -> list[Row]:
    """The rows that :func:`pack` packed; columns that ``kind`` no longer has are left out."""
    stored = json.loads(texts.unpack(content))
    known = [(place, name) for place, name in enumerate(stored["columns"]) if name in kind._fields]
    return [kind(**{name: _value(row[place]) for place, name in known}) for row in stored["rows"]]


def interface_sample(rows: Iterable[Interface]) -> Sample:
    """The counters of each interface; of two with one name the first."""
    sample: Sample = {}
    for row in rows:
        if len(sample) * len(INTERFACE_COUNTERS) >= MAX_COUNTERS:
            break
        sample.setdefault(
            row.name, {name: _capped(getattr(row, name)) for name in INTERFACE_COUNTERS}
        )
    return sample


def protocol_sample(protocols: Protocols) -> Sample:
    """The counters of each protocol."""
    sample: Sample = {}
    left = MAX_COUNTERS
    for protocol, counters in protocols.items():
        listed = list(counters.items())[:left]
        left -= len(listed)
        if listed:
            sample[protocol] = {name: _capped(value) for name, value in listed}
    return sample


def pack_sample(sample: Mapping[str, Mapping[str, int | None]]) -> bytes:
    """Pack counters; unknown ones take no place."""
    known = {
        name: {counter: value for counter, value in counters.items() if value is not None}
        for name, counters in sample.items()
    }
    return texts.pack(_dumped(known))


def unpack_sample(content: bytes) -> Sample:
    """The counters that :func:`pack_sample` packed."""
    sample: Sample = json.loads(texts.unpack(content))
    return sample


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _capped(value: int | None) -> int | None:
    return None if value is None else max(0, min(value, MAX_VALUE))


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
