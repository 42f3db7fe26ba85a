"""The statistics as JSON and CSV: where their rows become keys and columns.

Place in the data's way: after ``probes.history.queries.statistics``, before ``netadmin.envelope``
and ``netadmin.csvfile``; the same rules as ``probes.payloads``. Shared by the JSON routes, the CSV
of the page Statistics, and the report.
"""

from __future__ import annotations

from typing import Any, Final

from probes import payloads
from probes.history.queries import SocketRow
from probes.history.queries.busiest import BusyInterface
from probes.history.queries.moments import Coverage
from probes.history.queries.statistics_rows import (
    CommonPort,
    EndRow,
    IpRow,
    PortCount,
    ProgramCount,
    ProtocolCount,
    ScopeCount,
    StateCount,
)
from probes.payloads.shapes import names
from probes.payloads.shapes import statistics as shapes

IP: Final = names(shapes.IpCount)
END: Final = names(shapes.EndCount)
LOCAL_PORT: Final = names(shapes.LocalPortCount)
PROGRAM: Final = names(shapes.ProgramCount)
STATE: Final = names(shapes.StateCount)
PROTOCOL: Final = names(shapes.ProtocolCount)
COMMON_PORT: Final = names(shapes.CommonPort)
SCOPE: Final = names(shapes.ScopeCount)
SOCKET: Final = names(shapes.SocketOfHost)
BUSY_INTERFACE: Final = names(shapes.BusyInterface)


def ip(row: IpRow) -> dict[str, Any]:
    """A remote address with its connections."""
    return {name: getattr(row, name) for name in IP} | {
        "local_ports": [
            {"port": number, "connections": count} for number, count in row.local_ports
        ],
    }


def end(row: EndRow) -> dict[str, Any]:
    """A remote address and port."""
    return {name: getattr(row, name) for name in END}


def local_port(row: PortCount) -> dict[str, Any]:
    """A local port."""
    return {name: getattr(row, name) for name in LOCAL_PORT}


def program(row: ProgramCount) -> dict[str, Any]:
    """A program; null where no process could be seen."""
    return {name: getattr(row, name) for name in PROGRAM}


def state(row: StateCount) -> dict[str, Any]:
    """A state; null for the sockets without one."""
    return {name: getattr(row, name) for name in STATE}


def protocol(row: ProtocolCount) -> dict[str, Any]:
    """A protocol over its kinds."""
    return {name: getattr(row, name) for name in PROTOCOL}


def common_port(row: CommonPort) -> dict[str, Any]:
    """A port at both ends of connections."""
    return {name: getattr(row, name) for name in COMMON_PORT}


def scope(row: ScopeCount) -> dict[str, Any]:
    """Connections to addresses of one scope."""
    return {name: getattr(row, name) for name in SCOPE}


def socket(row: SocketRow, hosts: dict[int, str]) -> dict[str, Any]:
    """A socket of one of several hosts; ``hosts`` are their names by id."""
    return {
        "host": {"id": row.host_id, "name": hosts[row.host_id]},
        **payloads.connection(row),
    }


def busy_interface(row: BusyInterface) -> dict[str, Any]:
    """What an interface did per second."""
    return {
        "host": payloads.host_name(row.host),
        "interface": row.interface,
        **{
            f"{name}_per_s": None if value is None else round(value, 3)
            for name, value in row.rates.items()
        },
        "over_s": round(row.over_s, 3),
        "taken_at": payloads.time(row.taken_at),
    }


def coverage(shown: Coverage) -> dict[str, Any]:
    """How many hosts a statistic is over, and of when each of them is."""
    return {
        "total": shown.hosts,
        "silent": shown.silent,
        "oldest": payloads.time(shown.oldest),
        "newest": payloads.time(shown.newest),
    }
