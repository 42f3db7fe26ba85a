"""Saved hunts, and the alerts that their hits raise.

Place in the data's way: written by ``probes.hunts.running`` and the pages of hunts and alerts. All
times are UTC.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models import Host


class Hunt(models.Model):
    """Indicators that are looked for in whatever is stored from now on.

    It runs over the hosts its owner may see. Its name and indicators are seen by the whole team,
    its hits by whoever may see their host.
    """

    name = models.CharField(_("name"), max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    indicators = models.TextField(_("indicators"))
    """One a line, as ``probes.indicators`` reads them."""
    enabled = models.BooleanField(_("enabled"), default=True)
    mail_to = models.TextField(_("mail to"), blank=True)
    """Addresses, one a line, that an alert is mailed to."""
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    """Whatever was stored before was looked at."""
    busy_until = models.DateTimeField(null=True, blank=True)
    """A worker looks for it, or died at that; from then on another may."""

    class Meta:
        verbose_name = _("hunt")
        verbose_name_plural = _("hunts")
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="probes_hunt_name",
                violation_error_message=_("A hunt with this name exists already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """That something a rule watches for was seen on a host, with the rows that show it.

    One stays open for a rule and a host until somebody acknowledges it; what is seen meanwhile
    adds to it.
    """

    class Kind(models.TextChoices):
        HUNT = "hunt", _("Hunt")

    kind = models.CharField(max_length=10, choices=Kind.choices)
    hunt = models.ForeignKey(Hunt, on_delete=models.SET_NULL, null=True, related_name="alerts")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="alerts")
    subject = models.CharField(max_length=200)
    """What was found, in the words of whoever set the rule: the name of the hunt."""
    opened_at = models.DateTimeField()
    """Of the snapshot that showed it first."""
    newest_at = models.DateTimeField()
    """Of the newest snapshot that added to it: what was first seen by then is in ``hits``."""
    hits = models.PositiveIntegerField(default=0)
    """Connections and listeners that fit."""
    evidence = models.JSONField(default=list)
    """The first rows that fit and then the newest, as the API shows connections, each with the
    indicator that it fits."""
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mail_after = models.DateTimeField(null=True, blank=True)
    """When to mail it, or to try that again; null: it is mailed, or is not to be."""
    mail_tries = models.PositiveSmallIntegerField(default=0)
    mail_reached = models.JSONField(default=list)
    """Recipients that have got it."""

    class Meta:
        ordering = ("-newest_at",)
        constraints = [
            # One open alert for a hunt and a host, whoever looks at the same time.
            models.UniqueConstraint(
                fields=["hunt", "host"],
                condition=Q(acknowledged_at=None),
                name="probes_alert_open_once",
            )
        ]
        indexes = [
            # The page of alerts, newest first.
            models.Index(fields=["-newest_at", "-id"], name="probes_alert_newest"),
            # Each minute: what is to be mailed, which is hardly ever anything.
            models.Index(
                fields=["mail_after"],
                name="probes_alert_to_mail",
                condition=Q(mail_after__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} on {self.host_id}"
