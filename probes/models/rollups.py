"""What charts over long times read: a host's probes summed up by quarter of an hour, hour and day.

Place in the data's way: written by ``probes.history.rollups`` from snapshots and sockets that are
stored already, read by ``probes.history.queries.series`` and ``trends``. Losing a row loses nothing
that cannot be made again while the snapshots are kept. All times are UTC.
"""

from __future__ import annotations

from typing import Final

from django.db import models

from hosts.models import Host

WIDTHS: Final = (15, 60, 1440)
"""Minutes of the stretches, each a whole multiple of the one before."""


class RollUp(models.Model):
    """The probes of one host in one stretch of time, as the last whole one of them saw it.

    Numbers were really seen, there are no averages; the most of each is kept beside the last, so
    that a flood of two minutes is seen in a chart of a month.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, db_index=False, related_name="+")
    minutes = models.PositiveSmallIntegerField()
    """How long the stretch is: one of :data:`WIDTHS`."""
    begins_at = models.DateTimeField()
    """A whole multiple of the width since 1970."""
    taken_at = models.DateTimeField(null=True)
    """Of the last whole snapshot in it; null where there was none: the numbers are then 0."""
    probes = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    """Those of them that gave no whole snapshot."""
    code = models.CharField(max_length=30, blank=True)
    """Why the last of those failed."""
    sockets = models.PositiveIntegerField(default=0)
    listeners = models.PositiveIntegerField(default=0)
    by_state = models.JSONField(default=dict)
    by_protocol = models.JSONField(default=dict)
    most_sockets = models.PositiveIntegerField(default=0)
    most_by_state = models.JSONField(default=dict)
    """The most of each state in any whole snapshot of the stretch."""
    opened = models.PositiveIntegerField(default=0)
    """Summed over the stretch."""
    closed = models.PositiveIntegerField(default=0)
    tops_zstd = models.BinaryField(null=True)
    """The largest remote addresses, local ports, programs, ... (``probes.history.queries.tops``) of
    the last whole snapshot; null for the narrowest width."""

    class Meta:
        constraints = [
            # One a stretch even when it is made twice; also serves a host's or a group's chart.
            models.UniqueConstraint(
                fields=["host", "minutes", "begins_at"], name="probes_rollup_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.begins_at:%Y-%m-%d %H:%M} {self.minutes} min"
