"""Users with their role, tokens and the audit log in the Django admin."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from netadmin.access.models import Access, APIToken, AuditEntry
from netadmin.access.permissions import user_role
from netadmin.access.site import AuditedAdmin, ReadOnlyAdmin

if TYPE_CHECKING:
    StackedInline = admin.StackedInline[Access, User]
    BaseUserAdmin = DjangoUserAdmin[User]
    ModelForm = forms.ModelForm[Access]
else:
    StackedInline, BaseUserAdmin = admin.StackedInline, DjangoUserAdmin
    ModelForm = forms.ModelForm

EARLIEST_YEAR, LATEST_YEAR = 1970, 2200

# Roles take the place of Django's groups and permissions.
admin.site.unregister(Group)
admin.site.unregister(User)


class AccessForm(ModelForm):
    """Saved for a new user even where nothing was chosen: the least role, not none."""

    def has_changed(self) -> bool:
        """True for a new row."""
        return self.instance._state.adding or super().has_changed()


class AccessInline(StackedInline):
    """Role and host groups of a user."""

    model = Access
    form = AccessForm
    can_delete = False
    filter_horizontal = ("groups",)


@admin.register(User)
class UserAdmin(AuditedAdmin, BaseUserAdmin):
    """Who may log in, with which role."""

    inlines = (AccessInline,)
    secret_fields = ("password", "password1", "password2", "usable_password")
    list_display = ("username", "email", "role", "limited", "is_active", "last_login")
    list_filter = ("is_active", "access__role", "access__all_hosts", "access__groups")
    list_select_related = ("access",)
    search_fields = ("username", "email", "first_name", "last_name")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password", "is_active")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Owner"), {"fields": ("is_superuser",), "classes": ("collapse",)}),
        (_("Times"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    @admin.display(description=_("role"), ordering="access__role")
    def role(self, user: User) -> str:
        """What the user may do; empty without a role."""
        role = user_role(user)
        return str(role.label) if role is not None else ""

    @admin.display(description=_("all hosts"), boolean=True)
    def limited(self, user: User) -> bool:
        """Whether no host group limits the user."""
        access = getattr(user, "access", None)
        return user.is_superuser or (access is not None and access.all_hosts)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody deletes the account they use."""
        return obj != request.user and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Nobody locks themselves out."""
        own = ("is_active", "is_superuser") if obj == request.user else ()
        return (*super().get_readonly_fields(request, obj), *own)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        """One's own role is another administrator's to change."""
        return () if obj is not None and obj == request.user else self.inlines

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Django's page, whose write and audit entry are one transaction."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Tokens, which nobody deletes by themselves, go with their user."""
        shown, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return shown, counts, lacking - {APIToken._meta.verbose_name}, protected

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Delete those chosen, except oneself."""
        super().delete_queryset(request, queryset.exclude(pk=request.user.pk))

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Record those that :meth:`delete_queryset` will delete."""
        others = [user for user in queryset if user.pk != request.user.pk]
        return super().log_deletions(request, others)


@admin.register(APIToken)
class APITokenAdmin(ReadOnlyAdmin):
    """Tokens as they are; they are made and revoked on their page."""

    list_display = ("name", "user", "prefix", "scope", "networks", "created_at", "expires_at",
                    "revoked_at", "last_used_at", "last_used_ip")  # fmt: skip
    list_filter = ("scope", "revoked_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    exclude = ("digest",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log; nothing changes it."""

    list_display = ("at", "actor", "address", "action", "object_name", "request_id")
    list_filter = ("action", "kind")
    search_fields = ("actor", "action", "object_name", "request_id")
    date_hierarchy = "at"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list; a date that is none is refused, since Django would fail over it."""
        parts = [request.GET.get(f"at__{part}") or "1" for part in ("month", "day")]
        try:
            when = dt.date(int(request.GET.get("at__year") or "2000"), *map(int, parts))
        except (ValueError, OverflowError):
            when = dt.date.min
        if not EARLIEST_YEAR <= when.year < LATEST_YEAR:
            told = f"at: {_('Enter a time between 1970 and 2199.')}"
            return HttpResponse(told, status=400, content_type="text/plain")
        return super().changelist_view(request, extra_context)


# django-axes has no Chinese catalogue; its words are marked here, so that ours has them.
AXES_WORDS = (
    gettext_noop("access attempt"),
    gettext_noop("access attempts"),
    gettext_noop("Username"),
    gettext_noop("IP Address"),
    gettext_noop("Failed Logins"),
    gettext_noop("Attempt Time"),
    gettext_noop("Path"),
    gettext_noop("User Agent"),
)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(AuditedAdmin):
    """Names that guess passwords; deleting one lets it try again at once."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time", "path_info")
    list_filter = ("attempt_time",)
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "failures_since_start", "attempt_time", "user_agent")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: AccessAttempt | None = None) -> bool:
        """Never."""
        return False
