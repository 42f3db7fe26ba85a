"""Who may do what: a role and host groups per user, API tokens, and the append-only audit log.

Knows hosts only by name (``"hosts.HostGroup"``): what a role may *see* is decided by
``Host.objects.visible_to``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.IntegerChoices):
    """Ordered: a higher role may do all that a lower one may."""

    VIEWER = 10, _("Viewer")
    OPERATOR = 20, _("Operator")
    ADMIN = 30, _("Administrator")


class Access(models.Model):
    """The role of one user and the host groups it is limited to. Without a row: no access.

    A superuser needs none and is an administrator of every host.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access"
    )
    role = models.PositiveSmallIntegerField(_("role"), choices=Role.choices, default=Role.VIEWER)
    all_hosts = models.BooleanField(
        _("all hosts"), default=True, help_text=_("Otherwise only hosts of the groups below.")
    )
    groups = models.ManyToManyField(
        "hosts.HostGroup", blank=True, related_name="+", verbose_name=_("host groups")
    )

    class Meta:
        verbose_name = _("access")
        verbose_name_plural = _("access")

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()}"


class Scope(models.TextChoices):
    """What a token may do; maps one to one to roles."""

    READ = "read", _("Read")
    OPERATE = "operate", _("Operate")
    ADMIN = "admin", _("Administer")


class APIToken(models.Model):
    """A bearer token of a user: never more than the user may; stored as a SHA-256 only.

    The token is ``nad_<8 chars prefix>_<secret>``; 256 random bits need no slow hash.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scope = models.CharField(_("scope"), max_length=8, choices=Scope.choices, default=Scope.READ)
    all_hosts = models.BooleanField(
        _("all hosts"),
        default=True,
        help_text=_("All hosts its user sees; otherwise only those of the groups below."),
    )
    """Its own field, so that deleting the last group of a token does not widen it."""
    groups = models.ManyToManyField(
        "hosts.HostGroup", blank=True, related_name="+", verbose_name=_("host groups")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    networks = models.JSONField(_("from"), default=list, blank=True)
    """Networks (CIDR) it may be used from; empty: from anywhere."""
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(_("last used from"), null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} (nad_{self.prefix}_…)"

    def is_live(self, now: dt.datetime) -> bool:
        """Whether it still opens anything: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class AppendOnly(Exception):
    """Something tried to change or delete what was recorded."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Reads and inserts; whatever would change a recorded row raises :class:`AppendOnly`."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refused."""
        raise AppendOnly("audit entries are never changed")

    def delete(self) -> NoReturn:
        """Refused."""
        raise AppendOnly("audit entries are never deleted")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused."""
        raise AppendOnly("audit entries are never changed")


class AuditEntry(models.Model):
    """Who did what, when, from where. Written in the transaction of the act; never changed.

    The model refuses to change or delete a row; on PostgreSQL a trigger refuses it too.
    """

    at = models.DateTimeField(_("time"), auto_now_add=True)
    actor = models.CharField(_("who"), max_length=150)
    """User name, kept as text so that it outlives the user; ``system`` for the workers."""
    token = models.CharField(_("token"), max_length=16, blank=True)
    """Prefix of the API token used, if any."""
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)
    action = models.CharField(_("what"), max_length=50)
    """Dotted verb, such as ``host.change``, ``connection.test``, ``probe.now``."""
    kind = models.CharField(_("kind"), max_length=50, blank=True)
    object_id = models.CharField(max_length=50, blank=True)
    object_name = models.CharField(_("object"), max_length=200, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    """As in the answer's ``X-Request-ID`` and in the log; empty outside of a request."""
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    """Changed fields as {name: [before, after]}; a secret field shows only that it changed."""

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ("-id",)
        indexes = [
            # The audit page filtered by one object, newest first.
            models.Index(fields=["kind", "object_id", "-id"], name="access_audit_object"),
            # The audit page filtered by who, newest first.
            models.Index(fields=["actor", "-id"], name="access_audit_actor"),
            # The audit page filtered by time.
            models.Index(fields=["at"], name="access_audit_time"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert a new entry; raises :class:`AppendOnly` for one that is recorded."""
        if not self._state.adding:
            raise AppendOnly("audit entries are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused."""
        raise AppendOnly("audit entries are never deleted")
