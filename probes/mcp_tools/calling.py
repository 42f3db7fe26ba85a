"""Runs a tool for whoever asks: may they, is it written down, are the arguments right, the answer.

Place in the data's way: between the protocol (``server``) and the handlers. Every call is in the
audit log before anything else is done; where that cannot be written, nothing is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as ModelInvalid
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _

from netadmin.access import audit, permissions
from netadmin.access.models import Role
from netadmin.envelope import Refused
from probes.filters import FilterError, Query, read
from probes.mcp_tools import answers, catalogue
from probes.mcp_tools.declared import MOST_ROWS, Tool

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_ARGUMENT: Final = 200
MOST_ARGUMENTS: Final = 20
"""Of a call, in the audit log."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in which language."""

    asks: Callable[[], HttpRequest]
    """Gives the request with user and token; raises Refused where they may ask no more."""
    language: str

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """``function(request, *arguments)`` where the database may be asked, in the language."""

        def inside() -> T:
            with translation.override(self.language):
                return function(self.asks(), *arguments)

        return await sync_to_async(inside, thread_sensitive=True)()


def tools(request: HttpRequest) -> list[Tool]:
    """The tools that the caller may call."""
    held = permissions.request_role(request)
    return [] if held is None else [each for each in catalogue.TOOLS.values() if held >= each.role]


def call(request: HttpRequest, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope of one call, whatever becomes of it. KeyError where there is no such tool."""
    tool = catalogue.TOOLS[name]
    return enveloped(lambda: _called(request, tool, arguments))


def enveloped(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``act`` gives, or the envelope of why it was refused; says nothing of what broke."""
    try:
        return act()
    except Refused as refused:
        return answers.bad(refused)
    except FilterError as error:
        return answers.bad(invalid(error.field, error.message))
    except ModelInvalid as error:
        return answers.bad(_invalid_model(error))
    except Exception:
        logger.exception("an assistant's question failed")
        return answers.bad(
            Refused(
                500,
                "error",
                _("Something went wrong."),
                hint=_("The log of the server says what."),
            )
        )


def record(request: HttpRequest, action: str, detail: dict[str, Any]) -> None:
    """Write down that something is asked, in a transaction of its own; Refused where it cannot."""
    try:
        with transaction.atomic():
            audit.record(action, request=request, detail=detail)
    except DatabaseError:
        logger.exception("could not record an assistant's question")
        raise Refused(
            503,
            "not_recorded",
            _("This could not be written to the audit log, so it was not done."),
            hint=_("Try again; if it stays, look at the database."),
        ) from None


def require(request: HttpRequest, role: Role) -> None:
    """Refused where the caller's role does not suffice."""
    held = permissions.request_role(request)
    if held is None or held < role:
        raise Refused(
            403,
            "forbidden",
            _("This needs the role %(role)s.") % {"role": role.label},
            hint=_("Ask an administrator."),
        )


def invalid(field: str, message: Any) -> Refused:
    """The refusal of one argument."""
    return Refused(400, "invalid", f"{field}: {message}", field=field)


def shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the audit log keeps them: few, short, printable; numbers as text, of which some
    that a client can send (NaN, 1e400) are none to a database."""
    return {
        answers.plain(str(name), most=50): value
        if value is None or isinstance(value, bool)
        else answers.plain(str(value), most=LONGEST_ARGUMENT)
        for name, value in list(arguments.items())[:MOST_ARGUMENTS]
    }


def _called(request: HttpRequest, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    record(request, "mcp.call", {"tool": tool.name, "arguments": shown(arguments)})
    require(request, tool.role)
    query = read(tool.query, arguments)
    data, message = tool.handler(request, query)
    if tool.rows:
        return _cut(tool.rows, data, message)
    made = answers.good(data, message)
    for _attempt in range(4):
        measured = answers.size(made)
        if measured <= answers.MOST_BYTES or not hasattr(query, "limit"):
            break
        query = _fewer(query, measured)
        data, message = tool.handler(request, query)
        made = answers.good(data, message)
    return made if answers.size(made) <= answers.MOST_BYTES else _shortened(data, message)


def _shortened(data: dict[str, Any], message: str) -> dict[str, Any]:
    """The answer where even its fewest rows are too much text, and a sentence that says so."""
    note = _("It was too much text for one answer: lists and names in it are cut short.")
    return answers.good(answers.fitted(data)[0], f"{message} {note}".strip())


def _fewer(query: Query, measured: int) -> Query:
    """The same question for so many rows as fit, by what those of the answer took."""
    limit: int = getattr(query, "limit", 1)
    fits = limit * answers.MOST_BYTES * 9 // (measured * 10)
    return query.model_copy(update={"limit": max(1, min(limit - 1, fits))})


def _cut(name: str, data: dict[str, Any], message: str) -> dict[str, Any]:
    """The answer of a tool without pages, with so many of its first rows as fit, and a sentence
    that says so; how many there are stands in its own count."""
    total = len(data[name])
    made = answers.good(data | {name: data[name][:MOST_ROWS]}, message)
    room = answers.MOST_BYTES - answers.size(made | {"data": made["data"] | {name: []}}) - 400
    kept = []
    for row in made["data"][name]:
        room -= answers.size(row) + 1
        if room < 0:
            break
        kept.append(row)
    if len(kept) < total:
        note = _("Only the first %(shown)s of %(total)s rows are in this answer.")
        made["message"] = f"{made['message']} {note % {'shown': len(kept), 'total': total}}".strip()
    return made | {"data": made["data"] | {name: kept}}


def _invalid_model(error: ModelInvalid) -> Refused:
    if not hasattr(error, "error_dict"):
        return invalid("arguments", " ".join(error.messages))
    by_field = error.message_dict
    field = next(iter(by_field))
    return invalid("arguments" if field == NON_FIELD_ERRORS else field, " ".join(by_field[field]))


def fresh_connections() -> None:
    """Drop connections that the database gave up, where no request's end does it: a process that
    serves one caller for days."""
    if not connection.in_atomic_block:
        close_old_connections()
