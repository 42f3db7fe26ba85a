"""The Django admin, guarded by role and recorded in the audit log.

Place in the data's way: ``django.contrib.admin.site`` is a :class:`Site`; every model admin of
the project derives from :class:`AuditedAdmin` or :class:`ReadOnlyAdmin`.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from netadmin.access import audit, permissions
from netadmin.access.views import session

METHODS = ("GET", "HEAD", "POST")

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class Site(admin.AdminSite):
    """Open to administrators whom no host group limits; login and password are elsewhere."""

    site_header = gettext_lazy("netadmin administration")
    site_title = gettext_lazy("netadmin administration")
    index_title = gettext_lazy("Administration")
    final_catch_all_view = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the caller administers the whole site."""
        return permissions.administers_all(request.user)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Django's wrapper of every admin view: refuses before the view is looked at."""
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if not request.user.is_authenticated:
                return permissions.unauthenticated(request)
            if not self.has_permission(request):
                raise PermissionDenied(_("Only administrators of all hosts may come here."))
            if request.method not in METHODS:
                return HttpResponseNotAllowed(METHODS)
            for name, values in request.GET.lists():
                # A filter of a list takes them on to PostgreSQL, which refuses the whole query.
                if "\x00" in name or any("\x00" in value for value in values):
                    shown = name.replace("\x00", "\N{REPLACEMENT CHARACTER}")
                    told = f"{shown}: {_('This holds a character that no database keeps.')}"
                    return HttpResponse(told, status=400, content_type="text/plain")
            return inner(request, *args, **kwargs)

        return update_wrapper(guarded, inner)

    def get_urls(self) -> list[Any]:
        """All but the login page: the site has one, where guessing is slowed down."""
        return [entry for entry in super().get_urls() if getattr(entry, "name", "") != "login"]

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The site's own logout."""
        return session.logout(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The site's own page."""
        return redirect("password_change")

    def password_change_done(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The site's own page."""
        return redirect("password_change")


class AuditedAdmin(ModelAdmin):
    """Records each addition, change and deletion, in the transaction of the act.

    The entry lists changed fields as [before, after]; of fields in ``secret_fields`` only that
    they changed. Subclasses that write elsewhere than in Django's forms record that themselves.
    """

    secret_fields: tuple[str, ...] = ()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list and its actions; an action is one transaction."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        with transaction.atomic():
            return super().changelist_view(request, extra_context)

    def construct_change_message(
        self, request: HttpRequest, form: Form, formsets: Any, add: bool = False
    ) -> Any:
        """Django's message; what changed is kept beside it for the audit entry."""
        request._audit_detail = self._detail(form, formsets)  # type: ignore[attr-defined]
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Record what was added."""
        self._record(request, "add", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        """Record what was changed."""
        self._record(request, "change", obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Record what is deleted."""
        for obj in queryset:
            self._record(request, "delete", obj)
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, verb: str, obj: models.Model) -> None:
        detail = getattr(request, "_audit_detail", None)
        audit.record(
            f"{obj._meta.model_name}.{verb}",
            request=request,
            target=obj,
            detail=None if verb == "delete" else detail,
        )

    def _detail(self, form: Any, formsets: Any) -> dict[str, Any]:
        detail = self._changed(form)
        for formset in formsets or ():
            for inline in formset.initial_forms + formset.extra_forms:
                if inline.has_changed():
                    prefix = formset.model._meta.model_name
                    detail |= {f"{prefix}.{k}": v for k, v in self._changed(inline).items()}
        return detail

    def _changed(self, form: Any) -> dict[str, Any]:
        changed = {}
        for name in form.changed_data:
            # A form whose save() takes its own way (a new password) may have dropped the field.
            field = form.fields.get(name)
            if name in self.secret_fields or field is None or _hides(field):
                changed[name] = ["***", "***"]
            else:
                before = form.get_initial_for_field(field, name)
                changed[name] = [audit.plain(before), audit.plain(form.cleaned_data.get(name))]
        return changed


class ReadOnlyAdmin(ModelAdmin):
    """Shows; adds, changes and deletes nothing."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False


def _hides(field: Any) -> bool:
    return getattr(field.widget, "input_type", "") == "password"
