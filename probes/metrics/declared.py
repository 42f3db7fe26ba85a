"""Every family of ``/metrics``: its name, what it says, its labels and who gets it.

Place in the data's way: read by ``exposition`` and by the tests, which hold docs/metrics.md and the
dashboard against it. Names follow https://prometheus.io/docs/practices/naming/: base units, plural
where things are counted, ``_total`` on counters alone. What is a state has one series for each
value it can have, 1 or 0, so that a rule can ask for any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

HOST: Final = ("host", "id")
"""Labels of everything about one host: its name, which may change, and its id, which does not."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"
    whole_site: bool = False
    """Only for callers whom no host group limits."""


STATUS = Family(
    "netadmin_host_status",
    "Status of the host: 1 for the one that holds, as the overview shows it.",
    (*HOST, "status"),
)
OUTCOME = Family(
    "netadmin_host_probe_outcome",
    "Outcome of the newest probe of the host: 1 for the one it had.",
    (*HOST, "outcome"),
)
FAILURE = Family(
    "netadmin_host_probe_failure",
    "1 with the code of why the newest probe is not whole, or why the host is paused.",
    (*HOST, "code"),
)
PAUSED = Family(
    "netadmin_host_paused",
    "1 while the host is not tried again because its login or its sudo was refused.",
    HOST,
)
DURATION = Family(
    "netadmin_host_probe_duration_seconds", "How long the newest probe of the host took.", HOST
)
AGE = Family(
    "netadmin_host_probe_age_seconds",
    "Time since the newest probe of the host, whatever its outcome.",
    HOST,
)
WHOLE_AGE = Family(
    "netadmin_host_whole_probe_age_seconds",
    "Time since the newest whole probe of the host, which all its other numbers are of.",
    HOST,
)
INTERVAL = Family(
    "netadmin_host_probe_interval_seconds", "How often the host is to be probed.", HOST
)
FAILURES = Family("netadmin_host_consecutive_failures", "Failed probes of the host in a row.", HOST)
SOCKETS = Family("netadmin_host_sockets", "Sockets of the host.", HOST)
BY_STATE = Family(
    "netadmin_host_sockets_by_state",
    "Sockets of the host by TCP state; those without a state are in none.",
    (*HOST, "state"),
)
BY_PROTOCOL = Family(
    "netadmin_host_sockets_by_protocol",
    "Sockets of the host by protocol, as its tool calls it.",
    (*HOST, "protocol"),
)
LISTENERS = Family("netadmin_host_listeners", "Listening sockets of the host.", HOST)
WITHOUT_PID = Family(
    "netadmin_host_sockets_without_pid",
    "Sockets of the host whose process is not known for want of a permission.",
    HOST,
)
UNPARSED = Family(
    "netadmin_host_unparsed_lines", "Lines of the host's output that were not understood.", HOST
)

BUILD = Family("netadmin_build_info", "1 with the version of netadmin.", ("version",))
HOSTS = Family("netadmin_hosts", "Hosts by status, as the overview counts them.", ("status",))
DUE = Family("netadmin_hosts_due", "Hosts that are due and that no worker was given yet.")
LEASED = Family("netadmin_hosts_leased", "Hosts given to a worker: waiting there, or being probed.")
LAG = Family(
    "netadmin_schedule_lag_seconds", "For how long the host that waits longest has been due."
)
ALERTS = Family(
    "netadmin_alerts_active", "Active alerts by kind and severity.", ("kind", "severity")
)
UNACKNOWLEDGED = Family(
    "netadmin_alerts_unacknowledged",
    "Active alerts that nobody acknowledged, by kind and severity.",
    ("kind", "severity"),
)
CHANGES_LAST_HOUR = Family(
    "netadmin_changes_last_hour", "Changes seen in the last hour, by kind.", ("kind",)
)

CHANGES = Family(
    "netadmin_changes_total", "Changes in the change feed so far.", kind="counter", whole_site=True
)
HEARTBEAT_AGE = Family(
    "netadmin_scheduler_heartbeat_age_seconds",
    "Time since the newest heartbeat came from the scheduler through the broker to a worker.",
    whole_site=True,
)
LATE = Family(
    "netadmin_scheduler_late", "1 while there is no heartbeat of late; /readyz says so too.",
    whole_site=True,
)  # fmt: skip
WORKERS = Family("netadmin_workers", "Worker nodes heard of lately.", whole_site=True)
CONNECTIONS = Family(
    "netadmin_worker_connections",
    "SSH connections that a worker node keeps open.",
    ("worker",),
    whole_site=True,
)
BROKER = Family("netadmin_broker_up", "1 where the broker answers.", whole_site=True)
QUEUE = Family(
    "netadmin_queue_messages",
    "Messages in the broker's queue that no worker took yet; absent without a broker.",
    ("queue",),
    whole_site=True,
)
DELIVERIES = Family(
    "netadmin_deliveries_last_hour",
    "Messages of the last hour by kind of channel and what became of them.",
    ("channel_kind", "state"),
    whole_site=True,
)
WAITING = Family(
    "netadmin_deliveries_waiting",
    "Messages to be sent or tried again, by kind of channel.",
    ("channel_kind",),
    whole_site=True,
)
DATABASE = Family("netadmin_database_size_bytes", "Size of the database.", whole_site=True)

FAMILIES: Final = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order of the text."""
