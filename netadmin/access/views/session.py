"""Login, logout, password and language: Django's own views, marked, guarded and recorded."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import forms as auth_forms
from django.contrib.auth import views as auth_views
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language

from netadmin.access import audit
from netadmin.access.models import Role
from netadmin.access.permissions import public, require


class _Login(auth_views.LoginView):
    """Starts a fresh session (the old key is worth nothing) and goes to ``next`` on this site."""

    template_name = "access/login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: auth_forms.AuthenticationForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            audit.record("session.login", request=self.request, target=form.get_user())
        return response


class _Logout(auth_views.LogoutView):
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated:
            with transaction.atomic():
                audit.record("session.logout", request=request, target=request.user)
                return super().post(request, *args, **kwargs)
        return super().post(request, *args, **kwargs)


class _PasswordChange(auth_views.PasswordChangeView):
    """The new password changes the hash in every session of the user, so that others end."""

    template_name = "access/password_change.html"
    success_url = reverse_lazy("overview")

    def form_valid(self, form: auth_forms.PasswordChangeForm) -> HttpResponse:
        with transaction.atomic():
            audit.record("user.password", request=self.request, target=form.user)
            response = super().form_valid(form)
        messages.success(
            self.request, _("Your password was changed. Sessions elsewhere have ended.")
        )
        return response


_pages = require_http_methods(["GET", "HEAD", "POST"])

login = public(_pages(_Login.as_view()))
logout = public(never_cache(require_POST(_Logout.as_view())))
password_change = require(Role.VIEWER)(never_cache(_pages(_PasswordChange.as_view())))


@public
@require_POST
def language(request: HttpRequest) -> HttpResponseBase:
    """Choose the language of the pages and go back to ``next`` on this site, or home."""
    return set_language(request)
