"""The other tables of a host: routes, interfaces, multicast groups, and counters.

Place in the data's way: written by ``probes.history.tables`` only, read through
``probes.history.queries``. All times are UTC.
"""

from __future__ import annotations

from django.db import models

from hosts.models import Host
from probes.observation import Table

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
