"""Whom the programs of a group talk to: learned, and what is new about it.

Place in the data's way: written by ``probes.watch.drift`` and its page. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, HostGroup
from probes.models.alerts import Alert


class DriftWatch(models.Model):
    """That a group's outgoing connections are learned, and new ones told."""

    group = models.OneToOneField(
        HostGroup, on_delete=models.CASCADE, primary_key=True, related_name="drift_watch"
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    learn_until = models.DateTimeField(_("learns until"))
    """Whatever is seen until then is known; afterwards it is new."""
    ipv4_prefix = models.PositiveSmallIntegerField(_("IPv4 prefix"), default=24)
    """How many bits of an address make the network that is learned; 32: each address."""
    ipv6_prefix = models.PositiveSmallIntegerField(_("IPv6 prefix"), default=64)
    forget_days = models.PositiveIntegerField(_("forget after days"), default=90)
    """A peer that was not seen for so long is new again."""
    ignored = models.TextField(_("networks left out"), blank=True)
    """Addresses and networks, one a line, that are neither learned nor told: one's own."""
    checked_at = models.DateTimeField(null=True, blank=True)
    """Whatever was stored before was looked at."""
    busy_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("new-peer watch")
        verbose_name_plural = _("new-peer watches")

    def __str__(self) -> str:
        return str(self.group)


class Peer(models.Model):
    """A network that a program of a group talks to."""

    class State(models.TextChoices):
        LEARNED = "learned", _("Learned")
        NEW = "new", _("New")
        APPROVED = "approved", _("Approved")
        SNOOZED = "snoozed", _("Snoozed")
        EXPIRED = "expired", _("Expired")

    group = models.ForeignKey(HostGroup, on_delete=models.CASCADE, related_name="peers")
    program = models.CharField(max_length=255)
    """Empty where the host does not tell."""
    network = models.CharField(max_length=50)
    """``192.0.2.0/24``"""
    state = models.CharField(max_length=8, choices=State.choices)
    until = models.DateTimeField(null=True, blank=True)
    """Of SNOOZED, and of an approval with an end."""
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    """When the newest connection to it that is known of was seen first."""
    host = models.ForeignKey(Host, on_delete=models.SET_NULL, null=True, related_name="+")
    """Where it was seen first."""
    alert = models.ForeignKey(Alert, on_delete=models.SET_NULL, null=True, related_name="peers")
    """What told of it: of several peers of a program that were new at once it is one."""
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("peer")
        verbose_name_plural = _("peers")
        ordering = ("-first_seen", "-pk")
        constraints = [
            models.UniqueConstraint(fields=["group", "program", "network"], name="probes_peer_once")
        ]
        indexes = [
            # The page of peers, newest first.
            models.Index(fields=["-first_seen", "-id"], name="probes_peer_newest"),
            # Those to forget, which is hardly ever any.
            models.Index(fields=["group", "last_seen"], name="probes_peer_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.program} {self.network}"
