"""The one shape of every JSON answer: ``{"success", "message", "data"}`` and ``"error"``.

An error's ``code`` and ``field`` never change with the language; ``message`` and ``hint`` do.
"""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from django.utils.translation import gettext as _


def answer(data: Any = None, *, message: Any = "", status: int = 200) -> JsonResponse:
    """A successful answer."""
    return JsonResponse(
        {"success": True, "message": str(message), "data": {} if data is None else data},
        status=status,
        json_dumps_params={"ensure_ascii": False},
    )


def error(
    status: int,
    code: str,
    message: Any,
    *,
    field: str | None = None,
    hint: Any = "",
) -> JsonResponse:
    """A failed answer with the right 4xx or 5xx; ``field`` names the parameter at fault."""
    return JsonResponse(
        {
            "success": False,
            "message": str(message),
            "data": {},
            "error": {"code": code, "field": field, "hint": str(hint)},
        },
        status=status,
        json_dumps_params={"ensure_ascii": False},
    )


def not_found() -> JsonResponse:
    """The same body for what does not exist and for what the caller may not see."""
    return error(404, "not_found", _("Not found."), hint=_("Check the address and the id."))
