"""Services, the commands that restart them, and each restart that was decided on.

Place in the data's way: services and commands are written by their pages, restarts by
``probes.recovery``. All times are UTC.
"""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models import Host
from probes.models.alerts import Change
from probes.models.snapshots import Snapshot


class RestartCommand(models.Model):
    """A command that an administrator allows to be run on hosts, by its id only."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    argv = models.JSONField(_("command"), default=list)
    """Its words, quoted one by one: no shell reads them."""
    use_sudo = models.BooleanField(_("with sudo"), default=True)
    """As the credential of the host says; an error where that has none."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("restart command")
        verbose_name_plural = _("restart commands")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Service(models.Model):
    """A listener of a host that has a name, and may have a command that restarts it."""

    name = models.CharField(_("name"), max_length=100)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="services")
    protocol = models.CharField(
        _("protocol"), max_length=4, choices=[("tcp", "tcp"), ("udp", "udp")], default="tcp"
    )
    port = models.PositiveIntegerField(
        _("port"), validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    command = models.ForeignKey(
        RestartCommand,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="services",
        verbose_name=_("restart command"),
    )
    automatic = models.BooleanField(_("restart by itself"), default=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    budget = models.PositiveSmallIntegerField(
        _("restarts at most"), default=3, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )
    budget_s = models.PositiveIntegerField(
        _("within seconds"),
        default=300,
        validators=[MinValueValidator(60), MaxValueValidator(86_400)],
    )
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        ordering = ("name", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["host", "protocol", "port"],
                name="probes_service_port",
                violation_error_message=_("This port of the host is a service already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Refusal(models.TextChoices):
    """Why a service is not restarted, or what became of a restart that nobody saw the end of."""

    OFF = "off", _("The service is off")
    NO_COMMAND = "no_command", _("No restart command is set")
    HOST_OFF = "host_off", _("The host is not watched")
    NOT_POSIX = "not_posix", _("Only hosts with a POSIX shell")
    NOT_WHOLE = "not_whole", _("The newest probe gave no whole table")
    STALE = "stale", _("The newest probe is too old")
    LOGIN_PAUSED = "login_paused", _("The login is paused")
    NO_SUDO = "no_sudo", _("The credential allows no sudo")
    SILENCED = "silenced", _("Maintenance")
    UP = "up", _("The port is open")
    CONFIRM = "confirm", _("The port is open: confirm")
    UNDER_WAY = "under_way", _("A restart is under way")
    SAME_PROCESS = "same_process", _("The same process holds the port")
    BUDGET = "budget", _("The budget is used up")
    WAITED = "waited", _("No worker took it up in time")
    INTERRUPTED = "interrupted", _("The worker ended meanwhile")
    NOT_SEEN = "not_seen", _("No whole probe came after it")


class Restart(models.Model):
    """One decision to restart a service, what was seen before, and what became of it."""

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        RUNNING = "running", _("Running")
        CHECKING = "checking", _("Looking again")
        RECOVERED = "recovered", _("Recovered")
        STILL_DOWN = "still_down", _("Still down")
        FAILED = "failed", _("Failed")
        REFUSED = "refused", _("Refused")
        UNKNOWN = "unknown", _("Interrupted")

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="restarts")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="restarts")
    change = models.ForeignKey(Change, on_delete=models.SET_NULL, null=True, related_name="+")
    """The transition that it answers, where it is automatic."""
    attempt = models.PositiveSmallIntegerField(default=1)
    """Counts the decisions on one transition."""
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    by = models.CharField(max_length=150, blank=True)
    """Empty: by itself."""
    planned_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    """Planned: who took it up has until then to begin. Running: to end; what has not by then was
    interrupted. Later: when a probe is asked for, null once it was."""
    ran_at = models.DateTimeField(null=True, blank=True)
    """When the command was begun: what the budget counts."""
    check_after = models.DateTimeField(null=True, blank=True)
    """A whole snapshot later than this tells whether it helped."""
    ended_at = models.DateTimeField(null=True, blank=True)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.SET_NULL, null=True, related_name="+")
    """The whole snapshot that it was decided on."""
    affected = models.JSONField(default=dict)
    """Who was cut off: ``{"connections": n, "ips": [[ip, n], ...], "programs": [...]}``, and
    ``up``: whether the port was open before; then also ``pids``, the processes that held it."""
    command_line = models.TextField(blank=True)
    exit_status = models.IntegerField(null=True, blank=True)
    output = models.TextField(blank=True)
    """The end of what the command printed."""
    reason = models.CharField(max_length=60, blank=True)
    """Why it was refused or failed: a :class:`Refusal`, or a code of ``probes.observation``."""

    class Meta:
        ordering = ("-planned_at", "-pk")
        constraints = [
            # Once a decision, whoever else decides the same at that moment.
            models.UniqueConstraint(
                fields=["change", "service", "attempt"], name="probes_restart_once"
            ),
            # One at a time, whoever wants one.
            models.UniqueConstraint(
                fields=["service"], condition=Q(ended_at=None), name="probes_restart_one_open"
            ),
        ]
        indexes = [
            # What is to be done: hardly ever anything.
            models.Index(fields=["state"], name="probes_restart_open", condition=Q(ended_at=None)),
            # The budget, and a service's restarts.
            models.Index(fields=["service", "-planned_at"], name="probes_restart_service"),
        ]

    def __str__(self) -> str:
        return f"{self.service_id} {self.state} {self.planned_at:%Y-%m-%d %H:%M:%S}"
