"""Who may call a view: every view is marked, and an unmarked one answers nobody.

``@require(Role.VIEWER)`` marks and enforces; ``@public`` marks. ``DenyByDefaultMiddleware``
refuses a view with neither mark, so a forgotten decorator shows at the first request and in the
route table's test.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _

from netadmin import envelope
from netadmin.access.models import APIToken, Role, Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
"""A view: called with the request and what the path names."""
V = TypeVar("V", bound=Callable[..., Any])

MACHINE_PATHS = ("/api/", "/mcp", "/metrics")
"""What programs call: by token, limited in rate, refused in JSON."""
SCOPE_ROLES = {Scope.READ: Role.VIEWER, Scope.OPERATE: Role.OPERATOR, Scope.ADMIN: Role.ADMIN}


def user_role(user: User | AnonymousUser) -> Role | None:
    """Role of a user by itself; None for nobody, inactive users and users without access."""
    if not user.is_authenticated or not user.is_active:
        return None
    if user.is_superuser:
        return Role.ADMIN
    access = getattr(user, "access", None)
    return None if access is None else Role(access.role)


def request_role(request: HttpRequest) -> Role | None:
    """Role this request acts with: never more than its token's scope."""
    role = user_role(cast("User", request.user))
    token: APIToken | None = getattr(request, "token", None)
    if role is None or token is None:
        return role
    return min(role, SCOPE_ROLES[Scope(token.scope)])


def administers_all(user: User | AnonymousUser) -> bool:
    """Whether ``user`` is an administrator whom no host group limits.

    Users, credentials, groups and the audit log belong to the whole site: an administrator of
    some groups only could otherwise widen its own access.
    """
    if user_role(user) != Role.ADMIN or getattr(user, "token_groups", None) is not None:
        return False
    return user.is_superuser or bool(cast("User", user).access.all_hosts)


def sees_all(user: User | AnonymousUser) -> bool:
    """Whether no host group limits what ``user`` sees, by itself or by its token."""
    if user_role(user) is None or getattr(user, "token_groups", None) is not None:
        return False
    return user.is_superuser or bool(cast("User", user).access.all_hosts)


def wants_json(request: HttpRequest) -> bool:
    """True for the routes of scripts, whose refusals are JSON.

    By what the routes are found by: a site may stand below a path of its proxy's (SCRIPT_NAME).
    """
    return request.path_info.startswith(MACHINE_PATHS)


def public(view: V) -> V:
    """Mark a view that anybody may call."""
    view.required_role = None  # type: ignore[attr-defined]
    return view


def require(role: Role) -> Callable[[View[P]], View[P]]:
    """Mark and guard a view: 401 or the login page for nobody, 403 below ``role``."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            refusal = refuse(request, role)
            return refusal if refusal is not None else view(request, *args, **kwargs)

        guarded.required_role = role  # type: ignore[attr-defined]
        return cast("View[P]", guarded)

    return decorate


def refuse(request: HttpRequest, role: Role) -> HttpResponseBase | None:
    """The refusal ``request`` earns where ``role`` is required, or None."""
    if not request.user.is_authenticated:
        return unauthenticated(request)
    held = request_role(request)
    if held is not None and held >= role:
        return None
    message = _("This needs the role %(role)s.") % {"role": role.label}
    if wants_json(request):
        return envelope.error(403, "forbidden", message, hint=_("Ask an administrator."))
    raise PermissionDenied(message)


def unauthenticated(request: HttpRequest) -> HttpResponseBase:
    """The answer to nobody: JSON 401 for scripts, the login page for browsers.

    The login page returns to where a GET was going; what was posted is not posted again. A
    fragment asked for by htmx would swallow the login page, so there the whole page goes.
    """
    if wants_json(request):
        response = envelope.error(
            401,
            "not_authenticated",
            _("Log in, or send a token."),
            hint=_("Authorization: Bearer <token>"),
        )
        response["WWW-Authenticate"] = "Bearer"
        return response
    if request.headers.get("HX-Request") == "true":
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        back = f"{page.path}?{page.query}" if page.query else page.path
        target = redirect_to_login(back)["Location"] if back else resolve_url("login")
        return HttpResponse(status=401, headers={"HX-Redirect": target})
    if request.method in {"GET", "HEAD"}:
        return redirect_to_login(request.get_full_path())
    return redirect_to_login(resolve_url("overview"))
