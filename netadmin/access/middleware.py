"""Bearer tokens, rates, and the refusal of every view that nobody marked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from netadmin import envelope
from netadmin.access import audit, permissions, rates, tokens

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]
UNMARKED_ALLOWED = frozenset({"admin"})
"""Namespaces that guard their views themselves."""


class TokenMiddleware:
    """Authenticates ``Authorization: Bearer`` on the routes of programs, and counts their requests.

    A request that sends the header is judged by it alone: a wrong one is refused even beside a
    good session. Elsewhere the header is ignored, since a proxy may have set it. Each answer says
    where its caller stands (``RateLimit-*``): the one that holds the token, else the session's
    user, else the address, which also counts for a token that is wrong or used from elsewhere, so
    that nobody uses up what belongs to the owner of a token.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.token = None  # type: ignore[attr-defined]
        if not permissions.wants_json(request):
            return self.get_response(request)
        refusal = self._judge(request)
        try:
            rates.spend(request, "api")
        except envelope.Refused as refused:
            response: HttpResponseBase = refused.answer()
        else:
            response = self.get_response(request) if refusal is None else refusal
        return _rated(request, response)

    def _judge(self, request: HttpRequest) -> HttpResponseBase | None:
        """Make the request that of its token's user; or the refusal of the token."""
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        address = audit.client_address(request)
        try:
            token = tokens.authenticate(header, address=address)
        except tokens.WrongAddress as wrong:
            request.user = AnonymousUser()
            logger.warning("token nad_%s was refused from %s", wrong.prefix, address)
            return envelope.error(
                403,
                "address_refused",
                _("This token may not be used from %(address)s.") % {"address": address or "?"},
                hint=_("Its networks are set on the Tokens page."),
            )
        if token is None:
            request.user = AnonymousUser()
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
        return None


def _rated(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """With the limit that the request counted against last: the narrower one, where it is live."""
    rate: rates.Rate | None = getattr(request, "rate", None)
    if rate is not None:
        response["RateLimit-Limit"] = str(rate.limit)
        response["RateLimit-Remaining"] = str(rate.remaining)
        response["RateLimit-Reset"] = str(rate.reset_s)
    return response


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
