"""``/mcp``: the Model Context Protocol over Streamable HTTP, without sessions.

Place in the data's way: a Django view that judges a request and hands it to ``exchange``. Each POST
is a whole: it carries its token and is answered as JSON. So there is no session that could be
stolen, any web process may answer any request, and both the revision of 2026-07-28, which has no
handshake, and the older ones work. A browser's session opens nothing here, so that no page of
another site can ask through one; an ``Origin`` that is not ours is refused all the same.
"""

from __future__ import annotations

import json
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from netadmin import envelope, strict_json
from netadmin.access import permissions
from netadmin.access.models import Role
from probes.filters import visible

MOST_BYTES: Final = 256 * 1024
"""Of a request's body: a call is some hundred bytes."""


@csrf_exempt
def endpoint(request: HttpRequest) -> HttpResponseBase:
    """One message of a client, and its answer."""
    response = _refusal(request)
    if response is None:
        body = _body(request)
        if isinstance(body, HttpResponse):
            response = body
        else:
            # Not loaded before somebody asks: the SDK takes a second.
            from probes.mcp_tools import exchange

            response = exchange.answer(request, body)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


endpoint.required_role = Role.VIEWER  # type: ignore[attr-defined]


def _refusal(request: HttpRequest) -> HttpResponseBase | None:
    if getattr(request, "token", None) is None:
        return permissions.unauthenticated(request)
    refused = permissions.refuse(request, Role.VIEWER)
    if refused is not None:
        return refused
    if not _own_origin(request):
        return envelope.error(
            403,
            "bad_origin",
            _("Pages of another site may not call this."),
            hint=_("Call it from a program, which sends no Origin."),
        )
    if request.method != "POST":
        response = envelope.error(
            405,
            "method_not_allowed",
            _("This address has no method %(method)s.") % {"method": request.method},
            hint=_("It has: %(methods)s.") % {"methods": "POST"},
        )
        response["Allow"] = "POST"
        return response
    return None


def _own_origin(request: HttpRequest) -> bool:
    """Whether the request comes from no page at all, or from one of this site.

    The Host that it is compared with was held against ALLOWED_HOSTS before any view was called, so
    a name that an attacker points at this machine is neither.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return origin in {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}


def _body(request: HttpRequest) -> bytes | HttpResponse:
    too_large = envelope.error(
        413,
        "invalid",
        _("At most %(most)s bytes.") % {"most": MOST_BYTES},
        field="body",
    )
    if not request.META.get("CONTENT_LENGTH") and request.META.get("HTTP_TRANSFER_ENCODING"):
        return envelope.error(
            411, "invalid", _("Send it whole, with its Content-Length."), field="body"
        )
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > MOST_BYTES:
        return too_large
    try:
        body = request.read(MOST_BYTES + 1)
    except OSError:
        return envelope.error(400, "invalid", _("It broke off."), field="body")
    if len(body) > MOST_BYTES:
        return too_large
    twice = _given_twice(body)
    if twice is not None:
        name = visible(twice)
        return envelope.error(400, "invalid", f"{name}: {_('Give this once.')}", field=name)
    return body


def _given_twice(body: bytes) -> str | None:
    """The name; None where there is none, or where this is no JSON, which the SDK says."""
    try:
        json.loads(body, object_pairs_hook=strict_json.once)
    except strict_json.Repeated as repeated:
        return repeated.name
    except (ValueError, RecursionError):
        pass
    return None
