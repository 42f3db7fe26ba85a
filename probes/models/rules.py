"""Thresholds, what groups and hosts change of them, and how far each has come on a host.

Place in the data's way: rules and overrides are written by the pages of rules and by imports,
states by ``probes.watch.thresholds`` in the transaction that stores a snapshot. All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, HostGroup


class Severity(models.TextChoices):
    """How bad it is."""

    INFO = "info", _("Information")
    WARNING = "warning", _("Warning")
    CRITICAL = "critical", _("Critical")


class Metric(models.TextChoices):
    """What a rule looks at: a number of a whole snapshot, or trouble with probes themselves."""

    STATE = "state", _("Connections in a state")
    SOCKETS = "sockets", _("Sockets in all")
    LISTENERS = "listeners", _("Listeners")
    PORT = "port", _("Connections of a local port")
    REMOTE_IP = "remote_ip", _("Connections of a remote IP")
    RATIO = "ratio", _("Share of one state in another")
    RISE = "rise", _("Rise within some minutes")
    UNREACHABLE = "unreachable", _("Host not reached")
    LOGIN_FAILED = "login_failed", _("Login failed")
    KEY_CHANGED = "key_changed", _("Host key changed")
    INCOMPLETE = "incomplete", _("Output incomplete")
    STALE = "stale", _("No probe for too long")
    SLOW = "slow", _("Probe slow")


class Rule(models.Model):
    """Something that is wrong above a threshold, some probes in a row.

    It is over once the number is at or below ``clear_at`` (empty: nine tenths of the threshold).
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    metric = models.CharField(_("metric"), max_length=12, choices=Metric.choices)
    state = models.CharField(_("state"), max_length=20, blank=True)
    """Of STATE, RATIO, RISE, PORT and REMOTE_IP; of RISE empty means all sockets."""
    of_state = models.CharField(_("in proportion to"), max_length=20, blank=True)
    """Of RATIO: the state that is 100 %."""
    ports = models.CharField(_("ports"), max_length=500, blank=True)
    """Of PORT: ``22, 80, 443``."""
    threshold = models.FloatField(_("threshold"), default=0)
    """Wrong above it: a count; percent of RATIO and RISE; seconds of SLOW; intervals of STALE."""
    clear_at = models.FloatField(_("over at or below"), null=True, blank=True)
    at_least = models.FloatField(_("not below"), default=0)
    """Of RATIO and RISE: a smaller number of connections is never wrong."""
    within_minutes = models.PositiveIntegerField(_("within minutes"), default=10)
    """Of RISE."""
    probes = models.PositiveSmallIntegerField(_("probes in a row"), default=2)
    severity = models.CharField(
        _("severity"), max_length=8, choices=Severity.choices, default=Severity.WARNING
    )
    advice = models.CharField(_("advice"), max_length=500, blank=True)
    """What to do, in the team's words; empty: netadmin's own for this metric."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RuleOverride(models.Model):
    """What is other about a rule for a group or a host; empty fields are as the rule says.

    A host's override counts before those of its groups; of several groups the lowest threshold.
    """

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="overrides")
    group = models.ForeignKey(
        HostGroup, on_delete=models.CASCADE, null=True, blank=True, related_name="rule_overrides"
    )
    host = models.ForeignKey(
        Host, on_delete=models.CASCADE, null=True, blank=True, related_name="rule_overrides"
    )
    enabled = models.BooleanField(null=True, default=None)
    threshold = models.FloatField(null=True, blank=True)
    clear_at = models.FloatField(null=True, blank=True)
    probes = models.PositiveSmallIntegerField(null=True, blank=True)
    severity = models.CharField(max_length=8, choices=Severity.choices, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    """Whoever keeps rules in memory sees by it that one changed."""

    class Meta:
        verbose_name = _("override")
        verbose_name_plural = _("overrides")
        constraints = [
            models.CheckConstraint(
                condition=Q(group=None, host__isnull=False) | Q(group__isnull=False, host=None),
                name="probes_ruleoverride_one_scope",
            ),
            models.UniqueConstraint(fields=["rule", "group"], name="probes_ruleoverride_group"),
            models.UniqueConstraint(fields=["rule", "host"], name="probes_ruleoverride_host"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.host_id or self.group_id}"


class RuleState(models.Model):
    """How many probes in a row a rule was wrong on a host; no row: it is not wrong."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+", db_index=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="rule_states")
    about = models.CharField(max_length=60, blank=True)
    """The port ("443") or address it is wrong for; empty for the host as a whole."""
    streak = models.PositiveIntegerField(default=0)
    raised = models.BooleanField(default=False)
    value = models.FloatField(default=0)
    """The newest number."""
    since = models.DateTimeField()
    """Of the first probe of the streak."""

    class Meta:
        constraints = [
            # Read and written by host, after each of its probes.
            models.UniqueConstraint(fields=["host", "rule", "about"], name="probes_rulestate_once")
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.host_id}: {self.streak}"
