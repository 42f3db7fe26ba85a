"""Reports that are mailed on a schedule, and how that went.

Place in the data's way: written by ``probes.reports.sending`` and its page. All times are UTC; the
hour of a schedule is one of the site's zone.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hosts.models import Host, HostGroup


class ReportSchedule(models.Model):
    """The network report of one host, one group or all hosts, mailed each day, week or month.

    It shows what its owner may see at that time.
    """

    class Every(models.TextChoices):
        DAY = "day", _("each day")
        WEEK = "week", _("each Monday")
        MONTH = "month", _("on the first of each month")

    name = models.CharField(_("name"), max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    host = models.ForeignKey(
        Host, on_delete=models.CASCADE, null=True, blank=True, verbose_name=_("host")
    )
    group = models.ForeignKey(
        HostGroup, on_delete=models.CASCADE, null=True, blank=True, verbose_name=_("group")
    )
    every = models.CharField(_("how often"), max_length=5, choices=Every.choices)
    hour = models.PositiveSmallIntegerField(
        _("hour"), default=7, validators=[MaxValueValidator(23)]
    )
    recipients = models.TextField(_("recipients"))
    """Mail addresses, one a line."""
    language = models.CharField(_("language"), max_length=10, default="en")
    enabled = models.BooleanField(_("enabled"), default=True)
    next_at = models.DateTimeField(db_index=True)
    """When it is due; moved on by whoever sends it, before sending."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("mailed report")
        verbose_name_plural = _("mailed reports")
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class ReportRun(models.Model):
    """One mailing of a report."""

    class Outcome(models.TextChoices):
        SENDING = "sending", _("Sending")
        SENT = "sent", pgettext_lazy("mail", "Sent")
        FAILED = "failed", _("Failed")

    schedule = models.ForeignKey(ReportSchedule, on_delete=models.CASCADE, related_name="runs")
    began_at = models.DateTimeField()
    """When it was due, or asked for."""
    asked_by = models.CharField(max_length=150, blank=True)
    """Who asked for it; empty where it was its time."""
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=7, choices=Outcome.choices, default=Outcome.SENDING)
    tries = models.PositiveSmallIntegerField(default=0)
    """How often it was begun; its number is what a sender writes under, so that one that was
    given up for dead writes nothing any more."""
    next_try_at = models.DateTimeField(null=True, db_index=True)
    """When it is tried next; while somebody tries, when that one counts as dead. Null: it ended."""
    reached = models.JSONField(default=list)
    """Recipients whose mail the server took."""
    code = models.CharField(max_length=30, blank=True)
    """Why the last try failed: a name of ``probes.reports.sending.REASONS``."""
    detail = models.TextField(blank=True)
    """What the mail server said to that; no secret."""

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.began_at:%Y-%m-%d %H:%M} {self.outcome}"
