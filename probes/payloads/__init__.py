"""History as JSON and CSV: the one place where rows become keys and columns.

Place in the data's way: after ``probes.history.queries``, before ``netadmin.envelope`` and
``netadmin.csvfile`` (which makes cells inert). Shared by the JSON routes, their CSV, and MCP. A
JSON object and a CSV row of one thing have the same names in the same order. Unknown is null in
JSON and empty in CSV, never "-" or 0. Times are UTC in ISO 8601.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils.translation import gettext

from hosts.models import Host
from netadmin import csvfile
from probes.history.queries import (
    CounterRow,
    HostRow,
    InterfaceRow,
    PortRow,
    Reading,
    Series,
    SocketRow,
    Traffic,
)
from probes.history.queries.across import PortTotal
from probes.models import Schedule, Snapshot, TableStatus
from probes.observation import EXPLANATIONS, Code, table_explanation
from probes.parsers.records import INTERFACE_COUNTERS, Membership, Route
from probes.payloads.shapes import hosts, names, network, snapshots, sockets
from probes.status import Status

CONNECTION: Final = names(sockets.Connection)
"""A connection row, everywhere."""

CONNECTION_HISTORY: Final = names(sockets.ConnectionOfHistory)
"""A connection row out of history."""

PORT: Final = names(sockets.Listener)
PORT_TOTAL: Final = names(sockets.PortTotal)
ROUTE: Final = names(network.Route)
INTERFACE: Final = names(network.Interface)
PROTOCOL_COUNTER: Final = names(network.ProtocolCounter)
MEMBERSHIP: Final = names(network.Membership)
SNAPSHOT: Final = names(snapshots.Snapshot)
HOST: Final = names(hosts.Host)


def connection(row: SocketRow) -> dict[str, Any]:
    """A socket of history."""
    return {name: getattr(row, name) for name in CONNECTION} | {
        "direction": row.direction,
        "first_seen": time(row.first_seen),
        "last_seen": time(row.last_seen),
        "copies": row.copies,
    }


def port(row: PortRow) -> dict[str, Any]:
    """A listener; with its host where the row has one."""
    listed = {name: getattr(row, name) for name in PORT}
    listed["first_seen"] = time(row.first_seen)
    return listed if row.host is None else {"host": host_name(row.host), **listed}


def port_total(row: PortTotal) -> dict[str, Any]:
    """A port over several hosts."""
    return {name: getattr(row, name) for name in PORT_TOTAL}


def timeline(series: Series) -> dict[str, Any]:
    """A series: seconds since 1970, a list of the same length by name, failed probes."""
    return {
        "times": series.times,
        "series": series.series,
        "most": series.most,
        "failed": [[at, code] for at, code in series.failed],
        "step_s": series.step_s,
    }


def timeline_rows(series: Series | Traffic) -> tuple[list[str], Iterator[list[Any]]]:
    """The same as columns: header and rows."""
    columns: list[Sequence[float | None]] = list(series.series.values())
    rows = (
        [dt.datetime.fromtimestamp(at, tz=dt.UTC), *(column[place] for column in columns)]
        for place, at in enumerate(series.times)
    )
    return ["time", *series.series], rows


def route(row: Route) -> dict[str, Any]:
    """A row of a routing table."""
    return row._asdict() | {"marks": list(row.marks)}


def interface(row: InterfaceRow) -> dict[str, Any]:
    """An interface with its totals, and what it does per second."""
    it = row.interface
    return {
        **it._asdict(),
        "addresses": list(it.addresses),
        "flags": list(it.flags),
        **{f"{name}_per_s": _rounded(row.rates[name]) for name in INTERFACE_COUNTERS},
    }


def protocol_counter(row: CounterRow) -> dict[str, Any]:
    """A counter of a protocol."""
    return row._asdict() | {"per_second": _rounded(row.per_second)}


def membership(row: Membership) -> dict[str, Any]:
    """A multicast group that an interface joined."""
    return row._asdict()


def reading(of: Reading[Any]) -> dict[str, Any] | None:
    """Of when one of the other tables is, and how it was read; None where none is known."""
    if of.taken_at is None:
        return None
    return {
        "taken_at": time(of.taken_at),
        "first_seen": time(of.first_seen),
        "last_seen": time(of.last_seen),
        "tool": of.tool or None,
        "rows": of.printed,
        "rejected": _rejected(of),
        "over_s": _rounded(of.over_s),
    }


def _rejected(of: Reading[Any]) -> int | None:
    """Lines not understood: known of the newest whole table only."""
    status = of.status
    if status is None or status.taken_at != of.taken_at:
        return None
    return status.rejected


def table_failure(status: TableStatus | None) -> dict[str, Any] | None:
    """Why the newest attempt at a table gave none, and how to mend it; None where it did."""
    if status is None or not status.code:
        return None
    title, hint = table_explanation(Code(status.code))
    return {
        "code": status.code,
        "at": time(status.attempted_at),
        "since": time(status.failing_since),
        "title": gettext(title),
        "hint": gettext(hint),
        "detail": status.detail,
    }


def traffic(series: Traffic) -> dict[str, Any]:
    """What an interface did per second: times since 1970, a list of the same length by name."""
    return {"times": series.times, "series": series.series, "step_s": series.step_s}


def snapshot(stored: Snapshot) -> dict[str, Any]:
    """A probe's record."""
    shown: dict[str, Any] = {
        name: getattr(stored, name) for name in SNAPSHOT if name not in ("id", "host")
    }
    shown["taken_at"] = time(stored.taken_at)
    shown["code"] = stored.code or None
    return {"id": stored.pk, "host": stored.host_id, **shown}


def explained(stored: Snapshot) -> dict[str, Any]:
    """The same with what its code means and how to mend it, in the reader's language."""
    title, hint = EXPLANATIONS[Code(stored.code)] if stored.code else ("", "")
    return snapshot(stored) | {
        "title": gettext(title) if title else "",
        "hint": gettext(hint) if hint else "",
    }


def status(judged: Status) -> dict[str, Any]:
    """How a host does."""
    return {
        "level": judged.level.name.lower(),
        "code": judged.code or None,
        "label": gettext(judged.label),
        "title": gettext(judged.title) if judged.title else "",
        "hint": gettext(judged.hint) if judged.hint else "",
        "since": time(judged.since),
    }


def host_name(host: Host) -> dict[str, Any]:
    """A host where it is only mentioned."""
    return {"id": host.pk, "name": host.name}


def host(row: HostRow, *, jump_host: Host | None) -> dict[str, Any]:
    """A host with its status. ``jump_host`` is given where the reader may see it.

    Of its credential there is the name; no secret is ever in here.
    """
    it = row.host
    shown = {
        "id": it.pk,
        "name": it.name,
        "address": it.address,
        "port": it.port,
        "is_local": it.is_local,
        "platform": it.platform,
        "credential": None
        if it.credential is None
        else {"id": it.credential.pk, "name": it.credential.name},
        "groups": [{"id": group.pk, "name": group.name} for group in it.groups.all()],
        "jump_host": None if jump_host is None else host_name(jump_host),
        "interval_s": it.interval_s,
        "effective_interval_s": it.effective_interval_s,
        "enabled": it.enabled,
        "keep_connection": it.keep_connection,
        "notes": it.notes,
        "created_at": time(it.created_at),
        "updated_at": time(it.updated_at),
        "status": status(row.status),
        "latest": None if row.latest is None else brief(row.latest),
        "latest_whole": None if row.latest_whole is None else brief(row.latest_whole),
    }
    return {name: shown[name] for name in HOST}


def brief(stored: Snapshot) -> dict[str, Any]:
    """A probe where it is only mentioned."""
    return {
        "id": stored.pk,
        "taken_at": time(stored.taken_at),
        "outcome": stored.outcome,
        "code": stored.code or None,
        "sockets": stored.sockets,
        "listeners": stored.listeners,
    }


def probe(asked: Schedule, *, progress: str) -> dict[str, Any]:
    """A probe that somebody asked for."""
    return {
        "host": asked.host_id,
        "state": progress,
        "requested_at": time(asked.requested_at),
        "requested_by": asked.requested_by or None,
    }


def time(when: dt.datetime | None) -> str | None:
    """UTC in ISO 8601."""
    return None if when is None else when.astimezone(dt.UTC).isoformat()


def csv(
    name: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> StreamingHttpResponse:
    """JSON objects as a CSV download of these columns; what is nested is JSON in its cell."""
    header = list(columns)
    return csvfile.answer(
        name, header, ([_cell(row.get(column)) for column in header] for row in rows)
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _cell(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"id", "name"}:
        return value["name"]
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value
