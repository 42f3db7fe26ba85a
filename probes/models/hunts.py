"""Saved hunts.

Place in the data's way: written by ``probes.hunts.running`` and the pages of hunts. All times are
UTC.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


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
