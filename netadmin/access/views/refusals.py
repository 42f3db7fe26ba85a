"""What a refused request sees: JSON for scripts, a page that names the fix for people."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template import loader
from django.utils.translation import gettext as _
from django.views import defaults

from netadmin import envelope
from netadmin.access import permissions, request_ids

LOCKED_OUT_S = 60
"""Seconds a caller is asked to wait; settings.AXES_COOLOFF_TIME in the unit of Retry-After."""


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Django's CSRF refusal, naming the setting that is wrong behind most proxies."""
    if permissions.wants_json(request):
        if not request.user.is_authenticated:
            return permissions.unauthenticated(request)
        return envelope.error(
            403,
            "csrf_failed",
            _("The CSRF token is missing or wrong."),
            hint=_("Send X-CSRFToken with the session, or use an API token."),
        )
    context = {
        "reason": reason,
        "origin": request.headers.get("Origin", ""),
        "host": request.headers.get("Host", ""),
        "site_url": settings.SITE_URL,
        "trusted_proxies": settings.TRUSTED_PROXIES,
    }
    return render(request, "access/csrf_failure.html", context, status=403)


def locked_out(
    request: HttpRequest, original_response: Any = None, credentials: Any = None
) -> HttpResponse:
    """Too many bad logins for this name from this address; elsewhere its owner still logs in."""
    response = render(request, "access/locked_out.html", {"wait_s": LOCKED_OUT_S}, status=429)
    response["Retry-After"] = str(LOCKED_OUT_S)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """400: what came was no request for this site, such as one for another host name."""
    if permissions.wants_json(request):
        return envelope.error(400, "bad_request", _("Bad request."))
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """403, with the reason a view gave for people."""
    message = str(exception)
    if permissions.wants_json(request):
        return envelope.error(403, "forbidden", message or _("Forbidden."))
    return render(request, "403.html", {"message": message}, status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """404: one and the same body for what does not exist and what the caller may not see."""
    if permissions.wants_json(request):
        return envelope.not_found()
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """500: nothing of the error itself but where the log says it, and no database is asked."""
    request_id = request_ids.present()
    if permissions.wants_json(request):
        return envelope.error(
            500,
            "internal_error",
            _("netadmin failed."),
            hint=_("The server's log says why, at the request %(id)s.") % {"id": request_id},
        )
    # Without the request: no context processor, which might be what failed.
    page = loader.get_template("500.html").render({"request_id": request_id})
    return HttpResponseServerError(page)
