"""What is stored of probes, a module a subject. All times are UTC.

Place in the data's way: below everything that writes and asks, above the hosts. Which module
writes a table is said where the table stands.
"""

from __future__ import annotations

from probes.models.alerts import Alert, AlertKind, Change, FeedEnd, Silence
from probes.models.hunts import Hunt
from probes.models.notices import Channel, Delivery, Told
from probes.models.peers import DriftWatch, Peer
from probes.models.reach import AddressName, Reach, ReachRun
from probes.models.recovery import Refusal, Restart, RestartCommand, Service
from probes.models.reports import ReportRun, ReportSchedule
from probes.models.rollups import RollUp
from probes.models.rules import Metric, Rule, RuleOverride, RuleState, Severity
from probes.models.schedule import Heartbeat, Schedule
from probes.models.snapshots import Outcome, RawOutput, Snapshot
from probes.models.sockets import ClosedSocket, Direction, Interval, LastText, OpenSocket
from probes.models.tables import CounterSample, NetworkTable, TableStatus, TableText
from probes.models.trouble import Backlog, KernelLimits
from probes.models.watching import PortPolicy, PortWatch, WatchedPort

__all__ = [
    "AddressName",
    "Alert",
    "AlertKind",
    "Backlog",
    "Change",
    "Channel",
    "ClosedSocket",
    "CounterSample",
    "Delivery",
    "Direction",
    "DriftWatch",
    "FeedEnd",
    "Heartbeat",
    "Hunt",
    "Interval",
    "KernelLimits",
    "LastText",
    "Metric",
    "NetworkTable",
    "OpenSocket",
    "Outcome",
    "Peer",
    "PortPolicy",
    "PortWatch",
    "RawOutput",
    "Reach",
    "ReachRun",
    "Refusal",
    "ReportRun",
    "ReportSchedule",
    "Restart",
    "RestartCommand",
    "RollUp",
    "Rule",
    "RuleOverride",
    "RuleState",
    "Schedule",
    "Service",
    "Severity",
    "Silence",
    "Snapshot",
    "TableStatus",
    "TableText",
    "Told",
    "WatchedPort",
]
