"""One id for each request: in the answer's ``X-Request-ID``, in the log and in the audit log.

Place in the data's way: the outermost middleware, before django-guid, which makes the id, keeps it
for the request's code and sends it back; :mod:`netadmin.logs` and :mod:`netadmin.access.audit`
read it. What a caller or a proxy sends as its own id is taken over where it is a plain word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_guid.context import guid

if TYPE_CHECKING:
    from netadmin.access.middleware import GetResponse

_META: Final = "HTTP_X_REQUEST_ID"
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class PlainIdMiddleware:
    """Drops an id that is no plain word, so that a new one is made in its place.

    It would stand in log lines, in the audit log and in a header.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.META.get(_META)
        if given is not None and not _PLAIN.fullmatch(given):
            del request.META[_META]
        return self.get_response(request)


def present() -> str:
    """The id of the request that this code runs for; empty outside of one."""
    return guid.get() or ""
