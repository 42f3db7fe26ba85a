"""Conditional requests: a poller that has an answer already is told so, and gets no body.

Place in the data's way: between ``probes.api.routing`` and a handler whose route declares a
``version``. Formats: RFC 9110, sections 8.8.3 (ETag), 13.1.2 (If-None-Match), 15.4.5 (304).

A tag says which answer to whom: it covers the caller, the token, the language, the address with all
its parameters, and the release. What it covers besides is either the ``version`` of what is asked
about, and then the handler need not run, or the body itself, and then it ran and only the body is
spared. So nobody is ever told that an answer is unchanged which would read otherwise now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

import netadmin


def answer(
    request: HttpRequest, version: str | None, make: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """The answer that ``make`` gives, with its tag; 304 where the caller has it already.

    With a ``version`` (found before ``make`` is called) that is said without calling it.
    Downloads, and whatever is no 200, stay as they are.
    """
    if version is not None:
        tag = _tag(request, f"version {version}".encode())
        if _held(request, tag):
            return _unchanged(tag)
    response = make()
    if response.status_code != 200 or not isinstance(response, HttpResponse):
        return response
    if version is None:
        tag = _tag(request, b"body " + response.content)
        if _held(request, tag):
            return _unchanged(tag)
    return _tagged(response, tag)


def _tag(request: HttpRequest, what: bytes) -> str:
    token = getattr(request, "token", None)
    whose = [
        netadmin.__version__,
        request.user.pk,
        None if token is None else token.pk,
        translation.get_language(),
        request.get_full_path(),
    ]
    digest = hashlib.blake2b(json.dumps(whose).encode(), digest_size=16)
    digest.update(what)
    # Weak: the same JSON in other words is the same to a poller.
    return f'W/"{digest.hexdigest()}"'


def _held(request: HttpRequest, tag: str) -> bool:
    """Whether ``If-None-Match`` has the tag, compared weakly."""
    given = parse_etags(request.headers.get("If-None-Match", ""))
    return tag.removeprefix("W/") in [each.removeprefix("W/") for each in given]


def _unchanged(tag: str) -> HttpResponseBase:
    response = HttpResponse(status=304)
    del response["Content-Type"]
    return _tagged(response, tag)


def _tagged(response: HttpResponse, tag: str) -> HttpResponse:
    response["ETag"] = tag
    # Kept by the caller alone, and asked for again each time.
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ("Accept-Language", "Authorization", "Cookie"))
    return response
