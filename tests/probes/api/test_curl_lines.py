"""Every curl line of the documents is run by the real curl against a real server, and succeeds."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import HostGroup
from netadmin.access.models import Scope
from probes.models import WatchedPort
from probes.rule_set import exporting
from tests.probes.api import site as sites
from tests.probes.api.curl_lines import DOCS, commands, fitted
from tests.probes.history.played import at
from tests.servers import find_program

DOCUMENTS = ("api.md", "mcp.md", "metrics.md")
EXAMPLE = "https://netadmin.example.org"
WITH_STATUS = r"""curl() { command curl --max-time 60 -w '\n%{stderr}%{http_code} ' "$@"; }"""
"""The line itself stays as it is; curl also says which status it got."""


@pytest.fixture
def site(transactional_db: None) -> sites.Site:
    """The site of the tests of the API, with the groups and rows that the document speaks of."""
    made = sites.build()
    made.group.name = "web"
    made.group.save()
    for name in ("production", "data"):
        HostGroup.objects.create(name=name)
    made.hunt.name = "scanners"  # the document makes one of its own called botnet
    made.hunt.save()
    gone = {"is_up": False, "since": at(1), "first_seen": at(0), "last_seen": at(1)}
    WatchedPort.objects.create(host=made.host, protocol="tcp", port=8080, **gone)
    return made


def test_the_document_has_examples_for_most_routes() -> None:
    shown = " ".join(commands(DOCS / "api.md"))
    assert len(re.findall(r"\bcurl\b", shown)) >= 50


def test_every_curl_line_does_what_it_says(
    site: sites.Site, live_server: Any, tmp_path: Path
) -> None:
    find_program("curl", package="curl")
    (tmp_path / "rules.yaml").write_text(exporting.export(), encoding="utf-8")
    token = site.token("admin", Scope.ADMIN).headers["Authorization"].removeprefix("Bearer ")
    moments = {
        "from": at(0.5), "to": at(1.5), "at": at(1.5), "since": at(0), "until": at(60),
        "ends_at": timezone.now() + dt.timedelta(hours=2),
    }  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"],
        "NETADMIN": f"{live_server.url}/api/v1",
        "TOKEN": token,
    }
    wrong = []
    for command in (one for name in DOCUMENTS for one in commands(DOCS / name)):
        line = fitted(command, sites.ENDPOINTS, path=site.path, moments=moments)
        line = line.replace(EXAMPLE, live_server.url)
        line = re.sub(r"\bhosts?=1\b(,2)?", lambda found: _hosts(found, site), line)
        line = re.sub(r'"host": \d+', f'"host": {site.host.pk}', line)
        line = line.replace('"confirm_secret": "..."', f'"confirm_secret": "{sites.PASSWORD}"')
        run = subprocess.run(
            ["bash", "-c", f"{WITH_STATUS}\n{line}"],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120,
            check=False,
        )  # fmt: skip
        if not _is_good(run):
            wrong.append(f"{command}\n  {run.returncode} {run.stderr} {run.stdout[:300]}")
    assert not wrong, "\n".join(wrong)


def _hosts(found: re.Match[str], site: sites.Site) -> str:
    return f"hosts={site.host.pk},{site.hidden.pk}" if found[1] else f"host={site.host.pk}"


def _is_good(run: subprocess.CompletedProcess[str]) -> bool:
    if run.returncode != 0 or re.search(r"\b20[0-9] $", run.stderr) is None:
        return False
    answer = run.stdout.strip()
    if not answer.startswith("{"):
        return True
    read = json.loads(answer)
    return bool(read["result"] if "jsonrpc" in read else read.get("success", "openapi" in read))


def test_the_token_of_the_document_is_made_by_its_own_command(site: sites.Site) -> None:
    from io import StringIO

    from django.core.management import call_command

    printed = StringIO()
    call_command("api_token", "anna", "--scope", "operate", stdout=printed, stderr=StringIO())
    headers = {"Authorization": f"Bearer {printed.getvalue().strip()}"}

    assert Client().get("/api/v1/hosts/", headers=headers).status_code == 200
