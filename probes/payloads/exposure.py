"""The exposure ledger as JSON and CSV, in the manner of ``probes.payloads``."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

from probes import payloads
from probes.connect_back import under_way
from probes.history.queries.exposure import Exposed, Holder
from probes.models import Reach, ReachRun
from probes.parsers import service_names
from probes.payloads.shapes import exposure as shapes
from probes.payloads.shapes import names
from probes.wording.exposure import explanation

EXPOSURE: Final = names(shapes.Exposed)
REACH: Final = names(shapes.Reach)


def exposed(row: Exposed) -> dict[str, Any]:
    """A listener with who connects and whether it was reached."""
    it = row.listener
    port = it.local_port
    named = settings.PORT_NAMES and port is not None
    shown = {
        "host": payloads.host_name(it.host),
        "protocol": it.protocol,
        "local_ip": it.local_ip,
        "local_port": port,
        "service": service_names.name(port or 0, it.protocol) if named else None,
        "programs": it.programs,
        "pids": [holder.pid for holder in it.holders if holder.pid is not None],
        "bound": it.bound.value,
        "families": None if it.families is None else it.families.stack.value,
        "since": payloads.time(row.since),
        "from_the_first": row.from_the_first,
        "first_seen": payloads.time(it.first_seen),
        "last_seen": payloads.time(it.last_seen),
        "connections": it.connections,
        "remote_ips": row.remote_ips,
        "external_ips": row.external_ips,
        "external_connections": it.external,
        "peers": [
            {"ip": peer.ip, "external": peer.external, "connections": peer.connections}
            for peer in row.peers
        ],
        "reach": None if row.reach is None else reach(row.reach),
        "holders": [_holder(one) for one in it.holders],
        "explanation": " ".join(explanation(row)),
    }
    return {name: shown[name] for name in EXPOSURE}


def reach(row: Reach) -> dict[str, Any]:
    """How the newest attempt at an address and port ended."""
    shown = {name: getattr(row, name) for name in REACH}
    return shown | {"checked_at": payloads.time(row.checked_at), "asked_by": row.asked_by or None}


def run(row: ReachRun | None) -> dict[str, Any] | None:
    """The newest attempt at a host; None where there was none."""
    if row is None:
        return None
    lost = row.finished_at is None and not under_way(row)
    waiting = "running" if row.started_at else "queued"
    return {
        "state": "finished" if row.finished_at else "lost" if lost else waiting,
        "asked_at": payloads.time(row.asked_at),
        "asked_by": row.asked_by or None,
        "finished_at": payloads.time(row.finished_at),
        "planned": row.planned,
        "tried": row.tried,
        "skipped": row.skipped,
        "problem": row.problem or None,
    }


def _holder(holder: Holder) -> dict[str, Any]:
    return {
        "pid": holder.pid,
        "program": holder.program,
        "first_seen": payloads.time(holder.first_seen),
        "copies": holder.copies,
    }
