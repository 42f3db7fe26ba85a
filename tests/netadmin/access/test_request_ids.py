"""One id for each request: in its answer, in the log, in the audit log and in what failed."""

from __future__ import annotations

import io
import logging

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import reverse

from netadmin.access import audit, rates, request_ids, tokens
from netadmin.access.models import AuditEntry, Scope
from netadmin.logs import EscapingFormatter
from tests.people import browser_of

HEADER = "X-Request-ID"
MADE = 32
"""Characters of an id that is made here."""


@pytest.mark.parametrize("given", ["a", "01HZX.7-_", "x" * 64, "7f3c2a"])
def test_a_plain_word_is_taken_over(db: None, given: str) -> None:
    response = browser_of(None).get("/healthz", headers={HEADER: given})
    assert response[HEADER] == given


@pytest.mark.parametrize(
    "given",
    ["", "x" * 65, "a b", "a,b", "a\nb", "<b>", "é", "２２", "a;b", "a\x00", "a/../b", "a\n"],
)
def test_anything_else_is_replaced(db: None, given: str) -> None:
    response = browser_of(None).get("/healthz", headers={HEADER: given})
    assert response[HEADER] != given
    assert len(response[HEADER]) == MADE


def test_each_request_has_its_own_on_pages_and_routes(viewer: User) -> None:
    client = browser_of(viewer)
    paths = (reverse("tokens"), "/api/v1/hosts/", "/absent/", "/api/v1/absent", "/login/")
    found = {client.get(path)[HEADER] for path in paths}
    assert len(found) == len(paths)


def test_an_act_is_recorded_with_it_and_found_by_it(viewer: User, admin: User) -> None:
    row, _text = tokens.create(user=viewer, name="x", scope=Scope.READ)
    path = reverse("token_revoke", args=[row.pk])
    browser_of(viewer).post(path, headers={HEADER: "from-a-proxy"})

    entry = AuditEntry.objects.get(action="token.revoke")
    assert entry.request_id == "from-a-proxy"
    client = browser_of(admin)
    listed = client.get(reverse("audit"), {"request": "from-a-proxy"})
    assert [found for found, _lines in listed.context["entries"]] == [entry]
    exported = client.get(reverse("audit"), {"format": "csv"}).getvalue().decode()
    assert "from-a-proxy" in exported


def test_outside_of_a_request_there_is_none(viewer: User) -> None:
    browser_of(viewer).get("/healthz")
    assert request_ids.present() == ""
    assert audit.record("test.act", actor="system").request_id == ""


def test_lines_of_the_log_tell_it(viewer: User, rf: RequestFactory) -> None:
    """By the handler that the site's settings made."""
    handlers = logging.getLogger().handlers
    (handler,) = [each for each in handlers if isinstance(each.formatter, EscapingFormatter)]
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    try:
        _row, text = tokens.create(
            user=viewer, name="x", scope=Scope.READ, from_networks=["192.0.2.0/24"]
        )
        sent = {"Authorization": f"Bearer {text}", HEADER: "one.request"}
        browser_of(None).get("/api/v1/hosts/", headers=sent)
        logging.getLogger("netadmin").warning("between requests")
    finally:
        handler.setStream(before)
    lines = written.getvalue().splitlines()
    assert "netadmin.access.middleware [one.request] token nad_" in lines[0]
    assert lines[-1].endswith("netadmin [-] between requests")


def test_a_failure_tells_it_and_nothing_of_the_error(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("a secret of the site")

    from netadmin.access.views import tokens as page

    monkeypatch.setattr(rates, "spend", fail)
    monkeypatch.setattr(page, "_visible", fail)
    client = browser_of(viewer)
    for path in ("/api/v1/hosts/", reverse("tokens")):
        response = client.get(path, headers={HEADER: "the-one"})
        assert response.status_code == 500
        assert response[HEADER] == "the-one"
        assert b"the-one" in response.content
        assert b"a secret of the site" not in response.content
