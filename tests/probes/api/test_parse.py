"""``POST parse``: any text in, its tables out, strict about everything around it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.http import HttpResponse

from netadmin.access.models import AuditEntry
from probes import parsers
from probes.api import parsing
from probes.models import Snapshot
from probes.parsers import document
from tests.probes.api.site import FIRST, Site, error_of
from tests.probes.history.played import LISTENER, line, table

ODD = FIRST + "an odd line\n"


def send(
    site: Site, body: bytes, query: str = "", content_type: str = "text/plain", who: str = "viewer"
) -> HttpResponse:
    path = f"{site.path('api-parse')}{query}"
    return site.session(who).call("POST", path, body, content_type=content_type)


def told(response: HttpResponse) -> Any:
    assert response.status_code == 200
    answer = json.loads(response.getvalue())  # type: ignore[attr-defined]
    assert (answer["success"], answer["message"]) == (True, "")
    return answer["data"]


def test_the_answer_is_the_document_of_the_text(site: Site) -> None:
    data = told(send(site, ODD.encode()))
    assert data == json.loads(json.dumps(document.document(parsers.parse(ODD))))
    assert data["rejected"][0]["text"] == "an odd line"


def test_what_was_quoted_is_read_and_said(site: Site) -> None:
    quoted = "".join(f"web1 | {one}\n" for one in ODD.splitlines())
    data = told(send(site, quoted.encode()))
    assert data["tables"] == json.loads(json.dumps(document.document(parsers.parse(ODD))))["tables"]
    assert [one["line"] for one in data["rejected"]] == [ODD.count("\n")]
    assert data["remarks"] == ["the lines began with one name and a bar, which were taken off"]


def test_a_text_of_too_many_lines_is_told(site: Site) -> None:
    response = send(site, b"\n" * (parsers.MAX_LINES + 1))
    problem = error_of(response, 422)
    assert (problem["code"], problem["field"]) == ("not_understood", "body")
    assert "There are more than" in json.loads(response.content)["message"]


def test_nothing_is_stored(site: Site) -> None:
    before = (Snapshot.objects.count(), AuditEntry.objects.count())
    told(send(site, ODD.encode()))
    assert (Snapshot.objects.count(), AuditEntry.objects.count()) == before


def test_a_text_longer_than_a_form_may_be_is_read(site: Site) -> None:
    text = table(*(line(f"10.0.0.5:{port}") for port in range(10_000, 45_000)))
    assert len(text) > 3_000_000
    data = told(send(site, text.encode(), content_type="application/octet-stream"))
    assert len(data["tables"]["sockets"]) == 35_000


def test_a_text_in_utf_16_is_read(site: Site) -> None:
    assert told(send(site, ODD.encode("utf-16")))["lines"]["rows"] == 8


def test_that_netstat_ran_wide_can_be_said(site: Site) -> None:
    text = table(LISTENER, line("2001:db8:0:1:2:3:4:5:22", protocol="tcp6"))
    marks = [
        told(send(site, text.encode(), query))["tables"]["sockets"][1]["marks"]
        for query in ("", "?wide=false", "?wide=true")
    ]
    assert marks == [["local_truncated"], ["local_truncated"], []]


def test_a_table_comes_as_inert_csv(site: Site) -> None:
    for query in ("?format=csv", "?format=csv&table=sockets"):
        response = send(site, ODD.encode(), query)
        rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))  # type: ignore[attr-defined]
        assert rows[4]["program"] == "'+app"
        assert len(rows) == 8
    error = error_of(send(site, ODD.encode(), "?format=csv&table=unix"), 404)
    assert error["field"] == "table"
    assert error_of(send(site, ODD.encode(), "?table=sockets"), 400)["field"] == "table"


@pytest.mark.parametrize("body", [b" ", b"\n", b"hello\n", b"\x00\xff\xfe", b"{}"])
def test_a_text_without_a_table_is_not_understood(site: Site, body: bytes) -> None:
    error = error_of(send(site, body), 422)
    assert (error["code"], error["field"]) == ("not_understood", "body")


@pytest.mark.parametrize("kind", ["", "application/json", "application/x-www-form-urlencoded"])
def test_another_kind_of_body_is_refused(site: Site, kind: str) -> None:
    assert error_of(send(site, ODD.encode(), content_type=kind), 415)["field"] == "Content-Type"


def test_a_body_that_is_too_large_is_refused(site: Site) -> None:
    error = error_of(send(site, b"x" * (parsing.MAX_BYTES + 1)), 413)
    assert error["field"] == "body"


def test_who_is_not_logged_in_parses_nothing(site: Site) -> None:
    response = site.nobody().call(
        "POST", site.path("api-parse"), ODD.encode(), content_type="text/plain"
    )
    assert error_of(response, 401)["code"] == "not_authenticated"
