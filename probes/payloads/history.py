"""Differences, comparisons and connections over time as JSON and CSV.

Place in the data's way: beside ``probes.payloads``, by its rules.
"""

from __future__ import annotations

from typing import Any, Final

from probes.history.queries.compared import Party, Row
from probes.history.queries.diffs import Change, Side
from probes.history.queries.intervals import Connection, Step
from probes.payloads import time
from probes.payloads.shapes import history as shapes
from probes.payloads.shapes import names

DIFFERENCE: Final = names(shapes.Difference)
COMPARED: Final = names(shapes.Compared)
OVER_TIME: Final = names(shapes.OverTime)


def difference(change: Change) -> dict[str, Any]:
    """One difference of two times."""
    ends = ("kind", "protocol", "local_ip", "local_port", "foreign_ip", "foreign_port",
            "direction")  # fmt: skip
    shown = {name: getattr(change, name) for name in ends}
    shown |= _side(change.before, "before") | _side(change.after, "after")
    return {name: shown[name] for name in DIFFERENCE}


def _side(side: Side | None, name: str) -> dict[str, Any]:
    values = ("state", "pid", "program", "copies")
    shown = {f"{value}_{name}": side and getattr(side, value) for value in values}
    shown[f"first_seen_{name}"] = None if side is None else time(side.first_seen)
    shown[f"last_seen_{name}"] = None if side is None else time(side.last_seen)
    return shown


def compared(row: Row) -> dict[str, Any]:
    """What one of two hosts has, or both."""
    names = ("what", "side", "differs", "protocol", "ip", "port")
    shown = {name: getattr(row, name) for name in names}
    shown |= _party(row.a, "a") | _party(row.b, "b")
    return {name: shown[name] for name in COMPARED}


def _party(party: Party | None, name: str) -> dict[str, Any]:
    return {
        f"count_{name}": 0 if party is None else party.count,
        f"programs_{name}": [] if party is None else list(party.programs),
        f"bound_{name}": [] if party is None else list(party.bound),
    }


def over_time(connection: Connection) -> dict[str, Any]:
    """A connection from first to last sight."""
    processes = connection.processes
    return {
        "protocol": connection.protocol,
        "local_ip": connection.local_ip,
        "local_port": connection.local_port,
        "foreign_ip": connection.foreign_ip,
        "foreign_port": connection.foreign_port,
        "direction": connection.direction,
        "first_seen": time(connection.first_seen),
        "last_seen": time(connection.last_seen),
        "open": connection.is_open,
        "duration_s": connection.duration_s,
        "times": connection.times,
        "states": [state for state, _lasted_s in connection.states],
        "pids": list(dict.fromkeys(pid for pid, _program in processes if pid is not None)),
        "programs": list(dict.fromkeys(name for _pid, name in processes if name is not None)),
        "steps": [_step(step) for step in connection.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "state": step.state,
        "pid": step.pid,
        "program": step.program,
        "copies": step.copies,
        "first_seen": time(step.first_seen),
        "last_seen": time(step.last_seen),
        "lasted_s": step.lasted_s,
    }
