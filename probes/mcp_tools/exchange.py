"""One HTTP request handed to the SDK's own transport, and what it answers.

Place in the data's way: behind ``http``, which has judged the request, and apart from it because
the SDK takes a second to load: a process that no assistant ever asks loads none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from probes.mcp_tools import server
from probes.mcp_tools.calling import Caller

_NOT_HANDED_ON: Final = frozenset({"authorization", "cookie", "content-length"})


def answer(request: HttpRequest, body: bytes) -> HttpResponse:
    """The answer to one message. Tools run in this very thread, with the request's connection to
    the database; only the protocol runs in an event loop, which lives as long as the request."""
    caller = Caller(lambda: request, translation.get_language() or settings.LANGUAGE_CODE)
    return async_to_sync(_exchange)(caller, _scope(request), body)


async def _exchange(caller: Caller, scope: dict[str, Any], body: bytes) -> HttpResponse:
    """Hand one request to the SDK's transport and gather what it answers."""
    # The transport's own look at Host, Origin and size stays off: the view judged all of them.
    manager = StreamableHTTPSessionManager(
        app=server.of(caller),
        json_response=True,
        stateless=True,
        max_request_body_size=max(1, len(body)),
    )
    waiting = iter([{"type": "http.request", "body": body, "more_body": False}])
    response = HttpResponse()
    written: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            response.status_code = message["status"]
            response.headers.pop("Content-Type", None)
            for name, value in message.get("headers", ()):
                response[name.decode("latin-1")] = value.decode("latin-1")
        elif message["type"] == "http.response.body":
            written.append(message.get("body", b""))

    async with manager.run():
        await manager.handle_request(scope, receive, send)
    response.content = b"".join(written)
    return response


def _scope(request: HttpRequest) -> dict[str, Any]:
    """The request as ASGI has it (asgi.readthedocs.io, HTTP connection scope), without what says
    who calls: that was judged, and the transport need not know it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(_headers(request)),
        "client": None,
        "server": None,
    }


def _headers(request: HttpRequest) -> Iterator[tuple[bytes, bytes]]:
    for name, value in request.headers.items():
        lower = name.lower()
        if lower not in _NOT_HANDED_ON:
            yield lower.encode("latin-1", "replace"), value.encode("latin-1", "replace")
