"""The one shape of every JSON answer: ``{"success", "message", "data"}`` and ``"error"``.

An error's ``code`` and ``field`` never change with the language; ``message`` and ``hint`` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import JsonResponse
from django.utils.translation import gettext as _


class Refused(Exception):
    """Why an act is refused, for whoever shapes the answer: JSON, MCP or a command."""

    def __init__(
        self,
        status: int,
        code: str,
        message: Any,
        *,
        field: str | None = None,
        hint: Any = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(str(message))
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint
        self.headers = dict(headers or {})

    def answer(self) -> JsonResponse:
        """As JSON."""
        response = error(self.status, self.code, self.message, field=self.field, hint=self.hint)
        for name, value in self.headers.items():
            response[name] = value
        return response


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
