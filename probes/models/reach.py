"""What the controller learned by asking: which listeners it reaches, and names of addresses.

Place in the data's way: written by ``probes.connect_back`` and ``probes.names``. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import Host


class Reach(models.Model):
    """How the newest attempt to connect to a listener from the controller ended."""

    class Result(models.TextChoices):
        OPEN = "open", _("Reached")
        REFUSED = "refused", _("Refused")
        FILTERED = "filtered", _("Filtered")
        UNREACHABLE = "unreachable", _("No route")

    host = models.ForeignKey(Host, on_delete=models.CASCADE, db_index=False, related_name="+")
    address = models.CharField(max_length=60)
    """The IP address that was tried."""
    port = models.PositiveIntegerField()
    result = models.CharField(max_length=11, choices=Result.choices)
    checked_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(default=0)
    asked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            # One an address and port; serves the listeners of one or more hosts.
            models.UniqueConstraint(fields=["host", "address", "port"], name="probes_reach_once")
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.address}:{self.port} {self.result}"


class ReachRun(models.Model):
    """The newest attempt at all listeners of a host: who asked, and how far it is."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, primary_key=True, related_name="+")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=150, blank=True)
    started_at = models.DateTimeField(null=True)
    """When a worker took it; null: it waits for one."""
    finished_at = models.DateTimeField(null=True)
    planned = models.PositiveIntegerField(default=0)
    """How many addresses and ports it tries."""
    tried = models.PositiveIntegerField(default=0)
    skipped = models.JSONField(default=dict)
    """Listeners it does not try, by reason (``probes.analysis.exposure.Skip``)."""
    problem = models.CharField(max_length=20, blank=True)
    """Why it tried nothing, a word of ``probes.connect_back.Problem``."""

    def __str__(self) -> str:
        return f"{self.host_id} {self.asked_at:%Y-%m-%d %H:%M:%S} {self.tried}/{self.planned}"


class AddressName(models.Model):
    """What reverse DNS calls an address: a hint, cached, and the text of a stranger."""

    address = models.CharField(max_length=45, primary_key=True)
    """Canonical text."""
    name = models.CharField(max_length=253, blank=True)
    """Empty where it has none, or is not known yet."""
    wanted_at = models.DateTimeField()
    """When a page last showed the address."""
    known_at = models.DateTimeField(null=True)
    """When DNS last answered; null: it was not asked yet, or did not answer."""
    ask_at = models.DateTimeField(db_index=True)
    """When to ask next."""
    failures = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.address} {self.name}"
