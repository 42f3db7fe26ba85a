"""What happened, what of it is wrong, and when nobody wants to hear of it.

Place in the data's way: alerts and changes are written by ``probes.watch.lifecycle`` in the
transaction that stores a snapshot, announced by ``probes.notify.outbox``; silences by people.
All times are UTC.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, HostGroup
from probes.models.hunts import Hunt
from probes.models.rules import Rule, Severity
from probes.models.snapshots import Snapshot


class AlertKind(models.TextChoices):
    """What watches: where an alert comes from."""

    HUNT = "hunt", _("Hunt")
    PORT = "port", _("Port")
    RULE = "rule", _("Threshold")
    PROBE = "probe", _("Probe")
    PEER = "peer", _("New peer")
    SERVICE = "service", _("Service")


class Alert(models.Model):
    """Something wrong on a host, from when it is seen until it is over, with what shows it.

    ``fingerprint`` says what it is about ("port_down:tcp/8080", "rule:3:203.0.113.9",
    "probe:unreachable", "hunt:7"): one is active for a host and fingerprint, and what is seen
    meanwhile adds to it. A state that ends (a port that is down, a threshold passed) resolves by
    itself, acknowledged or not. What has no end (a new port, a hit of a hunt) is over once somebody
    acknowledges it (``ends_by_word``).
    """

    Kind = AlertKind

    kind = models.CharField(max_length=10, choices=AlertKind.choices)
    fingerprint = models.CharField(max_length=200, blank=True)
    hunt = models.ForeignKey(Hunt, on_delete=models.SET_NULL, null=True, related_name="alerts")
    rule = models.ForeignKey(Rule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="alerts")
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    subject = models.CharField(max_length=200)
    """A short name that needs no translation ("tcp/8080 nginx", the name of a rule or hunt);
    ``probes.wording.alerts`` makes the sentence from ``facts``."""
    facts = models.JSONField(default=dict)
    """What the sentence and the evidence are made of: ``event`` (a Change.Kind), numbers, names,
    ``before`` and ``after``, ``top_ips`` and ``top_programs`` (``[[name, count], ...]``)."""
    ends_by_word = models.BooleanField(default=False)
    opened_at = models.DateTimeField()
    """Of the snapshot that showed it first."""
    newest_at = models.DateTimeField()
    """Of the newest snapshot that added to it."""
    hits = models.PositiveIntegerField(default=0)
    """How often it was seen; of a hunt, connections and listeners that fit."""
    evidence = models.JSONField(default=list)
    """The first rows that show it and then the newest, as the API shows connections."""
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    """Null: it is active."""
    resolved_by = models.CharField(max_length=150, blank=True)
    """Empty where it ended by itself."""
    mailed_at = models.DateTimeField(null=True, blank=True)
    mail_after = models.DateTimeField(null=True, blank=True)
    """When to mail a hunt's alert to the hunt's own recipients, or to try that again; null: it is
    mailed, or is not to be."""
    mail_tries = models.PositiveSmallIntegerField(default=0)
    mail_reached = models.JSONField(default=list)
    """Recipients that have got it."""

    class Meta:
        ordering = ("-newest_at",)
        constraints = [
            # One active alert for what it is about, whoever looks at the same time.
            models.UniqueConstraint(
                fields=["host", "fingerprint"],
                condition=Q(resolved_at=None) & ~Q(fingerprint=""),
                name="probes_alert_active_once",
            )
        ]
        indexes = [
            # The page of alerts, newest first.
            models.Index(fields=["-newest_at", "-id"], name="probes_alert_newest"),
            # Badges, escalation and repeats: the active ones, hardly ever many.
            models.Index(
                fields=["host", "kind"],
                name="probes_alert_active",
                condition=Q(resolved_at=None),
            ),
            # Each minute: what is to be mailed, which is hardly ever anything.
            models.Index(
                fields=["mail_after"],
                name="probes_alert_to_mail",
                condition=Q(mail_after__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} on {self.host_id}"


class Change(models.Model):
    """One transition: what happened on a host, kept as history, and the outbox while it is new.

    ``announced_at`` null: ``probes.notify.outbox`` has not decided yet who is told. Whatever
    happens to a worker, the row stays until that is done, so that nothing is lost.
    """

    class Kind(models.TextChoices):
        PORT_NEW = "port_new", _("New port")
        PORT_DOWN = "port_down", _("Port down")
        PORT_RECOVERED = "port_recovered", _("Port recovered")
        HOLDER = "holder", _("Holder changed")
        EXPECTED_MISSING = "expected_missing", _("Expected port missing")
        EXPECTED_BACK = "expected_back", _("Expected port there")
        RAISED = "raised", _("Threshold passed")
        CLEARED = "cleared", _("Threshold no longer passed")
        TROUBLE = "trouble", _("Probe trouble")
        TROUBLE_OVER = "trouble_over", _("Probe trouble over")
        PEER_NEW = "peer_new", _("New peer")
        HUNT_HIT = "hunt_hit", _("Hit of a hunt")
        GAVE_UP = "gave_up", _("Restarts did not help")
        SERVICE_BACK = "service_back", _("Service back")

    class Turn(models.TextChoices):
        """What it did to its alert."""

        NONE = "", _("none")
        OPENED = "opened", _("opened")
        AGAIN = "again", _("seen again")
        RESOLVED = "resolved", _("resolved")

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField()
    """Of the snapshot that shows it."""
    before_at = models.DateTimeField(null=True, blank=True)
    """Of the whole snapshot before, where there was one."""
    snapshot = models.ForeignKey(Snapshot, on_delete=models.SET_NULL, null=True, related_name="+")
    protocol = models.CharField(max_length=4, blank=True)
    port = models.PositiveIntegerField(null=True, blank=True)
    program = models.TextField(blank=True)
    """Of the port now; where it is down, of the port before."""
    detail = models.JSONField(default=dict)
    """``before`` and ``after`` of a port: ``{"addresses": [], "programs": [], "pids": []}``; of
    others what ``Alert.facts`` has."""
    alert = models.ForeignKey(Alert, on_delete=models.SET_NULL, null=True, related_name="changes")
    turn = models.CharField(max_length=8, choices=Turn.choices, blank=True)
    feed = models.BigIntegerField(null=True, unique=True, editable=False)
    """Its place in the change feed, given after it was committed; see ``probes.watch.feed``. Ids
    would not do: of two transactions the one with the lower ids may end last."""
    announced_at = models.DateTimeField(null=True, blank=True)
    """When it was decided who is told; at once where nobody is ever told."""
    hushed = models.BooleanField(default=False)
    """A maintenance window kept it from being told; so until no window holds its alert any more,
    whatever becomes of that one, and it was said how it stands."""

    class Meta:
        ordering = ("-at", "-pk")
        indexes = [
            # The page of changes, newest first.
            models.Index(fields=["-at", "-id"], name="probes_change_newest"),
            # A host's changes, newest first.
            models.Index(fields=["host", "-at"], name="probes_change_host"),
            # The outbox: hardly ever anything.
            models.Index(
                fields=["id"], name="probes_change_to_announce", condition=Q(announced_at=None)
            ),
            # What has no place in the feed yet: hardly ever anything.
            models.Index(fields=["id"], name="probes_change_unfed", condition=Q(feed=None)),
            # What windows hold back: hardly ever many.
            models.Index(fields=["alert"], name="probes_change_hushed", condition=Q(hushed=True)),
        ]

    def __str__(self) -> str:
        return f"{self.host_id} {self.kind} {self.at:%Y-%m-%d %H:%M:%S}"


class FeedEnd(models.Model):
    """The last place given in the change feed: one row, locked by whoever gives the next ones.

    Its own row, so that a place is never given twice when the newest changes were deleted.
    """

    last = models.BigIntegerField(default=0)
    forgotten = models.BigIntegerField(default=0)
    """The last place that retention took: who read no further has missed something."""

    def __str__(self) -> str:
        return str(self.last)


class Silence(models.Model):
    """A maintenance window: alerts open and end as ever, and nobody is told until it is over.

    All that is set has to fit; a window that names nothing fits everything.
    """

    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    host = models.ForeignKey(
        Host, on_delete=models.CASCADE, null=True, blank=True, related_name="silences"
    )
    group = models.ForeignKey(
        HostGroup, on_delete=models.CASCADE, null=True, blank=True, related_name="silences"
    )
    rule = models.ForeignKey(
        Rule, on_delete=models.CASCADE, null=True, blank=True, related_name="silences"
    )
    kind = models.CharField(max_length=10, choices=AlertKind.choices, blank=True)
    fingerprint = models.CharField(max_length=200, blank=True)
    """Of one alert that somebody snoozed."""
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    told_at = models.DateTimeField(null=True, blank=True)
    """When it was said after its end what is still wrong."""

    class Meta:
        verbose_name = _("maintenance window")
        verbose_name_plural = _("maintenance windows")
        ordering = ("-ends_at", "-pk")
        indexes = [
            # Those that count now, and those whose end was not told: hardly ever many.
            models.Index(fields=["ends_at"], name="probes_silence_open", condition=Q(told_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} - {self.ends_at:%Y-%m-%d %H:%M}"
