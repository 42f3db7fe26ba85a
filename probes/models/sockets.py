"""Sockets as intervals, open and closed, and the text that the next probe is compared with.

Place in the data's way: written by ``probes.history.store`` only, read through
``probes.history.queries``. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import Host


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
