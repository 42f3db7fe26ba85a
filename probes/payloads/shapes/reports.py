"""The network report, and the reports that are mailed.

Place in the data's way: filled by ``probes.reports.files`` and ``probes.api.reports``. The rows of
a section have the columns of the report's tables (``probes.reports.layout``); columns that only a
report of several hosts has, or only one of a single host, are not required.
"""

from __future__ import annotations

from typing import Generic, Literal, NotRequired, TypeVar

from typing_extensions import TypedDict

from probes.payloads.shapes import Count, Identity, Listed, Named, Time
from probes.payloads.shapes.sockets import Port
from probes.payloads.shapes.words import (
    AddressScope,
    Every,
    FindingCode,
    FindingSeverity,
    MailingOutcome,
    MailingTrouble,
    Reachable,
    SocketState,
)


class _States(TypedDict):
    """Connections in the states that deserve a column."""

    established: Count
    syn_recv: Count
    time_wait: Count
    close_wait: Count


class ReportTotal(TypedDict):
    """Sockets in all, and of some kind."""

    what: Literal["sockets", "tcp", "udp", "other", "established", "listening"]
    sockets: Count


class ReportCheck(TypedDict):
    """A count of one host, address or port against a usual number."""

    check: str
    most: Count
    where: str | None
    """Of what it is the most: a host, an address or a port."""
    threshold: Count
    exceeded: Count
    """How many are above it."""
    meaning: str


class ReportFinding(TypedDict):
    """Something wrong, worst first."""

    host: NotRequired[str | None]
    finding: FindingCode
    severity: FindingSeverity
    count: Count
    summary: str
    advice: str | None
    since: Time | None


class ReportState(TypedDict):
    """Sockets in a state."""

    state: SocketState | Literal["none"]
    sockets: Count
    hosts: NotRequired[Count]


class ReportProtocol(TypedDict):
    """Sockets of a protocol, as the tool called it."""

    protocol: str
    sockets: Count


class ReportHost(TypedDict):
    """A host's sockets; null where it had no whole probe by then."""

    host: str
    sockets: Count | None
    established: Count | None
    syn_recv: Count | None
    time_wait: Count | None
    close_wait: Count | None
    listening: Count | None


class ReportScope(_States):
    """Connections with addresses of one scope."""

    scope: AddressScope
    connections: Count
    ips: Count


class ReportIp(TypedDict):
    """A remote address with its connections."""

    ip: str
    scope: AddressScope
    connections: Count
    local_ports: str | None
    """Such as ``443×3, 80×1``."""
    hosts: NotRequired[Count]


class ReportIpByState(ReportIp, _States):
    """A remote address with its connections by state."""

    other: Count
    """In any other state."""


class ReportSocket(TypedDict):
    """A connection."""

    host: NotRequired[str | None]
    protocol: str
    local_ip: str
    local_port: Port | None
    foreign_ip: str
    foreign_port: Port | None
    program: str | None
    pid: Count | None
    first_seen: Time


class ReportHeldProgram(TypedDict):
    """A program that leaves connections in CLOSE_WAIT."""

    program: str | None
    sockets: Count
    ips: Count
    hosts: NotRequired[Count]


class ReportCommonPort(_States):
    """A port at either end of connections."""

    port: Port
    listeners: Count
    inbound: Count
    other: Count
    outbound: Count
    ips: Count


class ReportLocalPort(_States):
    """A local port with its connections."""

    port: Port | None
    protocol: str
    connections: Count
    ips: Count
    listeners: Count


class ReportProgram(_States):
    """A program with its sockets."""

    program: str | None
    sockets: Count
    listeners: Count
    ips: Count


class ReportListener(TypedDict):
    """What listens: of one host each address with its process, of several each port, reach and
    program with how many have it."""

    port: Port | None
    protocol: str
    bound: Reachable
    program: str | None
    connections: Count
    local_ip: NotRequired[str]
    pid: NotRequired[Count | None]
    since: NotRequired[Time]
    hosts: NotRequired[Count]
    listeners: NotRequired[Count]


class ReportInterface(TypedDict):
    """An interface with its totals, and what it does per second."""

    host: NotRequired[str]
    interface: str
    addresses: str | None
    mtu: Count | None
    rx_packets: Count | None
    tx_packets: Count | None
    rx_packets_per_s: float | None
    tx_packets_per_s: float | None
    rx_bytes_per_s: float | None
    tx_bytes_per_s: float | None
    problems: Count | None
    """Errors and drops."""
    taken_at: Time | None


class ReportGateway(TypedDict):
    """A default route."""

    host: NotRequired[str]
    family: str
    gateway: str | None
    interface: str | None
    metric: int | None
    taken_at: Time | None


class ReportRoute(TypedDict):
    """A route."""

    destination: str
    gateway: str | None
    interface: str | None
    flags: str | None
    metric: int | None
    kind: str


class ReportChange(TypedDict):
    """A listener that differs from 24 hours before."""

    host: NotRequired[str]
    change: Literal["opened", "closed", "holder"]
    protocol: str
    local_ip: str
    port: Port | None
    before: str | None
    """The program before."""
    after: str | None
    since: Time | None


class ReportMeasured(TypedDict):
    """How a host was measured; null where it had no whole probe by then."""

    host: str
    taken_at: Time | None
    tool: str | None
    privilege: Literal["root", "sudo", "user", "unknown"] | None
    sockets: Count | None
    without_pid: Count | None
    rejected: Count | None
    newer_failure: str | None
    """Code of a newer probe that failed, or ``never_probed``."""


Row = TypeVar("Row")


class ReportSection(TypedDict, Generic[Row]):
    """A table of the report."""

    title: str
    """In the reader's language."""
    about: str
    """What is counted, or what to make of it; may be empty."""
    rows: list[Row]


class ReportSections(TypedDict):
    """The tables of the report by their keys, empty ones too."""

    totals: ReportSection[ReportTotal]
    checks: ReportSection[ReportCheck]
    findings: ReportSection[ReportFinding]
    states: ReportSection[ReportState]
    protocols: ReportSection[ReportProtocol]
    hosts: NotRequired[ReportSection[ReportHost]]
    """Of several hosts."""
    scopes: ReportSection[ReportScope]
    remote_ips: ReportSection[ReportIpByState]
    established_ips: ReportSection[ReportIp]
    external_ips: ReportSection[ReportIp]
    internal_ips: ReportSection[ReportIp]
    busiest_port_ips: ReportSection[ReportIpByState]
    syn_recv: ReportSection[ReportSocket]
    syn_recv_ips: ReportSection[ReportIp]
    time_wait_ips: ReportSection[ReportIp]
    close_wait_programs: ReportSection[ReportHeldProgram]
    close_wait: ReportSection[ReportSocket]
    common_ports: ReportSection[ReportCommonPort]
    local_ports: ReportSection[ReportLocalPort]
    programs: ReportSection[ReportProgram]
    listeners: ReportSection[ReportListener]
    interfaces: ReportSection[ReportInterface]
    gateways: ReportSection[ReportGateway]
    routes: NotRequired[ReportSection[ReportRoute]]
    """Of one host."""
    changes: ReportSection[ReportChange]
    measured: ReportSection[ReportMeasured]


class NetworkReport(TypedDict):
    """The network report of a host, a group or all hosts."""

    host: Named | None
    group: str | None
    """Both null: of all hosts."""
    at: Time | None
    """Null: now."""
    made_at: Time
    hosts: Count
    hosts_known: Count
    """Those with a whole probe by then; the others are in no count."""
    limit: Count
    sections: ReportSections


class MailingRun(TypedDict):
    """How one mailing of a report went."""

    began_at: Time
    ended_at: Time | None
    asked_by: str | None
    """Null where it was its time."""
    outcome: MailingOutcome
    """``sending`` also while it waits for its next try."""
    tries: Count
    next_try_at: Time | None
    reached: list[str]
    """Recipients whose mail the server took."""
    code: MailingTrouble | None
    reason: str
    """In the reader's language; empty where nothing went wrong."""
    detail: str
    """What the mail server said."""


class Mailing(TypedDict):
    """A report that is mailed each day, week or month."""

    id: Identity
    name: str
    owner: str
    """A user name: what they see is in it."""
    host: Named | None
    group: str | None
    every: Every
    hour: Count
    """Of the site's zone."""
    recipients: list[str]
    language: str
    enabled: bool
    next_at: Time | None
    last: MailingRun | None


class Mailings(Listed):
    """Mailed reports by name."""

    mailings: list[Mailing]
    can_mail: bool
    """Whether a mail server is set."""


class OneMailing(TypedDict):
    """A mailed report."""

    mailing: Mailing
