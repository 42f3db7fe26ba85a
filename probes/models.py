"""What is stored of probes: the schedule, snapshots, sockets as intervals, the other tables.

Place in the data's way: written by ``probes.schedule``, ``probes.history.store`` and
``probes.history.tables`` only, read through ``probes.history.queries``. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import Host
from probes.observation import Code, Privilege, Table


class Outcome(models.TextChoices):
    """What a snapshot is good for. Only OK takes part in history; nothing else closes a socket."""

    OK = "ok", _("Whole")
    LIMITED = "limited", _("Permission limited")
    PARTIAL = "partial", _("Partial")
    LATE = "late", _("Late")
    FAILED = "failed", _("Failed")


class Snapshot(models.Model):
    """The stored record of one probe; for whole ones, its counts are what charts read."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="snapshots")
    taken_at = models.DateTimeField(_("time"))
    duration_ms = models.PositiveIntegerField(_("duration"), default=0)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices)
    code = models.CharField(
        _("code"), max_length=30, blank=True, choices=[(code.value, code.value) for code in Code]
    )
    """Why it is not whole, or PERMISSION_LIMITED on a whole one that lacks PIDs."""
    detail = models.TextField(_("detail"), blank=True)
    tool = models.CharField(_("tool"), max_length=20, blank=True)
    command = models.TextField(_("command"), blank=True)
    privilege = models.CharField(
        _("privilege"),
        max_length=8,
        choices=[(p.value, p.value) for p in Privilege],
        default=Privilege.UNKNOWN,
    )
    sockets = models.PositiveIntegerField(_("sockets"), default=0)
    listeners = models.PositiveIntegerField(_("listeners"), default=0)
    by_state = models.JSONField(default=dict)
    """{"ESTABLISHED": 12, ...}; sockets without a state are not in it."""
    by_protocol = models.JSONField(default=dict)
    """{"tcp": 10, "tcp6": 2, "udp": 3, ...}"""
    without_pid = models.PositiveIntegerField(_("rows without a PID"), default=0)
    """Rows that should have one: sockets in states that outlive their process do not count."""
    rejected = models.PositiveIntegerField(_("lines not understood"), default=0)
    lines = models.PositiveIntegerField(default=0)
    opened = models.PositiveIntegerField(_("opened"), default=0)
    """Rows that the whole snapshot before did not have."""
    closed = models.PositiveIntegerField(_("closed"), default=0)

    class Meta:
        verbose_name = _("snapshot")
        verbose_name_plural = _("snapshots")
        ordering = ("-taken_at",)
        constraints = [
            # One row per probe even when it is stored twice; also serves a host's probes by time.
            models.UniqueConstraint(fields=["host", "taken_at"], name="probes_snapshot_once")
        ]
        indexes = [
            # Retention: the oldest snapshots of all hosts.
            models.Index(fields=["taken_at"], name="probes_snapshot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.host} {self.taken_at:%Y-%m-%d %H:%M:%S} {self.outcome}"


class RawOutput(models.Model):
    """Standard output and error of a probe that was not whole, or had lines not understood.

    That of the newest whole probe is :class:`LastText` already; ``history.store.raw`` finds both.
    """

    snapshot = models.OneToOneField(
        Snapshot, on_delete=models.CASCADE, primary_key=True, related_name="raw"
    )
    stdout_zstd = models.BinaryField()
    """A prefix where the whole would pass the cap of ``history.texts``."""
    stderr = models.TextField(blank=True)
    size_bytes = models.PositiveIntegerField()
    """Of standard output, uncompressed."""


class Direction(models.IntegerChoices):
    """Who opened a connection, judged by the host's listeners when it was first seen."""

    IN = 1, _("in")
    OUT = 2, _("out")
    LISTEN = 3, _("listen")
    LOCAL = 4, _("local")


class Interval(models.Model):
    """A socket from first to last sight with the same identity and number of copies.

    ``key`` is a 64-bit hash of the identity: protocol, addresses, zones, ports, state, pid,
    program and flags (``probes.history.packing``, which also gives the numbers of protocols and
    states). Addresses are 16 packed bytes (IPv4 as ::ffff:a.b.c.d), so that a CIDR is a range on
    every engine; empty, with the text in the zone, where the tool cut an address short.

    The tables are made by hand in the first migration, since Django cannot say how: columns in
    an order without padding, no foreign keys, closed sockets partitioned by day on PostgreSQL.
    """

    host = models.ForeignKey(
        Host, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    key = models.BigIntegerField()
    first_seen = models.DateTimeField()
    """``taken_at`` of the whole snapshot that showed it first."""
    protocol = models.PositiveSmallIntegerField()
    state = models.PositiveSmallIntegerField(null=True)
    direction = models.PositiveSmallIntegerField(choices=Direction.choices)
    local_ip = models.BinaryField(max_length=16)
    local_port = models.PositiveIntegerField(null=True)
    remote_ip = models.BinaryField(max_length=16)
    remote_port = models.PositiveIntegerField(null=True)
    pid = models.BigIntegerField(null=True)
    program = models.TextField(null=True)
    local_zone = models.TextField(null=True)
    remote_zone = models.TextField(null=True)
    flags = models.PositiveSmallIntegerField(default=0)
    copies = models.PositiveIntegerField(default=1)
    """How many rows of one netstat were the same: several sockets on one port and process."""

    class Meta:
        abstract = True


class OpenSocket(Interval):
    """A socket seen in the newest whole snapshot of its host."""

    pk = models.CompositePrimaryKey("host_id", "key")
    recv_queue = models.BigIntegerField(null=True)
    """Of the newest whole snapshot, summed over the copies."""
    send_queue = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            # Who is connected to an IP or CIDR now, on any host.
            models.Index(fields=["remote_ip"], name="probes_open_remote"),
            # A host's listeners: its ports page, and the direction of what it opens.
            models.Index(
                fields=["host", "local_port"],
                name="probes_open_listening",
                condition=models.Q(direction=Direction.LISTEN),
            ),
            # Who holds port 8080 across the fleet.
            models.Index(
                fields=["local_port"],
                name="probes_open_port",
                condition=models.Q(direction=Direction.LISTEN),
            ),
        ]


class ClosedSocket(Interval):
    """A socket no longer there: last seen in the whole snapshot taken at ``last_seen``.

    Its key is unique by construction (a key closes at most once per snapshot); the database keeps
    no index for it, since nothing looks a closed socket up by key.
    """

    pk = models.CompositePrimaryKey("host_id", "key", "last_seen")
    last_seen = models.DateTimeField()

    class Meta:
        indexes = [
            # The sockets of a host at a time: first_seen <= time <= last_seen. Retention, SQLite.
            models.Index(fields=["host", "first_seen", "last_seen"], name="probes_closed_host"),
            # Who talked to an IP or CIDR since a time, on any host.
            models.Index(fields=["remote_ip", "last_seen"], name="probes_closed_remote"),
        ]


class LastText(models.Model):
    """The newest whole text of a host, so that only unseen lines are parsed.

    Locked and written in the transaction that changes the open sockets: text and set never part.
    """

    host = models.OneToOneField(Host, on_delete=models.CASCADE, primary_key=True, related_name="+")
    taken_at = models.DateTimeField()
    """Of the newest whole snapshot; also tells a writer that another was faster."""
    dialect = models.CharField(max_length=20)
    wide = models.BooleanField(default=False)
    """Whether addresses were printed uncut (``Observation.wide``)."""
    privilege = models.CharField(max_length=8)
    login_version = models.CharField(max_length=16)
    text_zstd = models.BinaryField()
    notes = models.TextField(blank=True)
    """What that probe wrote to standard error."""


TABLES = [(table.value, table.value) for table in Table]


class TableStatus(models.Model):
    """How the newest attempt at one of the other tables of a host went, and the newest whole one.

    Each table fails alone: what is known of it stays while ``code`` says why nothing newer is.
    """

    host = models.ForeignKey(
        Host, on_delete=models.CASCADE, db_index=False, related_name="table_statuses"
    )
    table = models.CharField(max_length=12, choices=TABLES)
    attempted_at = models.DateTimeField()
    """``taken_at`` of the newest probe that asked for it; an older one changes nothing."""
    code = models.CharField(max_length=30, blank=True)
    """Why that attempt gave no whole table; empty where it did."""
    detail = models.TextField(blank=True)
    failing_since = models.DateTimeField(null=True)
    """The first of the attempts in a row that failed."""
    taken_at = models.DateTimeField(null=True)
    """Of the newest whole table; null where there was none yet."""
    tool = models.CharField(max_length=20, blank=True)
    """What the newest whole table was read with; the rest below is of it too."""
    dialect = models.CharField(max_length=40, blank=True)
    rows = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    rejected_lines = models.JSONField(default=list)
    """[[number of the line, text, reason], ...]; the first few."""
    remarks = models.JSONField(default=list)
    since = models.DateTimeField(null=True)
    """``first_seen`` of its :class:`NetworkTable`; null for protocol counters, which have none."""
    digest = models.CharField(max_length=32, blank=True)
    """Of that content, to see whether the next one is another."""
    exact = models.CharField(max_length=32, blank=True)
    """The same with what changes by itself, to see whether that did."""

    class Meta:
        constraints = [
            # One per host and table; serves a host's statuses, read with every table.
            models.UniqueConstraint(fields=["host", "table"], name="probes_tablestatus_once")
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.table} {self.code or 'ok'}"


class TableText(models.Model):
    """What a host printed for one of the other tables, where not all of it was understood.

    The newest such output only; it goes once the table is understood to the last line, and with
    raw output (``history.retention``).
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, db_index=False, related_name="+")
    table = models.CharField(max_length=12, choices=TABLES)
    taken_at = models.DateTimeField()
    text_zstd = models.BinaryField()
    """A prefix where the whole would pass the cap of ``history.tables``."""
    size_bytes = models.PositiveIntegerField()
    """Of the whole text, uncompressed."""

    class Meta:
        constraints = [
            # One per host and table; serves the page that shows it.
            models.UniqueConstraint(fields=["host", "table"], name="probes_tabletext_once")
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.table} {self.taken_at:%Y-%m-%d %H:%M:%S}"


class NetworkTable(models.Model):
    """Routes, interfaces (without their counters) or multicast groups, while they stayed the same.

    Between ``first_seen`` and ``last_seen`` every whole table was this one, but for the order of
    its rows and what changes by itself (uses and references, the time until routes expire): those
    are of ``last_seen``.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, db_index=False, related_name="+")
    table = models.CharField(max_length=12, choices=TABLES)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    tool = models.CharField(max_length=20, blank=True)
    dialect = models.CharField(max_length=40, blank=True)
    rows = models.PositiveIntegerField()
    """As printed; of very long tables only the first are kept (``history.contents``)."""
    content_zstd = models.BinaryField()

    class Meta:
        constraints = [
            # One per change even when it is stored twice; also serves a host's table at a time.
            models.UniqueConstraint(
                fields=["host", "table", "first_seen"], name="probes_networktable_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.table} {self.first_seen:%Y-%m-%d %H:%M:%S}"


class CounterSample(models.Model):
    """All counters of a host's interfaces, or of its protocols, at one time.

    One row a probe and not one an interface: a third of the bytes, one index, one statement.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, db_index=False, related_name="+")
    table = models.CharField(max_length=12, choices=TABLES)
    taken_at = models.DateTimeField()
    tool = models.CharField(max_length=20, blank=True)
    counters_zstd = models.BinaryField()

    class Meta:
        constraints = [
            # One a probe even when it is stored twice; also serves the newest two at a time,
            # the series of a chart, and retention, host by host.
            models.UniqueConstraint(
                fields=["host", "table", "taken_at"], name="probes_countersample_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.table} {self.taken_at:%Y-%m-%d %H:%M:%S}"


class Schedule(models.Model):
    """When a host is probed next, who does it now, and how the last probes went."""

    host = models.OneToOneField(
        Host, on_delete=models.CASCADE, primary_key=True, related_name="schedule"
    )
    next_probe_at = models.DateTimeField(db_index=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    requested_at = models.DateTimeField(null=True, blank=True)
    """Set by "probe now", cleared when that probe is stored."""
    requested_by = models.CharField(max_length=150, blank=True)
    failures = models.PositiveIntegerField(default=0)
    """Failed probes in a row."""
    failing_since = models.DateTimeField(null=True, blank=True)
    paused_code = models.CharField(max_length=30, blank=True)
    """``login_failed`` or ``sudo_refused``: not tried again while the login is the same."""
    paused_login_version = models.CharField(max_length=16, blank=True)
    latest = models.ForeignKey(
        Snapshot, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    """The newest snapshot of any outcome."""
    latest_whole = models.ForeignKey(
        Snapshot, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    """The newest whole one: what OpenSocket shows."""
    tables_at = models.DateTimeField(null=True, blank=True)
    """When a probe last asked for the other tables and got so far as to run a command."""

    def __str__(self) -> str:
        return f"{self.host}: next {self.next_probe_at:%Y-%m-%d %H:%M:%S}"


class Heartbeat(models.Model):
    """That scheduler and workers live: one row per worker node, written by a task beat sends."""

    node = models.CharField(max_length=200, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.node} {self.at:%H:%M:%S}"
