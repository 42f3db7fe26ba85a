"""What findings need beside sockets: full accept queues over time, and a kernel's limits.

Place in the data's way: written by ``probes.history``, read by the queries behind findings. All
times are UTC.
"""

from __future__ import annotations

from django.db import models

from hosts.models import Host


class Backlog(models.Model):
    """Connections that waited to be accepted by one listener when one whole snapshot was taken.

    Written only where any waited, so a host in good health has none.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, db_index=False, related_name="+")
    taken_at = models.DateTimeField()
    key = models.BigIntegerField()
    """Of the listener in ``OpenSocket`` or ``ClosedSocket``."""
    protocol = models.PositiveSmallIntegerField()
    local_ip = models.BinaryField(max_length=16)
    local_port = models.PositiveIntegerField()
    program = models.TextField(null=True)
    waiting = models.PositiveBigIntegerField()
    """Recv-Q of the listener."""
    most = models.PositiveBigIntegerField(null=True)
    """Its limit (Send-Q, which only ss shows); null where the tool does not tell."""

    class Meta:
        constraints = [
            # One a listener and probe; serves a host's backlogs since a time, and retention.
            models.UniqueConstraint(fields=["host", "taken_at", "key"], name="probes_backlog_once")
        ]

    def __str__(self) -> str:
        return f"{self.host_id} :{self.local_port} {self.waiting}"


class KernelLimits(models.Model):
    """The limits of a host's kernel that findings judge by, as its newest probe that asked saw."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, primary_key=True, related_name="+")
    taken_at = models.DateTimeField()
    limits = models.JSONField(default=dict)
    """``{"net.ipv4.ip_local_port_range": "32768 60999", ...}``, as sysctl(8) names them."""

    def __str__(self) -> str:
        return f"{self.host_id} {self.taken_at:%Y-%m-%d %H:%M:%S}"
