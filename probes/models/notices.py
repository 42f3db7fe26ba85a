"""Where messages go, the messages, and what each channel was told last.

Place in the data's way: channels are written by their pages, the rest by ``probes.notify``.
All times are UTC.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, HostGroup
from hosts.sealed import Sealed
from probes.models.alerts import Change
from probes.models.rules import Severity


class Channel(Sealed):
    """A way to tell people: mail, a webhook, or a service that Apprise speaks."""

    class Kind(models.TextChoices):
        EMAIL = "email", _("E-mail")
        WEBHOOK = "webhook", "Webhook"
        APPRISE = "apprise", "Apprise"

    SECRET_FIELDS = ("address", "signing_key")

    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    enabled = models.BooleanField(_("enabled"), default=True)
    recipients = models.TextField(_("recipients"), blank=True)
    """Of EMAIL: addresses, one a line."""
    address_encrypted = models.TextField(blank=True, editable=False)
    """Of WEBHOOK and APPRISE: the URL, which mostly holds a token."""
    address_shown = models.CharField(max_length=200, blank=True)
    """What of the address may be seen: its scheme and host."""
    signing_key_encrypted = models.TextField(blank=True, editable=False)
    """Of WEBHOOK: the key of the HMAC over what is sent."""
    template = models.TextField(_("template"), blank=True)
    """Of WEBHOOK: the JSON that is sent, with placeholders; empty: netadmin's own."""
    language = models.CharField(_("language"), max_length=10, blank=True)
    groups = models.ManyToManyField(HostGroup, blank=True, related_name="channels")
    """Told only of hosts in one of them; none: of all."""
    kinds = models.JSONField(_("of what"), default=list, blank=True)
    """Kinds of alerts; empty: all."""
    min_severity = models.CharField(
        _("from severity"), max_length=8, choices=Severity.choices, default=Severity.WARNING
    )
    send_resolved = models.BooleanField(_("say when it is over"), default=True)
    per_hour = models.PositiveIntegerField(_("messages an hour at most"), default=60)
    repeat_minutes = models.PositiveIntegerField(_("repeat after minutes"), null=True, blank=True)
    """While an alert is active and nobody acknowledged it; empty: never."""
    escalate_minutes = models.PositiveIntegerField(_("only after minutes"), null=True, blank=True)
    """Told only of alerts that nobody acknowledged for so long; empty: at once."""
    is_behind = models.BooleanField(default=False, editable=False)
    """It was switched on again, and is still to be told what is wrong."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one channel, sent at least once; every try carries the same ``uid``."""

    class Kind(models.TextChoices):
        ALERTS = "alerts", _("Alerts")
        REMINDER = "reminder", _("Reminder")
        ESCALATION = "escalation", _("Escalation")
        WINDOW_OVER = "window_over", _("End of a maintenance window")
        TEST = "test", _("Test")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    changes = models.ManyToManyField(Change, related_name="deliveries")
    items = models.JSONField(default=list)
    """What it tells of, as ``probes.notify.messages`` froze it: one object an alert."""
    created_at = models.DateTimeField(auto_now_add=True)
    try_after = models.DateTimeField(null=True)
    """When to send it, or to try again; null: it is sent, or given up."""
    lease_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    """Of the newest try, without secrets."""
    reached = models.JSONField(default=list)
    """Of EMAIL: recipients that have got it."""

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = [
            # What is to be sent: hardly ever anything.
            models.Index(
                fields=["try_after"],
                name="probes_delivery_due",
                condition=Q(try_after__isnull=False),
            ),
            # A channel's messages, newest first, and how many of the last hour.
            models.Index(fields=["channel", "-created_at"], name="probes_delivery_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.uid}"


class Told(models.Model):
    """What a channel was told last of one thing on one host: damps what flaps."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="+", db_index=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="+")
    fingerprint = models.CharField(max_length=200)
    is_active = models.BooleanField()
    """Whether it was told to be wrong, or to be over."""
    at = models.DateTimeField()
    times = models.JSONField(default=list)
    """ISO times of the messages of the last hour."""
    held_since = models.DateTimeField(null=True, blank=True)
    """It flaps: nothing more is told until the hour is over, and then how it ended."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "host", "fingerprint"], name="probes_told_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["held_since"],
                name="probes_told_held",
                condition=Q(held_since__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel_id}: {self.fingerprint} on {self.host_id}"
