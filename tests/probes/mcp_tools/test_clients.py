"""The protocol's own client asks: over HTTP of a live server, over stdio of a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from django.contrib.auth.models import User
from django.db import connection
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent, TextResourceContents

from hosts.models import Host
from netadmin.access import tokens
from netadmin.access.models import AuditEntry, Role, Scope
from probes.history import store
from tests.people import person
from tests.probes.api.site import FIRST, SECOND
from tests.probes.history.played import observed
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
REVISIONS = ("legacy", "2026-07-28")
"""The handshake of the older revisions, and none of the newest."""
READING = [
    "query_network_connections",
    "check_port_occupation",
    "connections_at",
    "diff_times",
    "who_talked_to",
    "explain_port",
    "fleet_ports",
    "top_remote_ips",
    "open_alerts",
]


@pytest.fixture
def web1(transactional_db: None) -> Host:
    """A host that was probed twice, committed."""
    host = Host.objects.create(name="web1", address="192.0.2.1")
    store.save(host, observed(0, FIRST))
    store.save(host, observed(1, SECOND))
    return host


async def converse(client: Client, host: Host) -> None:
    """What an assistant does: looks what there is, asks, turns a page, reads, errs."""
    listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == READING
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed.tools)
    page = await told(client, "connections_at", host="web1", limit=5)
    assert page["total"] == 9
    rest = await told(client, "connections_at", host="web1", limit=5, cursor=page["next"])
    assert len(page["connections"]) + len(rest["connections"]) == 9
    assert rest["next"] is None
    assert (await told(client, "explain_port", host="web1", port=22))["clients_total"] == 3
    (first, *named) = (await client.list_resources()).resources
    assert first.uri == "netadmin://hosts"
    assert [resource.name for resource in named] == ["web1"]
    (content,) = (await client.read_resource(f"netadmin://hosts/{host.pk}")).contents
    assert isinstance(content, TextResourceContents)
    assert '"web1"' in content.text
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        live = await told(client, "check_port_occupation", port=port)
        assert live["is_occupied"] is True
    refused = await client.call_tool("connections_at", {"host": "nowhere"})
    assert isinstance(refused, CallToolResult)
    assert refused.is_error
    assert refused.structured_content is None
    (content,) = refused.content
    assert isinstance(content, TextContent)
    assert json.loads(content.text)["error"]["field"] == "host"


async def told(client: Client, tool: str, **arguments: Any) -> Any:
    """The data of a call; the client holds it against the tool's output schema."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result
    (content,) = result.content
    assert isinstance(content, TextContent)
    return result.structured_content["data"]


def run(act: Callable[[], Awaitable[None]]) -> None:
    """``act``, which may take a minute at most."""

    async def bounded() -> None:
        with anyio.fail_after(60):
            await act()

    anyio.run(bounded)


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_assistant_converses_over_http(live_server: Any, web1: Host, revision: str) -> None:
    _row, token = tokens.create(
        user=person("vera", Role.VIEWER), name="assistant", scope=Scope.READ
    )

    async def act() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{live_server.url}/mcp", http_client=http)
            async with Client(transport, mode=revision) as client:
                await converse(client, web1)

    run(act)
    called = AuditEntry.objects.filter(action="mcp.call", actor="vera").order_by("pk")
    assert [entry.detail["tool"] for entry in called] == [
        "connections_at",
        "connections_at",
        "explain_port",
        "check_port_occupation",
        "connections_at",
    ]


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_assistant_converses_with_the_command(web1: Host, tmp_path: Path, revision: str) -> None:
    User.objects.create_superuser("ann")
    folder = copied_site(tmp_path)
    log = tmp_path / "stderr"

    async def act() -> None:
        server = StdioServerParameters(
            command=sys.executable,
            args=[str(ROOT / "manage.py"), "mcp"],
            env=dict(os.environ) | {"DATA_DIR": str(folder), "LOG_LEVEL": "DEBUG"},
            cwd=ROOT,
        )
        with log.open("w") as errors:
            async with Client(stdio_client(server, errlog=errors), mode=revision) as client:
                await converse(client, web1)

    run(act)
    assert "netadmin mcp: as ann, scope read" in log.read_text()
    with sqlite3.connect(folder / "netadmin.sqlite3") as database:
        calls = database.execute(
            "SELECT actor FROM access_auditentry WHERE action = 'mcp.call'"
        ).fetchall()
    assert calls == [("ann",)] * 5


def test_ctrl_c_ends_the_command_that_waits_for_its_input(
    transactional_db: None, tmp_path: Path
) -> None:
    User.objects.create_superuser("ann")
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a test", "version": "1"},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "mcp"],
        env=dict(os.environ) | {"DATA_DIR": str(copied_site(tmp_path))},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            assert b"netadmin" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=PATIENCE_S) == -signal.SIGINT
        finally:
            process.kill()


def copied_site(tmp_path: Path) -> Path:
    """A folder of data with the test's database, for a process of its own."""
    folder = tmp_path / "data"
    (folder / "static").mkdir(parents=True)
    folder.chmod(0o700)
    connection.ensure_connection()
    with sqlite3.connect(folder / "netadmin.sqlite3") as copy:
        connection.connection.backup(copy)
    return folder
