"""When hosts are probed, and that somebody does it.

Place in the data's way: written by ``probes.schedule``, ``probes.health`` and the last statement
of ``probes.history.store``. All times are UTC.
"""

from __future__ import annotations

from django.db import models

from hosts.models import Host
from probes.models.snapshots import Snapshot


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
    other_port_refused_at = models.DateTimeField(null=True, blank=True)
    """When the login was last refused over another SSH port than the configured one."""
    other_port_login_version = models.CharField(max_length=16, blank=True)
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
    rolled_until = models.DateTimeField(null=True, blank=True)
    """Everything probed before it is in :class:`RollUp`; null: nothing is yet."""
    live_until = models.DateTimeField(null=True, blank=True)
    """A live page looks at the host until then; each of its beats moves it on."""
    live_began_at = models.DateTimeField(null=True, blank=True)
    live_by = models.CharField(max_length=150, blank=True)

    def __str__(self) -> str:
        return f"{self.host}: next {self.next_probe_at:%Y-%m-%d %H:%M:%S}"


class Heartbeat(models.Model):
    """That scheduler and workers live: one row per worker node, written by a task beat sends."""

    node = models.CharField(max_length=200, primary_key=True)
    at = models.DateTimeField()
    connections = models.PositiveIntegerField(default=0)
    """SSH connections its process keeps open."""

    def __str__(self) -> str:
        return f"{self.node} {self.at:%H:%M:%S}"
