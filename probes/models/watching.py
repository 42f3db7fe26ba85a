"""What is watched of ports: the policy of site, groups and hosts, and each port as last seen.

Place in the data's way: policies are written by the pages of rules, watched ports by
``probes.watch.port_watch`` in the transaction that stores a snapshot. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, HostGroup


class PortPolicy(models.Model):
    """Which listeners a host may, must and need not have, and what of them raises alerts.

    One row for the whole site (neither group nor host), one at most for a group and a host. The
    lists of all rows that apply to a host add up; of switches the nearest row that says something
    counts (``probes.watch.policies``).
    """

    group = models.OneToOneField(
        HostGroup, on_delete=models.CASCADE, null=True, blank=True, related_name="port_policy"
    )
    host = models.OneToOneField(
        Host, on_delete=models.CASCADE, null=True, blank=True, related_name="port_policy"
    )
    enabled = models.BooleanField(_("watch ports"), null=True, default=None)
    """None: as the next wider row says."""
    allowed = models.TextField(_("allowed"), blank=True)
    """Ports that may come and be there without an alert: ``probes.watch.port_list``."""
    excluded = models.TextField(_("excluded"), blank=True)
    """Listeners that are not watched at all: ports, ranges, programs, loopback, ephemeral."""
    expected = models.TextField(_("expected"), blank=True)
    """Ports that have to be there: ``22, 80-90, 443/tcp nginx``."""
    raises = models.JSONField(default=dict, blank=True)
    """``{"system": ["new", "down", "holder"], "registered": [...], "ephemeral": []}``; a range
    that is missing: as the next wider row says."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("port policy")
        verbose_name_plural = _("port policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(group=None) | Q(host=None), name="probes_portpolicy_one_scope"
            ),
            models.UniqueConstraint(
                models.Value(1),
                condition=Q(group=None, host=None),
                name="probes_portpolicy_one_site",
            ),
        ]

    def __str__(self) -> str:
        if self.host is not None:
            return str(self.host)
        return str(self.group) if self.group is not None else "site"


class PortWatch(models.Model):
    """That a host's ports are watched, and by what the remembered ones were chosen.

    Where it is missing, the next whole snapshot is the baseline. Where the policy or the range of
    ephemeral ports is another one by now, ports that were there before are remembered, not new.
    """

    host = models.OneToOneField(Host, on_delete=models.CASCADE, primary_key=True, related_name="+")
    since = models.DateTimeField()
    """Of the whole snapshot that was the baseline."""
    policy = models.CharField(max_length=32)
    """Digest of the effective policy (``probes.watch.policies``)."""
    ephemeral = models.CharField(max_length=11)
    """``32768-60999``: the range that the ports were judged by."""
    sees_all = models.BooleanField(default=True)
    """Whether the newest judged probe was root's: another login may see other listeners."""
    tool = models.CharField(max_length=20, blank=True)
    """Of the newest judged probe: another one may call the same program by another name."""
    missed = models.BooleanField(default=False)
    """A whole snapshot could not be judged: the next one is compared although nothing changed."""

    def __str__(self) -> str:
        return f"{self.host_id} since {self.since:%Y-%m-%d %H:%M:%S}"


class WatchedPort(models.Model):
    """One port of a host as the newest whole snapshot shows it, or as it was when it went down.

    A port is a base protocol ("tcp", "udp") and a number, whatever the addresses it is bound to.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="watched_ports")
    protocol = models.CharField(max_length=4)
    port = models.PositiveIntegerField()
    is_up = models.BooleanField(default=True)
    since = models.DateTimeField()
    """Of the whole snapshot that showed it up, or down, first."""
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    """Of the newest whole snapshot that changed it; while it is up, it is there now."""
    addresses = models.JSONField(default=list)
    """Sorted texts of the addresses it is, or was last, bound to."""
    programs = models.JSONField(default=list)
    """Sorted names of the programs that hold it, as far as known; never null inside."""
    pids = models.JSONField(default=list)
    expected = models.BooleanField(default=False)
    """Never seen, or gone, and in the list of expected ports: its absence was told."""

    class Meta:
        constraints = [
            # A host's ports, read after each of its whole snapshots.
            models.UniqueConstraint(
                fields=["host", "protocol", "port"], name="probes_watchedport_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.protocol}/{self.port}"
