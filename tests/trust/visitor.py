"""Uses a site as an administrator and its scripts would, and hands over everything it showed.

Run inside a site's own process (``python -m tests.trust.visitor``): takes a JSON list of steps on
standard input and prints ``{"<step>": {"status": ..., "body": ..., "headers": ...}}``. A step is

    {"do": "post", "route": "host_add", "args": [], "data": {...}}
    {"do": "post", "path": "/api/v1/hosts/", "json": {...}, "token": "..."}
    {"do": "ask", "tool": "connections_at", "arguments": {...}, "token": "..."}     by MCP
    {"do": "get", "path": "/api/v1/ports/check?port=22", "token": "..."}
    {"do": "visit", "token": "..."}       every GET of the route table, pages and JSON
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def main() -> None:
    """Do the steps in order, as ``root``, the site's superuser."""
    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import reverse

    from netadmin.access.permissions import MACHINE_PATHS

    root, _made = User.objects.get_or_create(username="root", is_superuser=True)
    client = Client(raise_request_exception=False, SERVER_NAME="localhost")
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    answers: dict[str, Any] = {}
    for number, step in enumerate(json.load(sys.stdin)):
        headers = {"Authorization": f"Bearer {step['token']}"} if step.get("token") else {}
        if step["do"] == "visit":
            for path in _paths():
                wants = headers if path.startswith(MACHINE_PATHS) else {}
                answers[f"{number} GET {path}"] = _shown(client.get(path, headers=wants))
            continue
        if step["do"] == "get":
            path = step["path"]
            answers[f"{number} GET {path}"] = _shown(client.get(path, headers=headers))
            continue
        if step["do"] == "ask":
            answers[f"{number} MCP {step['tool']}"] = _shown(_asked(client, step, headers))
            continue
        path = step.get("path") or reverse(step["route"], args=step.get("args"))
        who = Client(raise_request_exception=False) if step.get("stranger") else client
        if "json" in step:
            response = who.post(
                path, step["json"], content_type="application/json", headers=headers
            )
        else:
            response = who.post(path, step["data"], headers=headers)
        answers[f"{number} POST {path}"] = _shown(response)
    json.dump(answers, sys.stdout)


def _asked(client: Any, step: dict[str, Any], headers: dict[str, str]) -> Any:
    """A tool's answer, as an assistant gets it over HTTP."""
    call = {"name": step["tool"], "arguments": step["arguments"]}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = headers | {"Accept": "application/json, text/event-stream"}
    return client.post("/mcp", message, content_type="application/json", headers=headers)


def _paths() -> list[str]:
    """An address for every GET of the table, for the first object of its kind."""
    from django.apps import apps
    from django.contrib.contenttypes.models import ContentType
    from django.urls import reverse

    from hosts.models import Host
    from netadmin.access.models import APIToken
    from netadmin.access.routes import ROUTES
    from probes.models import ReportSchedule

    paths = []
    for route in ROUTES:
        if "GET" not in route.roles or route.name.startswith("/"):
            continue
        if route.name == "api-events":  # a stream without an end
            continue
        if route.about in {"", "app", "contenttype", "own token", "own mailing"}:
            special: dict[str, list[Any]] = {
                "": [],
                "app": ["hosts"],
                "contenttype": [ContentType.objects.get_for_model(Host).pk, 1],
                "own token": [APIToken.objects.values_list("pk", flat=True).first()],
            }
            mailings = [[row.pk] for row in ReportSchedule.objects.all()]
            every = mailings if route.about == "own mailing" else [special[route.about]]
        else:
            every = [[row.pk] for row in apps.get_model(route.about)._default_manager.all()[:20]]
        host = Host.objects.first()
        query = f"?{route.query.format(host=host and host.pk)}" if route.query else ""
        paths += [reverse(route.name, args=args or None) + query for args in every]
    return paths


def _shown(response: Any) -> dict[str, Any]:
    body = response.getvalue() if response.streaming else response.content
    return {
        "status": response.status_code,
        "headers": dict(response.items()) | {"Set-Cookie": response.cookies.output()},
        "body": body.decode(errors="backslashreplace"),
    }


if __name__ == "__main__":
    main()
