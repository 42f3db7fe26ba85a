"""What the JSON of an answer holds: one declaration, from which everything else follows.

Place in the data's way: below ``probes.payloads``, which fills these shapes, and the routes, which
declare them. The names of CSV columns, the description of the API (``openapi.json``), the output
schemas of tools for assistants and the suite's check of every JSON answer are made from them. At
run time nothing is validated. Knows pydantic; no models, no requests.

A shape is a TypedDict in a module of its subject. Fields come in the order of the CSV's columns,
each described by the line below it where its name does not say all; unknown is ``| None``. What
is declared is all there is: an answer with another key, or without one, does not fit. Keys that
some answers lack are ``NotRequired``. A key that is a word of Python takes the functional form.
Class names are unique over all modules, because they name schemas of the description.

    from typing_extensions import TypedDict      # pydantic refuses that of typing before 3.12

    from probes.payloads.shapes import Listed, Named, Time

    class Service(TypedDict):
        \"\"\"A service that netadmin may restart.\"\"\"

        id: int
        host: Named
        port: int
        last_tried_at: Time | None
        \"\"\"Null where nothing was tried.\"\"\"

    class Services(Listed):                      # ``data`` of the list: total and next
        services: list[Service]

The payload and the route then say:

    SERVICE: Final = names(shapes.Service)

    @route("GET", Role.VIEWER, query=..., data=shapes.Services)
    @route("DELETE", Role.ADMIN, data=Nothing)
    @route("POST", Role.ADMIN, body=NewService, data=shapes.OneService, also=(201, 409))

Where an operation answers in one of several shapes, ``data=A | B``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, WithJsonSchema
from typing_extensions import TypedDict

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""UTC in ISO 8601."""

Identity = Annotated[int, Field(ge=1)]
"""The id of a row."""

Count = Annotated[int, Field(ge=0)]


class Nothing(TypedDict):
    """No data: the message says it all."""


class Named(TypedDict):
    """Something by its id and name, where it is only mentioned."""

    id: Identity
    name: str


class Listed(TypedDict):
    """What the data of each list has besides its rows."""

    total: Count
    """Rows on all pages."""
    next: str | None
    """Cursor of the next page; null on the last one."""


class SnapshotBrief(TypedDict):
    """A probe where it is only mentioned."""

    id: Identity
    taken_at: Time
    outcome: Literal["ok", "limited", "partial", "late", "failed"]
    code: str | None
    """What went wrong; null where nothing did."""
    sockets: Count | None
    listeners: Count | None


class Problem(TypedDict):
    """What was wrong, in words that never change with the language, but for the hint."""

    code: str
    field: str | None
    """The parameter or the field of the body at fault."""
    hint: str
    """What to do about it."""


class Failure(TypedDict):
    """Every answer that failed."""

    success: Literal[False]
    message: str
    data: Nothing
    error: Problem


_CONFIG: Final = ConfigDict(extra="forbid")


def names(shape: type) -> tuple[str, ...]:
    """Its keys in the order of their declaration, those of its bases first."""
    return tuple(shape.__annotations__)


def adapter(shape: Any) -> TypeAdapter[Any]:
    """For schemas of ``shape``: its JSON schema is that of ``additionalProperties`` in this one's.

    A TypedDict takes no configuration from outside, but what is inside a dict of it does.
    """
    return TypeAdapter(dict[str, shape], config=_CONFIG)


def schema(shape: Any) -> dict[str, Any]:
    """The JSON schema (2020-12) of one shape by itself, with what it refers to in ``$defs``."""
    made = adapter(shape).json_schema(mode="serialization")
    inner: dict[str, Any] = made["additionalProperties"]
    return inner | ({"$defs": made["$defs"]} if "$defs" in made else {})
