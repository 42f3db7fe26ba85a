"""Adding, changing and removing one host."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts import inventory, reach
from hosts.forms import HostPageForm, add_errors
from hosts.models import Host
from netadmin.access.models import Role
from netadmin.access.permissions import require


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """The page "Add a host"."""
    return _page(request, None)


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """The same page for a host that is there."""
    return _page(request, find(request, pk))


@require(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks once, then stops watching a host."""
    host = find(request, pk)
    problem = ""
    if request.method == "POST":
        try:
            inventory.remove_host(host, request=request)
        except ValidationError as invalid:
            problem = " ".join(invalid.messages)
        else:
            messages.success(request, _("%(host)s is no longer watched.") % {"host": host.name})
            return redirect("host_list")
    context = {"host": host, "problem": problem}
    return render(request, "hosts/host_remove.html", context, status=400 if problem else 200)


def find(request: HttpRequest, pk: int) -> Host:
    """The host, or 404 where it is not there for the caller."""
    host = reach.of(request).hosts().filter(pk=pk).first() if pk < 2**63 else None
    if host is None:
        raise Http404
    return host


def form_of(request: HttpRequest, host: Host | None) -> HostPageForm:
    """The form, filled with what was posted or with what is stored."""
    data = request.POST if request.method == "POST" else None
    instance = Host() if host is None else Host.objects.get(pk=host.pk)
    return HostPageForm(data, instance=instance, request=request)


def show(
    request: HttpRequest, form: HostPageForm, host: Host | None, **context: Any
) -> HttpResponse:
    """The page with a form that was made by :func:`form_of`."""
    status = 400 if form.is_bound and form.errors else 200
    full = {
        "form": form,
        "host": host,
        "groups_exist": reach.of(request).groups().exists(),
        "save_url": reverse("host_edit", args=[host.pk]) if host else reverse("host_add"),
        **context,
    }
    return render(request, "hosts/host_form.html", full, status=status)


def _page(request: HttpRequest, host: Host | None) -> HttpResponse:
    form = form_of(request, host)
    if request.method == "POST" and form.is_valid():
        try:
            if host is None:
                saved = inventory.create_host(form.payload(), request=request)
            else:
                saved = inventory.change_host(host, form.payload(), request=request)
        except ValidationError as invalid:  # somebody was faster between the two checks
            add_errors(form, invalid)
        else:
            messages.success(
                request,
                (_("%(host)s was added; its first probe is on its way.") if host is None
                 else _("%(host)s was saved.")) % {"host": saved.name},
            )  # fmt: skip
            return redirect("host", pk=saved.pk)
    return show(request, form, host)
