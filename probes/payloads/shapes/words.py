"""Words of closed sets that several shapes have: kinds, states, severities.

Place in the data's way: below the shapes. Written out, because a Literal cannot be made of the
choices of a model; the suite holds each against the choices it is named after.
"""

from __future__ import annotations

from typing import Literal

SocketState = Literal[
    "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "UNKNOWN",
]  # fmt: skip
"""As ``probes.parsers.records.TCP_STATES``."""
Direction = Literal["in", "out", "listen", "local"]
"""As ``probes.models.Direction``, in small letters."""
Reachable = Literal["all", "external", "private", "loopback"]
"""From where a listener can be reached: ``bound`` of a PortRow."""
AddressScope = Literal["external", "private", "loopback"]
"""Where an address is: scopes of ``probes.history.queries.scopes``, but for ``all``."""

AlertKind = Literal["hunt", "port", "rule", "probe", "peer", "service"]
"""As ``probes.models.AlertKind``."""
Severity = Literal["info", "warning", "critical"]
"""As ``probes.models.Severity``."""
ChangeKind = Literal[
    "port_new", "port_down", "port_recovered", "holder", "expected_missing", "expected_back",
    "raised", "cleared", "trouble", "trouble_over", "peer_new", "hunt_hit", "gave_up",
    "service_back",
]  # fmt: skip
"""As ``probes.models.Change.Kind``."""
ChannelKind = Literal["email", "webhook", "apprise"]
"""As ``probes.models.Channel.Kind``."""
DeliveryKind = Literal["alerts", "reminder", "escalation", "window_over", "test"]
"""As ``probes.models.Delivery.Kind``."""
DeliveryState = Literal["waiting", "sent", "failed"]
"""As ``probes.models.Delivery.State``."""
DeliveryError = Literal[
    "no_mail_server", "no_recipients", "mail_refused", "mail_unreachable", "no_address",
    "secret_unreadable", "blocked", "url", "dns", "connect", "tls", "timeout", "redirect", "status",
    "answer", "template", "service", "switched_off", "interrupted", "internal_error",
]  # fmt: skip
"""As ``probes.notify.trouble.WORDS``."""

IndicatorKind = Literal["ip", "cidr", "port", "ip+port", "program"]
"""As ``probes.indicators.Kind``."""
FindingKind = Literal["leak", "headroom", "backlog", "flood", "waits"]
"""As ``probes.analysis.findings.Kind``."""
FindingCode = Literal[
    "close_wait_rising", "close_wait_held", "ports_short", "queue_full", "queue_waiting",
    "syn_flood", "time_wait_outgoing", "time_wait_incoming", "time_wait_table",
]  # fmt: skip
"""As ``probes.analysis.findings.Code``."""
FindingSeverity = Literal["bad", "warn", "info"]
"""As ``probes.analysis.findings.Severity``, in small letters."""
Metric = Literal[
    "state", "sockets", "listeners", "port", "remote_ip", "ratio", "rise", "unreachable",
    "login_failed", "key_changed", "incomplete", "stale", "slow",
]  # fmt: skip
"""As ``probes.models.Metric``."""
PeerState = Literal["learned", "new", "approved", "snoozed", "expired"]
"""As ``probes.models.Peer.State``."""

RestartState = Literal[
    "planned", "running", "checking", "recovered", "still_down", "failed", "refused", "unknown"
]
"""As ``probes.models.Restart.State``."""
ServiceState = Literal["up", "down", "unknown", "off"]
"""As ``probes.recovery.listing.STATES``."""
RestartRefusal = Literal[
    "off", "no_command", "host_off", "not_posix", "not_whole", "stale", "login_paused", "no_sudo",
    "silenced", "up", "confirm", "under_way", "same_process", "budget", "waited", "interrupted",
    "not_seen",
]  # fmt: skip
"""As ``probes.models.recovery.Refusal``."""

Exposure = Literal["any", "public", "unknown", "private", "link-local", "multicast", "loopback"]
"""As ``probes.analysis.exposure.Bound``, the most exposed first."""
Families = Literal["ipv4", "ipv6", "both", "probably_both"]
"""As ``probes.analysis.exposure.Stack``."""
ReachResult = Literal["open", "refused", "filtered", "unreachable"]
"""As ``probes.models.Reach.Result``."""
ReachSkip = Literal[
    "udp", "loopback", "local_only", "unknown", "not_its_own", "controller", "no_address",
    "too_many",
]  # fmt: skip
"""As ``probes.analysis.exposure.Skip``."""
ReachProblem = Literal["no_address", "gone", "broke", "no_worker"]
"""As ``probes.connect_back.Problem``."""
ReachRunState = Literal["queued", "running", "finished", "lost"]
"""How an attempt from the controller is doing."""

SourceKind = Literal["csv", "json", "ansible", "netbox"]
"""As ``hosts.models.Source.Kind``."""
SyncState = Literal["running", "done", "unchanged", "waiting", "refused", "failed", "dry_run"]
"""As ``hosts.models.SyncRun.State``."""
RowProblem = Literal[
    "missing", "invalid", "not_text", "template", "twice", "not_an_object", "not_ssh", "exists",
    "refused",
]  # fmt: skip
"""As ``hosts.cmdb.wording.PROBLEMS``."""

Every = Literal["day", "week", "month"]
"""As ``probes.models.ReportSchedule.Every``."""
MailingOutcome = Literal["sending", "sent", "failed"]
"""As ``probes.models.ReportRun.Outcome``."""
MailingTrouble = Literal[
    "no_mail_server", "owner_gone", "nothing_visible", "refused", "unreachable", "interrupted",
    "internal_error",
]  # fmt: skip
"""As ``probes.reports.sending.REASONS``."""
