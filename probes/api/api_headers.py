"""The headers of requests and answers that the description of the API names.

Place in the data's way: read by ``probes.api.openapi`` alone. Who sends them: ``conditional``
(RFC 9110, sections 8.8.3 and 13.1.2), ``netadmin.access.middleware`` and django-guid.
"""

from __future__ import annotations

from typing import Any, Final

HEADERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "X-Request-ID": (
        "The request's own id where it is a plain word, else one that is made; in the log as well.",
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    ),
    "RateLimit-Limit": ("Requests a minute.", {"type": "integer", "minimum": 1}),
    "RateLimit-Remaining": ("How many may be made now.", {"type": "integer", "minimum": 0}),
    "RateLimit-Reset": ("Seconds until this window ends.", {"type": "integer", "minimum": 0}),
    "Retry-After": ("Seconds.", {"type": "integer", "minimum": 0}),
    "ETag": (
        "Send it back as `If-None-Match`.",
        {"type": "string", "pattern": '^W/"[0-9a-f]{32}"$'},
    ),
}
"""Of answers. The limits are left out where none is set."""
ALWAYS: Final = ("X-Request-ID", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of the answer that the caller has; where it would read the same, the"
    " answer is 304 without a body.",
    "schema": {"type": "string"},
}


def described() -> dict[str, Any]:
    """Each header of answers, under ``components``."""
    return {
        name: {"description": text, "schema": schema} for name, (text, schema) in HEADERS.items()
    }


def of(*names: str) -> dict[str, Any]:
    """The headers of one answer: those that each has, and these."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*ALWAYS, *names)}
