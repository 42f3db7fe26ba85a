"""API tokens: one's own, and for administrators of the site everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from netadmin import csvfile
from netadmin.access import audit, permissions, tokens
from netadmin.access.forms import LIMIT, TokenChangeForm, TokenForm, TokenQuery
from netadmin.access.models import APIToken, Role, Scope
from netadmin.access.views.audit_log import link

if TYPE_CHECKING:
    from django.contrib.auth.models import User

COLUMNS = ("user", "name", "prefix", "scope", "all_hosts", "groups", "networks", "created_at",
           "expires_at", "revoked_at", "last_used_at", "last_used_ip")  # fmt: skip


@permissions.require(Role.VIEWER)
@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """The list; ``format=csv`` gives every filtered row."""
    user = cast("User", request.user)
    everybody = permissions.administers_all(user)
    form = TokenQuery(request.GET)
    if not form.is_valid():
        context = {"form": form, "everybody": everybody, "tokens": []}
        return render(request, "access/tokens.html", context, status=400)
    found = _filtered(_visible(user), form)
    if form.cleaned_data["format"] == "csv":
        rows = ([_cell(token, name) for name in COLUMNS] for token in found.iterator(500))
        return csvfile.answer("tokens", COLUMNS, rows)
    cursor = form.cleaned_data["cursor"]
    if cursor is not None:
        oldest = form.cleaned_data["sort"] == "oldest"
        found = found.filter(pk__gt=cursor) if oldest else found.filter(pk__lt=cursor)
    page = list(found[: LIMIT + 1])
    now = timezone.now()
    context = {
        "form": form,
        "asked": form.asked,
        "everybody": everybody,
        "tokens": [(token, token.is_live(now)) for token in page[:LIMIT]],
        "next_url": link(request.GET, cursor=str(page[LIMIT - 1].pk)) if len(page) > LIMIT else "",
        "prev_url": link(request.GET, cursor="") if cursor is not None else "",
        "csv_url": link(request.GET, cursor="", format="csv"),
    }
    return render(request, "access/tokens.html", context)


@permissions.require(Role.VIEWER)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponseBase:
    """Make a token; the answer to the POST is the only page that ever shows it."""
    user = cast("User", request.user)
    address = audit.client_address(request)
    if request.method != "POST":
        form = TokenForm(user=user, address=address)
        return render(request, "access/token_add.html", {"form": form})
    form = TokenForm(request.POST, user=user, address=address)
    if not form.is_valid():
        return render(request, "access/token_add.html", {"form": form}, status=400)
    data = form.cleaned_data
    token, text = tokens.make(
        user=user,
        name=data["name"],
        scope=Scope(data["scope"]),
        expires_at=form.expires_at(),
        groups=list(data.get("groups", ())) or None,
        from_networks=data["networks"],
        request=request,
    )
    return render(request, "access/token_created.html", {"token": token, "text": text})


@permissions.require(Role.VIEWER)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Change a token's name, networks and end; what it may do stays what it was made for.

    One that is over stays over: whoever kept a copy of it would have it again.
    """
    token = get_object_or_404(_visible(cast("User", request.user)), pk=pk)
    if not token.is_live(timezone.now()):
        message = _("The token %(name)s is over and stays so. Make another.")
        messages.error(request, message % {"name": token})
        return redirect("tokens")
    address = audit.client_address(request)
    given = request.POST if request.method == "POST" else None
    form = TokenChangeForm(given, token=token, address=address)
    if form.is_valid():
        tokens.change(token, form.values(), request=request)
        messages.success(request, _("The token %(name)s was saved.") % {"name": token})
        return redirect("tokens")
    context = {"form": form, "token": token}
    status = 400 if form.is_bound else 200
    return render(request, "access/token_edit.html", context, status=status)


@permissions.require(Role.VIEWER)
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End a token at once and for ever; one that is revoked stays as it was."""
    token = get_object_or_404(_visible(cast("User", request.user)), pk=pk)
    tokens.revoke(token, request=request)
    messages.success(request, _("The token %(name)s opens nothing any more.") % {"name": token})
    return redirect("tokens")


def _visible(user: User) -> QuerySet[APIToken]:
    found = APIToken.objects.select_related("user").prefetch_related("groups")
    return found if permissions.administers_all(user) else found.filter(user=user)


def _filtered(found: QuerySet[APIToken], form: TokenQuery) -> QuerySet[APIToken]:
    asked = form.cleaned_data
    now = timezone.now()
    # Ids grow with time, so they order by age and page without gaps.
    found = found.order_by("pk" if asked["sort"] == "oldest" else "-pk")
    if asked["q"]:
        found = found.filter(
            Q(name__icontains=asked["q"]) | Q(user__username__icontains=asked["q"])
        )
    if asked["scope"]:
        found = found.filter(scope=asked["scope"])
    expired = Q(expires_at__isnull=False, expires_at__lte=now)
    match asked["state"]:
        case "live":
            found = found.filter(revoked_at=None).exclude(expired)
        case "expired":
            found = found.filter(expired, revoked_at=None)
        case "revoked":
            found = found.filter(revoked_at__isnull=False)
    return found


def _cell(token: APIToken, name: str) -> object:
    if name == "groups":
        return ", ".join(str(group) for group in token.groups.all())
    if name == "networks":
        return ", ".join(token.networks)
    if name == "user":
        return token.user.get_username()
    value: object = getattr(token, name)
    return value
