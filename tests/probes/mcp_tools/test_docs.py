"""docs/mcp.md says what there is, and its command line works as it is printed."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from hosts.models import Host
from netadmin.access import tokens
from netadmin.access.models import Role, Scope
from probes.history import store
from probes.mcp_tools import answers, catalogue, declared, fleet, http, resources
from tests.people import person
from tests.probes.api.curl_lines import DOCS, commands
from tests.probes.api.site import FIRST
from tests.probes.history.played import observed
from tests.servers import find_program

DOCUMENT = DOCS / "mcp.md"


def test_the_document_names_every_tool_resource_and_limit() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
    assert listed == list(catalogue.TOOLS)
    for template in resources.TEMPLATES:
        assert template.uri_template.replace("{?cursor}", "") in text
    for limit in (
        f"{declared.USUAL_ROWS} rows where nothing is said, {declared.MOST_ROWS} at most",
        f"{answers.MOST_BYTES // 1000} kB at most",
        f"{answers.LONGEST_TEXT} characters at most",
        f"{answers.LONGEST_LIST} items",
        f"{fleet.COUNTED:,} intervals",
        f"above {http.MOST_BYTES // 1024} KiB",
    ):
        assert limit in text, limit


def test_the_command_line_of_the_document_asks_a_tool(
    transactional_db: None, live_server: Any
) -> None:
    host = Host.objects.create(name="web1", address="192.0.2.1")
    store.save(host, observed(0, FIRST))
    _row, token = tokens.create(user=person("vera", Role.VIEWER), name="x", scope=Scope.READ)
    curl = find_program("curl", package="curl")
    (command,) = commands(DOCUMENT)
    line = command.replace("https://netadmin.example.org", live_server.url)
    run = subprocess.run(
        ["bash", "-c", line],
        env={"TOKEN": token, "PATH": f"{curl.rpartition('/')[0]}:/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = json.loads(run.stdout)["result"]["structuredContent"]["data"]["ports"]
    assert [row["host"]["name"] for row in found] == ["web1"]
