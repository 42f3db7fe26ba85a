"""Credentials: what they are called and how they log in; their secrets go in only."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from hosts import credentials
from hosts.forms import CredentialForm, add_errors
from hosts.models import Credential
from netadmin.access import permissions
from netadmin.access.models import Role
from netadmin.access.permissions import require


@require(Role.ADMIN)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All credentials with how many hosts use each."""
    site_wide(request)
    rows = Credential.objects.annotate(
        host_count=Count("hosts", filter=Q(hosts__removed_at=None))
    ).order_by("name")
    return render(request, "hosts/credentials.html", {"credentials": rows})


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Make a credential."""
    site_wide(request)
    return _page(request, None)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a credential; hosts that use it log in anew."""
    site_wide(request)
    return _page(request, _find(pk))


@require(Role.ADMIN)
@require_http_methods(["POST"])
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a credential that no host uses."""
    site_wide(request)
    credential = _find(pk)
    try:
        credentials.remove(credential, request=request)
    except ValidationError as invalid:
        messages.error(request, " ".join(invalid.messages))
    else:
        messages.success(request, _("%(name)s was deleted.") % {"name": credential.name})
    return redirect("credentials")


def site_wide(request: HttpRequest) -> None:
    """Refuse an administrator of some groups only: credentials belong to the whole site."""
    if not permissions.administers_all(request.user):
        raise PermissionDenied(_("Only administrators of all hosts may come here."))


def _find(pk: int) -> Credential:
    credential = Credential.objects.filter(pk=pk).first() if pk < 2**63 else None
    if credential is None:
        raise Http404
    return credential


def _page(request: HttpRequest, credential: Credential | None) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    form = CredentialForm(data, instance=credential or Credential())
    if request.method == "POST" and form.is_valid():
        try:
            if credential is None:
                saved = credentials.create(form.payload(), request=request)
            else:
                saved = credentials.change(credential, form.payload(), request=request)
        except ValidationError as invalid:  # somebody was faster between the two checks
            add_errors(form, invalid)
        else:
            messages.success(request, _("%(name)s was saved.") % {"name": saved.name})
            return redirect("credentials")
    context = {"form": form, "credential": credential}
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "hosts/credential_form.html", context, status=status)
