"""An assistant as a test plays it: JSON-RPC over ``/mcp``, one POST a message."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs
from django.http import HttpResponse

from probes.mcp_tools import catalogue
from tests.probes.api.site import Caller

ACCEPT = "application/json, text/event-stream"


@cache
def _schema_of(tool: str) -> Any:
    return catalogue.TOOLS[tool].listed().output_schema


class Assistant:
    """Calls tools and reads resources as one person, by token."""

    def __init__(self, caller: Caller, *, language: str = "en") -> None:
        self.caller = caller
        self.headers = caller.headers | {"Accept": ACCEPT, "Accept-Language": language}

    def post(self, body: Any, *, method: str = "POST", **headers: str) -> HttpResponse:
        """One request; ``body`` is sent as JSON, or as it is where it is bytes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.caller.client.generic(
            method,
            "/mcp",
            body if isinstance(body, bytes) else json.dumps(body),
            content_type=named.pop("content-type", "application/json"),
            headers=self.headers | named,
        )

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to one request of JSON-RPC: ``result`` or ``error`` is in it."""
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        response = self.post(message)
        assert response.status_code == 200, response.content
        answer = json.loads(response.content)
        assert answer["id"] == 7
        return answer

    def call(self, tool: str, **arguments: Any) -> Any:
        """The envelope that a tool answers. What succeeded is the same in both forms, as the
        tool's schema has it; a refusal is text alone, since it is not."""
        result = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        (content,) = result["content"]
        assert content["type"] == "text"
        envelope = json.loads(content["text"])
        assert result["isError"] is not envelope["success"]
        if envelope["success"]:
            assert result["structuredContent"] == envelope
            jsonschema_rs.validate(_schema_of(tool), envelope)
        else:
            assert result.get("structuredContent") is None
        return envelope

    def get(self, tool: str, **arguments: Any) -> Any:
        """The data of a call that succeeds."""
        envelope = self.call(tool, **arguments)
        assert envelope["success"], envelope
        assert envelope.keys() == {"success", "message", "data"}
        return envelope["data"]

    def refused(self, tool: str, **arguments: Any) -> Any:
        """The error of a call that does not."""
        envelope = self.call(tool, **arguments)
        assert envelope["success"] is False, envelope
        assert envelope["data"] == {}
        assert envelope["message"]
        return envelope["error"]

    def read(self, uri: str) -> Any:
        """A resource."""
        (content,) = self.ask("resources/read", uri=uri)["result"]["contents"]
        assert content["uri"] == uri
        assert content["mimeType"] == "application/json"
        return json.loads(content["text"])
