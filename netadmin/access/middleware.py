"""Bearer tokens, and the refusal of every view that nobody marked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from netadmin import envelope
from netadmin.access import audit, permissions, tokens

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]
UNMARKED_ALLOWED = frozenset({"admin"})
"""Namespaces that guard their views themselves."""


class TokenMiddleware:
    """Authenticates ``Authorization: Bearer`` on the API's routes; CSRF is no matter there.

    A request that sends the header is judged by it alone: a wrong one is refused even beside a
    good session. Elsewhere the header is ignored, since a proxy may have set it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.token = None  # type: ignore[attr-defined]
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is not None and permissions.wants_json(request):
            token = tokens.authenticate(header, address=audit.client_address(request))
            if token is None:
                response = envelope.error(
                    401,
                    "bad_token",
                    _("The token is unknown, expired or revoked."),
                    hint=_("Make a new one on the Tokens page."),
                )
                response["WWW-Authenticate"] = 'Bearer error="invalid_token"'
                return response
            request.token = token  # type: ignore[attr-defined]
            request.user = token.user
            # A browser never sends this header by itself, so nobody can forge the request.
            request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return self.get_response(request)


class DenyByDefaultMiddleware:
    """Answers 403 for a view without ``required_role``."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Django's hook before a view runs."""
        match = request.resolver_match
        if match is not None and UNMARKED_ALLOWED.intersection(match.namespaces):
            return None
        if hasattr(view, "required_role"):
            return None
        logger.error("view %s has no required role", getattr(view, "__qualname__", view))
        if permissions.wants_json(request):
            return envelope.error(403, "forbidden", _("Nobody may call this."))
        raise PermissionDenied(_("Nobody may call this."))
