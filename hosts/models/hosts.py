"""Hosts, how to log in to them, and the host keys trusted for them.

Place in the data's way: the start. ``Host.target()`` builds the frozen value a probe needs.
Knows nothing of probes or history.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts import validators
from hosts.sealed import Sealed
from hosts.target import Login, Pin, Platform, Sudo, Target, Trust

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class PlatformChoice(models.TextChoices):
    """:class:`hosts.target.Platform` with words for people."""

    AUTO = Platform.AUTO.value, _("Find out")
    LINUX = Platform.LINUX.value, "Linux"
    WINDOWS = Platform.WINDOWS.value, "Windows"
    MACOS = Platform.MACOS.value, "macOS"
    BSD = Platform.BSD.value, "BSD"


class HostGroup(models.Model):
    """A set of hosts: for filtering, and for limiting who sees what."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    notes = models.TextField(_("notes"), blank=True)

    class Meta:
        verbose_name = _("host group")
        verbose_name_plural = _("host groups")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Credential(Sealed):
    """How to log in."""

    class Method(models.TextChoices):
        PASSWORD = "password", _("Password")
        KEY = "key", _("Private key, stored here")
        KEY_FILE = "key_file", _("Key file of the controller")

    class SudoChoice(models.TextChoices):
        NONE = Sudo.NONE.value, _("No sudo")
        NOPASSWD = Sudo.NOPASSWD.value, _("sudo without a password")
        PASSWORD = Sudo.PASSWORD.value, _("sudo with a password")

    SECRET_FIELDS = ("password", "private_key", "passphrase", "sudo_password")

    name = models.CharField(_("name"), max_length=100, unique=True)
    user = models.CharField(_("user"), max_length=64, validators=[validators.validate_login_name])
    method = models.CharField(
        _("method"), max_length=10, choices=Method.choices, default=Method.PASSWORD
    )
    key_file = models.CharField(
        _("key file"),
        max_length=500,
        blank=True,
        validators=[validators.validate_key_file],
        help_text=_("Absolute path of a private key on the controller."),
    )
    sudo = models.CharField(
        _("sudo"), max_length=10, choices=SudoChoice.choices, default=SudoChoice.NONE
    )
    password_encrypted = models.TextField(blank=True, editable=False)
    private_key_encrypted = models.TextField(blank=True, editable=False)
    passphrase_encrypted = models.TextField(blank=True, editable=False)
    sudo_password_encrypted = models.TextField(blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    """Raised by every change of what a login consists of."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"

    def login(self) -> Login:
        """The decrypted login. Raises secrets.DecryptionError."""
        key_method = self.method == self.Method.KEY
        return Login(
            user=self.user,
            password=self.secret("password") if self.method == self.Method.PASSWORD else None,
            private_key=self.secret("private_key") if key_method else None,
            passphrase=None if self.method == self.Method.PASSWORD else self.secret("passphrase"),
            key_file=(self.key_file or None) if self.method == self.Method.KEY_FILE else None,
            sudo=Sudo(self.sudo),
            sudo_password=self.secret("sudo_password") if self.sudo == Sudo.PASSWORD else None,
        )


def visible_groups(user: AbstractBaseUser | AnonymousUser) -> models.QuerySet[HostGroup]:
    """Host groups ``user`` may know of: all where it sees all hosts, else those it was given.

    A host that it sees may be in other groups as well: those are not for it, by name or number.
    A request made with an API token is limited as :meth:`HostQuerySet.visible_to` says.
    """
    if not user.is_authenticated or not user.is_active:
        return HostGroup.objects.none()
    groups = HostGroup.objects.all()
    if not getattr(user, "is_superuser", False):
        access = getattr(user, "access", None)
        if access is None:
            return groups.none()
        if not access.all_hosts:
            groups = groups.filter(pk__in=access.groups.values("pk"))
    token_groups: list[int] | None = getattr(user, "token_groups", None)
    return groups if token_groups is None else groups.filter(pk__in=token_groups)


class HostQuerySet(models.QuerySet["Host"]):
    """Ways to narrow hosts."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> HostQuerySet:
        """Hosts ``user`` may see: all for superusers, else by its access row; none without one.

        A request made with an API token limits further by ``user.token_groups`` (a list of group
        ids set by the token middleware, or None).
        """
        if not user.is_authenticated or not user.is_active:
            return self.none()
        visible = self
        if not getattr(user, "is_superuser", False):
            access = getattr(user, "access", None)
            if access is None:
                return self.none()
            if not access.all_hosts:
                visible = visible.filter(
                    Q(
                        pk__in=Host.groups.through.objects.filter(
                            hostgroup__in=access.groups.all()
                        ).values("host_id")
                    )
                )
        token_groups: list[int] | None = getattr(user, "token_groups", None)
        if token_groups is not None:
            visible = visible.filter(
                pk__in=Host.groups.through.objects.filter(hostgroup_id__in=token_groups).values(
                    "host_id"
                )
            )
        return visible

    def in_group(self, name: str, user: AbstractBaseUser | AnonymousUser) -> HostQuerySet:
        """Those in the group of that name; none where ``user`` may not see the group."""
        members = Host.groups.through.objects.filter(
            hostgroup__in=visible_groups(user).filter(name=name)
        )
        return self.filter(pk__in=members.values("host_id"))

    def with_groups(self, user: AbstractBaseUser | AnonymousUser) -> HostQuerySet:
        """Each with those of its groups that ``user`` may know of as ``groups.all()``."""
        return self.prefetch_related(models.Prefetch("groups", visible_groups(user)))

    def kept(self) -> HostQuerySet:
        """Hosts that were not removed."""
        return self.filter(removed_at=None)

    def readable(self) -> HostQuerySet:
        """Hosts that were not removed, and removed ones as long as their history is kept."""
        kept_since = timezone.now() - dt.timedelta(days=settings.RETENTION_DAYS)
        return self.filter(Q(removed_at=None) | Q(removed_at__gte=kept_since))


class Host(models.Model):
    """A machine to watch."""

    name = models.CharField(_("name"), max_length=100, validators=[validators.validate_host_name])
    """Unique among the hosts that were not removed."""
    address = models.CharField(
        _("address"),
        max_length=255,
        validators=[validators.validate_address],
        help_text=_("Host name, IPv4 or IPv6 address."),
    )
    port = models.PositiveIntegerField(
        _("SSH port"), default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    is_local = models.BooleanField(
        _("this machine"),
        default=False,
        help_text=_("Probe the machine netadmin's worker runs on, without SSH."),
    )
    platform = models.CharField(
        _("platform"), max_length=10, choices=PlatformChoice.choices, default=PlatformChoice.AUTO
    )
    credential = models.ForeignKey(
        Credential,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="hosts",
        verbose_name=_("credential"),
    )
    groups = models.ManyToManyField(
        HostGroup, blank=True, related_name="hosts", verbose_name=_("groups")
    )
    jump_host = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reached_through",
        verbose_name=_("jump host"),
    )
    interval_s = models.PositiveIntegerField(
        _("interval (seconds)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(5), MaxValueValidator(86_400)],
        help_text=_("Empty: the site's default."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    keep_connection = models.BooleanField(
        _("keep the connection open"),
        default=True,
        help_text=_("Saves a login per probe. Off: connect anew each time."),
    )
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    """Set when a host is removed: no longer probed or listed, its history still searchable."""

    objects = HostQuerySet.as_manager()

    class Meta:
        verbose_name = _("host")
        verbose_name_plural = _("hosts")
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(removed_at=None),
                name="hosts_host_name",
                violation_error_message=_("A host with this name exists already."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def history_until(self) -> dt.datetime | None:
        """When nothing is left of a removed host's history; None where it was not removed."""
        kept = dt.timedelta(days=settings.RETENTION_DAYS)
        return None if self.removed_at is None else self.removed_at + kept

    def clean(self) -> None:
        """Bring the address into its one spelling."""
        self.address = validators.plain_address(self.address)

    def same_name(self) -> HostQuerySet:
        """Other kept hosts with this one's name."""
        return Host.objects.kept().filter(name=self.name).exclude(pk=self.pk)

    @property
    def effective_interval_s(self) -> int:
        """Seconds between probes."""
        return self.interval_s or settings.PROBE_INTERVAL_S

    def target(self) -> Target:
        """The value a probe needs, with decrypted secrets.

        Raises secrets.DecryptionError where a ciphertext does not belong here, and
        ``MissingCredential`` where a remote host has none.
        """
        return self._target(seen=frozenset())

    def _target(self, *, seen: frozenset[int]) -> Target:
        common: dict[str, Any] = {
            "name": self.name,
            "address": self.address,
            "port": self.port,
            "platform": Platform(self.platform),
            "deadline_s": float(settings.PROBE_DEADLINE_S),
            "max_bytes": settings.PROBE_MAX_BYTES,
            "keep_connection": self.keep_connection,
        }
        if self.is_local:
            return Target(**common, login_version="local")
        if self.credential is None:
            raise MissingCredential(self.name)
        if self.pk in seen:
            raise JumpLoop(self.name)
        jump = self.jump_host._target(seen=seen | {self.pk}) if self.jump_host else None
        return Target(
            **common,
            login=self.credential.login(),
            login_version=self.login_version,
            pins=tuple(
                Pin(key.key_type, key.key_base64, Trust(key.trust))
                for key in HostKey.objects.filter(address=self.address, port=self.port)
            ),
            jump=None if jump is None or jump.is_local else jump,
        )

    @property
    def login_version(self) -> str:
        """Changes whenever an address, port or login on the way to the host changes."""
        way: dict[int, tuple[object, ...]] = {}
        stop: Host | None = self
        while stop is not None and stop.pk not in way:
            credential = stop.credential
            way[stop.pk] = (
                stop.address,
                stop.port,
                stop.is_local,
                credential and (credential.pk, credential.version),
            )
            stop = stop.jump_host
        return hashlib.sha256(repr(way).encode()).hexdigest()[:16]


class MissingCredential(Exception):
    """A remote host has no credential."""


class JumpLoop(Exception):
    """A host is, through others, its own jump host."""


class HostKey(models.Model):
    """A key some server showed on an address and port, and whether it is trusted there."""

    class TrustChoice(models.TextChoices):
        PENDING = Trust.PENDING.value, _("Awaiting approval")
        TRUSTED = Trust.TRUSTED.value, _("Trusted")
        REFUSED = Trust.REFUSED.value, _("Refused")

    address = models.CharField(_("address"), max_length=255)
    port = models.PositiveIntegerField(_("port"))
    key_type = models.CharField(_("type"), max_length=50)
    key_base64 = models.TextField(_("key"))
    fingerprint = models.CharField(_("fingerprint"), max_length=60)
    trust = models.CharField(
        _("trust"), max_length=10, choices=TrustChoice.choices, default=TrustChoice.PENDING
    )
    first_seen = models.DateTimeField(_("first seen"), auto_now_add=True)
    last_seen = models.DateTimeField(_("last seen"), auto_now=True)
    decided_by = models.CharField(_("decided by"), max_length=150, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("host key")
        verbose_name_plural = _("host keys")
        ordering = ("address", "port", "-last_seen")
        constraints = [
            models.UniqueConstraint(
                fields=["address", "port", "fingerprint"], name="hosts_hostkey_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.address}:{self.port} {self.key_type} {self.fingerprint}"
