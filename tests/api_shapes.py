"""Holds every JSON answer of the API, in every test, against the shape that its route declares.

Installed once by tests/conftest.py. An answer that does not fit fails whichever test asked for
it: inside the request, so a client that raises shows where, and as a failure of the test besides,
for clients that turn an exception into a 500 and for servers in another thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from probes.api import routing
from probes.payloads import shapes

PROBLEMS: list[str] = []
"""What did not fit since the last test; each test empties it."""


def install() -> None:
    """Put the check around the one function that answers every route."""
    answer = routing._answer

    def checked(
        made: routing.Endpoint, request: HttpRequest, arguments: dict[str, int]
    ) -> HttpResponseBase:
        return check(made, request, answer(made, request, arguments))

    routing._answer = checked


def check(
    made: routing.Endpoint, request: HttpRequest, response: HttpResponseBase
) -> HttpResponseBase:
    """The same answer; raises AssertionError where it is not as its route declares."""
    method = "GET" if request.method == "HEAD" else request.method or ""
    operation = made.operations.get(method)
    if operation is None:
        return response
    _check_status(made, operation, response)
    if request.method == "HEAD" or response.status_code == 304:
        return response
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if response.status_code >= 400:
        _check_body(made, operation, json.loads(response.content), failed=True)  # type: ignore[attr-defined]
        return response
    from probes.api.openapi import content_types

    if kind not in content_types(operation):
        raise _wrong(made, operation, f"answers {kind}")
    if kind != "application/json" or operation.data is None:
        return response
    if isinstance(operation.data, routing.Text):
        return response
    if isinstance(response, StreamingHttpResponse):
        pieces: Any = response.streaming_content
        response.streaming_content = _watched(made, operation, pieces)
    else:
        _check_body(made, operation, json.loads(response.content))  # type: ignore[attr-defined]
    return response


def _watched(
    made: routing.Endpoint, operation: routing.Operation, pieces: Iterable[bytes]
) -> Iterator[bytes]:
    seen = []
    for piece in pieces:
        seen.append(piece)
        yield piece
    _check_body(made, operation, json.loads(b"".join(seen)))


def _check_status(
    made: routing.Endpoint, operation: routing.Operation, response: HttpResponseBase
) -> None:
    from probes.api.openapi import statuses

    if operation.data is None:
        return
    good, bad = statuses(operation)
    if response.status_code not in (*good, *bad, 405):
        raise _wrong(made, operation, f"answers {response.status_code}, which it does not declare")


def _check_body(
    made: routing.Endpoint, operation: routing.Operation, body: Any, *, failed: bool = False
) -> None:
    validator = _failure() if failed else _validator(made.name, operation.method)
    if validator is None:
        return
    for error in validator.iter_errors(body):
        where = "/".join(map(str, error.instance_path))
        raise _wrong(made, operation, f"answers what its shape has not: {where}: {error.message}")


def _wrong(made: routing.Endpoint, operation: routing.Operation, said: str) -> AssertionError:
    problem = f"{operation.method} {made.path} {said}"
    PROBLEMS.append(problem)
    return AssertionError(problem)


@cache
def _failure() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(shapes.schema(shapes.Failure), validate_formats=True)


@cache
def _validator(name: str, method: str) -> jsonschema_rs.Draft202012Validator | None:
    from probes.api.api_schemas import enveloped

    (operation,) = (
        each.operations[method]
        for each in routing.ENDPOINTS
        if each.name == name and method in each.operations
    )
    if operation.data is None:
        return None
    inner = shapes.schema(operation.data)
    definitions = inner.pop("$defs", {})
    return jsonschema_rs.Draft202012Validator(
        enveloped(inner) | {"$defs": definitions}, validate_formats=True
    )
