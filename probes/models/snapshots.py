"""What one probe is remembered by: its outcome and counts, and the output worth keeping.

Place in the data's way: written by ``probes.history.store`` only. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import Host
from probes.observation import Code, Privilege


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
