"""The little framework under the JSON routes: roles, strict input, one envelope.

Place in the data's way: between Django's URLs and the handlers of this package, which only call
and shape. A route is plain data (:data:`ENDPOINTS`), so that a description of the API can be made
from it.

    @route("GET", Role.VIEWER, query=ConnectionQuery, about=visible_host)
    def connections(request, host, query): ...

    urlpatterns = [endpoint("hosts/<int:pk>/connections", "api-host-connections", connections)]

A request is judged in this order: who calls, does the method exist, may they, does the object
exist for them, is the query right, is the body right. So what lies outside the caller's groups is
absent whatever else is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelInvalid
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, ValidationError

from netadmin import envelope, strict_json
from netadmin.access import permissions
from netadmin.access.models import Role
from probes.api import conditional
from probes.filters import FilterError, Query, first_problem, parse, unstorable, visible

MAX_BODY_BYTES: Final = 256 * 1024
TEXT_TYPES: Final = frozenset({"text/plain", "application/octet-stream"})
MAX_DEPTH: Final = 10
"""Lists and objects inside one another in a body."""

INVALID: Final = "invalid"
"""Code of every error that names a parameter or a field of the body."""


class Body(BaseModel):
    """The JSON object of a request. Types are exact: ``"22"`` and ``22.0`` are no numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Refusal(Exception):
    """Ends a handler with an error answer."""

    def __init__(self, response: HttpResponseBase) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True, slots=True)
class Text:
    """What an answer is that succeeds and is no envelope."""

    content_type: str
    """Without parameters: ``text/plain``."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address."""

    method: str
    role: Role
    handler: Callable[..., HttpResponseBase]
    query: type[Query]
    body: type[Body] | None = None
    text_bytes: int = 0
    """The most bytes of a body that is text and no JSON; 0 where it takes none."""
    text_types: frozenset[str] = TEXT_TYPES
    """What such a body may say it is."""
    about: Callable[[HttpRequest, int], Any] | None = None
    """Finds the object that the path names among those the caller may see; None where absent."""
    site_wide: bool = False
    """Refused to an administrator of some host groups only, whatever it names."""
    data: Any = None
    """Shape of ``data`` in the answer that succeeds: a TypedDict, or :class:`Text`. The suite holds
    every answer against it, and the description of the API shows it."""
    also: tuple[int, ...] = ()
    """Statuses it answers besides 200 and the refusals that every route has."""
    version: Callable[..., str | None] | None = None
    """Says cheaply, of the same arguments, which version of the answer there is: for a poller that
    has it already the handler is not called. None: there is no saying."""

    @property
    def summary(self) -> str:
        """First line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address with its operations by method."""

    path: str
    name: str
    operations: Mapping[str, Operation]

    @property
    def role(self) -> Role:
        """The least role that any of its methods needs."""
        return min(operation.role for operation in self.operations.values())


ENDPOINTS: Final[list[Endpoint]] = []
"""Every address of the API, in the order of ``probes.api.urls``."""


def route(
    method: str,
    role: Role,
    *,
    query: type[Query] = Query,
    body: type[Body] | None = None,
    text_bytes: int = 0,
    text_types: frozenset[str] = TEXT_TYPES,
    about: Callable[[HttpRequest, int], Any] | None = None,
    site_wide: bool = False,
    data: Any = None,
    also: tuple[int, ...] = (),
    version: Callable[..., str | None] | None = None,
) -> Callable[[Callable[..., HttpResponseBase]], Operation]:
    """Declare a handler: it is called with the request, then the object ``about`` found (where
    given), then ``query`` and ``body`` by name (where declared), all of them valid. With
    ``text_bytes`` the body is text of so many bytes at most, handed over as the bytes it is.

    It may raise FilterError, envelope.Refused, Django's ValidationError with messages by field, or
    :class:`Refusal`.
    """

    def declare(handler: Callable[..., HttpResponseBase]) -> Operation:
        return Operation(
            method,
            role,
            handler,
            query,
            body,
            text_bytes,
            text_types,
            about,
            site_wide,
            data,
            also,
            version,
        )

    return declare


def endpoint(address: str, name: str, *operations: Operation) -> URLPattern:
    """The URL pattern of an address with its operations; registered in :data:`ENDPOINTS`."""
    made = Endpoint(address, name, {operation.method: operation for operation in operations})
    ENDPOINTS.append(made)

    def view(request: HttpRequest, **arguments: int) -> HttpResponseBase:
        response = _answer(made, request, arguments)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    view.__doc__ = operations[0].summary
    view.__name__ = view.__qualname__ = name
    view.required_role = made.role  # type: ignore[attr-defined]
    return path(address, view, name=name)


def _answer(made: Endpoint, request: HttpRequest, arguments: dict[str, int]) -> HttpResponseBase:
    method = request.method or ""
    operation = made.operations.get("GET" if method == "HEAD" else method)
    refusal = permissions.refuse(request, made.role if operation is None else operation.role)
    if refusal is not None:
        return refusal
    if operation is None:
        return _other_method(made, method)
    if operation.site_wide and not permissions.administers_all(request.user):
        message = _("Only administrators of all hosts may do this.")
        return envelope.error(403, "forbidden", message, hint=_("Ask an administrator."))
    try:
        subject = _subject(operation, request, arguments)
        keywords: dict[str, Any] = {}
        asked = parse(operation.query, request.GET, blank_is_absent=False)
        if operation.query is not Query:
            keywords["query"] = asked
        if operation.body is not None:
            keywords["body"] = _body(operation.body, request)
        elif operation.text_bytes:
            keywords["body"] = _text(operation, request)
        elif _length(request):
            raise FilterError("body", _("This takes no body."))
        run = partial(operation.handler, request, *subject, **keywords)
        if operation.version is None or method not in ("GET", "HEAD"):
            response = run()
        else:
            response = conditional.answer(
                request, operation.version(request, *subject, **keywords), run
            )
    except Refusal as refused:
        return refused.response
    except envelope.Refused as refused:
        return refused.answer()
    except FilterError as error:
        return invalid(error.field, error.message)
    except ModelInvalid as error:
        return _invalid_model(error)
    unread = method == "HEAD" and response.status_code != 304
    return _without_content(response) if unread else response


def invalid(field: str, message: Any, *, hint: Any = "", status: int = 400) -> HttpResponse:
    """The error answer about one parameter or field."""
    return envelope.error(status, INVALID, f"{field}: {message}", field=field, hint=hint)


def _other_method(made: Endpoint, method: str) -> HttpResponse:
    allowed = [*made.operations, "OPTIONS"]
    if "GET" in made.operations:
        allowed.insert(allowed.index("GET") + 1, "HEAD")
    if method == "OPTIONS":
        response = HttpResponse(status=204)
    else:
        response = envelope.error(
            405,
            "method_not_allowed",
            _("This address has no method %(method)s.") % {"method": visible(method)},
            hint=_("It has: %(methods)s.") % {"methods": ", ".join(allowed)},
        )
    response["Allow"] = ", ".join(allowed)
    return response


def _subject(
    operation: Operation, request: HttpRequest, arguments: dict[str, int]
) -> tuple[Any, ...]:
    if operation.about is None:
        return ()
    pk = arguments["pk"]
    # Larger than any id a database can hold: absent like any other.
    found = operation.about(request, pk) if pk < 2**63 else None
    if found is None:
        raise Refusal(envelope.not_found())
    return (found,)


def _without_content(response: HttpResponseBase) -> HttpResponseBase:
    """The answer to HEAD: the same head, and nothing of a stream is read."""
    bare = HttpResponse(status=response.status_code)
    for name, value in response.items():
        bare[name] = value
    if not response.streaming:
        bare["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
    return bare


# --- bodies ---------------------------------------------------------------------------------------


def _body(model: type[Body], request: HttpRequest) -> Body:
    if request.content_type != "application/json":
        raise Refusal(invalid("Content-Type", _("Send application/json."), status=415))
    try:
        if _length(request) > MAX_BODY_BYTES or len(request.body) > MAX_BODY_BYTES:
            raise RequestDataTooBig
        value = _json(request.body)
    except RequestDataTooBig:
        raise _too_large(MAX_BODY_BYTES) from None
    except UnreadablePostError:
        raise Refusal(invalid("body", _("It broke off."))) from None
    if not isinstance(value, dict):
        raise FilterError("body", _("Send a JSON object."))
    _check_text(value, where="")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise first_problem(error) from None


def _text(operation: Operation, request: HttpRequest) -> bytes:
    """A body that is text, in whatever encoding: it may be longer than what Django reads at once,
    and is read no further than it may be."""
    most_bytes = operation.text_bytes
    if not _length(request):
        raise FilterError("body", _("Send the text."))
    if request.content_type not in operation.text_types:
        raise Refusal(invalid("Content-Type", _("Send text/plain."), status=415))
    if _length(request) > most_bytes:
        raise _too_large(most_bytes)
    try:
        return request.read(most_bytes)
    except UnreadablePostError:
        raise Refusal(invalid("body", _("It broke off."))) from None


def _too_large(most_bytes: int) -> Refusal:
    return Refusal(invalid("body", _("At most %(most)s bytes.") % {"most": most_bytes}, status=413))


def _length(request: HttpRequest) -> int:
    """Bytes of the body as announced; Django reads no further."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _json(raw: bytes) -> Any:
    """One JSON value in UTF-8. RFC 8259, strictly: no NaN, no repeated name, no depth tricks."""
    if not raw.strip():
        raise FilterError("body", _("Send a JSON object."))

    def no_constant(name: str) -> Any:
        raise FilterError("body", _("%(name)s is no JSON.") % {"name": name})

    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=strict_json.once, parse_constant=no_constant
        )
    except FilterError:
        raise
    except strict_json.Repeated as repeated:
        raise FilterError(visible(repeated.name), _("Give this once.")) from None
    except (ValueError, RecursionError):
        raise FilterError("body", _("This is no JSON in UTF-8.")) from None


def _check_text(value: Any, *, where: str, depth: int = 0) -> None:
    """Raise FilterError where some text cannot be stored, or objects are too deep."""
    if isinstance(value, str):
        if unstorable(value):
            raise FilterError(where, _("This holds a character that no database keeps."))
    elif isinstance(value, list | dict):
        if depth >= MAX_DEPTH:
            raise FilterError(where or "body", _("This is nested too deeply."))
        inside = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        for name, item in inside:
            if name is not None and unstorable(name):
                raise FilterError("body", _("This holds a character that no database keeps."))
            place = where if name is None else visible(f"{where}.{name}" if where else name)
            _check_text(item, where=place, depth=depth + 1)


def _invalid_model(error: ModelInvalid) -> HttpResponse:
    """The first message of a model's or a form's own checks."""
    if not hasattr(error, "error_dict"):
        return invalid("body", " ".join(error.messages))
    by_field = error.message_dict
    field = next(iter(by_field))
    name = "body" if field == NON_FIELD_ERRORS else field
    return invalid(name, " ".join(by_field[field]))
