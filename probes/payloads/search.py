"""What a search found, as JSON. Place in the data's way: as ``probes.payloads``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hosts.models import Host
from probes import payloads
from probes.history.queries.found_now import PidRow, Talker
from probes.models import Alert, Hunt
from probes.payloads import hunts as hunt_payloads
from probes.search import Found, Some


def found(of: Found) -> dict[str, Any]:
    """Each kind of find: some rows, how many there are, and whether there may be more."""
    return {
        "q": of.text,
        "indicator": None if of.indicator is None else hunt_payloads.indicator(of.indicator),
        "pid": of.pid,
        "hosts": _some(of.hosts, _host),
        "listeners": _some(of.listeners, _talker),
        "now": _some(of.now, _talker),
        "history": _some(of.history, hunt_payloads.sighting),
        "pids": _some(of.pids, _process),
        "hosts_looked_through": None if of.looked_through is None else of.looked_through[0],
        "hosts_left_out": None if of.looked_through is None else of.looked_through[1],
        "hunts": _some(of.hunts, _hunt),
        "alerts": _some(of.alerts, _alert),
    }


def _some(part: Some | None, shape: Callable[[Any], dict[str, Any]]) -> dict[str, Any] | None:
    if part is None:
        return None
    return {"rows": [shape(row) for row in part.rows], "total": part.total, "more": part.more}


def _host(row: Host) -> dict[str, Any]:
    return {**payloads.host_name(row), "address": row.address}


def _talker(row: Talker) -> dict[str, Any]:
    return {
        "host": payloads.host_name(row.host),
        "listeners": row.listeners,
        "connections": row.connections,
        "ports": row.ports,
        "programs": row.programs,
    }


def _process(row: PidRow) -> dict[str, Any]:
    return {"host": payloads.host_name(row.host), **payloads.connection(row.socket)}


def _hunt(row: Hunt) -> dict[str, Any]:
    return {"id": row.pk, "name": row.name}


def _alert(row: Alert) -> dict[str, Any]:
    return {
        "id": row.pk,
        "subject": row.subject,
        "host": payloads.host_name(row.host),
        "newest_at": payloads.time(row.newest_at),
        "hits": row.hits,
        "acknowledged_at": payloads.time(row.acknowledged_at),
    }
