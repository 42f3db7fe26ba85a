"""Lists of hosts kept elsewhere (a CMDB), which host came from which, and each synchronisation.

Place in the data's way: sources are written by their pages, hosts and runs by ``hosts.cmdb``.
All times are UTC.
"""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models.hosts import Credential, Host, HostGroup
from hosts.sealed import Sealed


class Source(Sealed):
    """A list of hosts: CSV or JSON over HTTP or in a file, an Ansible inventory, NetBox."""

    class Kind(models.TextChoices):
        CSV = "csv", "CSV"
        JSON = "json", "JSON"
        ANSIBLE = "ansible", _("Ansible inventory")
        NETBOX = "netbox", "NetBox"

    SECRET_FIELDS = ("token",)

    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    enabled = models.BooleanField(_("enabled"), default=True)
    location = models.CharField(_("address or file"), max_length=500)
    """An http(s) URL without user and password, or the path of a file below CMDB_FILES_DIR."""
    token_encrypted = models.TextField(blank=True, editable=False)
    """Sent as ``Authorization``: whole ("Bearer ..."), or the token of NetBox alone."""
    fields = models.JSONField(_("fields"), default=dict, blank=True)
    """Of CSV and JSON: ``{"name": "hostname", "address": "ip", ...}``, and ``rows``: the path
    of the list in a JSON document ("data.servers")."""
    group = models.ForeignKey(
        HostGroup, on_delete=models.PROTECT, related_name="sources", verbose_name=_("group")
    )
    """Every host of the source is put into it; those in it move when it changes."""
    credential = models.ForeignKey(
        Credential,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="sources",
        verbose_name=_("credential"),
    )
    """Of hosts that are added from now on."""
    every_minutes = models.PositiveIntegerField(
        _("every minutes"),
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(10_080)],
    )
    next_sync_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("source of hosts")
        verbose_name_plural = _("sources of hosts")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class SourcedHost(models.Model):
    """That a host came from a source, and by which id it is known there."""

    host = models.OneToOneField(
        Host, on_delete=models.CASCADE, primary_key=True, related_name="sourced"
    )
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="sourced")
    external_id = models.CharField(max_length=200)
    given = models.JSONField(default=dict)
    """The fields the source gave last: only what changes there is changed here."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="hosts_sourcedhost_once")
        ]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.external_id}"


class SyncRun(models.Model):
    """One synchronisation, whole or not at all, or one that waits for a person."""

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        UNCHANGED = "unchanged", _("Nothing to do")
        WAITING = "waiting", _("Waits for a person")
        REFUSED = "refused", _("Refused")
        FAILED = "failed", _("Failed")
        DRY_RUN = "dry_run", _("Dry run")

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    by = models.CharField(max_length=150, blank=True)
    """Empty: by its schedule."""
    rows = models.PositiveIntegerField(default=0)
    """Hosts that the source listed."""
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    plan = models.JSONField(default=dict)
    """``{"add": [...], "change": [...], "remove": [...], "keep": n, "problems": [...]}``"""
    code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    """Why it failed or waits, without secrets."""
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("synchronisation")
        verbose_name_plural = _("synchronisations")
        ordering = ("-started_at", "-pk")
        indexes = [
            # A source's runs, newest first.
            models.Index(fields=["source", "-started_at"], name="hosts_syncrun_newest"),
            # What waits for a person: the badge.
            models.Index(
                fields=["source"], name="hosts_syncrun_waiting", condition=Q(state="waiting")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.state} {self.started_at:%Y-%m-%d %H:%M:%S}"
