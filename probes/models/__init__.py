"""What is stored of probes, a module a subject. All times are UTC.

Place in the data's way: below everything that writes and asks, above the hosts. Which module
writes a table is said where the table stands.
"""

from __future__ import annotations

from probes.models.hunts import Alert, Hunt
from probes.models.reach import AddressName, Reach, ReachRun
from probes.models.reports import ReportRun, ReportSchedule
from probes.models.rollups import RollUp
from probes.models.schedule import Heartbeat, Schedule
from probes.models.snapshots import Outcome, RawOutput, Snapshot
from probes.models.sockets import ClosedSocket, Direction, Interval, LastText, OpenSocket
from probes.models.tables import CounterSample, NetworkTable, TableStatus, TableText
from probes.models.trouble import Backlog, KernelLimits

__all__ = [
    "AddressName",
    "Alert",
    "Backlog",
    "ClosedSocket",
    "CounterSample",
    "Direction",
    "Heartbeat",
    "Hunt",
    "Interval",
    "KernelLimits",
    "LastText",
    "NetworkTable",
    "OpenSocket",
    "Outcome",
    "RawOutput",
    "Reach",
    "ReachRun",
    "ReportRun",
    "ReportSchedule",
    "RollUp",
    "Schedule",
    "Snapshot",
    "TableStatus",
    "TableText",
]
