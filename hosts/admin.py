"""Hosts, groups, credentials and host keys in the Django admin.

The forms are those of the pages, so every check is the same; no secret is ever rendered. What
needs ``probes`` (status, probe now, test connection) is added by ``probes.admin``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import inventory, keys
from hosts.forms import CredentialForm, HostForm
from hosts.models import Credential, Host, HostGroup, HostKey
from hosts.target import Trust
from netadmin.access.site import AuditedAdmin


class HostAdmin(AuditedAdmin):
    """Hosts that are watched. Deleting one removes it; its history stays."""

    form = HostForm
    secret_fields = ("confirm_secret", "confirm_sudo_password")
    list_display: tuple[str, ...] = (
        "name",
        "place",
        "platform",
        "credential",
        "group_names",
        "jump_host",
        "interval_s",
        "enabled",
    )
    list_filter = ("enabled", "groups", "platform", "credential", "is_local", "keep_connection")
    list_select_related: ClassVar[tuple[str, ...]] = ("credential", "jump_host")
    list_per_page = 100
    search_fields = ("name", "address", "notes")
    filter_horizontal = ("groups",)
    actions: tuple[str, ...] = ("enable", "disable")
    fieldsets = (
        (None, {"fields": ("name", "is_local", "address", "port")}),
        (gettext_lazy("Login"), {"fields": ("credential", "jump_host", "keep_connection")}),
        (
            gettext_lazy("Address or port changed"),
            {
                "fields": ("confirm_secret", "confirm_sudo_password"),
                "description": gettext_lazy(
                    "A stored secret goes to a new address only after it was typed again."
                ),
            },
        ),
        (gettext_lazy("Probing"), {"fields": ("enabled", "interval_s", "platform")}),
        (gettext_lazy("More"), {"fields": ("groups", "notes")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Host]:
        """Hosts that were not removed."""
        return super().get_queryset(request).filter(removed_at=None).prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: Host | None = None) -> Any:
        """A new host has no stored secret to confirm."""
        confirm = 2
        shown = super().get_fieldsets(request, obj)
        return shown if obj is not None else [*shown[:confirm], *shown[confirm + 1 :]]

    def get_form(
        self, request: HttpRequest, obj: Host | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form, told who fills it in."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"request": request})

    @admin.display(description=gettext_lazy("address"), ordering="address")
    def place(self, host: Host) -> str:
        """Address and port."""
        if host.is_local:
            return _("this machine")
        address = f"[{host.address}]" if ":" in host.address else host.address
        return f"{address}:{host.port}"

    @admin.display(description=gettext_lazy("groups"))
    def group_names(self, host: Host) -> str:
        """Groups by name."""
        return ", ".join(group.name for group in host.groups.all())

    @admin.action(description=gettext_lazy("Enable probing"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Probe the chosen hosts again."""
        self._switch(request, queryset, on=True)

    @admin.action(description=gettext_lazy("Disable probing"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Leave the chosen hosts alone."""
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Host], *, on: bool) -> None:
        done = 0
        for host in queryset.exclude(enabled=on):
            try:
                inventory.change_host(host, {"enabled": on}, request=request)
            except ValidationError as invalid:
                messages.error(request, f"{host}: {' '.join(invalid.messages)}")
            else:
                done += 1
        words = _("%(count)s enabled.") if on else _("%(count)s disabled.")
        messages.success(request, words % {"count": done})

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing of a removed host's history goes; hosts reached through it forbid it."""
        chosen = list(objs)
        through = (
            Host.objects.kept()
            .filter(jump_host__in=chosen)
            .exclude(pk__in=[each.pk for each in chosen])
        )
        return [str(host) for host in chosen], {}, set(), [str(host) for host in through]

    def delete_model(self, request: HttpRequest, obj: Host) -> None:
        """Remove a host."""
        self.delete_queryset(request, Host.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Remove hosts, those first that are reached through others of them."""
        left = list(queryset)
        while left:
            names = {host.jump_host_id for host in left}
            ready = [host for host in left if host.pk not in names] or left
            for host in ready:
                inventory.remove_host(host, request=request)
            left = [host for host in left if host not in ready]

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Host]) -> Any:
        """The removal itself writes the audit entries; Django's own log is kept too."""
        return admin.ModelAdmin.log_deletions(self, request, queryset)


@admin.register(HostGroup)
class HostGroupAdmin(AuditedAdmin):
    """Sets of hosts, for filtering and for limiting who sees what."""

    list_display = ("name", "hosts_watched", "notes")
    search_fields = ("name", "notes")

    def get_queryset(self, request: HttpRequest) -> QuerySet[HostGroup]:
        """Groups with the number of their hosts."""
        kept = Count("hosts", filter=Q(hosts__removed_at=None))
        counted: QuerySet[Any] = super().get_queryset(request).annotate(host_count=kept)
        return counted

    @admin.display(description=gettext_lazy("hosts"), ordering="host_count")
    def hosts_watched(self, group: Any) -> int:
        """Hosts in the group."""
        return int(group.host_count)


@admin.register(Credential)
class CredentialAdmin(AuditedAdmin):
    """Ways to log in. Secrets go in and are never shown; a blank field keeps what is stored."""

    form = CredentialForm
    secret_fields = Credential.SECRET_FIELDS
    list_display = ("name", "user", "method", "sudo", "hosts_using", "updated_at")
    list_filter = ("method", "sudo")
    search_fields = ("name", "user", "key_file")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """Credentials with the number of hosts that use them."""
        kept = Count("hosts", filter=Q(hosts__removed_at=None))
        counted: QuerySet[Any] = super().get_queryset(request).annotate(host_count=kept)
        return counted

    def get_fieldsets(self, request: HttpRequest, obj: Credential | None = None) -> Any:
        """What is needed for the method, each secret empty."""
        forget = ("clear_passphrase",) if obj is not None and obj.has_secret("passphrase") else ()
        return (
            (None, {"fields": ("name", "user", "method")}),
            (gettext_lazy("Password"), {"fields": ("password",)}),
            (
                gettext_lazy("Key"),
                {"fields": ("private_key", "key_file", "passphrase", *forget)},
            ),
            (gettext_lazy("sudo"), {"fields": ("sudo", "sudo_password")}),
        )

    @admin.display(description=gettext_lazy("hosts"), ordering="host_count")
    def hosts_using(self, credential: Any) -> str:
        """Hosts that use it, as a link to them."""
        url = reverse("admin:hosts_host_changelist")
        return format_html(
            '<a href="{}?credential__id__exact={}">{}</a>',
            url,
            credential.pk,
            credential.host_count,
        )


@admin.register(HostKey)
class HostKeyAdmin(AuditedAdmin):
    """Host keys with their fingerprints; approved and refused by the actions."""

    list_display = ("where", "key_type", "fingerprint", "trust", "replaces", "last_seen",
                    "decided_by", "decided_at")  # fmt: skip
    list_filter = ("trust", "key_type")
    search_fields = ("address", "fingerprint")
    ordering = ("trust", "address", "port")
    fields = ("address", "port", "key_type", "fingerprint", "key_base64", "trust", "first_seen",
              "last_seen", "decided_by", "decided_at")  # fmt: skip
    readonly_fields = fields
    actions = ("approve", "refuse")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Keys come from probes."""
        return False

    @admin.display(description=gettext_lazy("address"), ordering="address")
    def where(self, key: HostKey) -> str:
        """Address and port it was met at."""
        return f"{key.address}:{key.port}"

    @admin.display(description=gettext_lazy("trusted until now"))
    def replaces(self, key: HostKey) -> str:
        """Fingerprint of the trusted key that a new one differs from."""
        before = keys.trusted_before(key) if key.trust == HostKey.TrustChoice.PENDING else None
        return before.fingerprint if before is not None else ""

    @admin.action(
        description=gettext_lazy("Approve: the fingerprint is the host's own"),
        permissions=["change"],
    )
    def approve(self, request: HttpRequest, queryset: QuerySet[HostKey]) -> None:
        """Trust the chosen keys."""
        self._decide(request, queryset, Trust.TRUSTED, _("Approved: %(key)s"))

    @admin.action(description=gettext_lazy("Refuse"), permissions=["change"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[HostKey]) -> None:
        """Refuse the chosen keys."""
        self._decide(request, queryset, Trust.REFUSED, _("Refused: %(key)s"))

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[HostKey], trust: Trust, words: str
    ) -> None:
        for key in queryset:
            keys.decide(key, trust, request=request)
            messages.success(request, words % {"key": key})


admin.site.register(Host, HostAdmin)
