"""``openapi.json`` and ``docs/``: what the API is, made from the declarations that validate.

Place in the data's way: reads ``routing.ENDPOINTS`` (addresses, roles, queries, bodies, shapes of
answers) and touches no data. OpenAPI 3.1.1, whose schemas are JSON Schema 2020-12 as pydantic
writes it. The words are those of the docstrings, in English. Built once per process, when it is
first asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final, get_args

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from pydantic import Field, TypeAdapter

from netadmin.access.models import Role
from probes.api import api_headers, api_page, samples
from probes.api.api_schemas import REF, enveloped, schemas_of
from probes.api.field_notes import notes_of, said
from probes.api.routing import ENDPOINTS, Endpoint, Operation, Text, route
from probes.api.shared import absent
from probes.filters import Query

SUBJECTS: Final = {
    "inventory": "Hosts",
    "probing": "Probes",
    "live": "Live queries",
    "sockets": "Connections and ports",
    "network": "Routes, interfaces and counters",
    "history": "History",
    "sightings": "Hunting",
    "hunts": "Hunting",
    "counts": "Statistics",
    "statistics": "Statistics",
    "topology": "Map and exposure",
    "exposure": "Map and exposure",
    "findings": "Findings",
    "watching": "Changes and watched ports",
    "events": "Changes and watched ports",
    "alerts": "Alerts",
    "silences": "Alerts",
    "rules": "Rules",
    "rule_set": "Rules",
    "peers": "Peers",
    "recovery": "Services",
    "channels": "Channels",
    "cmdb": "Synchronisation",
    "reports": "Reports",
    "parsing": "Parsing",
    "tokens": "Tokens",
    "openapi": "This description",
}
"""Under which heading the operations of a module of this package stand, in that order."""

TYPES: Final = {"json": "application/json", "csv": "text/csv", "yaml": "application/yaml"}
"""What ``format=`` gives."""

REFUSALS: Final = {
    304: "What the caller has is still so: it sent that answer's `ETag` as `If-None-Match`.",
    400: "A parameter or a field of the body is wrong; `error.field` names it.",
    401: "No login, or a token that is unknown, expired or revoked.",
    403: "The role does not suffice.",
    404: "Absent, or outside the caller's host groups.",
    409: "Not now: see `error.code` and the hint.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "Understood, and yet nothing can be done with it.",
    429: "Too many requests; see `Retry-After`.",
    500: "A fault of netadmin; it is logged.",
    502: "The host answered, and not as it should.",
    503: "Not possible at this moment; see `Retry-After`.",
    504: "The host did not answer in time.",
}
SUCCESSES: Final = {200: "Done.", 201: "Made.", 202: "Accepted; it happens soon.", 204: "Done."}
PAGING: Final = frozenset({"cursor", "limit", "format", "sort"})

ABOUT: Final = (
    "Everything the pages show, for scripts: sockets, ports, probes, history, statistics, alerts "
    "and what people do about them.\n\nEvery JSON answer is one envelope: `success`, `message` "
    "(in the language of `Accept-Language`), `data`, and where it failed `error` with a `code` "
    "that never changes with the language. Times are UTC. Unknown is null. Lists give "
    "`data.next`, the `cursor` of the next page, and as `format=csv` all of their rows. Input is "
    "read strictly: a parameter that is unknown, repeated or empty is refused."
)


def address_of(endpoint: Endpoint) -> str:
    """Its path as OpenAPI writes it: ``/hosts/{id}/``."""
    return "/" + endpoint.path.replace("<int:pk>", "{id}")


def subject_of(operation: Operation) -> str:
    """The heading it stands under."""
    return SUBJECTS[operation.handler.__module__.rpartition(".")[2]]


def statuses(operation: Operation) -> tuple[list[int], list[int]]:
    """Every status it may answer: those that succeed, and the refusals.

    What makes something answers 201 and never 200, unless it can be tried without doing it.
    """
    good = {status for status in operation.also if status < 300}
    if 201 not in good or "dry_run" in operation.query.model_fields:
        good.add(200)
    bad = {status for status in operation.also if status >= 300}
    bad |= {400, 401, 403, 429}
    asks = operation.query.model_fields.keys() - PAGING
    if operation.about is not None or asks or operation.body is not None:
        bad.add(404)
    if operation.body is not None or operation.text_bytes:
        bad |= {413, 415}
    if operation.version is not None:
        bad.add(304)
    return sorted(good), sorted(bad)


def content_types(operation: Operation) -> tuple[str, ...]:
    """Of the answer that succeeds, the usual one first."""
    if isinstance(operation.data, Text):
        return (operation.data.content_type,)
    field = operation.query.model_fields.get("format")
    formats = ("json",) if field is None else get_args(field.annotation)
    return tuple(TYPES[name] for name in formats)


def operations() -> Iterator[tuple[Endpoint, Operation]]:
    """Every operation of every address."""
    for endpoint in ENDPOINTS:
        for operation in endpoint.operations.values():
            yield endpoint, operation


@cache
def document() -> dict[str, Any]:
    """The whole description. Not to be changed: it is kept."""
    schemas, definitions = schemas_of(operations())
    paths: dict[str, dict[str, Any]] = {}
    for endpoint, operation in operations():
        key = (endpoint.name, operation.method)
        described = _operation(endpoint, operation, schemas.get(("answer", *key)), definitions)
        if operation.body is not None:
            body = schemas["body", *key]
            described["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": body}},
            }
            described["requestBody"]["content"]["application/json"]["example"] = samples.sample(
                body, definitions, required_only=True
            )
        paths.setdefault(address_of(endpoint), {})[operation.method.lower()] = described
    used = {said["tags"][0] for methods in paths.values() for said in methods.values()}
    return {
        "openapi": "3.1.1",
        "info": {"title": "netadmin", "version": "1", "description": ABOUT},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": name} for name in dict.fromkeys(SUBJECTS.values()) if name in used],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {
                str(status): _failure(status, text)
                for status, text in REFUSALS.items()
                if status >= 400
            }
            | {"304": {"description": REFUSALS[304], "headers": api_headers.of("ETag")}},
            "headers": api_headers.described(),
            "parameters": {"If-None-Match": api_headers.IF_NONE_MATCH},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the Tokens page, or of `manage.py api_token`.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": settings.SESSION_COOKIE_NAME,
                    "description": "As the pages have it; what changes something then needs the "
                    f"header `X-CSRFToken` with the cookie `{settings.CSRF_COOKIE_NAME}`.",
                },
            },
        },
    }


@cache
def encoded() -> tuple[bytes, str]:
    """:func:`document` as JSON, and its version."""
    raw = json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()
    return raw, hashlib.sha256(raw).hexdigest()[:32]


def _version(request: HttpRequest) -> str:
    return encoded()[1]


@route("GET", Role.VIEWER, data=Text("application/json"), version=_version)
def description(request: HttpRequest) -> HttpResponse:
    """This description of the API, OpenAPI 3.1."""
    return HttpResponse(encoded()[0], content_type="application/json")


class Shown(Query):
    """What of the page."""

    operation: Annotated[str, Field(max_length=100, pattern="^[a-z]+(_[a-z]+)+$")] | None = None
    """Its ``operationId``; the index where not given."""
    q: Annotated[str, Field(max_length=100)] | None = None
    """Only operations with these words in their method, address or summary."""


@route("GET", Role.VIEWER, query=Shown, data=Text("text/html"))
def page(request: HttpRequest, query: Shown) -> HttpResponse:
    """The same as a page to read and to try."""
    shown = api_page.context(document(), wanted=query.operation, q=query.q or "")
    if shown is None:
        raise absent("operation", _("There is no such operation."))
    return render(request, "probes/api_docs.html", shown)


# --- parts ----------------------------------------------------------------------------------------


def _operation(
    endpoint: Endpoint, operation: Operation, data: Any, definitions: dict[str, Any]
) -> dict[str, Any]:
    good, bad = statuses(operation)
    summary, more = said(operation.handler)
    role = f"Needs the role {Role(operation.role).name.lower()}" + (
        ", of all host groups." if operation.site_wide else "."
    )
    described: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{_identifier(endpoint.name)}",
        "tags": [subject_of(operation)],
        "summary": summary.rstrip(".").replace("``", ""),
        "description": f"{more}\n\n{role}".strip(),
        "x-role": Role(operation.role).name.lower(),
        "parameters": [*_path(endpoint), *_query(operation), *_conditional(operation)],
        "responses": {
            **{str(status): _success(status, operation, data, definitions) for status in good},
            **{
                str(status): {"$ref": f"#/components/responses/{status}"}
                for status in bad
                if status in REFUSALS
            },
        },
    }
    if operation.text_bytes:
        schema = {"type": "string", "minLength": 1, "maxLength": operation.text_bytes}
        described["requestBody"] = {
            "required": True,
            "content": {name: {"schema": schema} for name in sorted(operation.text_types)},
        }
    return described


def _identifier(name: str) -> str:
    return name.removeprefix("api-").replace("-", "_")


def _path(endpoint: Endpoint) -> list[dict[str, Any]]:
    if "<int:pk>" not in endpoint.path:
        return []
    schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    return [{"name": "id", "in": "path", "required": True, "schema": schema, "example": 1}]


def _conditional(operation: Operation) -> list[dict[str, Any]]:
    known = operation.version is not None
    return [{"$ref": "#/components/parameters/If-None-Match"}] if known else []


def _query(operation: Operation) -> list[dict[str, Any]]:
    made = TypeAdapter(operation.query).json_schema(mode="validation")
    notes = notes_of(operation.query)
    parameters = []
    for name, schema in made.get("properties", {}).items():
        plain = _without_null(schema)
        if plain is None:
            continue
        described: dict[str, Any] = {"name": name, "in": "query", "schema": plain}
        if name in made.get("required", ()):
            described["required"] = True
        if name in notes:
            described["description"] = notes[name]
        examples = plain.pop("examples", None)
        if examples:
            described["example"] = examples[0]
        parameters.append(described)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any] | None:
    """What a parameter may say: absent is what null is in JSON. None where it may say nothing."""
    plain = {key: value for key, value in schema.items() if key not in ("title", "anyOf")}
    if plain.get("default", "") in (None, ""):
        plain.pop("default", None)
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        plain |= choices[0]
    elif choices:
        plain["anyOf"] = choices
    if plain.get("type") == "null" or ("anyOf" in schema and not choices):
        return None
    if plain.get("type") == "boolean":
        plain = {"type": "string", "enum": ["true", "false"]}
    if plain.get("type") == "string" and not plain.keys() & {"enum", "const", "pattern", "format"}:
        # An empty parameter is refused, and so is one of blanks alone, or with a NUL in it.
        plain |= {"minLength": 1, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
    return plain


def _success(
    status: int, operation: Operation, data: Any, definitions: dict[str, Any]
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name in content_types(operation):
        content[name] = {} if name == TYPES["yaml"] else {"schema": {"type": "string"}}
        if name == "application/json":
            content[name] = {"schema": {"type": "object"}}
            if data is not None:
                schema = enveloped(data)
                content[name] = {
                    "schema": schema,
                    "example": samples.sample(schema, definitions),
                }
    tagged = status == 200 and operation.version is not None
    return {
        "description": SUCCESSES[status],
        "headers": api_headers.of(*(("ETag",) if tagged else ())),
        "content": content,
    }


def _failure(status: int, text: str) -> dict[str, Any]:
    return {
        "description": text,
        "headers": api_headers.of(*(("Retry-After",) if status in (429, 503) else ())),
        "content": {
            "application/json": {
                "schema": {"$ref": REF.format(model="Failure")},
                "example": samples.failure(status, HTTPStatus(status).phrase),
            }
        },
    }
